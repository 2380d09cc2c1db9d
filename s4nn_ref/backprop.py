"""Temporal backpropagation through hidden layers: the error of firing times, event by event.

Letters, state and sums as in kernels.py. Source: Mirsadeghi et al. 2023, Eqs. 8 and 11 (synaptic_error), Eqs. 10 and 12
(if_conv_backward). Departures D4-D6, D9 in docs/deviations.md. Oracles: tests/oracle.py, functions of the same names.
"""

import numpy as np
from numba import njit, prange

from s4nn_ref.kernels import ROW, spikes_of_positions
from s4nn_ref.lanes import LANES, any_lane, load, load_edge, multiply_add, splat, store, where

# kinds of surrogate, dt/dV = -k(V)
FIRED, WINDOW, WINDOW_FIRED, WINDOW_SILENT = 0, 1, 2, 3
# kinds of normalisation, Eq. 11
NONE, SIGNED_SUM, L1, L2 = 0, 1, 2, 3


@njit(cache=True, error_model="numpy")
def _synaptic_error_image(delta, v_peak, v_th, surrogate, normalise, g):
    """synaptic_error of one image, all (N,)."""
    one, zero = v_th / v_th, v_th - v_th  # in the precision of the network
    for i in range(delta.size):
        k = max(zero, one - abs(v_peak[i] - v_th) / v_th)
        fired = v_peak[i] >= v_th
        if surrogate == FIRED:
            k = one if fired else zero
        elif surrogate == WINDOW_FIRED:
            k = k if fired else zero
        elif surrogate == WINDOW_SILENT:
            k = one if fired else k
        g[i] = delta[i] * k  # Eq. 8: dE/dt dt/dV
    if normalise == NONE:
        return
    total = 0.0
    for i in range(g.size):
        total += g[i] * g[i] if normalise == L2 else abs(g[i]) if normalise == L1 else g[i]
    if total != 0.0:
        scale = g.dtype.type(1.0 / np.sqrt(total) if normalise == L2 else 1.0 / total)
        for i in range(g.size):
            g[i] *= scale  # Eq. 11


@njit(cache=True, parallel=True, error_model="numpy")
def synaptic_error(delta, v_peak, v_th, surrogate, normalise, n_shards, g):
    """dE/dt dt/dV, but for its sign, normalised over the layer (Eqs. 8 and 11).

    delta, v_peak : (B, N), dE/dt_post and peak potential of the neurons that take the error
    surrogate     : FIRED k = 1 for a neuron that fired, 0 for a silent one (the paper's dt/dV = -1);
                    WINDOW k = max(0, 1 - |V - v_th| / v_th) for all; WINDOW_FIRED the same for those that fired, 0
                    for silent ones; WINDOW_SILENT 1 for those that fired, the window for silent ones (D5)
    normalise     : NONE, SIGNED_SUM (Eq. 11 as printed), L1, L2 (D4)
    Overwrites g (B, N) with delta * k, normalised.
    Oracle: tests/oracle.py::synaptic_error
    """
    n = delta.shape[0]
    for shard in prange(n_shards):
        for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
            _synaptic_error_image(delta[b], v_peak[b], v_th, surrogate, normalise, g[b])


