"""The contract of neuron models by hand, on two of them, and an algorithm in one file; see test_continuous.py."""

import math
import sys

import numpy as np
import pytest
from numba.core import config

from s4nn_ref import algorithms, losses, neurons
from s4nn_ref.algorithms.ds4nn import LOSSES
from s4nn_ref.config import config_of_dict
from s4nn_ref.encoding import latencies
from s4nn_ref.errors import InputError
from s4nn_ref.network import Network, Settings
from s4nn_ref.neurons import linear, step
from s4nn_ref.settings import find_own_parts


def sums_of(model, inputs):
    sums = model.start
    for t, w in inputs:
        sums = model.add(sums, t, w)
    return sums


def test_the_step_model_by_hand():
    sums = sums_of(step, [(3, 60.0), (7, 50.0)])
    assert step.potential(sums, 9) == 110.0
    assert step.crossing(sums, 100.0) == 7
    assert step.crossing(sums, 110.0) == 7  # Eq. 3: >=
    assert step.crossing(sums, 110.1) == math.inf
    assert (step.dt_dw(sums, 7, 3, 60.0), step.dt_dt(sums, 7, 3, 60.0)) == (-1.0, 60.0)


def test_the_linear_model_by_hand():
    # V(t) = 2 t - 1 (t - 1) = t + 1 from t = 1 on: 3 at t = 2
    sums = sums_of(linear, [(0.0, 2.0), (1.0, -1.0)])
    assert linear.potential(sums, 2.0) == 3.0
    assert linear.crossing(sums, 3.0) == 2.0
    assert linear.dt_dw(sums, 2.0, 0.0, 2.0) == -2.0
    assert linear.dt_dt(sums, 2.0, 0.0, 2.0) == 2.0
    assert linear.dt_dt(sums, 2.0, 1.0, -1.0) == -1.0  # the inhibitory input a moment later, so the spike earlier


@pytest.mark.parametrize("total", [0.0, -1.0])
def test_a_potential_that_does_not_rise_never_crosses(total):
    assert linear.crossing(sums_of(linear, [(0.0, 1.0), (0.5, total - 1.0)]), 1.0) == math.inf


TOY = '''
"""Gradient descent on the cross-entropy of firing times, with neurons in continuous time."""

from dataclasses import dataclass, field

import numpy as np

from s4nn_ref.losses.cross_entropy import cross_entropy
from s4nn_ref.network import Network
from s4nn_ref.neurons import linear


@dataclass(frozen=True)
class Settings:
    speed: float = field(default=0.1, metadata={"above": 0})


class Algorithm:
    neuron = linear
    uses_optimiser = False

    def __init__(self, config, rng, calls, optimiser=None):
        self.config, self.network = config, Network(config.network, linear)
        self.network.initialise(config.network.init, rng)

    @staticmethod
    def check(config, specs):
        pass

    @staticmethod
    def presented(config):
        return config.training.batch

    def learn(self, images, labels):
        states, grad = self.network.forward(self.network.encode(images)), self.network.gradients()
        self.states, outputs = states, self.network.outputs(states)
        delta, cost = cross_entropy(np.minimum(outputs.t_out, 1e3), labels)
        self.network.backward(states, delta, grad)
        for rows, g in zip(self.network.rows, grad, strict=True):
            rows -= self.config.learning.speed * g.sum(axis=0) / len(labels)
        return cost, outputs.decisions() == labels

    def firing_times(self):
        return [(name, s.t_post) for name, s in zip(self.network.tokens, self.states, strict=True)]

    def start_from(self, parameters):
        self.network.parameters[:] = parameters

    def parameters(self):
        return self.network.parameters

    def end_epoch(self, images, rng):
        pass

    def state(self):
        return {"parameters": self.network.parameters}
'''

TOY_TOML = """
[network]
structure = "784-10"
init = [[0, 0.02]]
t_max = 3
v_th = 1
precision = "float64"

[data]
dataset = "tiny"
validation = 40

[learning]
algorithm = "toy"
speed = 0.02

[training]
epochs = 5
batch = 10
"""


def own_part(monkeypatch, folder, kind, file, text):
    """A user's own file, until the end of the test."""
    (folder / kind).mkdir(parents=True, exist_ok=True)
    (folder / kind / file).write_text(text)
    for package in (algorithms, losses, neurons):
        monkeypatch.setattr(package, "__path__", list(package.__path__))
    monkeypatch.setenv("S4NN_PARTS", str(folder))


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A new algorithm: one file, and its experiment."""
    own_part(monkeypatch, tmp_path / "parts", "algorithms", "toy.py", TOY)
    path = tmp_path / "toy.toml"
    path.write_text(TOY_TOML)
    yield path
    sys.modules.pop("s4nn_ref.algorithms.toy", None)
    vars(algorithms).pop("toy", None)


def test_an_algorithm_is_one_file(toy, s4nn, data_dir, tmp_path):
    from s4nn_ref.app.record import read_record

    out = tmp_path / "run"
    code, _, err = s4nn("train", toy, "--data", data_dir, "--out", out)
    assert code == 0, err
    record = read_record(out)
    assert record["config"]["learning"] == {"algorithm": "toy", "speed": 0.02}
    assert "optimiser" not in record["config"]
    assert record["history"][-1]["cost"] < 0.8 * record["history"][0]["cost"]
    assert record["selected"]["test"]["accuracy_strict"] > 0.5
    assert s4nn("evaluate", out / "weights.npz", "--data", data_dir)[0] == 0
    assert s4nn("train", toy, "--data", data_dir, "--out", out, "--resume")[0] == 0
    toy.write_text(TOY_TOML.replace("speed = 0.02", "lam = 10"))
    code, _, err = s4nn("train", toy, "--data", data_dir, "--out", tmp_path / "other")
    assert (code, err.count("\n"), "unknown key learning.lam" in err) == (2, 1, True)
    toy.write_text(TOY_TOML.replace("speed", "speeds"))
    assert "unknown key learning.speeds; did you mean 'speed'?" in s4nn("train", toy, "--data", data_dir)[2]


def test_a_file_that_is_gone_is_an_algorithm_that_is_gone(s4nn, tmp_path):
    (tmp_path / "toy.toml").write_text(TOY_TOML)
    code, _, err = s4nn("train", tmp_path / "toy.toml")
    assert code == 2
    assert "learning.algorithm = 'toy': expected one of" in err


OWN_LOSS = """
from dataclasses import dataclass


