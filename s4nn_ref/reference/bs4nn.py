"""BS4NN in plain loops, as its authors' program computes it: S4NN with weights of one bit.

Source: Kheradpisheh, Mirsadeghi and Masquelier (2022) and their program. Spikes pass through the signs of real-valued
weights times a factor per layer, V_j = factor sum_i sign(w_ji), which is a threshold v_th / factor for the sum of
signs. Errors come back through the real-valued weights; the factor is learned too. What is the same as in S4NN is in
s4nn.py. Black pixels fire last, at 255. NumPy only.
"""

import numpy as np

from .s4nn import V_TH, balanced, present, target_times, unit


def encode(intensity, t_max=256, intensity_max=255):
    """A step for each grey level."""
    return np.minimum(intensity_max - intensity, t_max)


def update(t_in, label, weights, factor, rates, gamma, t_max, balance=False):
    """One online update; weights, a list of (M, n), and factor (layers,) change in place. rates : eta and decay,
    each per layer, and the rate of the factors. Returns firing times."""
    eta, decay, eta_factor = rates
    times, _ = present(t_in, [np.sign(w) for w in weights], V_TH / factor, t_max)
    delta = (times[-1] - target_times(times[-1], label, gamma, 0, t_max)) / t_max  # a silent output layer: no error
    delta = balanced(delta, label) if balance else delta
    for k in reversed(range(len(weights))):
        delta = unit(delta)
        causal = times[k][None, :] < times[k + 1][:, None]
        weights[k] += eta[k] * delta[:, None] * causal  # the derivative of the sign is taken as 1
        weights[k] -= eta[k] * decay[k] * weights[k]
        factor[k] += (eta_factor * delta[:, None] * causal * np.sign(weights[k])).mean()
        delta = (delta[:, None] * causal * weights[k]).sum(axis=0)
    return times
