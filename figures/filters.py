"""Filters of the first convolution, one square per map, sorted by the sum of their weights."""

import sys

import numpy as np
from common import PAGE, Missing, Run, main
from matplotlib.figure import Figure


def draw(run: Run) -> Figure:
    if run.network.layers[0].kind != "conv" or run.network.input_shape[2] != 1:
        raise Missing("the first layer is no convolution of grey images: it has no filters to show")
    w = run.network.w[0][..., 0]
    w = w[np.argsort(w.sum(axis=(1, 2)))[::-1]]
    columns = 16
    rows = -(-len(w) // columns)
    step = w.shape[1] + 1
    sheet = np.full((rows * step + 1, columns * step + 1), np.nan)
    for i, kernel in enumerate(w):
        y, x = (i // columns) * step + 1, (i % columns) * step + 1
        sheet[y : y + step - 1, x : x + step - 1] = kernel
    figure = Figure(figsize=(PAGE, 0.9 + 0.42 * rows), layout="constrained")
    axes = figure.subplots()
    limit = np.abs(w).max()
    image = axes.imshow(sheet, cmap="PuOr_r", vmin=-limit, vmax=limit)
    axes.set(xticks=[], yticks=[], title=f"{run.title}: the {len(w)} filters of the first layer")
    axes.spines[:].set_visible(False)
    figure.colorbar(image, label=f"weight (hidden threshold: {run.network.v_th:g})", shrink=0.9)
    return figure


if __name__ == "__main__":
    sys.exit(main(draw, "filters", "mnist-plus", __doc__))
