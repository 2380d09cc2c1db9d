"""Experiment files: the keys they may have, where each belongs, what is refused, and the files of release 0.1.0."""

from copy import deepcopy
from pathlib import Path

import pytest
from conftest import TINY

from s4nn_ref.app.legacy import config_of_stored, is_old, modern
from s4nn_ref.config import config_of_dict, read_config
from s4nn_ref.errors import InputError

FOLDER = Path(__file__).parent.parent / "experiments"
EXPERIMENTS = sorted(FOLDER.glob("*.toml"))


def with_keys(tables, sections):
    """A copy of the tables of an experiment with other keys in its sections."""
    tables = deepcopy(tables)
    for name, keys in sections.items():
        tables[name] = {**tables.get(name, {}), **keys}
    return tables


def minimal(**sections):
    tables = {"network": {"structure": "8C3-10", "init": [[0, 1], [0, 1]]}, "learning": {"loss": "relative-targets"}}
    return with_keys({**tables, "optimiser": {"schedule": "step"}}, sections)


def online(algorithm, **sections):
    network = {"structure": "784-8-10", "init": [[0, 1], [0, 1]], "t_max": 256, "exceeds": True, "delay": 1}
    return with_keys({"network": network, "learning": {"algorithm": algorithm}, "training": {"batch": 1}}, sections)


def refusal(table):
    """The one line with which an experiment is refused."""
    with pytest.raises(InputError) as error:
        config_of_dict(table)
    assert "\n" not in str(error.value)
    return str(error.value)


# -------------------------------------------------------------------------------------------------- what is accepted


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_file_is_valid(path):
    assert read_config(path).name == path.stem


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_config_survives_its_own_record(path):
    config = read_config(path)
    assert config_of_dict(config.as_dict()) == config


def test_one_eta_serves_all_layers():
    config = config_of_dict(minimal(optimiser={"eta": 0.3, "weight_decay": [0.1, 0.2]}))
    assert (config.optimiser.eta, config.optimiser.weight_decay) == ((0.3, 0.3), (0.1, 0.2))
    config = config_of_dict(online("s4nn", learning={"eta": 0.3, "weight_decay": [0.1, 0.2]}))
    assert (config.learning.eta, config.learning.weight_decay) == ((0.3, 0.3), (0.1, 0.2))


def test_values_of_the_paper_are_defaults_of_the_keys_that_it_has():
    config = config_of_dict(minimal())
    schedule = config.optimiser.schedule
    assert (config.network.t_max, config.network.v_th, config.learning.loss.lam) == (100, 100.0, 10.0)
    assert (config.algorithm, config.learning.normalise) == ("ds4nn", "none")
    assert (config.as_dict()["optimiser"]["rule"], schedule.decay, schedule.decay_every) == ("adam", 0.9, 5)
    assert (config.data.encoding, config.network.engine, config.network.collapse) == ("eq1", "fast", (1.0, 1.0, 1.0))


def test_changed_keys_leave_the_rest_alone():
    tables = minimal(learning={"loss": "first-spike", "noise": 3}, network={"init": "auto"}, optimiser={"eta": "auto"})
    config = config_of_dict(tables, "x")
    other = config.changed("training", seed=7, epochs=None)
    assert (other.training.seed, other.training.epochs) == (7, config.training.epochs)
    assert other.changed("training", seed=config.training.seed) == config
    with pytest.raises(InputError, match=r"training\.seed"):
        config.changed("training", seed=-1)


