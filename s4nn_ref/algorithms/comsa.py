"""Comsa's network: alpha-shaped postsynaptic potentials and synchronisation pulses (Comsa et al. 2020).

The neuron is neurons/alpha.py; pulses are the layers S10 of the structure, whose times are learned like weights.
Outputs learn by the cross-entropy of a softmax over -t / temperature; the authors have none, 1. A neuron that is silent
for an image pulls up all its weights, whatever the error. Initial weights, and everything else, are those of the
authors' program but for D36. Reference: reference/comsa.py.
"""

from dataclasses import dataclass, field

import numpy as np

from s4nn_ref.algorithms import require
from s4nn_ref.algorithms._continuous import ContinuousAlgorithm, check_continuous
from s4nn_ref.neurons import alpha


@dataclass(frozen=True)
class Settings:
    """temperature : of the softmax over firing times, in their unit
    silence     : what a neuron's silence for an image adds to the negative gradient of each of its weights
    mean_weight : mean of the initial weights of ordinary inputs, in units of their standard deviation
    mean_pulse  : the same of the weights of pulses
    """

    temperature: float = field(default=1.0, metadata={"above": 0})
    silence: float = field(default=48.374830659132556, metadata={"least": 0})
    mean_weight: float = -0.2754188425913906
    mean_pulse: float = 7.8391245503824578


class Algorithm(ContinuousAlgorithm):
    """See s4nn_ref/algorithms/__init__.py."""

    neuron = alpha
    draws_weights = True

    @staticmethod
    def check(config, specs) -> None:
        check_continuous("comsa", config)
        alternating = [spec.kind for spec in specs] == ["pulses", "dense"] * (len(specs) // 2)
        require("comsa", [("network.structure", alternating, "pulses before every dense layer, 784-S10-340-S10-10")])

    def initialise(self, rng: np.random.Generator) -> None:
        """Normal weights of variance 2 / (inputs + pulses + neurons); pulses spread over the time of the input."""
        keys, rows = self.config.learning, self.network.rows
        for layer, weights in zip(self.network.layers[::2], rows[1::2], strict=True):
            layer.initialise(0.0, self.network.t_max, rng)
            sigma = np.sqrt(2.0 / sum(weights.shape))
            mean = np.where(np.arange(len(weights)) < len(weights) - len(layer.rows), keys.mean_weight, keys.mean_pulse)
            weights[...] = sigma * (mean[:, None] + rng.standard_normal(weights.shape))

    def regularise(self, states, n_images: int) -> None:
        self.pull_silent(states, self.config.learning.silence)

    def learn(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        result = super().learn(images, labels)
        for pulses in self.network.rows[::2]:
            np.maximum(pulses, 0.0, out=pulses)
        return result
