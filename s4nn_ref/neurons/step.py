"""The non-leaky IF neuron of DS4NN: a spike lifts the potential by its weight, at once and for good.

Source: Mirsadeghi et al. 2023, section 2. `sums` is (potential, time of the last input).
"""

import math

integer = True
echoes = ((0.0, 1.0),)
start = (0.0, -1.0)


def add(sums, t_pre, w):
    """The potential after one more input spike (Eq. 2)."""
    v, _ = sums
    return v + w, float(t_pre)  # Eq. 2


def crossing(sums, v_th):
    """The neuron fires in the step of the input that brings it to the threshold (Eq. 3)."""
    v, t_last = sums
    return t_last if v >= v_th else math.inf  # Eq. 3


def dt_dw(sums, t_post, t_pre, w):
    """dt/dV dV/dw: the paper's surrogate of -1, times a spike that has come (Eqs. 8 and 12)."""
    return -1.0  # Eqs. 8 and 12


def dt_dt(sums, t_post, t_pre, w):
    """dt/dV dV/dt_pre: a later input takes its weight from the potential, so the spike comes later (Eq. 10)."""
    return w  # Eq. 10


def potential(sums, t):
    """V, which does not change between inputs."""
    return sums[0]