# --------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (minimal(lerning={}), "unknown key lerning; did you mean 'learning'"),
        (minimal(learning={"lamda": 3}), "unknown key learning.lamda; did you mean 'lam'"),
        (minimal(network={"collaps": [1, 1, 1]}), "unknown key network.collaps; did you mean 'collapse'"),
        (minimal(learning={"lam": "10"}), "learning.lam = '10': expected a number"),
        (minimal(learning={"lam": float("nan")}), "expected a number"),
        (minimal(learning={"lam": float("inf")}), "expected a number"),
        (minimal(learning={"hinge": 1}), "expected true or false"),
        (minimal(training={"epochs": 1.5}), "expected a whole number"),
        (minimal(training={"epochs": True}), "expected a whole number"),
        (minimal(training={"batch": 0}), "training.batch"),
        (minimal(training={"seed": -1}), "training.seed"),
        (minimal(training={"order": "drawn"}), '"with-replacement"'),
        (minimal(learning={"surrogate": "sigmoid"}), '"window"'),
        (minimal(learning={"surrogate": "window-fired"}), "learning.surrogate = 'window-fired'"),
        (minimal(learning={"loss": "race"}), "learning.loss = 'race': expected one of \"cross-entropy\""),
        (minimal(learning={"loss": 3}), "learning.loss = 3"),
        (minimal(learning={"loss": ["first-spike"]}), "learning.loss = ['first-spike']"),
        (minimal(learning={"algorithm": "s5nn"}), 'expected one of "bs4nn", "comsa", "ds4nn"'),
        (minimal(optimiser={"rule": "rmsprop"}), 'expected one of "adam", "sgd", "muon"'),
        (minimal(optimiser={"schedule": "linear"}), "optimiser.schedule = 'linear'"),
        (minimal(learning={"loss": "first-spike", "noise": 0}), "learning.noise = 0.0: expected a value > 0"),
        (minimal(learning={"loss": "first-spike", "latency_penalty": -1}), "learning.latency_penalty = -1.0"),
        (minimal(learning={"loss": "first-spike", "final_potentials": -1}), "learning.final_potentials = -1.0"),
        (minimal(learning={"loss": "cross-entropy", "variable": "x"}), 'expected one of "t", "z"'),
        (minimal(optimiser={"eta": [1, 2, 3]}), "optimiser.eta has 3 values"),
        (minimal(optimiser={"eta": -1}), "optimiser.eta"),
        (minimal(optimiser={"beta1": 1}), "optimiser.beta1 = 1.0: expected a value >= 0 and < 1"),
        (minimal(optimiser={"decay": 0}), "optimiser.decay = 0.0: expected a value <= 1 and > 0"),
        (minimal(augment={"rotation": 181}), "augment.rotation"),
        (minimal(data={"encoding": "nearest"}), 'data.encoding = \'nearest\': expected one of "eq1", "intensity"'),
        (minimal(network={"init": [[0, 1]]}), "1 ranges"),
        (minimal(network={"init": [[0, 1], [2, 1]]}), "low <= high"),
        (minimal(network={"init": [[0, 1], [1]]}), "expected 2 elements"),
        (minimal(network={"t_max": 0}), "network.t_max"),
        (minimal(network={"t_max": 2**14}), "network.t_max"),
        (minimal(network={"v_th": 0}), "network.v_th"),
        (minimal(network={"collapse": [0.5, 1.0, 1.0]}), "network.collapse"),
        (minimal(network={"collapse": [1.0, 0.0, 1.0]}), "network.collapse"),
        (minimal(network={"engine": "slow"}), 'network.engine = \'slow\': expected one of "fast", "plain"'),
        (minimal(network={"structure": "8C99-10"}), "larger than"),
        (minimal(network={"init": "wide"}), "network.init = 'wide': expected a list, each element a list"),
        (minimal(network={"init": "wide"}), 'or "auto"'),
        (minimal(optimiser={"eta": "best"}), 'each element a number or "auto"'),
        (minimal(optimiser={"rule": "sgd", "eta": "auto"}), "optimiser.eta = 'auto': expected a number"),
        (minimal(optimiser={"rule": "muon", "eta": "auto"}), "optimiser.eta = 'auto': expected a number"),
        (minimal(data={"validation": "all"}), "data.validation = 'all': expected a whole number or \"auto\""),
        (minimal(data={"validation": -1}), "data.validation = -1: expected a value >= 0"),
        ({"network": {"init": [[0, 1]]}}, "missing key network.structure"),
        ({}, "missing key network"),
        ({"network": 3}, "expected a table"),
        (minimal() | {"learning": 3}, "expected a table"),
    ],
)
def test_bad_configurations_are_refused(table, says):
    assert says in refusal(table)


FIRST_SPIKE, CROSS_ENTROPY, S4NN_TARGETS = (
    {"learning": {"loss": loss}} for loss in ("first-spike", "cross-entropy", "s4nn-targets")
)
SGD, MUON = ({"optimiser": {"rule": rule, "schedule": "step"}} for rule in ("sgd", "muon"))
COSINE = {"optimiser": {"schedule": "cosine"}}