@dataclass(frozen=True)
class Loss:
    width: float = 2.0
"""


def test_parts_of_ones_own_are_named_like_any_other(monkeypatch, tmp_path):
    own_part(monkeypatch, tmp_path, "losses", "own_loss.py", OWN_LOSS)
    (tmp_path / "neurons").mkdir()
    (tmp_path / "neurons" / "own_neuron.py").write_text("integer = False\n")
    assert "own-loss" in LOSSES
    tables = {"network": {"structure": "784-10"}, "learning": {"loss": "own-loss", "width": 3}}
    config = config_of_dict(tables)
    assert config.as_dict()["learning"]["loss"] == "own-loss"
    assert config.learning.loss.width == 3.0
    from s4nn_ref.neurons import own_neuron

    assert own_neuron.integer is False
    sys.modules.pop("s4nn_ref.losses.own_loss"), sys.modules.pop("s4nn_ref.neurons.own_neuron")


def test_own_parts_that_are_none_are_told(monkeypatch, tmp_path):
    tables = {"network": {"structure": "784-10"}, "learning": {"loss": "empty"}}
    own_part(monkeypatch, tmp_path, "losses", "empty.py", "")
    with pytest.raises(InputError, match=r"empty\.py has no class Loss"):
        config_of_dict(tables)
    sys.modules.pop("s4nn_ref.losses.empty")
    monkeypatch.setenv("S4NN_PARTS", str(tmp_path / "gone"))
    with pytest.raises(InputError, match=r"S4NN_PARTS = .*: there is no such folder"):
        config_of_dict(tables)


OWN_NEURON = """
import math
import numpy as np

integer, echoes, start = False, ((0.0, 1.0),), (0.0, 0.0)


def add(sums, t_pre, w):
    return sums[0] + w, sums[1] + w * t_pre


def crossing(sums, v_th):
    return (v_th + sums[1]) / sums[0] if sums[0] > 0.0 else math.inf


def may_fire(sums, t_last, t_next, v_th):
    return sums[0] * t_next - sums[1] >= v_th


def dt_dw(sums, t_post, t_pre, w):
    return (t_pre - t_post) / sums[0]


def dt_dt(sums, t_post, t_pre, w):
    return w / sums[0]


def potential(sums, t):
    return sums[0] * t - sums[1]
"""


@pytest.mark.parametrize(
    ("there", "instead", "engine", "said"),
    [
        ("def may_fire", "def might_fire", "fast", r"has no may_fire, which engine = \"fast\" needs"),
        ("def dt_dt", "def dt", "plain", r"has no dt_dt, which engine = \"plain\" needs"),
        ("integer, echoes", "whole, echoes", "plain", "has no integer"),
        ("(0.0, 0.0)\n", "0.0\n", "plain", r"start of the neuron model .* is 0\.0: a tuple"),
        ("(0.0, 0.0)\n", "(0.0, 0.0, 0.0)\n", "fast", r'models of two sums, and .*has 3; use engine = "plain"'),
        ("sums[0] * t_next", "np.exp(sums[0]) * t_next", "fast", r'cannot compile: .*ufunc exp.*; .*engine = "plain"'),
        ("(v_th + sums[1])", "nowhere", "plain", r"wrong\.py has a function that numba cannot compile: .*nowhere.*d$"),
        ("w / sums[0]", "np.nowhere(w)", "plain", "cannot compile: .*nowhere"),
    ],
)
def test_what_is_wrong_with_a_neuron_of_ones_own_is_one_line(monkeypatch, tmp_path, there, instead, engine, said):
    assert there in OWN_NEURON
    own_part(monkeypatch, tmp_path, "neurons", "wrong.py", OWN_NEURON.replace(there, instead))
    find_own_parts()
    from s4nn_ref.neurons import wrong

    settings = Settings("6-5-3", input_shape=(2, 3, 1), v_th=1.0, engine=engine)
    try:
        if config.DISABLE_JIT and "compile" in said:
            pytest.skip("nothing is compiled here")
        with pytest.raises(InputError, match=said) as error:
            network = Network(settings, wrong)
            network.parameters[:] = 0.3
            states = network.forward(np.zeros((1, 2, 3, 1)))
            network.backward(states, np.ones((1, 3)), network.gradients())
        assert "\n" not in str(error.value)
    finally:
        sys.modules.pop("s4nn_ref.neurons.wrong")
        del sys.modules["s4nn_ref.neurons"].wrong


def test_latencies_by_hand():
    """D33: Eq. 1 without its brackets; black is silent."""
    images = np.array([255, 128, 1, 0], np.uint8).reshape(1, 4, 1, 1)
    np.testing.assert_allclose(latencies(images, 3.0).ravel(), [0.0, 127 / 85, 254 / 85, np.inf])
    network = Network(Settings("4-2", input_shape=(4, 1, 1)), linear)
    np.testing.assert_array_equal(network.encode(images), latencies(images, network.t_max))
