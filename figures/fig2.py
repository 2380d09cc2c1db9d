"""Fig. 2: mean firing time of every output neuron over the test images of each class.

A silent neuron counts as t_max.
"""

import sys

import numpy as np
from common import MANY, PAGE, RED, Run, label_matrix, main
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle


def mean_times(run: Run) -> np.ndarray:
    """Mean firing time of each output neuron (columns) over the test images of each class (rows); NaN in the row of a
    class without images."""
    t_out, labels = run.responses.t_out, run.labels
    n = t_out.shape[1]
    none = np.full(n, np.nan)
    return np.array([t_out[labels == c].mean(axis=0) if (labels == c).any() else none for c in range(n)])


def matrix(axes, run: Run):
    """Draw the mean times into axes; returns the image, for a colour bar."""
    times = mean_times(run)
    n = len(times)
    image = axes.imshow(times, cmap="viridis", vmin=0, vmax=run.responses.t_max)
    for (row, column), t in np.ndenumerate(times):
        if n > MANY or np.isnan(t):
            continue
        bright = t > 0.6 * run.responses.t_max
        axes.text(column, row, f"{t:.0f}", ha="center", va="center", fontsize=8, color="black" if bright else "white")
    for c in range(n):
        axes.add_patch(Rectangle((c - 0.5, c - 0.5), 1, 1, fill=False, edgecolor=RED, lw=1.8 * min(1, MANY / n)))
    label_matrix(axes, run.classes)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="output neuron", ylabel="class of the image")
    return image


def draw(run: Run) -> Figure:
    figure = Figure(figsize=(PAGE * 0.8, PAGE * 0.62), layout="constrained")
    axes = figure.subplots()
    image = matrix(axes, run)
    axes.set_title(f"{run.title}: mean firing time over each class (framed: the right neuron)")
    figure.colorbar(image, label=f"time (steps; {run.responses.t_max}: silent)", shrink=0.9)
    return figure


if __name__ == "__main__":
    sys.exit(main(draw, "fig2", "mnist-plus", __doc__))
