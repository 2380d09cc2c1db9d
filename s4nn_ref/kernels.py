"""Event-driven kernels over firing times: the whole of section 2 that is worth compiling.

The cost follows the number of spikes, never t_max: a layer is its neurons' firing times, and each kernel walks events.

Letters   B images of a batch, S shards of it, H W C presynaptic rows, columns, maps, H' W' M postsynaptic ones,
          K kernel side, R = K*K*C synapses of a neuron, P = H'*W' positions, N = P*M neurons.
State     A layer is three arrays (B, N): t_post, t_peak (int16, time steps), v_peak (potential units). v_peak is the
          largest potential up to and including the spike, starting at 0, and t_peak the step where it was reached
          (-1: never above 0). A neuron that fired has t_post == t_peak and v_peak >= v_th, a silent one t_post = t_max.
Sums      Potentials are added in the order of time, then of the synapse's index; shards are cut by the batch, not by
          the threads. The same input gives the same bits on any number of threads.

Source: Mirsadeghi et al. 2023, Eqs. 2-3 (if_conv), section 2.1 (spike_pool), Eq. 8 and 11 (synaptic_error), Eqs. 10 and
12 (if_conv_backward). Departures D2-D9 in docs/deviations.md. Oracles: tests/oracle.py, functions of the same names.
"""

import numpy as np
from numba import njit, prange

from s4nn_ref.lanes import LANES, any_lane, load, load_edge, splat, store, where

# kinds of surrogate, dt/dV = -k(V)
FIRED, WINDOW, WINDOW_FIRED, WINDOW_SILENT = 0, 1, 2, 3
# kinds of normalisation, Eq. 11
NONE, SIGNED_SUM, L1, L2 = 0, 1, 2, 3


@njit(cache=True, error_model="numpy")
def spikes_in_time_order(t_pre, t_max):
    """Indices of the neurons that fired, by time, then by index (a counting sort).

    t_pre : int16 (H*W*C,)   ->   int32 (spikes,)
    """
    fired = np.empty(t_pre.size + 1, np.int32)
    n = 0
    for j in range(t_pre.size):
        fired[n] = j  # overwritten unless j fired: cheaper than a branch
        n += t_pre[j] < t_max
    first = np.zeros(t_max + 1, np.int32)
    for s in range(n):
        first[t_pre[fired[s]] + 1] += 1
    for t in range(t_max):
        first[t + 1] += first[t]
    order = np.empty(n, np.int32)
    for s in range(n):
        t = t_pre[fired[s]]
        order[first[t]] = fired[s]
        first[t] += 1
    return order


