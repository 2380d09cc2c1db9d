"""Neurons in continuous time: crossings, gradients, both engines, the document, pulses, and the systems of them."""

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from conftest import assert_refused
from PIL import Image

from s4nn_ref.config import config_of_dict
from s4nn_ref.encoding import latencies
from s4nn_ref.errors import InputError
from s4nn_ref.losses.cross_entropy import cross_entropy
from s4nn_ref.network import Network, Settings
from s4nn_ref.neurons import alpha, exponential, linear, step
from s4nn_ref.reference import comsa, mostafa, relpsp
from s4nn_ref.training.optimisers import Optimiser

MODELS = {"linear": (linear, relpsp), "exponential": (exponential, mostafa), "alpha": (alpha, comsa)}
WIDTH = {"linear": 1.0, "exponential": 1.0, "alpha": 1.3}  # of the weights, so that most neurons fire
every_model = pytest.mark.parametrize("name", MODELS)


def continuous(name, structure, shape, rng, engine="plain", precision="float64", low=-0.3):
    settings = Settings(structure, input_shape=shape, v_th=1.0, engine=engine, precision=precision)
    network = Network(settings, MODELS[name][0])
    fan_in = [WIDTH[name] / math.sqrt(len(rows) / 30) for rows in network.rows]
    network.initialise([(low * width, 0.6 * width) for width in fan_in], rng)
    return network


def random_times(name, rng, n, shape, silent=0.3, last=3.0):
    t = np.where(rng.random((n, *shape)) < silent, np.inf, rng.random((n, *shape)) * last)
    return np.exp(t) if name == "exponential" else t


def potential(name, grid, t, w):
    """V at the times of a grid, from the definition of each model's postsynaptic potential."""
    kernels = {
        "linear": lambda s: s,
        "exponential": lambda s: 1.0 - np.exp(-s),
        "alpha": lambda s: s * np.exp(-alpha.K * s),
    }
    since = [np.maximum(0, np.log(grid / t_i) if name == "exponential" else grid - t_i) for t_i in t]
    return sum(w_i * kernels[name](s) for w_i, s in zip(w, since, strict=True))


# ---------------------------------------------------------------------------------------------- crossings


@every_model
@pytest.mark.parametrize("seed", range(3))
def test_the_crossing_is_the_first_one_of_a_scan(name, seed):
    rng = np.random.default_rng(seed)
    network = continuous(name, "30-40-3", (5, 3, 2), rng, low=-0.5)
    t_in = random_times(name, rng, 4, (5, 3, 2))
    t_in[0, 0, 0, 0] = t_in[0, 0, 0, 1] = t_in[0, 0, 1, 0]  # equal times
    t_post = network.forward(t_in)[1].t_post.reshape(4, 40)
    grid = np.linspace(1, 41, 40_001) - (name != "exponential")
    fired = np.isfinite(t_post)
    assert 0.2 < fired.mean() < 1.0
    for b, j in np.ndindex(t_post.shape):
        w, t = network.w[0][j].ravel(), t_in[b].ravel()
        seen = np.isfinite(t)
        reached = np.flatnonzero(potential(name, grid, t[seen], w[seen]) >= 1.0)
        if reached.size:
            assert grid[reached[0]] - 1.01e-3 < t_post[b, j] <= grid[reached[0]] + 1e-9
        else:
            assert not fired[b, j] or t_post[b, j] > 40


@every_model
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("structure", ["60-70-33-3", "5C3S2-70C2-P2-3"])
def test_both_engines_give_the_same_bits(name, precision, structure):
    """Also where inputs come in groups of equal times."""
    rng, shape = np.random.default_rng(1), (6, 5, 2) if structure[0] == "6" else (11, 9, 2)
    networks = [continuous(name, structure, shape, rng, engine, precision, low=-0.5) for engine in ("fast", "plain")]
    networks[1].parameters[:] = networks[0].parameters
    t_in, e = np.round(random_times(name, rng, 9, shape) * 4) / 4, rng.normal(size=(9, 3))
    t_in[3] = np.inf  # an image without a spike
    (fast, plain), grads = [n.forward(t_in) for n in networks], [n.gradients() for n in networks]
    assert all(0 < np.isinf(state.t_post).mean() < 1 for state in fast)
    for a, b in zip(fast, plain, strict=True):
        for field in ("t_post", "t_peak", "v_peak"):
            np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
    np.testing.assert_array_equal(fast[-1].v_end, plain[-1].v_end)
    for network, states, grad in zip(networks, (fast, plain), grads, strict=True):
        network.backward(states, e.copy(), grad)
    for a, b in zip(*grads, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=(1e-5 if precision == "float32" else 1e-12) * abs(b).max())
        assert b.any()


