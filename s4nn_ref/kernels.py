"""Event-driven kernels over firing times: hidden layers, forward. Backward is backprop.py, the output layer dense.py.

The cost follows the number of spikes, never t_max: a layer is its neurons' firing times, and each kernel walks events.

Letters   B images of a batch, S shards of it, H W C presynaptic rows, columns, maps, H' W' M postsynaptic ones,
          K kernel side, R = K*K*C synapses of a neuron, P = H'*W' positions, N = P*M neurons.
State     A layer is three arrays (B, N): t_post, t_peak (int16, time steps), v_peak (potential units). v_peak is the
          largest potential up to and including the spike, starting at 0, and t_peak the step where it was reached
          (-1: never above 0). A neuron that fired has t_post == t_peak and v_peak >= v_th, a silent one t_post = t_max;
          of an output under a falling threshold (D25) v_peak is the potential at its spike; a delay (D26) is added to
          t_post afterwards, by Network.
Sums      Potentials are added in the order of time, then of the synapse's index; shards are cut by the batch, not by
          the threads. The same input gives the same bits on any number of threads.

Source: Mirsadeghi et al. 2023, Eqs. 2-3 (if_conv), section 2.1 (spike_pool). Departures D2, D3, D8 in
docs/deviations.md. Oracles: tests/oracle.py, functions of the same names.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from s4nn_ref.lanes import LANES, any_lane, load, splat, store, where

ROW = 2**32 - 1  # the part of a spike's entry that is its row of the weights


class FanOut(NamedTuple):
    """Where the spikes of a layer go, and the lists that spikes_of_positions fills with them.

    first            : int32 (H*W + 1,); pixel x reaches the positions first[x] <= i < first[x + 1] of the next two
    position, offset : uint32, output position, and the row of the weights (R, M) for map 0 of the pixel
    end              : uint64 (S, P), one behind the last spike of each position in `spike`
    spike            : int64 (S, P*(R + 1)), the spikes of position p from p * (R + 1) on: t * 2**32 + row
    """

    first: np.ndarray
    position: np.ndarray
    offset: np.ndarray
    end: np.ndarray
    spike: np.ndarray


def fan_out(geometry, n_shards: int) -> FanOut:
    """The fan-out of a convolution or dense layer, its lists not yet filled."""
    g = geometry
    synapses = [[] for _ in range(g.height * g.width)]
    for p, ky, kx in np.ndindex(g.height_post * g.width_post, g.kernel_height, g.kernel_width):
        y = (p // g.width_post) * g.stride + ky - g.pad_top
        x = (p % g.width_post) * g.stride + kx - g.pad_left
        if 0 <= y < g.height and 0 <= x < g.width:
            synapses[y * g.width + x].append((p, (ky * g.kernel_width + kx) * g.maps_pre))
    position, offset = np.array([pair for pixel in synapses for pair in pixel], np.uint32).T.copy()
    first = np.cumsum([0] + [len(pixel) for pixel in synapses], dtype=np.int32)
    n_positions = g.height_post * g.width_post
    return FanOut(
        first, position, offset, np.zeros((n_shards, n_positions), np.uint64),
        np.zeros((n_shards, n_positions * (g.receptive_field + 1)), np.int64),
    )  # fmt: skip


@njit(cache=True, error_model="numpy")
def spikes_in_time_order(t_pre, b, t_max):
    """Indices of the neurons of image b that fired, by time, then by index (a counting sort).

    t_pre : int16 (B, H*W*C)   ->   int32 (spikes,)
    """
    size, silent = t_pre.shape[1], splat(np.int16(t_max))
    fired = np.empty(size + 1, np.int32)
    first = np.zeros(t_max + 1, np.int32)
    n = 0
    for block in range(0, size, LANES):
        if block + LANES <= size and not any_lane(load(t_pre, b, block) < silent):
            continue  # most neurons are silent
        for j in range(block, min(block + LANES, size)):
            fired[n] = j  # overwritten unless j fired: cheaper than a branch
            n += t_pre[b, j] < t_max
    for s in range(n):
        first[t_pre[b, fired[s]] + 1] += 1
    for t in range(t_max):
        first[t + 1] += first[t]
    order = np.empty(n, np.int32)
    for s in range(n):
        t = t_pre[b, fired[s]]
        order[first[t]] = fired[s]
        first[t] += 1
    return order


@njit(cache=True, parallel=True, error_model="numpy")
def spikes_until(t_post, t):
    """Neurons that have fired by step t of their image: t_post (B, N), t (B,) -> int32 (B,)."""
    count = np.zeros(t.size, np.int32)
    for b in prange(t.size):
        for time in t_post[b]:
            count[b] += time <= t[b]
    return count


@njit(cache=True, error_model="numpy")
def spikes_of_positions(t_pre, b, maps_pre, t_max, fan, shard):
    """For every output position, the spikes of its receptive field in time order.

    t_pre : int16 (B, H*W*C), of which image b is read; fan : FanOut, whose lists of one shard are overwritten
    Behind the last spike of each list stands one at t_max, which is none.
    """
    end, spike = fan.end[shard], fan.spike[shard]
    length = spike.size // end.size
    for p in range(end.size):
        end[p] = p * length
    for j in spikes_in_time_order(t_pre, b, t_max):
        pixel = np.uint32(j) // np.uint32(maps_pre)
        arriving = (np.int64(t_pre[b, j]) << 32) + np.int64(np.uint32(j) - pixel * np.uint32(maps_pre))
        for i in range(fan.first[pixel], fan.first[pixel + np.uint32(1)]):
            p = fan.position[i]
            spike[end[p]] = arriving + np.int64(fan.offset[i])
            end[p] += np.uint64(1)
    for p in range(end.size):
        spike[end[p]] = np.int64(t_max) << 32


@njit(cache=True, error_model="numpy")
def _integrate(p, fan, shard, w, first, v_th):
    """Lanes of neurons first .. of position p: peak of the potential, up to the spike if there is one, and its step."""
    zero, theta = splat(v_th - v_th), splat(v_th)
    v, peak, when = zero, zero, splat(np.int16(-1))
    begin = p * (fan.spike.shape[1] // fan.end.shape[1])
    for s in range(begin, np.int64(fan.end[shard, p])):
        spike = fan.spike[shard, s]
        v = v + load(w, spike & ROW, first)  # Eq. 2
        t = spike >> 32
        if fan.spike[shard, s + 1] >> 32 != t:  # all spikes of a step before the test
            rises = (v > peak) & (peak < theta)  # a new maximum, and not yet fired
            peak = where(rises, v, peak)
            when = where(rises, splat(np.int16(t)), when)
    return peak, when


@njit(cache=True, error_model="numpy")
def _count(t, silent, row, spikes):
    """Add the firing times in the lanes t that come before `silent` to spikes (t_max,); row (1, LANES) is scratch."""
    if any_lane(t < splat(np.int16(silent))):
        store(row, 0, 0, t)
        for i in row[0]:
            if i < silent:
                spikes[i] += 1


@njit(cache=True, error_model="numpy")
def _if_conv_image(
    fan, shard, w, v_th, t_max, geometry, window, by_potential, t_post, t_peak, v_peak, winner, count, spikes
):
    """if_conv of one image from its lists of spikes; overwrites t_post .. winner (P'', M), adds to spikes (t_max,)."""
    columns = geometry.width_post // window
    row = np.empty((1, LANES), np.int16)
    theta, silent = splat(v_th), splat(np.int16(t_max))
    for first in range(0, geometry.maps_post, LANES):
        for q in range(t_post.shape[0]):
            corner = (q // columns) * window * geometry.width_post + (q % columns) * window
            best_v, best_peak = _integrate(corner, fan, shard, w, first, v_th)
            best_t = where(best_v >= theta, best_peak, silent)  # Eq. 3
            if count:
                _count(best_t, t_max, row, spikes)
            best = splat(np.int16(0))
            for k in range(1, window * window):
                p = corner + (k // window) * geometry.width_post + k % window
                peak, when = _integrate(p, fan, shard, w, first, v_th)
                t = where(peak >= theta, when, silent)  # Eq. 3
                if count:
                    _count(t, t_max, row, spikes)
                earlier = t < best_t
                if by_potential:  # D8
                    earlier = earlier | ((t == best_t) & (peak > best_v))
                best_t, best = where(earlier, t, best_t), where(earlier, splat(np.int16(k)), best)
                best_v, best_peak = where(earlier, peak, best_v), where(earlier, when, best_peak)
            store(t_post, q, first, best_t)
            store(t_peak, q, first, best_peak)
            store(v_peak, q, first, best_v)
            if window > 1:
                store(winner, q, first, best)


@njit(cache=True, parallel=True, error_model="numpy")
def if_conv(t_pre, w, v_th, t_max, geometry, window, by_potential, fan, t_post, t_peak, v_peak, winner, spikes):
    """First threshold crossing of hidden IF neurons, convolution or dense, and the pooling behind them (Eqs. 2-3).

    t_pre  : int16 (B, H*W*C), time steps; t_max = silent
    w      : float (R, M), potential units; columns padded to a multiple of LANES
    v_th   : scalar of w's type, > 0
    window : side of the spike-pooling behind the layer, 1 for none; by_potential as in spike_pool
    fan    : FanOut
    Overwrites t_post, t_peak, v_peak (B, P'', M), of the P'' = (H' // window) (W' // window) pooling neurons, or of the
    neurons themselves where window = 1; and, with pooling, winner int16 (B, P'', M): the place of the earliest neuron
    in its window, counted row by row. Adds the number of neurons, before pooling, that fire in each step to spikes,
    int32 (B, t_max), unless that is (1, 0).
    Departures: D2, D3, D8.   Oracle: tests/oracle.py::if_conv, spike_pool
    """
    n, n_shards, count = t_pre.shape[0], min(fan.end.shape[0], t_pre.shape[0]), spikes.shape[1] > 0
    for shard in prange(n_shards):
        for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
            spikes_of_positions(t_pre, b, geometry.maps_pre, t_max, fan, shard)
            _if_conv_image(
                fan, shard, w, v_th, t_max, geometry, window, by_potential, t_post[b], t_peak[b], v_peak[b],
                winner[b % winner.shape[0]], count, spikes[b % spikes.shape[0]],
            )  # fmt: skip


@njit(cache=True, error_model="numpy")
def _spike_pool_image(t_pre, t_peak_pre, v_peak_pre, window, by_potential, t_post, t_peak, v_peak, winner):
    """spike_pool of one image: inputs (H, W, C), overwrites (H', W', C)."""
    height_post, width_post, maps = t_post.shape
    for y in range(height_post):
        for x in range(width_post):
            best_t, best_peak_t, best_v, best = t_post[y, x], t_peak[y, x], v_peak[y, x], winner[y, x]
            for k in range(window * window):
                yy, xx = y * window + k // window, x * window + k % window
                t, v, peak_t = t_pre[yy, xx], v_peak_pre[yy, xx], t_peak_pre[yy, xx]
                for c in range(maps):
                    earlier = (k == 0) | (t[c] < best_t[c]) | (by_potential & (t[c] == best_t[c]) & (v[c] > best_v[c]))
                    best_t[c] = t[c] if earlier else best_t[c]
                    best_v[c] = v[c] if earlier else best_v[c]
                    best_peak_t[c] = peak_t[c] if earlier else best_peak_t[c]
                    best[c] = k if earlier else best[c]


@njit(cache=True, parallel=True, error_model="numpy")
def spike_pool(t_pre, t_peak_pre, v_peak_pre, window, by_potential, n_shards, t_post, t_peak, v_peak, winner):
    """Spike-pooling: a pooling neuron fires with the earliest neuron of its window (section 2.1).

    t_pre, t_peak_pre, v_peak_pre : (B, H, W, C), state of the layer below
    by_potential : ties go to the larger potential instead of the lowest index (D8)
    Overwrites t_post, t_peak, v_peak (B, H', W', C) with the winner's state and winner (int16) with its place in the
    window, counted row by row. The same as the pooling inside if_conv.
    Oracle: tests/oracle.py::spike_pool
    """
    n = t_pre.shape[0]
    for shard in prange(n_shards):
        for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
            _spike_pool_image(
                t_pre[b], t_peak_pre[b], v_peak_pre[b], window, by_potential, t_post[b], t_peak[b], v_peak[b], winner[b]
            )
