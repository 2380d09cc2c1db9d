"""Mostafa's network: exponential synaptic currents, learned in z = exp(t) (Mostafa 2018).

The neuron is neurons/exponential.py. Outputs learn by the cross-entropy of a softmax over -z / temperature; Mostafa has
none, 1. Input spikes may be delayed at random while learning. Two things are added to the gradient: a cost of neurons
whose weights do not sum to the threshold, which could never fire, and a limit of its size, since a potential that only
just reaches the threshold has an unbounded derivative. Settings are ours (D37). Reference: reference/mostafa.py.
"""

from dataclasses import dataclass, field

import numpy as np

from s4nn_ref.algorithms._continuous import ContinuousAlgorithm, check_continuous
from s4nn_ref.neurons import exponential


@dataclass(frozen=True)
class Settings:
    """temperature : of the softmax over z
    noise      : standard deviation of the normal number whose size delays an input spike while learning, time constants
    weight_sum : K of the cost K max(0, v_th - sum_i w_ji) of every neuron
    limit      : of the Frobenius norm of a layer's mean gradient, divided by the number of its inputs
    """

    temperature: float = field(default=1.0, metadata={"above": 0})
    noise: float = field(default=0.0, metadata={"least": 0})
    weight_sum: float = field(default=100.0, metadata={"least": 0})
    limit: float = field(default=10.0, metadata={"above": 0})


class Algorithm(ContinuousAlgorithm):
    """See s4nn_ref/algorithms/__init__.py."""

    neuron = exponential

    @staticmethod
    def check(config, specs) -> None:
        check_continuous("mostafa", config, "binary")

    def encode(self, images: np.ndarray) -> np.ndarray:
        """See BatchAlgorithm; delays are drawn anew in each update, from its number and the seed (D37)."""
        z, noise = super().encode(images), self.config.learning.noise
        if noise == 0.0:
            return z
        rng = np.random.default_rng((self.config.training.seed, int(self.optimiser.course.step)))
        return z * np.exp(np.abs(rng.normal(0.0, noise, z.shape)))

    def regularise(self, states, n_images: int) -> None:
        keys = self.config.learning
        for rows, grad in zip(self.network.rows, self.grad, strict=True):
            grad[0] -= keys.weight_sum * n_images * (rows.sum(axis=0) < self.network.v_th)
            norm = np.linalg.norm(grad.sum(axis=0)) / n_images / len(rows)
            if norm > keys.limit:
                grad *= grad.dtype.type(keys.limit / norm)