@every_model
def test_the_fast_engine_equals_the_document(name):
    rng, (_, document) = np.random.default_rng(5), MODELS[name]
    network = continuous(name, "20-15-4", (20, 1, 1), rng, "fast", low=-0.4)
    weights = [rows.T.copy() for rows in network.rows]
    t_in, labels = random_times(name, rng, 6, (20, 1, 1)), rng.integers(0, 4, 6)
    states, grad = network.forward(t_in), network.gradients()
    t_out = network.outputs(states).t_out
    delta = cross_entropy(t_out, labels)[0]
    network.backward(states, delta.copy(), grad)
    expected, some_silent = [np.zeros(w.shape) for w in weights], 0
    for b in range(6):
        times, causal = relpsp.present(t_in[b].ravel(), weights, document.crossing)
        some_silent += np.isinf(times[1]).sum()
        for state, t in zip(states, times, strict=True):
            np.testing.assert_allclose(state.t_post[b].ravel(), t, rtol=1e-12)
        error = relpsp.output_error(times[-1], labels[b])
        np.testing.assert_allclose(delta[b], error, atol=1e-12)
        for total, g in zip(
            expected, relpsp.gradients(times, causal, weights, error, document.derivatives), strict=True
        ):
            total += g
    assert some_silent
    for g, total in zip(grad, expected, strict=True):
        np.testing.assert_allclose(g.sum(axis=0).T, total, rtol=1e-8, atol=1e-10 * abs(total).max())


# ---------------------------------------------------------------------------------------------- gradients


@every_model
@pytest.mark.parametrize(
    ("engine", "structure"), [("plain", "3C3-P2-4C2-6-5"), ("fast", "3C3-P2-4C2-6-5"), ("fast", "128-S3-20-S2-5")]
)
def test_gradients_in_continuous_time_equal_differences_of_the_forward_pass(name, engine, structure):
    """Exact: nothing is linearised. Steps that change a causal set or a winner are rejected."""
    rng, shape = np.random.default_rng(3), (8, 8, 2)
    network = continuous(name, structure, shape, rng, engine, low=-0.1)
    if "S" in structure:
        for pulses in network.rows[::2]:
            pulses[:, 0] = (name == "exponential") + 0.03 * (1 + np.arange(len(pulses)))
    t_in, e = random_times(name, rng, 3, shape), rng.normal(size=(3, 5))
    states = network.forward(t_in)
    assert np.isfinite(states[-1].t_post).mean() > 0.5
    grad = network.gradients()
    network.backward(states, e, grad)
    gradient, weights = np.concatenate([g.sum(axis=0).ravel() for g in grad]), network.parameters.copy()
    assert all(g.any() for g in grad)

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
    network = continuous("linear", "128-20-5", (8, 8, 2), rng, low=-0.1)
    t_in, e, h = random_times("linear", rng, 3, (8, 8, 2)), rng.normal(size=(3, 5)), 1e-7
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


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_a_silent_neuron_in_continuous_time_takes_no_error(engine):
    network = continuous("linear", "2-2", (2, 1, 1), np.random.default_rng(0), engine)
    network.w[0][...] = np.reshape([[1.0, 1.0], [-1.0, -1.0]], network.w[0].shape)
    states, grad = network.forward(np.array([0.0, 0.5]).reshape(1, 2, 1, 1)), network.gradients()
    assert states[1].t_post.ravel().tolist() == [0.75, np.inf]
    network.backward(states, np.array([[1.0, 1.0]]), grad)
    # dt/dw = (t_pre - t) / S
    np.testing.assert_allclose(sum(grad[0])[:, 0], [-0.375, -0.125])
    assert not sum(grad[0])[:, 1].any()


# ---------------------------------------------------------------------------------------------- edges


