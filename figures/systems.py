"""How each system spends spikes: test accuracy against the spikes until the decision, from the records alone.

python figures/systems.py [--results DIR] [--out DIR]

A panel for each data set; a small dot is a seed, a large mark their mean, the star the paper's network as it is quoted.
"""

import argparse
import itertools
import sys
from pathlib import Path

from common import BLACK, BLUE, GREEN, ORANGE, OUT, PAGE, PINK, RED, ROOT, SKY, attempt, save
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, NullFormatter
from matplotlib.transforms import Bbox
from tables import BASELINES, DATASETS, EXPERIMENTS, records_of

from s4nn_ref.app.paper import PAPER
from s4nn_ref.errors import InputError

# colour and mark of each learning algorithm: no two share either
MARKS = {
    "ds4nn": (BLUE, "o"), "s4nn": (ORANGE, "s"), "bs4nn": (RED, "v"), "relpsp": (GREEN, "^"),
    "comsa": (SKY, "D"), "mostafa": (PINK, "P"), "stidi": ("0.45", "X"),
}  # fmt: skip


def points(dataset: str, results: Path) -> dict[str, list[dict]]:
    """Records by experiment, of all systems on a data set."""
    names = (*EXPERIMENTS[dataset], *BASELINES[dataset])
    return {name: records for name in names if (records := records_of(name, results))}


# where a name may stand: direction from its point, and its sides that lie there; then how far, in points
DIRECTIONS = [
    ((1, -0.5), "left", "top"), ((-1, -0.5), "right", "top"), ((1, 0.5), "left", "bottom"),
    ((-1, 0.5), "right", "bottom"), ((0, 1), "center", "bottom"), ((0, -1), "center", "top"),
]  # fmt: skip
DISTANCES = 6, 14, 22, 30, 38


def write_names(axes, means: dict[str, tuple[float, float]]) -> None:
    """Write each name at the nearest place to its point where it meets no mark and no other name, inside the panel; a
    line joins the two where they are apart. The layout must be done."""
    taken = [Bbox.from_bounds(*(axes.transData.transform(at) - 7), 14, 14) for at in means.values()]  # pixels
    panel = axes.get_window_extent()
    for name, at in means.items():
        text = None
        for distance, (direction, side, height) in itertools.product(DISTANCES, DIRECTIONS):
            if text:
                text.remove()
            line = {"arrowstyle": "-", "lw": 0.5, "color": "0.5"} if distance > DISTANCES[0] else None
            offset = tuple(distance * part for part in direction)
            text = axes.annotate(
                name, at, offset, textcoords="offset points", ha=side, va=height, fontsize=7, arrowprops=line
            )
            text.get_window_extent()  # moves it there
            box = Text.get_window_extent(text)  # of the name, without its line
            inside = panel.x0 <= box.x0 and box.x1 <= panel.x1 and panel.y0 <= box.y0 and box.y1 <= panel.y1
            if inside and not any(box.overlaps(other) for other in taken):
                break
        taken.append(box)


def panel(axes, found: dict[str, list[dict]], quoted: dict) -> dict[str, tuple[float, float]]:
    """One data set; returns what is to be named, and where.

    found : as `points`   quoted : what the paper says of its own network
    """
    means = {}
    for name, records in found.items():
        tests = [record["selected"]["test"] for record in records]
        color, mark = MARKS[records[0]["config"]["learning"]["algorithm"]]
        spikes = [test["mrn"]["total"] for test in tests]
        accuracy = [100 * test["accuracy_strict"] for test in tests]
        axes.plot(spikes, accuracy, mark, color=color, ms=3, alpha=0.5, mew=0)
        means[name] = sum(spikes) / len(spikes), sum(accuracy) / len(accuracy)
        axes.plot(*means[name], mark, color=color, ms=7)
    means = {"the paper": (quoted["mrn"], 100 * quoted["test"]), **means}
    axes.plot(*means["the paper"], "*", color=BLACK, ms=10)
    axes.set(xscale="log", xlabel="spikes until the decision, mean over test images")
    left, right = axes.get_xlim()
    axes.set_xlim(left / 1.8, right * 1.8)  # room for names
    axes.margins(y=0.1)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid()
    return means


def draw(results: Path) -> Figure:
    """Both data sets. Raises InputError where one has no record."""
    figure = Figure(figsize=(PAGE, 3.4), layout="constrained")
    means = []
    for axes, dataset in zip(figure.subplots(1, 2), DATASETS, strict=True):
        if not (found := points(dataset, results)):
            raise InputError(f"no records of {DATASETS[dataset]} in {results}; make them with: make systems")
        means.append(panel(axes, found, PAPER["ds4nn", "fashion-mnist" if dataset == "fashion" else dataset]))
        axes.set_title(DATASETS[dataset])
    figure.axes[0].set_ylabel("test accuracy, strict (%)")
    figure.draw_without_rendering()
    for axes, names in zip(figure.axes, means, strict=True):
        write_names(axes, names)
    return figure


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "results", metavar="DIR", help="folder of the records")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="where to write (default: figures/out)")
    args = parser.parse_args(argv)
    return attempt([lambda: save(draw(args.results), "systems", args.out)])


if __name__ == "__main__":
    sys.exit(main())
