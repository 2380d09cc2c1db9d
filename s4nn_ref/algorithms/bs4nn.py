"""BS4NN: S4NN with weights of one bit (Kheradpisheh, Mirsadeghi and Masquelier 2022).

Spikes are passed on through the signs of real-valued weights, times a factor per layer, which is learned too: V_j =
factor_k sum_i sign(w_ji), or, what is the same, a threshold v_th / factor_k. Errors come back through the real-valued
weights. Conventions as in the authors' program (docs/algorithms.md). Reference: reference/bs4nn.py.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from s4nn_ref.algorithms._online import PRESENTED, Average, check_online, judge, last_times, present_to
from s4nn_ref.errors import InputError
from s4nn_ref.kernels.compile import kernel
from s4nn_ref.kernels.online import activity, causal_delta, causal_update_with_signs, normalise, present
from s4nn_ref.network import Network
from s4nn_ref.neurons import step
from s4nn_ref.schedules import SCHEDULES, Course
from s4nn_ref.settings import choice


@dataclass(frozen=True)
class Settings:
    """gamma        : margin of the target times, time steps
    balance      : the label's error is made as large as those of the other outputs together (D46)
    eta          : learning rate of the real-valued weights, one value or one per layer
    weight_decay : share of eta by which they shrink with every image, one value or one per layer
    ema          : decay of their moving average, every 500 images, whose signs are evaluated; 0: none (D13)
    factor       : initial factor of the signs, of every layer
    eta_factor   : its learning rate
    """

    gamma: float = field(default=1.0, metadata={"least": 0})
    balance: bool = False
    eta: tuple[float, ...] = field(default=(0.1,), metadata={"least": 0, "per_layer": True})
    weight_decay: tuple[float, ...] = field(default=(0.0,), metadata={"least": 0, "per_layer": True})
    ema: float = field(default=0.0, metadata={"least": 0, "below": 1})
    factor: float = field(default=5.0, metadata={"above": 0})
    eta_factor: float = field(default=0.01, metadata={"least": 0})
    schedule: object = choice(SCHEDULES, "constant")


@kernel
def _learn(t_in, labels, v_th, gamma, balanced, t_max, eta, eta_factor, decay, w, scale, factor, a, record):
    """Online updates from images in their order.

    t_in : int16 (n, inputs)   labels : (n,)   eta, decay : per layer
    Changes w, per layer rows (n, M), and scale (layers,): the weights are scale_k w_k; and factor (layers,). Overwrites
    a and record.
    """
    for b in range(labels.size):
        present(t_in[b], w, True, v_th / factor, t_max, a)
        judge(b, labels[b], gamma, 0.0, balanced, t_max, a, record)  # a silent output layer learns nothing
        if record.cost[b] > 0.0:
            for k in range(len(w) - 1, -1, -1):
                t_pre = a.states[k - 1].t_post[0] if k > 0 else a.t_in[0]
                t_post, delta = a.states[k].t_post, a.delta[k]
                normalise(delta)
                causal = np.empty(t_post.shape, w[k].dtype)
                change = (delta * (eta[k] / scale[k])).astype(w[k].dtype).reshape(t_post.shape)
                causal_update_with_signs(t_pre, t_post, change, w[k], causal)
                per_synapse = (delta * causal[0]).sum() / w[k].size
                factor[k] += eta_factor * per_synapse  # -dE/dfactor, of its mean over the synapses
                if k > 0:
                    causal_delta(t_pre, t_post[0], delta, w[k], a.delta[k - 1])  # normalise drops the scale
        scale *= 1.0 - eta * decay


def of_few_bits(factor: float, v_th: float, inputs: int, dtype) -> float:
    """A factor so close to this one that a neuron fires after the same sums of signs, and of so few bits that sums over
    all inputs, multiples of it, are exact: equal potentials are equal whatever the order of the spikes (D26).

    factor : above 0   v_th : potential units   inputs : of a neuron   dtype : of the network's weights
    """
    mantissa, exponent = math.frexp(factor)
    bits = np.finfo(dtype).nmant + 1 - inputs.bit_length()
    near = sorted(
        (math.ldexp(rounds(math.ldexp(mantissa, bits)), exponent - bits) for rounds in (math.floor, math.ceil)),
        key=lambda few: abs(few - factor),
    )
    same = [few for few in near if v_th // few == v_th // factor]  # sums of signs above this exceed the threshold
    return same[0] if same else factor


class Algorithm:
    """See s4nn_ref/algorithms/__init__.py.

    network : factor * sign(w), what is evaluated   w : the real-valued weights, per layer rows (n, M)
    factor  : (layers,), the factors of the signs
    """

    neuron = step
    uses_optimiser = False

    def __init__(self, config, rng: np.random.Generator, calls: int, optimiser=None):
        self.config, self.network = config, Network(config.network, self.neuron)
        ranges = zip(config.network.init, self.network.rows, strict=True)
        self.w = tuple(rng.uniform(*init, rows.shape).astype(self.network.dtype) for init, rows in ranges)
        self.average = Average(config.learning.ema, self.w)
        self.activity = activity([len(self.w[0]), *(w.shape[1] for w in self.w)], self.network.dtype)
        self.factor = np.full(len(self.w), config.learning.factor)
        self.course = Course(config.learning.schedule, calls, config.training.epochs, np.zeros((), np.int64))

    @staticmethod
    def check(config, specs) -> None:
        check_online("bs4nn", config, specs)

    @staticmethod
    def presented(config) -> int:
        return PRESENTED

    def learn(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Updates from each of the images, one after the other. Returns cost and whether the decision was right.

        Raises InputError where a factor has become 0 or negative.
        """
        le, scale = self.config.learning, np.ones(len(self.w))
        eta, decay = np.array(le.eta) * self.course.next_factor(), np.array(le.weight_decay)

        def learn(t_in, labels, v_th, t_max, record):
            changed = self.w, scale, self.factor, self.activity, record
            _learn(t_in, labels, v_th, le.gamma, le.balance, t_max, eta, le.eta_factor, decay, *changed)

        result = present_to(learn, self.config, self.network, images, labels)
        for w, factor in zip(self.w, scale, strict=True):
            w *= w.dtype.type(factor)
        self.average.follow(int(self.course.step))
        if self.factor.min() <= 0:
            raise InputError(f"a factor of the signs became {self.factor.min():g}; lower learning.eta_factor")
        return result

    def firing_times(self) -> list[tuple[str, np.ndarray]]:
        return last_times(self.network, self.activity)

    def start_from(self, parameters: np.ndarray) -> None:
        """Raises InputError: a trained network is signs and factors only."""
        raise InputError(
            "--init: the real-valued weights with which BS4NN learns are not in a weights file; leave --init out"
        )

    def parameters(self) -> np.ndarray:
        """Weights as the network holds them: two values in each layer, which add up exactly."""
        for rows, w, factor in zip(self.network.rows, self.average.mean, self.factor, strict=True):
            rows[...] = np.sign(w) * of_few_bits(factor, self.network.v_th, len(w), w.dtype)
        return self.network.parameters

    def end_epoch(self, images: int, rng: np.random.Generator) -> None:
        """Nothing: no neuron is re-initialised."""

    def state(self) -> dict[str, np.ndarray]:
        weights = {f"w{k}": w for k, w in enumerate(self.w)}
        return {**weights, "step": self.course.step, "factor": self.factor, **self.average.state()}
