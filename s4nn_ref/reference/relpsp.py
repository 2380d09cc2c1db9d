"""Single-spike neurons in continuous time, in plain loops, with ReL-PSP as the first of three models.

An input spike starts a postsynaptic potential that rises linearly for ever: V_j(t) = sum_i w_ji max(0, t - t_i). V
reaches the threshold at a time that is a formula of the inputs before it, and that formula is differentiated: nothing
is smoothed. Source: Zhang et al. 2022; the settings are ours (D38). mostafa.py and comsa.py use the same loops with
other formulas. Letters as in ds4nn.py: j postsynaptic, i presynaptic; w (M, n) per layer; inf is silent. One image at a
time. NumPy only.
"""

import numpy as np


def first_spike(t_pre, w, crossing):
    """Firing time of one neuron, and its causal set, a mask (n,): the first prefix of the inputs, in the order of time,
    whose crossing comes after them all and before the next.

    t_pre, w : (n,)   crossing : function(t_pre, w) of a causal set -> time, inf where there is none
    """
    for t_last in np.unique(t_pre[np.isfinite(t_pre)]):
        causal = t_pre <= t_last
        t = crossing(t_pre[causal], w[causal])
        if t_last <= t < t_pre[~causal].min(initial=np.inf):
            return t, causal
    return np.inf, np.zeros(t_pre.shape, bool)


def present(t_in, weights, crossing):
    """Firing times of every layer, input first, and the causal sets (M, n) of every layer but the input."""
    times, causal = [np.asarray(t_in, float)], []
    for w in weights:
        spikes = [first_spike(times[-1], w_j, crossing) for w_j in w]
        times.append(np.array([t for t, _ in spikes]))
        causal.append(np.array([mask for _, mask in spikes]))
    return times, causal


def output_error(t_out, label):
    """dE/dt of the outputs, E = -log p_label, p the softmax of -t: [j = label] - p_j; a silent output has p = 0."""
    p = np.exp(min(t_out.min(), 1e300) - t_out)
    return (np.arange(len(t_out)) == label) - p / max(p.sum(), 1.0)


def gradients(times, causal, weights, delta, derivatives):
    """dE/dw of every layer, from dE/dt of the outputs.

    derivatives : function(t_post, t_pre, w) of a causal set -> dt_post/dw, dt_post/dt_pre
    """
    grads = []
    for w, t_pre, t_post, masks in zip(weights[::-1], times[-2::-1], times[:0:-1], causal[::-1], strict=True):
        grad, below = np.zeros(w.shape), np.zeros(len(t_pre))
        for j in np.flatnonzero(np.isfinite(t_post)):  # a silent neuron takes no error
            c = masks[j]
            dt_dw, dt_dt = derivatives(t_post[j], t_pre[c], w[j, c])
            grad[j, c] = delta[j] * dt_dw
            below[c] += delta[j] * dt_dt
        grads.insert(0, grad)
        delta = below
    return grads


def crossing(t_pre, w, v_th=1.0):
    """V(t) = S t - sum w_i t_i with S = sum w_i, until the next input: it rises through v_th where S > 0."""
    return (v_th + (w * t_pre).sum()) / w.sum() if w.sum() > 0 else np.inf


def derivatives(t_post, t_pre, w):
    """Of the crossing; S is the slope of V."""
    return (t_pre - t_post) / w.sum(), w / w.sum()
