"""The work that is measured, the machine's limit for it, and where a network's time goes, layer by layer."""

import functools
import time
from contextlib import contextmanager
from pathlib import Path

import numba
import numpy as np
from numba import njit

from s4nn_ref import backprop, data, dense, kernels, race
from s4nn_ref.algorithms import ALGORITHMS
from s4nn_ref.anytime import Anytime
from s4nn_ref.config import config_of_dict
from s4nn_ref.encoding import encode
from s4nn_ref.lanes import LANES, load, store
from s4nn_ref.storage import read_weights
from s4nn_ref.train import Progress, Training, split_validation

ROOT = Path(__file__).resolve().parent.parent.parent
BATCH = 32


def median_seconds(work, rounds: int, least: float = 0.0) -> float:
    """Median time of a call of `work`, called once before; each round repeats it for at least `least` seconds."""
    work()
    seconds = []
    for _ in range(rounds):
        began, calls = time.perf_counter(), 0
        while calls == 0 or time.perf_counter() - began < least:
            work()
            calls += 1
        seconds.append((time.perf_counter() - began) / calls)
    return float(np.median(seconds))


@contextmanager
def threads(n: int):
    before = numba.get_num_threads()
    numba.set_num_threads(n)
    try:
        yield
    finally:
        numba.set_num_threads(before)


@njit(error_model="numpy")
def _add_rows(table, rows, accumulator):
    """accumulator (1, M) += table[row] for every row: what any simulation must do for every spike."""
    for row in rows:
        for first in range(0, table.shape[1], LANES):
            store(accumulator, 0, first, load(accumulator, 0, first) + load(table, row, first))


@njit(error_model="numpy")
def _add_rows_in_registers(table, rows, accumulator):
    """The same, a block of maps after the other, whose sums never leave the registers."""
    for first in range(0, table.shape[1], LANES):
        total = load(accumulator, 0, first)
        for row in rows:
            total = total + load(table, row, first)
        store(accumulator, 0, first, total)


