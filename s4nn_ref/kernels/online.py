"""Kernels that learn online, one image after the other, in dense layers: what S4NN and BS4NN share.

Their conventions (D26): a neuron fires where V exceeds v_th, its spike leaves one step after the crossing, and a
presynaptic spike counts where it came strictly before the postsynaptic one.
Letters and sums as in output.py. Reference: reference/s4nn.py, reference/bs4nn.py.
"""

from typing import NamedTuple

import numpy as np

from s4nn_ref.kernels.compile import kernel
from s4nn_ref.kernels.lanes import LANES, load_edge, splat, store, where
from s4nn_ref.kernels.output import if_dense, signs_of
from s4nn_ref.kernels.state import State


class Activity(NamedTuple):
    """One image in a dense network.

    t_in   : int16 (1, n), input firing times
    states : per weighted layer a State of one image, (1, M)
    delta  : per weighted layer dE/dt, float64 (M,)
    """

    t_in: np.ndarray
    states: tuple[State, ...]
    delta: tuple[np.ndarray, ...]


def activity(sizes, dtype) -> Activity:
    """Room for one image in layers of these sizes, input first."""
    states = []
    for size in sizes[1:]:
        times, potentials = np.zeros((2, 1, size), np.int16), np.zeros((3, 1, size), dtype)
        states.append(State(times[0], times[1], potentials[0], None, None, potentials[1], potentials[2]))
    return Activity(np.zeros((1, sizes[0]), np.int16), tuple(states), tuple(np.zeros(size) for size in sizes[1:]))


@kernel
def present(t_in, w, binary, v_th, t_max, a):
    """Forward pass of one image: input firing times t_in (n,), weights (n, M), of which only the signs count if binary,
    and thresholds per layer; overwrites a, but for its deltas."""
    a.t_in[0, :] = t_in
    t_pre = a.t_in
    for k in range(len(w)):
        post = a.states[k]
        number = post.v_peak.dtype.type
        exceeding = np.full(t_max, np.nextafter(number(v_th[k]), number(np.inf)))  # V > v_th
        if_dense(t_pre, 0, w[k], binary, exceeding, post)
        t_post = post.t_post[0]
        for j in range(t_post.size):
            t_post[j] += t_post[j] < t_max  # one step after the crossing
        t_pre = post.t_post


@kernel
def normalise(delta):
    """Bring delta (M,) to length 1 in place, unless it is 0."""
    length = np.sqrt((delta**2).sum())
    if length != 0.0:
        delta /= length


@kernel
def causal_update(t_pre, t_post, step, w):
    """w_ji += step_j [t_i < t_j]: Eq. 12 with the strict mask of S4NN.

    t_pre (n,), t_post (M,) : firing times   step : (M,), -eta dE/dt_j dt/dV   w : rows (n, M), changed in place
    """
    latest, zero = t_post.max(), w.dtype.type(0)
    for i in range(t_pre.size):
        if t_pre[i] < latest:
            row, t = w[i], t_pre[i]
            for j in range(t_post.size):
                row[j] += step[j] if t < t_post[j] else zero  # Eq. 12


@kernel
def causal_update_with_signs(t_pre, t_post, step, w, causal):
    """causal_update, and in the same walk the sums of the signs after it.

    t_pre : (n,)   t_post : (1, M)   step : (1, M), of w's type   w : rows (n, M), changed in place
    Overwrites causal (1, M), of w's type, with sum_i [t_i < t_j] sign(w_ji).
    """
    latest, zero, one = t_post.max(), splat(w.dtype.type(0)), splat(w.dtype.type(1))
    causal[:] = 0
    for i in range(t_pre.size):
        if t_pre[i] < latest:
            for first in range(0, t_post.shape[1], LANES):
                later = splat(t_pre[i]) < load_edge(t_post, 0, first)
                row = load_edge(w, i, first) + where(later, load_edge(step, 0, first), zero)  # Eq. 12
                store(w, i, first, row)
                store(causal, 0, first, load_edge(causal, 0, first) + where(later, signs_of(row, zero, one), zero))


@kernel
def causal_delta(t_pre, t_post, delta, w, delta_pre):
    """delta_i = sum_j delta_j w_ji [t_i < t_j]: Eq. 10 with the strict mask of S4NN; overwrites delta_pre (n,)."""
    for i in range(t_pre.size):
        total = 0.0
        for j in range(t_post.size):
            total += delta[j] * w[i, j] if t_pre[i] < t_post[j] else 0.0  # Eq. 10
        delta_pre[i] = total
