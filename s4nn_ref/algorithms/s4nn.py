"""S4NN: temporal backpropagation in dense networks, one image after the other (Kheradpisheh and Masquelier 2020).

The conventions are those of the authors' program (docs/algorithms.md): a neuron fires where V exceeds the threshold, a
spike leaves one step after the crossing, a presynaptic spike counts where it came strictly before the postsynaptic one,
deltas are brought to length 1 in every layer, and a hidden layer's delta is made with the weights above it already
changed. Reference: reference/s4nn.py.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from s4nn_ref.algorithms import require
from s4nn_ref.algorithms._online import PRESENTED, Average, check_online, judge, last_times, present_to
from s4nn_ref.kernels.compile import kernel
from s4nn_ref.kernels.online import activity, causal_delta, causal_update, normalise, present
from s4nn_ref.network import Network
from s4nn_ref.neurons import step
from s4nn_ref.schedules import SCHEDULES, Course
from s4nn_ref.settings import choice

CLASSES = [4, 1, 0, 7, 9, 2, 3, 5, 8, 6]  # the class of each output neuron in the authors' program


@dataclass(frozen=True)
class Settings:
    """gamma        : margin of the target times, time steps
    balance      : the label's error is made as large as those of the other outputs together (D46)
    eta          : learning rate, one value or one per layer
    weight_decay : share of eta by which weights shrink with every image, one value or one per layer
    ema          : decay of the moving average of the weights, every 500 images, which is evaluated; 0: none (D13)
    reinitialise : hidden neurons that fire for a smaller share of an epoch's images are re-initialised
    draws        : initial weights, and those of re-initialised neurons, come as everywhere here, or as in the authors'
                   program: NumPy's older generator, one sequence, neuron by neuron (D45)
    """

    gamma: float = field(default=3.0, metadata={"least": 0})
    balance: bool = False
    eta: tuple[float, ...] = field(default=(0.2,), metadata={"least": 0, "per_layer": True})
    weight_decay: tuple[float, ...] = field(default=(0.0,), metadata={"least": 0, "per_layer": True})
    ema: float = field(default=0.0, metadata={"least": 0, "below": 1})
    reinitialise: float = field(default=0.0, metadata={"least": 0, "most": 1})
    draws: Literal["ours", "authors"] = "ours"
    schedule: object = choice(SCHEDULES, "constant")


@kernel
def _learn(t_in, labels, v_th, gamma, balanced, t_max, eta, decay, w, scale, fired, a, record):
    """Online updates from images in their order.

    t_in : int16 (n, inputs)   labels : (n,)   eta, decay : per layer
    Changes w, per layer rows (n, M), and scale (layers,): the weights are scale_k w_k, so that decay costs one number
    per layer; adds to fired, per hidden layer (M,); overwrites a and record.
    """
    for b in range(labels.size):
        present(t_in[b], w, False, v_th / scale, t_max, a)
        for k in range(len(fired)):
            fired[k][:] += a.states[k].t_post[0] < t_max
        judge(b, labels[b], gamma, gamma, balanced, t_max, a, record)
        if record.cost[b] > 0.0:
            for k in range(len(w) - 1, -1, -1):
                t_pre = a.states[k - 1].t_post[0] if k > 0 else a.t_in[0]
                t_post, delta = a.states[k].t_post[0], a.delta[k]
                normalise(delta)
                causal_update(t_pre, t_post, (delta * (eta[k] / scale[k])).astype(w[k].dtype), w[k])
                shrunk = scale[k] * (1.0 - eta[k] * decay[k])
                if k > 0:
                    causal_delta(t_pre, t_post, delta * shrunk, w[k], a.delta[k - 1])  # normalise drops the factor
        scale *= 1.0 - eta * decay


class Authors:
    """The random numbers of the authors' program: one sequence for a whole run, neuron after neuron (D45).

    used : how many of them have been drawn, which is all that a checkpoint must hold
    """

    def __init__(self, seed: int):
        self.seed, self.used = seed, np.zeros((), np.int64)

    def uniform(self, low: float, high: float, shape: tuple[int, int]) -> np.ndarray:
        """Weights (synapses, neurons), as those of a Generator."""
        generator = np.random.RandomState(self.seed)
        generator.random_sample(int(self.used))
        self.used += shape[0] * shape[1]
        return (high - low) * generator.random_sample(shape[::-1]).T + low

    def state(self) -> dict[str, np.ndarray]:
        return {"drawn": self.used}


class Algorithm:
    """See s4nn_ref/algorithms/__init__.py.

    network : whose weights learn   fired : per hidden layer (M,), the images of this epoch for which a neuron fired
    """

    neuron = step
    uses_optimiser = False

    def __init__(self, config, rng: np.random.Generator, calls: int, optimiser=None):
        self.config, self.network = config, Network(config.network, self.neuron)
        self.w = tuple(self.network.rows)
        self.authors = Authors(config.training.seed) if config.learning.draws == "authors" else None
        self.initialise(self.authors or rng)
        self.average = Average(config.learning.ema, self.w)
        self.activity = activity([len(self.w[0]), *(w.shape[1] for w in self.w)], self.network.dtype)
        self.fired = tuple(np.zeros(w.shape[1], np.int64) for w in self.w[:-1])
        self.course = Course(config.learning.schedule, calls, config.training.epochs, np.zeros((), np.int64))

    def initialise(self, rng) -> None:
        """Draw all weights."""
        for w, init in zip(self.w, self.config.network.init, strict=True):
            w[...] = rng.uniform(*init, w.shape)
        if self.authors:
            self.w[-1][:, CLASSES] = self.w[-1].copy()

    @staticmethod
    def check(config, specs) -> None:
        check_online("s4nn", config, specs)
        ten = config.learning.draws == "ours" or specs[-1].shape_post[2] == len(CLASSES)
        require("s4nn", [("learning.draws", ten, '"ours" where there are other than ten classes')])

    @staticmethod
    def presented(config) -> int:
        return PRESENTED

    def learn(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Updates from each of the images, one after the other. Returns cost and whether the decision was right."""
        le, scale = self.config.learning, np.ones(len(self.w))
        eta, decay = np.array(le.eta) * self.course.next_factor(), np.array(le.weight_decay)

        def learn(t_in, labels, v_th, t_max, record):
            changed = self.w, scale, self.fired, self.activity, record
            _learn(t_in, labels, v_th, le.gamma, le.balance, t_max, eta, decay, *changed)

        result = present_to(learn, self.config, self.network, images, labels)
        for w, factor in zip(self.w, scale, strict=True):
            w *= w.dtype.type(factor)
        self.average.follow(int(self.course.step))
        return result

    def firing_times(self) -> list[tuple[str, np.ndarray]]:
        return last_times(self.network, self.activity)

    def start_from(self, parameters: np.ndarray) -> None:
        """Begin from the weights of a trained network."""
        self.network.parameters[:] = parameters
        self.average.restart()

    def parameters(self) -> np.ndarray:
        """The moving average of the weights, or themselves without one (D13)."""
        if not self.average.ema:
            return self.network.parameters
        return np.concatenate([mean.ravel() for mean in self.average.mean])

    def end_epoch(self, images: int, rng: np.random.Generator) -> None:
        """Re-initialise hidden neurons that fired for less than a share `reinitialise` of the epoch's images."""
        for w, fired, init in zip(self.w, self.fired, self.config.network.init, strict=False):
            rare = fired < self.config.learning.reinitialise * images
            w[:, rare] = (self.authors or rng).uniform(*init, (len(w), int(rare.sum())))
            fired[:] = 0

    def state(self) -> dict[str, np.ndarray]:
        counts = {f"fired{k}": fired for k, fired in enumerate(self.fired)}
        drawn = self.authors.state() if self.authors else {}
        return {
            "parameters": self.network.parameters,
            "step": self.course.step,
            **counts,
            **drawn,
            **self.average.state(),
        }
