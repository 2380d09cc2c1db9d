"""DS4NN: learning from batches by temporal backpropagation (Mirsadeghi et al. 2023, section 2.2).

The paper's loss is losses/relative_targets.py; the gradient is Network.backward, the update the optimiser's. Departures
D4, D5, D13, D15, D16, D22 in docs/deviations.md. Reference: reference/ds4nn.py.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from s4nn_ref.algorithms import require
from s4nn_ref.algorithms._batches import BatchAlgorithm
from s4nn_ref.neurons import step
from s4nn_ref.settings import Registry, choice

LOSSES = Registry("s4nn_ref.losses", "Loss")


@dataclass(frozen=True)
class Settings:
    """loss : of the output layer   surrogate : of dt/dV (D5)   normalise : Eq. 11 (D4)"""

    loss: object = choice(LOSSES, "first-spike")
    surrogate: Literal["fired", "window", "window-silent"] = "window"
    normalise: Literal["none", "signed-sum", "l1", "l2"] = "none"


class Algorithm(BatchAlgorithm):
    """See s4nn_ref/algorithms/__init__.py; _batches.py has what does not depend on the error."""

    neuron = step

    @staticmethod
    def check(config, specs) -> None:
        n = config.network
        require("ds4nn", [("network.exceeds", not n.exceeds, "false"), ("network.delay", n.delay == 0, "0")])

    def backward(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Add dE/dw of a batch to `grad`; returns what `learn` does."""
        learning, (states, outputs) = self.config.learning, self.forward(images)
        cost, error = learning.loss.error(outputs, labels)
        self.fused.backward(states, error, self.grad, learning.surrogate, learning.normalise)
        return cost, outputs.decisions() == labels
