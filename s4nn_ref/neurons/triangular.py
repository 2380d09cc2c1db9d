"""The SRM neuron with triangular postsynaptic potential: a spike lifts V by its weight within RISE, and the lift is
gone FALL later.

    V(t) = sum_i w_i eps(t - t_i),   eps(s) = s / RISE up to RISE, then (RISE + FALL - s) / FALL, 0 before and after

A triangle is three ramps: a spike and two echoes of it, each an input of the linear model (linear.py), whose sums and
exact crossing these are. The derivative is not exact but the one that STiDi-BP uses: V is taken as a line from 0 at
time 0 to the threshold at t_post, so that dt/dV = -t_post / v_th.
Source: Mirsadeghi et al. 2021 (D44). Times are continuous (D33); `sums` is (S, A) of linear.py.
"""

import math

from s4nn_ref.neurons.linear import add, may_fire, potential, start

__all__ = ["add", "crossing", "dt_dt", "dt_dw", "echoes", "integer", "may_fire", "potential", "start"]

RISE, FALL = 40.0, 40.0  # time steps
NEVER = 1e6  # time steps: a crossing beyond it is the rounding of a slope that is 0 after the last echo

integer = False
echoes = ((0.0, 1.0 / RISE), (RISE, -1.0 / RISE - 1.0 / FALL), (RISE + FALL, 1.0 / FALL))


def crossing(sums, v_th):
    slope, moment = sums
    return (v_th + moment) / slope if slope * NEVER > v_th + moment else math.inf


def dt_dw(sums, t_post, t_pre, w):
    """Of one ramp, (t_post - t_pre), times dt/dV; V is the threshold at the spike."""
    return (t_pre - t_post) * t_post / (sums[0] * t_post - sums[1])


def dt_dt(sums, t_post, t_pre, w):
    return w * t_post / (sums[0] * t_post - sums[1])
