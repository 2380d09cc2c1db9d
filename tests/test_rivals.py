"""Output errors of the methods that Table 3 compares with (D22)."""

import numpy as np
import pytest

from s4nn_ref.algorithms import rivals
from s4nn_ref.config import config_of_dict
from s4nn_ref.train import Training


def test_s4nn_target_times_by_hand():
    t_out = np.array([[10, 12, 13, 60], [99, 98, 100, 100], [100, 100, 100, 100]])
    target = rivals.s4nn_target_times(t_out, np.array([1, 0, 2]), 3, 100)
    assert target.tolist() == [
        [13, 10, 13, 60],  # 0 fired first and is wrong; 2 is at the margin already
        [98, 100, 100, 100],  # 98 + 3 is clipped
        [100, 100, 97, 100],  # silent
    ]


@pytest.mark.parametrize("error", [rivals.mostafa_error, rivals.comsa_error])
def test_cross_entropy_gradients(error):
    rng = np.random.default_rng(1)
    t, labels, h = rng.uniform(0, 100, (4, 5)), np.array([0, 3, 4, 1]), 1e-4
    delta, cost = error(t, labels, 100)
    assert (cost > 0).all()
    for b, i in np.ndindex(t.shape):
        step = np.zeros_like(t)
        step[b, i] = h
        numeric = (error(t + step, labels, 100)[1][b] - error(t - step, labels, 100)[1][b]) / (2 * h)
        assert delta[b, i] == pytest.approx(numeric, rel=1e-5, abs=1e-9)
    row = np.arange(4)
    assert (delta[row, labels] > 0).all()  # the label shall fire earlier, all others later
    assert (np.sort(delta, axis=1)[:, :-1] < 0).all()


def test_units_of_the_authors():
    """All outputs but the label's silent: z is 6 against exp(t) for Mostafa, 1 against t for Comsa."""
    t, label = np.array([[0.0, 100.0]]), np.array([0])
    assert rivals.mostafa_error(t, label, 100)[1][0] == pytest.approx(np.log(1 + np.exp(-5)))
    assert rivals.comsa_error(t, label, 100)[1][0] == pytest.approx(np.log(1 + np.exp(-1)))


@pytest.mark.parametrize("error", ["s4nn", "mostafa", "comsa"])
def test_training_uses_them(error, glyphs_100):
    from s4nn_ref.data import Dataset

    (images, labels), _ = glyphs_100
    config = config_of_dict(
        {
            "network": {"structure": "784-30-10", "init": [[-5, 9], [-10, 20]]},
            "learning": {"error": error, "lam": 3, "surrogate": "window-silent"},
            "optimiser": {"eta": 0.3, "schedule": "constant"},
            "training": {"batch": 10},
        }
    )
    training = Training(
        config, Dataset("glyphs", "train", images, labels, ()), Dataset("", "", images[:0], labels[:0], ())
    )
    costs = []
    for _ in range(12):
        for begin in range(0, 300, 10):
            costs.append(training.algorithm.learn(images[begin : begin + 10], labels[begin : begin + 10])[0].mean())
    # Comsa's cost cannot fall below log(1 + 9 / e) = 1.46
    assert np.mean(costs[-30:]) < 0.92 * np.mean(costs[:30])
