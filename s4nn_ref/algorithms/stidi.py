"""STiDi-BP: spike-time displacement, in which every layer has target times of its own (Mirsadeghi et al. 2021).

The neuron is neurons/triangular.py. Outputs have the relative targets that DS4NN took over as Eq. 4; the errors of the
wrong ones are balanced with the label's. A hidden neuron's target is its firing time, displaced against the error that
comes down to it; its own error is the distance to that target. A neuron that is silent for an image has no error; where
it is the label's output, all its weights rise. Settings are ours (D44).
Reference: reference/stidi.py.
"""

from dataclasses import dataclass, field

import numpy as np

from s4nn_ref.algorithms._continuous import ContinuousAlgorithm, check_continuous
from s4nn_ref.losses.relative_targets import cost, temporal_error
from s4nn_ref.neurons import triangular


@dataclass(frozen=True)
class Settings:
    """gamma    : margin of the outputs' targets, time steps
    hinge    : outputs in the right order have no error (D10)
    beta     : steps by which a unit of error displaces a hidden neuron's target
    silence  : what the silence of a label's output adds to the negative gradient of each of its weights
    """

    gamma: float = field(default=10.0, metadata={"least": 0})
    hinge: bool = True
    beta: float = field(default=100.0, metadata={"above": 0})
    silence: float = field(default=0.0, metadata={"least": 0})


def balanced(e: np.ndarray, labels: np.ndarray, silent: np.ndarray) -> np.ndarray:
    """Errors (B, classes) of the outputs, those of the wrong ones weighted so that together they are as large as the
    label's; none where that is silent, (B,)."""
    row = np.arange(len(labels))
    of_label = np.abs(e[row, labels])
    of_wrong = np.abs(e).sum(axis=1) - of_label
    weight = np.repeat((of_label / np.maximum(of_wrong, 1e-12))[:, None], e.shape[1], axis=1)
    weight[row, labels] = 1.0
    return e * weight * ~silent[:, None]


class Algorithm(ContinuousAlgorithm):
    """See s4nn_ref/algorithms/__init__.py."""

    neuron = triangular

    @staticmethod
    def check(config, specs) -> None:
        check_continuous("stidi", config)

    def displaced(self, t_post: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """Distance of hidden neurons from their targets, in units of t_max, from dE/dt, of any shape each (B, ...)."""
        t_max, n = self.network.t_max, len(delta)
        t = np.minimum(t_post.reshape(n, -1), t_max)
        target = np.clip(t - self.config.learning.beta * delta.reshape(n, -1), 0.0, t_max)
        return ((t - target) / t_max).astype(delta.dtype)

    def error(self, t_out: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Temporal errors of the outputs (B, classes), before and after they are balanced, and whose label is silent,
        (B,)."""
        keys, t_max = self.config.learning, self.network.t_max
        e = temporal_error(np.minimum(t_out, t_max), labels, keys.gamma, t_max, keys.hinge)
        silent = np.isinf(t_out[np.arange(len(labels)), labels])
        return e, balanced(e, labels, silent), silent

    def backward(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Add dE/dw of a batch to `grad`; returns what `learn` does."""
        states, outputs = self.forward(images)
        e, error, silent = self.error(outputs.t_out, labels)
        self.fused.backward(states, error, self.grad, local=self.displaced)
        raised = np.bincount(labels[silent], minlength=e.shape[1])
        self.grad[-1][0] -= self.grad[-1].dtype.type(self.config.learning.silence) * raised
        return cost(e), outputs.decisions() == labels
