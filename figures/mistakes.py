"""The worst mistakes: wrong decisions, by how far their potential is above that of the right class in the end.

Needs the data set.
"""

import sys

import numpy as np
from common import BLACK, BLUE, ORANGE, PAGE, Run, main, show_image
from fig4 import decisions
from matplotlib.figure import Figure

from s4nn_ref.app.predict import predict

COUNT = 8


def worst(run: Run, count: int = COUNT) -> np.ndarray:
    """Indices of the `count` worst mistakes among the test images, the worst first."""
    r, answer = run.responses, decisions(run)
    rows = np.arange(len(answer))
    lead = r.v_end[rows, answer] - r.v_end[rows, run.labels]
    wrong = np.flatnonzero(answer != run.labels)
    return wrong[np.argsort(lead[wrong])[::-1][:count]]


def draw(run: Run) -> Figure:
    indices, threshold = worst(run), run.network.output_threshold()
    columns = 4
    rows = max(1, -(-len(indices) // columns))
    figure = Figure(figsize=(PAGE, 2.6 * rows), layout="constrained")
    grid = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=(1, 0.8) * rows)
    for axes in grid.ravel():
        axes.set_axis_off()
    low, high = 0.0, 0.0  # of all curves that have a colour
    for i, index in enumerate(indices):
        picture, trace = grid[2 * (i // columns), i % columns], grid[2 * (i // columns) + 1, i % columns]
        p = predict(run.network, run.test.images[index], run.encoding)
        label = int(run.labels[index])
        show_image(picture, run.test.images[index])
        picture.set_title(f"{index}: {run.classes[label]},\nanswer {run.classes[p.label]}")
        trace.set_axis_on()
        steps = np.arange(run.network.t_max)
        trace.plot(steps, p.potentials, color="0.85", lw=0.7)
        trace.plot(steps, p.potentials[:, p.label], color=ORANGE, label="decision")
        trace.plot(steps, p.potentials[:, label], color=BLUE, ls="--", label="right class")
        trace.plot(steps, threshold, color=BLACK, ls=":", lw=0.8)
        if p.fired:
            trace.axvline(p.decision_time, color=BLACK, lw=0.8)
        trace.set_xlim(0, run.network.t_max)
        told = np.concatenate([p.potentials[:, [p.label, label]].ravel(), threshold])
        low, high = min(low, told.min()), max(high, told.max())
        if i % columns == 0:
            trace.set_ylabel("potential V")
    edge = 0.05 * (high - low)
    for trace in grid[1::2].ravel()[: len(indices)]:
        trace.set_ylim(low - edge, high + edge)
    lines = [line for line in grid[1, 0].lines if not line.get_label().startswith("_")]
    figure.legend(handles=lines, frameon=False, loc="outside lower center", ncols=2)
    figure.suptitle(f"{run.title}: worst mistakes (dotted: threshold, vertical: decision time)", fontsize=9)
    return figure


if __name__ == "__main__":
    sys.exit(main(draw, "mistakes", "mnist-plus", __doc__))
