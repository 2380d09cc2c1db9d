"""Fig. 4: confusion matrix of the test images, by the strict decision."""

import sys

import numpy as np
from common import MANY, PAGE, Run, label_matrix, main
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from s4nn_ref.decision import decide


def decisions(run: Run) -> np.ndarray:
    """Class that the network gives each test image, (n,)."""
    r = run.responses
    return decide(r.t_out, r.v_peak, r.v_end, r.silent)


def confusion(run: Run) -> np.ndarray:
    """Number of test images of each class (rows) by decision (columns)."""
    counts = np.zeros((len(run.classes), len(run.classes)), int)
    np.add.at(counts, (run.labels, decisions(run)), 1)
    return counts


def matrix(axes, run: Run):
    """Draw the confusion matrix into axes, titled; returns the image, for a colour bar."""
    counts = confusion(run)
    n = len(counts)
    image = axes.imshow(np.where(counts, counts, np.nan), cmap="Blues", norm=LogNorm(1, max(counts.max(), 2)))
    for (row, column), count in np.ndenumerate(counts):
        if count and n <= MANY:
            bright = count < 0.1 * counts.max()
            axes.text(column, row, count, ha="center", va="center", fontsize=8, color="black" if bright else "white")
    label_matrix(axes, run.classes)
    axes.spines[:].set_visible(False)
    accuracy = np.trace(counts) / counts.sum()
    axes.set(xlabel="decision", ylabel="class of the image", title=f"{run.title}: {100 * accuracy:.2f} % right")
    return image


def draw(run: Run) -> Figure:
    figure = Figure(figsize=(PAGE * 0.8, PAGE * 0.62), layout="constrained")
    image = matrix(figure.subplots(), run)
    figure.colorbar(image, label="test images (logarithmic)", shrink=0.9)
    return figure


if __name__ == "__main__":
    sys.exit(main(draw, "fig4", "mnist-plus", __doc__))
