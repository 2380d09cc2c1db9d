"""Learning curves: errors on training and validation images, silent images, and spikes in each epoch."""

import sys

import numpy as np
from common import BLUE, GREEN, ORANGE, PAGE, RED, Missing, Run, main, percent_axis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


def draw(run: Run) -> Figure:
    history = [row for row in run.record["history"] if "validation" in row]
    if not history:
        raise Missing(f"{run.folder} has no validation metrics; train with data.validation > 0")
    epoch = np.array([row["epoch"] for row in history])

    def of(key):
        return np.array([row["validation"][key] for row in history])

    figure = Figure(figsize=(PAGE, 2.5), layout="constrained")
    error, silent, spikes = figure.subplots(1, 3)
    mark = {"marker": "o" if len(epoch) == 1 else ""}  # a line of one epoch would not be seen
    training = [100 - 100 * row["train_accuracy"] for row in history]
    first_spike = 100 - 100 * of("accuracy_first_spike")
    error.plot(epoch, training, color=ORANGE, ls="--", label="training", **mark)
    error.plot(epoch, 100 - 100 * of("accuracy_strict"), color=BLUE, label="validation", **mark)
    error.plot(epoch, first_spike, color=RED, ls=":", label="validation, first spike", **mark)
    error.axvline(run.record["selected"]["epoch"], color="0.6", lw=0.8)
    error.set(ylabel="wrong (%)", title=run.title)
    percent_axis(error)
    error.legend(frameon=False)
    silent.plot(epoch, 100 * of("silent"), color=GREEN, label="silent", **mark)
    silent.plot(epoch, 100 * of("tied"), color=ORANGE, ls="--", label="tied", **mark)
    silent.set(ylabel="images (%)", ylim=(0, None), title="validation images")
    silent.legend(frameon=False)
    spikes.plot(epoch, [row["validation"]["mrn"]["total"] for row in history], color=BLUE, **mark)
    spikes.set(ylabel="spikes, mean over images", ylim=(0, None), title="until the decision (MRN)")
    for axes in (error, silent, spikes):
        axes.set(xlabel="epoch")
        if len(epoch) == 1:
            axes.set_xlim(epoch[0] - 1, epoch[0] + 1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid()
    return figure


if __name__ == "__main__":
    sys.exit(main(draw, "curves", "mnist-plus", __doc__))
