"""The likelihood that the label fires first, with escape noise (D15): ours, not the paper's.

Eq. 4 tells each output neuron when to fire. This loss asks only which one fires first, which is what the decision asks.
Let the outputs fire with escape noise (Gerstner and Kistler 2002, section 5.3): output i has the hazard
r_i(s) = exp((V_i(s) - theta(s)) / noise) in step s, theta the threshold, which may fall (D25), and R = sum_i r_i. Then

    survival     S(s)   = exp(-sum_{u <= s} R(u))
    decision     q(s)   = S(s-1) (1 - exp(-R(s)))             probability that the first spike comes in step s
    winner       p_i(s) = r_i(s) / R(s)                       softmax of V(s) / noise
    right        P      = sum_s q(s) p_label(s) exp(-latency_penalty s)
    cost         E      = -log P

so a silent network is as wrong as one that fires for the wrong class, and where waiting would make the decision better,
dE/dR says so: it weighs the decision now against those to come. A step of waiting costs `latency_penalty` (D30; 0:
nothing). With noise -> 0 this is the deterministic first spike.

The final potentials may teach too (D21): with `final_potentials` > 0 the cross-entropy of a softmax of
V(t_max - 1) / noise is added with that weight, in which the threshold stands as one competitor more. It reaches hidden
neurons that fire after the decision, and lifts the label's potential above threshold: hardly an image stays silent.

dE/dV_j(s) is an error at every step, not at the spike alone; Eqs. 10 and 12 then read, with the same causal masks,
    dE/dw_ji = d_j(t_i),   delta_i = -sum_j w_ji d_j(t_i),   d_j(t) = sum_{s >= t} dE/dV_j(s).
Derivation: docs/extensions.md. Twin: tests/twins.py, `first_spike_cost`.
"""

from dataclasses import dataclass, field

import numpy as np

_LARGEST = 30.0  # of (V - theta) / noise in a hazard: far beyond certainty, far below overflow


def first_spike_cost(v, label, threshold, keys, error):
    """Cost of one image; overwrites error (t_max, classes) with dE/dV.

    v         : (t_max, classes), output potentials at every step, potential units
    threshold : (t_max,), in each step (D25)
    keys      : noise, final_potentials, latency_penalty
    """
    noise, final_potentials, latency_penalty = keys
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
        rate[s] = total * np.exp(min((largest - threshold[s]) / noise, _LARGEST))  # D15, D25
        later[s] = survival * np.exp(-rate[s])
        first[s] = -survival * np.expm1(-rate[s])
        right += first[s] * winner[s, label] * np.exp(-latency_penalty * s)
        survival = later[s]
    right = max(right, 1e-300)
    to_come = 0.0  # probability of a right decision after step s
    for s in range(steps - 1, -1, -1):
        now = winner[s, label] * np.exp(-latency_penalty * s)
        gain = later[s] * now - to_come  # dP/dR(s): decide now, or later?
        for i in range(classes):
            same = 1.0 if i == label else 0.0
            change = first[s] * now * (same - winner[s, i]) + rate[s] * winner[s, i] * gain
            error[s, i] = -change / (noise * right)
        to_come += first[s] * now
    last = rate[steps - 1] / (rate[steps - 1] + 1.0)  # D21: against the threshold
    for i in range(classes):
        error[steps - 1, i] += final_potentials * (last * winner[steps - 1, i] - (1.0 if i == label else 0.0)) / noise
    return -np.log(right) - final_potentials * np.log(max(last * winner[steps - 1, label], 1e-300))


@dataclass(frozen=True)
class Loss:
    """noise            : escape noise, potential units
    final_potentials : weight of the auxiliary loss on the final potentials (D21)
    latency_penalty  : what a step of waiting costs, nats (D30)
    """

    noise: float = field(default=5.0, metadata={"above": 0})
    final_potentials: float = field(default=1.0, metadata={"least": 0})
    latency_penalty: float = field(default=0.0, metadata={"least": 0})

    def error(self, outputs, labels) -> tuple[np.ndarray, np.ndarray]:
        keys = self.noise, self.final_potentials, self.latency_penalty
        return outputs.for_each_image(first_spike_cost, labels, keys)
