"""How fast the kernels are: against the machine's limit, against other ways to compute the same, and how they scale.

    python experiments/bench.py [--quick] [--out DIR] [--data DIR]

Everything is measured in one process, in turn, and given as medians; of two numbers that are compared, each is measured
within seconds of the other, because shared machines drift. Writes bench.json and bench.md. PyTorch joins in where it is
installed. Run it with nothing beside it.
"""

import argparse
import functools
import resource
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numba
import numpy as np
from numba import njit

from s4nn_ref import dense, kernels, race
from s4nn_ref.algorithms import ALGORITHMS
from s4nn_ref.anytime import Anytime
from s4nn_ref.config import config_of_dict
from s4nn_ref.data import load
from s4nn_ref.encoding import encode
from s4nn_ref.errors import InputError
from s4nn_ref.network import Network
from s4nn_ref.progress import images_bar
from s4nn_ref.record import environment
from s4nn_ref.storage import read_weights, write_json

ROOT = Path(__file__).resolve().parent.parent
NETWORKS = ("mnist-plus", "fashion-plus")
BATCH = 32
PEER_BATCH = 8  # images for the slow ones, and for ours beside them


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


# ---------------------------------------------------------------------------------------------- the machine's limit


@njit(error_model="numpy")
def _add_rows(table, rows, accumulator):
    """accumulator (M,) += table[row] for every row: what any simulation must do for every spike."""
    for row in rows:
        for m in range(accumulator.size):
            accumulator[m] += table[row, m]


def limit(n_rows: int, maps: int, rounds: int) -> float:
    """Additions per second of rows of `maps` floats, in random order from a table of n_rows, into an accumulator."""
    rng = np.random.default_rng(0)
    table, accumulator = rng.normal(size=(n_rows, maps)).astype(np.float32), np.zeros(maps, np.float32)
    rows = rng.integers(0, n_rows, 200_000)
    return rows.size * maps / median_seconds(lambda: _add_rows(table, rows, accumulator), rounds, 0.05)


# ------------------------------------------------------------------------------------------------- a network's work


class Work:
    """A network with images and labels, as training presents them; states, gradients and output error at hand."""

    def __init__(self, name: str, weights: str, data_dir, batch: int = BATCH):
        network, config = read_weights(ROOT / "weights" / f"{name}.npz")
        if weights == "initial":
            network.initialise(config.network.init, np.random.default_rng(0))
        self.name, self.weights, self.network, self.config = name, weights, network, config
        dataset = load(config.data.dataset, "test", data_dir).head(batch)
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
            states, self.labels, self.network.v_th, le.noise, le.readout, self.grad, le.surrogate, le.normalise
        )

    def both(self) -> None:
        self.backward(self.forward())

    def step(self):
        """The function that makes a whole training step; its learning rate is 0, so that all of them are alike."""
        tables = self.config.as_dict()
        tables["optimiser"]["eta"] = [0.0] * len(self.network.w)
        tables["training"]["batch"] = len(self.labels)
        algorithm = ALGORITHMS["ds4nn"](config_of_dict(tables), np.random.default_rng(0), 1000)
        algorithm.network.parameters[:] = self.network.parameters
        return lambda: algorithm.learn(self.images, self.labels)


@contextmanager
def timed(seconds: dict):
    """Add up, per kernel and call within a pass, the seconds spent in each kernel."""
    parts = [(kernels, "if_conv"), (kernels, "if_conv_backward"), (kernels, "synaptic_error"), (dense, "if_output"),
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
    original = kernels.if_conv_backward

    def count(g, t_error, winner, t_pre, t_peak_pre, w_post, geometry, window, t_max, propagate, fan, delta, grad):
        ones, weight, below = (g != 0).astype(g.dtype), np.zeros(grad.shape, g.dtype), np.zeros(delta.shape, g.dtype)
        original(ones, t_error, winner, t_pre, t_peak_pre, np.ones_like(w_post), geometry, window, t_max, propagate,
                 fan, below, weight)  # fmt: skip
        counted.append(-weight.sum(dtype=float) + below.sum(dtype=float))
        original(g, t_error, winner, t_pre, t_peak_pre, w_post, geometry, window, t_max, propagate, fan, delta, grad)

    kernels.if_conv_backward = count
    try:
        work.backward(states)
    finally:
        kernels.if_conv_backward = original
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
            "anytime": median_seconds(lambda: anytime.decide(work.t_in), rounds, one_t) / n,
            "one_image": median_seconds(lambda: work.network.forward(one, every_layer=False), rounds, one_t),
            "one_image_anytime": median_seconds(lambda: anytime.decide(one), rounds, one_t),
        }
        table = layers(work, rounds)
    return {"network": work.name, "weights": work.weights, "seconds_per_image": seconds, "layers": table}


