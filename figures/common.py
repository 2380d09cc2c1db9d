"""What the scripts of this folder share: the run to draw, the style and the command line.

A script offers `draw(run) -> matplotlib Figure`, and runs alone:

    python figures/fig1.py [RECORD] [--out DIR] [--data DIR]
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from s4nn_ref.app.legacy import config_of_stored
from s4nn_ref.app.record import read_record, read_responses
from s4nn_ref.app.storage import read_weights
from s4nn_ref.config import config_of_dict
from s4nn_ref.data.dataset import Dataset, load, whereabouts
from s4nn_ref.errors import InputError
from s4nn_ref.files import write_atomically
from s4nn_ref.metrics import Responses
from s4nn_ref.network import Network

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "figures" / "out"
COLUMN, PAGE = 3.5, 7.2  # widths in inches
# the palette of Okabe and Ito, which colour-blind readers can tell apart
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, RED, PINK = "#0072B2", "#D55E00", "#CC79A7"
MANY = 12  # classes: with more, matrices bear no numbers

matplotlib.rcParams.update(
    {
        "font.size": 9, "axes.titlesize": 9, "axes.labelsize": 9, "xtick.labelsize": 8, "ytick.labelsize": 8,
        "legend.fontsize": 8, "axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 150,
        "savefig.dpi": 300, "pdf.fonttype": 42, "axes.axisbelow": True, "grid.alpha": 0.3, "lines.linewidth": 1.3,
    }
)  # fmt: skip


class Missing(InputError):
    """A figure needs more than the record: weights or a data set that are not at hand."""


@dataclass(frozen=True)
class Run:
    """A finished run: its record, raw test responses, weights and test images, each read when it is first used."""

    folder: Path
    data_dir: Path | None = None

    @cached_property
    def record(self) -> dict:
        return read_record(self.folder)

    @cached_property
    def responses(self) -> Responses:
        return read_responses(self.folder)[0]

    @cached_property
    def labels(self) -> np.ndarray:
        return read_responses(self.folder)[1]

    @cached_property
    def network(self) -> Network:
        """The trained network: weights.npz of the run, or the shipped one if it comes from this run."""
        name, seed = self.record["experiment"], self.record["seed"]
        trained = config_of_stored(self.record["config"], self.folder / "record.json")
        for path in (self.folder / "weights.npz", ROOT / "weights" / f"{name}.npz"):
            if path.exists():
                network, config = read_weights(path)
                if config == trained:
                    return network
        raise Missing(f"no weights of {name}, seed {seed}; make them with: s4nn train experiments/{name}.toml")

    @cached_property
    def test(self) -> Dataset:
        if any(path is None for _, path in whereabouts(self.dataset, self.data_dir)):
            raise Missing(f"no test images of {self.dataset} at hand; s4nn data fetch {self.dataset}, or --data DIR")
        shape = tuple(self.record["config"]["network"]["input_shape"])
        return load(self.dataset, "test", self.data_dir, shape).called(self.classes)

    @property
    def dataset(self) -> str:
        return self.record["config"]["data"]["dataset"]

    @property
    def algorithm(self) -> str:
        return self.record["config"]["learning"]["algorithm"]

    @property
    def encoding(self) -> str:
        return self.record["config"]["data"]["encoding"]

    @property
    def classes(self) -> tuple[str, ...]:
        return config_of_dict(self.record["config"]).classes

    @property
    def title(self) -> str:
        return f"{self.record['experiment']}, seed {self.record['seed']}"


def opened(folder: Path, data_dir: Path | None) -> Run:
    """The run in a folder. Raises InputError if its record is missing or was not written by s4nn."""
    run = Run(folder, data_dir)
    read_record(folder)
    return run


def runs_of(experiment: str, results: Path | None = None) -> list[Path]:
    """Folders of the shipped runs of an experiment, in the order of their seeds."""
    folder = (results or ROOT / "results") / experiment
    seeds = {path.parent: path.parent.name.removeprefix("seed") for path in folder.glob("seed*/record.json")}
    return sorted((run for run, seed in seeds.items() if seed.isdigit()), key=lambda run: int(seeds[run]))


def median_run(experiment: str, results: Path | None = None) -> Path:
    """The run of median strict test accuracy among the seeds of an experiment; of an even number, the better one."""
    runs = runs_of(experiment, results)
    if not runs:
        raise InputError(
            f"results/{experiment} holds no record; make one with: s4nn train experiments/{experiment}.toml"
        )
    by_accuracy = sorted(runs, key=lambda run: read_record(run)["selected"]["test"]["accuracy_strict"])
    return by_accuracy[len(runs) // 2]


def show_image(axes, image: np.ndarray) -> None:
    """Draw intensities (H, W, C), uint8: three channels in colour, otherwise their mean in grey, dark where intense."""
    if image.shape[2] == 3:
        axes.imshow(image)
    else:
        axes.imshow(image.mean(axis=2), cmap="gray_r", vmin=0, vmax=255)


def percent_axis(axes) -> None:
    """A logarithmic y axis with plain numbers at 1, 2, 5, 10, ..., and long enough to bear some of them."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high < 4 * low:
        axes.set_ylim(low / 2, 2 * high)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def label_classes(axis, classes: tuple[str, ...], inches: float) -> None:
    """Name the classes at the ticks 0, 1, ... of an axis of this length: smaller where there are many, and where that
    could not be read, only every second one, every third, ..."""
    room = 0.85 * 72 * inches / len(classes)  # points for each name
    size = min(8.0, max(room, 5.0))
    every = int(np.ceil(size / room))
    axis.set_ticks(range(0, len(classes), every), classes[::every], fontsize=size)


def label_matrix(axes, classes: tuple[str, ...]) -> None:
    """Name the rows and columns of a matrix of classes."""
    inches = 0.55 * axes.figure.get_figheight()  # less than the side of the matrix
    for axis in (axes.xaxis, axes.yaxis):
        label_classes(axis, classes, inches)
    if any(len(name) > 2 for name in classes):
        axes.tick_params("x", rotation=45, rotation_mode="anchor")
        for label in axes.get_xticklabels():
            label.set_ha("right")


def save(figure: Figure, name: str, out: Path) -> None:
    """Write NAME.png and NAME.pdf, and say where."""
    # without the date, the same figure gives the same file
    for kind, metadata in (("png", None), ("pdf", {"CreationDate": None})):
        drawn = BytesIO()
        figure.savefig(drawn, format=kind, bbox_inches="tight", metadata=metadata)
        write_atomically(out / f"{name}.{kind}", drawn.getvalue())
    print(f"{out / name}.png, .pdf")


def attempt(work: Iterable[Callable[[], None]]) -> int:
    """Do all the work. What fails for want of records is a line on stderr, and the exit code is then 2."""
    status = 0
    for do in work:
        try:
            do()
        except InputError as error:
            print(error, file=sys.stderr)
            status = 2
    return status


def arguments(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("record", nargs="?", type=Path, metavar="RECORD",
                        help="folder of a run, e.g. runs/mnist-plus/seed0 (default: the shipped median)")  # fmt: skip
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="where to write (default: figures/out)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the data sets, as for s4nn train")
    return parser


def main(draw: Callable[[Run], Figure], name: str, experiment: str, description: str, argv=None) -> int:
    """The command line of one figure; returns the exit code."""
    args = arguments(description).parse_args(argv)
    try:
        save(draw(opened(args.record or median_run(experiment), args.data)), name, args.out)
    except InputError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    return 0
