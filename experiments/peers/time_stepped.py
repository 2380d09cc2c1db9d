"""DS4NN in plain NumPy on whole spike trains, as the program of S4NN's authors simulates: all time steps at once.

A layer's spikes are a tensor (t_max, H, W, C) of 0 and 1. Potentials are the cumulative sum over time of its product
with the weights; a neuron fires in the first step in which its potential reaches the threshold. Errors are propagated
through causal masks of all synapses. Vectorised over time, positions and maps; a step without a spike costs as much as
any other.
"""

import numpy as np


def _windows(x, geometry, fill):
    """Receptive fields of x (..., H, W, C): (..., P, R); the padding holds `fill`."""
    g = geometry
    bottom = (g.height_post - 1) * g.stride + g.kernel_height - g.height - g.pad_top
    right = (g.width_post - 1) * g.stride + g.kernel_width - g.width - g.pad_left
    lead = [(0, 0)] * (x.ndim - 3)
    x = np.pad(x, [*lead, (g.pad_top, max(bottom, 0)), (g.pad_left, max(right, 0)), (0, 0)], constant_values=fill)
    kernel = (g.kernel_height, g.kernel_width)
    view = np.lib.stride_tricks.sliding_window_view(x, kernel, (x.ndim - 3, x.ndim - 2))
    view = view[..., : g.height_post * g.stride : g.stride, : g.width_post * g.stride : g.stride, :, :, :]
    view = np.moveaxis(view, -3, -1)  # (..., H', W', K_y, K_x, C)
    return view.reshape(*x.shape[:-3], g.height_post * g.width_post, -1)


def _fire(t_pre, w, geometry, threshold):
    """Firing of one weighted layer for one image: t, t_peak, v_peak (P, M) and potentials (t_max, P, M).

    t_pre : (H, W, C)   w : (R, M)   threshold : (t_max,), in each step
    """
    steps = len(threshold)
    step = np.arange(steps)[:, None, None]
    spikes = (t_pre == step[..., None]).astype(w.dtype)
    v = np.cumsum(_windows(spikes, geometry, 0) @ w, axis=0)
    reached = v >= threshold[:, None, None]
    t = np.where(reached.any(axis=0), reached.argmax(axis=0), steps)
    until = np.where(step <= t, v, -np.inf)
    t_peak, v_peak = until.argmax(axis=0), until.max(axis=0)
    rest = v_peak <= 0
    return t, np.where(rest, -1, t_peak), np.where(rest, 0, v_peak), v


def _pool(t, t_peak, v_peak, shape, window, by_potential):
    """Spike-pooling of (H, W, C): pooled t, t_peak, v_peak and the winner's place in its window, (H', W', C)."""
    height, width, maps = shape[0] // window, shape[1] // window, shape[2]

    def places(x):
        x = x.reshape(shape)[: height * window, : width * window]
        x = x.reshape(height, window, width, window, maps).transpose(0, 2, 4, 1, 3)
        return x.reshape(height, width, maps, -1)

    t, t_peak, v_peak = places(t), places(t_peak), places(v_peak)
    earliest = t == t.min(axis=-1, keepdims=True)
    winner = np.where(earliest, v_peak if by_potential else 0, -np.inf).argmax(axis=-1)
    of_winner = (np.take_along_axis(x, winner[..., None], -1)[..., 0] for x in (t, t_peak, v_peak))
    return *of_winner, winner


