"""The first-spike loss: likelihood, with escape noise, that the label fires first (D15, D21, D30)."""

import numpy as np
import pytest
import twins
from conftest import TINY
from drawn import random_network, random_times, shaped_as_weights

from s4nn_ref.algorithms.ds4nn import Algorithm
from s4nn_ref.config import read_config
from s4nn_ref.kernels import output
from s4nn_ref.losses.first_spike import Loss, first_spike_cost
from s4nn_ref.training.optimisers import Optimiser

FLAT = np.full(10, 100.0)  # a constant threshold over ten steps


def random_potentials(seed, steps=30, classes=5):
    return np.cumsum(np.random.default_rng(seed).normal(2, 8, (steps, classes)), axis=0)


def cost_and_error(v, label, threshold, noise, final_potentials=0.0, latency_penalty=0.0):
    error = np.full(v.shape, np.nan)
    cost = first_spike_cost(v, label, threshold, (noise, final_potentials, latency_penalty), error)
    return cost, error


def slope(v, direction, *arguments, h=1e-5):
    """Change of the cost along a direction in the potentials, by central differences."""
    return (cost_and_error(v + h * direction, *arguments)[0] - cost_and_error(v - h * direction, *arguments)[0]) / (
        2 * h
    )


@pytest.mark.parametrize(("final_potentials", "latency_penalty"), [(0.0, 0.0), (0.7, 0.0), (0.7, 0.03)])
@pytest.mark.parametrize("seed", range(5))
def test_first_spike_gradient(seed, final_potentials, latency_penalty):
    v, threshold = random_potentials(seed), np.linspace(80.0, 50.0, 30)
    case = 2, threshold, 7.0, final_potentials, latency_penalty
    cost, error = cost_and_error(v, *case)
    assert cost == pytest.approx(twins.first_spike_cost(v, *case), rel=1e-12)
    direction = np.random.default_rng(seed + 100).normal(size=v.shape)
    assert (error * direction).sum() == pytest.approx(slope(v, direction, *case), rel=1e-6)


@pytest.mark.parametrize("wrong", ["label", "noise", "threshold", "final potentials", "latency penalty"])
def test_the_gradient_check_fails_for_another(wrong):
    v, threshold = random_potentials(0), np.linspace(80.0, 50.0, 30)
    direction = np.random.default_rng(100).normal(size=v.shape)
    other = {
        "label": (3, threshold, 7.0, 0.7, 0.03),
        "noise": (2, threshold, 7.5, 0.7, 0.03),
        "threshold": (2, threshold + 1, 7.0, 0.7, 0.03),
        "final potentials": (2, threshold, 7.0, 0.6, 0.03),
        "latency penalty": (2, threshold, 7.0, 0.7, 0.02),
    }[wrong]
    _, error = cost_and_error(v, *other)
    numeric = slope(v, direction, 2, threshold, 7.0, 0.7, 0.03)
    assert (error * direction).sum() != pytest.approx(numeric, rel=1e-4)


def test_the_probabilities_of_all_classes_and_silence_add_up():
    v = random_potentials(7)
    right = [np.exp(-cost_and_error(v, i, np.full(30, 90.0), 7.0)[0]) for i in range(5)]
    silent = np.exp(-np.exp((v - 90.0) / 7.0).sum())
    assert sum(right) + silent == pytest.approx(1.0)
    assert 0.01 < silent < 0.99


def test_without_noise_the_likelihood_is_that_of_the_first_spike():
    v = np.zeros((10, 3))
    v[4:, 1] = 120.0
    v[6:, 2] = 500.0  # larger, but later
    assert cost_and_error(v, 1, FLAT, 0.1)[0] == pytest.approx(0.0, abs=1e-9)
    assert cost_and_error(v, 2, FLAT, 0.1)[0] > 100


def test_silence_is_an_error_that_pulls_up_the_label():
    cost, error = cost_and_error(np.zeros((10, 3)), 0, FLAT, 10.0)
    assert cost > 5
    assert (error[:, 0] < 0).all()  # gradient descent raises V
    # potentials far below threshold and potentials far above it overflow nothing
    for scale in (-1e4, 1e4):
        cost, error = cost_and_error(np.full((10, 3), scale), 0, FLAT, 1.0)
        assert np.isfinite(cost)
        assert np.isfinite(error).all()


def test_the_threshold_is_a_competitor_of_the_final_potentials():
    """D21: with the label far ahead of all others but below threshold, its last potential is still raised."""
    v = np.zeros((10, 3))
    v[:, 0], v[:, 1:] = 60.0, -500.0
    pull = cost_and_error(v, 0, FLAT, 10.0, 1.0)[1] - cost_and_error(v, 0, FLAT, 10.0, 0.0)[1]
    assert pull[-1, 0] == pytest.approx(-1 / (1 + np.exp(-4)) / 10)
    assert np.abs(pull[:-1]).max() == 0
    assert np.abs(pull[-1, 1:]).max() < 1e-12
    v[:, 0] = 140.0  # above threshold
    pull = cost_and_error(v, 0, FLAT, 10.0, 1.0)[1] - cost_and_error(v, 0, FLAT, 10.0, 0.0)[1]
    assert abs(pull[-1, 0]) < 0.002


def test_waiting_is_learned_where_the_evidence_comes_later():
    v = np.zeros((10, 2))
    v[:, 1] = 95.0  # a wrong guess is near at once
    v[5:, 0] = 150.0  # the right answer comes
    _, error = cost_and_error(v, 0, FLAT, 10.0)
    assert (error[:5, 1] > 0).all()  # hold the guess back
    assert (error[5:, 0] <= 0).all()


