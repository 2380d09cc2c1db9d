"""Kernels of dense layers, forward, and of the output layer, whose error may come for every step of time.

Letters   n presynaptic neurons, M postsynaptic ones, B images, S shards. Weights are rows of synapses, (n, M).
Sums      as in convolution.py: in the order of time, then of the synapse's index.
Source: Mirsadeghi et al. 2023, Eqs. 2-3; D15 and D25 in docs/extensions.md. Reference: reference/ds4nn.py.
"""

from functools import cache

import numpy as np
from numba import prange
from numba.extending import register_jitable

from s4nn_ref.kernels.compile import kernel
from s4nn_ref.kernels.lanes import LANES, load_edge, splat, store, where
from s4nn_ref.kernels.spikes import spikes_in_time_order

LATE = 3  # steps before t_max at which the authors of S4NN read the potentials of a silent output layer


@kernel
def signs_of(lanes, zero, one):
    """Sign of each lane, 0 of 0; zero and one are lanes of them."""
    return where(lanes > zero, one, where(lanes < zero, zero - one, zero))


@kernel
def if_dense(t_pre, b, w, binary, threshold, post):
    """First threshold crossing of the neurons of a dense layer, whose threshold may fall with time (Eqs. 2-3, D25).

    t_pre : int16 (B, n)   w : (n, M), potential units; if binary, their signs count instead
    threshold : (t_max,), in each step
    Of image b alone, overwrites in post (B, M): t_post, t_peak, v_peak, which for a neuron that fired is the potential
    at its spike, v_end, the potentials after the last spike, and v_late, those LATE steps before t_max (or in step 0).
    """
    order, t_max = spikes_in_time_order(t_pre, b, threshold.size), threshold.size
    zero, one = splat(w.dtype.type(0)), splat(w.dtype.type(1))
    silent, late = splat(np.int16(t_max)), max(t_max - LATE, 0)
    for first in range(0, w.shape[1], LANES):
        v, peak, when, fired, s = zero, zero, splat(np.int16(-1)), silent, 0
        for t in range(t_max):
            before = s
            while s < order.size and t_pre[b, order[s]] == t:
                row = load_edge(w, order[s], first)
                v = v + (signs_of(row, zero, one) if binary else row)  # Eq. 2
                s += 1
            if s > before or (t > 0 and threshold[t] < threshold[t - 1]):  # D25
                waits = fired == silent
                fires = waits & (v >= splat(threshold[t]))  # Eq. 3
                rises = fires | (waits & (v > peak))
                peak, when = where(rises, v, peak), where(rises, splat(np.int16(t)), when)
                fired = where(fires, splat(np.int16(t)), fired)
            if t == late:
                store(post.v_late, b, first, v)
        store(post.t_post, b, first, fired)
        store(post.t_peak, b, first, when)
        store(post.v_peak, b, first, peak)
        store(post.v_end, b, first, v)


@kernel(parallel=True)
def if_output(t_pre, w, threshold, n_shards, post):
    """if_dense for a batch: t_pre int16 (B, n); overwrites t_post, t_peak, v_peak, v_end and v_late (B, M) of post.

    Reference: reference/ds4nn.py, Eqs. 2-3
    """
    n = t_pre.shape[0]
    for shard in prange(n_shards):
        for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
            if_dense(t_pre, b, w, False, threshold, post)


@kernel
def output_potentials(t_pre, w, t_max):
    """Potentials of a dense layer's neurons at every step, as if none had fired (Eq. 2; Fig. 3).

    t_pre : int16 (n,)   w : (n, M)   ->   float64 (t_max, M), steps 0 .. t_max - 1
    """
    maps = w.shape[1]
    v = np.zeros((t_max, maps))
    for j in range(t_pre.size):
        t = t_pre[j]
        if t < t_max:
            for m in range(maps):
                v[t, m] += w[j, m]
    for s in range(1, t_max):
        for m in range(maps):
            v[s, m] += v[s - 1, m]  # Eq. 2
    return v


@kernel(fastmath={"reassoc", "contract"})
def _dot(a, b):
    """Scalar product; the sum's order is left to the compiler, which makes vectors of it."""
    total = a.dtype.type(0)
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@cache
def for_each_image(cost_of_image):
    """A kernel that computes cost and error of every image of a batch from the output potentials.

    cost_of_image : function(v, label, threshold, keys, error) -> cost, which numba can compile; v (t_max, M),
                    potentials in every step; error (t_max, M), overwritten with dE/dV
    The kernel takes t_pre int16 (B, n), w (n, M), labels (B,), threshold (t_max,), keys (passed on), and overwrites
    cost (B,) and error (B, t_max, M).
    """
    register_jitable(cost_of_image)

    @kernel(parallel=True)
    def costs(t_pre, w, labels, threshold, keys, n_shards, cost, error):
        n = t_pre.shape[0]
        for shard in prange(n_shards):
            for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
                v = output_potentials(t_pre[b], w, threshold.size)
                cost[b] = cost_of_image(v, labels[b], threshold, keys, error[b])

    return costs


@kernel
def error_from_step_on(error, d):
    """d_j(t) = sum over s >= t of dE/dV_j(s): what a change of V_j from step t on does (D15).

    error : float64 (B, t_max, M), dE/dV, changed in place to those sums   Overwrites d (B, t_max, M).
    """
    n, t_max, maps = error.shape
    for b in range(n):  # too little work for threads
        for s in range(t_max - 2, -1, -1):
            for j in range(maps):
                error[b, s, j] += error[b, s + 1, j]
        d[b, :, :] = error[b]


@kernel(parallel=True)
def output_weight_gradient(t_pre, d, grad):
    """Eq. 12 for an error in every step: adds d_j(t_i) to dE/dw_ji for every input spike.

    t_pre : int16 (B, n)   d : (B, t_max, M), see error_from_step_on   grad : (S, n, M)
    """
    n, n_shards, t_max = t_pre.shape[0], grad.shape[0], d.shape[1]
    for shard in prange(n_shards):
        listed = np.empty(t_pre.shape[1] + 1, np.uint32)  # a list, not a branch: which neuron fired cannot be guessed
        for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
            k = 0
            for i in range(t_pre.shape[1]):
                listed[k] = i
                k += t_pre[b, i] < t_max
            for i in listed[:k]:
                grad_i, d_i = grad[shard, i], d[b, t_pre[b, i]]
                for j in range(grad_i.size):
                    grad_i[j] += d_i[j]  # Eq. 12


@kernel(parallel=True)
def output_propagate(t_peak_pre, v_peak_pre, w, d, n_shards, delta_pre):
    """Eq. 10 for an error in every step: overwrites delta_pre (B, n) with -sum_j w_ji d_j(t_i).

    t_peak_pre, v_peak_pre : (B, n), peaks below   w : (n, M)   d : (B, t_max, M), see error_from_step_on
    """
    n = t_peak_pre.shape[0]
    for shard in prange(n_shards):
        listed = np.empty(t_peak_pre.shape[1] + 1, np.uint32)
        for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
            delta_pre[b, :] = 0
            k = 0
            for i in range(t_peak_pre.shape[1]):
                listed[k] = i
                k += v_peak_pre[b, i] > 0  # else its surrogate is 0
            for i in listed[:k]:
                delta_pre[b, i] = -_dot(w[i], d[b, t_peak_pre[b, i]])  # Eq. 10
