"""Fig. 2: mean firing time of every output neuron for the images of each class. A silent neuron counts as t_max."""

import sys

import numpy as np
from common import PAGE, RED, Run, main
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle


def mean_times(run: Run) -> np.ndarray:
    """Mean firing time of each output neuron (columns) over the test images of each class (rows)."""
    t_out, labels = run.responses.t_out, run.labels
    return np.array([t_out[labels == c].mean(axis=0) for c in range(t_out.shape[1])])


def draw(run: Run) -> Figure:
    times = mean_times(run)
    n = len(times)
    figure = Figure(figsize=(PAGE * 0.8, PAGE * 0.62), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(times, cmap="viridis", vmin=0, vmax=run.responses.t_max)
    for (row, column), t in np.ndenumerate(times):
        bright = t > 0.6 * run.responses.t_max
        axes.text(column, row, f"{t:.0f}", ha="center", va="center", fontsize=8, color="black" if bright else "white")
    for c in range(n):
        axes.add_patch(Rectangle((c - 0.5, c - 0.5), 1, 1, fill=False, edgecolor=RED, lw=1.8))
    words = any(len(name) > 2 for name in run.classes)
    axes.set_xticks(range(n), run.classes, rotation=45 if words else 0, ha="right" if words else "center")
    axes.set_yticks(range(n), run.classes)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="output neuron", ylabel="class of the image")
    axes.set_title(f"{run.title}: mean firing time (framed: the right neuron)")
    figure.colorbar(image, label=f"time (steps; {run.responses.t_max}: silent)", shrink=0.9)
    return figure


if __name__ == "__main__":
    sys.exit(main(draw, "fig2", "mnist-plus", __doc__))
