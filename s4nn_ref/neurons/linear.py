"""The IF neuron with rectified linear postsynaptic potential: an input spike adds a slope of its weight.

    V(t) = sum_i w_i max(0, t - t_i),     so with S = sum w_i and A = sum w_i t_i of the inputs that have come
    t_post = (v_th + A) / S,              a crossing where S > 0

Source: Zhang et al. 2022 (ReL-PSP). Times are continuous and the crossing is exact (D33). `sums` is (S, A).
"""

import math

integer = False
echoes = ((0.0, 1.0),)
start = (0.0, 0.0)


def add(sums, t_pre, w):
    slope, moment = sums
    return slope + w, moment + w * t_pre


def may_fire(sums, t_last, t_next, v_th):
    return sums[0] * t_next - sums[1] >= v_th


def crossing(sums, v_th):
    slope, moment = sums
    return (v_th + moment) / slope if slope > 0.0 else math.inf


def dt_dw(sums, t_post, t_pre, w):
    return (t_pre - t_post) / sums[0]


def dt_dt(sums, t_post, t_pre, w):
    return w / sums[0]


def potential(sums, t):
    return sums[0] * t - sums[1]
