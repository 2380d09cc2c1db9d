"""Dense layers all whose inputs fire at one of two times, as the pixels of a binary image do (Mostafa 2018, D37).

The sums over the later inputs are those over all, less those over the earlier ones; sums are linear in the weights.
All later inputs have the same derivative, too. So the cost is that of the earlier inputs, the bright pixels: a fifth of
all. Letters as in spikes.py; sums agree with those of plain.py but for rounding.
"""

import math
from functools import cache

import numpy as np
from numba.extending import register_jitable

from s4nn_ref.kernels.compile import kernel


@kernel
def two_times(t_pre):
    """The two times of an image's inputs, or infinity twice where there are more, fewer, or silent inputs."""
    first, last = t_pre.min(), t_pre.max()
    if first == last:
        return math.inf, math.inf
    for t in t_pre:
        if t != first and t != last:
            return math.inf, math.inf
    return (first, last) if last < math.inf else (math.inf, math.inf)


def sum_of_weights(t_pre: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Sum of all weights of each neuron, float64 (M,), where some image has two times; else empty.

    t_pre : float64 (B, R)   w : (R, M)
    """
    first, last = t_pre.min(axis=1, keepdims=True), t_pre.max(axis=1, keepdims=True)
    two = ((t_pre == first) | (t_pre == last)).all(axis=1) & (first < last)[:, 0] & (last < np.inf)[:, 0]
    return w.sum(axis=0, dtype=np.float64) if two.any() else np.empty(0)


@cache
def compiled(model):
    """Kernels of a neuron model in continuous time of two sums, for one image of two times.

    fire(t_pre, first, last, w, sum_w, v_th, t_post, sums_post, v_end)       overwrites t_post (M,), sums_post (2, M) of
                                                                             neurons that fire, and v_end (M,) or (0,)
    weight_gradient(g, t_post, sums_post, t_pre, first, last, grad, late)    adds to grad (R, M), of the earlier inputs,
        what they have more than the later ones, and to late (M,) what is to be added to all rows
    """
    start = model.start
    add, crossing, potential, dt_dw = (
        register_jitable(f) for f in (model.add, model.crossing, model.potential, model.dt_dw)
    )

    @kernel
    def sums_at_two(t_pre, first, last, w, sum_w):
        """Sums over the earlier inputs, and over all: four arrays (M,)."""
        s0, s1, early = np.full(sum_w.size, start[0]), np.full(sum_w.size, start[1]), np.zeros(sum_w.size)
        for i in range(t_pre.size):
            if t_pre[i] == first:
                w_i = w[i]
                for j in range(sum_w.size):
                    s0[j], s1[j] = add((s0[j], s1[j]), first, w_i[j])
                    early[j] += w_i[j]
        all0, all1 = np.empty(sum_w.size), np.empty(sum_w.size)
        for j in range(sum_w.size):
            all0[j], all1[j] = add((s0[j], s1[j]), last, sum_w[j] - early[j])
        return s0, s1, all0, all1

    @kernel
    def fire(t_pre, first, last, w, sum_w, v_th, t_post, sums_post, v_end):
        s0, s1, all0, all1 = sums_at_two(t_pre, first, last, w, sum_w)
        for j in range(sum_w.size):
            sums = s0[j], s1[j]
            t = crossing(sums, v_th)
            if not first <= t < last:
                sums = all0[j], all1[j]
                t = crossing(sums, v_th)
                t = t if t >= last else math.inf
            t_post[j], sums_post[0, j], sums_post[1, j] = t, sums[0], sums[1]
        for j in range(v_end.size):
            v_end[j] = potential((all0[j], all1[j]), last)

    @kernel
    def weight_gradient(g, t_post, sums_post, t_pre, first, last, grad, late):
        change = np.zeros(g.size, grad.dtype)
        for j in range(g.size):
            if g[j] == 0:
                continue
            sums = sums_post[0, j], sums_post[1, j]
            of_late = g[j] * dt_dw(sums, t_post[j], last, 0.0) if t_post[j] >= last else 0.0
            change[j] = g[j] * dt_dw(sums, t_post[j], first, 0.0) - of_late
            late[j] += of_late
        for i in range(t_pre.size):
            if t_pre[i] == first:
                for j in range(g.size):
                    grad[i, j] += change[j]

    return fire, weight_gradient
