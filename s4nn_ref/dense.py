"""Kernels of dense layers, one image at a time: the output layer, and what S4NN and BS4NN learn online.

Letters   n presynaptic neurons, M postsynaptic ones, B images. Weights are rows of synapses, (n, M).
Sums      as in kernels.py: in the order of time, then of the synapse's index.
Source: Mirsadeghi et al. 2023, Eqs. 2-3 and, with the strict masks of S4NN, 10 and 12. Oracles: tests/oracle.py.
"""

import numpy as np
from numba import njit, prange

from s4nn_ref.kernels import spikes_in_time_order
from s4nn_ref.lanes import LANES, load_edge, splat, store, where

BEFORE_END = 3  # steps before t_max at which the authors of S4NN read the potentials of a silent output layer


@njit(cache=True, error_model="numpy")
def signs_of(lanes, zero, one):
    """Sign of each lane, 0 of 0; zero and one are lanes of them."""
    return where(lanes > zero, one, where(lanes < zero, zero - one, zero))


@njit(cache=True, error_model="numpy")
def if_dense(t_pre, b, w, binary, bound, t_post, t_peak, v_peak, v_end, v_late):
    """First threshold crossing of the neurons of a dense layer, whose threshold may fall with time (Eqs. 2-3, D25).

    t_pre : int16 (B, n)   w : (n, M), potential units; if binary, their signs count instead
    bound : (t_max,), the threshold in each step
    Of image b alone, overwrites t_post, t_peak, v_peak (B, M), of which a neuron that fired holds the potential at its
    spike, v_end (B, M), the potentials after the last spike, and v_late (B, M), those BEFORE_END steps before t_max (or
    in step 0).
    """
    order, t_max = spikes_in_time_order(t_pre, b, bound.size), bound.size
    zero, one = splat(w.dtype.type(0)), splat(w.dtype.type(1))
    silent, late = splat(np.int16(t_max)), max(t_max - BEFORE_END, 0)
    for first in range(0, t_post.shape[1], LANES):
        v, peak, when, fired, s = zero, zero, splat(np.int16(-1)), silent, 0
        for t in range(t_max):
            before = s
            while s < order.size and t_pre[b, order[s]] == t:
                row = load_edge(w, order[s], first)
                v = v + (signs_of(row, zero, one) if binary else row)  # Eq. 2
                s += 1
            if s > before or (t > 0 and bound[t] < bound[t - 1]):  # D25
                waits = fired == silent
                fires = waits & (v >= splat(bound[t]))  # Eq. 3
                rises = fires | (waits & (v > peak))
                peak, when = where(rises, v, peak), where(rises, splat(np.int16(t)), when)
                fired = where(fires, splat(np.int16(t)), fired)
            if t == late:
                store(v_late, b, first, v)
        store(t_post, b, first, fired)
        store(t_peak, b, first, when)
        store(v_peak, b, first, peak)
        store(v_end, b, first, v)


@njit(cache=True, parallel=True, error_model="numpy")
def if_output(t_pre, w, bound, n_shards, t_post, t_peak, v_peak, v_end, v_late):
    """if_dense for a batch: t_pre int16 (B, n); overwrites t_post, t_peak, v_peak, v_end and v_late (B, M).

    Oracle: tests/oracle.py::if_dense
    """
    n = t_pre.shape[0]
    for shard in prange(n_shards):
        for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
            if_dense(t_pre, b, w, False, bound, t_post, t_peak, v_peak, v_end, v_late)


@njit(cache=True, error_model="numpy")
def output_potentials(t_pre, w_pre, t_max):
    """Potentials of a dense layer's neurons at every step, as if none had fired (Eq. 2; Fig. 3).

    t_pre : int16 (n,)   w_pre : (n, M)   ->   float64 (t_max, M), steps 0 .. t_max - 1
    """
    maps = w_pre.shape[1]
    v = np.zeros((t_max, maps))
    for j in range(t_pre.size):
        t = t_pre[j]
        if t < t_max:
            for m in range(maps):
                v[t, m] += w_pre[j, m]
    for s in range(1, t_max):
        for m in range(maps):
            v[s, m] += v[s - 1, m]  # Eq. 2
    return v


@njit(cache=True, error_model="numpy")
def causal_update(t_pre, t_post, step, w):
    """w_ji += step_i [t_j < t_i]: Eq. 12 with the strict mask of S4NN.

    t_pre (n,), t_post (M,) : firing times   step : (M,), -eta dE/dt_i dt/dV   w : (n, M), changed in place
    """
    latest, zero = t_post.max(), w.dtype.type(0)
    for j in range(t_pre.size):
        if t_pre[j] < latest:
            row, t = w[j], t_pre[j]
            for i in range(t_post.size):
                row[i] += step[i] if t < t_post[i] else zero  # Eq. 12


@njit(cache=True, error_model="numpy")
def causal_delta(t_pre, t_post, delta, w, delta_pre):
    """delta_j = sum_i delta_i w_ji [t_j < t_i]: Eq. 10 with the strict mask of S4NN; overwrites delta_pre (n,)."""
    for j in range(t_pre.size):
        total = 0.0
        for i in range(t_post.size):
            total += delta[i] * w[j, i] if t_pre[j] < t_post[i] else 0.0  # Eq. 10
        delta_pre[j] = total
