"""When each layer spikes: spikes per image in every time step, from input to output, on logarithmic axes.

Needs the data set.
"""

import sys

import numpy as np
from common import BLUE, PAGE, SKY, Run, main
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from s4nn_ref.encoding import encode

N_IMAGES = 1000  # of the test set, from its beginning


def draw(run: Run) -> Figure:
    network, t_max = run.network, run.network.t_max
    histogram, decisions = np.zeros((len(network.tokens), t_max)), []
    images = run.test.images[:N_IMAGES]
    for begin in range(0, len(images), 100):
        states = network.forward(encode(images[begin : begin + 100], t_max, run.encoding))
        decisions += network.outputs(states).t_out.min(axis=1).tolist()
        for row, state in zip(histogram, states, strict=True):
            row += np.bincount(state.t_post.ravel(), minlength=t_max + 1)[:t_max]
    histogram /= len(decisions)
    figure = Figure(figsize=(PAGE, 0.75 * len(network.tokens) + 0.6), layout="constrained")
    grid = figure.subplots(len(network.tokens), 1, sharex=True)
    for axes, name, row in zip(grid, network.tokens, histogram, strict=True):
        axes.bar(np.arange(t_max), row, width=1.0, align="edge", color=SKY if name.startswith("P") else BLUE)
        axes.axvline(np.median(decisions), color="black", lw=0.8, ls="--")
        if row.any():  # whole decades; a single spike must stand out, and the number of spikes have room
            ends = np.log10([row[row > 0].min() / 1.5, 3 * row.max()])
            axes.set(yscale="log", ylim=10.0 ** np.array([np.floor(ends[0]), np.ceil(ends[1])]))
            axes.yaxis.set_major_locator(LogLocator(numticks=4))
            axes.yaxis.set_minor_locator(NullLocator())
        else:
            axes.set_yticks([])
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
        spot = {"xy": (0.96, 0.75), "xycoords": "axes fraction", "ha": "right", "fontsize": 8}
        axes.annotate(f"{row.sum():.0f} spikes", **spot, bbox=ground)
    grid[0].set_title(f"{run.title}: spikes per image and step, {len(images)} images; dashed: median decision")
    grid[-1].set(xlabel="time (steps)", xlim=(0, t_max))
    return figure


if __name__ == "__main__":
    sys.exit(main(draw, "spike_times", "mnist-plus", __doc__))