@pytest.mark.parametrize(
    ("table", "key", "home"),
    [
        # another loss
        (minimal(), "learning.noise", 'learning.loss = "first-spike"'),
        (minimal(), "learning.final_potentials", 'learning.loss = "first-spike"'),
        (minimal(), "learning.latency_penalty", 'learning.loss = "first-spike"'),
        (minimal(), "learning.variable", 'learning.loss = "cross-entropy"'),
        (minimal(), "learning.gamma", 'learning.loss = "s4nn-targets"'),
        (minimal(**FIRST_SPIKE), "learning.lam", 'learning.loss = "relative-targets"'),
        (minimal(**FIRST_SPIKE), "learning.hinge", 'learning.loss = "relative-targets"'),
        (minimal(**FIRST_SPIKE), "learning.variable", 'learning.loss = "cross-entropy"'),
        (minimal(**CROSS_ENTROPY), "learning.lam", 'learning.loss = "relative-targets"'),
        (minimal(**CROSS_ENTROPY), "learning.noise", 'learning.loss = "first-spike"'),
        (minimal(**S4NN_TARGETS), "learning.hinge", 'learning.loss = "relative-targets"'),
        (minimal(**S4NN_TARGETS), "learning.latency_penalty", 'learning.loss = "first-spike"'),
        # another algorithm
        (minimal(), "learning.factor", 'learning.algorithm = "bs4nn"'),
        (minimal(), "learning.eta_factor", 'learning.algorithm = "bs4nn"'),
        (minimal(), "learning.reinitialise", 'learning.algorithm = "s4nn"'),
        (online("s4nn"), "learning.factor", 'learning.algorithm = "bs4nn"'),
        (online("s4nn"), "learning.surrogate", 'learning.algorithm = "ds4nn"'),
        (online("s4nn"), "learning.loss", 'learning.algorithm = "ds4nn"'),
        (online("s4nn"), "learning.lam", 'learning.loss = "relative-targets"'),
        (online("s4nn"), "learning.noise", 'learning.algorithm = "mostafa"'),
        (online("s4nn"), "learning.latency_penalty", 'learning.loss = "first-spike"'),
        (online("bs4nn"), "learning.reinitialise", 'learning.algorithm = "s4nn"'),
        (online("bs4nn"), "learning.draws", 'learning.algorithm = "s4nn"'),
        (online("bs4nn"), "learning.normalise", 'learning.algorithm = "ds4nn"'),
        # another rule
        (minimal(**SGD), "optimiser.beta1", 'optimiser.rule = "adam"'),
        (minimal(**SGD), "optimiser.beta2", 'optimiser.rule = "adam"'),
        (minimal(**SGD), "optimiser.eps", 'optimiser.rule = "adam"'),
        (minimal(), "optimiser.momentum", 'optimiser.rule = "sgd"'),
        (minimal(**MUON), "optimiser.momentum", 'optimiser.rule = "sgd"'),
        # another schedule
        (minimal(**COSINE), "optimiser.decay", 'optimiser.schedule = "step"'),
        (minimal(**COSINE), "optimiser.decay_every", 'optimiser.schedule = "step"'),
        (minimal(optimiser={"schedule": "constant"}), "optimiser.decay", 'optimiser.schedule = "step"'),
        (minimal(optimiser={"schedule": "exponential"}), "optimiser.decay_every", 'optimiser.schedule = "step"'),
        (online("s4nn"), "learning.decay", 'learning.schedule = "step"'),
        (online("bs4nn", learning={"schedule": "cosine"}), "learning.decay", 'learning.schedule = "step"'),
    ],
)
def test_a_key_that_would_do_nothing_is_refused_with_its_home(table, key, home):
    section, name = key.split(".")
    config_of_dict(table)  # it is this key alone that is wrong
    said = refusal(with_keys(table, {section: {name: 0.5}}))
    assert said.startswith(f"unknown key {key}; ")
    assert home in said


