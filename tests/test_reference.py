"""The document runs: it learns glyphs, and ends at the weights of the fast and of the plain engine."""

import doctest

import numpy as np
import pytest

from s4nn_ref.algorithms import ALGORITHMS
from s4nn_ref.config import config_of_dict
from s4nn_ref.data.glyphs import make_glyphs
from s4nn_ref.reference import ds4nn
from s4nn_ref.training.optimisers import Optimiser

T_MAX, V_TH, ETA, LAM, EPOCHS = 64, 128.0, 1 / 16, 4.0, 4  # powers of two: hardly a sum is rounded
STRUCTURE = "4C3-P2-2"


@pytest.fixture(scope="module")
def digits():
    """A few zeros and ones of 6 x 6 pixels."""
    images, labels = make_glyphs(100, 11)
    index = np.flatnonzero(labels < 2)[:10]
    return np.ascontiguousarray(images[index, 2:26:4, 2:26:4]), labels[index]


def initial_weights():
    rng = np.random.default_rng(3)
    return [rng.integers(8 * -20, 8 * 60, (4, 3, 3, 1)) / 8, rng.integers(8 * -10, 8 * 40, (2, 2, 2, 4)) / 8]


@pytest.fixture(scope="module")
def learned(digits):
    """Weights after training with the document, and how many decisions were right before and after."""
    first, second = initial_weights()
    layers, right = [ds4nn.Weighted(first), 2, ds4nn.Weighted(second)], []
    for epoch in range(EPOCHS + 1):
        states = [ds4nn.forward(ds4nn.encode(image, T_MAX), layers, V_TH, T_MAX) for image in digits[0]]
        decisions = [int(state[-1].t.argmin()) for state in states]
        right.append(sum(decision == label for decision, label in zip(decisions, digits[1], strict=True)))
        for image, label in zip(*digits, strict=True) if epoch < EPOCHS else ():
            ds4nn.learn(image, label, layers, ETA * T_MAX, LAM, V_TH, T_MAX)
    return [layers[0].w, layers[2].w], right


def test_the_document_learns(learned):
    weights, right = learned
    assert right[-1] >= 9
    assert right[0] <= 5
    for w, start in zip(weights, initial_weights(), strict=True):
        assert np.abs(w - start).max() > 1


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_an_engine_ends_at_the_weights_of_the_document(digits, learned, engine):
    config = config_of_dict({
        "network": {"structure": STRUCTURE, "input_shape": [6, 6, 1], "init": [[0, 0]] * 2, "t_max": T_MAX,
                    "v_th": V_TH, "engine": engine, "precision": "float64"},
        "learning": {"loss": "relative-targets", "lam": LAM, "surrogate": "window-silent"},
        "optimiser": {"rule": "sgd", "eta": ETA * T_MAX, "schedule": "constant"},
        "training": {"epochs": EPOCHS, "batch": 1, "order": "file"},
    })  # fmt: skip
    algorithm = ALGORITHMS["ds4nn"](
        config, np.random.default_rng(0), 10, lambda network: Optimiser(config.optimiser, network, 10, EPOCHS)
    )
    for w, start in zip(algorithm.network.w, initial_weights(), strict=True):
        w[...] = start
    algorithm.optimiser.w_mean[:] = algorithm.network.parameters
    images, labels = digits
    for _ in range(EPOCHS):
        for b in range(len(labels)):
            algorithm.learn(images[b : b + 1], labels[b : b + 1])
    for w, expected in zip(algorithm.network.w, learned[0], strict=True):
        np.testing.assert_allclose(w, expected, rtol=1e-12, atol=1e-12)


def test_the_example_of_the_document():
    result = doctest.testmod(ds4nn)
    assert result.attempted > 5
    assert result.failed == 0
