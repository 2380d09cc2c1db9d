"""DS4NN in plain loops: an algorithmic reference, to be read beside section 2 of the paper, not to be fast.

Equations 1-12 of Mirsadeghi, Shalchian and Kheradpisheh (2023) stand here once each, in the paper's symbols: the
forward pass in its order, the backward pass below it; there read `backward` first. The kernels compute the same
thousands of times faster; the tests compare each of them with this file, and this file with cases worked by hand.
NumPy only; nothing of the package is imported.

Letters: j is the postsynaptic neuron, i the presynaptic one, w_ji the weight between them, as in Eq. 2 (D32: the
paper turns them round in Eqs. 10 and 12). Times are integer steps; t_max means silent. A layer's arrays are (H, W, M),
its weights w are (M, K_y, K_x, C); a dense layer is the convolution whose kernel covers the whole layer below. One
image at a time. D-numbers are choices and departures: docs/deviations.md.

>>> images, labels = np.zeros((2, 6, 6, 1)), [0, 1]
>>> images[0, :, :3], images[1, :, 3:] = 255, 255  # the left half is white; the right half
>>> rng = np.random.default_rng(0)
>>> layers = [Weighted(rng.uniform(-10, 60, (4, 3, 3, 1))), 2, Weighted(rng.uniform(0, 20, (2, 2, 2, 4)))]
>>> def decisions():
...     return [int(forward(encode(image, 20), layers, 100.0, 20)[-1].t.argmin()) for image in images]
>>> decisions()
[0, 0]
>>> for _ in range(20):
...     for image, label in zip(images, labels):
...         learn(image, label, layers, eta=5.0, lam=10, v_th=100.0, t_max=20)
>>> decisions()
[0, 1]
"""

from typing import NamedTuple

import numpy as np


class Weighted(NamedTuple):
    """A convolution or dense layer of IF neurons. A pooling layer is just the side of its window, an int."""

    w: np.ndarray  # (M, K_y, K_x, C), potential units
    stride: int = 1
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # rows above and below, columns left and right


class Firing(NamedTuple):
    """What a layer did: firing times, and the peak of each potential, from which silent neurons learn."""

    t: np.ndarray  # (H, W, M) firing time; t_max: silent
    t_peak: np.ndarray  # step of the largest potential: of the spike, where it fired; -1: never above 0
    v_peak: np.ndarray  # that potential; where the neuron fired, the one at its spike


# ------------------------------------------------------------------------------------- 2.1 forward path


def encode(intensity, t_max, intensity_max=255):
    """Brighter pixels fire earlier; black ones, at t_max, never do (D3)."""
    return (intensity_max - intensity.astype(int)) * t_max // intensity_max  # Eq. 1; D1: [x] is the floor


def synapses(shape_pre, layer, y, x):
    """The synapses of the neurons at position (y, x): (y_i, x_i) of the pixel below, and (k_y, k_x) in the kernel."""
    for k_y, k_x in np.ndindex(layer.w.shape[1:3]):
        y_i, x_i = y * layer.stride + k_y - layer.padding[0], x * layer.stride + k_x - layer.padding[2]
        if 0 <= y_i < shape_pre[0] and 0 <= x_i < shape_pre[1]:
            yield y_i, x_i, k_y, k_x


def fire(t_pre, layer, v_th, t_max):
    """Firing of a layer of IF neurons, step by step. t_pre : (H, W, C)"""
    top, bottom, left, right = layer.padding
    maps, rows, columns, _ = layer.w.shape
    height = (t_pre.shape[0] + top + bottom - rows) // layer.stride + 1
    width = (t_pre.shape[1] + left + right - columns) // layer.stride + 1
    t, t_peak = np.full((height, width, maps), t_max), np.full((height, width, maps), -1)
    v_peak = np.zeros((height, width, maps))
    for y, x, j in np.ndindex(t.shape):
        v = 0.0
        for step in range(t_max):  # D3: nothing fires at t_max
            for y_i, x_i, k_y, k_x in synapses(t_pre.shape, layer, y, x):
                spikes = t_pre[y_i, x_i] == step  # S_i(t) of all maps of the pixel
                v = v + spikes @ layer.w[j, k_y, k_x]  # Eq. 2
            if v > v_peak[y, x, j]:
                t_peak[y, x, j], v_peak[y, x, j] = step, v
            if v >= v_th:
                t[y, x, j] = step  # Eq. 3; D2: in the step of the crossing, without delay
                break  # it fires once
    return Firing(t, t_peak, v_peak)


def pool(pre, window, by_potential=False):
    """Spike-pooling: the earliest neuron of each window passes its spike on (section 2.1).

    Returns the Firing of the pooling neurons and (H, W, M, 2), the place (y, x) of the neuron that each passed on.
    Ties go to the lowest index, or to the largest potential (D8).
    """
    height, width, maps = pre.t.shape[0] // window, pre.t.shape[1] // window, pre.t.shape[2]
    winner = np.zeros((height, width, maps, 2), int)
    for y, x, c in np.ndindex(height, width, maps):
        places = [(y * window + a, x * window + b) for a, b in np.ndindex(window, window)]
        winner[y, x, c] = min(places, key=lambda p: (pre.t[*p, c], -pre.v_peak[*p, c] if by_potential else 0))
    index = winner[..., 0], winner[..., 1], np.arange(maps)
    return Firing(pre.t[index], pre.t_peak[index], pre.v_peak[index]), winner


