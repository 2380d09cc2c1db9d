"""The smoothed race to the first output spike (D15)."""

import numpy as np
import oracle
import pytest
from conftest import TINY

from s4nn_ref.algorithms import DS4NN
from s4nn_ref.config import read_config
from s4nn_ref.network import Network
from s4nn_ref.race import race_backward, race_cost


def drawn_potentials(seed, steps=30, classes=5):
    return np.cumsum(np.random.default_rng(seed).normal(2, 8, (steps, classes)), axis=0)


@pytest.mark.parametrize(("readout", "haste"), [(0.0, 0.0), (0.7, 0.0), (0.7, 0.03)])
@pytest.mark.parametrize("seed", range(5))
def test_race_gradient(seed, readout, haste):
    v, rng, bound = drawn_potentials(seed), np.random.default_rng(seed + 100), np.linspace(80.0, 50.0, 30)
    error, scratch = np.empty_like(v), np.empty_like(v)
    cost = race_cost(v, 2, bound, 7.0, readout, haste, error)
    assert cost == pytest.approx(oracle.race_cost(v, 2, bound, 7.0, readout, haste), rel=1e-12)
    direction, h = rng.normal(size=v.shape), 1e-5
    up, down = (race_cost(v + sign * h * direction, 2, bound, 7.0, readout, haste, scratch) for sign in (1, -1))
    assert (error * direction).sum() == pytest.approx((up - down) / (2 * h), rel=1e-6)


def test_the_probabilities_of_all_classes_and_silence_add_up():
    v, error = drawn_potentials(7), np.empty((30, 5))
    right = [np.exp(-race_cost(v, i, np.full(30, 90.0), 7.0, 0.0, 0.0, error)) for i in range(5)]
    silent = np.exp(-np.exp((v - 90.0) / 7.0).sum())
    assert sum(right) + silent == pytest.approx(1.0)
    assert 0.01 < silent < 0.99


def test_without_noise_the_race_is_the_first_spike():
    v = np.zeros((10, 3))
    v[4:, 1] = 120.0
    v[6:, 2] = 500.0  # larger, but later
    error = np.empty_like(v)
    assert race_cost(v, 1, np.full(10, 100.0), 0.1, 0.0, 0.0, error) == pytest.approx(0.0, abs=1e-9)
    assert race_cost(v, 2, np.full(10, 100.0), 0.1, 0.0, 0.0, error) > 100


def test_silence_is_an_error_that_pulls_up_the_label():
    error = np.empty((10, 3))
    assert race_cost(np.zeros((10, 3)), 0, np.full(10, 100.0), 10.0, 0.0, 0.0, error) > 5
    assert (error[:, 0] < 0).all()  # gradient descent raises V
    # potentials far below threshold and potentials far above it overflow nothing
    for scale in (-1e4, 1e4):
        assert np.isfinite(race_cost(np.full((10, 3), scale), 0, np.full(10, 100.0), 1.0, 0.0, 0.0, error))
        assert np.isfinite(error).all()


def test_the_threshold_is_a_competitor_of_the_readout():
    """D21: with the label far ahead of all others but below threshold, its last potential is still raised."""
    v, with_readout, without = np.zeros((10, 3)), np.empty((10, 3)), np.empty((10, 3))
    v[:, 0], v[:, 1:] = 60.0, -500.0
    race_cost(v, 0, np.full(10, 100.0), 10.0, 1.0, 0.0, with_readout)
    race_cost(v, 0, np.full(10, 100.0), 10.0, 0.0, 0.0, without)
    pull = with_readout - without
    assert pull[-1, 0] == pytest.approx(-1 / (1 + np.exp(-4)) / 10)
    assert np.abs(pull[:-1]).max() == 0
    assert np.abs(pull[-1, 1:]).max() < 1e-12
    v[:, 0] = 140.0  # above threshold
    race_cost(v, 0, np.full(10, 100.0), 10.0, 1.0, 0.0, with_readout)
    race_cost(v, 0, np.full(10, 100.0), 10.0, 0.0, 0.0, without)
    assert abs((with_readout - without)[-1, 0]) < 0.002


