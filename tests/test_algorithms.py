"""S4NN and BS4NN against their documents in plain loops (s4nn_ref/reference); an algorithm that a new file adds."""

import numpy as np
import pytest

from s4nn_ref.algorithms import ALGORITHMS
from s4nn_ref.config import config_of_dict
from s4nn_ref.data.glyphs import make_glyphs
from s4nn_ref.errors import InputError
from s4nn_ref.losses.s4nn_targets import target_times
from s4nn_ref.metrics import metrics_of, respond
from s4nn_ref.network import Network, Settings
from s4nn_ref.reference import bs4nn, s4nn

UPDATES = 200


def experiment(algorithm, structure="784-40-10", **changes):
    """A small network in the conventions of S4NN; on glyphs, whose strokes are broad, fewer neurons fire at once."""
    keys = {"gamma": 1, "factor": 3} if algorithm == "bs4nn" else {"gamma": 3}
    tables = {
        "network": {"structure": structure, "init": [[0, 3]] + [[0, 25]] * (structure.count("-") - 1), "t_max": 256,
                    "exceeds": True, "delay": 1},
        "data": {"encoding": "intensity" if algorithm == "bs4nn" else "eq1"},
        "learning": {"algorithm": algorithm, "eta": 0.2, **keys},
        "training": {"batch": 1},
    }  # fmt: skip
    for section, keys in changes.items():
        tables[section] = {**tables[section], **keys}
    return config_of_dict(tables)


@pytest.fixture(scope="module")
def images():
    return make_glyphs(UPDATES, 3)


def learner(config, seed=0):
    config = config.changed("network", precision="float64")
    return ALGORITHMS[config.algorithm](config, np.random.default_rng(seed), 1)


def weights_of(algorithm):
    """Copies of the weights that learn, per layer (M, n), as the documents have them."""
    return [w.T.copy() for w in algorithm.w]


def assert_equal_weights(algorithm, expected):
    for w, other in zip(algorithm.w, expected, strict=True):
        np.testing.assert_allclose(w.T, other, rtol=0, atol=1e-9)


def learn_in_parts(algorithm, images):
    """Two calls of `learn`, of different lengths."""
    for part in (slice(0, 150), slice(150, None)):
        algorithm.learn(images[0][part], images[1][part])


STRUCTURES = ["784-40-10", "784-30-20-10", "784-70-10"]  # 70: more than the lanes


@pytest.mark.parametrize("balance", [False, True])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_s4nn_updates_equal_the_reference(images, structure, balance):
    # a decay that shows: the authors' 1e-6 would vanish in 200 updates
    config = experiment("s4nn", structure, learning={"weight_decay": 1e-3, "balance": balance})
    ours = learner(config)
    weights = weights_of(ours)
    start = [w.copy() for w in weights]
    fired = [np.zeros(len(w)) for w in weights]
    for image, label in zip(*images, strict=True):
        t_in = s4nn.encode(image.ravel().astype(int))
        times = s4nn.update(t_in, label, weights, ([0.2] * 3, [1e-3] * 3), 3, 256, balance)
        for count, t_post in zip(fired, times[1:], strict=True):
            count += t_post < 256
    learn_in_parts(ours, images)
    assert_equal_weights(ours, weights)
    for count, expected in zip(ours.fired, fired, strict=False):
        np.testing.assert_array_equal(count, expected)
        assert balance or 0 < count.sum() < UPDATES * count.size  # some fire, some stay silent
    assert all(np.abs(w - before).max() > 1 for w, before in zip(weights, start, strict=True))