def sums_of(model, inputs):
    sums = model.start
    for t, w in inputs:
        sums = model.add(sums, t, w)
    return sums


@pytest.mark.parametrize(
    ("name", "inputs", "v_th"),
    [
        ("linear", [(0.0, 1.0), (0.5, -1.0)], 1.0),  # S = 0
        ("linear", [(0.0, 1.0), (0.5, -2.0)], 1.0),
        ("exponential", [(1.0, 1.0)], 1.0),  # W = v_th: reached after an infinite time
        ("exponential", [(1.0, 2.0), (2.0, -1.5)], 1.0),
        ("alpha", [(0.0, 1.0), (0.0, -1.0)], 1.0),  # A = 0
        ("alpha", [(0.0, -1.0)], 1.0),
        ("alpha", [(0.0, alpha.K * math.e * 0.9999)], 1.0),  # just below -1/e
    ],
)
def test_potentials_that_never_reach_the_threshold(name, inputs, v_th):
    model, document = MODELS[name]
    assert model.crossing(sums_of(model, inputs), v_th) == math.inf
    assert document.crossing(*(np.array(part) for part in zip(*inputs, strict=True)), v_th) == math.inf


def test_the_alpha_model_at_the_branch_point():
    """One input at 0 whose potential peaks at the threshold: it fires at the peak, 1 / K, where W0 is -1."""
    w = alpha.K * math.e * (1 + 1e-12)
    sums = sums_of(alpha, [(0.0, w)])
    assert alpha.crossing(sums, 1.0) == pytest.approx(1 / alpha.K, rel=1e-5)
    t = alpha.crossing(sums, 1.0)
    assert abs(alpha.dt_dw(sums, t, 0.0, w)) <= alpha.CLIP
    assert abs(alpha.dt_dt(sums, t, 0.0, w)) <= alpha.CLIP


@pytest.mark.parametrize("w", [0.6, 1.0, 3.0, 100.0])
def test_the_lambert_function_is_exact(w):
    t = alpha.crossing(sums_of(alpha, [(0.5, w), (0.8, w / 2)]), 1.0)
    assert w * (t - 0.5) * math.exp(-alpha.K * (t - 0.5)) + w / 2 * (t - 0.8) * math.exp(
        -alpha.K * (t - 0.8)
    ) == pytest.approx(1.0, rel=1e-13)


def test_the_exponential_model_by_hand():
    # W = 3, Z = 1 * 2 + 2 * 1 = 4: z = 4 / (3 - 1)
    sums = sums_of(exponential, [(1.0, 2.0), (2.0, 1.0)])
    assert exponential.crossing(sums, 1.0) == 2.0
    assert exponential.potential(sums, 2.0) == 1.0
    assert exponential.dt_dw(sums, 2.0, 1.0, 2.0) == -0.5
    assert exponential.dt_dt(sums, 2.0, 1.0, 2.0) == 1.0


@every_model
def test_what_may_fire_misses_no_crossing(name):
    """The cheap test that fast kernels ask first is true wherever the crossing lies before the next input."""
    rng, model, held = np.random.default_rng(0), MODELS[name][0], 0
    for _ in range(2000):
        t = np.sort(1.0 + 3.0 * rng.random(5))
        sums = sums_of(model, zip(t[:4], rng.normal(0.4, 0.6, 4), strict=True))
        t_next = t[4] if rng.random() < 0.8 else math.inf
        if t[3] <= model.crossing(sums, 1.0) < t_next:
            held += 1
            assert model.may_fire(sums, t[3], t_next, 1.0 - 1e-9)
    assert held > 50


def test_the_fast_engine_computes_one_model_in_integer_time_only():
    class Other:
        integer, __name__ = True, "other"

    with pytest.raises(InputError, match='use engine = "plain"'):
        Network(Settings("2-2", input_shape=(2, 1, 1)), Other())


def test_two_input_times_by_hand():
    """D37: z is 1 from half the largest intensity on, and 6 below."""
    images = np.array([255, 128, 127, 0], np.uint8).reshape(1, 4, 1, 1)
    assert latencies(images, 1, "binary").ravel().tolist() == [1, 1, 6, 6]
    with pytest.raises(ValueError, match="in continuous time"):
        latencies(images, 1, "intensity")


