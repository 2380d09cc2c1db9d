"""STiDi-BP: the triangular neuron in both engines and in the document, targets of hidden layers, learning."""

import numpy as np
import pytest

from s4nn_ref.algorithms.stidi import balanced
from s4nn_ref.config import config_of_dict
from s4nn_ref.losses.relative_targets import temporal_error
from s4nn_ref.network import Network, Settings
from s4nn_ref.neurons import triangular
from s4nn_ref.reference import stidi
from s4nn_ref.training.optimisers import Optimiser

ENGINES = ("fast", "plain")


def network_of(structure, shape, rng, engine="fast", precision="float64"):
    settings = Settings(structure, input_shape=shape, t_max=256, v_th=1.0, engine=engine, precision=precision)
    network = Network(settings, triangular)
    network.initialise([(-2.0 / len(rows) ** 0.5, 3.0 / len(rows) ** 0.5) for rows in network.rows], rng)
    return network


def random_times(rng, n, shape):
    t = np.round(rng.random((n, *shape)) * 100)
    return np.where(rng.random((n, *shape)) < 0.3, np.inf, t)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_crossing_is_the_first_one_of_a_scan(engine):
    rng = np.random.default_rng(0)
    network = network_of("30-40-3", (5, 3, 2), rng, engine)
    t_in = random_times(rng, 4, (5, 3, 2))
    t_post = network.forward(t_in)[1].t_post.reshape(4, 40)
    assert 0.3 < np.isfinite(t_post).mean() < 1.0
    grid = np.linspace(0, 200, 20_001)
    for b, j in np.ndindex(t_post.shape):
        w, t = network.w[0][j].ravel(), t_in[b].ravel()
        reached = np.flatnonzero((w[:, None] * stidi.eps(grid - t[:, None])).sum(axis=0) >= 1.0)
        if reached.size:
            assert grid[reached[0]] - 0.0101 < t_post[b, j] <= grid[reached[0]] + 1e-9
        else:  # after the last echo V is 0: nothing fires at an absurd time by rounding
            assert np.isinf(t_post[b, j])


def test_the_potential_by_hand():
    """w = 1 at t = 10 and w = 0.5 at t = 30: V(40) = 0.75 + 0.125; the slope is 1.5 / 40, so V = 1 at 43.333."""
    assert stidi.eps(np.array([-1.0, 0.0, 20.0, 40.0, 60.0, 80.0, 90.0])).tolist() == [0, 0, 0.5, 1, 0.5, 0, 0]
    network = network_of("2-1", (2, 1, 1), np.random.default_rng(0))
    network.w[0][...] = np.reshape([1.0, 0.5], network.w[0].shape)
    states = network.forward(np.array([10.0, 30.0]).reshape(1, 2, 1, 1))
    t = 10 + (1 + 0.5 * 20 / 40) * 40 / 1.5
    assert (
        states[1].t_post.item()
        == pytest.approx(t)
        == pytest.approx(stidi.first_spike(np.array([10.0, 30]), np.array([1, 0.5]), 1.0))
    )
    grad = network.gradients()
    network.backward(states, np.array([[1.0]]), grad)
    np.testing.assert_allclose(sum(grad[0])[:, 0], [-t * (t - 10) / 40, -t * (t - 30) / 40])


@pytest.mark.parametrize("structure", ["60-70-33-3", "5C3S2-70C2-P2-3"])
def test_both_engines_give_the_same_bits(structure):
    rng, shape = np.random.default_rng(1), (6, 5, 2) if structure[0] == "6" else (11, 9, 2)
    networks = [network_of(structure, shape, rng, engine) for engine in ENGINES]
    networks[1].parameters[:] = networks[0].parameters
    t_in, e = random_times(rng, 5, shape), rng.normal(size=(5, 3))
    (fast, plain), grads = [n.forward(t_in) for n in networks], [n.gradients() for n in networks]
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_array_equal(a.t_post, b.t_post)
    assert all(np.isfinite(state.t_post).mean() > 0 for state in fast)
    for network, states, grad in zip(networks, (fast, plain), grads, strict=True):
        network.backward(states, e.copy(), grad, local=lambda t, delta: np.tanh(delta).reshape(len(t), -1))
    for a, b in zip(*grads, strict=True):
        assert b.any()
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-11 * abs(b).max())


