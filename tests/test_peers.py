"""The peers of the benchmark compute the same as the kernels, on a small network."""

import sys
from pathlib import Path

import numpy as np
import pytest
from drawn import has_both

from s4nn_ref.algorithms import ALGORITHMS
from s4nn_ref.config import config_of_dict
from s4nn_ref.losses.cross_entropy import cross_entropy
from s4nn_ref.losses.first_spike import Loss
from s4nn_ref.network import Network, Settings
from s4nn_ref.neurons import alpha, exponential, linear

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


@pytest.mark.parametrize(
    ("neuron", "structure", "low"),
    [(linear, "6C3-P2-12-5", -0.05), (exponential, "64-20-5", -0.02), (alpha, "64-S3-20-S3-5", -0.02)],
    ids=["linear", "exponential", "alpha"],
)
def test_closed_form_pytorch(neuron, structure, low):
    pytest.importorskip("torch", reason="PyTorch is not installed: the closed-form peer is skipped")
    from peers.closed_form import ClosedForm

    rng = np.random.default_rng(1)
    network = Network(Settings(structure, input_shape=(8, 8, 1), v_th=1.0, precision="float64"), neuron)
    for layer in network.layers:
        if layer.weighted:
            fan = len(layer.rows)
            layer.rows[...] = (
                rng.uniform(0.1, 0.9, layer.rows.shape)
                if fan < 5
                else rng.uniform(40 * low / fan, 12 / fan, layer.rows.shape)
            )
    t_in = np.where(rng.random((4, 8, 8, 1)) < 0.4, np.inf, rng.uniform(1, 2, (4, 8, 8, 1)))
    labels = np.array([0, 1, 2, 3])
    states, grad = network.forward(t_in), network.gradients()
    delta, _ = cross_entropy(network.outputs(states).t_out / 0.3, labels)
    network.backward(states, delta / 0.3, grad)
    peer = ClosedForm(network)
    for theirs, ours in zip(peer.forward(t_in), states, strict=True):
        t = theirs.detach().permute(0, 2, 3, 1) if theirs.ndim == 4 else theirs.detach()
        np.testing.assert_allclose(t.reshape(ours.t_post.shape), ours.t_post, rtol=1e-9)
    assert all(np.isfinite(state.t_post).any() for state in states)
    for theirs, ours in zip(peer.gradients(t_in, labels, 0.3), grad, strict=True):
        expected = ours.sum(axis=0)
        got = theirs.transpose(1, 2, 3, 0).reshape(expected.shape)
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-8 * abs(expected).max())


@pytest.mark.parametrize(("structure", "n_layers"), [("6C3-P2-12-5", 3), ("64-20-5", 2)])
def test_closed_form_pytorch_with_targets_of_every_layer(structure, n_layers):
    pytest.importorskip("torch", reason="PyTorch is not installed: the closed-form peer is skipped")
    from peers.closed_form import ClosedForm, learning_step

    config = config_of_dict({
        "network": {
            "structure": structure, "input_shape": [8, 8, 1], "t_max": 64, "v_th": 1.0, "precision": "float64",
            "init": [[0, 1]] * n_layers,
        },
        "learning": {"algorithm": "stidi", "gamma": 20, "beta": 200},
        "optimiser": {"eta": 1e-3},
    })  # fmt: skip
    rng = np.random.default_rng(4)
    learner = ALGORITHMS["stidi"](config, rng, 1, lambda network: None)
    for layer in learner.network.layers:
        if layer.weighted:
            layer.rows[...] = rng.uniform(-0.3, 0.5, layer.rows.shape) * (12 / len(layer.rows)) ** 0.5
    images, labels = np.maximum(rng.integers(-80, 256, (6, 8, 8, 1)), 0).astype(np.uint8), np.array([0, 1, 2, 3, 4, 0])
    learner.backward(images, labels)
    t_in = learner.network.encode(images)
    peer, states = ClosedForm(learner.network), learner.network.forward(t_in)
    for theirs, ours in zip(peer.forward(t_in), states, strict=True):
        t = theirs.detach().permute(0, 2, 3, 1) if theirs.ndim == 4 else theirs.detach()
        np.testing.assert_allclose(t.reshape(ours.t_post.shape), ours.t_post, rtol=1e-9)
    assert all(has_both(state.t_post, np.inf) for state in states)
    for theirs, ours in zip(learning_step(learner, peer)(t_in, labels), learner.grad, strict=True):
        expected = ours.sum(axis=0)
        assert expected.any()
        got = theirs.transpose(1, 2, 3, 0).reshape(expected.shape)
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-8 * abs(expected).max())