@njit(cache=True, error_model="numpy")
def _reached(size, kernel, stride, pad, size_post):
    """First and last output row (or column) whose window holds each of the `size` input rows: int32 (size, 2)."""
    reached = np.empty((size, 2), np.int32)
    for y in range(size):
        reached[y, 0] = max((y + pad - kernel + stride) // stride, 0)
        reached[y, 1] = min((y + pad) // stride, size_post - 1)
    return reached


def scratch_of(geometry, n_shards: int):
    """Lists of spikes that spikes_of_positions fills, one per shard: n (S, P), synapse and t (S, P, R + 1)."""
    g = geometry
    shape = n_shards, g.height_post * g.width_post, g.receptive_field + 1
    return np.zeros(shape[:2], np.int32), np.zeros(shape, np.int32), np.zeros(shape, np.int16)


@njit(cache=True, error_model="numpy")
def spikes_of_positions(t_pre, geometry, t_max, n, synapse, t):
    """For every output position, the spikes of its receptive field in time order.

    t_pre : int16 (H*W*C,)
    Overwrites n int32 (P,), synapse int32 (P, R + 1) and t int16 (P, R + 1): position p receives n[p] spikes, each
    through row `synapse` of the weights (R, M) at step t; behind them stands a t that no spike has.
    """
    g = geometry
    n[:] = 0
    reached_y = _reached(g.height, g.kernel_height, g.stride, g.pad_top, g.height_post)
    reached_x = _reached(g.width, g.kernel_width, g.stride, g.pad_left, g.width_post)
    maps, width = np.uint32(g.maps_pre), np.uint32(g.width)  # unsigned 32-bit divisions are the cheap ones
    for j in spikes_in_time_order(t_pre, t_max):
        pixel = np.uint32(j) // maps
        c, y, x, t_j = np.uint32(j) - pixel * maps, pixel // width, pixel % width, t_pre[j]
        for y_post in range(reached_y[y, 0], reached_y[y, 1] + 1):
            ky = np.int32(y) + g.pad_top - y_post * g.stride
            for x_post in range(reached_x[x, 0], reached_x[x, 1] + 1):
                kx = np.int32(x) + g.pad_left - x_post * g.stride
                p = y_post * g.width_post + x_post
                s = n[p]
                synapse[p, s] = (ky * g.kernel_width + kx) * g.maps_pre + np.int32(c)
                t[p, s] = t_j
                n[p] = s + 1
    for p in range(n.size):
        t[p, n[p]] = t_max


@njit(cache=True, error_model="numpy")
def _integrate(p, n, synapse, t_in, w, first, v_th):
    """Lanes of neurons first .. of position p: potential after the last spike, its peak, and the step of the peak."""
    zero, theta = splat(v_th - v_th), splat(v_th)
    v, peak, when = zero, zero, splat(np.int32(-1))
    for s in range(n[p]):
        t = t_in[p, s]
        v = v + load(w, synapse[p, s], first)  # Eq. 2
        if t_in[p, s + 1] != t:  # all spikes of a step before the test
            rises = (v > peak) & (peak < theta)  # a new maximum, and not yet fired
            peak = where(rises, v, peak)
            when = where(rises, splat(np.int32(t)), when)
    return v, peak, when


@njit(cache=True, error_model="numpy")
def _if_conv_image(
    spikes, w, v_th, geometry, window, by_potential, t_max, t_post, t_peak, v_peak, winner, v_end
):  # fmt: skip
    """if_conv of one image from its lists of spikes; overwrites the rest, (P'', M) and v_end (1, M)."""
    n, synapse, t_in = spikes
    columns = geometry.width_post // window
    theta, silent = splat(v_th), splat(np.int32(t_max))
    for first in range(0, geometry.maps_post, LANES):
        for q in range(t_post.shape[0]):
            corner = (q // columns) * window * geometry.width_post + (q % columns) * window
            v, best_v, best_peak = _integrate(corner, n, synapse, t_in, w, first, v_th)
            best_t = where(best_v >= theta, best_peak, silent)  # Eq. 3
            best = splat(np.int32(0))
            for k in range(1, window * window):
                p = corner + (k // window) * geometry.width_post + k % window
                v, peak, when = _integrate(p, n, synapse, t_in, w, first, v_th)
                t = where(peak >= theta, when, silent)  # Eq. 3
                earlier = t < best_t
                if by_potential:
                    earlier = earlier | ((t == best_t) & (peak > best_v))
                best_t, best = where(earlier, t, best_t), where(earlier, splat(np.int32(k)), best)
                best_v, best_peak = where(earlier, peak, best_v), where(earlier, when, best_peak)
            store(t_post, q, first, best_t)
            store(t_peak, q, first, best_peak)
            store(v_peak, q, first, best_v)
            if window > 1:
                store(winner, q, first, best)
            if q == t_post.shape[0] - 1:
                store(v_end, 0, first, v)


@njit(cache=True, parallel=True, error_model="numpy")
def if_conv(
    t_pre, w, v_th, geometry, window, by_potential, t_max, scratch, t_post, t_peak, v_peak, winner, v_end
):  # fmt: skip
    """First threshold crossing of non-leaky IF neurons, convolution or dense, and the pooling behind them (Eqs. 2-3).

    t_pre   : int16 (B, H*W*C), time steps; t_max = silent
    w       : float (R, M), potential units; columns padded to a multiple of LANES
    v_th    : scalar of w's type, > 0
    window  : side of the spike-pooling behind the layer, 1 for none; by_potential as in spike_pool
    scratch : what `scratch_of` returned: one list of spikes for each shard
    Overwrites t_post, t_peak, v_peak (B, P'', M), of the P'' = (H' // window) (W' // window) pooling neurons, or of the
    neurons themselves where window = 1; with pooling, winner int16 (B, P'', M): the place of the earliest neuron in its
    window, counted row by row; and v_end (B, 1, M): the potentials of the last position looked at after the last
    spike, which for a dense layer is the end of the simulation.
    Departures: D2, D3, D8.   Oracle: tests/oracle.py::if_conv, spike_pool
    """
    n, n_shards = t_pre.shape[0], min(scratch[0].shape[0], t_pre.shape[0])
    for shard in prange(n_shards):
        spikes = scratch[0][shard], scratch[1][shard], scratch[2][shard]
        for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
            spikes_of_positions(t_pre[b], geometry, t_max, *spikes)
            _if_conv_image(
                spikes, w, v_th, geometry, window, by_potential, t_max, t_post[b], t_peak[b], v_peak[b],
                winner[b % winner.shape[0]], v_end[b % v_end.shape[0]],
            )  # fmt: skip


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
        g[i] = delta[i] * k
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
def _weight_gradient_image(g, t_error, winner, spikes, geometry, window, grad):
    """Eqs. 8 and 12 for one image: adds to grad (R, M), spike by spike, LANES maps at a time."""
    n, synapse, t_in = spikes
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
                    g_k = where(load_edge(winner, q, first) == splat(np.int32(k)), g_q, zero)
                    if not any_lane(g_k != zero):
                        continue
                p = corner + (k // window) * geometry.width_post + k % window
                for s in range(n[p]):
                    causal = splat(np.int32(t_in[p, s])) <= t_q
                    # dV/dw = [t_j <= t_i] and dt/dV < 0
                    store(
                        grad, synapse[p, s], first,
                        load_edge(grad, synapse[p, s], first) - where(causal, g_k, zero),
                    )  # fmt: skip


@njit(cache=True, error_model="numpy")
def _propagate_image(g, t_error, winner, t_peak_pre, w_post, geometry, window, event, delta_pre):
    """Eq. 10 for one image: overwrites delta_pre (H*W, C), LANES synapses at a time; event int32 (window**2, M)."""
    c = geometry
    columns = c.width_post // window
    blocks = (c.maps_pre + LANES - 1) // LANES * LANES
    silent, never, zero = splat(np.int32(-1)), splat(np.int32(2**15)), splat(g.dtype.type(0))
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
                        if not any_lane(t_j != silent):  # never above 0: whatever the error, its surrogate is 0
                            continue
                        t_j = where(t_j == silent, never, t_j)
                        delta = load_edge(delta_pre, row, first)
                        for e in range(n_events[k]):
                            m = event[k, e]
                            causal = t_j <= splat(np.int32(t_error[q, m]))
                            delta = delta + where(causal, splat(g[q, m]) * load(w_post, m, synapse + first), zero)
                        store(delta_pre, row, first, delta)


@njit(cache=True, parallel=True, error_model="numpy")
def if_conv_backward(
    g, t_error, winner, t_pre, t_peak_pre, w_post, geometry, window, t_max, propagate, scratch, delta_pre, grad
):  # fmt: skip
    """Masked error backpropagation through a convolution or dense layer and the pooling behind it (Eqs. 8, 10, 12).

    g, t_error : (B, P'', M), synaptic error of the pooling neurons (of the neurons, where window = 1) and its time in
                 the causality masks; it goes to the neuron at `winner` (B, P'', M) of each window
    t_pre      : int16 (B, H*W*C) firing times below; t_peak_pre (B, H*W, C) the times of their peaks, at which silent
                 neurons take an error (D6); -1, a peak that never came, takes none
    w_post     : float (M, K*K*C), the weights seen from the postsynaptic neuron, C padded to a multiple of LANES;
                 only read to propagate
    scratch    : what `scratch_of` returned
    Adds the weight gradients, summed over a shard's images in their order, to grad (S, R, M); overwrites
    delta_pre (B, H*W, C) = dE/dt_pre if propagate, else leaves it alone.
    Oracle: tests/oracle.py::if_conv_backward
    """
    n, n_shards = g.shape[0], min(grad.shape[0], g.shape[0])
    for shard in prange(n_shards):
        spikes = scratch[0][shard], scratch[1][shard], scratch[2][shard]
        event = np.empty((window * window, geometry.maps_post), np.int32)
        for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
            winner_b = winner[b % winner.shape[0]]
            spikes_of_positions(t_pre[b], geometry, t_max, *spikes)
            _weight_gradient_image(g[b], t_error[b], winner_b, spikes, geometry, window, grad[shard])
            if propagate:
                _propagate_image(
                    g[b], t_error[b], winner_b, t_peak_pre[b], w_post, geometry, window, event, delta_pre[b]
                )
