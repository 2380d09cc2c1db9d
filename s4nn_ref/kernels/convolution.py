"""Event-driven kernels of hidden layers, forward: convolution or dense, and spike-pooling.

The cost follows the number of spikes, never t_max: a layer is its neurons' firing times, and each kernel walks events.
Letters as in spikes.py; P'' = (H' // window) (W' // window) positions after pooling.

Sums      Potentials are added in the order of time, then of the synapse's index; shards are cut by the batch, not by
          the threads. The same input gives the same bits on any number of threads.

Source: Mirsadeghi et al. 2023, Eqs. 2-3 (if_conv), section 2.1 (spike_pool). Departures D2, D3, D8 in
docs/deviations.md. Reference: reference/ds4nn.py, `fire` and `pool`.
"""

import numpy as np
from numba import prange

from s4nn_ref.kernels.compile import kernel
from s4nn_ref.kernels.lanes import LANES, any_lane, load, splat, store, where
from s4nn_ref.kernels.spikes import ONE, ROW, spikes_of_positions


@kernel
def _integrate(spike, begin, end, w, first, v_th):
    """Lanes of neurons first .. of one position: peak of the potential, up to the spike if there is one, and its step.

    spike : int64, of which the spikes of the position are begin .. end - 1, see FanOut
    """
    zero, theta = splat(v_th - v_th), splat(v_th)
    v, peak, when = zero, zero, splat(np.int16(-1))
    for s in range(begin, end):
        v = v + load(w, spike[s] & ROW, first)  # Eq. 2
        t = spike[s] >> 32
        if spike[s + ONE] >> 32 != t:  # all spikes of a step before the test
            rises = (v > peak) & (peak < theta)  # a new maximum, and not yet fired
            peak = where(rises, v, peak)
            when = where(rises, splat(np.int16(t)), when)
    return peak, when


@kernel
def _count(t, silent, row, spikes):
    """Add the firing times in the lanes t that come before `silent` to spikes (t_max,); row (1, LANES) is scratch."""
    if any_lane(t < splat(np.int16(silent))):
        store(row, 0, 0, t)
        for i in row[0]:
            if i < silent:
                spikes[i] += 1


@kernel
def _if_conv_image(b, spike, end, w, v_th, t_max, geometry, pooling, post):
    """if_conv of image b from its lists of spikes."""
    window, by_potential = pooling
    t_post, t_peak, v_peak = post.t_post[b], post.t_peak[b], post.v_peak[b]
    winner, spikes, count = post.winner[b % len(post.winner)], post.spikes[b % len(post.spikes)], post.spikes.size > 0
    width, length = geometry.width_post, np.uint64(spike.size // end.size)
    keeps_peaks, row = v_peak.size > 0, np.empty((1, LANES), np.int16)
    theta, silent, never, zero = splat(v_th), splat(np.int16(t_max)), splat(np.int16(-1)), splat(v_th - v_th)
    for first in range(0, geometry.maps_post, LANES):
        q = 0
        for y in range(0, geometry.height_post - window + 1, window):
            for x in range(0, width - window + 1, window):
                best_t, best_peak, best_v, best = silent, never, zero, splat(np.int16(0))
                for k_y in range(window):
                    for k_x in range(window):
                        p = np.uint64((y + k_y) * width + x + k_x)
                        if end[p] == p * length:
                            continue  # no spike comes here
                        peak, when = _integrate(spike, p * length, end[p], w, first, v_th)
                        t = where(peak >= theta, when, silent)  # Eq. 3
                        if count:
                            _count(t, t_max, row, spikes)
                        k = k_y * window + k_x
                        earlier = t < best_t
                        if by_potential or k == 0:  # D8
                            earlier = earlier | ((t == best_t) & (peak > best_v))
                        best_t, best = where(earlier, t, best_t), where(earlier, splat(np.int16(k)), best)
                        best_v, best_peak = where(earlier, peak, best_v), where(earlier, when, best_peak)
                store(t_post, q, first, best_t)
                if keeps_peaks:
                    store(t_peak, q, first, best_peak)
                    store(v_peak, q, first, best_v)
                    if window > 1:
                        store(winner, q, first, best)
                q += 1


@kernel(parallel=True)
def if_conv(t_pre, w, v_th, t_max, geometry, pooling, fan, post):
    """First threshold crossing of hidden IF neurons, convolution or dense, and the pooling after them (Eqs. 2-3).

    t_pre   : int16 (B, H*W*C), time steps; t_max = silent
    w       : float (R, M), a row for each synapse, potential units; columns padded to a multiple of LANES
    v_th    : scalar of w's type, > 0
    t_max   : steps to simulate
    pooling : Pooling   fan : FanOut
    post    : State, flat. Overwrites t_post, t_peak, v_peak (B, P'', M) and, with pooling, winner, or t_post alone if
              v_peak is empty; adds the number of neurons, before pooling, that fire in each step to spikes, unless that
              is empty
    Departures: D2, D3, D8.   Reference: reference/ds4nn.py, Eqs. 2-3
    """
    n, n_shards = t_pre.shape[0], min(fan.end.shape[0], t_pre.shape[0])
    for shard in prange(n_shards):
        for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
            spikes_of_positions(t_pre, b, geometry.maps_pre, t_max, fan, shard)
            _if_conv_image(b, fan.spike[shard], fan.end[shard], w, v_th, t_max, geometry, pooling, post)


@kernel
def _spike_pool_image(b, pre, pooling, post):
    """spike_pool of image b."""
    window, by_potential = pooling
    height_post, width_post, maps = post.t_post.shape[1:]
    for y in range(height_post):
        for x in range(width_post):
            best_t, best_peak_t, best_v = post.t_post[b, y, x], post.t_peak[b, y, x], post.v_peak[b, y, x]
            best = post.winner[b, y, x]
            for k in range(window * window):
                yy, xx = y * window + k // window, x * window + k % window
                t, v, peak_t = pre.t_post[b, yy, xx], pre.v_peak[b, yy, xx], pre.t_peak[b, yy, xx]
                for c in range(maps):
                    earlier = (k == 0) | (t[c] < best_t[c]) | (by_potential & (t[c] == best_t[c]) & (v[c] > best_v[c]))
                    best_t[c] = t[c] if earlier else best_t[c]
                    best_v[c] = v[c] if earlier else best_v[c]
                    best_peak_t[c] = peak_t[c] if earlier else best_peak_t[c]
                    best[c] = k if earlier else best[c]


@kernel(parallel=True)
def spike_pool(pre, pooling, n_shards, post):
    """Spike-pooling: a pooling neuron fires with the earliest neuron of its window (section 2.1).

    pre : State of the layer below, (B, H, W, M)   pooling : Pooling
    post : State, (B, H', W', M); overwrites t_post, t_peak and v_peak with those of the winner, and winner with its
           place in the window, counted row by row. The same as the pooling inside if_conv
    Departures: D8.   Reference: reference/ds4nn.py, `pool`
    """
    n = pre.t_post.shape[0]
    for shard in prange(n_shards):
        for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
            _spike_pool_image(b, pre, pooling, post)
