"""The same work done by the peers, checked for the same result and timed beside ours."""

import numpy as np
from measure import ROOT, Work, median_seconds, threads

from s4nn_ref import dense, race
from s4nn_ref.algorithms import ALGORITHMS
from s4nn_ref.config import read_config
from s4nn_ref.data import load
from s4nn_ref.encoding import encode

PEER_BATCH = 4  # images for the slow ones, and for ours beside them


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
    race.race_cost(v, work.labels[b], network.output_bound(), le.noise, le.readout, le.haste, error)
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
    """A predecessor's online learning against its transcription on whole spike trains (tests/oracle.py).

    Both begin at the initial weights, and every round presents images not seen before: those known already cost less.
    """
    import oracle

    config = read_config(ROOT / "experiments" / f"{name}.toml")
    dataset = load(config.data.dataset, "train", data_dir).head(500 * (1 + rounds))
    ours = ALGORITHMS[config.learning.algorithm](config, np.random.default_rng(0), 1)
    weights, t_max = [w.T.astype(np.float64) for w in ours.layers.w], config.network.t_max
    t_in = encode(dataset.images, t_max, config.data.rounding).reshape(len(dataset.images), -1).astype(int)
    eta, decay, gamma = config.optimiser.eta, config.optimiser.weight_decay, config.learning.lam
    fact = np.full(len(weights), config.learning.fact)

    def update(b):
        if config.learning.algorithm == "s4nn":
            oracle.s4nn_update(t_in[b], dataset.labels[b], weights, eta, decay, gamma, t_max)
        else:
            oracle.bs4nn_update(t_in[b], dataset.labels[b], weights, fact, eta, config.learning.eta_fact, gamma, t_max)

    def rounds_of(n):
        """One slice of n images after the other."""
        return (slice(b, b + n) for b in range(0, len(dataset.labels), n))

    few, many = rounds_of(10), rounds_of(500)

    def transcription():
        images = next(few)
        for b in range(images.start, images.stop):
            update(b)

    def learn():
        images = next(many)
        ours.learn(dataset.images[images], dataset.labels[images])

    with threads(1):
        theirs = median_seconds(transcription, rounds) / 10
        mine = median_seconds(learn, rounds) / 500
    return {"experiment": name, "transcription": theirs, "ours": mine, "ratio": theirs / mine}
