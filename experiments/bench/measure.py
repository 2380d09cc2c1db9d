"""The machine's limit for a network's work, and the time that each of its layers takes."""

import functools
import time
from contextlib import contextmanager

import numba
import numpy as np
from numba import njit
from work import BATCH, Work

from s4nn_ref import network as network_module
from s4nn_ref.anytime import Anytime
from s4nn_ref.kernels import backprop, convolution, output
from s4nn_ref.kernels.lanes import LANES, load, store


def seconds_per_call(work, least: float) -> float:
    """Time of a call of `work`, which is repeated for at least `least` seconds."""
    began, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - began < least:
        work()
        calls += 1
    return (time.perf_counter() - began) / calls


def median_seconds(work, rounds: int, least: float = 0.0) -> float:
    """Median time of a call of `work`, after one call that does not count.

    A round repeats it for at least `least` seconds.
    """
    work()
    return float(np.median([seconds_per_call(work, least) for _ in range(rounds)]))


@contextmanager
def threads(n: int):
    """Run the kernels on n threads."""
    before = numba.get_num_threads()
    numba.set_num_threads(n)
    try:
        yield
    finally:
        numba.set_num_threads(before)


@njit(error_model="numpy")
def _add_rows(table, rows, accumulator):
    """accumulator (1, M) += table[row] for every row: what any simulation has to do for every spike."""
    for row in rows:
        for first in range(0, table.shape[1], LANES):
            store(accumulator, 0, first, load(accumulator, 0, first) + load(table, row, first))


@njit(error_model="numpy")
def _add_rows_in_registers(table, rows, accumulator):
    """The same, one block of maps after the other, with sums that never leave the registers."""
    for first in range(0, table.shape[1], LANES):
        total = load(accumulator, 0, first)
        for row in rows:
            total = total + load(table, row, first)
        store(accumulator, 0, first, total)


