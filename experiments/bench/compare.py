"""The same work done by the peers: first their result is compared with ours, then their time."""

import numpy as np
from measure import median_seconds, threads
from work import ROOT, Work

from s4nn_ref.algorithms import ALGORITHMS
from s4nn_ref.config import read_config
from s4nn_ref.data.dataset import load
from s4nn_ref.encoding import encode
from s4nn_ref.reference import bs4nn, s4nn

PEER_BATCH = 4  # images, of the peers and of ours


def peer_time_stepped(work: Work, rounds: int) -> dict:
    """Plain NumPy over whole spike trains: seconds per image."""
    from peers import time_stepped

    network, n = work.network, len(work.labels)
    t_in, error = work.t_in.astype(int), work.output_error(work.forward())
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
    """Clock-driven PyTorch on one thread, a batch at once: seconds per image. None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    peer, n = assert_clock_driven_is_ours(work), len(work.labels)
    error = work.output_error(work.forward())
    return {
        "version": torch.__version__,
        "forward": median_seconds(lambda: peer.forward(work.t_in), rounds) / n,
        "forward_backward": median_seconds(lambda: peer.backward(peer.forward(work.t_in), error), rounds) / n,
    }


def assert_clock_driven_is_ours(work: Work):
    """The clock-driven network in PyTorch, which must have our firing times and gradients."""
    from peers.clock_driven import ClockDriven

    peer = ClockDriven(work.network)
    error = work.output_error(work.forward())
    states = peer.forward(work.t_in)
    for b, ours in enumerate(_states_of_images(work)):
        for a, t_post in zip(states, ours, strict=True):
            np.testing.assert_array_equal(a["t"][b].permute(1, 2, 0).numpy().ravel(), t_post)
    gradients = zip(peer.backward(states, error), _gradient(work), strict=True)
    _assert_close(*zip(*((a.permute(2, 3, 1, 0).reshape(b.shape).numpy(), b) for a, b in gradients), strict=True))
    return peer


def _states_of_images(work: Work):
    """Firing times of all layers, flat, image by image."""
    states = work.network.forward(work.t_in)
    for b in range(len(work.labels)):
        yield [state.t_post[b].ravel() for state in states]


def _assert_close(theirs, ours) -> None:
    for a, b in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-3 * max(np.abs(b).max(), 1e-9))


def _gradient(work: Work) -> list[np.ndarray]:
    """Weight gradients (R, M), summed over the images."""
    for g in work.grad:
        g[:] = 0
    work.both()
    return [g.sum(axis=0) for g in work.grad]


def peers(work: Work, rounds: int) -> dict:
    """Seconds per image of each peer and of ours, for the same images and in turn, and the ratios."""
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
    """Online learning of S4NN or BS4NN: ours against the plain loops of s4nn_ref/reference.

    Both begin at the initial weights. Every round presents new images, because learned ones cost less.
    """
    config = read_config(ROOT / "experiments" / f"{name}.toml")
    dataset, le = load(config.data.dataset, "train", data_dir).head(500 * (1 + rounds)), config.learning
    ours = ALGORITHMS[config.algorithm](config, np.random.default_rng(0), 1)
    weights, t_max = [w.T.astype(np.float64) for w in ours.w], config.network.t_max
    t_in = encode(dataset.images, t_max, config.data.encoding).reshape(len(dataset.images), -1).astype(int)
    if config.algorithm == "s4nn":
        update, keys = s4nn.update, ((le.eta, le.weight_decay), le.gamma, t_max, le.balance)
    else:
        factor = np.full(len(weights), le.factor)
        update, keys = bs4nn.update, (factor, (le.eta, le.weight_decay, le.eta_factor), le.gamma, t_max, le.balance)

    def rounds_of(n):
        """Slices of n images, one after the other."""
        return (slice(b, b + n) for b in range(0, len(dataset.labels), n))

    few, many = rounds_of(10), rounds_of(500)

    def reference():
        images = next(few)
        for b in range(images.start, images.stop):
            update(t_in[b], dataset.labels[b], weights, *keys)

    def learn():
        images = next(many)
        ours.learn(dataset.images[images], dataset.labels[images])

    with threads(1):
        theirs = median_seconds(reference, rounds) / 10
        mine = median_seconds(learn, rounds) / 500
    return {"experiment": name, "reference": theirs, "ours": mine, "ratio": theirs / mine}
