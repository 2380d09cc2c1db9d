"""The contract of neuron models, on the step model and one in continuous time, and an algorithm in one file."""

import math
from itertools import pairwise

import numpy as np
import pytest

from s4nn_ref.encoding import latencies
from s4nn_ref.errors import InputError
from s4nn_ref.network import Network, Settings
from s4nn_ref.neurons import linear, step


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


def continuous(structure, shape, rng, v_th=1.0, low=-0.3, high=0.6):
    network = Network(Settings(structure, input_shape=shape, v_th=v_th, engine="plain"), linear, np.float64)
    network.initialise([(low, high)] * len(network.w), rng)
    return network


def random_latencies(rng, n, shape, silent=0.3):
    return np.where(rng.random((n, *shape)) < silent, np.inf, rng.random((n, *shape)) * 3)


@pytest.mark.parametrize("seed", range(5))
def test_the_crossing_is_the_first_one_of_a_scan(seed):
    rng = np.random.default_rng(seed)
    network = continuous("30-40-3", (5, 3, 2), rng, low=-0.5)
    t_in = random_latencies(rng, 4, (5, 3, 2))
    t_in[0, 0, 0, 0] = t_in[0, 0, 0, 1] = t_in[0, 0, 1, 0]  # equal times
    t_post = network.forward(t_in)[1].t_post.reshape(4, 40)
    grid = np.linspace(0, 40, 40_001)
    fired = np.isfinite(t_post)
    assert 0.2 < fired.mean() < 1.0
    for b, j in np.ndindex(t_post.shape):
        w, t = network.w[0][j].ravel(), t_in[b].ravel()
        seen = np.isfinite(t)
        v = sum(w_i * np.maximum(0, grid - t_i) for w_i, t_i in zip(w[seen], t[seen], strict=True))
        reached = np.flatnonzero(v >= 1.0)
        if reached.size:
            assert grid[reached[0]] - 1.01e-3 < t_post[b, j] <= grid[reached[0]] + 1e-9
        else:
            assert not fired[b, j] or t_post[b, j] > 40


@pytest.mark.parametrize("structure", ["3C3-P2-4C2-6-5", "128-20-5"])
def test_gradients_in_continuous_time_equal_differences_of_the_forward_pass(structure):
    """Exact: nothing is linearised. Steps that change a causal set or a winner are rejected."""
    rng, shape = np.random.default_rng(3), (8, 8, 2)
    network = continuous(structure, shape, rng, low=-0.1)
    t_in, e = random_latencies(rng, 3, shape), rng.normal(size=(3, 5))
    states = network.forward(t_in)
    assert np.isfinite(states[-1].t_post).mean() > 0.5
    assert any(0 < np.isinf(state.t_post).mean() < 1 for state in states)
    grad = network.gradients()
    network.backward(states, e, grad)
    gradient, weights = np.concatenate([g.sum(axis=0).ravel() for g in grad]), network.parameters.copy()

    def order(states):
        """What an infinitesimal step leaves alone: in which order the neurons of each layer fire, and the winners."""
        return [np.argsort(np.concatenate([a.t_post.ravel(), b.t_post.ravel()])) for a, b in pairwise(states)]

    def cost(parameters):
        network.parameters[:] = parameters
        after = network.forward(t_in)
        same = all((a == b).all() for a, b in zip(order(after), order(states), strict=True))
        t = after[-1].t_post.reshape(3, 5)
        return (np.where(np.isfinite(t), t, 0.0) * e).sum(), same

    accepted, h, noise = 0, 1e-8, 1e-7 * np.linalg.norm(gradient)
    for _ in range(30):
        direction = rng.normal(size=weights.size)
        (up, same_up), (down, same_down) = cost(weights + h * direction), cost(weights - h * direction)
        if same_up and same_down:
            accepted += 1
            assert gradient @ direction == pytest.approx((up - down) / (2 * h), rel=1e-5, abs=noise)
    assert accepted >= 10


