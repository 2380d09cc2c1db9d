"""BS4NN: S4NN with weights of one bit (Kheradpisheh, Mirsadeghi and Masquelier 2022).

Spikes are passed on through the signs of real-valued weights, times a factor per layer, which is learned too: V =
fact_k sum_j sign(w_ji), or, what is the same, a threshold v_th / fact_k. Errors come back through the real-valued
weights. Conventions as in the authors' program (docs/algorithms.md). Oracle: tests/oracle.py::bs4nn_update
"""

import numpy as np
from numba import njit

from s4nn_ref.algorithms.s4nn import PRESENTED, Layers, judge, normalise, present
from s4nn_ref.dense import causal_delta, causal_update
from s4nn_ref.errors import InputError


@njit(cache=True, error_model="numpy")
def _refresh_signs(t_pre, t_post, delta, w, sign):
    """Bring sign (n, M) up to date where w was changed; returns the mean over all synapses of
    delta_i [t_j < t_i] sign(w_ji), with dt/dV = -1 the negative gradient of the layer's factor."""
    latest, causal = t_post.max(), np.zeros(t_post.size, np.int16)  # sum_j [t_j < t_i] sign(w_ji)
    for j in range(t_pre.size):
        if t_pre[j] < latest:
            row, signs, t = w[j], sign[j], t_pre[j]
            for i in range(t_post.size):
                signs[i] = np.int8(row[i] > 0) - np.int8(row[i] < 0)
                causal[i] += signs[i] if t < t_post[i] else np.int8(0)
    return (delta * causal).sum() / w.size


@njit(cache=True, error_model="numpy")
def _learn(t_in, labels, v_th, gamma, t_max, eta, eta_fact, w, sign, fact, a, outputs):
    """Online updates from images in their order.

    t_in : int16 (n, inputs)   labels : (n,)   eta : per layer
    Changes w and sign = sign(w), per layer (n, M), and fact (layers,); overwrites a and outputs.
    """
    for b in range(labels.size):
        present(t_in[b], sign, v_th / fact, t_max, a)
        judge(b, labels[b], gamma, 0.0, t_max, a, outputs)  # a silent output layer learns nothing
        for k in range(len(w) - 1, -1, -1):
            t_pre, t_post, delta = a.t[k][0], a.t[k + 1][0], a.delta[k]
            normalise(delta)
            causal_update(t_pre, t_post, (delta * eta[k]).astype(w[k].dtype), w[k])
            fact[k] += eta_fact * _refresh_signs(t_pre, t_post, delta, w[k], sign[k])
            if k > 0:
                causal_delta(t_pre, t_post, delta, w[k], a.delta[k - 1])


class BS4NN:
    """The algorithm of `learning.algorithm = "bs4nn"`; see s4nn_ref.algorithms.Algorithm.

    layers : Layers, with the real-valued weights   fact : (layers,), the factors of their signs
    """

    def __init__(self, config, rng: np.random.Generator, batches: int, dtype=np.float32):
        self.layers = Layers(config, rng, batches, dtype)
        self.fact = np.full(len(self.layers.w), config.learning.fact)

    @staticmethod
    def presented(config) -> int:
        return PRESENTED

    def learn(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Updates from each of the images, one after the other. Returns cost and whether the decision was right.

        Raises InputError where a factor has become 0 or negative.
        """
        la, le = self.layers, self.layers.config.learning
        outputs, sign, net = la.outputs(len(labels)), tuple(np.sign(w).astype(np.int8) for w in la.w), la.network
        _learn(
            la.encoded(images), labels, net.v_th, le.lam, net.t_max, la.next_eta(), le.eta_fact, la.w, sign, self.fact,
            la.activity, outputs,
        )  # fmt: skip
        if self.fact.min() <= 0:
            raise InputError(f"a factor of the signs became {self.fact.min():g}; lower learning.eta_fact")
        return outputs.cost, la.right(outputs, labels)

    def parameters(self) -> np.ndarray:
        """Weights as the network holds them: two values in each layer."""
        layers = zip(self.layers.w, self.fact, strict=True)
        return np.concatenate([np.sign(w).ravel() * w.dtype.type(fact) for w, fact in layers])

    def end_epoch(self, images: int, rng: np.random.Generator) -> None:
        """Nothing: no neuron starts anew."""

    def state(self) -> dict[str, np.ndarray]:
        return self.layers.state() | {"fact": self.fact}