def forward(network, t_in):
    """States of all layers for one image (H, W, C): a list of dictionaries, input first."""
    states = [{"t": t_in, "t_peak": t_in, "v_peak": np.zeros(t_in.shape), "winner": None}]
    weights = iter(zip(network.rows, network.geometries, strict=True))
    for layer in network.specs:
        pre, shape = states[-1], layer.shape_post
        if layer.kind == "pool":
            below, by_potential = (pre["t"], pre["t_peak"], pre["v_peak"]), network.settings.pool_ties == "potential"
            t, t_peak, v_peak, winner = _pool(*below, pre["t"].shape, layer.window, by_potential)
            states.append({"t": t, "t_peak": t_peak, "v_peak": v_peak, "winner": winner})
            continue
        w, geometry = next(weights)
        last = layer is network.specs[-1]
        threshold = network.output_threshold() if last else np.full(network.t_max, network.v_th)
        t, t_peak, v_peak, v = _fire(pre["t"], w, geometry, threshold)
        states.append({name: x.reshape(shape) for name, x in (("t", t), ("t_peak", t_peak), ("v_peak", v_peak))})
        states[-1]["v"] = v.reshape(network.t_max, -1) if last else None
    return states


def backward(network, states, error):
    """Weight gradients (R, M) of every layer for one image (Eqs. 8, 10 and 12); surrogate "window".

    error : (t_max, classes), dE/dV of the output neurons in every step
    """
    d = np.cumsum(error[::-1], axis=0)[::-1]  # D_j(t), see s4nn_ref/losses/first_spike.py
    weights, pre, t_max = network.rows, states[-2], network.t_max
    t_pre, t_peak = pre["t"].ravel(), pre["t_peak"].ravel()
    grad = [np.where((t_pre < t_max)[:, None], d[np.minimum(t_pre, t_max - 1)], 0)]
    delta = -(weights[-1] * d[t_peak]).sum(axis=1) * (t_peak >= 0)
    depth = len(weights) - 1
    i = len(network.specs) - 1
    while i > 0:
        state, layer = states[i], network.specs[i - 1]
        t_mask, k = state["t_peak"], np.maximum(0, 1 - np.abs(state["v_peak"] - network.v_th) / network.v_th)
        g = delta.reshape(k.shape) * k
        if layer.kind == "pool":  # the error belongs to the winner
            y, x, c = np.indices(g.shape)
            dy, dx = np.divmod(state["winner"], layer.window)
            place = y * layer.window + dy, x * layer.window + dx, c
            i -= 1
            g_all, t_all = np.zeros(states[i]["t"].shape), np.full(states[i]["t"].shape, -1)
            g_all[place], t_all[place] = g, t_mask
            g, t_mask = g_all, t_all
        depth -= 1
        geometry, pre = network.geometries[depth], states[i - 1]
        g, t_mask = (x.reshape(-1, geometry.maps_post) for x in (g, t_mask))
        t_window = _windows(pre["t"], geometry, t_max)
        total = np.zeros_like(weights[depth], float)
        for p in range(len(g)):
            total -= np.where((t_window[p][:, None] <= t_mask[p]) & (t_window[p][:, None] < t_max), g[p], 0)
        grad.insert(0, total)
        if depth:
            peak_window = _windows(np.where(pre["t_peak"] < 0, t_max, pre["t_peak"]), geometry, t_max)
            causal = (peak_window[p][:, None] <= t_mask[p] for p in range(len(g)))
            fields = [np.where(c, weights[depth] * g[p], 0).sum(axis=1) for p, c in enumerate(causal)]
            delta = _scattered(fields, geometry)
        i -= 1
    return grad


def _scattered(fields, geometry):
    """Receptive fields (P, R), added up in the map that they were cut from: (H, W, C)."""
    g = geometry
    height, width = (g.height_post - 1) * g.stride + g.kernel_height, (g.width_post - 1) * g.stride + g.kernel_width
    out = np.zeros((max(height, g.height + g.pad_top), max(width, g.width + g.pad_left), g.maps_pre))
    for p, field in enumerate(fields):
        y, x = p // g.width_post * g.stride, p % g.width_post * g.stride
        out[y : y + g.kernel_height, x : x + g.kernel_width] += field.reshape(g.kernel_height, g.kernel_width, -1)
    return out[g.pad_top : g.pad_top + g.height, g.pad_left : g.pad_left + g.width]