@pytest.mark.parametrize("algorithm", ["s4nn", "bs4nn"])
@pytest.mark.parametrize("keys", [{"eta": 0.1}, {"rule": "sgd"}, {"ema": 0.9}, {"nonsense": 1}])
def test_an_optimiser_beside_an_algorithm_that_has_its_own_update_is_refused(algorithm, keys):
    said = refusal(online(algorithm, optimiser=keys))
    assert f'algorithm "{algorithm}" updates weights by itself' in said
    assert "[learning]" in said


@pytest.mark.parametrize(
    ("table", "keys"),
    [
        (minimal(), {"learning": {"lam": 1, "hinge": True, "spike_penalty": 1}}),
        (minimal(**FIRST_SPIKE), {"learning": {"noise": 1, "final_potentials": 1, "latency_penalty": 1}}),
        (minimal(**CROSS_ENTROPY), {"learning": {"variable": "z"}}),
        (minimal(**S4NN_TARGETS), {"learning": {"gamma": 1}}),
        (minimal(**SGD), {"optimiser": {"momentum": 0.5, "ema": 0.5}}),
        (minimal(**MUON), {"optimiser": {"beta1": 0.5, "beta2": 0.5, "eps": 1}}),
        (minimal(), {"optimiser": {"decay": 0.5, "decay_every": 1}}),
        (minimal(optimiser={"schedule": "exponential"}), {"optimiser": {"decay": 0.5}}),
        (online("s4nn"), {"learning": {"gamma": 1, "eta": 1, "weight_decay": 0.1, "reinitialise": 0.1}}),
        (online("bs4nn"), {"learning": {"gamma": 1, "eta": 1, "factor": 1, "eta_factor": 1, "weight_decay": 0.1}}),
        (online("bs4nn"), {"learning": {"balance": True}}),
        (online("bs4nn", learning={"schedule": "step"}), {"learning": {"decay": 0.5, "decay_every": 1}}),
    ],
)
def test_a_key_is_accepted_at_home(table, keys):
    config = config_of_dict(with_keys(table, keys))
    for section, values in keys.items():
        stored = config.as_dict()[section]
        for key, value in values.items():
            assert stored[key] == value or stored[key] == (value, value), key  # one value, or one per layer
    assert config != config_of_dict(table)


# names of release 0.1.0, and options that are gone
@pytest.mark.parametrize(
    "key",
    ["network.bound", "network.strict", "data.rounding", "learning.error", "learning.readout", "learning.haste",
     "learning.revive", "learning.fact", "learning.eta_fact", "optimiser.warmup"],
)  # fmt: skip
def test_old_names_are_unknown(key):
    section, name = key.split(".")
    assert f"unknown key {key}; " in refusal(minimal(**{section: {name: 0.5}}))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            online("s4nn", network={"init": "auto"}),
            'name a range [low, high] per layer; algorithm "s4nn" has no "auto"',
        ),
        (online("bs4nn", network={"init": "auto"}), 'algorithm "bs4nn" has no "auto"'),
        (online("s4nn", network={"exceeds": False}), "network.exceeds = true"),
        (online("s4nn", network={"delay": 0}), "network.delay = 1"),
        (online("s4nn", network={"structure": "4C3-10"}), "dense layers only"),
        (online("s4nn", network={"collapse": [1.5, 0.5, 1.0]}), "network.collapse = [1, 1, 1]"),
        (online("s4nn", network={"engine": "plain"}), 'network.engine = "fast"'),
        (online("s4nn", training={"batch": 2}), "training.batch = 1"),
        (online("s4nn", learning={"eta": 0.2, "weight_decay": 5.0}), "below 1 / eta"),
        (online("s4nn", learning={"eta": 0.2, "weight_decay": [0.0, 5.0]}), "below 1 / eta"),
        (online("bs4nn", network={"exceeds": False}), "network.exceeds = true"),
        (online("bs4nn", training={"batch": 2}), "training.batch = 1"),
        (minimal(network={"exceeds": True}), "network.exceeds = false"),
        (minimal(network={"delay": 1}), "network.delay = 0"),
    ],
)
def test_settings_that_an_algorithm_does_not_follow_are_refused(table, message):
    assert message in refusal(table)


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


# ------------------------------------------------------------------------------------------- experiments of 0.1.0

