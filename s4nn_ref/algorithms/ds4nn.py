"""DS4NN: relative target times, temporal error and cost (Eqs. 4-6 and 9), and learning from a batch with them.

Source: Mirsadeghi et al. 2023, sections 2.1 and 2.2. Departures D7 and D10 in docs/deviations.md.
"""

import numpy as np

from s4nn_ref.algorithms.rivals import comsa_error, mostafa_error, s4nn_error
from s4nn_ref.encoding import encode
from s4nn_ref.metrics import decide
from s4nn_ref.network import N_SHARDS, network_of
from s4nn_ref.optimiser import Optimiser


def target_times(t_out: np.ndarray, labels: np.ndarray, lam: float, t_max: int) -> np.ndarray:
    """Relative target firing times (Eq. 4).

    t_out  : (B, classes) firing times of the output layer, time steps
    labels : (B,) class of each image
    lam    : separation margin lambda, time steps
    Returns float (B, classes): tau_min - lam for the label, tau_max + lam for the others, clipped to [0, t_max].
    """
    tau_min = t_out.min(axis=1).astype(np.float64)
    tau_max = t_out.max(axis=1).astype(np.float64)
    t_target = np.repeat(np.minimum(tau_max + lam, t_max)[:, None], t_out.shape[1], axis=1)  # Eq. 4, i != j
    t_target[np.arange(len(labels)), labels] = np.maximum(tau_min - lam, 0.0)  # Eq. 4, i = j
    return t_target


def leads(t_out: np.ndarray, labels: np.ndarray, lam: float) -> np.ndarray:
    """Outputs whose order is already right: true for a wrong output at least lam later than the label's, and for the
    label's where all of them are (the hinge, D10).

    Shapes as in `target_times`; returns bool (B, classes).
    """
    row = np.arange(len(labels))
    done = t_out - t_out[row, labels].astype(np.float64)[:, None] >= lam
    done[row, labels] = True
    done[row, labels] = done.all(axis=1)
    return done


def temporal_error(t_out, labels, lam, t_max, hinge=False) -> np.ndarray:
    """Temporal error, which is also the output layer's delta (Eqs. 5 and 9), in units of t_max (D7).

    Shapes as in `target_times`; hinge drops the errors of outputs in the right order (D10).
    Returns float (B, classes).
    """
    e = (t_out - target_times(t_out, labels, lam, t_max)) / t_max  # Eqs. 5 and 9
    if hinge:
        e[leads(t_out, labels, lam)] = 0.0
    return e


def cost(e: np.ndarray) -> np.ndarray:
    """Cost of each image (Eq. 6). e : (B, classes) -> (B,)."""
    return 0.5 * (e**2).sum(axis=1)


class DS4NN:
    """The algorithm of `learning.algorithm = "ds4nn"`; see s4nn_ref.algorithms.Algorithm.

    A call of `learn` is an update along the mean gradient of a batch. grad : what Network.gradients returns.
    """

    def __init__(self, config, rng: np.random.Generator, batches: int):
        self.config, self.network = config, network_of(config)
        self.network.initialise(config.network.init, rng)
        self.optimiser = Optimiser(
            config.optimiser, self.network.parameters, self.network.slices, batches, config.training.epochs
        )
        self.grad = self.network.gradients(min(N_SHARDS, config.training.batch))

    @staticmethod
    def presented(config) -> int:
        return config.training.batch

    def learn(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One update from a batch: forward, error, backward, step. Returns cost and whether the decision was right."""
        costs, right = self.backward(images, labels)
        self.optimiser.update(self.grad, len(labels))
        return costs, right

    def backward(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Add dE/dw of a batch to `grad`; returns what `learn` does."""
        c, le, net = self.config.network, self.config.learning, self.network
        states = net.forward(encode(images, c.t_max, self.config.data.rounding), every_layer=False)
        out = states[-1]
        t_out = out.t_post.reshape(len(labels), -1)
        right = decide(t_out, out.v_peak.reshape(t_out.shape), out.v_end, c.t_max) == labels
        if le.error == "race":
            costs = net.backward_race(
                states, labels, le.noise, le.readout, le.haste, self.grad, le.surrogate, le.normalise
            )
        else:
            delta, costs = self._output_error(t_out, labels)
            net.backward(states, delta, self.grad, le.surrogate, le.normalise)
        return costs, right

    def _output_error(self, t_out, labels) -> tuple[np.ndarray, np.ndarray]:
        """dE/dt of the output neurons (B, classes) and the cost of each image, for errors on firing times."""
        le, t_max = self.config.learning, self.config.network.t_max
        if le.error == "mostafa":
            return mostafa_error(t_out, labels, t_max)
        if le.error == "comsa":
            return comsa_error(t_out, labels, t_max)
        if le.error == "s4nn":
            e = s4nn_error(t_out, labels, le.lam, t_max)
        else:
            e = temporal_error(t_out, labels, le.lam, t_max, le.hinge)
        return e, cost(e)

    def parameters(self) -> np.ndarray:
        """The moving average of the weights, or themselves without one (D13)."""
        return self.optimiser.w_mean if self.config.optimiser.ema else self.network.parameters

    def end_epoch(self, images: int, rng: np.random.Generator) -> None:
        """Nothing."""

    def state(self) -> dict[str, np.ndarray]:
        o = self.optimiser
        return {"parameters": self.network.parameters, "m": o.m, "v": o.v, "w_mean": o.w_mean, "step": o.step}
