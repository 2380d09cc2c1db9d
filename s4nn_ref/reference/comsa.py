"""Comsa's neuron, in plain loops (Comsa et al. 2020).

An input spike starts an alpha-shaped potential: V_j(t) = sum_i w_ji (t - t_i) exp(-K (t - t_i)). The first crossing is
sought by halving here, on the rising side of the peak; neurons/alpha.py has it in closed form. The loops are those of
relpsp.py, the pulses are inputs like others. Letters as there.
"""

import numpy as np

K = 0.18176949150701854  # 1 / time constant, of the authors' program
CLIP = 539.69973904211679  # of a derivative, there too


def potential(t, t_pre, w):
    """V of a causal set at time t."""
    return (w * (t - t_pre) * np.exp(-K * (t - t_pre))).sum()


def crossing(t_pre, w, v_th=1.0):
    """exp(-K t) (A t - B) rises from 0 at B / A to its peak 1 / K later, where A > 0."""
    a, b = (w * np.exp(K * t_pre)).sum(), (w * t_pre * np.exp(K * t_pre)).sum()
    if a <= 0 or potential(b / a + 1 / K, t_pre, w) < v_th:
        return np.inf
    low, high = b / a, b / a + 1 / K
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if potential(middle, t_pre, w) >= v_th else (middle, high)
    return high


def derivatives(t_post, t_pre, w):
    """Minus what V changes by, divided by the slope of V at the crossing, clipped."""
    decay = np.exp(-K * (t_post - t_pre))
    slope = (w * (1 - K * (t_post - t_pre)) * decay).sum()
    dt_dw = -(t_post - t_pre) * decay / slope
    dt_dt = w * (1 - K * (t_post - t_pre)) * decay / slope
    return np.clip(dt_dw, -CLIP, CLIP), np.clip(dt_dt, -CLIP, CLIP)


def silence_gradient(t_post, n_pre, silence):
    """-silence in every weight of a neuron that did not fire, (M, n)."""
    return np.where(np.isinf(t_post), -silence, 0.0)[:, None] * np.ones(n_pre)