@pytest.mark.parametrize("algorithm", ["s4nn", "bs4nn"])
def test_the_average_of_weights_learned_online(images, algorithm):
    """Of the weights after each call, by hand: kept 2 / 11 of what it was in the first, 3 / 12 in the second, ..."""
    learning = experiment(algorithm, learning={"weight_decay": 1e-3, "ema": 0.26})
    ours, plain = (learner(config) for config in (learning, learning.changed("learning", ema=0.0)))
    mean = [w.copy() for w in ours.w]
    for call, kept in enumerate((2 / 11, 3 / 12, 0.26, 0.26)):
        for one in (ours, plain):
            one.learn(images[0][call * 50 : call * 50 + 50], images[1][call * 50 : call * 50 + 50])
        mean = [kept * m + (1 - kept) * w for m, w in zip(mean, plain.w, strict=True)]
    for w, m, of_plain in zip(ours.w, mean, plain.w, strict=True):
        np.testing.assert_array_equal(w, of_plain)  # what learns is not the average
        assert np.abs(m - w).max() > 1e-3
    flat = np.concatenate([m.ravel() for m in mean])
    if algorithm == "bs4nn":
        np.testing.assert_array_equal(np.sign(ours.parameters()), np.sign(flat))
        assert (np.sign(plain.parameters()) != np.sign(flat)).any()
    else:
        np.testing.assert_allclose(ours.parameters(), flat, rtol=1e-12)
        ours.start_from(plain.parameters())
        np.testing.assert_array_equal(ours.parameters(), plain.parameters())
    assert {"mean0", "mean1"} <= set(ours.state()) and not {"mean0"} & set(plain.state())


@pytest.mark.parametrize(("decay", "balance"), [(0.0, False), (1e-3, True)])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_bs4nn_updates_equal_the_reference(images, structure, decay, balance):
    keys = {"factor": 12, "weight_decay": decay, "balance": balance}
    ours = learner(experiment("bs4nn", structure, learning=keys))
    for w in ours.w:
        w -= 1.0  # signs of both kinds
    weights, factor = weights_of(ours), ours.factor.copy()
    start, silent = [w.copy() for w in weights], 0
    for image, label in zip(*images, strict=True):
        t_in, rates = bs4nn.encode(image.ravel().astype(int)), ([0.2] * 3, [decay] * 3, 0.01)
        times = bs4nn.update(t_in, label, weights, factor, rates, 1, 256, balance)
        silent += times[-1].min() == 256
    assert silent < UPDATES / 2
    learn_in_parts(ours, images)
    np.testing.assert_allclose(ours.factor, factor, rtol=0, atol=1e-9)
    assert np.abs(factor - 12).min() > 1e-5
    assert_equal_weights(ours, weights)
    assert all((np.sign(w) != np.sign(before)).any() for w, before in zip(weights, start, strict=True))


@pytest.mark.parametrize(
    ("keys", "rates"),
    [
        ({"schedule": "exponential", "decay": 0.5}, (1, 0.5)),
        ({"schedule": "step", "decay": 0.1, "decay_every": 1}, (1, 0.1)),
        ({"schedule": "cosine"}, (1, 0.5)),
        ({"schedule": "constant"}, (1, 1)),
    ],
)
def test_the_learning_rate_falls_by_its_schedule(images, keys, rates):
    few = images[0][:60], images[1][:60]
    ours = learner(experiment("s4nn", learning={"weight_decay": 1e-3, **keys}, training={"epochs": 2}))
    weights = weights_of(ours)
    for rate in rates:  # one call of `learn` an epoch
        for image, label in zip(*few, strict=True):
            t_in = s4nn.encode(image.ravel().astype(int))
            s4nn.update(t_in, label, weights, ([0.2 * rate] * 2, [1e-3] * 2), 3, 256)
        ours.learn(*few)
    assert_equal_weights(ours, weights)


def test_a_silent_output_layer_of_bs4nn_learns_nothing(images):
    ours = learner(experiment("bs4nn", learning={"factor": 0.1}))
    before = weights_of(ours)
    cost, _ = ours.learn(*images)
    assert (cost == 0).all()
    for w, start in zip(ours.w, before, strict=True):
        np.testing.assert_array_equal(w.T, start)
    assert (ours.factor == 0.1).all()


