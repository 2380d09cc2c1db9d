"""What the systems in continuous time share: exact gradients of a cross-entropy of firing times, batch by batch."""

import numpy as np

from s4nn_ref.algorithms import require
from s4nn_ref.algorithms._batches import BatchAlgorithm
from s4nn_ref.losses.cross_entropy import cross_entropy


def check_continuous(name: str, config, encoding: str = "eq1") -> None:
    """Raise InputError on an experiment with keys that are for integer time, or another encoding."""
    n = config.network
    require(name, [
        ("network.exceeds", not n.exceeds, "false"),
        ("network.delay", n.delay == 0, "0"),
        ("network.collapse", n.collapse == (1.0, 1.0, 1.0), "[1, 1, 1], a constant threshold"),
        ("data.encoding", config.data.encoding == encoding, f'"{encoding}"'),
    ])  # fmt: skip


class ContinuousAlgorithm(BatchAlgorithm):
    """A system is a subclass: its neuron, and what it adds to the gradient.

    enough : cost below which an image teaches nothing
    """

    enough = 0.0

    @property
    def temperature(self) -> float:
        """Of the softmax over firing times, in their unit."""
        return self.config.learning.temperature

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

    def backward(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Add dE/dw of a batch to `grad`; returns what `learn` does."""
        states, outputs = self.forward(images)
        delta, cost = cross_entropy(outputs.t_out / self.temperature, labels)
        delta[cost < self.enough] = 0.0
        self.fused.backward(states, delta / self.temperature, self.grad)
        self.regularise(states, len(labels))
        return cost, outputs.decisions() == labels
