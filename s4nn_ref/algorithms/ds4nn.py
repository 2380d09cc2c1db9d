"""DS4NN: learning from batches by temporal backpropagation (Mirsadeghi et al. 2023, section 2.2).

The paper's loss is losses/relative_targets.py; the gradient is Network.backward, the update the optimiser's. Departures
D4, D5, D13, D15, D16, D22, D47, D48 in docs/deviations.md. Reference: reference/ds4nn.py.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from s4nn_ref.algorithms import require
from s4nn_ref.algorithms._batches import BatchAlgorithm
from s4nn_ref.neurons import step
from s4nn_ref.settings import Registry, choice
from s4nn_ref.teachers import Teachers, expected_error, targets

LOSSES = Registry("s4nn_ref.losses", "Loss")


@dataclass(frozen=True)
class Settings:
    """loss          : of the output layer
    surrogate     : of dt/dV (D5)
    normalise     : Eq. 11 (D4)
    spike_penalty : cost of a hidden spike for each step from its own to the decision's, in the unit of the loss (D47)
    distillation  : weight of the teachers' opinion beside the label (D48)
    temperature   : of their opinion, potential units (D48)
    """

    loss: object = choice(LOSSES, "first-spike")
    surrogate: Literal["fired", "window", "window-silent"] = "window"
    normalise: Literal["none", "signed-sum", "l1", "l2"] = "none"
    spike_penalty: float = field(default=0.0, metadata={"least": 0})
    distillation: float = field(default=0.0, metadata={"least": 0, "most": 1})
    temperature: float = field(default=15.0, metadata={"above": 0})


def spike_cost(t_post: np.ndarray, last: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Cost of the spikes of a hidden layer until the decision (D47), and its derivative with respect to their times.

    t_post : (B, ...), firing times   last : (B,), step of the decision; the last step where there is none
    ->       E (B,), the sum of penalty * (last + 1 - t_post) over spikes that come no later, and dE/dt like t_post
    """
    steps = last.reshape(-1, *(1,) * (t_post.ndim - 1)) + 1 - t_post
    counts = steps > 0  # as for MRN
    cost = penalty * np.where(counts, steps, 0).reshape(len(t_post), -1).sum(axis=1)
    return cost, np.where(counts, -penalty, 0.0)


class Algorithm(BatchAlgorithm):
    """See s4nn_ref/algorithms/__init__.py; _batches.py has what does not depend on the error."""

    neuron = step
    teachers: Teachers | None = None

    @staticmethod
    def check(config, specs) -> None:
        n = config.network
        require("ds4nn", [("network.exceeds", not n.exceeds, "false"), ("network.delay", n.delay == 0, "0")])

    def taught_by(self, teachers: Teachers) -> None:
        self.teachers = teachers

    def error(self, outputs, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cost and error of the output layer, as a loss gives them."""
        learning = self.config.learning
        if not self.teachers:
            return learning.loss.error(outputs, labels)
        q = self.teachers.opinions(images, learning.temperature)
        return expected_error(learning.loss, outputs, targets(labels, q, learning.distillation))

    def backward(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Add dE/dw of a batch to `grad`; returns what `learn` does."""
        learning, (states, outputs) = self.config.learning, self.forward(images)
        cost, error = self.error(outputs, images, labels)
        last = np.minimum(outputs.t_out.min(axis=1), self.network.t_max - 1)

        def with_spikes(t_post, delta):
            of_spikes, slope = spike_cost(t_post, last, learning.spike_penalty)
            cost[...] += of_spikes
            return delta + slope.reshape(delta.shape).astype(delta.dtype)

        local = with_spikes if learning.spike_penalty > 0 else None
        self.fused.backward(states, error, self.grad, learning.surrogate, learning.normalise, local)
        return cost, outputs.decisions() == labels
