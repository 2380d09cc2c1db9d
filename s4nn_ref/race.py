"""The race to the first output spike, smoothed: cross-entropy of the class that fires first (D15).

Eq. 4 tells each output neuron when to fire. This error asks only who fires first, which is what the decision asks. Let
the outputs fire with escape noise (Gerstner and Kistler 2002, section 5.3): output i has the hazard
r_i(s) = exp((V_i(s) - theta(s)) / noise) in step s, theta the threshold, which may fall (D25), and R = sum_i r_i. Then

    survival     S(s)   = exp(-sum_{u <= s} R(u))
    decision     q(s)   = S(s-1) (1 - exp(-R(s)))             probability that the first spike comes in step s
    winner       p_i(s) = r_i(s) / R(s)                       softmax of V(s) / noise
    right        P      = sum_s q(s) p_label(s) exp(-haste s)
    cost         E      = -log P

so a silent network is as wrong as one that fires for the wrong class, and where waiting would make the decision better,
dE/dR says so: it weighs the decision now against those to come. A step of waiting costs `haste` (D30; 0: nothing). With
noise -> 0 this is the deterministic first spike.

The last potentials may teach beside the race (D21): with `readout` > 0 the cross-entropy of a softmax of V(t_max - 1) /
noise is added with that weight, in which the threshold stands as one competitor more. It reaches the hidden neurons
that fire behind the decision too, and lifts the label's potential above threshold: hardly an image stays silent.

dE/dV_i(s) is an error at every step, not at the spike alone; Eqs. 10 and 12 then read, with the same causal masks,
    dE/dw_ij = D_i(t_j),   delta_j = -sum_i w_ij D_i(t_j),   D_i(t) = sum_{s >= t} dE/dV_i(s).
Derivation: docs/derivation.md. Oracle: tests/oracle.py::race_cost, race_backward.
"""

import numpy as np
from numba import njit, prange

from s4nn_ref.dense import output_potentials

_LARGEST = 30.0  # of (V - v_th) / noise in a hazard: far beyond certainty, far below overflow


@njit(cache=True, error_model="numpy")
def race_cost(v, label, bound, noise, readout, haste, error):
    """Cost of the smoothed race; overwrites error (t_max, classes) with dE/dV.

    v : (t_max, classes), output potentials at every step   bound : (t_max,), the threshold in each (D25)
    """
    steps, classes = v.shape
    winner = np.empty((steps, classes))  # p_i(s)
    rate, first, later = np.empty(steps), np.empty(steps), np.empty(steps)  # R(s), q(s), S(s)
    survival, right = 1.0, 0.0
    for s in range(steps):
        largest = v[s].max()
        total = 0.0
        for i in range(classes):
            winner[s, i] = np.exp((v[s, i] - largest) / noise)
            total += winner[s, i]
        for i in range(classes):
            winner[s, i] /= total
        rate[s] = total * np.exp(min((largest - bound[s]) / noise, _LARGEST))  # D15, D25
        later[s] = survival * np.exp(-rate[s])
        first[s] = -survival * np.expm1(-rate[s])
        right += first[s] * winner[s, label] * np.exp(-haste * s)
        survival = later[s]
    right = max(right, 1e-300)
    behind = 0.0  # probability of a right decision after step s
    for s in range(steps - 1, -1, -1):
        now = winner[s, label] * np.exp(-haste * s)
        gain = later[s] * now - behind  # dP/dR(s): decide now, or later?
        for i in range(classes):
            same = 1.0 if i == label else 0.0
            change = first[s] * now * (same - winner[s, i]) + rate[s] * winner[s, i] * gain
            error[s, i] = -change / (noise * right)
        behind += first[s] * now
    last = rate[steps - 1] / (rate[steps - 1] + 1.0)  # D21: against the threshold
    for i in range(classes):
        error[steps - 1, i] += readout * (last * winner[steps - 1, i] - (1.0 if i == label else 0.0)) / noise
    return -np.log(right) - readout * np.log(max(last * winner[steps - 1, label], 1e-300))


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _dot(a, b):
    """Scalar product; the sum's order is left to the compiler, which makes vectors of it."""
    total = a.dtype.type(0)
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@njit(cache=True, error_model="numpy")
def _race_image(t_pre, t_peak_pre, v_peak_pre, w_pre, label, bound, noise, readout, haste, delta_pre, grad):
    """race_backward of one image; adds to grad (n, classes), overwrites delta_pre (n,), returns the cost."""
    classes, t_max = w_pre.shape[1], bound.size
    v = output_potentials(t_pre, w_pre, t_max)
    error = np.empty((t_max, classes))
    cost = race_cost(v, label, bound, noise, readout, haste, error)
    for s in range(t_max - 2, -1, -1):
        for i in range(classes):
            error[s, i] += error[s + 1, i]  # now D_i(s)
    d = error.astype(w_pre.dtype)
    delta_pre[:] = 0
    listed = np.empty(t_pre.size + 1, np.uint32)  # lists, not branches: neither of the two questions can be guessed
    n = 0
    for j in range(t_pre.size):
        listed[n] = j
        n += v_peak_pre[j] > 0  # else its surrogate is 0
    for j in listed[:n]:
        delta_pre[j] = -_dot(w_pre[j], d[t_peak_pre[j]])  # Eq. 10
    n = 0
    for j in range(t_pre.size):
        listed[n] = j
        n += t_pre[j] < t_max
    for j in listed[:n]:
        grad_j, d_j = grad[j], d[t_pre[j]]
        for i in range(classes):
            grad_j[i] += d_j[i]  # Eq. 12
    return cost


@njit(cache=True, parallel=True, error_model="numpy")
def race_backward(t_pre, t_peak_pre, v_peak_pre, w_pre, labels, bound, noise, readout, haste, cost, delta_pre, grad):
    """Error of the smoothed race through the output layer.

    t_pre, t_peak_pre, v_peak_pre : (B, n), state of the layer below   w_pre : (n, classes)   labels : (B,)
    bound : (t_max,), the output threshold in each step   noise : potential units
    readout : weight of the potentials' cross-entropy   haste : cost of a step of waiting
    Overwrites cost (B,) and delta_pre (B, n) = dE/dt_pre; adds the weight gradients to grad (S, n, classes).
    """
    n, n_shards = t_pre.shape[0], grad.shape[0]
    for shard in prange(n_shards):
        for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
            cost[b] = _race_image(
                t_pre[b], t_peak_pre[b], v_peak_pre[b], w_pre, labels[b], bound, noise, readout, haste,
                delta_pre[b], grad[shard],
            )  # fmt: skip
