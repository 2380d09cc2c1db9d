"""The non-leaky IF neuron with an exponentially decaying synaptic current, in z = exp(t), t in its time constants.

    V(t) = sum_i w_i (1 - exp(t_i - t)) = W - Z / z
    W = sum w_i,   Z = sum w_i z_i                 of the inputs that have come
    z_post = Z / (W - v_th),                       a crossing where W > v_th

A firing time is z throughout, at least 1: nothing takes an exponential or a logarithm.
Source: Mostafa 2018 (D33). `sums` is (W, Z).
"""

import math

integer = False
echoes = ((0.0, 1.0),)
start = (0.0, 0.0)


def add(sums, t_pre, w):
    total, moment = sums
    return total + w, moment + w * t_pre


def may_fire(sums, t_last, t_next, v_th):
    return sums[0] * t_next - sums[1] >= v_th * t_next


def crossing(sums, v_th):
    total, moment = sums
    return moment / (total - v_th) if total > v_th else math.inf


def dt_dw(sums, t_post, t_pre, w):
    return (t_pre - t_post) * (t_post / sums[1])  # Z / z = W - v_th at the spike


def dt_dt(sums, t_post, t_pre, w):
    return w * (t_post / sums[1])


def potential(sums, t):
    return sums[0] - sums[1] / t