# as release 0.1.0 wrote experiments/mnist.toml into a record, key by key
OLD = {
    "network": {
        "structure": "64C3-P2-128C3-P2-10", "init": [[-60.0, 80.0], [-12.0, 12.0], [-2.0, 2.0]],
        "input_shape": [28, 28, 1], "padding": "same", "t_max": 100, "v_th": 100.0, "pool_ties": "potential",
        "bound": [1.0, 1.0, 1.0], "strict": False, "delay": 0,
    },
    "data": {"dataset": "mnist", "validation": 5000, "rounding": "floor"},
    "learning": {
        "algorithm": "ds4nn", "error": "target", "noise": 10.0, "readout": 0.0, "haste": 0.0, "lam": 10.0,
        "hinge": False, "surrogate": "window-silent", "normalise": "none", "revive": 0.0, "fact": 5.0,
        "eta_fact": 0.01,
    },
    "optimiser": {
        "eta": [0.1, 0.1, 0.1], "rule": "adam", "beta1": 0.9, "beta2": 0.999, "eps": 1e-08, "schedule": "cosine",
        "decay": 0.9, "decay_every": 5, "warmup": 0.0, "weight_decay": [0.0, 0.0, 0.0], "ema": 0.0,
    },
    "augment": {
        "shift": 0, "probability": 0.0, "rotation": 0.0, "scale": 0.0, "shear": 0.0, "flip": False, "erase": 0,
        "epochs": 0,
    },
    "training": {"epochs": 6, "batch": 32, "order": "shuffled", "seed": 0, "select": "best"},
    "name": "mnist",
}  # fmt: skip
ONLINE = {"padding": "valid", "t_max": 256, "pool_ties": "index", "strict": True, "delay": 1}
FASHION_PLUS = {
    "network": {
        "structure": "128C3-P2-128C3-P2-128C3-10", "bound": [1.8, 0.6, 4.0],
        "init": [[-80.0, 70.0], [-9.0, 9.0], [-8.0, 8.0], [-0.6, 0.6]],
    },
    "data": {"dataset": "fashion-mnist"},
    "learning": {"error": "race", "noise": 8.5, "readout": 1.0, "surrogate": "window"},
    "optimiser": {
        "eta": [0.015, 0.012, 0.012, 0.006], "rule": "muon", "beta1": 0.95, "weight_decay": [0.001, 0.01, 0.01, 0.003],
        "ema": 0.9995,
    },
    "augment": {"shift": 1, "probability": 0.5, "rotation": 5.0, "scale": 0.1, "flip": True, "erase": 10, "epochs": 17},
    "training": {"epochs": 22, "batch": 16, "select": "last"},
}  # fmt: skip
MNIST_EARLY = {
    "network": {"init": [[-80.0, 60.0], [-12.0, 12.0], [-0.45, 0.45]], "bound": [1.2, 0.2, 0.15]},
    "learning": {"error": "race", "noise": 5.0, "readout": 1.0, "haste": 0.0012, "surrogate": "window"},
    "optimiser": {"eta": [0.6, 0.18, 0.012], "weight_decay": [0.0001, 0.0003, 0.003], "ema": 0.9995},
    "augment": {"shift": 1, "probability": 0.7, "rotation": 10.0, "scale": 0.1, "shear": 0.09},
    "training": {"epochs": 45, "select": "last"},
}
# the sections in which other experiments of 0.1.0 differed from mnist
CHANGES = {
    "mnist": {},
    "mnist-literal": {
        "network": {"init": [[0.0, 80.0], [0.0, 50.0], [0.0, 50.0]], "padding": "valid", "pool_ties": "index"},
        "learning": {"surrogate": "fired", "normalise": "signed-sum"},
        "optimiser": {"schedule": "step"},
        "training": {"epochs": 5, "batch": 1},
    },
    "mnist-early": MNIST_EARLY,
    "fashion-plus": FASHION_PLUS,
    "table3-mostafa": {"learning": {"error": "mostafa"}},
    "table3-comsa": {"learning": {"error": "comsa"}},
    "table3-s4nn": {"learning": {"error": "s4nn", "lam": 3.0}},
    "s4nn": {
        "network": {"structure": "784-400-10", "init": [[0.0, 5.0], [0.0, 48.0]], **ONLINE},
        "learning": {"algorithm": "s4nn", "lam": 3.0, "surrogate": "fired", "revive": 0.001},
        "optimiser": {"eta": [0.2, 0.2], "rule": "sgd", "schedule": "constant", "weight_decay": [1e-06, 1e-06]},
        "training": {"epochs": 100, "batch": 1, "order": "file"},
    },
    "bs4nn": {
        "network": {"structure": "784-600-10", "init": [[0.0, 5.0], [0.0, 48.0]], **ONLINE},
        "data": {"rounding": "intensity"},
        "learning": {"algorithm": "bs4nn", "lam": 1.0, "surrogate": "fired"},
        "optimiser": {"rule": "sgd", "schedule": "constant", "eta": [0.1, 0.1], "weight_decay": [0.0, 0.0]},
        "training": {"epochs": 200, "batch": 1, "order": "drawn"},
    },
}


