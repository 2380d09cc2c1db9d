"""What algorithms share that learn from batches: an update along the mean gradient of each."""

import numpy as np

from s4nn_ref.engines import N_SHARDS
from s4nn_ref.network import Network


class BatchAlgorithm:
    """See s4nn_ref/algorithms/__init__.py. A subclass names its neuron, and says in `backward` where errors come from.

    network : the network that learns   fused : the same, of fewer states (Network.fused)   states : room for a batch
    grad    : what Network.gradients returns
    """

    uses_optimiser = True

    def __init__(self, config, rng: np.random.Generator, calls: int, optimiser):
        self.config, self.network = config, Network(config.network, self.neuron)
        self.initialise(rng)
        self.fused = self.network.fused()
        self.states = self.fused.room(config.training.batch)
        self.grad = self.network.gradients(min(N_SHARDS, config.training.batch))
        self.optimiser = optimiser(self.network)

    def initialise(self, rng: np.random.Generator) -> None:
        """Initial weights."""
        self.network.initialise(self.config.network.init, rng)

    @staticmethod
    def presented(config) -> int:
        return config.training.batch

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Firing times of the input while learning, (B, H, W, C)."""
        return self.network.encode(images, self.config.data.encoding)

    def forward(self, images: np.ndarray):
        """States of a batch, which the next one overwrites, and what its outputs did."""
        room = self.states if len(images) <= len(self.states[0].t_post) else None
        states = self.fused.forward(self.encode(images), out=room)
        return states, self.fused.outputs(states)

    def backward(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Add dE/dw of a batch to `grad`; returns what `learn` does."""
        raise NotImplementedError

    def learn(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One update from a batch: forward, error, backward, step. Returns cost and whether the decision was right."""
        cost, right = self.backward(images, labels)
        self.optimiser.update(self.grad, len(labels))  # along the mean; clears grad
        return cost, right

    def firing_times(self) -> list[tuple[str, np.ndarray]]:
        """Of the images presented last, for each layer, input first."""
        names = ("input", *(layer.tokens[0] for layer in self.fused.layers))
        return [(name, state.t_post) for name, state in zip(names, self.states, strict=True)]

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
