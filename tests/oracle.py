"""Plain twins of the kernels: time-stepped loops over spike trains, as the paper's equations print them.

Imports NumPy only, and nothing of the package: what is wrong there must not be wrong here. One image at a time.
Letters as in s4nn_ref/kernels.py; weights are (M, K_y, K_x, C).
"""

import numpy as np


def encode(intensity, intensity_max, t_max, rounding):
    """Eq. 1 for one pixel."""
    exact = (intensity_max - intensity) / intensity_max * t_max
    return int(np.floor(exact)) if rounding == "floor" else int(np.floor(exact + 0.5))


def padded(array, pad_top, pad_left, height, width, value):
    """array (H, W, C) inside a larger map of `value`."""
    out = np.full((height, width, array.shape[2]), value, array.dtype)
    out[pad_top : pad_top + array.shape[0], pad_left : pad_left + array.shape[1]] = array[
        : height - pad_top, : width - pad_left
    ]
    return out


def same_padding(size, kernel, stride):
    size_post = int(np.ceil(size / stride))
    return size_post, max((size_post - 1) * stride + kernel - size, 0) // 2


def windows(shape, kernel, stride, padding):
    """Output rows, columns, leading padding (y, x) and the padded map's shape."""
    height, width = shape[:2]
    if padding == "same":
        (height_post, top), (width_post, left) = (same_padding(size, kernel, stride) for size in (height, width))
    else:
        height_post, width_post, top, left = (height - kernel) // stride + 1, (width - kernel) // stride + 1, 0, 0
    return height_post, width_post, top, left, (height_post - 1) * stride + kernel, (width_post - 1) * stride + kernel


def if_neuron(trains, w, v_th, t_max):
    """Eqs. 2-3 for one neuron, one step after the other.

    trains : 0/1 (t_max + 1, synapses)   w : (synapses,)   v_th : number, or threshold of each step (t_max,)
    Returns t_post, t_peak, v_peak, v_end: firing time (t_max = silent), step and value of the largest potential up to
    and including the spike (-1 and 0 where never above 0; for a neuron that fired, those of its spike), potential at
    the end.
    """
    v, t_post, t_peak, v_peak, threshold = 0.0, t_max, -1, 0.0, np.broadcast_to(v_th, t_max)
    for t in range(t_max):  # a spike at t_max is none
        v = v + trains[t] @ w
        if t_post == t_max:
            if v > v_peak:
                v_peak, t_peak = v, t
            if v >= threshold[t]:
                t_post, t_peak, v_peak = t, t, v
    return t_post, t_peak, v_peak, v


def if_conv(t_pre, w, v_th, t_max, stride=1, padding="valid"):
    """Eqs. 2-3 for a convolution. t_pre (H, W, C) -> t_post, t_peak, v_peak, v_end (H', W', M)."""
    maps, kernel_y, kernel_x, _ = w.shape
    assert kernel_y == kernel_x
    height_post, width_post, top, left, height, width = windows(t_pre.shape, kernel_y, stride, padding)
    t_padded = padded(t_pre, top, left, height, width, t_max)
    out = np.zeros((4, height_post, width_post, maps))
    for y in range(height_post):
        for x in range(width_post):
            field = t_padded[y * stride : y * stride + kernel_y, x * stride : x * stride + kernel_x].ravel()
            trains = np.arange(t_max + 1)[:, None] == field
            for m in range(maps):
                out[:, y, x, m] = if_neuron(trains, w[m].ravel(), v_th, t_max)
    return out


def if_dense(t_pre, w, v_th, t_max):
    """Eqs. 2-3 for a fully connected layer. t_pre (n,), w (M, n) -> t_post, t_peak, v_peak, v_end (M,)."""
    trains = np.arange(t_max + 1)[:, None] == t_pre
    return np.array([if_neuron(trains, row, v_th, t_max) for row in w]).T


