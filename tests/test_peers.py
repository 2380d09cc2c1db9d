"""The peers of the benchmark compute the same as the kernels, on a small network."""

import sys
from pathlib import Path

import numpy as np
import pytest

from s4nn_ref.dense import output_potentials
from s4nn_ref.network import Network
from s4nn_ref.race import race_cost

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))


@pytest.fixture
def case():
    """A network with weights in 64ths, firing times, dE/dV of the outputs and our gradients."""
    rng, n = np.random.default_rng(9), 3
    network = Network(
        "6C3-P2-5C3-P2-4C3-7", (13, 13, 2), 20, padding="same", pool_ties="potential", bound=(1.5, 0.7, 2)
    )  # fmt: skip
    network.initialise([(-30, 60), (-30, 50), (-20, 60), (-10, 20)], rng)
    network.parameters[:] = np.round(network.parameters * 64) / 64
    t_in = np.where(rng.random((n, 13, 13, 2)) < 0.5, 20, rng.integers(0, 20, (n, 13, 13, 2))).astype(np.int16)
    labels, grad, error = np.array([0, 3, 6]), network.gradients(), np.empty((n, 20, 7))
    states = network.forward(t_in)
    for b in range(n):
        v = output_potentials(states[-2].t_post[b].ravel(), network.matrices(network.parameters)[-1], 20)
        race_cost(v, labels[b], network.output_bound(), 8.0, 0.5, 0.02, error[b])
    network.backward_race(states, labels, 8.0, 0.5, 0.02, grad, "window", "none")
    return network, t_in, states, error, [g.sum(axis=0) for g in grad]


def test_time_stepped_numpy(case):
    from peers import time_stepped

    network, t_in, states, error, grad = case
    total = [0.0] * len(grad)
    for b in range(len(t_in)):
        theirs = time_stepped.forward(network, t_in[b].astype(int))
        for a, ours in zip(theirs, states, strict=True):
            np.testing.assert_array_equal(a["t"].ravel(), ours.t_post[b].ravel())
        for a, ours in zip(theirs[:-1], states, strict=False):
            np.testing.assert_array_equal(a["t_peak"].ravel(), ours.t_peak[b].ravel())
        total = [t + g for t, g in zip(total, time_stepped.backward(network, theirs, error[b]), strict=True)]
    for a, ours in zip(total, grad, strict=True):
        assert np.abs(ours).max() > 0
        np.testing.assert_allclose(a, ours, rtol=1e-3, atol=1e-4 * np.abs(ours).max())


def test_clock_driven_pytorch(case):
    pytest.importorskip("torch", reason="PyTorch is not installed: the clock-driven peer is skipped")
    from peers.clock_driven import ClockDriven

    network, t_in, states, error, grad = case
    peer = ClockDriven(network)
    theirs = peer.forward(t_in)
    for a, ours in zip(theirs, states, strict=True):
        np.testing.assert_array_equal(a["t"].permute(0, 2, 3, 1).numpy().ravel(), ours.t_post.ravel())
    for a, ours in zip(peer.backward(theirs, error), grad, strict=True):
        a = a.permute(2, 3, 1, 0).reshape(ours.shape).numpy()
        np.testing.assert_allclose(a, ours, rtol=1e-3, atol=1e-4 * np.abs(ours).max())
