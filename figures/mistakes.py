"""The worst mistakes: wrong decisions with the largest lead over the right output's potential. Needs the data set."""

import sys

import numpy as np
from common import BLACK, BLUE, ORANGE, PAGE, Run, main
from fig4 import decisions
from matplotlib.figure import Figure

from s4nn_ref.predict import predict

COUNT = 8


def worst(run: Run, count: int = COUNT) -> np.ndarray:
    """Indices of wrongly decided test images, by the lead of the decision's potential over the right one's."""
    r, answer = run.responses, decisions(run)
    rows = np.arange(len(answer))
    lead = r.v_end[rows, answer] - r.v_end[rows, run.labels]
    wrong = np.flatnonzero(answer != run.labels)
    return wrong[np.argsort(lead[wrong])[::-1][:count]]


def draw(run: Run) -> Figure:
    indices, bound = worst(run), run.network.output_bound()
    columns = 4
    rows = max(1, -(-len(indices) // columns))
    figure = Figure(figsize=(PAGE, 2.6 * rows), layout="constrained")
    grid = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=(1, 0.8) * rows)
    for axes in grid.ravel():
        axes.set_axis_off()
    for i, index in enumerate(indices):
        picture, trace = grid[2 * (i // columns), i % columns], grid[2 * (i // columns) + 1, i % columns]
        p = predict(run.network, run.test.images[index], run.rounding)
        label = int(run.labels[index])
        picture.imshow(run.test.images[index], cmap="gray_r")
        picture.set_title(f"{index}: {run.classes[label]},\nsaid {run.classes[p.label]}")
        trace.set_axis_on()
        steps = np.arange(run.network.t_max)
        trace.plot(steps, p.potentials, color="0.85", lw=0.7)
        trace.plot(steps, p.potentials[:, p.label], color=ORANGE, label="decision")
        trace.plot(steps, p.potentials[:, label], color=BLUE, ls="--", label="right")
        trace.plot(steps, bound, color=BLACK, ls=":", lw=0.8)
        trace.axvline(p.decision_time, color=BLACK, lw=0.8)
        trace.set(ylim=(-bound.max(), 2 * bound.max()), xlim=(0, run.network.t_max))
        if i % columns == 0:
            trace.set_ylabel("potential V")
    grid[1, 0].legend(frameon=False, fontsize=8, loc="lower right")
    figure.suptitle(f"{run.title}: worst mistakes (threshold dotted, decision upright)", fontsize=9)
    return figure


if __name__ == "__main__":
    sys.exit(main(draw, "mistakes", "mnist-plus", __doc__))