def test_a_factor_that_changes_sign_is_reported(images):
    with pytest.raises(InputError, match=r"lower learning\.eta_factor"):
        learner(experiment("bs4nn", learning={"factor": 12, "eta_factor": 1e4})).learn(*images)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_potentials_of_bs4nn_are_whole_numbers(images, precision):
    """In the factor of the signs, also in single precision: so that ties are ties."""
    config = experiment("bs4nn").changed("network", precision=precision)
    ours = ALGORITHMS["bs4nn"](config, np.random.default_rng(0), 1)
    for w in ours.w:
        w -= w.max() / 3  # signs of both kinds
    for factors in ((3.0, 5.13), (2.7182818, 9.7913), (100 / 21, 100 / 22 + 1e-12)):
        ours.factor[:] = factors
        ours.parameters()
        few = [np.abs(layer.rows).max() for layer in ours.network.layers]
        np.testing.assert_allclose(few, factors, rtol=2e-4 if precision == "float32" else 1e-12)
        assert [100 // np.float64(one) for one in few] == [100 // factor for factor in factors]
        states = ours.network.forward(ours.network.encode(images[0], "intensity"))
        signs = np.sign(ours.w[1]).astype(int)
        sums = (states[1].t_post.reshape(UPDATES, -1) < 256) @ signs
        np.testing.assert_array_equal(states[-1].v_end, sums * few[1])
        assert len(np.unique(sums)) > 5


@pytest.mark.parametrize("algorithm", ["s4nn", "bs4nn"])
def test_the_network_that_is_evaluated_is_the_one_that_learned(images, algorithm):
    ours = learner(experiment(algorithm))
    untrained = ours.parameters().copy()
    ours.learn(*images)
    network, signs = ours.network, algorithm == "bs4nn"
    # `parameters` are those of the very layers that are evaluated, and these hold what was learned
    assert ours.parameters() is network.parameters
    assert (network.parameters != untrained).mean() > 0.1
    weights = [np.sign(w.T) if signs else w.T for w in ours.w]
    thresholds = 100 / ours.factor if signs else [100.0] * 2
    scales = ours.factor if signs else np.ones(2)
    for layer, w, scale in zip(network.layers, weights, scales, strict=True):
        assert np.shares_memory(layer.rows, network.parameters)
        if signs:  # the factor has fewer bits, see test_potentials_of_bs4nn_are_whole_numbers
            np.testing.assert_allclose(layer.rows, scale * w.T, rtol=1e-12)
        else:
            np.testing.assert_array_equal(layer.rows, scale * w.T)
    responses = respond(network, images[0], ours.config.data.encoding)
    right = 0
    for b, (image, label) in enumerate(zip(*images, strict=True)):
        times, v = s4nn.present((bs4nn if signs else s4nn).encode(image.ravel().astype(int)), weights, thresholds, 256)
        np.testing.assert_array_equal(responses.t_out[b], times[-1])
        assert responses.spikes[b, 1] == (times[1] <= min(times[-1].min(), 255)).sum()
        np.testing.assert_allclose(responses.v_late[b], scales[-1] * v[:, 253], rtol=1e-5, atol=1e-3)
        # the authors' decision
        silent = times[-1].min() == 256
        right += v[:, 253].argmax() == label if silent else times[-1][label] == times[-1].min()
    assert metrics_of(responses, images[1])["accuracy_authors"] == pytest.approx(right / UPDATES)
    if signs:
        assert all(len(np.unique(np.abs(w))) == 1 for w in network.w)


@pytest.mark.parametrize("algorithm", ["s4nn", "bs4nn"])
def test_cost_and_decisions_are_those_of_the_network_before_each_update(images, algorithm):
    """eta = 0: nothing changes, and what `learn` returns is what the network's own evaluation gives."""
    keys = {"eta": 0, "eta_factor": 0} if algorithm == "bs4nn" else {"eta": 0}
    ours = learner(experiment(algorithm, learning=keys))
    before = ours.parameters().copy()
    cost, right = ours.learn(*images)
    np.testing.assert_array_equal(ours.parameters(), before)
    responses = respond(ours.network, images[0], ours.config.data.encoding)
    assert right.mean() == metrics_of(responses, images[1])["accuracy_strict"]
    gamma_silent = 0 if algorithm == "bs4nn" else 3
    for t_out, label, c in zip(responses.t_out, images[1], cost, strict=True):
        target = s4nn.target_times(t_out.astype(int), label, ours.config.learning.gamma, gamma_silent, 256)
        assert c == pytest.approx(0.5 * (((t_out - target) / 256) ** 2).sum())
    assert (cost > 0).any()


def test_target_times_by_hand():
    target = np.empty(4)
    for t_out, label, gamma_silent, expected in (
        ([10, 12, 13, 60], 1, 3, [13, 10, 13, 60]),  # 0 was first and is wrong; 2 keeps the margin already
        ([254, 255, 256, 256], 0, 3, [254, 256, 256, 256]),  # clipped
        ([256] * 4, 2, 3, [256, 256, 253, 256]),
        ([256] * 4, 2, 2.5, [256, 256, 253, 256]),  # cut to an integer
        ([256] * 4, 2, 0, [256] * 4),
    ):
        target_times(np.array(t_out, np.int16), label, 3, gamma_silent, 256, target)
        assert target.tolist() == expected
        assert s4nn.target_times(np.array(t_out), label, 3, gamma_silent, 256).tolist() == expected


def test_a_spike_leaves_a_step_after_the_potential_exceeds_the_threshold():
    network = Network(Settings("2-1", input_shape=(2, 1, 1), t_max=256, exceeds=True, delay=1, precision="float64"))
    network.w[0][...] = np.array([60.0, 40.0]).reshape(network.w[0].shape)
    for t_in, weight, t_out in (
        ((3, 7), 40.0, 256),  # V = 100 does not exceed 100
        ((3, 7), 40.1, 8),
        ((3, 254), 40.1, 255),
        ((3, 255), 40.1, 256),  # the spike would come at the end
    ):
        network.w[0][0, 1] = weight
        state = network.forward(np.array(t_in, np.int16).reshape(1, 2, 1, 1))[-1]
        assert state.t_post.item() == t_out
        times, _ = s4nn.present(np.array(t_in), [np.array([[60.0, weight]])], [100.0], 256)
        assert times[-1].item() == t_out


def test_neurons_that_hardly_fire_are_reinitialised(images):
    ours = learner(experiment("s4nn", learning={"reinitialise": 0.5}))
    ours.w[0][:, :7] = -1.0
    ours.learn(*images)
    assert (ours.fired[0][:7] == 0).all()
    rare = ours.fired[0] < 0.5 * UPDATES
    before = [w.copy() for w in ours.w]
    ours.end_epoch(UPDATES, np.random.default_rng(5))
    assert rare[:7].all()
    assert not rare.all()
    assert ((ours.w[0] == before[0]).all(axis=0) == ~rare).all()
    np.testing.assert_array_equal(ours.w[1], before[1])  # the output layer never
    assert ours.w[0][:, rare].min() >= 0
    assert ours.w[0][:, rare].max() < 3
    assert not ours.fired[0].any()


def test_the_authors_numbers_come_in_their_order(images):
    """Weights and re-initialised neurons, drawn as their program draws them: neuron by neuron, from one sequence."""
    config = experiment("s4nn", learning={"draws": "authors", "reinitialise": 1.0}).changed("training", seed=4)
    ours = learner(config)
    theirs = np.random.RandomState(4)
    drawn = [
        (high - low) * theirs.random_sample(w.shape[::-1]) + low
        for w, (low, high) in zip(ours.w, config.network.init, strict=True)
    ]
    np.testing.assert_array_equal(ours.w[0].T, drawn[0])
    for k, label in enumerate((4, 1, 0, 7, 9, 2, 3, 5, 8, 6)):  # their output k stands for this class
        np.testing.assert_array_equal(ours.w[1][:, label], drawn[1][k])
    low, high = config.network.init[0]

    def after_an_epoch(algorithm, rare):
        """The weights of these hidden neurons, which did not fire."""
        algorithm.fired[0][:] = UPDATES
        algorithm.fired[0][rare] = 0
        algorithm.end_epoch(UPDATES, np.random.default_rng(5))
        return algorithm.w[0][:, rare].T

    first, second = ((high - low) * theirs.random_sample((n, len(ours.w[0]))) + low for n in (2, 1))
    np.testing.assert_array_equal(after_an_epoch(ours, [2, 5]), first)
    again = learner(config)  # as from a checkpoint
    for name, array in again.state().items():
        array[...] = ours.state()[name]
    for algorithm in (ours, again):
        np.testing.assert_array_equal(after_an_epoch(algorithm, [3]), second)


def test_the_authors_numbers_are_for_ten_classes():
    with pytest.raises(InputError, match=r"learning\.draws"):
        experiment("s4nn", "784-20-3", learning={"draws": "authors"})