def test_cross_entropy_of_silent_outputs():
    """They have probability 0; where all are silent the cost is finite and only the label asks for a spike."""
    delta, cost = cross_entropy(np.array([[1.0, np.inf, 1.0], [np.inf] * 3]), np.array([0, 1]))
    np.testing.assert_allclose(delta, [[0.5, 0, -0.5], [0, 1, 0]])
    np.testing.assert_allclose(cost, [math.log(2), math.log(1e8)])


# ---------------------------------------------------------------------------------------------- pulses and systems


def test_pulses_fire_for_every_image():
    network = Network(Settings("4-S3-2-S1-2", input_shape=(2, 2, 1), t_max=4), linear)
    network.initialise([(0, 4), (0, 1), (0, 4), (0, 1)], np.random.default_rng(0))
    t_in = np.full((2, 2, 2, 1), np.inf)
    states = network.forward(t_in)
    assert states[1].t_post[0].ravel().tolist() == [np.inf] * 4 + [1, 2, 3]
    assert network.tokens == ("input", "S3", "2", "S1", "2")
    counts = network.spikes_until(states, np.array([2.0, 0.5]))
    assert counts[:, 1].tolist() == [2, 0]
    assert network.w[0].shape == (1, 1, 1, 3)


@pytest.mark.parametrize("structure", ["784-S2-8C3-10", "784-10-S2", "784-S0-10"])
def test_pulses_stand_before_dense_layers(structure):
    with pytest.raises(InputError, match="structure"):
        Network(Settings(structure, input_shape=(28, 28, 1)), linear)


XOR = np.array([[255, 255, 255], [255, 255, 0], [255, 0, 255], [255, 0, 0]], np.uint8).reshape(4, 3, 1, 1)


def xor_of(algorithm, structure, learning=(), eta=0.02, **network):
    """An experiment on three inputs, the first of which always fires."""
    return config_of_dict({
        "network": {"structure": structure, "input_shape": [3, 1, 1], "v_th": 1, "t_max": 1, **network},
        "data": {"encoding": "binary" if algorithm == "mostafa" else "eq1"},
        "learning": {"algorithm": algorithm, **dict(learning)},
        "optimiser": {"eta": eta, "schedule": "constant"},
        "training": {"batch": 4},
    })  # fmt: skip


@pytest.mark.parametrize(
    ("algorithm", "config"),
    [
        ("relpsp", xor_of("relpsp", "3-20-2", {"temperature": 0.1, "silence": 0.1}, init=[[0, 2], [-0.3, 0.6]])),
        ("mostafa", xor_of("mostafa", "3-20-2", init=[[0, 2], [0, 0.4]])),
        ("comsa", xor_of("comsa", "3-S2-20-S2-2", eta=0.05)),
    ],
)
def test_a_system_learns_xor(algorithm, config):
    from s4nn_ref.algorithms import ALGORITHMS

    learner = ALGORITHMS[algorithm](
        config, np.random.default_rng(0), 1, lambda net: Optimiser(config.optimiser, net, 1, 400)
    )
    labels = np.array([0, 1, 1, 0])
    costs = [learner.learn(XOR, labels)[0].sum() for _ in range(400)]
    assert costs[-1] < 0.5 * costs[0]
    assert learner.learn(XOR, labels)[1].all()
    if algorithm == "comsa":
        assert all((pulses >= 0).all() for pulses in learner.network.rows[::2])


def test_mostafa_adds_two_terms():
    from s4nn_ref.algorithms.mostafa import Algorithm

    config = xor_of("mostafa", "3-4-2", {"weight_sum": 7, "limit": 1e9}, init=[[0, 1], [0, 1]], precision="float64")
    learner = Algorithm(config, np.random.default_rng(0), 1, lambda net: None)
    learner.network.rows[0][:, 0] = 0.1  # this neuron can never fire
    weights = [rows.T.copy() for rows in learner.network.rows]
    learner.regularise(None, 5)
    for grad, w in zip(learner.grad, weights, strict=True):
        np.testing.assert_allclose(grad.sum(axis=0).T / 5, mostafa.weight_sum_gradient(w, 7))
    assert learner.grad[0].any()
    config = xor_of("mostafa", "3-4-2", {"limit": 0.5}, init=[[2, 3], [2, 3]], precision="float64")
    learner = Algorithm(config, np.random.default_rng(0), 1, lambda net: None)
    rng = np.random.default_rng(0)
    for share in (0.9, 1.1):  # of the limit
        for grad in learner.grad:
            grad[...] = rng.normal(size=grad.shape)
            grad *= share * 0.5 * len(grad[0]) * 5 / np.linalg.norm(grad.sum(axis=0))
        before = [grad.sum(axis=0).T / 5 for grad in learner.grad]
        learner.regularise(None, 5)
        for grad, mean in zip(learner.grad, before, strict=True):
            np.testing.assert_allclose(grad.sum(axis=0).T / 5, mostafa.limited(mean, 0.5))
            assert (np.linalg.norm(grad.sum(axis=0).T / 5) < 0.99 * np.linalg.norm(mean)) == (share > 1)