def test_the_check_of_gradients_fails_for_a_wrong_model():
    rng = np.random.default_rng(3)
    network = continuous("128-20-5", (8, 8, 2), rng, low=-0.1)
    t_in, e, h = random_latencies(rng, 3, (8, 8, 2)), rng.normal(size=(3, 5)), 1e-7
    states, grad = network.forward(t_in), network.gradients()
    network.layers[-1].engine = type(network.layers[-1].engine)(step)  # dt/dV = -1 in the output layer
    network.backward(states, e, grad)
    network.layers[-1].engine = network.layers[0].engine
    direction, t = rng.normal(size=network.parameters.size), []
    gradient = np.concatenate([g.sum(axis=0).ravel() for g in grad])
    network.parameters += h * direction
    t.append(network.forward(t_in)[-1].t_post.reshape(3, 5))
    network.parameters -= 2 * h * direction
    t.append(network.forward(t_in)[-1].t_post.reshape(3, 5))
    assert gradient @ direction != pytest.approx(((t[0] - t[1]) * e).sum() / (2 * h), rel=1e-2)


def test_a_silent_neuron_in_continuous_time_takes_no_error():
    network = continuous("2-2", (2, 1, 1), np.random.default_rng(0))
    network.w[0][...] = np.reshape([[1.0, 1.0], [-1.0, -1.0]], network.w[0].shape)
    states, grad = network.forward(np.array([0.0, 0.5]).reshape(1, 2, 1, 1)), network.gradients()
    assert states[1].t_post.ravel().tolist() == [0.75, np.inf]
    network.backward(states, np.array([[1.0, 1.0]]), grad)
    # dt/dw = (t_pre - t) / S
    np.testing.assert_allclose(sum(grad[0])[:, 0], [-0.375, -0.125])
    assert not sum(grad[0])[:, 1].any()


def test_the_fast_engine_says_that_it_computes_one_model_only():
    with pytest.raises(InputError, match='use engine = "plain"'):
        Network(Settings("2-2", input_shape=(2, 1, 1)), linear)


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
        self.config, self.network = config, Network(config.network, linear, np.float64)
        self.network.initialise(config.network.init, rng)

    @staticmethod
    def check(config, specs):
        pass

    @staticmethod
    def presented(config):
        return config.training.batch

    def learn(self, images, labels):
        states, grad = self.network.forward(self.network.encode(images)), self.network.gradients()
        outputs = self.network.outputs(states)
        delta, cost = cross_entropy(np.minimum(outputs.t_out, 1e3), labels)
        self.network.backward(states, delta, grad)
        for rows, g in zip(self.network.rows, grad, strict=True):
            rows -= self.config.learning.speed * g.sum(axis=0) / len(labels)
        return cost, outputs.decisions() == labels

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
engine = "plain"

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


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A new algorithm: one file, and its experiment."""
    import sys

    import s4nn_ref.algorithms

    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "toy.py").write_text(TOY)
    monkeypatch.setattr(s4nn_ref.algorithms, "__path__", [*s4nn_ref.algorithms.__path__, str(tmp_path / "more")])
    path = tmp_path / "toy.toml"
    path.write_text(TOY_TOML)
    yield path
    sys.modules.pop("s4nn_ref.algorithms.toy", None)
    vars(s4nn_ref.algorithms).pop("toy", None)


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


def test_latencies_by_hand():
    """D33: Eq. 1 without its brackets; black is silent."""
    images = np.array([255, 128, 1, 0], np.uint8).reshape(1, 4, 1, 1)
    np.testing.assert_allclose(latencies(images, 3.0).ravel(), [0.0, 127 / 85, 254 / 85, np.inf])
    network = continuous("4-2", (4, 1, 1), np.random.default_rng(0))
    np.testing.assert_array_equal(network.encode(images), latencies(images, network.t_max))
