"""Dense layers in continuous time, for any neuron model of two sums: inputs in the order of time, neurons in blocks.

The loops of plain.py turned inside out: an input is added to a block of neurons at once, their sums lie beside each
other, and the compiler makes vectors of them. A block is finished when all its neurons have fired. Sums are of double
precision and added in the order of plain.py, so that both engines give the same bits. Weights are w (R, M), a row for
each synapse.
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numba import prange
from numba.extending import register_jitable

from s4nn_ref.kernels.compile import kernel

BLOCK = 64  # neurons that are simulated side by side
_SLACK = 1e-9  # of the threshold: what `may_fire` may miss by rounding


class Continuous(NamedTuple):
    """The kernels of one model; see `compiled`."""

    fire: object
    weight_gradient: object
    propagate: object


@kernel
def inputs_in_time_order(t_pre):
    """Indices of the inputs that fired, by time, then by index, and their times, followed by infinity.

    t_pre : float64 (R,), inf = silent   ->   int64 (n,), float64 (n + 1,)
    """
    fired = np.flatnonzero(t_pre < math.inf)
    order = fired[np.argsort(t_pre[fired], kind="mergesort")]
    when = np.empty(order.size + 1)
    when[: order.size], when[order.size] = t_pre[order], math.inf
    return order, when


@cache
def compiled(model) -> Continuous:
    """The kernels of a neuron model in continuous time, whose sums are two numbers.

    fire(t_pre, w, v_th, post, v_end)                 v_end (B, M) of the output layer, else empty
    weight_gradient(g, t_post, t_pre, w, grad)        adds to grad (S, R, M)
    propagate(g, t_post, t_pre, w, delta_pre)         overwrites delta_pre (B, R)

    t_pre : float64 (B, R), inf = silent   g : (B, M), dE/dt, 0 where a neuron is silent   t_post : float64 (B, M)
    post  : State, flat
    """
    start = model.start
    add, crossing, potential = (register_jitable(f) for f in (model.add, model.crossing, model.potential))
    may_fire, dt_dw, dt_dt = (register_jitable(f) for f in (model.may_fire, model.dt_dw, model.dt_dt))

    @kernel
    def fire_block(order, when, w, first, v_th, t_post, v_end):
        """Firing times of the neurons from column `first` of w on; overwrites t_post (n,), n <= BLOCK, and v_end."""
        n, silent, low = t_post.size, t_post.size, v_th * (1.0 - _SLACK)
        s0, s1 = np.full(n, start[0]), np.full(n, start[1])
        t_post[:] = math.inf
        for k in range(order.size):
            t, t_next, w_k = when[k], when[k + 1], w[order[k], first : first + n]
            for j in range(n):
                s0[j], s1[j] = add((s0[j], s1[j]), t, w_k[j])
            if t_next == t:  # all inputs of one moment before the test
                continue
            candidates = 0
            for j in range(n):
                candidates += may_fire((s0[j], s1[j]), t, t_next, low) & (t_post[j] == math.inf)
            if candidates == 0:
                continue
            for j in range(n):
                if t_post[j] == math.inf and may_fire((s0[j], s1[j]), t, t_next, low):
                    t_cross = crossing((s0[j], s1[j]), v_th)
                    if t <= t_cross < t_next:
                        t_post[j] = t_cross
                        silent -= 1
            if silent == 0 and v_end.size == 0:
                return
        last = when[order.size - 1] if order.size > 0 else 1.0
        for j in range(v_end.size):
            v_end[j] = potential((s0[j], s1[j]), last)

    @kernel
    def fire_image(b, t_pre, w, v_th, post, v_end):
        order, when = inputs_in_time_order(t_pre[b])
        t_post, t_peak, v_peak = post.t_post[b, 0], post.t_peak[b, 0], post.v_peak[b, 0]
        for j in range(0, t_post.size, BLOCK):
            block = slice(j, min(j + BLOCK, t_post.size))
            fire_block(order, when, w, j, v_th, t_post[block], v_end[b, block] if v_end.size > 0 else v_end[0])
        for j in range(t_post.size):
            fired = t_post[j] < math.inf
            t_peak[j], v_peak[j] = (t_post[j], v_th) if fired else (-1.0, 0.0)

    @kernel(parallel=True)
    def fire(t_pre, w, v_th, post, v_end):
        for b in prange(t_pre.shape[0]):
            fire_image(b, t_pre, w, v_th, post, v_end)

    @kernel
    def causal_sums(order, when, w, t_mask):
        """Sums of each neuron's causal set, (M,) each, and how many inputs came before the last of all spikes."""
        s0, s1, last, n = np.full(t_mask.size, start[0]), np.full(t_mask.size, start[1]), t_mask.max(), 0
        while n < order.size and when[n] <= last:
            t, row = when[n], order[n]
            for j in range(t_mask.size):
                a, b = add((s0[j], s1[j]), t, w[row, j])
                s0[j], s1[j] = (a, b) if t <= t_mask[j] else (s0[j], s1[j])
            n += 1
        return s0, s1, n

    @kernel
    def masks(g, t_post):
        """When a neuron fired, or -1 where it takes no error."""
        t_mask = np.empty(t_post.size)
        for j in range(t_post.size):
            t_mask[j] = t_post[j] if g[j] != 0 else -1.0
        return t_mask

    @kernel
    def weight_gradient_image(g, t_post, t_pre, w, grad):
        order, when = inputs_in_time_order(t_pre)
        t_mask = masks(g, t_post)
        s0, s1, n = causal_sums(order, when, w, t_mask)
        for k in range(n):
            t, row = when[k], order[k]
            for j in range(t_mask.size):
                change = g[j] * dt_dw((s0[j], s1[j]), t_mask[j], t, w[row, j])
                grad[row, j] += change if t <= t_mask[j] else 0.0

    @kernel(parallel=True)
    def weight_gradient(g, t_post, t_pre, w, grad):
        n, n_shards = t_pre.shape[0], min(grad.shape[0], t_pre.shape[0])
        for shard in prange(n_shards):
            for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
                weight_gradient_image(g[b], t_post[b], t_pre[b], w, grad[shard])

    @kernel
    def propagate_image(g, t_post, t_pre, w, delta_pre):
        order, when = inputs_in_time_order(t_pre)
        t_mask = masks(g, t_post)
        s0, s1, n = causal_sums(order, when, w, t_mask)
        delta_pre[:] = 0
        for k in range(n):
            t, row, delta = when[k], order[k], 0.0
            for j in range(t_mask.size):
                if t <= t_mask[j]:
                    delta += g[j] * dt_dt((s0[j], s1[j]), t_mask[j], t, w[row, j])
            delta_pre[row] = delta

    @kernel(parallel=True)
    def propagate(g, t_post, t_pre, w, delta_pre):
        for b in prange(t_pre.shape[0]):
            propagate_image(g[b], t_post[b], t_pre[b], w, delta_pre[b])

    return Continuous(fire, weight_gradient, propagate)
