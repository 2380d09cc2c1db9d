"""Output errors of the methods that Table 3 compares with DS4NN: another dE/dt of the same output layer.

Sources: Kheradpisheh and Masquelier 2020 (S4NN), target times by a margin in front of the others; Mostafa 2018 and
Comsa et al. 2020, cross-entropy on firing times, in their own units of time (D22). Shapes (B, classes) and (B,).
"""

import math

import numpy as np

from s4nn_ref.algorithms.s4nn import target_times


def s4nn_target_times(t_out, labels, gamma, t_max) -> np.ndarray:
    """Target times of S4NN, see s4nn_ref.algorithms.s4nn."""
    target = np.empty(t_out.shape)
    for b, label in enumerate(labels):
        target_times(t_out[b], label, gamma, gamma, t_max, target[b])
    return target


def s4nn_error(t_out, labels, gamma, t_max) -> np.ndarray:
    """dE/dt for S4NN's target times, in units of t_max (D7)."""
    return (t_out - s4nn_target_times(t_out, labels, gamma, t_max)) / t_max


def cross_entropy(z, labels) -> tuple[np.ndarray, np.ndarray]:
    """dE/dz and E = -log softmax(-z)[label] of each image: the smaller z, the likelier the class."""
    p = np.exp(z.min(axis=1, keepdims=True) - z)
    p /= p.sum(axis=1, keepdims=True)
    row = np.arange(len(labels))
    cost = -np.log(p[row, labels])
    delta = -p
    delta[row, labels] += 1.0
    return delta, cost


def mostafa_error(t_out, labels, t_max) -> tuple[np.ndarray, np.ndarray]:
    """dE/dt and cost of Mostafa: cross-entropy in z = exp(t), t_max being ln 6, his latest input."""
    unit = math.log(6.0) / t_max
    z = np.exp(t_out * unit)
    delta, cost = cross_entropy(z, labels)
    return delta * z * unit, cost


def comsa_error(t_out, labels, t_max) -> tuple[np.ndarray, np.ndarray]:
    """dE/dt and cost of Comsa et al.: cross-entropy in t, t_max being 1, their latest input."""
    delta, cost = cross_entropy(t_out / t_max, labels)
    return delta / t_max, cost