def test_waiting_is_learned_where_the_evidence_comes_later():
    v = np.zeros((10, 2))
    v[:, 1] = 95.0  # a wrong guess is near at once
    v[5:, 0] = 150.0  # the right answer comes
    error = np.empty_like(v)
    race_cost(v, 0, np.full(10, 100.0), 10.0, 0.0, 0.0, error)
    assert (error[:5, 1] > 0).all()  # hold the guess back
    assert (error[5:, 0] <= 0).all()


def test_a_step_of_waiting_costs_haste():
    """D30: who is certain to fire in step 6 has waited six steps; and an answer that could come earlier is pulled."""
    v, error = np.full((10, 2), -500.0), np.empty((10, 2))
    v[6:, 0] = 500.0
    assert race_cost(v, 0, np.full(10, 100.0), 10.0, 0.0, 0.05, error) == pytest.approx(0.3)
    v[2:6, 0] = 90.0  # nearly there from step 2 on
    patient, hasty = np.empty((10, 2)), np.empty((10, 2))
    race_cost(v, 0, np.full(10, 100.0), 10.0, 0.0, 0.0, patient)
    race_cost(v, 0, np.full(10, 100.0), 10.0, 0.0, 0.1, hasty)
    assert (hasty[2:4, 0] < patient[2:4, 0]).all()


@pytest.mark.parametrize("seed", range(3))
def test_race_backward_equals_oracle(seed):
    rng, t_max, n = np.random.default_rng(seed), 8, 12
    t_pre = np.where(rng.random((3, n)) < 0.3, t_max, rng.integers(0, t_max, (3, n))).astype(np.int16)
    t_peak = np.where(t_pre < t_max, t_pre, rng.integers(0, t_max, t_pre.shape)).astype(np.int16)
    v_peak = np.full((3, n), 50.0)
    v_peak[0, 0], t_peak[0, 0], t_pre[0, 0] = 0.0, -1, t_max  # never above 0: takes no error
    w, labels, bound = rng.normal(4, 10, (4, n)), np.array([0, 3, 2]), np.linspace(25.0, 15.0, t_max)
    cost, delta, grad = np.empty(3), np.empty((3, n)), np.zeros((2, n, 4))
    race_backward(t_pre, t_peak, v_peak, np.ascontiguousarray(w.T), labels, bound, 6.0, 0.5, 0.02, cost, delta, grad)
    expected = [oracle.race_backward(t_pre[b], t_peak[b], w, labels[b], bound, 6.0, 0.5, 0.02) for b in range(3)]
    np.testing.assert_allclose(cost, [e[0] for e in expected], rtol=1e-12)
    for b in range(3):
        keep = v_peak[b] > 0
        np.testing.assert_allclose(delta[b][keep], expected[b][1][keep], rtol=1e-5, atol=1e-8)
    assert delta[0, 0] == 0
    np.testing.assert_allclose(grad.sum(axis=0).T, sum(e[2] for e in expected), rtol=1e-5, atol=1e-8)


def test_race_reaches_the_hidden_layers():
    rng = np.random.default_rng(3)
    network = Network("4C3-P2-3C3-P2-5", (12, 12, 1), padding="same", pool_ties="potential")
    network.initialise([(-40, 70), (-30, 60), (-10, 20)], rng)
    t_in = rng.integers(0, 101, (6, 12, 12, 1)).astype(np.int16)
    grad = network.gradients()
    cost = network.backward_race(network.forward(t_in), np.arange(6) % 5, 10.0, 0.0, 0.0, grad, "window", "none")
    assert cost.shape == (6,)
    assert (cost > 0).all()
    assert all(np.abs(g).max() > 0 for g in grad)
    labels, states = np.arange(6) % 5, network.forward(t_in)
    hasty = network.backward_race(states, labels, 10.0, 0.0, 0.02, network.gradients(), "window", "none")
    assert (hasty > cost).all()  # D30


def test_haste_of_an_experiment_reaches_its_training(tiny_toml):
    """D30: the same weights and images cost more where waiting does."""
    images, labels, costs = np.random.default_rng(5).integers(0, 256, (2, 28, 28), np.uint8), np.arange(2), []
    for haste in (0.0, 0.02):
        tiny_toml.write_text(TINY.replace("[learning]", f'[learning]\nerror = "race"\nhaste = {haste}'))
        algorithm = DS4NN(read_config(tiny_toml), np.random.default_rng(6), 1)
        costs.append(algorithm.learn(images, labels)[0])
    assert (costs[1] > costs[0]).all()