# ------------------------------------------------------------------------------------------------------------ peers


def peer_time_stepped(work: Work, rounds: int) -> dict:
    """Plain NumPy over whole spike trains: equal firing times and gradients first, then seconds per image."""
    from peers import time_stepped

    network, n = work.network, len(work.labels)
    t_in, error = work.t_in.astype(int), [_output_error(work, b) for b in range(n)]
    total = [0.0] * len(network.w)
    for b, ours in enumerate(_states_of_images(work)):
        states = time_stepped.forward(network, t_in[b])
        for a, t_post in zip(states, ours, strict=True):
            np.testing.assert_array_equal(a["t"].ravel(), t_post)
        total = [t + g for t, g in zip(total, time_stepped.backward(network, states, error[b]), strict=True)]
    _assert_close(total, _gradient(work))

    def both():
        for b in range(n):
            time_stepped.backward(network, time_stepped.forward(network, t_in[b]), error[b])

    return {
        "forward": median_seconds(lambda: [time_stepped.forward(network, t) for t in t_in], rounds) / n,
        "forward_backward": median_seconds(both, rounds) / n,
    }


def peer_clock_driven(work: Work, rounds: int) -> dict | None:
    """Clock-driven PyTorch on one thread, a batch at once; None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    from peers.clock_driven import ClockDriven

    torch.set_num_threads(1)
    peer, n = ClockDriven(work.network), len(work.labels)
    error = np.stack([_output_error(work, b) for b in range(n)])
    states = peer.forward(work.t_in)
    for b, ours in enumerate(_states_of_images(work)):
        for a, t_post in zip(states, ours, strict=True):
            np.testing.assert_array_equal(a["t"][b].permute(1, 2, 0).numpy().ravel(), t_post)
    gradients = zip(peer.backward(states, error), _gradient(work), strict=True)
    _assert_close(*zip(*((a.permute(2, 3, 1, 0).reshape(b.shape).numpy(), b) for a, b in gradients), strict=True))
    return {
        "version": torch.__version__,
        "forward": median_seconds(lambda: peer.forward(work.t_in), rounds) / n,
        "forward_backward": median_seconds(lambda: peer.backward(peer.forward(work.t_in), error), rounds) / n,
    }


def _states_of_images(work: Work):
    """Firing times of all layers, flat, image by image."""
    states = [state.t_post.copy() for state in work.network.forward(work.t_in)]
    for b in range(len(work.labels)):
        yield [t_post[b].ravel() for t_post in states]


def _assert_close(theirs, ours) -> None:
    for a, b in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-3 * max(np.abs(b).max(), 1e-9))


def _output_error(work: Work, b: int) -> np.ndarray:
    """dE/dV of the output neurons for image b, (T, classes)."""
    network, le = work.network, work.config.learning
    t_pre = network.forward(work.t_in[b : b + 1])[-2].t_post.ravel()
    v = dense.output_potentials(t_pre, network.matrices(network.parameters)[-1], network.t_max)
    error = np.empty_like(v)
    race.race_cost(v, work.labels[b], network.output_bound(), le.noise, le.readout, error)
    return error


def _gradient(work: Work) -> list[np.ndarray]:
    """Weight gradients (R, M), summed over the images."""
    for g in work.grad:
        g[:] = 0
    work.both()
    return [g.sum(axis=0) for g in work.grad]


def peers(work: Work, rounds: int) -> dict:
    """Seconds per image of the peers and of ours, for the same images and measured beside them, and the ratios."""
    found = {}
    for name, measure in (("time-stepped NumPy", peer_time_stepped), ("clock-driven PyTorch", peer_clock_driven)):
        with threads(1):
            theirs = measure(work, rounds)
            if theirs is None:
                continue
            ours = {
                "forward": median_seconds(work.forward, rounds, 0.2) / len(work.labels),
                "forward_backward": median_seconds(work.both, rounds, 0.2) / len(work.labels),
            }
        ratios = {key: theirs[key] / ours[key] for key in ours}
        found[name] = {"seconds_per_image": theirs, "ours": ours, "ratio": ratios}
    return {"network": work.name, "weights": work.weights, "peers": found}


def peer_online(name: str, rounds: int, data_dir) -> dict:
    """A predecessor's online learning against its transcription on whole spike trains (tests/oracle.py)."""
    import oracle

    from s4nn_ref.config import read_config

    config = read_config(ROOT / "experiments" / f"{name}.toml")
    dataset = load(config.data.dataset, "test", data_dir).head(500)
    ours = ALGORITHMS[config.learning.algorithm](config, np.random.default_rng(0), 1)
    weights, t_max = [w.T.astype(np.float64) for w in ours.w], config.network.t_max
    t_in = encode(dataset.images, t_max, config.data.rounding).reshape(500, -1).astype(int)
    eta, decay, gamma = config.optimiser.eta, config.optimiser.weight_decay, config.learning.lam
    fact = np.full(len(weights), config.learning.fact)

    def update(b):
        if config.learning.algorithm == "s4nn":
            oracle.s4nn_update(t_in[b], dataset.labels[b], weights, eta, decay, gamma, t_max)
        else:
            oracle.bs4nn_update(t_in[b], dataset.labels[b], weights, fact, eta, config.learning.eta_fact, gamma, t_max)

    with threads(1):
        theirs = median_seconds(lambda: [update(b) for b in range(10)], rounds) / 10
        mine = median_seconds(lambda: ours.learn(dataset.images, dataset.labels), rounds) / 500
    return {"experiment": name, "transcription": theirs, "ours": mine, "ratio": theirs / mine}


