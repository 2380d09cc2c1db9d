"""What a network loses that is stopped at any time step: wrong answers against time, and against spikes.

Stopped before its first output spike, it answers with the class of the largest output potential. Wrong answers are on a
logarithmic axis: most of the accuracy is there early, and what waiting brings is a small share. Needs the data set.
"""

import sys
from dataclasses import dataclass

import numpy as np
from common import BLUE, GREEN, ORANGE, PAGE, Run, main, percent_axis
from matplotlib.figure import Figure

from s4nn_ref.encoding import encode

N_IMAGES = 1000  # of the test set, from its beginning


@dataclass(frozen=True)
class Course:
    """What stopping after each step 0 .. t_max - 1 gives, (t_max,), means over images.

    accuracy : share of right answers   decided : share of images whose first output spike has come
    spikes   : of all layers until then, none after the decision
    """

    accuracy: np.ndarray
    decided: np.ndarray
    spikes: np.ndarray


def course(run: Run, n: int = N_IMAGES, batch: int = 100) -> Course:
    """The course over the first n test images."""
    network, t_max = run.network, run.network.t_max
    images, labels = run.test.images[:n], run.test.labels[:n]
    right, decided, spikes = np.zeros(t_max), np.zeros(t_max), np.zeros(t_max)
    steps = np.arange(t_max)
    for begin in range(0, len(labels), batch):
        states = network.forward(encode(images[begin : begin + batch], t_max, run.encoding))
        outputs = network.outputs(states)
        for b, final in enumerate(outputs.decisions()):
            decision = outputs.t_out[b].min()
            answer = np.where(steps >= decision, final, outputs.potentials(b).argmax(axis=1))
            right += answer == labels[begin + b]
            decided += steps >= decision
            fired = np.concatenate([state.t_post[b].ravel() for state in states])
            fired = fired[fired <= min(decision, t_max - 1)]
            spikes += np.cumsum(np.bincount(fired, minlength=t_max))
    return Course(right / len(labels), decided / len(labels), spikes / len(labels))


def draw(run: Run) -> Figure:
    c = course(run)
    steps, n = np.arange(len(c.accuracy)), len(run.test.labels[:N_IMAGES])
    wrong = 100 - 100 * c.accuracy
    figure = Figure(figsize=(PAGE, 2.7), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(steps, wrong, color=BLUE, label="wrong answers")
    left.plot(steps, 100 - 100 * c.decided, color=ORANGE, ls="--", label="no output spike yet")
    left.set(xlabel="stopped at time (steps)", ylabel="images (%)")
    left.set_title(f"{run.title}, first {n} test images")
    left.legend(frameon=False, loc="best")
    right.plot(c.spikes, wrong, color=GREEN)
    right.set(xlabel="spikes until then, mean over images", ylabel="wrong answers (%)")
    right.set_title(f"{wrong[-1]:.2f} % wrong with {c.spikes[-1]:.0f} spikes")
    for axes in (left, right):
        # down to half of the fewest wrong answers, and to half an image where none is wrong
        axes.set_ylim(0.5 * max(wrong.min(), 100 / n), 110)
        percent_axis(axes)
        axes.grid()
    return figure


if __name__ == "__main__":
    sys.exit(main(draw, "anytime", "mnist-plus", __doc__))
