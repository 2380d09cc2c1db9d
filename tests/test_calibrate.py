"""Output weights raised until hardly an image stays silent (D23)."""

from dataclasses import replace

import numpy as np
import pytest

from s4nn_ref.calibrate import calibrated, nearest_to_threshold, output_factor
from s4nn_ref.config import config_of_dict
from s4nn_ref.data import Dataset
from s4nn_ref.metrics import figures_of_merit, respond
from s4nn_ref.network import network_of


def test_output_factor_by_hand():
    nearest = np.array([0.4, 2.0, 0.8, 0.5])
    assert output_factor(nearest, 0.0) == pytest.approx(2.5, rel=1e-4)
    assert output_factor(nearest, 0.25) == pytest.approx(2.0, rel=1e-4)
    assert output_factor(nearest, 0.74) == pytest.approx(1.25, rel=1e-4)
    assert output_factor(nearest, 0.75) == 1.0
    assert output_factor(np.array([-0.03, 0.0]), 0.0) == 1.0  # nothing can help


@pytest.mark.parametrize(("silent", "bound"), [(0.02, [1, 1, 1]), (0.1, [1.2, 0.9, 2]), (0.5, [1, 1, 1])])
def test_calibrated_network(glyphs_100, silent, bound):
    (images, labels), _ = glyphs_100
    config = config_of_dict(
        {
            "network": {"structure": "8C3-P2-10", "init": [[-60, 80], [-1, 1.3]], "bound": bound},
            "training": {"silent": silent},
        }
    )
    network, validate = network_of(config), Dataset("glyphs", "train", images, labels, ())
    network.initialise(config.network.init, np.random.default_rng(5))
    before = figures_of_merit(respond(network, images), labels)
    raised, factor_used = calibrated(config, network.parameters, validate)
    output = network.slices[-1]
    factor = raised[output] / network.parameters[output]
    assert factor.min() == pytest.approx(factor.max(), rel=1e-5) == pytest.approx(factor_used, rel=1e-5)
    np.testing.assert_array_equal(raised[: output.start], network.parameters[: output.start])
    unchanged, _ = calibrated(
        replace(config, training=replace(config.training, silent=0.0)), network.parameters, validate
    )
    np.testing.assert_array_equal(unchanged, network.parameters)
    nearest = nearest_to_threshold(network, images, "floor")
    assert before["silent"] == pytest.approx((nearest < 1).mean())
    network.parameters[:] = raised
    after = figures_of_merit(respond(network, images), labels)
    assert after["silent"] <= silent < before["silent"]
    # no more than was needed: a little less would leave more images silent
    assert (nearest * factor.min() * 0.99 < 1).mean() > after["silent"] - 1e-9
    assert after["accuracy_potential"] == before["accuracy_potential"]
