"""Initial weights and learning rates that follow from the structure, and experiments that name little (D17, D34)."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import write_idx_set

from s4nn_ref.app.record import read_record
from s4nn_ref.config import config_of_dict
from s4nn_ref.data.glyphs import make_glyphs
from s4nn_ref.initial import initial_widths, learning_rates

STRUCTURES = ["784-200-10", "16C3-P2-10", "16C5-P2-32C3-P2-10", "16C3S2-32C3S2-10", "8C3-16C3-P2-16C3-16C3-P2-32C3-10"]
README = (Path(__file__).resolve().parent.parent / "README.md").read_text()


def test_widths_by_hand():
    # 3 / (0.5 * 24) = 0.25: v_th / 2; 3 / (0.3 * 90) = 1 / 9: v_th / 3, or v_th / 9 for outputs
    assert initial_widths([24, 90, 90], 100) == [50.0, 33.3, 11.1]
    assert initial_widths([24, 90, 90], 10) == [5.0, 3.33, 1.11]
    assert initial_widths([24], 100) == [25.0]  # the output reads pixels
    assert initial_widths([2], 1) == [float(f"{math.sqrt(3):.3g}")]  # few synapses: no more than a hidden neuron's


def test_rates_by_hand():
    assert learning_rates([50.0, 33.3, 11.1]) == (1.0, 0.666, 0.555)
    assert learning_rates([25.0]) == (1.25,)


@pytest.mark.parametrize(
    ("receptive_fields", "found"),
    [
        ([9, 576, 6272], [70, 12, 0.45]),  # mnist-plus
        ([9, 1152, 1152, 6272], [75, 9, 8, 0.6]),  # fashion-plus
        ([9, 144, 1568], [70, 25, 2]),  # demo
    ],
)
def test_widths_are_near_those_that_were_found_by_trial(receptive_fields, found):
    *hidden, output = initial_widths(receptive_fields, 100)
    for width, other in zip(hidden, found, strict=False):
        assert 0.8 < width / other < 1.2
    assert 0.2 < output / found[-1] < 1  # ours are smaller: better in every network that was tried


@pytest.mark.parametrize("structure", STRUCTURES)
def test_hidden_neurons_fire_for_some_images_and_outputs_are_silent(structure, glyphs_100):
    config = config_of_dict({"network": {"structure": structure}})
    network = config.network_of()
    for seed in range(3):
        network.initialise(config.network.init, np.random.default_rng(seed))
        states = network.forward(network.encode(glyphs_100[0][0][:100]))
        shares = [(state.t_post < network.t_max).mean() for state in states[1:]]
        assert min(shares[:-1]) > 0.04, shares
        assert max(shares[:-1]) < 0.6, shares
        assert shares[-1] < 0.1, shares


def test_numbers_take_the_place_of_auto():
    """Records hold what was used, and other keys do not change it later."""
    named = {"init": [[-50, 50], [-2.5, 2.5]]}
    config = config_of_dict({"network": {"structure": "4C5-10", "input_shape": [24, 24, 1], "v_th": 50}})
    assert config.network.init == ((-24.5, 24.5), (-0.312, 0.312))  # R = 25 and 1600
    assert config.optimiser.eta == (0.49, 0.0156)
    assert config_of_dict(config.as_dict()) == config
    words = {"network": {"structure": "4C5-10", "input_shape": [24, 24, 1], "v_th": 50, "init": "auto"}}
    assert config_of_dict({**words, "optimiser": {"eta": "auto"}}) == config
    both = config_of_dict({"network": {"structure": "4C5-10", **named}, "optimiser": {"eta": [1, 2]}})
    assert (both.network.init, both.optimiser.eta) == (((-50, 50), (-2.5, 2.5)), (1, 2))
    one = config_of_dict({"network": {"structure": "4C5-10", **named}})
    assert one.optimiser.eta == learning_rates(initial_widths([25, 2304], 100))  # of the structure, not of the range


def test_defaults_are_those_that_learn():
    tables = config_of_dict({"network": {"structure": "8C3-10"}}).as_dict()
    learning = tables["learning"]
    assert (learning["loss"], learning["noise"], learning["final_potentials"]) == ("first-spike", 5, 1)
    assert (learning["surrogate"], tables["optimiser"]["rule"]) == ("window", "adam")
    assert (tables["optimiser"]["schedule"], tables["training"]["batch"]) == ("cosine", 16)


def test_an_experiment_of_five_lines_learns(s4nn, tmp_path):
    """README's own network, on 1,800 embedded digits. Measured: 85.5 %; chance is 10 %."""
    block = re.search(r"```toml\n(.*?)```", README, re.S)[1]
    assert len(block.splitlines()) <= 5
    (tmp_path / "my.toml").write_text(block.replace('"mnist"', '"digits"'))
    write_idx_set(tmp_path / "data" / "digits", *make_glyphs(2000, 3), *make_glyphs(400, 4))
    train = ("train", tmp_path / "my.toml", "--data", tmp_path / "data", "--out", tmp_path / "run", "--epochs", 2)
    code, _, err = s4nn(*train)
    assert code == 0, err
    record = read_record(tmp_path / "run")
    assert record["config"]["data"]["validation"] == 200  # "auto": a tenth
    assert record["selected"]["test"]["accuracy_strict"] > 0.8
    assert record["selected"]["test"]["silent"] < 0.05