# ---------------------------------------------------------------------------------------------------------- scaling


def scaling(rounds: int) -> list[dict]:
    """Seconds per image of forward and backward where one thing changes: 64C3-P2-128C3-P2-10 with random weights."""
    rows = []

    def measure(what, value, structure="64C3-P2-128C3-P2-10", t_max=100, batch=BATCH, density=0.2, n_threads=1):
        rng = np.random.default_rng(1)
        network = Network(structure, t_max=t_max, padding="same", pool_ties="potential")
        network.initialise([(-60, 80), (-12, 12), (-0.45, 0.45)], rng)
        moments = rng.random((batch, 28, 28, 1))
        seen = rng.random(moments.shape) < density
        # the same spikes in the same order for every t_max but for steps that fall together
        t_in = np.where(seen, (moments * t_max).astype(int), t_max).astype(np.int16)
        labels, grad = rng.integers(0, 10, batch), network.gradients(min(4, batch))

        def both():
            states = network.forward(t_in, every_layer=False)
            network.backward_race(states, labels, 100.0, 5.0, 0.0, grad, "window", "none")

        with threads(n_threads):
            forward = median_seconds(lambda: network.forward(t_in, every_layer=False), rounds, 0.1) / batch
            total = median_seconds(both, rounds, 0.1) / batch
        states = network.forward(t_in)
        hidden = sum(int((s.t_post < t_max).sum()) for s in states[1:-1]) / batch
        rows.append({"varied": what, "value": value, "hidden_spikes": hidden, "forward": forward, "both": total})

    for t_max in (50, 100, 200, 500, 1000):
        measure("T_max", t_max, t_max=t_max)
    for maps in (16, 32, 64, 128, 256):
        measure("maps", maps, structure=f"{maps}C3-P2-{maps}C3-P2-10")
    for n_threads in range(1, numba.config.NUMBA_NUM_THREADS + 1):
        measure("threads", n_threads, n_threads=n_threads)
    for batch in (1, 4, 16, 32, 64, 128, 256):
        measure("batch", batch, batch=batch)
    for density in (0.05, 0.1, 0.2, 0.4, 0.8):
        measure("input density", density, density=density)
    return rows


def threads_on_trained(data_dir, rounds: int) -> list[dict]:
    """Forward and backward of trained networks on one thread and on all, in turn."""
    rows = []
    for name in NETWORKS:
        work = Work(name, "trained", data_dir)
        seconds = {1: [], numba.config.NUMBA_NUM_THREADS: []}
        for _ in range(rounds):
            for n_threads, values in seconds.items():
                with threads(n_threads):
                    values.append(median_seconds(work.both, 1, 0.3) / len(work.labels))
        one, every = (float(np.median(values)) for values in seconds.values())
        rows.append({"network": name, "threads": numba.config.NUMBA_NUM_THREADS, "one": one, "all": every,
                     "ratio": one / every})  # fmt: skip
    return rows


# ----------------------------------------------------------------------------------------------------------- report


def table(head: list[str], rows: list[list]) -> list[str]:
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in [head, *rows]]
    return [lines[0], "|" + "---|" * len(head), *lines[1:], ""]


def us(seconds: float) -> str:
    return f"{1e6 * seconds:,.1f}" if seconds < 1e-4 else f"{1e6 * seconds:,.0f}"


