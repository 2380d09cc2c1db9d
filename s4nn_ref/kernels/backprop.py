"""Temporal backpropagation through hidden layers: the error of firing times, event by event.

Letters as in spikes.py, sums as in convolution.py. Source: Mirsadeghi et al. 2023, Eqs. 8 and 11 (synaptic_error), 12
(if_conv_weight_gradient), 10 (if_conv_propagate). Departures D4-D6, D9 in docs/deviations.md. Reference:
reference/ds4nn.py, `synaptic_error` and `backward`.
"""

import numpy as np
from numba import prange
from numba.extending import register_jitable

from s4nn_ref.kernels.compile import kernel
from s4nn_ref.kernels.lanes import LANES, any_lane, load, load_edge, multiply_add, splat, store, where
from s4nn_ref.kernels.spikes import ROW, spikes_of_positions
from s4nn_ref.neurons.surrogates import factor

register_jitable(factor)

NONE, SIGNED_SUM, L1, L2 = 0, 1, 2, 3  # kinds of normalisation, Eq. 11
NORMALISATIONS = {"none": NONE, "signed-sum": SIGNED_SUM, "l1": L1, "l2": L2}


@kernel
def _synaptic_error_image(delta, v_peak, v_th, surrogate, normalise, g):
    """synaptic_error of one image, all (N,)."""
    for i in range(delta.size):
        g[i] = delta[i] * factor(v_peak[i], v_th, surrogate)  # Eq. 8: dE/dt dt/dV
    if normalise == NONE:
        return
    total = 0.0
    for i in range(g.size):
        total += g[i] * g[i] if normalise == L2 else abs(g[i]) if normalise == L1 else g[i]
    if total != 0.0:
        scale = g.dtype.type(1.0 / np.sqrt(total) if normalise == L2 else 1.0 / total)
        for i in range(g.size):
            g[i] *= scale  # Eq. 11


@kernel(parallel=True)
def synaptic_error(delta, v_peak, v_th, surrogate, normalise, n_shards, g):
    """dE/dt dt/dV, but for its sign, normalised over the layer (Eqs. 8 and 11).

    delta, v_peak : (B, N), dE/dt_post and peak potential of the neurons that take the error
    surrogate     : a value of neurons.surrogates.SURROGATES (D5)
    normalise     : NONE, SIGNED_SUM (Eq. 11 as printed), L1, L2 (D4)
    Overwrites g (B, N) with delta * k, normalised.
    Reference: reference/ds4nn.py, Eqs. 8 and 11
    """
    n = delta.shape[0]
    for shard in prange(n_shards):
        for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
            _synaptic_error_image(delta[b], v_peak[b], v_th, surrogate, normalise, g[b])


@kernel
def _weight_gradient_image(g, t_mask, winner, fan, shard, geometry, window, grad):
    """Eqs. 8 and 12 for one image: adds to grad (R, M), spike by spike, LANES maps at a time."""
    length = fan.spike.shape[1] // fan.end.shape[1]
    columns, zero = geometry.width_post // window, splat(g.dtype.type(0))
    for first in range(0, geometry.maps_post, LANES):
        for q in range(g.shape[0]):
            g_q = load_edge(g, q, first)
            if not any_lane(g_q != zero):
                continue
            t_q = load_edge(t_mask, q, first)
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
                    causal = splat(np.int16(spike >> 32)) <= t_q  # Eq. 12: dV_j/dw_ji = [t_i <= t_j] (D9)
                    grad_row = load_edge(grad, row, first)
                    store(grad, row, first, grad_row - where(causal, g_k, zero))  # Eq. 8: dt/dV < 0


@kernel
def _propagate_image(g, t_mask, winner, t_peak_pre, w_post, geometry, window, event, delta_pre):
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
                            causal = t_j <= splat(t_mask[q, m])
                            g_m = where(causal, splat(g[q, m]), zero)
                            delta = multiply_add(g_m, load(w_post, m, synapse + first), delta)  # Eq. 10
                        store(delta_pre, row, first, delta)


@kernel(parallel=True)
def if_conv_weight_gradient(error, t_pre, t_max, geometry, window, fan, grad):
    """Weight gradient of a convolution or dense layer and the pooling after it (Eqs. 8 and 12).

    error : Error, (B, P'', M); it belongs to the neuron at `winner` of each window
    t_pre : int16 (B, H*W*C), firing times below   fan : FanOut
    Adds dE/dw, summed over a shard's images in their order, to grad (S, R, M).
    Departures: D9.   Reference: reference/ds4nn.py, Eqs. 8 and 12
    """
    n, n_shards = t_pre.shape[0], min(grad.shape[0], fan.end.shape[0], t_pre.shape[0])
    for shard in prange(n_shards):
        for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
            winner = error.winner[b % error.winner.shape[0]]
            spikes_of_positions(t_pre, b, geometry.maps_pre, t_max, fan, shard)
            _weight_gradient_image(error.g[b], error.t_mask[b], winner, fan, shard, geometry, window, grad[shard])


@kernel(parallel=True)
def if_conv_propagate(error, t_peak_pre, w_post, geometry, window, n_shards, delta_pre):
    """Masked error backpropagation through a convolution or dense layer and the pooling after it (Eq. 10).

    error      : Error, (B, P'', M); it belongs to the neuron at `winner` of each window
    t_peak_pre : int16 (B, H*W, C), times of the peaks below, at which silent neurons take an error (D6); -1, a peak
                 that never came, takes none
    w_post     : float (M, K*K*C), the weights w_ji seen from the postsynaptic neuron, C padded to a multiple of LANES
    Overwrites delta_pre (B, H*W, C) with dE/dt_pre.
    Departures: D6.   Reference: reference/ds4nn.py, Eq. 10
    """
    n = t_peak_pre.shape[0]
    for shard in prange(n_shards):
        event = np.empty((window * window, geometry.maps_post), np.uint32)
        for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
            winner = error.winner[b % error.winner.shape[0]]
            _propagate_image(
                error.g[b], error.t_mask[b], winner, t_peak_pre[b], w_post, geometry, window, event, delta_pre[b]
            )
