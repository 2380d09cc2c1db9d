"""The peers of the benchmark compute the same as the kernels, on a small network."""

import sys
from pathlib import Path

import numpy as np
import pytest
from drawn import has_both

from s4nn_ref.losses.first_spike import Loss
from s4nn_ref.network import Network, Settings

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))


@pytest.fixture
def case():
    """A network with weights in 64ths, firing times, our states, dE/dV of the outputs and our gradients."""
    rng, n = np.random.default_rng(9), 3
    options = {"padding": "same", "pool_ties": "potential", "collapse": (1.5, 0.7, 2)}
    network = Network(Settings("6C3-P2-5C3-P2-4C3-7", input_shape=(13, 13, 2), t_max=20, **options))
    network.initialise([(-40, 50), (-40, 50), (-40, 50), (-20, 30)], rng)
    network.parameters[:] = np.round(network.parameters * 64) / 64
    t_in = np.where(rng.random((n, 13, 13, 2)) < 0.5, 20, rng.integers(0, 20, (n, 13, 13, 2))).astype(np.int16)
    labels, grad = np.array([0, 3, 6]), network.gradients()
    states = network.forward(t_in)
    assert all(has_both(state.t_post, 20) for state in states)
    _, error = Loss(noise=8.0, final_potentials=0.5, latency_penalty=0.02).error(network.outputs(states), labels)
    network.backward(states, error.copy(), grad, "window", "none")  # which overwrites the error
    return network, t_in, states, error, [g.sum(axis=0) for g in grad]


def assert_gradients_close(theirs, ours):
    for a, b in zip(theirs, ours, strict=True):
        assert np.abs(b).max() > 0
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * np.abs(b).max())


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
    assert_gradients_close(total, grad)


def test_clock_driven_pytorch(case):
    pytest.importorskip("torch", reason="PyTorch is not installed: the clock-driven peer is skipped")
    from peers.clock_driven import ClockDriven

    network, t_in, states, error, grad = case
    peer = ClockDriven(network)
    theirs = peer.forward(t_in)
    for a, ours in zip(theirs, states, strict=True):
        np.testing.assert_array_equal(a["t"].permute(0, 2, 3, 1).numpy().ravel(), ours.t_post.ravel())
    gradients = zip(peer.backward(theirs, error), grad, strict=True)
    assert_gradients_close([a.permute(2, 3, 1, 0).reshape(b.shape).numpy() for a, b in gradients], grad)
