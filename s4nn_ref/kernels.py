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


@njit(cache=True, error_model="numpy")
def spikes_of_positions(t_pre, geometry, t_max):
    """For every output position, the spikes of its receptive field in time order.

    t_pre : int16 (H*W*C,)
    Returns n int32 (P,), synapse int32 (P, R), t int16 (P, R): position p receives n[p] spikes, each through row
    `synapse` of the weights (R, M) at step t; entries behind n[p] are not set.
    """
    g = geometry
    n = np.zeros(g.height_post * g.width_post, np.int32)
    size = g.kernel_height * g.kernel_width * g.maps_pre
    synapse, t = np.empty((n.size, size), np.int32), np.empty((n.size, size), np.int16)
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
    return n, synapse, t


@njit(cache=True, error_model="numpy")
def _if_conv_image(t_pre, w, v_th, geometry, t_max, t_post, t_peak, v_peak, v):
    """if_conv of one image; overwrites t_post, t_peak, v_peak (P, M) and v (M,)."""
    n, synapse, t_in = spikes_of_positions(t_pre, geometry, t_max)
    maps, silent = geometry.maps_post, np.int16(t_max)
    for p in range(n.size):
        peak, when, out = v_peak[p], t_peak[p], t_post[p]
        v[:] = 0
        peak[:] = 0
        when[:] = -1
        s, end = 0, n[p]
        while s < end:
            t = t_in[p, s]
            same = s + 1
            while same < end and t_in[p, same] == t:
                same += 1
            # all spikes of the step before the test, two at a time to halve the traffic of v
            while s + 1 < same:
                w_1, w_2 = w[synapse[p, s]], w[synapse[p, s + 1]]
                for m in range(maps):
                    v[m] = (v[m] + w_1[m]) + w_2[m]  # Eq. 2
                s += 2
            if s < same:
                w_1 = w[synapse[p, s]]
                for m in range(maps):
                    v[m] += w_1[m]  # Eq. 2
                s += 1
            for m in range(maps):
                rises = (peak[m] < v_th) & (v[m] > peak[m])  # not yet fired, and a new maximum
                peak[m] = v[m] if rises else peak[m]
                when[m] = t if rises else when[m]
        for m in range(maps):
            out[m] = when[m] if peak[m] >= v_th else silent  # Eq. 3


@njit(cache=True, parallel=True, error_model="numpy")
def if_conv(t_pre, w, v_th, geometry, t_max, n_shards, t_post, t_peak, v_peak, v_end):
    """First threshold crossing of non-leaky IF neurons, convolution or dense (Eqs. 2-3).

    t_pre : int16 (B, H*W*C), time steps; t_max = silent
    w     : float (R, M), potential units
    v_th  : scalar of w's type, > 0
    Overwrites t_post, t_peak, v_peak (B, P, M), and v_end (B, M): the potentials of the last position after the last
    spike, which for a dense layer is the end of the simulation.
    Departures: D2, D3.   Oracle: tests/oracle.py::if_conv
    """
    n = t_pre.shape[0]
    for shard in prange(n_shards):
        for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
            _if_conv_image(t_pre[b], w, v_th, geometry, t_max, t_post[b], t_peak[b], v_peak[b], v_end[b])


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
    width = t_pre.shape[1]
    for y in range(height_post):
        for x in range(width_post):
            best_t, best_peak_t, best_v, best = t_post[y, x], t_peak[y, x], v_peak[y, x], winner[y, x]
            for k in range(window * window):
                yy, xx = y * window + k // window, x * window + k % window
                t, v, peak_t = t_pre[yy, xx], v_peak_pre[yy, xx], t_peak_pre[yy, xx]
                first = (yy * width + xx) * maps
                for c in range(maps):
                    earlier = (k == 0) | (t[c] < best_t[c]) | (by_potential & (t[c] == best_t[c]) & (v[c] > best_v[c]))
                    best_t[c] = t[c] if earlier else best_t[c]
                    best_v[c] = v[c] if earlier else best_v[c]
                    best_peak_t[c] = peak_t[c] if earlier else best_peak_t[c]
                    best[c] = first + c if earlier else best[c]


