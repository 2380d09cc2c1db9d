"""S4NN: temporal backpropagation in dense networks, one image after the other (Kheradpisheh and Masquelier 2020).

The conventions are those of the authors' program (docs/algorithms.md): the threshold test is strict, a spike leaves one
step after the crossing, a presynaptic spike counts where it came strictly before the postsynaptic one, deltas are
brought to length 1 in every layer, and a hidden layer's delta is made with the weights above it already changed.
Oracle: tests/oracle.py::s4nn_update
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from s4nn_ref.dense import causal_delta, causal_update, if_dense
from s4nn_ref.encoding import encode
from s4nn_ref.metrics import decide
from s4nn_ref.network import network_of


class Activity(NamedTuple):
    """One image in the network: per layer, input first, firing times int16 (1, N); per weighted layer what `if_dense`
    computes and the delta, (N,)."""

    t: tuple
    t_peak: tuple
    v_peak: tuple
    v: tuple
    v_late: tuple
    delta: tuple


def activity(sizes, dtype) -> Activity:
    """Room for one image in layers of these sizes, input first."""
    times = tuple(np.zeros((1, size), np.int16) for size in sizes)
    peaks = tuple(np.zeros(size, np.int16) for size in sizes[1:])
    potentials = (tuple(np.zeros(size, dtype) for size in sizes[1:]) for _ in range(3))
    return Activity(times, peaks, *potentials, tuple(np.zeros(size) for size in sizes[1:]))


@njit(cache=True)
def target_times(t_out, label, gamma, gamma_silent, t_max, target):
    """Target times: the label's is the first firing time; who fires less than gamma behind it shall wait until then;
    the rest keep their own. In a silent output layer the label shall fire gamma_silent before the end.

    t_out : (M,), firing times   label : its class   Overwrites target (M,).
    """
    first = t_out.min()
    for i in range(t_out.size):
        target[i] = min(first + gamma, t_max) if t_out[i] - first < gamma else t_out[i]
    target[label] = first
    if first >= t_max:
        target[:] = t_max
        target[label] = np.floor(t_max - gamma_silent)  # the authors cut it to an integer


@njit(cache=True, error_model="numpy")
def present(t_in, w, v_th, t_max, a):
    """Forward pass of one image: input firing times t_in (n,), weights (n, M) and thresholds per layer; overwrites a,
    but for its deltas."""
    a.t[0][0, :] = t_in
    for k in range(len(w)):
        number = a.v[k].dtype.type
        bound = np.full(t_max, np.nextafter(number(v_th[k]), number(np.inf)))  # V > v_th
        t_post = a.t[k + 1][0]
        if_dense(a.t[k], 0, w[k], bound, t_post, a.t_peak[k], a.v_peak[k], a.v[k], a.v_late[k])
        for i in range(t_post.size):
            t_post[i] += t_post[i] < t_max  # one step behind the crossing


@njit(cache=True, error_model="numpy")
def output_delta(label, gamma, gamma_silent, t_max, a):
    """The output layer's delta, (target - t) / t_max, into a; returns the cost."""
    t_out, delta = a.t[-1][0], a.delta[-1]
    target_times(t_out, label, gamma, gamma_silent, t_max, delta)
    for i in range(delta.size):
        delta[i] = (delta[i] - t_out[i]) / t_max
    return 0.5 * (delta**2).sum()


@njit(cache=True, error_model="numpy")
def normalise(delta):
    """Bring delta (M,) to length 1 in place, unless it is 0."""
    length = np.sqrt((delta**2).sum())
    if length != 0.0:
        delta /= length


@njit(cache=True, error_model="numpy")
def _learn(t_in, labels, w, scale, a, v_th, gamma, t_max, eta, decay, fired, t_out, v_peak, v_end, cost):
    """Online updates from images in their order; see S4NN. The weights are scale_k w_k: decay costs one number."""
    for b in range(labels.size):
        present(t_in[b], w, v_th / scale, t_max, a)
        for k in range(len(fired)):
            fired[k][:] += a.t[k + 1][0] < t_max
        t_out[b], v_peak[b], v_end[b] = a.t[-1][0], a.v_peak[-1], a.v[-1]
        cost[b] = output_delta(labels[b], gamma, gamma, t_max, a)
        for k in range(len(w) - 1, -1, -1):
            t_pre, t_post, delta = a.t[k][0], a.t[k + 1][0], a.delta[k]
            normalise(delta)
            causal_update(t_pre, t_post, (delta * (eta[k] / scale[k])).astype(w[k].dtype), w[k])
            scale[k] *= 1.0 - eta[k] * decay[k]
            if k > 0:
                causal_delta(t_pre, t_post, delta * scale[k], w[k], a.delta[k - 1])


class S4NN:
    """The algorithm of `learning.algorithm = "s4nn"`; see s4nn_ref.algorithms.Algorithm.

    w : per layer (n, M), of the network's precision   fired : per hidden layer (M,), images of this epoch
    """

    def __init__(self, config, rng: np.random.Generator, batches: int, dtype=np.float32):
        self.config, self.network = config, network_of(config, dtype)
        shapes = [w.shape for w in self.network.matrices(self.network.parameters)]
        inits = zip(config.network.init, shapes, strict=True)
        self.w = tuple(rng.uniform(*init, shape).astype(dtype) for init, shape in inits)
        self.fired = tuple(np.zeros(w.shape[1], np.int64) for w in self.w[:-1])
        self._activity = activity([shapes[0][0], *(shape[1] for shape in shapes)], dtype)
        self._eta, self._decay = np.array(config.optimiser.eta), np.array(config.optimiser.weight_decay)

    @staticmethod
    def presented(config) -> int:
        return 500  # enough for Python's share of the time to vanish

    def learn(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Updates from each of the images, one after the other. Returns cost and whether the decision was right."""
        n, t_max = len(labels), self.network.t_max
        t_in = encode(images, t_max, self.config.data.rounding).reshape(n, -1)
        t_out = np.empty((n, self.network.n_classes), np.int16)
        v_peak, v_end, cost = np.empty(t_out.shape), np.empty(t_out.shape), np.empty(n)
        self._updates(t_in, labels, t_out, v_peak, v_end, cost)
        return cost, decide(t_out, v_peak, v_end, t_max) == labels

    def _updates(self, t_in, labels, t_out, v_peak, v_end, cost) -> None:
        scale = np.ones(len(self.w))
        _learn(
            t_in, labels, self.w, scale, self._activity, self.network.v_th, self.config.learning.lam,
            self.network.t_max, self._eta, self._decay, self.fired, t_out, v_peak, v_end, cost,
        )  # fmt: skip
        for w, factor in zip(self.w, scale, strict=True):
            w *= w.dtype.type(factor)

    def parameters(self) -> np.ndarray:
        """Weights as the network holds them."""
        return np.concatenate([w.ravel() for w in self.w]).astype(self.network.dtype)

    def end_epoch(self, images: int, rng: np.random.Generator) -> None:
        """Hidden neurons that fired for less than a share `learning.revive` of the epoch's images start anew."""
        for w, fired, init in zip(self.w, self.fired, self.config.network.init, strict=False):
            rare = fired < self.config.learning.revive * images
            w[:, rare] = rng.uniform(*init, (len(w), int(rare.sum())))
            fired[:] = 0

    def state(self) -> dict[str, np.ndarray]:
        arrays = {f"w{k}": w for k, w in enumerate(self.w)}
        return arrays | {f"fired{k}": fired for k, fired in enumerate(self.fired)}
