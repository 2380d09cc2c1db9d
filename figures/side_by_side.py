"""Figs. 1-6 of two or more runs side by side: what the paper's rule gives, and what an improved one does.

    python figures/side_by_side.py [RECORD ...] [--out DIR] [--data DIR]

All runs are of one data set, and Fig. 1 is of networks of one structure. Without records: the shipped median runs of
`mnist`, `mnist-near` and `mnist-plus`, and of `fashion` and `fashion-plus`. Fig. 3 needs the data set. All its panels
show the same test image, and every threshold is drawn: a falling one is not the paper's.
"""

import argparse
import sys
from pathlib import Path

import fig2
import fig4
import numpy as np
from common import BLUE, GREEN, ORANGE, OUT, PAGE, PINK, RED, SKY, Missing, Run, attempt, median_run, opened, save
from draw_all import PAPER
from fig3 import typical_image
from matplotlib.figure import Figure

from s4nn_ref.app.predict import draw_potentials, predict
from s4nn_ref.errors import InputError

SHOWN = (("mnist", "mnist-near", "mnist-plus"), ("fashion", "fashion-plus"))
COLORS = (ORANGE, BLUE, GREEN, RED, SKY, PINK)


def spikes(runs: list[Run]) -> Figure:
    """Fig. 1: spikes of each layer until the decision."""
    figure = Figure(figsize=(PAGE, 2.8), layout="constrained")
    axes, width = figure.subplots(), 0.8 / len(runs)
    layers = runs[0].responses.layers
    if any(run.responses.layers != layers for run in runs):
        raise Missing("the runs are of networks of different structures")
    for k, run in enumerate(runs):
        mean = run.responses.spikes.mean(axis=0)
        place = np.arange(len(mean)) + (k - (len(runs) - 1) / 2) * width
        color, said = COLORS[k % len(COLORS)], f"{run.title}: {mean.sum():.0f} in all"
        axes.bar_label(axes.bar(place, mean, width, color=color, label=said), fmt="%.0f", fontsize=8, padding=1)
    axes.set_xticks(np.arange(len(layers)), layers)
    axes.set(ylabel="spikes per image", title="spikes until the decision, mean over all test images")
    axes.margins(y=0.12)
    axes.legend(frameon=False)
    axes.grid(axis="y")
    return figure


def matrices(runs: list[Run], script, title: str) -> Figure:
    """Figs. 2, 4, 5 and 6: the matrix of each run. script : module with `matrix`"""
    figure = Figure(figsize=(PAGE * 0.58 * len(runs), PAGE * 0.55), layout="constrained")
    all_axes = figure.subplots(1, len(runs), squeeze=False)[0]
    images = [script.matrix(axes, run) for axes, run in zip(all_axes, runs, strict=True)]
    for axes, run in zip(all_axes, runs, strict=True):
        axes.set_title(axes.get_title() or run.title)
    figure.colorbar(images[-1], ax=all_axes, label=title, shrink=0.8)
    highest = max(image.get_clim()[1] for image in images)
    for image in images:
        image.set_clim(vmax=highest)
    return figure


def potentials(runs: list[Run]) -> Figure:
    """Fig. 3: potentials of the outputs for one image, the one that is typical of the first run."""
    if not all(run.network.neuron.integer for run in runs):
        raise Missing("potentials in continuous time are not kept")
    index = typical_image(runs[0])
    figure = Figure(figsize=(PAGE, 2.4 * len(runs)), layout="constrained")
    for axes, run in zip(figure.subplots(len(runs), squeeze=False)[:, 0], runs, strict=True):
        p = predict(run.network, run.test.images[index], run.encoding)
        draw_potentials(axes, run.network, p, run.classes)
        said = f"output {run.classes[p.label]} fires first, t = {p.decision_time}" if p.fired else "no output fires"
        axes.set_title(f"{run.title}, test image {index}: {said}")
    axes.set_xlabel("time (steps)")
    return figure


def draw(runs: list[Run]) -> dict[str, Figure]:
    """All figures that the paper has for the data set of some runs, by name; a line on stderr where one cannot be."""
    kinds = {
        "fig1": lambda: spikes(runs),
        "fig2": lambda: matrices(runs, fig2, f"mean firing time (steps; {runs[0].responses.t_max}: silent)"),
        "fig3": lambda: potentials(runs),
        "fig4": lambda: matrices(runs, fig4, "test images (logarithmic)"),
    }
    figures = {}
    for name, kind in PAPER.get(runs[0].dataset, PAPER["mnist"]).items():
        try:
            figures[name] = kinds[kind]()
        except Missing as error:
            print(f"{name} left out: {error}", file=sys.stderr)
    return figures


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "records", nargs="*", type=Path, metavar="RECORD", help="folders of runs, of one data set or more"
    )
    parser.add_argument("--out", type=Path, default=OUT / "side-by-side", metavar="DIR", help="where to write")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the data sets, as for s4nn train")
    args = parser.parse_args(argv)

    def write(folders: list[Path]) -> None:
        runs = [opened(folder, args.data) for folder in folders]
        if len({run.dataset for run in runs}) > 1:
            raise InputError("the runs are of several data sets; give those of one")
        for name, figure in draw(runs).items():
            save(figure, name, args.out)

    sets = [args.records] if args.records else [[median_run(name) for name in names] for names in SHOWN]
    return attempt([lambda folders=folders: write(folders) for folders in sets])


if __name__ == "__main__":
    sys.exit(main())
