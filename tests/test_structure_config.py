"""Structure strings and experiment files: what they give, and what they refuse."""

from pathlib import Path

import pytest
from conftest import TINY

from s4nn_ref.config import config_of_dict, read_config
from s4nn_ref.errors import InputError
from s4nn_ref.structure import parse_structure

EXPERIMENTS = sorted((Path(__file__).parent.parent / "experiments").glob("*.toml"))


def shapes(structure, shape=(28, 28, 1), padding="valid"):
    return [layer.shape_post for layer in parse_structure(structure, shape, padding)]


def test_shapes_of_the_papers_networks():
    assert shapes("64C3-P2-128C3-P2-10") == [(26, 26, 64), (13, 13, 64), (11, 11, 128), (5, 5, 128), (1, 1, 10)]
    assert shapes("128C3-P2-128C3-P2-128C3-10")[-2:] == [(3, 3, 128), (1, 1, 10)]
    assert shapes("784-400-10") == [(1, 1, 400), (1, 1, 10)]


def test_shapes_with_stride_padding_and_other_inputs():
    assert shapes("4C3-P2-7", padding="same") == [(28, 28, 4), (14, 14, 4), (1, 1, 7)]
    assert shapes("4C5S2-7", padding="same")[0] == (14, 14, 4)
    assert shapes("4C5S2-7")[0] == (12, 12, 4)
    assert shapes("P3-2C2-3-5", (10, 17, 3)) == [(3, 5, 3), (2, 4, 2), (1, 1, 3), (1, 1, 5)]


@pytest.mark.parametrize(
    ("structure", "says"),
    [
        ("", "no layer"),
        ("64C3", "does not end in a dense layer"),
        ("64C29-10", "larger than"),
        ("64C3-P2-128C3-P2-64C6-10", "larger than"),
        ("P29-10", "leaves nothing"),
        ("64C3-P27-10", "leaves nothing"),
        ("10", "starts with 10 inputs"),
        ("783-10", "starts with 783 inputs"),
        ("784", "does not end in a dense layer"),
        ("784-10-P2-10", "cannot follow"),
        ("64K3-10", "is no layer"),
        ("64C0-10", "is no layer"),
        ("0C3-10", "is no layer"),
        ("64C3--10", "is no layer"),
        ("64C3-P2-10-", "is no layer"),
    ],
)
def test_impossible_structures_are_refused(structure, says):
    with pytest.raises(InputError, match=says):
        parse_structure(structure, (28, 28, 1))


def minimal(**sections):
    table = {"network": {"structure": "8C3-10", "init": [[0, 1], [0, 1]]}}
    for name, keys in sections.items():
        table[name] = {**table.get(name, {}), **keys}
    return table


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_file_is_valid(path):
    assert read_config(path).name == path.stem


def test_config_survives_its_own_record():
    config = config_of_dict(minimal(optimiser={"eta": [0.1, 0.2]}), "x")
    assert config_of_dict(config.as_dict()) == config


def test_one_eta_serves_all_layers():
    assert config_of_dict(minimal(optimiser={"eta": 0.3})).optimiser.eta == (0.3, 0.3)


def test_defaults_are_the_papers():
    config = config_of_dict(minimal())
    assert (config.network.t_max, config.network.v_th, config.learning.lam) == (100, 100.0, 10.0)
    assert (config.optimiser.decay, config.optimiser.decay_every, config.optimiser.rule) == (0.9, 5, "adam")
    assert (config.learning.surrogate, config.learning.normalise, config.learning.error) == ("fired", "none", "target")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (minimal(lerning={}), "unknown key lerning; did you mean 'learning'"),
        (minimal(learning={"lamda": 3}), "unknown key learning.lamda; did you mean 'lam'"),
        (minimal(learning={"lam": "10"}), "learning.lam = '10': expected a number"),
        (minimal(learning={"lam": float("nan")}), "expected a number"),
        (minimal(learning={"hinge": 1}), "expected true or false"),
        (minimal(training={"epochs": 1.5}), "expected a whole number"),
        (minimal(training={"epochs": True}), "expected a whole number"),
        (minimal(training={"batch": 0}), "training.batch"),
        (minimal(training={"seed": -1}), "training.seed"),
        (minimal(learning={"surrogate": "sigmoid"}), '"window"'),
        (minimal(optimiser={"eta": [1, 2, 3]}), "3 values"),
        (minimal(optimiser={"eta": -1}), "optimiser.eta"),
        (minimal(network={"init": [[0, 1]]}), "1 ranges"),
        (minimal(network={"init": [[0, 1], [2, 1]]}), "low <= high"),
        (minimal(network={"init": [[0, 1], [1]]}), "expected 2 elements"),
        (minimal(network={"t_max": 0}), "network.t_max"),
        (minimal(network={"v_th": 0}), "network.v_th"),
        (minimal(network={"bound": [0.5, 1.0, 1.0]}), "network.bound"),
        (minimal(network={"structure": "8C99-10"}), "larger than"),
        ({"network": {"structure": "8C3-10"}}, "missing key network.init"),
        ({}, "missing key network"),
        ({"network": 3}, "expected a table"),
    ],
)
def test_bad_configurations_are_refused(table, says):
    with pytest.raises(InputError) as error:
        config_of_dict(table)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_are_no_experiments(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        read_config(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("a = = 3")
    with pytest.raises(InputError, match="not valid TOML"):
        read_config(tmp_path / "bad.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not valid TOML"):
        read_config(tmp_path / "binary.toml")
    (tmp_path / "odd.toml").write_text(TINY + "\n[more]\n")
    with pytest.raises(InputError, match=r"odd.toml: unknown key more"):
        read_config(tmp_path / "odd.toml")