@njit(cache=True, error_model="numpy")
def _weight_gradient_image(g, t_error, winner, fan, shard, geometry, window, grad):
    """Eqs. 8 and 12 for one image: adds to grad (R, M), spike by spike, LANES maps at a time."""
    length = fan.spike.shape[1] // fan.end.shape[1]
    columns, zero = geometry.width_post // window, splat(g.dtype.type(0))
    for first in range(0, geometry.maps_post, LANES):
        for q in range(g.shape[0]):
            g_q = load_edge(g, q, first)
            if not any_lane(g_q != zero):
                continue
            t_q = load_edge(t_error, q, first)
            corner = (q // columns) * window * geometry.width_post + (q % columns) * window
            for k in range(window * window):
                g_k = g_q
                if window > 1:  # the error belongs to the winner's position alone
                    g_k = where(load_edge(winner, q, first) == splat(np.int16(k)), g_q, zero)
                    if not any_lane(g_k != zero):
                        continue
                p = corner + (k // window) * geometry.width_post + k % window
                for s in range(p * length, np.int64(fan.end[shard, p])):
                    spike = fan.spike[shard, s]
                    row = spike & ROW
                    causal = splat(np.int16(spike >> 32)) <= t_q  # Eq. 12: dV/dw = [t_j <= t_i] (D9)
                    grad_row = load_edge(grad, row, first)
                    store(grad, row, first, grad_row - where(causal, g_k, zero))  # Eq. 8: dt/dV < 0


@njit(cache=True, error_model="numpy")
def _propagate_image(g, t_error, winner, t_peak_pre, w_post, geometry, window, event, delta_pre):
    """Eq. 10 for one image: overwrites delta_pre (H*W, C), LANES synapses at a time; event uint32 (window**2, M)."""
    c = geometry
    columns = c.width_post // window
    blocks = (c.maps_pre + LANES - 1) // LANES * LANES
    silent, never, zero = splat(np.int16(-1)), splat(np.int16(2**15 - 1)), splat(g.dtype.type(0))
    n_events = np.zeros(window * window, np.int32)
    delta_pre[:] = 0
    for q in range(g.shape[0]):
        n_events[:] = 0
        for m in range(c.maps_post):
            if g[q, m] != 0:
                k = winner[q, m] if window > 1 else 0
                event[k, n_events[k]] = m
                n_events[k] += 1
        for k in range(window * window):
            if n_events[k] == 0:
                continue
            y_first = ((q // columns) * window + k // window) * c.stride - c.pad_top
            x_first = ((q % columns) * window + k % window) * c.stride - c.pad_left
            for ky in range(max(0, -y_first), min(c.kernel_height, c.height - y_first)):
                for kx in range(max(0, -x_first), min(c.kernel_width, c.width - x_first)):
                    row, synapse = (y_first + ky) * c.width + x_first + kx, (ky * c.kernel_width + kx) * blocks
                    for first in range(0, c.maps_pre, LANES):
                        t_j = load_edge(t_peak_pre, row, first)
                        if not any_lane(t_j != silent):  # D6: never above 0, its surrogate is 0 whatever the error
                            continue
                        t_j = where(t_j == silent, never, t_j)
                        delta = load_edge(delta_pre, row, first)
                        for e in range(n_events[k]):
                            m = event[k, e]
                            causal = t_j <= splat(t_error[q, m])
                            g_m = where(causal, splat(g[q, m]), zero)
                            delta = multiply_add(g_m, load(w_post, m, synapse + first), delta)  # Eq. 10
                        store(delta_pre, row, first, delta)


@njit(cache=True, parallel=True, error_model="numpy")
def if_conv_backward(
    g, t_error, winner, t_pre, t_peak_pre, w_post, geometry, window, t_max, propagate, fan, delta_pre, grad
):  # fmt: skip
    """Masked error backpropagation through a convolution or dense layer and the pooling behind it (Eqs. 8, 10, 12).

    g, t_error : (B, P'', M), synaptic error of the pooling neurons (of the neurons, where window = 1) and its time in
                 the causality masks; it goes to the neuron at `winner` (B, P'', M) of each window
    t_pre      : int16 (B, H*W*C) firing times below; t_peak_pre (B, H*W, C) the times of their peaks, at which silent
                 neurons take an error (D6); -1, a peak that never came, takes none
    w_post     : float (M, K*K*C), the weights seen from the postsynaptic neuron, C padded to a multiple of LANES;
                 only read to propagate
    fan        : FanOut
    Adds the weight gradients, summed over a shard's images in their order, to grad (S, R, M); overwrites
    delta_pre (B, H*W, C) = dE/dt_pre if propagate, else leaves it alone.
    Oracle: tests/oracle.py::if_conv_backward
    """
    n, n_shards = g.shape[0], min(grad.shape[0], fan.end.shape[0], g.shape[0])
    for shard in prange(n_shards):
        event = np.empty((window * window, geometry.maps_post), np.uint32)
        for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
            winner_b = winner[b % winner.shape[0]]
            spikes_of_positions(t_pre, b, geometry.maps_pre, t_max, fan, shard)
            _weight_gradient_image(g[b], t_error[b], winner_b, fan, shard, geometry, window, grad[shard])
            if propagate:
                _propagate_image(
                    g[b], t_error[b], winner_b, t_peak_pre[b], w_post, geometry, window, event, delta_pre[b]
                )
