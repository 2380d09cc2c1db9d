"""What the systems in continuous time share: exact gradients of a cross-entropy of firing times, batch by batch."""

import numpy as np

from s4nn_ref.algorithms import require
from s4nn_ref.engines import N_SHARDS
from s4nn_ref.losses.cross_entropy import cross_entropy
from s4nn_ref.network import Network


def check_continuous(name: str, config, encoding: str = "eq1") -> None:
    """Raise InputError on an experiment with keys that are for integer time, or another encoding."""
    n = config.network
    require(name, [
        ("network.exceeds", not n.exceeds, "false"),
        ("network.delay", n.delay == 0, "0"),
        ("network.collapse", n.collapse == (1.0, 1.0, 1.0), "[1, 1, 1], a constant threshold"),
        ("data.encoding", config.data.encoding == encoding, f'"{encoding}"'),
    ])  # fmt: skip


class ContinuousAlgorithm:
    """See s4nn_ref/algorithms/__init__.py. A system is a subclass: its neuron, and what it adds to the gradient.

    network : the network that learns   grad : what Network.gradients returns   temperature : of the softmax, time
    """

    uses_optimiser = True
    temperature = 1.0

    def __init__(self, config, rng: np.random.Generator, calls: int, optimiser, dtype=np.float32):
        self.config, self.network = config, Network(config.network, self.neuron, dtype)
        self.initialise(rng)
        self.states = self.network.room(config.training.batch)
        self.grad = self.network.gradients(min(N_SHARDS, config.training.batch))
        self.optimiser = optimiser(self.network)

    def initialise(self, rng: np.random.Generator) -> None:
        """Initial weights."""
        self.network.initialise(self.config.network.init, rng)

    @staticmethod
    def presented(config) -> int:
        return config.training.batch

    def regularise(self, states, n_images: int) -> None:
        """Add to `grad`, a sum over n_images images, what does not come from the cost of the outputs."""

    def pull_silent(self, states, pull: float) -> None:
        """Raise all weights of a neuron that is silent for an image, whatever the error: `pull` for each image."""
        shards = iter(self.grad)
        for layer, post in zip(self.network.layers, states[1:], strict=True):
            grad = next(shards) if layer.weighted else None
            if layer.integrates:
                silent = np.isinf(post.t_post).reshape(-1, post.t_post.shape[-1]).sum(axis=0)
                grad[0] -= grad.dtype.type(pull) * silent

    def learn(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One update from a batch. Returns cost and whether the decision was right."""
        cost, right = self.backward(images, labels)
        self.optimiser.update(self.grad, len(labels))
        return cost, right

    def backward(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Add dE/dw of a batch to `grad`; returns what `learn` does."""
        room = self.states if len(images) <= len(self.states[0].t_post) else None
        states = self.network.forward(self.network.encode(images, self.config.data.encoding), out=room)
        outputs = self.network.outputs(states)
        delta, cost = cross_entropy(outputs.t_out / self.temperature, labels)
        self.network.backward(states, delta / self.temperature, self.grad)
        self.regularise(states, len(labels))
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