def test_mostafa_delays_inputs_while_learning():
    from s4nn_ref.algorithms.mostafa import Algorithm

    config = xor_of("mostafa", "3-20-2", {"noise": 0.5}, init=[[0, 2], [0, 0.4]])
    learner = Algorithm(config, np.random.default_rng(0), 1, lambda net: Optimiser(config.optimiser, net, 1, 400))
    images, labels = np.repeat(XOR, 500, axis=0), np.repeat([0, 1, 1, 0], 500)
    clean, first = learner.network.encode(images, "binary"), learner.encode(images)
    delay = np.log(first / clean)  # z = exp(t)
    assert (delay >= 0).all()
    assert (delay**2).mean() == pytest.approx(0.25, rel=0.05)
    np.testing.assert_array_equal(learner.encode(images), first)  # of the update to come, also after a checkpoint
    learner.learn(images, labels)
    assert (learner.encode(images) != first).all()
    other = config.changed("training", seed=1)
    other = Algorithm(other, np.random.default_rng(0), 1, lambda net: Optimiser(config.optimiser, net, 1, 400))
    assert (other.encode(images) != first).all()


@pytest.mark.parametrize(
    ("algorithm", "structure"), [("relpsp", "3-20-2"), ("mostafa", "3-20-2"), ("comsa", "3-S2-20-S2-2")]
)
def test_a_temperature_is_part_of_the_cost(algorithm, structure):
    """The gradient is that of the cost that is reported, whatever the temperature."""
    from s4nn_ref.algorithms import ALGORITHMS

    init = {} if algorithm == "comsa" else {"init": [[0, 2], [-0.3, 0.6]]}
    keys = {"temperature": 0.3, **({"weight_sum": 0} if algorithm == "mostafa" else {"silence": 0})}
    config = xor_of(algorithm, structure, keys, precision="float64", **init)
    learner, labels = (
        ALGORITHMS[algorithm](config, np.random.default_rng(0), 1, lambda net: None),
        np.array([0, 1, 1, 0]),
    )

    def cost_and_slope():
        for grad in learner.grad:
            grad[...] = 0
        return learner.backward(XOR, labels)[0].sum(), learner.grad[-1].sum(axis=0)

    (cost, slope), rows = cost_and_slope(), learner.network.rows[-1]
    t_out = learner.forward(XOR)[1].t_out
    assert cost == pytest.approx(cross_entropy(t_out / 0.3, labels)[1].sum())
    assert cost != pytest.approx(cross_entropy(t_out, labels)[1].sum())
    assert abs(slope).max() > 0.01
    for place in zip(*np.unravel_index(np.argsort(abs(slope), axis=None)[-4:], slope.shape), strict=True):
        rows[place] += 1e-7
        assert (cost_and_slope()[0] - cost) / 1e-7 == pytest.approx(slope[place], rel=1e-4)
        rows[place] -= 1e-7


def test_an_image_of_small_cost_teaches_nothing():
    from s4nn_ref.algorithms.relpsp import Algorithm

    def backward(images, labels, enough):
        config = xor_of("relpsp", "3-4-2", {"enough": enough}, init=[[0, 1], [0, 1]])
        learner = Algorithm(config, np.random.default_rng(0), 1, lambda net: None)
        cost, _ = learner.backward(images, labels)
        return cost, learner.grad[1].sum(axis=0)

    labels = np.array([0, 1, 1, 0])
    cost, all_of_them = backward(XOR, labels, 0.0)
    dear = cost >= np.median(cost)
    assert 0 < dear.sum() < 4
    _, dear_only = backward(XOR[dear], labels[dear], 0.0)
    np.testing.assert_allclose(backward(XOR, labels, float(np.median(cost)))[1], dear_only, rtol=1e-5)
    assert abs(all_of_them - dear_only).max() > 1e-3
    assert not backward(XOR, labels, 100.0)[1].any()


