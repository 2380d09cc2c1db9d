"""Losses on the firing times of the output layer: relative targets (Eqs. 4-6, 9; D10) and Table 3's others (D22)."""

import numpy as np
import pytest

from s4nn_ref.config import config_of_dict
from s4nn_ref.data.dataset import Dataset
from s4nn_ref.losses import cross_entropy, first_spike, relative_targets, s4nn_targets
from s4nn_ref.network import Outputs
from s4nn_ref.reference import ds4nn, s4nn
from s4nn_ref.training.loop import Training


def outputs_of(t_out, t_max=100):
    """Outputs with these firing times, (B, classes) or those of one image, and nothing else."""
    return Outputs(np.atleast_2d(t_out), *(None,) * 3, t_max, *(None,) * 3)


def error_of(loss, t_out, *labels):
    cost, error = loss.error(outputs_of(t_out), np.array(labels))
    assert cost.shape == (len(labels),)
    return cost, error


def random_outputs(rng, n=40, classes=5):
    """Firing times with ties, silent neurons and silent images; labels."""
    t_out = np.where(rng.random((n, classes)) < 0.3, 100, rng.integers(0, 100, (n, classes)))
    t_out[::5, 1] = t_out[::5, 0]
    t_out[3] = 100
    return t_out, rng.integers(0, classes, n)


# ------------------------------------------------------------------------------------------------ relative targets


def test_relative_targets_equal_reference():
    t_out, labels = random_outputs(np.random.default_rng(1))
    cost, error = error_of(relative_targets.Loss(lam=7), t_out, *labels)
    for b, label in enumerate(labels):
        e = ds4nn.temporal_error(t_out[b], label, 7, 100)
        np.testing.assert_array_equal(error[b], e)
        assert cost[b] == pytest.approx(ds4nn.cost(e), rel=1e-14)


def test_relative_targets_by_hand():
    cost, error = error_of(relative_targets.Loss(lam=10), [30, 40, 60], 1)  # targets 70, 20, 70
    np.testing.assert_allclose(error, [[-0.4, 0.2, -0.1]])
    np.testing.assert_allclose(cost, [0.105])


def test_hinge_drops_what_is_right_already():
    loss = relative_targets.Loss(lam=10, hinge=True)
    # output 1 is 10 later: enough; output 2 only 5
    cost, error = error_of(loss, [20, 30, 25], 0)
    np.testing.assert_allclose(error, [[0.1, 0.0, -0.15]])
    np.testing.assert_allclose(cost, [0.5 * (0.01 + 0.0225)])
    # all others late enough: nothing to learn
    assert not error_of(loss, [20, 30, 30], 0)[1].any()
    assert error_of(relative_targets.Loss(lam=10), [20, 30, 30], 0)[1].all()  # without hinge there is
    # a silent network still has to fire
    np.testing.assert_allclose(error_of(loss, [100, 100, 100], 0)[1], [[0.1, 0, 0]])


# ------------------------------------------------------------------------------------------------- targets of S4NN


def test_s4nn_target_times_by_hand():
    t_out = np.array([[10, 12, 13, 60], [99, 98, 100, 100], [100, 100, 100, 100]])
    _, error = error_of(s4nn_targets.Loss(gamma=3), t_out, 1, 0, 2)
    target = [
        [13, 10, 13, 60],  # 0 fired first and is wrong; 2 is at the margin already
        [98, 100, 100, 100],  # 98 + 3 is clipped
        [100, 100, 97, 100],  # silent
    ]
    np.testing.assert_allclose(error, (t_out - target) / 100, rtol=1e-12)


def test_s4nn_targets_equal_reference():
    t_out, labels = random_outputs(np.random.default_rng(2))
    cost, error = error_of(s4nn_targets.Loss(gamma=3.5), t_out.astype(float), *labels)
    for b, label in enumerate(labels):
        e = (t_out[b] - s4nn.target_times(t_out[b].astype(float), label, 3.5, 3.5, 100)) / 100
        np.testing.assert_array_equal(error[b], e)
        assert cost[b] == pytest.approx(0.5 * (e**2).sum(), rel=1e-14)


# --------------------------------------------------------------------------------------------------- cross-entropy


