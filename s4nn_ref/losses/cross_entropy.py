"""Cross-entropy of a softmax over firing times: the smaller the time, the likelier the class.

Sources: Mostafa 2018, in z = exp(t); Comsa et al. 2020, in t. In DS4NN's network, for Table 3, in the authors' units of
time (D22): t_max stands for the time of their latest input spike, ln 6 and 1.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np


def cross_entropy(z: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """dE/dz (B, classes) and E = -log softmax(-z)[label] (B,); z : (B, classes), inf where silent, labels : (B,).

    A silent output has probability 0, all of them where none fired; E is then the logarithm of 1e8.
    """
    first = z.min(axis=1, keepdims=True)
    p = np.exp(np.where(np.isinf(first), 0.0, first) - z)
    p /= np.maximum(p.sum(axis=1, keepdims=True), 1.0)  # 1 is the first one's
    row = np.arange(len(labels))
    cost = -np.log(np.maximum(p[row, labels], 1e-8))
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