def test_a_step_is_the_limit_of_a_triangle():
    """A triangle that rises at once and does not fall is DS4NN's neuron: it fires at an input spike."""
    rng = np.random.default_rng(2)
    for _ in range(20):
        t, w = np.sort(rng.random(8) * 100), rng.normal(0.3, 0.4, 8)
        reached = np.flatnonzero(w.cumsum() >= 1.0)
        found = stidi.first_spike(t, w, 1.0, rise=1e-9, fall=1e12)
        assert found == pytest.approx(t[reached[0]] if reached.size else np.inf, abs=1e-6)


XOR = {
    "network": {"structure": "3-12-2", "input_shape": [3, 1, 1], "t_max": 256, "v_th": 1.0, "init": [[0, 2], [0, 0.8]]},
    "learning": {"algorithm": "stidi", "gamma": 20, "beta": 200},
    "optimiser": {"eta": 0.005},
    "training": {"batch": 4},
}  # fmt: skip
IMAGES = np.array([[255, 255, 255], [255, 255, 0], [255, 0, 255], [255, 0, 0]], np.uint8).reshape(4, 3, 1, 1)
LABELS = np.array([0, 1, 1, 0])


def learner_of(tables, precision="float32"):
    from s4nn_ref.algorithms.stidi import Algorithm

    config = config_of_dict(tables).changed("network", precision=precision)
    rng = np.random.default_rng(0)
    return Algorithm(config, rng, 1, lambda net: Optimiser(config.optimiser, net, 1, 600))


def test_the_update_equals_the_document():
    learner = learner_of({**XOR, "learning": {"algorithm": "stidi", "gamma": 10, "beta": 5000}}, "float64")
    weights = [rows.T.copy() for rows in learner.network.rows]
    learner.backward(IMAGES, LABELS)
    expected, clipped = [np.zeros(w.shape) for w in weights], 0
    for t_in, label in zip(learner.network.encode(IMAGES), LABELS, strict=True):
        times = stidi.present(t_in.ravel(), weights, 1.0)
        e = temporal_error(np.minimum(times[-1], 256)[None], [label], 10, 256, hinge=True)[0]
        e = stidi.balanced(e, label)
        for total, grad in zip(expected, stidi.gradients(times, weights, e, 5000, 1.0, 256), strict=True):
            total += grad
        clipped += (np.abs(times[1] - 128) >= 128).any()
    for grad, total in zip(learner.grad, expected, strict=True):
        assert total.any()
        np.testing.assert_allclose(grad.sum(axis=0).T, total, rtol=1e-9, atol=1e-12)


def test_wrong_outputs_weigh_as_much_as_the_label():
    e = np.array([[-0.1, 0.2, -0.3], [0.4, -0.1, -0.1], [0.0, 0.0, 0.0]])
    found = balanced(e, np.array([1, 0, 0]), np.array([False, True, False]))
    np.testing.assert_allclose(found, [[-0.05, 0.2, -0.15], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(stidi.balanced(e[0], 1), found[0])


def test_targets_stay_within_the_simulation():
    learner = learner_of(XOR)
    t = np.array([[3.0, 100.0, np.inf, 255.0]])
    displaced = learner.displaced(t, np.array([[1.0, -0.1, 1.0, -1.0]]))  # beta 200
    np.testing.assert_allclose(displaced * 256, [[3.0, -20.0, 200.0, -1.0]])


def test_a_silent_output_of_the_label_raises_its_weights():
    learner = learner_of({**XOR, "learning": {"algorithm": "stidi", "silence": 3}})
    learner.network.rows[1][:, 1] = -1
    learner.backward(IMAGES, LABELS)
    np.testing.assert_allclose(learner.grad[1].sum(axis=0)[:, 1], -6.0)  # two images of class 1
    assert not (learner.grad[1].sum(axis=0)[:, 0] == -6.0).any()


def test_it_learns_xor():
    learner = learner_of(XOR)
    right = [learner.learn(IMAGES, LABELS)[1].sum() for _ in range(600)]
    assert right[-1] == 4
