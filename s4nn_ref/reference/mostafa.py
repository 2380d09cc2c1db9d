"""Mostafa's neuron and the two terms that he adds to the gradient, in plain loops (Mostafa 2018).

An input spike starts a synaptic current that decays exponentially: V_j(t) = sum_i w_ji (1 - exp(t_i - t)), t in its
time constants. With z = exp(t) the crossing is a fraction, so that all times are z from the input to the softmax over
-z. The loops are those of relpsp.py. Letters as there.
"""

import numpy as np


def crossing(z_pre, w, v_th=1.0):
    """V = W - sum w_i z_i / z, with W = sum w_i, tends to W: it reaches v_th where W > v_th."""
    return (w * z_pre).sum() / (w.sum() - v_th) if w.sum() > v_th else np.inf


def derivatives(z_post, z_pre, w, v_th=1.0):
    """Of the crossing."""
    return (z_pre - z_post) / (w.sum() - v_th), w / (w.sum() - v_th)


def weight_sum_gradient(w, weight_sum, v_th=1.0):
    """Of weight_sum max(0, v_th - sum_i w_ji), summed over the neurons j of a layer: one that could never fire."""
    return np.where(w.sum(axis=1) < v_th, -weight_sum, 0.0)[:, None] * np.ones(w.shape)


def limited(grad, limit):
    """A layer's mean gradient (M, n), shortened where its Frobenius norm exceeds `limit` times the inputs n."""
    return grad / max(1.0, np.linalg.norm(grad) / grad.shape[1] / limit)