def limit(n_rows: int, maps: int, rounds: int) -> float:
    """The machine's limit: how many additions per second it makes of rows to an accumulator.

    Rows of `maps` floats, padded as the network's, are taken in random order from a table of n_rows. The accumulator is
    in the L1 cache or in registers, whichever is faster.
    """
    rng, columns = np.random.default_rng(0), -(-maps // LANES) * LANES
    table, accumulator = rng.normal(size=(n_rows, columns)).astype(np.float32), np.zeros((1, columns), np.float32)
    rows = rng.integers(0, n_rows, 100_000)
    kernels_of_limit = (_add_rows, _add_rows_in_registers)
    seconds = [median_seconds(lambda k=k: k(table, rows, accumulator), rounds, 0.05) for k in kernels_of_limit]
    return rows.size * maps / min(seconds)


@contextmanager
def timed(seconds: dict):
    """Collect the seconds spent in each kernel, in the order of its calls: {(kernel, call within a pass): [seconds]}.

    Yields the function that begins a new pass.
    """
    parts = {
        convolution: ("if_conv",),
        backprop: ("if_conv_weight_gradient", "if_conv_propagate", "synaptic_error"),
        output: ("if_output", "error_from_step_on", "output_weight_gradient", "output_propagate"),
    }
    originals = [(module, name, getattr(module, name)) for module, names in parts.items() for name in names]
    kernel_of_loss, calls = network_module.for_each_image, {}

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
        network_module.for_each_image = lambda cost: wrap("loss", kernel_of_loss(cost))
        yield calls.clear
    finally:
        network_module.for_each_image = kernel_of_loss
        for module, name, kernel in originals:
            setattr(module, name, kernel)


def additions(layer, pre, t_max: int) -> int:
    """Additions of a weight to a potential in a forward pass of a weighted layer: one for each synapse that a spike of
    the state `pre` below reaches, over the batch."""
    g, n = layer.geometry, len(pre.t_post)
    of_pixel = (pre.t_post.reshape(n, g.height * g.width, -1) < t_max).sum(axis=(0, 2))
    return int((of_pixel * np.diff(layer.fan.first)).sum()) * g.maps_post


def operations(work: Work) -> list[dict]:
    """Spikes in, and synaptic operations forward and backward, per weighted layer and image.

    Forward: one operation for each synapse that a spike reaches. Backward, for every neuron that takes an error: one of
    Eq. 12 for each causal spike, and one of Eq. 10 for each neuron below that can take an error. Not counted for the
    output layer, whose error comes in every step.
    """
    n, states, layers = len(work.labels), work.forward(), work.fused.layers
    rows = []
    for layer, pre in zip(layers, states, strict=False):
        t_max = work.network.t_max
        spikes, forward = (pre.t_post < t_max).sum() / n, additions(layer, pre, t_max) / n
        rows.append({"layer": layer.tokens[0], "spikes": float(spikes), "forward": forward})
    learning, delta = work.config.learning, work.output_error(states)
    for depth in reversed(range(len(layers))):  # as in Network.backward
        layer, pre = layers[depth], states[depth]
        error = layer.synaptic_error(states[depth + 1], delta, learning.surrogate, learning.normalise)
        if depth < len(layers) - 1:
            rows[depth]["backward"] = _operations_backward(layer, pre, error, depth > 0) / n
        delta = layer.propagate(pre, error)
    return rows


def _operations_backward(layer, pre, error, propagate: bool) -> float:
    """Operations of a hidden layer: its weight gradient and what it propagates where all errors and weights are 1."""
    ones = error._replace(g=(error.g != 0).astype(error.g.dtype))
    gradient = np.zeros((1, *layer.rows.shape), layer.rows.dtype)
    layer.weight_gradient(pre, ones, gradient)
    total = -gradient.sum(dtype=float)
    if propagate:
        kept, layer.rows = layer.rows, np.ones_like(layer.rows)
        total += layer.propagate(pre, ones).sum(dtype=float)
        layer.rows = kept
    return float(total)


def layers(work: Work, rounds: int) -> list[dict]:
    """Time, operations, operations per second and share of the machine's limit, per weighted layer."""
    rows, n, states = operations(work), len(work.labels), work.forward()
    seconds: dict = {}
    with timed(seconds) as restart:
        for run in (work.forward, functools.partial(work.backward, states)):
            for _ in range(max(rounds, 5) * 3):
                restart()
                run()
    median = {key: float(np.median(values)) / n for key, values in seconds.items()}
    of_loss = ("loss", "error_from_step_on", "output_weight_gradient", "output_propagate")
    for depth, row in enumerate(rows):
        g = work.network.geometries[depth]
        hidden = depth < len(rows) - 1
        row["limit"] = limit(g.receptive_field, g.maps_post, rounds)
        row["forward_seconds"] = median["if_conv", depth] if hidden else median["if_output", 0]
        row["forward_share"] = row["forward"] / row["forward_seconds"] / row["limit"]
        if hidden:
            call = len(rows) - 2 - depth  # errors come from above; the first layer propagates none
            row["backward_seconds"] = median["if_conv_weight_gradient", call]
            row["backward_seconds"] += median["if_conv_propagate", call] if depth else 0.0
            row["backward_share"] = row["backward"] / row["backward_seconds"] / row["limit"]
        else:
            row["backward_seconds"] = sum(median[name, 0] for name in of_loss)
    return rows


def speed(work: Work, rounds: int) -> dict:
    """Seconds per image on one thread, and what a single image and the decision alone take."""
    n, step, anytime = len(work.labels), work.step(), Anytime(work.network)
    one, one_t, room = work.t_in[:1], 0.2, work.fused.room(n, peaks=False)

    def decide(t_in):
        return work.fused.outputs(work.fused.forward(t_in, out=room)).decisions()

    with threads(1):
        seconds = {
            "forward": median_seconds(work.forward, rounds, one_t) / n,
            "forward_backward": median_seconds(work.both, rounds, one_t) / n,
            "training_step": median_seconds(step, rounds, one_t) / n,
            "decision": median_seconds(lambda: decide(work.t_in), rounds, one_t) / n,
            "anytime": median_seconds(lambda: anytime.decide(work.t_in, count=False), rounds, one_t) / n,
            "anytime_counted": median_seconds(lambda: anytime.decide(work.t_in), rounds, one_t) / n,
            "one_image": median_seconds(lambda: decide(one), rounds, one_t),
            "one_image_anytime": median_seconds(lambda: anytime.decide(one, count=False), rounds, one_t),
        }
        table = layers(work, rounds)
    return {"network": work.name, "weights": work.weights, "seconds_per_image": seconds, "layers": table}


def engines(name: str, rounds: int, data_dir) -> dict:
    """Seconds per image of the fast and the plain engine for forward and backward, trained weights, one thread."""
    with threads(1):
        seconds = {
            engine: median_seconds(Work(name, "trained", data_dir, engine=engine).both, rounds, 0.2) / BATCH
            for engine in ("fast", "plain")
        }
    return {"network": name, **seconds, "ratio": seconds["plain"] / seconds["fast"]}
