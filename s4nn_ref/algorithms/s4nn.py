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
from s4nn_ref.optimiser import rate

PRESENTED = 500  # images per call of `learn`: enough for Python's share of the time to vanish


class Activity(NamedTuple):
    """One image in the network: per layer, input first, firing times int16 (1, N); per weighted layer what `if_dense`
    computes, (1, N), and delta = dE/dt, (N,)."""

    t: tuple
    t_peak: tuple
    v_peak: tuple
    v: tuple
    v_late: tuple
    delta: tuple


class Outputs(NamedTuple):
    """What the output layer did with each of n images: firing times and potentials (n, M), cost (n,)."""

    t: np.ndarray
    v_peak: np.ndarray
    v_end: np.ndarray
    cost: np.ndarray


def activity(sizes, dtype) -> Activity:
    """Room for one image in layers of these sizes, input first."""
    times = tuple(np.zeros((1, size), np.int16) for size in sizes)
    peaks = tuple(np.zeros((1, size), np.int16) for size in sizes[1:])
    potentials = (tuple(np.zeros((1, size), dtype) for size in sizes[1:]) for _ in range(3))
    return Activity(times, peaks, *potentials, tuple(np.zeros(size) for size in sizes[1:]))


@njit(cache=True)
def target_times(t_out, label, gamma, gamma_silent, t_max, t_target):
    """Target times: the label's is the first firing time; who fires less than gamma behind it shall wait until then;
    the rest keep their own. In a silent output layer the label shall fire gamma_silent before the end.

    t_out : (M,), firing times   label : its class   Overwrites t_target (M,).
    """
    first = t_out.min()
    for i in range(t_out.size):
        t_target[i] = min(first + gamma, t_max) if t_out[i] - first < gamma else t_out[i]
    t_target[label] = first
    if first >= t_max:
        t_target[:] = t_max
        t_target[label] = np.floor(t_max - gamma_silent)  # the authors cut it to an integer


@njit(cache=True, error_model="numpy")
def present(t_in, w, binary, v_th, t_max, a):
    """Forward pass of one image: input firing times t_in (n,), weights (n, M), of which only the signs count if binary,
    and thresholds per layer; overwrites a, but for its deltas."""
    a.t[0][0, :] = t_in
    for k in range(len(w)):
        number = a.v[k].dtype.type
        bound = np.full(t_max, np.nextafter(number(v_th[k]), number(np.inf)))  # V > v_th
        if_dense(a.t[k], 0, w[k], binary, bound, a.t[k + 1], a.t_peak[k], a.v_peak[k], a.v[k], a.v_late[k])
        t_post = a.t[k + 1][0]
        for i in range(t_post.size):
            t_post[i] += t_post[i] < t_max  # one step behind the crossing


@njit(cache=True, error_model="numpy")
def judge(b, label, gamma, gamma_silent, t_max, a, outputs):
    """The output layer's delta = (t - t_target) / t_max, into a, and what it did with image b, into outputs."""
    t_out, delta = a.t[-1][0], a.delta[-1]
    target_times(t_out, label, gamma, gamma_silent, t_max, delta)
    for i in range(delta.size):
        delta[i] = (t_out[i] - delta[i]) / t_max  # Eq. 9
    outputs.t[b], outputs.v_peak[b], outputs.v_end[b] = t_out, a.v_peak[-1][0], a.v[-1][0]
    outputs.cost[b] = 0.5 * (delta**2).sum()  # Eq. 6


@njit(cache=True, error_model="numpy")
def normalise(delta):
    """Bring delta (M,) to length 1 in place, unless it is 0."""
    length = np.sqrt((delta**2).sum())
    if length != 0.0:
        delta /= length


@njit(cache=True, error_model="numpy")
def _learn(t_in, labels, v_th, gamma, t_max, eta, decay, w, scale, fired, a, outputs):
    """Online updates from images in their order.

    t_in : int16 (n, inputs)   labels : (n,)   eta, decay : per layer
    Changes w, per layer (n, M), and scale (layers,): the weights are scale_k w_k, so that decay costs one number per
    layer; adds to fired, per hidden layer (M,); overwrites a and outputs.
    """
    for b in range(labels.size):
        present(t_in[b], w, False, v_th / scale, t_max, a)
        for k in range(len(fired)):
            fired[k][:] += a.t[k + 1][0] < t_max
        judge(b, labels[b], gamma, gamma, t_max, a, outputs)
        if outputs.cost[b] > 0.0:
            for k in range(len(w) - 1, -1, -1):
                t_pre, t_post, delta = a.t[k][0], a.t[k + 1][0], a.delta[k]
                normalise(delta)
                causal_update(t_pre, t_post, (delta * (eta[k] / scale[k])).astype(w[k].dtype), w[k])
                shrunk = scale[k] * (1.0 - eta[k] * decay[k])
                if k > 0:
                    causal_delta(t_pre, t_post, delta * shrunk, w[k], a.delta[k - 1])  # normalise drops the factor
        scale *= 1.0 - eta * decay


