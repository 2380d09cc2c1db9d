"""Fig. 1: number of spikes in each layer until the decision (MRN), mean over all test images."""

import sys

import numpy as np
from common import BLUE, COLUMN, SKY, Run, main
from matplotlib.figure import Figure

from s4nn_ref.app.paper import quoted_of


def draw(run: Run) -> Figure:
    mean = run.responses.spikes.mean(axis=0)
    layers = run.responses.layers
    pooling = np.array([layer.startswith("P") for layer in layers])
    figure = Figure(figsize=(COLUMN, 2.8), layout="constrained")
    axes = figure.subplots()
    place = np.arange(len(layers))
    for kind, color, label in ((~pooling, BLUE, "emitted"), (pooling, SKY, "passed on by pooling")):
        bars = axes.bar(place[kind], mean[kind], color=color, label=label, width=0.7)
        axes.bar_label(bars, fmt="%.0f", fontsize=8, padding=1)
    axes.set_xticks(place, layers, rotation=30)
    mrn = quoted_of(run.record["config"]).get("mrn")
    total = f"{mean.sum():.0f} in all" + (f" (paper: {mrn:.0f})" if mrn else "")
    axes.set_ylabel("spikes per image")
    axes.set_title(f"{run.title}: {total}\nspikes until the decision, mean over all test images")
    axes.margins(y=0.12)
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    axes.grid(axis="y")
    return figure


if __name__ == "__main__":
    sys.exit(main(draw, "fig1", "mnist-plus", __doc__))
