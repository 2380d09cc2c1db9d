"""Layers in continuous time, for any neuron model of two sums: inputs in the order of time, neurons side by side.

The loops of plain.py turned inside out: an input of a position is added to a block of its neurons at once, whose sums
stay in vector registers (lanes.py). A block is finished when all its neurons have fired. Sums are of double precision
and added in the order of plain.py, so that both engines give the same bits. Those of a neuron that fires are kept: with
them an error needs no second walk. Where all inputs come at two times, as binary pixels do, see two_times.py. Weights
are w (R, M), a row for each synapse; letters as in spikes.py.
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numba import prange
from numba.extending import register_jitable

from s4nn_ref.kernels import two_times
from s4nn_ref.kernels.compile import kernel
from s4nn_ref.kernels.lanes import REALS, bits, lane, lowest, real, reals, store, total, where
from s4nn_ref.kernels.spikes import inputs_of_positions

SPIKES = ((0.0, 1.0),)  # the inputs of a layer without their echoes
_SLACK = 1e-9  # of the threshold: what `may_fire` may miss by rounding


class Continuous(NamedTuple):
    """The kernels of one model; see `compiled`."""

    fire: object
    weight_gradient: object
    propagate: object


@kernel
def causal(g, t_post, p, first):
    """Of a block of neurons of position p, as lanes: their times in the causality masks, -1 where there is no error;
    and the last of these."""
    last, t_mask = -1.0, np.full((1, REALS), -1.0)
    for j in range(min(REALS, g.shape[1] - first)):
        if g[p, first + j] != 0:
            t_mask[0, j] = t_post[p, first + j]
            last = max(last, t_mask[0, j])
    return reals(t_mask, 0, 0), last


@cache
def compiled(model) -> Continuous:
    """The kernels of a neuron model in continuous time, whose sums are two numbers.

    fire(t_pre, w, sum_w, v_th, fan, post, v_end)             v_end (B, M) of the output layer, else empty
    weight_gradient(error, t_pre, w, sum_w, fan, grad)        adds to grad (S, R, M); returns what is to be added to all
                                                              rows, (M,)
    propagate(error, t_pre, w, fan, delta_pre)                overwrites delta_pre (B, H*W*C)

    t_pre : float64 (B, H*W*C), inf = silent   error : Error without pooling, g 0 where a neuron is silent
    fan : FanOut   post : State, flat, with sums   sum_w : of two_times.sum_of_weights, else empty
    """
    start, echoes = model.start, model.echoes
    add, crossing, potential = (register_jitable(f) for f in (model.add, model.crossing, model.potential))
    may_fire = register_jitable(model.may_fire)
    fire_at_two, weight_gradient_at_two = two_times.compiled(model)

    def of_spike(derivative):
        """A derivative with respect to a spike: summed over those of its echoes that are causal."""
        derivative = register_jitable(derivative)

        @register_jitable
        def total_of_echoes(sums, t_post, t_pre, w):
            change = real(0.0)
            for delay, factor in echoes:
                t = t_pre + delay
                change = change + where(t_post >= t, factor * derivative(sums, t_post, t, w), real(0.0))
            return change

        return total_of_echoes

    dt_dw, dt_dt = of_spike(model.dt_dw), of_spike(model.dt_dt)

    @kernel
    def fire_block(inputs, p, w, first, v_th, t_post, sums_post, v_end):
        """Firing times of the neurons of position p from `first` on, REALS or as many as there are.

        Overwrites t_post (P, M), sums_post (2, P, M) of neurons that fire, and v_end.
        """
        n, low = min(REALS, w.shape[1] - first), v_th * (1.0 - _SLACK)
        s0, s1, waiting = real(start[0]), real(start[1]), (1 << n) - 1  # bit j: neuron j has not fired
        time, factor, event, row = inputs.time, inputs.factor, inputs.event[p], inputs.row[p]
        t = 1.0
        for k in range(inputs.count[p]):
            t, t_next = time[event[k]], time[event[k + 1]]
            s0, s1 = add((s0, s1), t, factor[event[k]] * reals(w, row[k], first))
            if t_next == t:  # all inputs of one moment before the test
                continue
            candidates = bits(may_fire((s0, s1), t, t_next, low)) & waiting
            while candidates != 0:
                j = lowest(candidates)
                candidates &= candidates - 1
                sums = lane(s0, j), lane(s1, j)
                t_cross = crossing(sums, v_th)
                if t <= t_cross < t_next:
                    t_post[p, first + j] = t_cross
                    sums_post[0, p, first + j], sums_post[1, p, first + j] = sums
                    waiting ^= 1 << j
            if waiting == 0 and v_end.size == 0:
                return
        for j in range(v_end.size and n):
            v_end[first + j] = potential((lane(s0, j), lane(s1, j)), t)

    @kernel
    def fire_image(t_pre, w, sum_w, v_th, fan, t_post, sums_post, v_end):
        first, last = two_times.two_times(t_pre) if sum_w.size > 0 else (math.inf, math.inf)
        if last < math.inf:
            fire_at_two(t_pre, first, last, w, sum_w, v_th, t_post[0], sums_post[:, 0], v_end)
            return
        t_post[:] = math.inf
        inputs = inputs_of_positions(t_pre, math.inf, fan, w.shape[0], echoes)
        for p in range(t_post.shape[0]):
            for block in range(0, w.shape[1], REALS):
                fire_block(inputs, p, w, block, v_th, t_post, sums_post, v_end)

    @kernel(parallel=True)
    def fire(t_pre, w, sum_w, v_th, fan, post, v_end):
        for b in prange(t_pre.shape[0]):
            t_post, t_peak, v_peak = post.t_post[b], post.t_peak[b], post.v_peak[b]
            end = v_end[b] if v_end.size > 0 else v_end[0]
            fire_image(t_pre[b], w, sum_w, v_th, fan, t_post, post.sums[b], end)
            for p in range(t_post.shape[0]):
                for j in range(t_post.shape[1]):
                    fired = t_post[p, j] < math.inf
                    t_peak[p, j], v_peak[p, j] = (t_post[p, j], v_th) if fired else (-1.0, 0.0)

    @kernel
    def weight_gradient_image(g, t_post, sums_post, t_pre, w, fan, grad):
        if not g.any():
            return
        spikes = inputs_of_positions(t_pre, math.inf, fan, w.shape[0], SPIKES)
        for p in range(g.shape[0]):
            for first in range(0, g.shape[1], REALS):
                t_j, last = causal(g, t_post, p, first)
                g_j, sums = reals(g, p, first), (reals(sums_post[0], p, first), reals(sums_post[1], p, first))
                for k in range(spikes.count[p]):
                    row, t = spikes.row[p, k], spikes.time[spikes.event[p, k]]
                    if t > last:
                        break
                    change = g_j * dt_dw(sums, t_j, t, reals(w, row, first))
                    store(grad, row, first, reals(grad, row, first) + change)

    @kernel(parallel=True)
    def weight_gradient(error, t_pre, w, sum_w, fan, grad):
        n, n_shards = t_pre.shape[0], min(grad.shape[0], t_pre.shape[0])
        late = np.zeros((n_shards, sum_w.size))
        for shard in prange(n_shards):
            for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
                g, t_post, sums = error.g[b], error.t_mask[b], error.sums[b]
                first, last = two_times.two_times(t_pre[b]) if sum_w.size > 0 else (math.inf, math.inf)
                if last < math.inf:
                    weight_gradient_at_two(g[0], t_post[0], sums[:, 0], t_pre[b], first, last, grad[shard], late[shard])
                else:
                    weight_gradient_image(g, t_post, sums, t_pre[b], w, fan, grad[shard])
        return late.sum(axis=0)

    @kernel
    def propagate_image(g, t_post, sums_post, t_pre, w, fan, delta_pre):
        delta_pre[:] = 0
        if not g.any():
            return
        spikes = inputs_of_positions(t_pre, math.inf, fan, w.shape[0], SPIKES)
        delta = np.zeros(spikes.source.size)
        for p in range(g.shape[0]):
            for first in range(0, g.shape[1], REALS):
                t_j, last = causal(g, t_post, p, first)
                g_j, sums = reals(g, p, first), (reals(sums_post[0], p, first), reals(sums_post[1], p, first))
                for k in range(spikes.count[p]):
                    i = spikes.event[p, k]
                    t = spikes.time[i]
                    if t > last:
                        break
                    delta[i] += total(g_j * dt_dt(sums, t_j, t, reals(w, spikes.row[p, k], first)))
        delta_pre[spikes.source] = delta

    @kernel(parallel=True)
    def propagate(error, t_pre, w, fan, delta_pre):
        for b in prange(t_pre.shape[0]):
            propagate_image(error.g[b], error.t_mask[b], error.sums[b], t_pre[b], w, fan, delta_pre[b])

    return Continuous(fire, weight_gradient, propagate)
