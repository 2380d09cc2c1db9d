"""Layers in continuous time, for any neuron model of two sums: inputs in the order of time, neurons in blocks.

The loops of plain.py turned inside out: an input of a position is added to a block of its neurons at once, their sums
lie beside each other, and the compiler makes vectors of them. A block is finished when all its neurons have fired. Sums
are of double precision and added in the order of plain.py, so that both engines give the same bits. Where all inputs
come at two times, as binary pixels do, see two_times.py. Weights are w (R, M), a row for each synapse; letters as in
spikes.py.
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numba import prange
from numba.extending import register_jitable

from s4nn_ref.kernels import two_times
from s4nn_ref.kernels.compile import kernel
from s4nn_ref.kernels.spikes import inputs_of_positions

BLOCK = 64  # neurons that are simulated side by side
_SLACK = 1e-9  # of the threshold: what `may_fire` may miss by rounding


class Continuous(NamedTuple):
    """The kernels of one model; see `compiled`."""

    fire: object
    weight_gradient: object
    propagate: object


@kernel
def causal(g, t_post):
    """When each neuron of a position fired, or -1 where it takes no error; and whether any does."""
    t_mask, some = np.empty(t_post.size), False
    for j in range(t_post.size):
        t_mask[j] = t_post[j] if g[j] != 0 else -1.0
        some |= g[j] != 0
    return t_mask, some


@cache
def compiled(model) -> Continuous:
    """The kernels of a neuron model in continuous time, whose sums are two numbers.

    fire(t_pre, w, total, v_th, fan, post, v_end)             v_end (B, M) of the output layer, else empty
    weight_gradient(g, t_post, t_pre, w, total, fan, grad)    adds to grad (S, R, M); returns what is to be added to all
                                                              rows, (M,)
    propagate(g, t_post, t_pre, w, fan, delta_pre)            overwrites delta_pre (B, H*W*C)

    t_pre : float64 (B, H*W*C), inf = silent   g : (B, P, M), dE/dt, 0 where a neuron is silent
    t_post : float64 (B, P, M)   fan : FanOut   post : State, flat   total : of two_times.totals, else empty
    """
    start, echoes = model.start, model.echoes
    add, crossing, potential = (register_jitable(f) for f in (model.add, model.crossing, model.potential))
    may_fire, dt_dw, dt_dt = (register_jitable(f) for f in (model.may_fire, model.dt_dw, model.dt_dt))
    fire_at_two, weight_gradient_at_two = two_times.compiled(model)

    @kernel
    def fire_block(inputs, p, w, first, v_th, t_post, v_end):
        """Firing times of the neurons from column `first` of w on; overwrites t_post (n,), n <= BLOCK, and v_end."""
        n, silent, low = t_post.size, t_post.size, v_th * (1.0 - _SLACK)
        s0, s1 = np.full(n, start[0]), np.full(n, start[1])
        when, count = inputs.when[p], inputs.count[p]
        t_post[:] = math.inf
        for k in range(count):
            t, t_next, factor = when[k], when[k + 1], inputs.factor[p, k]
            w_k = w[inputs.row[p, k], first : first + n]
            for j in range(n):
                s0[j], s1[j] = add((s0[j], s1[j]), t, factor * w_k[j])
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
        last = when[count - 1] if count > 0 else 1.0
        for j in range(v_end.size):
            v_end[j] = potential((s0[j], s1[j]), last)

    @kernel
    def fire_image(t_pre, w, v_th, fan, t_post, v_end):
        inputs = inputs_of_positions(t_pre, math.inf, fan, w.shape[0], echoes)
        for p in range(inputs.count.size):
            for j in range(0, w.shape[1], BLOCK):
                block = slice(j, min(j + BLOCK, w.shape[1]))
                fire_block(inputs, p, w, j, v_th, t_post[p, block], v_end[block])

    @kernel(parallel=True)
    def fire(t_pre, w, total, v_th, fan, post, v_end):
        for b in prange(t_pre.shape[0]):
            t_post, t_peak, v_peak = post.t_post[b], post.t_peak[b], post.v_peak[b]
            end = v_end[b] if v_end.size > 0 else v_end[0]
            first, last = two_times.two_times(t_pre[b]) if total.size > 0 else (math.inf, math.inf)
            if last < math.inf:
                fire_at_two(t_pre[b], first, last, w, total, v_th, t_post[0], end)
            else:
                fire_image(t_pre[b], w, v_th, fan, t_post, end)
            for p in range(t_post.shape[0]):
                for j in range(t_post.shape[1]):
                    fired = t_post[p, j] < math.inf
                    t_peak[p, j], v_peak[p, j] = (t_post[p, j], v_th) if fired else (-1.0, 0.0)

    @kernel
    def causal_sums(inputs, p, w, t_mask):
        """Sums of each neuron's causal set, (M,) each, and how many inputs came before the last of all spikes."""
        s0, s1, last, n = np.full(t_mask.size, start[0]), np.full(t_mask.size, start[1]), t_mask.max(), 0
        while n < inputs.count[p] and inputs.when[p, n] <= last:
            t, factor, w_k = inputs.when[p, n], inputs.factor[p, n], w[inputs.row[p, n]]
            for j in range(t_mask.size):
                a, b = add((s0[j], s1[j]), t, factor * w_k[j])
                s0[j], s1[j] = (a, b) if t <= t_mask[j] else (s0[j], s1[j])
            n += 1
        return s0, s1, n

    @kernel
    def weight_gradient_image(g, t_post, t_pre, w, fan, grad):
        inputs = inputs_of_positions(t_pre, math.inf, fan, w.shape[0], echoes)
        for p in range(inputs.count.size):
            t_mask, some = causal(g[p], t_post[p])
            if not some:
                continue
            s0, s1, n = causal_sums(inputs, p, w, t_mask)
            for k in range(n):
                t, factor, row = inputs.when[p, k], inputs.factor[p, k], inputs.row[p, k]
                for j in range(t_mask.size):
                    change = g[p, j] * factor * dt_dw((s0[j], s1[j]), t_mask[j], t, w[row, j])
                    grad[row, j] += change if t <= t_mask[j] else 0.0

    @kernel(parallel=True)
    def weight_gradient(g, t_post, t_pre, w, total, fan, grad):
        n, n_shards = t_pre.shape[0], min(grad.shape[0], t_pre.shape[0])
        late = np.zeros((n_shards, total.size))
        for shard in prange(n_shards):
            for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
                first, last = two_times.two_times(t_pre[b]) if total.size > 0 else (math.inf, math.inf)
                if last < math.inf:
                    weight_gradient_at_two(
                        g[b, 0], t_post[b, 0], t_pre[b], first, last, w, total, grad[shard], late[shard]
                    )
                else:
                    weight_gradient_image(g[b], t_post[b], t_pre[b], w, fan, grad[shard])
        return late.sum(axis=0)

    @kernel
    def propagate_image(g, t_post, t_pre, w, fan, delta_pre):
        inputs = inputs_of_positions(t_pre, math.inf, fan, w.shape[0], echoes)
        delta_pre[:] = 0
        for p in range(inputs.count.size):
            t_mask, some = causal(g[p], t_post[p])
            if not some:
                continue
            s0, s1, n = causal_sums(inputs, p, w, t_mask)
            for k in range(n):
                t, row, delta = inputs.when[p, k], inputs.row[p, k], 0.0
                for j in range(t_mask.size):
                    if t <= t_mask[j]:
                        delta += g[p, j] * dt_dt((s0[j], s1[j]), t_mask[j], t, w[row, j])
                delta_pre[inputs.source[p, k]] += inputs.factor[p, k] * delta

    @kernel(parallel=True)
    def propagate(g, t_post, t_pre, w, fan, delta_pre):
        for b in prange(t_pre.shape[0]):
            propagate_image(g[b], t_post[b], t_pre[b], w, fan, delta_pre[b])

    return Continuous(fire, weight_gradient, propagate)