@every_model
@pytest.mark.parametrize("structure", ["40-70-3", "40-60"])  # in the latter all neurons take an error
def test_inputs_at_two_times_take_a_shorter_way(name, structure):
    """The same firing times and gradients; and one image has nothing to do with the others of its batch."""
    rng, shape = np.random.default_rng(4), (8, 5, 1)
    networks = [continuous(name, structure, shape, rng, engine, low=-0.3) for engine in ("fast", "plain")]
    networks[1].parameters[:] = networks[0].parameters
    t_in, e = rng.choice([1.0, 2.5], (7, *shape)), rng.normal(size=(7, networks[0].n_classes))
    t_in[5], t_in[6, 0, 0] = random_times(name, rng, 1, shape), np.inf  # these do not
    (fast, plain), grads = [n.forward(t_in) for n in networks], [n.gradients() for n in networks]
    times = fast[1].t_post[:5]
    assert (times < 2.5).any() and ((times >= 2.5) & (times < np.inf)).any()
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a.t_post, b.t_post, rtol=1e-12)
    np.testing.assert_array_equal(networks[0].forward(t_in[3:4])[1].t_post, fast[1].t_post[3:4])
    np.testing.assert_array_equal(networks[0].forward(t_in[5:6])[1].t_post, fast[1].t_post[5:6])
    for network, states, grad in zip(networks, (fast, plain), grads, strict=True):
        network.backward(states, e.copy(), grad)
    for a, b in zip(*grads, strict=True):
        assert b.any()
        np.testing.assert_allclose(a.sum(axis=0), b.sum(axis=0), rtol=0, atol=1e-11 * abs(b).max())


def test_silent_neurons_pull_up_all_their_weights():
    from s4nn_ref.algorithms.comsa import Algorithm

    config = xor_of("comsa", "3-S2-4-S2-2", {"silence": 3})
    learner = Algorithm(config, np.random.default_rng(0), 1, lambda net: None)
    learner.network.rows[1][:, 1] = -1  # silent for every image
    states = learner.network.forward(learner.network.encode(XOR))
    learner.regularise(states, 4)
    expected = sum(comsa.silence_gradient(t.ravel(), 5, 3) for t in states[2].t_post)
    np.testing.assert_allclose(learner.grad[1].sum(axis=0).T, expected)
    assert expected[1].tolist() == [-12] * 5
    assert not learner.grad[0].any()


def test_comsa_draws_its_initial_weights():
    config = xor_of("comsa", "3-S10-400-S10-10")
    from s4nn_ref.algorithms.comsa import Algorithm

    rows = Algorithm(config, np.random.default_rng(0), 1, lambda net: None).network.rows
    sigma = math.sqrt(2 / (400 + 10 + 10))
    np.testing.assert_allclose(rows[0][:, 0], np.arange(1, 11) / 11, rtol=1e-6)
    assert rows[3].shape == (410, 10)
    assert rows[3][:400].mean() / sigma == pytest.approx(-0.275, abs=0.05)
    assert rows[3][400:].mean() / sigma == pytest.approx(7.84, abs=0.3)
    assert rows[3][:400].std() == pytest.approx(sigma, rel=0.05)


@pytest.mark.parametrize(
    ("algorithm", "encoding"),
    [("ds4nn", "binary"), ("s4nn", "binary"), ("relpsp", "intensity"), ("comsa", "intensity")],
)
def test_an_encoding_of_the_other_kind_of_time_is_refused(algorithm, encoding):
    network = {"structure": "784-S2-10" if algorithm == "comsa" else "784-10"}
    network |= {} if algorithm == "comsa" else {"init": [[0, 1]]}
    tables = {"network": network, "learning": {"algorithm": algorithm}, "data": {"encoding": encoding}}
    tables |= {} if algorithm == "s4nn" else {"optimiser": {"eta": 0.1}}
    with pytest.raises(InputError, match=f'data.encoding = "{encoding}": the neurons of algorithm "{algorithm}" know'):
        config_of_dict(tables)


