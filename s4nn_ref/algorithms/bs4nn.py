"""BS4NN: S4NN with weights of one bit (Kheradpisheh, Mirsadeghi and Masquelier 2022).

Spikes are passed on through the signs of real-valued weights, times a factor per layer, which is learned too: V =
fact_k sum_j sign(w_ji), or, what is the same, a threshold v_th / fact_k. Errors come back through the real-valued
weights. Conventions as in the authors' program (docs/algorithms.md). Oracle: tests/oracle.py::bs4nn_update
"""

import numpy as np
from numba import njit

from s4nn_ref.algorithms.s4nn import PRESENTED, Layers, judge, normalise, present
from s4nn_ref.dense import causal_delta, signs_of
from s4nn_ref.errors import InputError
from s4nn_ref.lanes import LANES, load_edge, splat, store, where


@njit(cache=True, error_model="numpy")
def _update(t_pre, t_post, step, w, causal):
    """causal_update, w_ji += step_i [t_j < t_i], and in the same walk the signs behind it.

    t_pre : (n,), firing times   t_post (1, M)   step : (1, M), of w's type   w : (n, M), changed in place
    Overwrites causal (1, M), of w's type, with sum_j [t_j < t_i] sign(w_ji).
    """
    latest, zero, one = t_post.max(), splat(w.dtype.type(0)), splat(w.dtype.type(1))
    causal[:] = 0
    for j in range(t_pre.size):
        if t_pre[j] < latest:
            for first in range(0, t_post.shape[1], LANES):
                later = splat(t_pre[j]) < load_edge(t_post, 0, first)
                row = load_edge(w, j, first) + where(later, load_edge(step, 0, first), zero)  # Eq. 12
                store(w, j, first, row)
                store(causal, 0, first, load_edge(causal, 0, first) + where(later, signs_of(row, zero, one), zero))


@njit(cache=True, error_model="numpy")
def _learn(t_in, labels, v_th, gamma, t_max, eta, eta_fact, w, fact, a, outputs):
    """Online updates from images in their order.

    t_in : int16 (n, inputs)   labels : (n,)   eta : per layer
    Changes w, per layer (n, M), and fact (layers,); overwrites a and outputs.
    """
    for b in range(labels.size):
        present(t_in[b], w, True, v_th / fact, t_max, a)
        judge(b, labels[b], gamma, 0.0, t_max, a, outputs)  # a silent output layer learns nothing
        if outputs.cost[b] == 0.0:
            continue
        for k in range(len(w) - 1, -1, -1):
            t_pre, t_post, delta = a.t[k][0], a.t[k + 1], a.delta[k]
            normalise(delta)
            causal = np.empty(t_post.shape, w[k].dtype)
            _update(t_pre, t_post, (delta * eta[k]).astype(w[k].dtype).reshape(t_post.shape), w[k], causal)
            fact[k] += eta_fact * (delta * causal[0]).sum() / w[k].size  # -dE/dfact, of its mean over the synapses
            if k > 0:
                causal_delta(t_pre, t_post[0], delta, w[k], a.delta[k - 1])


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
        outputs, net = la.outputs(len(labels)), la.network
        _learn(
            la.encoded(images), labels, net.v_th, le.lam, net.t_max, la.next_eta(), le.eta_fact, la.w, self.fact,
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
