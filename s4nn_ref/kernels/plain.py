"""The plain engine: the loops over causal sets, for any neuron model, convolution and dense, compiled as they stand.

One neuron after the other, one input after the other. It is what the fast kernels are measured against, and what runs a
model that has no fast kernels. `compiled(model)` gives the kernels of a model of s4nn_ref/neurons; the loops are those
that s4nn_ref/neurons/__init__.py describes. Letters as in spikes.py; weights are w (M, R), a row for each neuron.
"""

import math
from functools import cache
from typing import NamedTuple

from numba import prange
from numba.extending import register_jitable

from s4nn_ref.kernels.compile import kernel
from s4nn_ref.kernels.output import LATE
from s4nn_ref.kernels.spikes import inputs_of_positions


class Plain(NamedTuple):
    """The kernels of one model; see `compiled`."""

    fire: object
    fire_in_steps: object
    weight_gradient: object
    propagate: object


@cache
def compiled(model) -> Plain:
    """The plain kernels of a neuron model.

    fire(t_pre, w, v_th, t_end, fan, post, v_end)   hidden layers, v_end empty; outputs in continuous time, v_end (B, M)
    fire_in_steps(t_pre, w, threshold, fan, post)   an output layer in integer steps, threshold (t_max,)
    weight_gradient(error, t_pre, w, silent, fan, grad)
    propagate(error, pre, w, silent, geometry, fan, delta_pre)

    t_pre (B, H*W*C); post, pre : State, flat; error : Error without pooling; grad (S, R, M); delta_pre (B, H*W, C)
    """
    start, in_steps, echoes = model.start, model.integer, model.echoes
    add, crossing, potential = (register_jitable(f) for f in (model.add, model.crossing, model.potential))
    dt_dw, dt_dt = register_jitable(model.dt_dw), register_jitable(model.dt_dt)

    @kernel
    def first_crossing(inputs, p, w, v_th, t_end):
        """Of a neuron at position p: its firing time (inf: silent), time and value of its peak, and its potential at
        the last input."""
        time, factor, event, row = inputs.time, inputs.factor, inputs.event[p], inputs.row[p]
        sums, t, t_post, t_peak, v_peak, k, n = start, 1.0, math.inf, -1.0, 0.0, 0, inputs.count[p]
        while k < n and time[event[k]] < t_end:
            t = time[event[k]]
            while k < n and time[event[k]] == t:  # all inputs of one moment before the test
                sums = add(sums, t, factor[event[k]] * w[row[k]])
                k += 1
            if t_post < math.inf:
                continue
            if in_steps and potential(sums, t) > v_peak:  # of a silent neuron; in continuous time it does not learn
                v_peak, t_peak = potential(sums, t), t
            t_cross = crossing(sums, v_th)
            if t <= t_cross < time[event[k]] and t_cross < t_end:
                t_post, t_peak, v_peak = t_cross, t_cross, max(potential(sums, t_cross), v_th) if in_steps else v_th
        return t_post, t_peak, v_peak, potential(sums, t)

    @kernel
    def fire_image(b, t_pre, w, v_th, t_end, fan, post, v_end):
        inputs = inputs_of_positions(t_pre[b], t_end, fan, w.shape[1], echoes)
        for p in range(inputs.count.size):
            for m in range(w.shape[0]):
                t, t_peak, v_peak, end = first_crossing(inputs, p, w[m], v_th, t_end)
                post.t_post[b, p, m] = t if t < t_end else t_end
                post.t_peak[b, p, m], post.v_peak[b, p, m] = t_peak, v_peak
                if v_end.size > 0:
                    v_end[b, m] = end

    @kernel(parallel=True)
    def fire(t_pre, w, v_th, t_end, fan, post, v_end):
        for b in prange(t_pre.shape[0]):
            fire_image(b, t_pre, w, v_th, t_end, fan, post, v_end)

    @kernel
    def fire_in_steps_image(b, t_pre, w, threshold, fan, post):
        t_max = threshold.size
        inputs = inputs_of_positions(t_pre[b], t_max, fan, w.shape[1], echoes)
        time, factor, event, row = inputs.time, inputs.factor, inputs.event[0], inputs.row[0]
        for m in range(w.shape[0]):
            sums, t_post, t_peak, v_peak, k = start, t_max, -1, 0.0, 0
            for t in range(t_max):
                before = k
                while time[event[k]] == t:
                    sums = add(sums, time[event[k]], factor[event[k]] * w[m, row[k]])
                    k += 1
                v = potential(sums, t)
                if t_post == t_max and (k > before or (t > 0 and threshold[t] < threshold[t - 1])):  # D25
                    fires = crossing(sums, threshold[t]) <= t
                    if fires or v > v_peak:
                        t_peak, v_peak = t, v
                    if fires:
                        t_post = t
                if t == max(t_max - LATE, 0):
                    post.v_late[b, m] = v
            post.t_post[b, 0, m], post.t_peak[b, 0, m], post.v_peak[b, 0, m] = t_post, t_peak, v_peak
            post.v_end[b, m] = potential(sums, t_max)

    @kernel(parallel=True)
    def fire_in_steps(t_pre, w, threshold, fan, post):
        for b in prange(t_pre.shape[0]):
            fire_in_steps_image(b, t_pre, w, threshold, fan, post)

    @kernel
    def sums_until(t_mask, inputs, p, w):
        """The sums of a neuron's causal set, and how many inputs that has."""
        time, factor, event = inputs.time, inputs.factor, inputs.event[p]
        sums, k = start, 0
        while k < inputs.count[p] and time[event[k]] <= t_mask:
            sums = add(sums, time[event[k]], factor[event[k]] * w[inputs.row[p, k]])
            k += 1
        return sums, k

    @kernel
    def weight_gradient_image(g, t_mask, t_pre, w, silent, fan, grad):
        inputs = inputs_of_positions(t_pre, silent, fan, w.shape[1], echoes)
        for p in range(inputs.count.size):
            for m in range(w.shape[0]):
                if g[p, m] == 0:
                    continue
                sums, causal = sums_until(t_mask[p, m], inputs, p, w[m])
                for k in range(causal):
                    r, i = inputs.row[p, k], inputs.event[p, k]
                    g_k = g[p, m] * inputs.factor[i]
                    grad[r, m] += g_k * dt_dw(sums, t_mask[p, m], inputs.time[i], w[m, r])  # Eqs. 8 and 12

    @kernel(parallel=True)
    def weight_gradient(error, t_pre, w, silent, fan, grad):
        n, n_shards = t_pre.shape[0], min(grad.shape[0], t_pre.shape[0])
        for shard in prange(n_shards):
            for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
                weight_gradient_image(error.g[b], error.t_mask[b], t_pre[b], w, silent, fan, grad[shard])

    @kernel
    def of_input(sums, t_mask, t_pre, w):
        """Derivative of a firing time with respect to an input's, and its echoes' (Eq. 10)."""
        total = 0.0
        for e in range(len(echoes)):
            if t_pre >= 0 and t_pre + echoes[e][0] <= t_mask:
                total += echoes[e][1] * dt_dt(sums, t_mask, t_pre + echoes[e][0], w)
        return total

    @kernel
    def propagate_image(g, t_mask, t_pre, t_peak_pre, w, silent, geometry, fan, delta_pre):
        c = geometry
        inputs = inputs_of_positions(t_pre.ravel(), silent, fan, w.shape[1], echoes)
        delta_pre[:, :] = 0
        for p in range(inputs.count.size):
            y_first, x_first = p // c.width_post * c.stride - c.pad_top, p % c.width_post * c.stride - c.pad_left
            for m in range(w.shape[0]):
                if g[p, m] == 0:
                    continue
                sums, _ = sums_until(t_mask[p, m], inputs, p, w[m])
                for ky in range(max(0, -y_first), min(c.kernel_height, c.height - y_first)):
                    for kx in range(max(0, -x_first), min(c.kernel_width, c.width - x_first)):
                        pixel, r = (y_first + ky) * c.width + x_first + kx, (ky * c.kernel_width + kx) * c.maps_pre
                        for i in range(c.maps_pre):  # D6: a silent neuron takes its error at its peak
                            t_i = t_peak_pre[pixel, i]
                            delta_pre[pixel, i] += g[p, m] * of_input(sums, t_mask[p, m], t_i, w[m, r + i])  # Eq. 10

    @kernel(parallel=True)
    def propagate(error, pre, w, silent, geometry, fan, delta_pre):
        for b in prange(delta_pre.shape[0]):
            propagate_image(
                error.g[b], error.t_mask[b], pre.t_post[b], pre.t_peak[b], w, silent, geometry, fan, delta_pre[b]
            )

    return Plain(fire, fire_in_steps, weight_gradient, propagate)
