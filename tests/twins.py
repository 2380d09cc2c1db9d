"""Independent twins of what s4nn_ref/reference does not hold: extensions of ours, as they are defined, step by step.

NumPy only; nothing of the package is imported: what is wrong there must not be wrong here. One image at a time. Letters
as in reference/ds4nn.py: w is (M, n), w_ji the weight from the presynaptic neuron i to the postsynaptic neuron j.
"""

import numpy as np

# ------------------------------------------------------------------- an output layer with a collapsing threshold (D25)


def potentials(t_pre, w, t_max):
    """Potentials of a dense layer's neurons in every step, as if none had fired. t_pre (n,), w (M, n) -> (t_max, M)"""
    spikes = np.arange(t_max)[:, None] == t_pre
    return np.cumsum(spikes @ w.T, axis=0)


def if_neuron(v, threshold):
    """Firing time of one neuron, step and value of its peak, from its potential and the threshold in every step, both
    (t_max,). Silent: t_max. The peak is that until the spike; never above 0: -1 and 0."""
    t_peak, v_peak = -1, 0.0
    for t in range(len(v)):
        if v[t] >= threshold[t]:
            return t, t, v[t]
        if v[t] > v_peak:
            t_peak, v_peak = t, v[t]
    return len(v), t_peak, v_peak


def if_output(t_pre, w, threshold, late=3):
    """An output layer: t_post, t_peak, v_peak, the potential at the end, and that `late` steps before it; all (M,)."""
    v = potentials(t_pre, w, len(threshold))
    firing = np.array([if_neuron(of_one, threshold) for of_one in v.T])
    return *firing.T, v[-1], v[max(len(threshold) - late, 0)]


# ------------------------------------------------------------------------------- the first-spike loss (D15, D21, D30)


def first_spike_cost(v, label, threshold, noise, final_potentials=0.0, latency_penalty=0.0):
    """-log of the probability that output `label` fires first with escape noise, where a decision in step s is worth
    exp(-latency_penalty s); plus `final_potentials` times the cross-entropy of the last potentials and threshold.

    v : (t_max, M)   threshold : (t_max,)
    """
    hazard = np.exp((v - threshold[:, None]) / noise)
    survival, right = 1.0, 0.0
    for s, r in enumerate(hazard):
        right += survival * (1 - np.exp(-r.sum())) * r[label] / r.sum() * np.exp(-latency_penalty * s)
        survival *= np.exp(-r.sum())
    last = np.exp((np.append(v[-1], threshold[-1]) - max(v[-1].max(), threshold[-1])) / noise)
    return -np.log(right) - final_potentials * np.log(last[label] / last.sum())


def first_spike_backward(t_pre, t_peak_pre, w, label, threshold, keys):
    """The same loss through the output layer, for one image: cost, dE/dt_pre (n,), dE/dw (M, n).

    t_pre, t_peak_pre : (n,)   keys : noise, final_potentials, latency_penalty. dE/dV by central differences
    """
    v = potentials(t_pre, w, len(threshold))
    error = np.zeros(v.shape)
    for index in np.ndindex(v.shape):
        step = np.zeros(v.shape)
        step[index] = 1e-4
        up, down = (first_spike_cost(v + sign * step, label, threshold, *keys) for sign in (1, -1))
        error[index] = (up - down) / 2e-4
    delta, dw = np.zeros(len(t_pre)), np.zeros(w.shape)
    for j, i in np.ndindex(w.shape):
        if t_pre[i] < len(threshold):
            dw[j, i] = error[t_pre[i] :, j].sum()
        delta[i] -= w[j, i] * error[t_peak_pre[i] :, j].sum()
    return first_spike_cost(v, label, threshold, *keys), delta, dw


# ----------------------------------------------------------------------------------------- augmentation of the images


def apply_map(image, affine):
    """Nearest-neighbour resampling of one image (H, W) or (H, W, C). affine (2, 3)"""
    height, width = image.shape[:2]
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    out = np.zeros_like(image)
    for y, x in np.ndindex(height, width):
        yy, xx = np.floor(affine[:, :2] @ (np.array([y, x]) - centre) + affine[:, 2] + centre + 0.5).astype(int)
        if 0 <= yy < height and 0 <= xx < width:
            out[y, x] = image[yy, xx]
    return out