@every_model
@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_the_final_potential_is_that_at_the_last_input(name, engine):
    """D33: in continuous time there is no end at which it could be asked."""
    network = continuous(name, "2-1", (2, 1, 1), np.random.default_rng(0), engine)
    network.w[0][...] = np.reshape([0.3, 0.2], network.w[0].shape)
    states = network.forward(np.array([1.0, 2.0]).reshape(1, 2, 1, 1))
    expected = potential(name, np.array([2.0]), np.array([1.0, 2.0]), np.array([0.3, 0.2]))[0]
    assert 0 < expected < 1
    assert states[-1].v_end[0, 0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"network": {"structure": "784-20-10"}}, "pulses before every dense layer"),
        ({"network": {"structure": "784-S2-10", "init": [[0, 1], [0, 1]]}}, "draws its initial weights itself"),
        ({"network": {"structure": "784-S2-10"}, "data": {"encoding": "binary"}}, 'data.encoding = "eq1"'),
        ({"network": {"structure": "784-S2-10", "collapse": [2, 1, 1]}}, "a constant threshold"),
        ({"optimiser": {}}, "name a learning rate"),
        ({"learning": {"algorithm": "relpsp"}}, r"name a range \[low, high\] per layer"),
    ],
)
def test_an_experiment_that_a_system_would_not_follow(changes, says):
    with pytest.raises(InputError, match=says):
        tables = {"network": {"structure": "784-S2-10"}, "learning": {"algorithm": "comsa"}, "optimiser": {"eta": 0.1}}
        config_of_dict({**tables, **changes})


SYSTEM_TOML = """
[network]
structure = "784-{structure}"
t_max = 1
v_th = 1
{init}

[data]
dataset = "tiny"
validation = 40
{encoding}

[learning]
algorithm = "{algorithm}"

[optimiser]
eta = {eta}

[training]
epochs = 3
batch = 10
"""


@pytest.mark.parametrize(
    ("algorithm", "values"),
    [
        ("relpsp", {"structure": "30-10", "init": "init = [[0, 0.05], [-0.1, 0.4]]", "encoding": "", "eta": 0.002}),
        ("mostafa", {"structure": "30-10", "init": "init = [[0, 0.01], [0, 0.3]]", "encoding": 'encoding = "binary"',
                     "eta": 0.002}),
        ("comsa", {"structure": "S5-30-S5-10", "init": "", "encoding": "", "eta": "[0.05, 0.002, 0.05, 0.002]"}),
    ],
)  # fmt: skip
def test_a_system_is_trained_evaluated_and_resumed(algorithm, values, s4nn, data_dir, tmp_path):
    from s4nn_ref.app.record import read_record

    toml, out = tmp_path / "system.toml", tmp_path / "run"
    toml.write_text(SYSTEM_TOML.format(algorithm=algorithm, **values))
    code, _, err = s4nn("train", toml, "--data", data_dir, "--out", out)
    assert code == 0, err
    record = read_record(out)
    assert record["history"][-1]["cost"] < record["history"][0]["cost"]
    assert s4nn("evaluate", out / "weights.npz", "--data", data_dir)[0] == 0
    assert "S5" in s4nn("info", out / "weights.npz")[1] or algorithm != "comsa"
    Image.fromarray(np.full((28, 28), 50, np.uint8) * np.eye(28, dtype=np.uint8)).save(tmp_path / "a.png")
    code, text, _ = s4nn("predict", out / "weights.npz", tmp_path / "a.png")
    assert code == 0
    assert re.search(r"class \d, (decided at t = [\d.]+|no output spike)", text)
    assert "step" not in text
    assert_refused(s4nn("evaluate", out / "weights.npz", "--data", data_dir, "--anytime"), "integer time")
    assert "is finished" in s4nn("train", toml, "--data", data_dir, "--out", out, "--resume")[1]
    toml.write_text(toml.read_text().replace("t_max = 1", "t_max = 1\ndelay = 1"))
    assert_refused(s4nn("train", toml, "--data", data_dir, "--out", tmp_path / "other"), "needs network.delay = 0")