def spike_pool(t_pre, v_pre, window, by_potential=False):
    """Earliest spike of each window and the index (y, x) of the neuron that gave it. (H, W, C) -> (H', W', C)."""
    height, width, maps = t_pre.shape
    t_post = np.zeros((height // window, width // window, maps), int)
    winner = np.zeros((*t_post.shape, 2), int)
    for y, x, c in np.ndindex(t_post.shape):
        inside = [(yy, xx) for yy in range(y * window, (y + 1) * window) for xx in range(x * window, (x + 1) * window)]
        key = [(t_pre[yy, xx, c], -v_pre[yy, xx, c] if by_potential else 0) for yy, xx in inside]
        best = min(range(len(inside)), key=lambda k: key[k])
        t_post[y, x, c] = key[best][0]
        winner[y, x, c] = inside[best]
    return t_post, winner


def synaptic_error(delta, v_peak, v_th, surrogate, normalise):
    """Eq. 8's dE/dt dt/dV without its sign, normalised by Eq. 11 or one of its readings. All (n,)."""
    g = []
    for d, v in zip(delta, v_peak, strict=True):
        window = max(0.0, 1.0 - abs(v - v_th) / v_th)
        of_fired = {"fired": 1.0, "window": window, "window-fired": window, "window-silent": 1.0}
        of_silent = {"fired": 0.0, "window": window, "window-fired": 0.0, "window-silent": window}
        k = (of_fired if v >= v_th else of_silent)[surrogate]
        g.append(d * k)
    g = np.array(g)
    total = {
        "none": 1.0, "signed-sum": g.sum(), "l1": np.abs(g).sum(), "l2": np.sqrt((g**2).sum())
    }[normalise]  # fmt: skip
    return g if total == 0 else g / total


def if_conv_backward(g, t_error, t_pre, t_peak_pre, w, t_max, stride=1, padding="valid"):
    """Eqs. 8, 10 and 12, one synapse after the other.

    g, t_error (H', W', M): synaptic error and mask time; t_pre, t_peak_pre (H, W, C). Returns dE/dt_pre, dE/dw.
    """
    maps, kernel, _, channels = w.shape
    height_post, width_post, top, left, _, _ = windows(t_pre.shape, kernel, stride, padding)
    assert g.shape == (height_post, width_post, maps)
    delta_pre, grad = np.zeros(t_pre.shape), np.zeros(w.shape)
    for y, x, m in np.ndindex(g.shape):
        for ky, kx, c in np.ndindex(kernel, kernel, channels):
            yy, xx = y * stride + ky - top, x * stride + kx - left
            if not (0 <= yy < t_pre.shape[0] and 0 <= xx < t_pre.shape[1]):
                continue
            if t_pre[yy, xx, c] < t_max and t_pre[yy, xx, c] <= t_error[y, x, m]:
                grad[m, ky, kx, c] -= g[y, x, m]  # dt/dV = -1, dV/dw = 1: Eqs. 8 and 12
            if 0 <= t_peak_pre[yy, xx, c] <= t_error[y, x, m]:
                delta_pre[yy, xx, c] += g[y, x, m] * w[m, ky, kx, c]  # Eq. 10
    return delta_pre, grad


def target_times(t_out, label, lam, t_max):
    """Eq. 4 for one image."""
    return [
        max(0, min(t_out) - lam) if i == label else min(t_max, max(t_out) + lam) for i in range(len(t_out))
    ]  # fmt: skip


def apply_map(image, affine):
    """Nearest-neighbour resampling of one image (H, W)."""
    height, width = image.shape
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    out = np.zeros_like(image)
    for y, x in np.ndindex(image.shape):
        yy, xx = np.floor(affine[:, :2] @ (np.array([y, x]) - centre) + affine[:, 2] + centre + 0.5).astype(int)
        if 0 <= yy < height and 0 <= xx < width:
            out[y, x] = image[yy, xx]
    return out


def race_cost(v, label, bound, noise, readout=0.0, haste=0.0):
    """-log of the probability that output `label` fires first with escape noise, as defined, step by step, a decision
    in step s being worth exp(-haste s); and `readout` times the cross-entropy of the last potentials and the last
    threshold. bound : (t_max,)"""
    hazard = np.exp((v - bound[:, None]) / noise)
    survival, right = 1.0, 0.0
    for s, r in enumerate(hazard):
        right += survival * (1 - np.exp(-r.sum())) * r[label] / r.sum() * np.exp(-haste * s)
        survival *= np.exp(-r.sum())
    last = np.exp((np.append(v[-1], bound[-1]) - max(v[-1].max(), bound[-1])) / noise)
    return -np.log(right) - readout * np.log(last[label] / last.sum())


def race_backward(t_pre, t_peak_pre, w, label, bound, noise, readout, haste):
    """Error of the race through the output layer, one image: cost, dE/dt_pre, dE/dw.

    t_pre, t_peak_pre (n,), w (classes, n). dE/dV by central differences.
    """
    trains = np.arange(len(bound))[:, None] == t_pre
    v = np.cumsum(trains @ w.T, axis=0)
    error = np.zeros(v.shape)
    for index in np.ndindex(v.shape):
        step = np.zeros(v.shape)
        step[index] = 1e-4
        up, down = (race_cost(v + sign * step, label, bound, noise, readout, haste) for sign in (1, -1))
        error[index] = (up - down) / 2e-4
    delta, grad = np.zeros(len(t_pre)), np.zeros(w.shape)
    for i, j in np.ndindex(w.shape):
        if t_pre[j] < len(bound):
            grad[i, j] = error[t_pre[j] :, i].sum()
        delta[j] -= w[i, j] * error[t_peak_pre[j] :, i].sum()
    return race_cost(v, label, bound, noise, readout, haste), delta, grad


# ------------------------------------------------------------------------- S4NN and BS4NN, as their authors simulate


def s4nn_present(t_in, weights, thresholds, t_max):
    """Firing times of every layer, input first, and the potentials (M, t_max + 1) of the last: whole spike trains, all
    steps at once. weights : per layer (M, n)."""
    times = [np.asarray(t_in)]
    for w, theta in zip(weights, thresholds, strict=True):
        trains = np.zeros((w.shape[1], t_max + 1))
        trains[np.arange(w.shape[1]), times[-1]] = 1
        v = np.cumsum(w @ trains, axis=1)
        crossed = v > theta
        crossed[:, t_max] = True  # who never fires is made to fire at the end
        times.append(np.minimum(crossed.argmax(axis=1) + 1, t_max))
    return times, v


def s4nn_targets(t_out, label, gamma, gamma_silent, t_max):
    first = t_out.min()
    if first == t_max:
        target = np.full(len(t_out), t_max)
        target[label] = int(t_max - gamma_silent)
    else:
        target = t_out.copy()
        target[t_out - first < gamma] = min(first + gamma, t_max)
        target[label] = first
    return target


def s4nn_update(t_in, label, weights, eta, decay, gamma, t_max, v_th=100.0):
    """One online update of S4NN; weights, a list of (M, n), change in place. Returns the firing times."""
    times, _ = s4nn_present(t_in, weights, [v_th] * len(weights), t_max)
    delta = (s4nn_targets(times[-1], label, gamma, gamma, t_max) - times[-1]) / t_max
    for k in reversed(range(len(weights))):
        if np.linalg.norm(delta) != 0:
            delta = delta / np.linalg.norm(delta)
        causal = times[k][None, :] < times[k + 1][:, None]
        weights[k] -= eta[k] * delta[:, None] * causal
        weights[k] -= eta[k] * decay[k] * weights[k]
        delta = (delta[:, None] * causal * weights[k]).sum(axis=0)
    return times


def bs4nn_update(t_in, label, weights, fact, eta, eta_fact, gamma, t_max, v_th=100.0):
    """One online update of BS4NN; weights, a list of (M, n), and fact (layers,) change in place."""
    times, _ = s4nn_present(t_in, [np.sign(w) for w in weights], v_th / fact, t_max)
    delta = (s4nn_targets(times[-1], label, gamma, 0, t_max) - times[-1]) / t_max
    for k in reversed(range(len(weights))):
        if np.linalg.norm(delta) != 0:
            delta = delta / np.linalg.norm(delta)
        causal = times[k][None, :] < times[k + 1][:, None]
        weights[k] -= eta[k] * delta[:, None] * causal
        fact[k] -= (eta_fact * delta[:, None] * causal * np.sign(weights[k])).mean()
        delta = (delta[:, None] * causal * weights[k]).sum(axis=0)
    return times
