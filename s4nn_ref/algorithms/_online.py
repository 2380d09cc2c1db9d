"""What S4NN and BS4NN share: dense networks that learn from one image after the other, in the authors' conventions."""

from typing import NamedTuple

import numpy as np
from numba.extending import register_jitable

from s4nn_ref.algorithms import require
from s4nn_ref.decision import decide
from s4nn_ref.kernels.compile import kernel
from s4nn_ref.losses.s4nn_targets import target_times
from s4nn_ref.network import Network

PRESENTED = 500  # images per call of `learn`: enough for Python's share of the time to vanish

register_jitable(target_times)


class Average:
    """The moving average of weights over calls of `learn` (D13).

    ema : its decay; 0: the weights themselves   w : per layer, what is averaged   mean : the same shapes
    """

    def __init__(self, ema: float, w: tuple[np.ndarray, ...]):
        self.ema, self.w = ema, w
        self.mean = tuple(layer.copy() for layer in w) if ema else w

    def follow(self, calls: int) -> None:
        """Move towards the weights; in the first calls of `learn` closely."""
        if self.ema:
            kept = min(self.ema, (1.0 + calls) / (10.0 + calls))
            for mean, w in zip(self.mean, self.w, strict=True):
                mean += w.dtype.type(1.0 - kept) * (w - mean)

    def restart(self) -> None:
        """Be the weights."""
        for mean, w in zip(self.mean, self.w, strict=True):
            mean[...] = w

    def state(self) -> dict[str, np.ndarray]:
        return {f"mean{k}": mean for k, mean in enumerate(self.mean)} if self.ema else {}


class Record(NamedTuple):
    """What the output layer did with each of n images: firing times and potentials (n, M), cost (n,)."""

    t: np.ndarray
    v_peak: np.ndarray
    v_end: np.ndarray
    cost: np.ndarray


def record_of(n: int, network: Network) -> Record:
    """Room for n images."""
    shape, dtype = (n, network.n_classes), network.dtype
    return Record(np.empty(shape, np.int16), np.empty(shape, dtype), np.empty(shape, dtype), np.empty(n))


def check_online(name: str, config, specs) -> None:
    """Raise InputError on an experiment that does not learn online in dense layers with the authors' conventions."""
    n, le = config.network, config.learning
    shrinks = max(eta * decay for eta, decay in zip(le.eta, le.weight_decay, strict=True))
    require(name, [
        ("network.exceeds", n.exceeds, "true"),
        ("network.delay", n.delay == 1, "1"),
        ("network.structure", {spec.kind for spec in specs} == {"dense"}, "dense layers only, e.g. 784-400-10"),
        ("network.structure", len(specs) > 1, "at least one hidden layer, e.g. 784-400-10"),
        ("network.collapse", n.collapse == (1.0, 1.0, 1.0), "[1, 1, 1], a constant threshold"),
        ("network.engine", n.engine == "fast", '"fast"'),
        ("training.batch", config.training.batch == 1, "1"),
        ("learning.weight_decay", shrinks < 1, "a value below 1 / eta"),
    ])  # fmt: skip


@kernel
def balance(label, delta):
    """Make the label's delta as large as those of the others together, with the other sign, where they have any (D46):
    their times move apart, and not all of them earlier. delta : (M,), changed in place"""
    others = delta.sum() - delta[label]
    if others != 0.0:
        delta[label] = -others


@kernel
def judge(b, label, gamma, gamma_silent, balanced, t_max, a, record):
    """The output layer's delta = (t - t_target) / t_max, into a, and what it did with image b, into record."""
    out, delta = a.states[-1], a.delta[-1]
    t_out = out.t_post[0]
    target_times(t_out, label, gamma, gamma_silent, t_max, delta)
    for k in range(delta.size):
        delta[k] = (t_out[k] - delta[k]) / t_max  # Eq. 9
    record.t[b], record.v_peak[b], record.v_end[b] = t_out, out.v_peak[0], out.v_end[0]
    record.cost[b] = 0.5 * (delta**2).sum()  # Eq. 6
    if balanced:
        balance(label, delta)


def last_times(network: Network, a) -> list[tuple[str, np.ndarray]]:
    """Firing times of the last image, for each layer, input first. a : the Activity of `network`"""
    return list(zip(network.tokens, (a.t_in, *(state.t_post for state in a.states)), strict=True))


def present_to(learn, config, network: Network, images, labels) -> tuple[np.ndarray, np.ndarray]:
    """Let `learn` see uint8 images (n, H, W, C); returns cost of each image and whether its decision was right.

    learn : function(t_in, labels, v_th, t_max, record), t_in int16 (n, inputs), which overwrites record
    """
    record, t_max = record_of(len(labels), network), network.t_max
    t_in = network.encode(images, config.data.encoding).reshape(len(images), -1)
    learn(t_in, labels, network.v_th, t_max, record)
    return record.cost, decide(record.t, record.v_peak, record.v_end, network.silent) == labels
