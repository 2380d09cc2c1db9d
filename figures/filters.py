"""Filters of the first convolution, one square per map, in the order of the sum of their weights.

The weights of each input channel are drawn in a sheet of their own.
"""

import sys

import numpy as np
from common import PAGE, Missing, Run, main
from matplotlib.figure import Figure

COLUMNS = 16


def sheet(w: np.ndarray) -> np.ndarray:
    """Kernels (M, K_y, K_x) side by side, COLUMNS in a row, NaN between them."""
    rows = -(-len(w) // COLUMNS)
    height, width = w.shape[1] + 1, w.shape[2] + 1
    out = np.full((rows * height + 1, COLUMNS * width + 1), np.nan)
    for i, kernel in enumerate(w):
        y, x = (i // COLUMNS) * height + 1, (i % COLUMNS) * width + 1
        out[y : y + height - 1, x : x + width - 1] = kernel
    return out


def draw(run: Run) -> Figure:
    if run.network.specs[0].kind != "conv":
        raise Missing("the first layer is not a convolution: it has no filters to show")
    w = run.network.w[0]
    w = w[np.argsort(w.sum(axis=(1, 2, 3)))[::-1]]
    channels = ("red", "green", "blue") if w.shape[3] == 3 else [f"channel {c}" for c in range(w.shape[3])]
    rows = -(-len(w) // COLUMNS)
    figure = Figure(figsize=(PAGE, 0.9 + 0.42 * rows * len(channels)), layout="constrained")
    grid = figure.subplots(len(channels), 1, squeeze=False)[:, 0]
    limit = np.abs(w).max()
    for axes, channel, kernels in zip(grid, channels, np.moveaxis(w, 3, 0), strict=True):
        image = axes.imshow(sheet(kernels), cmap="PuOr_r", vmin=-limit, vmax=limit)
        axes.set(xticks=[], yticks=[], ylabel=channel if len(channels) > 1 else "")
        axes.spines[:].set_visible(False)
    grid[0].set_title(f"{run.title}: the {len(w)} filters of the first layer")
    figure.colorbar(image, ax=grid.tolist(), label=f"weight (hidden threshold: {run.network.v_th:g})", shrink=0.9)
    return figure


if __name__ == "__main__":
    sys.exit(main(draw, "filters", "mnist-plus", __doc__))
