"""STiDi-BP in plain loops: triangular postsynaptic potentials, and target times in every layer.

Source: Mirsadeghi, Shalchian, Kheradpisheh, Masquelier 2021; what is known of it, and what is ours: D44. Letters as in
ds4nn.py: j postsynaptic, i presynaptic; w (M, n) per layer; inf is silent. One image at a time. NumPy only.
"""

import numpy as np

RISE, FALL = 40.0, 40.0  # tau_1 and tau_2, time steps


def eps(s, rise=RISE, fall=FALL):
    """Postsynaptic potential, s after the spike: up to 1 and down again."""
    return np.clip(np.minimum(s / rise, (rise + fall - s) / fall), 0.0, None)


def slope(s):
    """Of eps."""
    return np.where((s >= 0) & (s < RISE), 1 / RISE, 0.0) - np.where((s >= RISE) & (s < RISE + FALL), 1 / FALL, 0.0)


def first_spike(t_pre, w, v_th, rise=RISE, fall=FALL):
    """The potential is a polygon: the first of its edges that reaches the threshold, and the time when it does."""
    t_pre, w = t_pre[np.isfinite(t_pre)], w[np.isfinite(t_pre)]
    knots = np.unique(np.concatenate([t_pre, t_pre + rise, t_pre + rise + fall]))
    v = [(w * eps(knot - t_pre, rise, fall)).sum() for knot in knots]
    for k in range(len(knots) - 1):
        if v[k] < v_th <= v[k + 1]:
            return knots[k] + (v_th - v[k]) / (v[k + 1] - v[k]) * (knots[k + 1] - knots[k])
    return np.inf


def present(t_in, weights, v_th):
    """Firing times of every layer, input first."""
    times = [np.asarray(t_in, float)]
    for w in weights:
        times.append(np.array([first_spike(times[-1], w_j, v_th) for w_j in w]))
    return times


def balanced(e, label):
    """The errors of the wrong outputs, weighted so that together they are as large as the label's (D44)."""
    wrong = np.arange(len(e)) != label
    total = np.abs(e[wrong]).sum()
    return np.where(wrong, e * (abs(e[label]) / total if total else 0.0), e)


def gradients(times, weights, e, beta, v_th, t_max):
    """dE/dw of every layer. e : (t - T) / t_max of the outputs, T their targets."""
    grads = []
    for w, t_pre, t_post in zip(weights[::-1], times[-2::-1], times[:0:-1], strict=True):
        grad, below = np.zeros(w.shape), np.zeros(len(t_pre))
        for j in np.flatnonzero(np.isfinite(t_post)):  # a silent neuron takes no error
            dt_dv, seen = -t_post[j] / v_th, np.isfinite(t_pre)  # V as a line from 0 to the threshold
            since = t_post[j] - t_pre[seen]
            grad[j, seen] = e[j] * dt_dv * eps(since)
            below[seen] += e[j] * dt_dv * -w[j, seen] * slope(since)
        grads.insert(0, grad)
        t = np.minimum(t_pre, t_max)
        target = np.clip(t - beta * below, 0, t_max)  # displaced against the error
        e = (t - target) / t_max
    return grads
