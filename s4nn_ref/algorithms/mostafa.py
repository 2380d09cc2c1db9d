"""Mostafa's network: exponential synaptic currents, learned in z = exp(t) (Mostafa 2018).

The neuron is neurons/exponential.py. Outputs learn by the cross-entropy of a softmax over -z. Two things are added to
the gradient: a cost of neurons whose weights do not sum to the threshold, which could never fire, and a limit of its
size, since a potential that only just reaches the threshold has an unbounded derivative. Reference:
reference/mostafa.py.
"""

from dataclasses import dataclass, field

import numpy as np

from s4nn_ref.algorithms._continuous import ContinuousAlgorithm, check_continuous
from s4nn_ref.neurons import exponential


@dataclass(frozen=True)
class Settings:
    """weight_sum : K of the cost K max(0, v_th - sum_i w_ji) of every neuron
    limit      : of the Frobenius norm of a layer's mean gradient, divided by the number of its inputs
    """

    weight_sum: float = field(default=100.0, metadata={"least": 0})
    limit: float = field(default=10.0, metadata={"above": 0})


class Algorithm(ContinuousAlgorithm):
    """See s4nn_ref/algorithms/__init__.py."""

    neuron = exponential

    @staticmethod
    def check(config, specs) -> None:
        check_continuous("mostafa", config, "binary")

    def regularise(self, states, n_images: int) -> None:
        keys = self.config.learning
        for rows, grad in zip(self.network.rows, self.grad, strict=True):
            grad[0] -= keys.weight_sum * n_images * (rows.sum(axis=0) < self.network.v_th)
            norm = np.linalg.norm(grad.sum(axis=0)) / n_images / len(rows)
            if norm > keys.limit:
                grad *= grad.dtype.type(keys.limit / norm)