def markdown(result: dict) -> str:
    e = result["environment"]
    lines = [
        "# Benchmark", "",
        f"{e['cpu']}, {e['cores']} cores; Python {e['versions']['python']}, NumPy {e['versions']['numpy']}, Numba "
        f"{e['versions']['numba']}; revision {e['revision']}. One thread unless said otherwise, batches of {BATCH} "
        "test images, medians. Made by `make bench`.", "",
        "## Speed, microseconds per image", "",
    ]  # fmt: skip
    keys = ("forward", "forward_backward", "training_step", "anytime", "one_image", "one_image_anytime")
    lines += table(
        ["network", "weights", "forward", "forward + backward", "training step", "anytime", "one image",
         "one image, anytime"],
        [[s["network"], s["weights"], *(us(s["seconds_per_image"][key]) for key in keys)] for s in result["speed"]],
    )  # fmt: skip
    lines += ["## Layers", "", "Operations are additions to one potential or gradient; limit: additions of table rows "
              "into an accumulator, same row length and table size.", ""]  # fmt: skip
    rows = []
    for s in result["speed"]:
        for row in s["layers"]:
            back = [us(row["backward_seconds"])]
            back += (
                [f"{row['backward'] / 1e3:,.0f}", f"{100 * row['backward_share']:.0f} %"]
                if "backward" in row
                else ["-"] * 2
            )
            rows.append([s["network"], s["weights"], row["layer"], f"{row['spikes']:,.0f}", us(row["forward_seconds"]),
                         f"{row['forward'] / 1e3:,.0f}", f"{row['forward'] / row['forward_seconds'] / 1e9:.1f}",
                         f"{row['limit'] / 1e9:.1f}", f"{100 * row['forward_share']:.0f} %", *back])  # fmt: skip
    lines += table(
        ["network", "weights", "layer", "spikes in", "forward (us)", "operations (10^3)", "10^9 per s",
         "limit (10^9 per s)", "share of limit", "backward (us)", "operations (10^3)", "share of limit"], rows,
    )  # fmt: skip
    lines += ["## Peers", "", f"The same {PEER_BATCH} images, one thread. Firing times were equal and gradients close "
              "before anything was timed; ratio: their time per image over ours, measured beside it.", ""]  # fmt: skip
    rows = []
    for entry in result["peers"]:
        for name, p in entry["peers"].items():
            rows += [[entry["network"], entry["weights"], name, what.replace("_", " + "),
                      us(p["seconds_per_image"][what]), us(p["ours"][what]), f"{p['ratio'][what]:,.0f}"]
                     for what in ("forward", "forward_backward")]  # fmt: skip
    lines += table(["network", "weights", "peer", "work", "theirs (us)", "ours (us)", "ratio"], rows)
    lines += table(
        ["online learning", "transcription (us)", "ours (us)", "ratio"],
        [[o["experiment"], us(o["transcription"]), us(o["ours"]), f"{o['ratio']:,.0f}"] for o in result["online"]],
    )  # fmt: skip
    lines += ["## Threads", ""]
    lines += table(
        ["network", "threads", "one (us)", "all (us)", "ratio"],
        [[t["network"], t["threads"], us(t["one"]), us(t["all"]), f"{t['ratio']:.2f}"] for t in result["threads"]],
    )  # fmt: skip
    lines += ["## Scaling", "", "64C3-P2-128C3-P2-10, random weights, a fifth of the pixels at random times, one thing "
              "changed.", ""]  # fmt: skip
    lines += table(
        ["varied", "value", "hidden spikes", "forward (us)", "forward + backward (us)"],
        [[r["varied"], r["value"], f"{r['hidden_spikes']:,.0f}", us(r["forward"]), us(r["both"])]
         for r in result["scaling"]],
    )  # fmt: skip
    return "\n".join([*lines, f"Peak memory of this process: {result['peak_memory_mb']:.0f} MB.", ""])


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "bench", metavar="DIR")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the data sets, as for s4nn train")
    parser.add_argument("--quick", action="store_true", help="one round of everything: does it work?")
    args = parser.parse_args(argv)
    sys.path += [str(ROOT / "experiments"), str(ROOT / "tests")]  # peers, and the transcriptions in oracle.py
    rounds = 1 if args.quick else 5
    works = [(name, weights) for name in NETWORKS for weights in ("trained", "initial")]
    online = ("s4nn", "bs4nn", "s4nn-fashion", "bs4nn-fashion")
    result = {"environment": environment(), "rounds": rounds, "speed": [], "peers": [], "online": []}
    try:
        with images_bar(2 * len(works) + len(online) + 2, "bench") as advance:
            for name, weights in works:
                result["speed"].append(speed(Work(name, weights, args.data), rounds))
                advance(1)
            for name, weights in works:
                result["peers"].append(peers(Work(name, weights, args.data, PEER_BATCH).with_exact_sums(), rounds))
                advance(1)
            for name in online:
                result["online"].append(peer_online(name, rounds, args.data))
                advance(1)
            result["threads"] = threads_on_trained(args.data, rounds)
            advance(1)
            result["scaling"] = scaling(rounds)
            advance(1)
    except InputError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    result["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    args.out.mkdir(parents=True, exist_ok=True)
    write_json(args.out / "bench.json", result)
    (args.out / "bench.md").write_text(markdown(result))
    print(markdown(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