def limit(n_rows: int, maps: int, rounds: int) -> float:
    """Additions per second of rows of `maps` floats, in random order from a table of n_rows, into an accumulator in the
    L1 cache or in registers, whichever is faster. Rows are padded as the network's."""
    rng, columns = np.random.default_rng(0), -(-maps // LANES) * LANES
    table, accumulator = rng.normal(size=(n_rows, columns)).astype(np.float32), np.zeros((1, columns), np.float32)
    rows = rng.integers(0, n_rows, 100_000)
    kernels_of_limit = (_add_rows, _add_rows_in_registers)
    seconds = [median_seconds(lambda k=k: k(table, rows, accumulator), rounds, 0.05) for k in kernels_of_limit]
    return rows.size * maps / min(seconds)


class Work:
    """A network with images and labels, as training presents them; states, gradients and output error at hand."""

    def __init__(self, name: str, weights: str, data_dir, batch: int = BATCH):
        network, config = read_weights(ROOT / "weights" / f"{name}.npz")
        if weights == "initial":
            network.initialise(config.network.init, np.random.default_rng(0))
        self.name, self.weights, self.network, self.config = name, weights, network, config
        dataset = data.load(config.data.dataset, "test", data_dir).head(batch)
        self.images, self.labels = dataset.images, dataset.labels
        self.t_in = encode(self.images, network.t_max, config.data.rounding)
        self.grad = network.gradients()

    def with_exact_sums(self) -> "Work":
        """Weights in 64ths: sums do not depend on their order, so that firing times can be equal to a peer's."""
        self.network.parameters[:] = np.round(self.network.parameters * 64) / 64
        return self

    def forward(self):
        return self.network.forward(self.t_in, every_layer=False)

    def backward(self, states) -> None:
        le = self.config.learning
        self.network.backward_race(
            states,
            self.labels,
            le.noise,
            le.readout,
            le.haste,
            self.grad,
            le.surrogate,
            le.normalise,
        )

    def both(self) -> None:
        self.backward(self.forward())

    def _at_rest(self, **training):
        """The experiment with a learning rate of 0, so that all training steps are alike."""
        tables = self.config.as_dict()
        tables["optimiser"]["eta"] = [0.0] * len(self.network.w)
        tables["training"].update(training)
        return config_of_dict(tables)

    def epoch(self, data_dir, rounds: int, images: int = 5_500) -> float:
        """Seconds of a training epoch, batches and augmentation as in the experiment, on all threads: the median of its
        first `images` images, scaled to all."""
        config = self._at_rest()
        learn, validate = split_validation(data.load(config.data.dataset, "train", data_dir), config)
        training = Training(config, learn.head(images), validate.head(0))
        training.algorithm.network.parameters[:] = self.network.parameters
        for _ in range(1 + rounds):
            training.run_epoch(Progress(), {"set": False})
            training.close_epoch()
        seconds = np.median([row["seconds"] for row in training.history[1:]])
        return float(seconds) * len(learn.labels) / len(training.data.labels)

    def step(self):
        """The function that makes a whole training step."""
        config = self._at_rest(batch=len(self.labels))
        algorithm = ALGORITHMS["ds4nn"](config, np.random.default_rng(0), 1000)
        algorithm.network.parameters[:] = self.network.parameters
        return lambda: algorithm.learn(self.images, self.labels)


@contextmanager
def timed(seconds: dict):
    """Add up, per kernel and call within a pass, the seconds spent in each kernel."""
    parts = [(kernels, "if_conv"), (backprop, "if_conv_backward"), (backprop, "synaptic_error"), (dense, "if_output"),
             (race, "race_backward")]  # fmt: skip
    originals = [(module, name, getattr(module, name)) for module, name in parts]
    calls: dict = {}

    def wrap(name, kernel):
        @functools.wraps(kernel)
        def run(*arguments):
            began = time.perf_counter()
            kernel(*arguments)
            key = name, calls.get(name, 0)
            calls[name] = key[1] + 1
            seconds.setdefault(key, []).append(time.perf_counter() - began)

        return run

    try:
        for module, name, kernel in originals:
            setattr(module, name, wrap(name, kernel))
        yield calls.clear
    finally:
        for module, name, kernel in originals:
            setattr(module, name, kernel)


def operations(work: Work) -> list[dict]:
    """Per weighted layer and image: spikes in, synaptic operations forward and backward.

    Forward: a spike times its fan-out. Backward: for every neuron that takes an error, a causal spike is one operation
    of its weight gradient (Eq. 12), and a neuron below that can take an error one of Eq. 10.
    """
    network, states = work.network, work.forward()
    n, rows, depth = len(work.labels), [], 0
    counted: list = []
    original = backprop.if_conv_backward

    def count(g, t_error, winner, t_pre, t_peak_pre, w_post, geometry, window, t_max, propagate, fan, delta, grad):
        ones, weight, below = (g != 0).astype(g.dtype), np.zeros(grad.shape, g.dtype), np.zeros(delta.shape, g.dtype)
        original(ones, t_error, winner, t_pre, t_peak_pre, np.ones_like(w_post), geometry, window, t_max, propagate,
                 fan, below, weight)  # fmt: skip
        counted.append(-weight.sum(dtype=float) + below.sum(dtype=float))
        original(g, t_error, winner, t_pre, t_peak_pre, w_post, geometry, window, t_max, propagate, fan, delta, grad)

    backprop.if_conv_backward = count
    try:
        work.backward(states)
    finally:
        backprop.if_conv_backward = original
    for i, layer in enumerate(network.layers):
        if layer.geometry is None:
            continue
        g = layer.geometry
        t_pre = states[i].t_post.reshape(n, g.height * g.width, g.maps_pre)
        reach = np.diff(network._fan_out[depth].first)
        fired = (t_pre < network.t_max).sum(axis=2)
        ours = {"layer": layer.token, "spikes": float(fired.sum() / n),
                "forward": float((fired * reach).sum() * g.maps_post / n)}  # fmt: skip
        rows.append(ours)
        depth += 1
    for row, ops in zip(rows, counted[::-1], strict=False):  # the output's error is the race's
        row["backward"] = ops / n
    return rows


def layers(work: Work, rounds: int) -> list[dict]:
    """Per weighted layer: time, operations, operations per second and the share of the machine's limit."""
    rows, n, states = operations(work), len(work.labels), work.forward()
    seconds: dict = {}
    with timed(seconds) as restart:
        for run in (work.forward, functools.partial(work.backward, states)):
            for _ in range(max(rounds, 5) * 3):
                restart()
                run()
    median = {key: float(np.median(values)) / n for key, values in seconds.items()}
    for depth, row in enumerate(rows):
        g = work.network.geometries[depth]
        hidden = depth < len(rows) - 1
        row["limit"] = limit(g.receptive_field, g.maps_post, rounds)
        row["forward_seconds"] = median["if_conv", depth] if hidden else median["if_output", 0]
        row["forward_share"] = row["forward"] / row["forward_seconds"] / row["limit"]
        if hidden:
            row["backward_seconds"] = median["if_conv_backward", len(rows) - 2 - depth]
            row["backward_share"] = row["backward"] / row["backward_seconds"] / row["limit"]
        else:
            row["backward_seconds"] = median["race_backward", 0]
    return rows


def speed(work: Work, rounds: int) -> dict:
    """Images per second on one thread, and what a single image and the anytime decision take."""
    n, step, anytime = len(work.labels), work.step(), Anytime(work.network)
    one, one_t = work.t_in[:1], 0.2
    with threads(1):
        seconds = {
            "forward": median_seconds(work.forward, rounds, one_t) / n,
            "forward_backward": median_seconds(work.both, rounds, one_t) / n,
            "training_step": median_seconds(step, rounds, one_t) / n,
            "anytime": median_seconds(lambda: anytime.decide(work.t_in, count=False), rounds, one_t) / n,
            "anytime_counted": median_seconds(lambda: anytime.decide(work.t_in), rounds, one_t) / n,
            "one_image": median_seconds(lambda: work.network.forward(one, every_layer=False), rounds, one_t),
            "one_image_anytime": median_seconds(lambda: anytime.decide(one, count=False), rounds, one_t),
        }
        table = layers(work, rounds)
    return {"network": work.name, "weights": work.weights, "seconds_per_image": seconds, "layers": table}