# what the files of now have otherwise since (D28)
OF_THEN = {
    "bs4nn": {
        "learning": {"factor": 5.0, "schedule": "constant", "weight_decay": 0.0, "eta": 0.1, "ema": 0.0},
        "augment": {"epochs": 0, "shift": 0, "probability": 0.0, "rotation": 0.0, "scale": 0.0},
        "training": {"epochs": 200},
    }
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_experiment_of_0_1_0_is_the_experiment_file_of_now(name):
    expected = read_config(FOLDER / f"{name}.toml")
    for section, keys in OF_THEN.get(name, {}).items():
        expected = expected.changed(section, **keys)
    old = with_keys(OLD, CHANGES[name]) | {"name": name}
    assert is_old(old)
    before = deepcopy(old)
    tables = modern(old)
    assert old == before
    assert not is_old(tables)
    assert config_of_dict(tables) == expected
    # what `evaluate`, `info` and --resume call
    assert config_of_stored(old, Path("record.json")) == expected


def test_keys_that_0_1_0_did_not_have_yet_may_be_missing():
    """Its first records name no algorithm, no threshold that falls, and no order."""
    old = deepcopy(OLD)
    for section, keys in {
        "network": ("bound", "strict", "delay"), "learning": ("algorithm", "readout", "haste", "revive", "fact"),
        "augment": ("erase", "epochs"), "training": ("order",), "optimiser": ("weight_decay", "ema"),
    }.items():  # fmt: skip
        for key in keys:
            del old[section][key]
    assert config_of_dict(modern(old)) == read_config(FOLDER / "mnist.toml")


@pytest.mark.parametrize(
    ("optimiser", "expected"),
    [
        ({"rule": "sgd", "beta1": 0.3}, {"rule": "sgd", "momentum": 0.3, "schedule": "cosine"}),
        ({"rule": "muon", "beta2": 0.9}, {"rule": "muon", "beta2": 0.9, "schedule": "cosine"}),
        ({"schedule": "exponential", "decay": 0.7}, {"schedule": "exponential", "decay": 0.7}),
        ({"schedule": "step", "decay": 0.7, "decay_every": 3}, {"schedule": "step", "decay": 0.7, "decay_every": 3}),
        ({"schedule": "constant", "decay": 0.7}, {"schedule": "constant"}),
    ],
)
def test_rules_and_schedules_of_0_1_0(optimiser, expected):
    mnist = read_config(FOLDER / "mnist.toml").as_dict()
    expected = config_of_dict({**mnist, "optimiser": {"eta": 0.1, **expected}})
    assert config_of_dict(modern(with_keys(OLD, {"optimiser": optimiser}))) == expected


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        ("data", {"rounding": "nearest"}),
        ("learning", {"surrogate": "window-fired"}),
        ("learning", {"error": "hebb"}),
        ("network", {"gone": 1}),
    ],
)
def test_an_old_experiment_with_an_option_that_is_gone_is_refused(section, keys):
    with pytest.raises(InputError, match=r"record\.json: its experiment cannot be read") as error:
        config_of_stored(with_keys(OLD, {section: keys}), Path("record.json"))
    assert "\n" not in str(error.value)
    assert "another version" in str(error.value)


@pytest.mark.parametrize("tables", [None, 3, [], {}, {"data": 3}, {"data": {"rounding": "floor"}}])
def test_tables_that_are_no_experiment_are_refused(tables):
    with pytest.raises(InputError, match=r"weights\.npz: its experiment cannot be read"):
        config_of_stored(tables, Path("weights.npz"))
