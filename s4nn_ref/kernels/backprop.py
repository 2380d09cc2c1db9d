"""Temporal backpropagation through hidden layers: the error of firing times, event by event.

Letters as in spikes.py, sums as in convolution.py. Source: Mirsadeghi et al. 2023, Eqs. 8 and 11 (synaptic_error), 12
(if_conv_weight_gradient), 10 (if_conv_propagate). Departures D4-D6, D9 in docs/deviations.md. Reference:
reference/ds4nn.py, `synaptic_error` and `backward`.
"""

from typing import NamedTuple

import numpy as np
from numba import prange
from numba.extending import register_jitable

from s4nn_ref.kernels.compile import kernel
from s4nn_ref.kernels.lanes import LANES, any_lane, in_type_of, load, load_edge, multiply_add, splat, store, where
from s4nn_ref.kernels.spikes import ONE, ROW, OfPixels, spikes_of_pixels, spikes_of_positions
from s4nn_ref.neurons.surrogates import factor

register_jitable(factor)

NEVER = 2**15 - 1  # the time of a peak that never came
SMALL = 2**14  # bytes of a gradient, LANES wide, that stay in the L1 cache whatever the order
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


class _Errors(NamedTuple):
    """The positions of a layer at which a block of LANES maps takes errors; P of them at most.

    lanes : (2 P, LANES), the errors of each, 0 where there is none, and below them the times in the causality masks
    place : int64 (P, 2), row and column of each
    """

    lanes: np.ndarray
    place: np.ndarray


@kernel
def _errors_of_block(g, t_mask, winner, columns, window, first, errors):
    """Overwrite errors with those of the maps first .. of an image, position by position; returns how many there are.

    columns : of the layer after pooling
    """
    zero, n = splat(g.dtype.type(0)), 0
    for q in range(g.shape[0]):
        g_q = load_edge(g, q, first)
        if not any_lane(g_q != zero):
            continue
        t_q = in_type_of(g_q, load_edge(t_mask, q, first))
        for k in range(window * window):
            g_k = g_q
            if window > 1:  # the error belongs to the winner's position alone
                g_k = where(load_edge(winner, q, first) == splat(np.int16(k)), g_q, zero)
                if not any_lane(g_k != zero):
                    continue
            store(errors.lanes, 2 * n, 0, g_k)
            store(errors.lanes, 2 * n + 1, 0, t_q)
            errors.place[n, 0] = q // columns * window + k // window
            errors.place[n, 1] = q % columns * window + k % window
            n += 1
    return n


