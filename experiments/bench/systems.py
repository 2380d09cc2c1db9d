"""The systems in continuous time beside the same closed form in PyTorch: ours on one core, theirs on all of them."""

import os

import numpy as np
from measure import median_seconds, threads
from work import BATCH, ROOT

from s4nn_ref.algorithms import ALGORITHMS
from s4nn_ref.app.storage import read_weights
from s4nn_ref.config import read_config
from s4nn_ref.data.dataset import load

SYSTEMS = ("relpsp", "relpsp-fashion", "relpsp-conv", "mostafa", "comsa", "stidi")
THEIR_BATCHES = (1, 4, 16, 64)  # the best of these is theirs


def learner_of(name: str):
    """The algorithm of an experiment, with the shipped weights where there are some, else initial ones; and which."""
    config = read_config(ROOT / "experiments" / f"{name}.toml")
    learner = ALGORITHMS[config.algorithm](config, np.random.default_rng(0), 1, lambda network: None)
    path = ROOT / "weights" / f"{name}.npz"
    if path.exists():
        learner.network.parameters[:] = read_weights(path)[0].parameters
    return config, learner, "trained" if path.exists() else "initial"


def theirs(learner, images, labels, encoding: str, rounds: int) -> dict:
    """Seconds per image of PyTorch on all cores, at the batch at which forward and backward together are fastest.

    Asserts first that its firing times are ours.
    """
    import torch
    from peers.closed_form import ClosedForm, learning_step

    torch.set_num_threads(os.cpu_count() or 1)
    network = learner.network
    t_in, peer, found = network.encode(images, encoding).astype(network.dtype), ClosedForm(network), {}
    ours = network.forward(network.encode(images[:4], encoding))[-1].t_post
    with torch.no_grad():
        np.testing.assert_allclose(peer.forward(t_in[:4])[-1].reshape(ours.shape), ours, rtol=1e-3)
    step = learning_step(learner, peer)
    for n in THEIR_BATCHES:
        few = slice(0, n)

        def forward(few=few):
            with torch.no_grad():
                peer.forward(t_in[few])

        def both(few=few):
            step(t_in[few], labels[few])

        works = {"forward": forward, "forward_backward": both}
        found[n] = {what: median_seconds(work, rounds) / n for what, work in works.items()}
    torch.set_num_threads(1)
    best = min(found, key=lambda n: found[n]["forward_backward"])
    return {"version": torch.__version__, "batch": best, "cores": os.cpu_count(), **found[best]}


def system(name: str, rounds: int, data_dir) -> dict:
    """Seconds per image of ours and theirs, of a row of Tables 2 and 4; theirs is None where PyTorch is missing."""
    config, learner, weights = learner_of(name)
    n, encoding = max(BATCH, *THEIR_BATCHES), config.data.encoding
    dataset = load(config.data.dataset, "train", data_dir).head(n)
    images, labels = dataset.images[:BATCH], dataset.labels[:BATCH]
    with threads(1):
        ours = {
            "forward": median_seconds(lambda: learner.forward(images), rounds, 0.2) / BATCH,
            "forward_backward": median_seconds(lambda: learner.backward(images, labels), rounds, 0.2) / BATCH,
        }
    try:
        peer = theirs(learner, dataset.images, dataset.labels.astype(np.int64), encoding, rounds)
    except ImportError:
        peer = None
    result = {"system": name, "structure": config.network.structure, "weights": weights, "ours": ours, "theirs": peer}
    if peer:
        result["ratio"] = {key: peer[key] / ours[key] for key in ours}
    return result