def gradient_by_differences(loss, t, labels, h=1e-4):
    """dE/dt of each output, from the cost alone."""
    numeric = np.empty_like(t)
    for b, j in np.ndindex(t.shape):
        step = np.zeros_like(t)
        step[b, j] = h
        numeric[b, j] = (error_of(loss, t + step, *labels)[0][b] - error_of(loss, t - step, *labels)[0][b]) / (2 * h)
    return numeric


@pytest.mark.parametrize("variable", ["z", "t"])
def test_cross_entropy_gradients(variable):
    t, labels, loss = np.random.default_rng(1).uniform(0, 100, (4, 5)), [0, 3, 4, 1], cross_entropy.Loss(variable)
    cost, delta = error_of(loss, t, *labels)
    assert (cost > 0).all()
    np.testing.assert_allclose(delta, gradient_by_differences(loss, t, labels), rtol=1e-5, atol=1e-9)
    row = np.arange(4)
    assert (delta[row, labels] > 0).all()  # the label shall fire earlier, all others later
    assert (np.sort(delta, axis=1)[:, :-1] < 0).all()


def test_the_gradient_check_fails_for_the_other_variable():
    t, labels = np.random.default_rng(1).uniform(0, 100, (4, 5)), [0, 3, 4, 1]
    _, delta = error_of(cross_entropy.Loss("z"), t, *labels)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(
            delta, gradient_by_differences(cross_entropy.Loss("t"), t, labels), rtol=1e-5, atol=1e-9
        )


@pytest.mark.parametrize("loss", [relative_targets.Loss(lam=5), s4nn_targets.Loss(gamma=5)], ids=["ds4nn", "s4nn"])
def test_errors_are_the_gradient_of_the_cost_for_targets_held_fast(loss):
    """Targets follow the firing times, but are no part of the derivative (Eq. 9); errors are in units of t_max (D7)."""
    t, labels, h = np.random.default_rng(3).uniform(10, 90, (3, 4)), [0, 3, 1], 1e-6
    cost, error = error_of(loss, t, *labels)
    target = t - 100 * error

    def fixed(t):
        return 0.5 * (((t - target) / 100) ** 2).sum(axis=1)

    np.testing.assert_allclose(cost, fixed(t), rtol=1e-12)
    for b, j in np.ndindex(t.shape):
        step = np.zeros_like(t)
        step[b, j] = h
        assert error[b, j] / 100 == pytest.approx((fixed(t + step) - fixed(t - step))[b] / (2 * h), rel=1e-5, abs=1e-9)


def test_units_of_the_authors():
    """All outputs but the label's silent: z is 6 against exp(t) for Mostafa, 1 against t for Comsa."""
    t = [0.0, 100.0]
    assert error_of(cross_entropy.Loss("z"), t, 0)[0] == pytest.approx(np.log(1 + np.exp(-5)))
    assert error_of(cross_entropy.Loss("t"), t, 0)[0] == pytest.approx(np.log(1 + np.exp(-1)))


# -------------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ({"loss": "relative-targets", "lam": 3}, relative_targets.Loss),
        ({"loss": "s4nn-targets", "gamma": 3}, s4nn_targets.Loss),
        ({"loss": "cross-entropy", "variable": "z"}, cross_entropy.Loss),
        ({"loss": "cross-entropy", "variable": "t"}, cross_entropy.Loss),
        ({"loss": "first-spike", "noise": 20}, first_spike.Loss),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_training_uses_them(keys, kind, glyphs_100):
    (images, labels), _ = glyphs_100
    config = config_of_dict(
        {
            "network": {"structure": "784-30-10", "init": [[-5, 9], [-10, 20]]},
            "learning": {**keys, "surrogate": "window-silent"},
            "optimiser": {"eta": 0.3, "schedule": "constant"},
            "training": {"batch": 10},
        }
    )
    assert type(config.learning.loss) is kind
    training = Training(
        config, Dataset("glyphs", "train", images, labels, ()), Dataset("", "", images[:0], labels[:0], ())
    )
    costs = []
    for _ in range(12):
        for begin in range(0, 300, 10):
            costs.append(training.algorithm.learn(images[begin : begin + 10], labels[begin : begin + 10])[0].mean())
    # Comsa's cost cannot fall below log(1 + 9 / e) = 1.46
    assert np.mean(costs[-30:]) < 0.92 * np.mean(costs[:30])