def forward(t_in, layers, v_th, t_max, by_potential=False):
    """Firing of the input and of every layer. The output neuron that fires first decides (ties and silence: D20)."""
    states = [Firing(t_in, t_in, np.zeros(t_in.shape))]  # no error reaches the input, so its peaks do not matter
    for layer in layers:
        pre = states[-1]
        is_pool = isinstance(layer, int)
        states.append(pool(pre, layer, by_potential)[0] if is_pool else fire(pre.t, layer, v_th, t_max))
    return states


# ------------------------------------------------------------------------------------ 2.2 backward path


def target_times(t_out, label, lam, t_max):
    """Targets relative to the earliest and the latest output, clipped to [0, t_max]."""
    tau_min, tau_max = t_out.min(), t_out.max()
    early, late = max(tau_min - lam, 0), min(tau_max + lam, t_max)
    return np.array([early if k == label else late for k in range(len(t_out))])  # Eq. 4


def temporal_error(t_out, label, lam, t_max):
    """Error of each output neuron, in units of t_max (D7)."""
    return (t_out - target_times(t_out, label, lam, t_max)) / t_max  # Eq. 5


def cost(e):
    """E, the quantity whose gradient is taken; it is not needed to take it."""
    return 0.5 * (e**2).sum()  # Eq. 6


def minus_dt_dv(v_peak, v_th, surrogate="fired"):
    """-dt/dV of one neuron: 1, as that of a ReLU, where it fired. D5: "window" and "window-silent" are ours."""
    window = max(0.0, 1.0 - abs(v_peak - v_th) / v_th)
    of_fired, of_silent = {"fired": (1.0, 0.0), "window": (window, window), "window-silent": (1.0, window)}[surrogate]
    return of_fired if v_peak >= v_th else of_silent


def normalise(g, kind="none"):
    """Divide the errors of a layer by their sum. D4: "signed-sum" is what the paper prints."""
    sums = {"none": 1.0, "signed-sum": g.sum(), "l1": np.abs(g).sum(), "l2": np.sqrt((g**2).sum())}
    return g / sums[kind] if sums[kind] != 0 else g  # Eq. 11


def synaptic_error(delta, v_peak, v_th, surrogate="fired", kind="none"):
    """The first two factors of Eq. 8, dE/dt dt/dV without its sign, normalised over the layer (D4)."""
    k = [minus_dt_dv(v, v_th, surrogate) for v in v_peak.ravel()]
    return normalise(delta * np.reshape(k, delta.shape), kind)


def gradients(g, t_mask, pre, layer, t_max):
    """Weight gradient of a layer and delta of the layer below.

    g, t_mask : (H, W, M), synaptic error, and the last step whose inputs count for the neuron: that of its peak (D6).
    Returns dE/dw, dE/dt_pre. Eq. 12 needs a spike of i; Eq. 10 also reaches a silent i, at its own peak (D6).
    """
    dw, delta_pre = np.zeros(layer.w.shape), np.zeros(pre.t.shape)
    for y, x, j in np.ndindex(g.shape):
        for y_i, x_i, k_y, k_x in synapses(pre.t.shape, layer, y, x):
            for i in range(pre.t.shape[2]):
                t_i, t_peak_i, w_ji = pre.t[y_i, x_i, i], pre.t_peak[y_i, x_i, i], layer.w[j, k_y, k_x, i]
                dv_dw = 1.0 if t_i <= t_mask[y, x, j] and t_i < t_max else 0.0  # Eq. 12; D9: any spike until then
                dw[j, k_y, k_x, i] += g[y, x, j] * -1.0 * dv_dw  # Eq. 8: dt/dV is negative
                if 0 <= t_peak_i <= t_mask[y, x, j]:
                    delta_pre[y_i, x_i, i] += g[y, x, j] * w_ji  # Eq. 10: dt/dV dV/dt_i = (-1)(-w_ji)
    return dw, delta_pre


def backward(states, layers, e, v_th, t_max, surrogate="fired", kind="none", by_potential=False):
    """dE/dw of every weighted layer, from the last to the first; delta is the error of the firing times."""
    dw = [None] * len(layers)
    delta = e.reshape(states[-1].t.shape)  # Eqs. 7 and 9: delta = dE/dt = e
    v_peak = np.full(delta.shape, v_th)  # an output takes its error whether it fired or not (D5) ...
    t_mask = np.minimum(states[-1].t, t_max - 1)  # ... and for a silent one every input spike is causal (D6)
    for n in reversed(range(len(layers))):
        pre, layer = states[n], layers[n]
        if isinstance(layer, int):
            _, winner = pool(pre, layer, by_potential)
            below = np.zeros(pre.t.shape)
            below[winner[..., 0], winner[..., 1], np.arange(delta.shape[2])] = delta  # to the neuron that was passed on
            delta = below
        else:
            g = synaptic_error(delta, v_peak, v_th, surrogate, kind)
            dw[n], delta = gradients(g, t_mask, pre, layer, t_max)
        v_peak, t_mask = pre.v_peak, pre.t_peak
    return dw


def learn(image, label, layers, eta, lam, v_th, t_max, surrogate="window-silent"):
    """One step of gradient descent from one image, in place: as the faithful experiments, but for Adam and batches."""
    states = forward(encode(image, t_max), layers, v_th, t_max)
    e = temporal_error(states[-1].t.ravel(), label, lam, t_max)
    for layer, dw in zip(layers, backward(states, layers, e, v_th, t_max, surrogate), strict=True):
        if dw is not None:
            layer.w[...] -= eta * dw