@kernel
def _gradient_by_position(n, errors, fan, shard, geometry, grad, first):
    """Eqs. 8 and 12 for a block of maps, position by position."""
    zero, length = splat(grad.dtype.type(0)), np.uint64(fan.spike.shape[1] // fan.end.shape[1])
    for i in range(n):
        p = np.uint64(errors.place[i, 0] * geometry.width_post + errors.place[i, 1])
        g_j, t_j = load(errors.lanes, 2 * i, 0), load(errors.lanes, 2 * i + 1, 0)
        for s in range(p * length, fan.end[shard, p]):
            spike = fan.spike[shard, s]
            row, causal = spike & ROW, splat(grad.dtype.type(spike >> 32)) <= t_j  # Eq. 12: [t_i <= t_j] (D9)
            before = load_edge(grad, row, first)
            store(grad, row, first, before - where(causal, g_j, zero))  # Eq. 8: dt/dV < 0


@kernel
def _gradient_of_tap(k_y, k_x, n, errors, spikes, geometry, rows):
    """Eqs. 8 and 12 for the synapses of one tap and a block of maps: adds to rows (C, LANES)."""
    c, zero = geometry, splat(rows.dtype.type(0))
    for i in range(n):
        y = errors.place[i, 0] * c.stride + k_y - c.pad_top
        x = errors.place[i, 1] * c.stride + k_x - c.pad_left
        if y < 0 or y >= c.height or x < 0 or x >= c.width:
            continue
        pixel = np.uint64(y * c.width + x)
        begin, end = spikes.first[pixel], spikes.first[pixel + ONE]
        g_j, t_j = load(errors.lanes, 2 * i, 0), load(errors.lanes, 2 * i + 1, 0)
        for s in range(begin, end):
            row, causal = spikes.map[s], splat(spikes.time[s]) <= t_j  # Eq. 12: dV_j/dw_ji = [t_i <= t_j] (D9)
            store(rows, row, 0, load(rows, row, 0) - where(causal, g_j, zero))  # Eq. 8: dt/dV < 0


@kernel
def _gradient_by_tap(n, errors, spikes, geometry, rows, grad, first):
    """Eqs. 8 and 12 for a block of maps, tap by tap, whose part of the gradient is kept in rows (C, LANES)."""
    c = geometry
    for k_y in range(c.kernel_height):
        for k_x in range(c.kernel_width):
            row = (k_y * c.kernel_width + k_x) * c.maps_pre
            for i in range(c.maps_pre):
                store(rows, i, 0, load_edge(grad, row + i, first))
            _gradient_of_tap(k_y, k_x, n, errors, spikes, c, rows)
            for i in range(c.maps_pre):
                store(grad, row + i, first, load(rows, i, 0))


@kernel
def _weight_gradient_of_images(images, error, t_pre, t_max, geometry, window, fan, shard, grad):
    """if_conv_weight_gradient of a shard, images = (begin, end), into its gradient (R, M)."""
    c, real, columns = geometry, grad.dtype, geometry.width_post // window
    positions, pixels = c.height_post * c.width_post, c.height * c.width
    by_tap = positions > 1 and grad.shape[0] * LANES * grad.itemsize > SMALL
    spikes = OfPixels(
        np.empty(pixels + 1, np.uint64), np.empty(t_pre.shape[1] + 1, np.uint64), np.empty(t_pre.shape[1] + 1, real)
    )
    errors = _Errors(np.empty((2 * positions, LANES), real), np.empty((positions, 2), np.int64))
    rows = np.empty((c.maps_pre, LANES), real)
    for b in range(images[0], images[1]):
        g, t_mask, winner = error.g[b], error.t_mask[b], error.winner[b % error.winner.shape[0]]
        if by_tap:
            spikes_of_pixels(t_pre, b, t_max, spikes)
        else:
            spikes_of_positions(t_pre, b, c.maps_pre, t_max, fan, shard)
        for first in range(0, c.maps_post, LANES):
            n = _errors_of_block(g, t_mask, winner, columns, window, first, errors)
            if by_tap:
                _gradient_by_tap(n, errors, spikes, c, rows, grad, first)
            else:
                _gradient_by_position(n, errors, fan, shard, c, grad, first)


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
        images = shard * n // n_shards, (shard + 1) * n // n_shards
        _weight_gradient_of_images(images, error, t_pre, t_max, geometry, window, fan, shard, grad[shard])


class _Events(NamedTuple):
    """The neurons of an image that take an error, position by position; N = P'' M.

    place : int64 (P, 2), row and column of each position   first : int64 (P + 1,), its first neuron
    map : uint32 (N,)   error, time : real (N,)
    """

    place: np.ndarray
    first: np.ndarray
    map: np.ndarray
    error: np.ndarray
    time: np.ndarray


@kernel
def _events_of_image(g, t_mask, winner, columns, window, of_window, events):
    """Overwrite events with those of an image; returns at how many positions they are.

    of_window : uint32 (window**2, M + 1), scratch   columns : of the layer after pooling
    """
    maps, found, n = g.shape[1], 0, np.zeros(window * window, np.uint32)
    events.first[0] = 0
    for q in range(g.shape[0]):
        n[:] = 0
        for m in range(maps):
            k = winner[q, m] if window > 1 else 0
            of_window[k, n[k]] = m  # overwritten unless it takes an error
            n[k] += g[q, m] != 0
        for k in range(window * window):
            if n[k] == 0:
                continue
            at = events.first[found]
            for i in range(n[k]):
                m = of_window[k, i]
                events.map[at + i], events.error[at + i], events.time[at + i] = m, g[q, m], t_mask[q, m]
            events.place[found, 0] = q // columns * window + k // window
            events.place[found, 1] = q % columns * window + k % window
            found += 1
            events.first[found] = at + n[k]
    return found


@kernel
def _propagate_tap(k_y, k_x, n, events, times, w, row, geometry, block, delta):
    """Eq. 10 through one tap to a block of maps below: adds to delta.

    times, delta : (H*W * blocks, LANES), of the neurons below   w : whose rows row .. are the weights of each map
    """
    c, zero, never = geometry, splat(w.dtype.type(0)), splat(w.dtype.type(NEVER))
    blocks = times.shape[0] // (c.height * c.width)
    for i in range(n):
        y = events.place[i, 0] * c.stride + k_y - c.pad_top
        x = events.place[i, 1] * c.stride + k_x - c.pad_left
        if y < 0 or y >= c.height or x < 0 or x >= c.width:
            continue
        pixel = (y * c.width + x) * blocks + block
        t_i = load(times, pixel, 0)
        if not any_lane(t_i != never):  # D6: never above 0, its surrogate is 0 whatever the error
            continue
        total = load(delta, pixel, 0)
        for e in range(np.uint64(events.first[i]), np.uint64(events.first[i + 1])):
            causal = t_i <= splat(events.time[e])
            g_j = where(causal, splat(events.error[e]), zero)
            total = multiply_add(g_j, load(w, np.uint64(row) + events.map[e], 0), total)  # Eq. 10
        store(delta, pixel, 0, total)


@kernel
def _times_of_peaks(t_peak, times):
    """Overwrite times (H*W * blocks, LANES) with t_peak (H*W, C), as reals, NEVER where no peak came."""
    zero, silent, never = splat(times.dtype.type(0)), splat(np.int16(-1)), splat(np.int16(NEVER))
    blocks = times.shape[0] // t_peak.shape[0]
    for pixel in range(t_peak.shape[0]):
        for block in range(blocks):
            t = load_edge(t_peak, pixel, block * LANES)
            store(times, pixel * blocks + block, 0, in_type_of(zero, where(t == silent, never, t)))


@kernel
def _propagate_images(images, error, t_peak_pre, w_post, geometry, window, delta_pre):
    """if_conv_propagate of a shard, images = (begin, end)."""
    c, real, columns = geometry, delta_pre.dtype, geometry.width_post // window
    pixels, positions, blocks = c.height * c.width, c.height_post * c.width_post, (c.maps_pre + LANES - 1) // LANES
    size = error.g.shape[1] * c.maps_post
    events = _Events(
        np.empty((positions, 2), np.int64),
        np.empty(positions + 1, np.int64),
        np.empty(size, np.uint32),
        np.empty(size, real),
        np.empty(size, real),
    )
    of_window = np.empty((window * window, c.maps_post + 1), np.uint32)
    times, delta = np.empty((pixels * blocks, LANES), real), np.empty((pixels * blocks, LANES), real)
    for b in range(images[0], images[1]):
        winner = error.winner[b % error.winner.shape[0]]
        n = _events_of_image(error.g[b], error.t_mask[b], winner, columns, window, of_window, events)
        _times_of_peaks(t_peak_pre[b], times)
        delta[:] = 0
        for k_y in range(c.kernel_height):
            for k_x in range(c.kernel_width):  # tap by tap: its weights stay in the L1 cache
                for block in range(blocks):
                    row = ((k_y * c.kernel_width + k_x) * blocks + block) * c.maps_post
                    _propagate_tap(k_y, k_x, n, events, times, w_post, row, c, block, delta)
        for pixel in range(pixels):
            for block in range(blocks):
                store(delta_pre[b], pixel, block * LANES, load(delta, pixel * blocks + block, 0))


@kernel(parallel=True)
def if_conv_propagate(error, t_peak_pre, w_post, geometry, window, n_shards, delta_pre):
    """Masked error backpropagation through a convolution or dense layer and the pooling after it (Eq. 10).

    error      : Error, (B, P'', M); it belongs to the neuron at `winner` of each window
    t_peak_pre : int16 (B, H*W, C), times of the peaks below, at which silent neurons take an error (D6); -1, a peak
                 that never came, takes none
    w_post     : float (K*K * blocks * M, LANES), the weights w_ji tap by tap, in blocks of LANES maps below
    Overwrites delta_pre (B, H*W, C) with dE/dt_pre.
    Departures: D6.   Reference: reference/ds4nn.py, Eq. 10
    """
    n = t_peak_pre.shape[0]
    for shard in prange(n_shards):
        images = shard * n // n_shards, (shard + 1) * n // n_shards
        _propagate_images(images, error, t_peak_pre, w_post, geometry, window, delta_pre)
