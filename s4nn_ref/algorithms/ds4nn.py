"""DS4NN: learning from batches by temporal backpropagation (Mirsadeghi et al. 2023, section 2.2).

The paper's loss is losses/relative_targets.py; the gradient is Network.backward, the update the optimiser's. Departures
D4, D5, D13, D15, D16, D22 in docs/deviations.md. Reference: reference/ds4nn.py.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from s4nn_ref.algorithms import require
from s4nn_ref.engines import N_SHARDS
from s4nn_ref.network import Network
from s4nn_ref.neurons import step
from s4nn_ref.settings import Registry, choice

LOSSES = Registry("s4nn_ref.losses", "Loss")


@dataclass(frozen=True)
class Settings:
    """loss : of the output layer   surrogate : of dt/dV (D5)   normalise : Eq. 11 (D4)"""

    loss: object = choice(LOSSES, "first-spike")
    surrogate: Literal["fired", "window", "window-silent"] = "window"
    normalise: Literal["none", "signed-sum", "l1", "l2"] = "none"


class Algorithm:
    """See s4nn_ref/algorithms/__init__.py. A call of `learn` is an update along the mean gradient of a batch.

    network : the network that learns   grad : what Network.gradients returns
    """

    neuron = step
    uses_optimiser = True

    def __init__(self, config, rng: np.random.Generator, calls: int, optimiser, dtype=np.float32):
        self.config, self.network = config, Network(config.network, self.neuron, dtype)
        self.network.initialise(config.network.init, rng)
        self.fused = self.network.fused()
        self.states = self.fused.room(config.training.batch)
        self.grad = self.network.gradients(min(N_SHARDS, config.training.batch))
        self.optimiser = optimiser(self.network)

    @staticmethod
    def check(config, specs) -> None:
        n = config.network
        require("ds4nn", [("network.exceeds", not n.exceeds, "false"), ("network.delay", n.delay == 0, "0")])

    @staticmethod
    def presented(config) -> int:
        return config.training.batch

    def learn(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One update from a batch: forward, error, backward, step. Returns cost and whether the decision was right."""
        cost, right = self.backward(images, labels)
        self.optimiser.update(self.grad, len(labels))  # along the mean; clears grad
        return cost, right

    def backward(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Add dE/dw of a batch to `grad`; returns what `learn` does."""
        c, learning = self.config, self.config.learning
        room = self.states if len(images) <= len(self.states[0].t_post) else None
        states = self.fused.forward(self.network.encode(images, c.data.encoding), out=room)
        outputs = self.fused.outputs(states)
        cost, error = learning.loss.error(outputs, labels)
        self.fused.backward(states, error, self.grad, learning.surrogate, learning.normalise)
        return cost, outputs.decisions() == labels

    def start_from(self, parameters: np.ndarray) -> None:
        """Begin from the weights of a trained network, which are their own average."""
        self.network.parameters[:] = self.optimiser.w_mean[:] = parameters

    def parameters(self) -> np.ndarray:
        """The moving average of the weights, or themselves without one (D13)."""
        return self.optimiser.average

    def end_epoch(self, images: int, rng: np.random.Generator) -> None:
        """Nothing."""

    def state(self) -> dict[str, np.ndarray]:
        return {"parameters": self.network.parameters, **self.optimiser.state()}
