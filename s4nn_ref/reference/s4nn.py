"""S4NN in plain loops, as its authors' program computes it: DS4NN is "the modified version of S4NN".

Source: Kheradpisheh and Masquelier (2020) and their program, whose conventions differ from DS4NN's (D26): a neuron
fires where V exceeds the threshold, its spike leaves one step later, a spike counts where it came strictly before,
deltas are brought to length 1, and a hidden layer's delta is made with weights that are already changed. Letters as in
ds4nn.py: j postsynaptic, i presynaptic; w (M, n) per layer. One image at a time. NumPy only.
"""

import numpy as np

V_TH = 100.0  # threshold, potential units


def encode(intensity, t_max=256, intensity_max=255):
    """Bright pixels first; black ones are silent."""
    return np.floor((intensity_max - intensity) * t_max / intensity_max).astype(int)


def present(t_in, weights, thresholds, t_max):
    """Firing times of every layer, input first, and the potentials (M, t_max + 1) of the last, as if none had fired."""
    times = [np.asarray(t_in)]
    for w, v_th in zip(weights, thresholds, strict=True):
        n_post, t_pre = len(w), times[-1]
        t_post, potential = np.full(n_post, t_max), np.zeros((n_post, t_max + 1))
        v = np.zeros(n_post)
        for t in range(t_max + 1):
            v = v + w @ (t_pre == t)
            potential[:, t] = v
            crosses = (v > v_th) & (t_post == t_max) & (t < t_max)
            t_post[crosses] = t + 1  # a step after the crossing; at t_max: silent
        times.append(t_post)
    return times, potential


def target_times(t_out, label, gamma, gamma_silent, t_max):
    """The label's target is the first firing time; outputs that fire less than gamma after it shall wait until then;
    the rest have no error. In a silent output layer the label shall fire gamma_silent before the end."""
    first = t_out.min()
    if first == t_max:
        target = np.full(len(t_out), t_max)
        target[label] = int(t_max - gamma_silent)
    else:
        target = t_out.copy()
        target[t_out - first < gamma] = min(first + gamma, t_max)
        target[label] = first
    return target


def balanced(delta, label):
    """delta with that of the label as large as those of the others together, if they have any (ours, D46)."""
    others = delta.sum() - delta[label]
    return np.where((np.arange(len(delta)) == label) & (others != 0), -others, delta)


def unit(delta):
    """delta, brought to length 1 unless it is 0."""
    length = np.linalg.norm(delta)
    return delta / length if length != 0 else delta


def update(t_in, label, weights, rates, gamma, t_max, balance=False):
    """One online update; weights, a list of (M, n), change in place. rates : eta and decay, each per layer. Returns
    firing times."""
    eta, decay = rates
    times, _ = present(t_in, weights, [V_TH] * len(weights), t_max)
    delta = (times[-1] - target_times(times[-1], label, gamma, gamma, t_max)) / t_max  # dE/dt
    delta = balanced(delta, label) if balance else delta
    for k in reversed(range(len(weights))):
        delta = unit(delta)
        causal = times[k][None, :] < times[k + 1][:, None]  # [t_i < t_j]; every spike is causal for a silent neuron
        weights[k] += eta[k] * delta[:, None] * causal  # dt/dV = -1: later than the target, so more weight
        weights[k] -= eta[k] * decay[k] * weights[k]
        delta = (delta[:, None] * causal * weights[k]).sum(axis=0)
    return times
