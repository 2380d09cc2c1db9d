"""Cross-entropy of a softmax over firing times: the smaller the time, the likelier the class.

Sources: Mostafa 2018, in z = exp(t); Comsa et al. 2020, in t. In DS4NN's network, for Table 3, in the authors' units of
time (D22): t_max stands for the time of their latest input spike, ln 6 and 1.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np


def cross_entropy(z: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """dE/dz (B, classes) and E = -log softmax(-z)[label] (B,); z : (B, classes), labels : (B,)."""
    p = np.exp(z.min(axis=1, keepdims=True) - z)
    p /= p.sum(axis=1, keepdims=True)
    row = np.arange(len(labels))
    cost = -np.log(p[row, labels])
    delta = -p
    delta[row, labels] += 1.0
    return delta, cost


@dataclass(frozen=True)
class Loss:
    """variable : "z" for z = exp(t) (Mostafa), "t" for the time itself (Comsa)"""

    variable: Literal["t", "z"] = "t"

    def error(self, outputs, labels) -> tuple[np.ndarray, np.ndarray]:
        t_out, t_max = outputs.t_out, outputs.silent
        if self.variable == "t":
            delta, cost = cross_entropy(t_out / t_max, labels)
            return cost, delta / t_max
        unit = math.log(6.0) / t_max
        z = np.exp(t_out * unit)
        delta, cost = cross_entropy(z, labels)
        return cost, delta * z * unit