@njit(cache=True, parallel=True, error_model="numpy")
def spike_pool(t_pre, t_peak_pre, v_peak_pre, window, by_potential, n_shards, t_post, t_peak, v_peak, winner):
    """Spike-pooling: a pooling neuron fires with the earliest neuron of its window (section 2.1).

    t_pre, t_peak_pre, v_peak_pre : (B, H, W, C), state of the layer below
    by_potential : ties go to the larger potential instead of the lowest index (D8)
    Overwrites t_post, t_peak, v_peak (B, H', W', C) with the winner's state and winner (int32) with its index in
    H*W*C, to which the pooling neuron's error will go.
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
    total = 0.0
    for i in range(delta.size):
        k = max(zero, one - abs(v_peak[i] - v_th) / v_th)
        if v_peak[i] >= v_th:
            if surrogate in (FIRED, WINDOW_SILENT):
                k = one
        elif surrogate in (FIRED, WINDOW_FIRED):
            k = zero
        g[i] = delta[i] * k
        if normalise == L2:
            total += g[i] * g[i]
        elif normalise == L1:
            total += abs(g[i])
        elif normalise == SIGNED_SUM:
            total += g[i]
    if normalise != NONE and total != 0.0:
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
def _errors_of_positions(neuron, g, geometry):
    """Neurons with an error, by position: event e of position p is start[p] <= e < start[p+1]; returns start, event."""
    maps = geometry.maps_post
    start = np.zeros(geometry.height_post * geometry.width_post + 2, np.int32)
    for e in range(g.size):
        if g[e] != 0.0:
            start[neuron[e] // maps + 2] += 1
    for p in range(start.size - 1):
        start[p + 1] += start[p]
    event = np.empty(start[-1], np.int32)
    for e in range(g.size):
        if g[e] != 0.0:
            p = neuron[e] // maps
            event[start[p + 1]] = e
            start[p + 1] += 1
    return start[:-1], event


@njit(cache=True, error_model="numpy")
def _if_conv_backward_image(neuron, g, t_error, t_pre, t_peak_pre, w_post, geometry, t_max, propagate, delta_pre, grad):
    """if_conv_backward of one image; adds to grad (M, R), overwrites delta_pre (H, W, C) where asked to propagate."""
    c = geometry
    size = w_post.shape[1]
    never = np.int16(2 * t_max + 1)  # in no mask: the padding and, for weight gradients, silent neurons
    field_t, field_t_peak = np.empty(size, np.int16), np.empty(size, np.int16)
    field_delta = np.empty(size, g.dtype)
    zero = g.dtype.type(0)
    if propagate:
        delta_pre[:] = zero
    start, event = _errors_of_positions(neuron, g, c)
    for p in range(start.size - 1):
        if start[p] == start[p + 1]:
            continue
        y_first, x_first = (p // c.width_post) * c.stride - c.pad_top, (p % c.width_post) * c.stride - c.pad_left
        field_t[:] = never
        field_t_peak[:] = never
        field_delta[:] = zero
        ky_first, ky_end = max(0, -y_first), min(c.kernel_height, c.height - y_first)
        kx_first, kx_end = max(0, -x_first), min(c.kernel_width, c.width - x_first)
        for ky in range(ky_first, ky_end):
            for kx in range(kx_first, kx_end):
                t, t_peak = t_pre[y_first + ky, x_first + kx], t_peak_pre[y_first + ky, x_first + kx]
                q = (ky * c.kernel_width + kx) * c.maps_pre
                for i in range(c.maps_pre):
                    field_t[q + i] = t[i] if t[i] < t_max else never
                    field_t_peak[q + i] = t_peak[i]
        for s in range(start[p], start[p + 1]):
            e = event[s]
            m, g_i, t_i = neuron[e] % c.maps_post, g[e], t_error[e]
            grad_m, w_m = grad[m], w_post[m]
            for q in range(size):
                grad_m[q] -= g_i if field_t[q] <= t_i else zero  # Eqs. 8 and 12: dV/dw = [t_j <= t_i], dt/dV < 0
            if propagate:
                for q in range(size):
                    field_delta[q] += g_i * w_m[q] if field_t_peak[q] <= t_i else zero  # Eq. 10
        if propagate:
            for ky in range(ky_first, ky_end):
                for kx in range(kx_first, kx_end):
                    delta = delta_pre[y_first + ky, x_first + kx]
                    q = (ky * c.kernel_width + kx) * c.maps_pre
                    for i in range(c.maps_pre):
                        delta[i] += field_delta[q + i]


@njit(cache=True, parallel=True, error_model="numpy")
def if_conv_backward(neuron, g, t_error, t_pre, t_peak_pre, w_post, geometry, t_max, propagate, delta_pre, grad):
    """Masked error backpropagation through a convolution or dense layer (Eqs. 8, 10 and 12).

    neuron     : int32 (B, E) or (1, E), index in H'*W'*M of each neuron that may have an error (the pooling's winners)
    g, t_error : (B, E), its synaptic error and its time in the causality masks
    t_pre      : int16 (B, H, W, C) firing times below; t_peak_pre the times of their peaks, at which silent
                 neurons take an error (D6)
    w_post     : float (M, R), the weights seen from the postsynaptic neuron
    Adds the weight gradients, summed over a shard's images in their order, to grad (S, M, R); overwrites
    delta_pre (B, H, W, C) = dE/dt_pre if propagate, else leaves it alone.
    Oracle: tests/oracle.py::if_conv_backward
    """
    n, n_shards = g.shape[0], grad.shape[0]
    for shard in prange(n_shards):
        for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
            _if_conv_backward_image(
                neuron[b % neuron.shape[0]], g[b], t_error[b], t_pre[b], t_peak_pre[b], w_post, geometry, t_max,
                propagate, delta_pre[b], grad[shard],
            )  # fmt: skip