def test_a_step_of_waiting_costs_the_latency_penalty():
    """D30: an output certain to fire in step 6 has waited six steps; one that could fire earlier is pulled."""
    v = np.full((10, 2), -500.0)
    v[6:, 0] = 500.0
    assert cost_and_error(v, 0, FLAT, 10.0, 0.0, 0.05)[0] == pytest.approx(0.3)
    v[2:6, 0] = 90.0  # nearly there from step 2 on
    _, without = cost_and_error(v, 0, FLAT, 10.0, 0.0, 0.0)
    _, penalised = cost_and_error(v, 0, FLAT, 10.0, 0.0, 0.1)
    assert (penalised[2:4, 0] < without[2:4, 0]).all()


# ---------------------------------------------------------------------------------------- through the output layer


@pytest.mark.parametrize("seed", range(3))
def test_first_spike_backward_equals_twin(seed):
    """From input firing times to dE/dw and dE/dt of the layer below, kernel by kernel."""
    rng, t_max, n, keys = np.random.default_rng(seed), 8, 12, (6.0, 0.5, 0.02)
    t_pre = random_times(rng, 3, (n,), t_max)
    t_peak = np.where(t_pre < t_max, t_pre, rng.integers(0, t_max, t_pre.shape)).astype(np.int16)
    v_peak = np.full((3, n), 50.0)
    v_peak[0, 0], t_peak[0, 0], t_pre[0, 0] = 0.0, -1, t_max  # never above 0: takes no error
    assert (t_pre == t_max).any()
    w, labels, threshold = rng.normal(4, 10, (4, n)), np.array([0, 3, 2]), np.linspace(25.0, 15.0, t_max)
    rows = np.ascontiguousarray(w.T)
    cost, error, d = np.empty(3), np.empty((3, t_max, 4)), np.empty((3, t_max, 4))
    delta, grad = np.empty((3, n)), np.zeros((2, n, 4))
    output.for_each_image(first_spike_cost)(t_pre, rows, labels, threshold, keys, 2, cost, error)
    output.error_from_step_on(error, d)
    output.output_weight_gradient(t_pre, d, grad)
    output.output_propagate(t_peak, v_peak, rows, d, 2, delta)
    expected = [twins.first_spike_backward(t_pre[b], t_peak[b], w, labels[b], threshold, keys) for b in range(3)]
    np.testing.assert_allclose(cost, [e[0] for e in expected], rtol=1e-12)
    for b in range(3):
        keep = v_peak[b] > 0
        np.testing.assert_allclose(delta[b][keep], expected[b][1][keep], rtol=1e-5, atol=1e-8)
    assert delta[0, 0] == 0
    np.testing.assert_allclose(grad.sum(axis=0).T, sum(e[2] for e in expected), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(grad[0].T, expected[0][2], rtol=1e-5, atol=1e-8)  # a shard holds its own images


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_the_loss_of_a_network_equals_twin(engine):
    """Loss.error and Network.backward together, with a collapsing threshold."""
    rng, keys = np.random.default_rng(8), (6.0, 0.5, 0.02)
    network = random_network(
        rng, "20-4", (20, 1, 1), 8, v_th=30.0, collapse=(1.0, 0.5, 2.0), precision="float64", engine=engine
    )
    t_in, labels, grad = random_times(rng, 4, (20, 1, 1), 8), np.array([0, 3, 2, 1]), network.gradients()
    states = network.forward(t_in)
    cost, error = Loss(*keys).error(network.outputs(states), labels)
    network.backward(states, error, grad)
    (dw,), w = shaped_as_weights(grad, network.w), network.w[0].reshape(4, 20)
    for b in range(4):
        t_pre = t_in[b].ravel()
        expected = twins.first_spike_backward(t_pre, t_pre, w, labels[b], network.output_threshold(), keys)
        assert cost[b] == pytest.approx(expected[0], rel=1e-12)
        np.testing.assert_allclose(dw[b].reshape(4, 20), expected[2], rtol=1e-5, atol=1e-8)
    assert len(np.unique(states[-1].t_post)) > 2


def test_the_first_spike_loss_reaches_the_hidden_layers():
    rng = np.random.default_rng(3)
    network = random_network(rng, "4C3-P2-3C3-P2-5", (12, 12, 1), 100, padding="same", pool_ties="potential")
    labels, grad = np.arange(6) % 5, network.gradients()
    states = network.forward(random_times(rng, 6, (12, 12, 1), 100))
    cost, error = Loss(noise=10.0).error(network.outputs(states), labels)
    network.backward(states, error, grad, "window", "none")
    assert cost.shape == (6,)
    assert (cost > 0).all()
    assert all(np.abs(g).max() > 0 for g in grad)
    penalised, _ = Loss(noise=10.0, latency_penalty=0.02).error(network.outputs(states), labels)
    assert (penalised > cost).all()  # D30


def test_the_latency_penalty_of_an_experiment_reaches_its_training(tiny_toml):
    """D30: the same weights and images cost more where waiting does."""
    images, labels, costs = np.random.default_rng(5).integers(0, 256, (2, 28, 28, 1), np.uint8), np.arange(2), []
    tiny = TINY.replace('loss = "relative-targets"\nlam = 30\nhinge = true\n', "")
    for penalty in (0.0, 0.02):
        keys = f'[learning]\nloss = "first-spike"\nlatency_penalty = {penalty}'
        tiny_toml.write_text(tiny.replace("[learning]", keys))
        config = read_config(tiny_toml).changed("network", input_shape=[28, 28, 1])
        algorithm = Algorithm(
            config, np.random.default_rng(6), 1, lambda network, c=config: Optimiser(c.optimiser, network, 1, 1)
        )
        costs.append(algorithm.learn(images, labels)[0])
    assert (costs[1] > costs[0]).all()
