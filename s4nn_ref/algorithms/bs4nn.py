"""BS4NN: S4NN with weights of one bit (Kheradpisheh, Mirsadeghi and Masquelier 2022).

Spikes are passed on through the signs of real-valued weights, times a factor per layer, which is learned too: V =
fact_k sum_j sign(w_ji), or, what is the same, a threshold v_th / fact_k. Errors come back through the real-valued
weights. Conventions as in the authors' program (docs/algorithms.md). Oracle: tests/oracle.py::bs4nn_update
"""

import numpy as np
from numba import njit

from s4nn_ref.algorithms.s4nn import S4NN, normalise, output_delta, present
from s4nn_ref.dense import causal_delta, causal_update


@njit(cache=True, error_model="numpy")
def _refresh_signs(t_pre, t_post, delta, w, sign):
    """Bring sign (n, M) up to date where w was changed; returns the mean over all synapses of
    delta_i [t_j < t_i] sign(w_ji), the gradient of the layer's factor."""
    latest, causal = t_post.max(), np.zeros(t_post.size, np.int16)  # sum_j [t_j < t_i] sign(w_ji)
    for j in range(t_pre.size):
        if t_pre[j] < latest:
            row, signs, t = w[j], sign[j], t_pre[j]
            for i in range(t_post.size):
                signs[i] = np.int8(row[i] > 0) - np.int8(row[i] < 0)
                causal[i] += signs[i] if t < t_post[i] else np.int8(0)
    return (delta * causal).sum() / w.size


@njit(cache=True, error_model="numpy")
def _learn(t_in, labels, w, sign, fact, a, v_th, gamma, t_max, eta, eta_fact, t_out, v_peak, v_end, cost):
    """Online updates from images in their order; see BS4NN."""
    for b in range(labels.size):
        present(t_in[b], sign, v_th / fact, t_max, a)
        t_out[b], v_peak[b], v_end[b] = a.t[-1][0], a.v_peak[-1], a.v[-1]
        cost[b] = output_delta(labels[b], gamma, 0.0, t_max, a)  # a silent output layer learns nothing
        for k in range(len(w) - 1, -1, -1):
            t_pre, t_post, delta = a.t[k][0], a.t[k + 1][0], a.delta[k]
            normalise(delta)
            causal_update(t_pre, t_post, (delta * eta[k]).astype(w[k].dtype), w[k])
            fact[k] -= eta_fact * _refresh_signs(t_pre, t_post, delta, w[k], sign[k])
            if k > 0:
                causal_delta(t_pre, t_post, delta, w[k], a.delta[k - 1])


class BS4NN(S4NN):
    """The algorithm of `learning.algorithm = "bs4nn"`; see s4nn_ref.algorithms.Algorithm."""

    def __init__(self, config, rng: np.random.Generator, batches: int, dtype=np.float32):
        super().__init__(config, rng, batches, dtype)
        self.fact = np.full(len(self.w), config.learning.fact)

    def _updates(self, t_in, labels, t_out, v_peak, v_end, cost) -> None:
        le, sign = self.config.learning, tuple(np.sign(w).astype(np.int8) for w in self.w)
        _learn(
            t_in, labels, self.w, sign, self.fact, self._activity, self.network.v_th, le.lam, self.network.t_max,
            self._eta, le.eta_fact, t_out, v_peak, v_end, cost,
        )  # fmt: skip

    def parameters(self) -> np.ndarray:
        """Weights as the network holds them: two values in each layer."""
        layers = zip(self.w, self.fact, strict=True)
        return np.concatenate([np.sign(w).ravel() * fact for w, fact in layers]).astype(self.network.dtype)

    def end_epoch(self, images: int, rng: np.random.Generator) -> None:
        """Nothing: no neuron starts anew."""

    def state(self) -> dict[str, np.ndarray]:
        return super().state() | {"fact": self.fact}
