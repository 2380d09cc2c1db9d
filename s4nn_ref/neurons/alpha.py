"""The IF neuron with alpha-shaped postsynaptic potential.

    V(t) = sum_i w_i (t - t_i) exp(-K (t - t_i)) = exp(-K t) (A t - B)
    A = sum w_i exp(K t_i),   B = sum w_i t_i exp(K t_i)        of the inputs that have come
    t_post = B / A - u / K,   u = W0(-K v_th / A exp(K B / A))  W0 the main branch of the Lambert function

Where the argument of W0 is below -1/e the potential does not reach the threshold. Between W0 = -1 and 0 lies the rising
crossing. Derivatives are clipped: at u = -1 the potential touches the threshold, and they are infinite.
Source: Comsa et al. 2020, and the authors' program, whose values K and CLIP are (D33). `sums` is (A, B).
"""

import math

import numpy as np

integer = False
echoes = ((0.0, 1.0),)
start = (0.0, 0.0)

K = 0.18176949150701854  # 1 / time constant
CLIP = 539.69973904211679


def add(sums, t_pre, w):
    a, b = sums
    grown = w * math.exp(K * t_pre)
    return a + grown, b + grown * t_pre


def may_fire(sums, t_last, t_next, v_th):
    """Above A t_next - B the rising factor does not get, and the falling one is largest at t_last."""
    return (sums[0] > 0.0) & ((sums[0] * t_next - sums[1]) * math.exp(-K * t_last) >= v_th)


def crossing(sums, v_th):
    a, b = sums
    if a <= 0.0:
        return math.inf
    x = -K * v_th / a * math.exp(K * b / a)
    distance = 2.0 * (1.0 + math.e * x)  # from the branch point
    if not distance >= 0.0:
        return math.inf
    u = -1.0 + math.sqrt(distance) if distance < 1.0 else x / (1.0 + x)
    for _ in range(30):  # Halley's rule
        e = math.exp(u)
        miss = u * e - x
        if u <= -1.0 or miss == 0.0:
            break
        step = miss / (e * (u + 1.0) - (u + 2.0) * miss / (2.0 * u + 2.0))
        u -= step
        if abs(step) < 1e-14 * (1.0 + abs(u)):
            break
    return b / a - u / K


def dt_dw(sums, t_post, t_pre, w):
    a, b = sums
    slope = a + K * (b - a * t_post)  # A (1 + u)
    return np.minimum(np.maximum(math.exp(K * t_pre) * (t_pre - t_post) / slope, -CLIP), CLIP)


def dt_dt(sums, t_post, t_pre, w):
    a, b = sums
    slope = a + K * (b - a * t_post)
    return np.minimum(np.maximum(w * math.exp(K * t_pre) * (K * (t_pre - t_post) + 1.0) / slope, -CLIP), CLIP)


def potential(sums, t):
    return math.exp(-K * t) * (sums[0] * t - sums[1])
