"""Accuracy against spikes: the answer of a network that is stopped at any time step.

Stopped before its first output spike, it answers with the class of the largest output potential. Needs the data set.
"""

import sys
from dataclasses import dataclass

import numpy as np
from common import BLUE, GREEN, ORANGE, PAGE, Run, main
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
    steps = np.arange(len(c.accuracy))
    figure = Figure(figsize=(PAGE, 2.7), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(steps, 100 * c.accuracy, color=BLUE, label="accuracy")
    left.plot(steps, 100 * c.decided, color=ORANGE, ls="--", label="images decided")
    left.set(xlabel="stopped at time (steps)", ylabel="% of images", ylim=(0, 101))
    left.set_title(f"{run.title}, first {len(run.test.labels[:N_IMAGES])} test images")
    left.legend(frameon=False, loc="best")
    left.grid()
    right.plot(c.spikes, 100 * c.accuracy, color=GREEN)
    right.set(xlabel="spikes per image until then", ylabel="accuracy (%)", ylim=(0, 101))
    right.set_title(f"{100 * c.accuracy[-1]:.2f} % with {c.spikes[-1]:.0f} spikes")
    right.grid()
    return figure


if __name__ == "__main__":
    sys.exit(main(draw, "anytime", "mnist-plus", __doc__))