class Layers:
    """Dense layers that learn online: weights w, per layer (n, M), and room for one image.

    network : the structure and conventions; its weights are not used
    step    : 0-dimensional array, the number of calls of `learn`, of which an epoch has `batches`
    """

    def __init__(self, config, rng: np.random.Generator, batches: int, dtype):
        self.config, self.network, self.batches = config, network_of(config, dtype), batches
        shapes = [w.shape for w in self.network.matrices(self.network.parameters)]
        inits = zip(config.network.init, shapes, strict=True)
        self.w = tuple(rng.uniform(*init, shape).astype(dtype) for init, shape in inits)
        self.activity = activity([shapes[0][0], *(shape[1] for shape in shapes)], dtype)
        self.step = np.zeros((), np.int64)

    def next_eta(self) -> np.ndarray:
        """Learning rates (layers,) of the next call of `learn`, which is counted."""
        o, step = self.config.optimiser, int(self.step)
        self.step += 1
        return np.array(o.eta) * rate(o, step, self.batches, self.batches * self.config.training.epochs)

    def encoded(self, images: np.ndarray) -> np.ndarray:
        """Firing times int16 (n, inputs) of uint8 images (n, H, W)."""
        return encode(images, self.network.t_max, self.config.data.rounding).reshape(len(images), -1)

    def outputs(self, n: int) -> Outputs:
        shape, dtype = (n, self.network.n_classes), self.network.dtype
        return Outputs(np.empty(shape, np.int16), np.empty(shape, dtype), np.empty(shape, dtype), np.empty(n))

    def right(self, outputs: Outputs, labels: np.ndarray) -> np.ndarray:
        return decide(outputs.t, outputs.v_peak, outputs.v_end, self.network.t_max) == labels

    def state(self) -> dict[str, np.ndarray]:
        return {f"w{k}": w for k, w in enumerate(self.w)} | {"step": self.step}


class S4NN:
    """The algorithm of `learning.algorithm = "s4nn"`; see s4nn_ref.algorithms.Algorithm.

    layers : Layers   fired : per hidden layer (M,), the images of this epoch for which a neuron fired
    """

    def __init__(self, config, rng: np.random.Generator, batches: int, dtype=np.float32):
        self.layers = Layers(config, rng, batches, dtype)
        self.fired = tuple(np.zeros(w.shape[1], np.int64) for w in self.layers.w[:-1])

    @staticmethod
    def presented(config) -> int:
        return PRESENTED

    def learn(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Updates from each of the images, one after the other. Returns cost and whether the decision was right."""
        la = self.layers
        outputs, scale, c = la.outputs(len(labels)), np.ones(len(la.w)), la.config
        _learn(
            la.encoded(images), labels, la.network.v_th, c.learning.lam, la.network.t_max, la.next_eta(),
            np.array(c.optimiser.weight_decay), la.w, scale, self.fired, la.activity, outputs,
        )  # fmt: skip
        for w, factor in zip(la.w, scale, strict=True):
            w *= w.dtype.type(factor)
        return outputs.cost, la.right(outputs, labels)

    def parameters(self) -> np.ndarray:
        """Weights as the network holds them."""
        return np.concatenate([w.ravel() for w in self.layers.w])

    def end_epoch(self, images: int, rng: np.random.Generator) -> None:
        """Hidden neurons that fired for less than a share `learning.revive` of the epoch's images start anew."""
        config = self.layers.config
        for w, fired, init in zip(self.layers.w, self.fired, config.network.init, strict=False):
            rare = fired < config.learning.revive * images
            w[:, rare] = rng.uniform(*init, (len(w), int(rare.sum())))
            fired[:] = 0

    def state(self) -> dict[str, np.ndarray]:
        return self.layers.state() | {f"fired{k}": fired for k, fired in enumerate(self.fired)}
