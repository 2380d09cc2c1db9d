"""S4NN and BS4NN against plain transcriptions of their authors' programs (tests/oracle.py)."""

import numpy as np
import oracle
import pytest

from s4nn_ref.algorithms import ALGORITHMS
from s4nn_ref.algorithms.s4nn import target_times
from s4nn_ref.config import config_of_dict
from s4nn_ref.encoding import encode
from s4nn_ref.errors import InputError
from s4nn_ref.glyphs import make_glyphs
from s4nn_ref.metrics import figures_of_merit, respond

UPDATES = 200


def experiment(algorithm, structure="784-40-10", **changes):
    """A small network in the conventions of S4NN; on glyphs, whose strokes are broad, fewer neurons fire at once."""
    tables = {
        "network": {"structure": structure, "init": [[0, 3]] + [[0, 25]] * (structure.count("-") - 1), "t_max": 256,
                    "strict": True, "delay": 1},
        "data": {"rounding": "intensity" if algorithm == "bs4nn" else "floor"},
        "learning": {"algorithm": algorithm, **({"lam": 1, "fact": 3} if algorithm == "bs4nn" else {"lam": 3})},
        "optimiser": {"rule": "sgd", "eta": 0.2, "schedule": "constant"},
        "training": {"batch": 1},
    }  # fmt: skip
    for section, keys in changes.items():
        tables[section] = {**tables[section], **keys}
    return config_of_dict(tables)


@pytest.fixture(scope="module")
def images():
    return make_glyphs(UPDATES, 3)


def learner(config, seed=0):
    return ALGORITHMS[config.learning.algorithm](config, np.random.default_rng(seed), 1, np.float64)


@pytest.mark.parametrize("structure", ["784-40-10", "784-30-20-10", "784-70-10"])  # 70: more than the lanes
def test_s4nn_updates_equal_the_transcription(images, structure):
    # a decay that shows: the authors' 1e-6 would vanish in 200 updates
    config = experiment("s4nn", structure, optimiser={"weight_decay": 1e-3})
    ours = learner(config)
    weights = [w.T.copy() for w in ours.layers.w]
    t_in = encode(images[0], 256).reshape(UPDATES, -1)
    fired = [np.zeros(w.shape[1]) for w in ours.layers.w]
    for t, label in zip(t_in, images[1], strict=True):
        times = oracle.s4nn_update(t, label, weights, [0.2] * 3, [1e-3] * 3, 3, 256)
        for count, t_post in zip(fired, times[1:], strict=True):
            count += t_post < 256
    for part in (slice(0, 150), slice(150, None)):
        ours.learn(images[0][part], images[1][part])
    for w, expected in zip(ours.layers.w, weights, strict=True):
        np.testing.assert_allclose(w.T, expected, rtol=0, atol=1e-9)
    for count, expected in zip(ours.fired, fired, strict=False):
        np.testing.assert_array_equal(count, expected)
    assert max(np.abs(w - start).max() for w, start in zip(ours.layers.w, learner(config).layers.w, strict=True)) > 1


@pytest.mark.parametrize("structure", ["784-40-10", "784-30-20-10", "784-70-10"])  # 70: more than the lanes
def test_bs4nn_updates_equal_the_transcription(images, structure):
    config = experiment("bs4nn", structure, learning={"fact": 12})
    ours = learner(config)
    for w in ours.layers.w:
        w -= 1.0  # signs of both kinds
    weights, fact = [w.T.copy() for w in ours.layers.w], ours.fact.copy()
    t_in, silent = 255 - images[0].reshape(UPDATES, -1).astype(int), 0
    for t, label in zip(t_in, images[1], strict=True):
        times = oracle.bs4nn_update(t, label, weights, fact, [0.2] * 3, 0.01, 1, 256)
        silent += times[-1].min() == 256
    assert silent < UPDATES / 2
    for part in (slice(0, 150), slice(150, None)):
        ours.learn(images[0][part], images[1][part])
    np.testing.assert_allclose(ours.fact, fact, rtol=0, atol=1e-9)
    assert np.abs(fact - 12).min() > 1e-5
    for w, expected in zip(ours.layers.w, weights, strict=True):
        np.testing.assert_allclose(w.T, expected, rtol=0, atol=1e-9)


def test_the_learning_rate_falls_by_its_schedule(images):
    keys = {"schedule": "exponential", "decay": 0.5, "weight_decay": 1e-3}
    ours = learner(experiment("s4nn", optimiser=keys))
    weights = [w.T.copy() for w in ours.layers.w]
    t_in = encode(images[0], 256).reshape(UPDATES, -1)
    for epoch in range(2):  # one call of `learn` each
        for t, label in zip(t_in, images[1], strict=True):
            oracle.s4nn_update(t, label, weights, [0.2 * 0.5**epoch] * 2, [1e-3] * 2, 3, 256)
        ours.learn(*images)
    for w, expected in zip(ours.layers.w, weights, strict=True):
        np.testing.assert_allclose(w.T, expected, rtol=0, atol=1e-9)


def test_a_silent_output_layer_of_bs4nn_learns_nothing(images):
    config = experiment("bs4nn", learning={"fact": 0.1})
    ours = learner(config)
    before = [w.copy() for w in ours.layers.w]
    cost, _ = ours.learn(*images)
    assert (cost == 0).all()
    for w, start in zip(ours.layers.w, before, strict=True):
        np.testing.assert_array_equal(w, start)
    assert (ours.fact == 0.1).all()


def test_a_factor_that_changes_sign_is_reported(images):
    with pytest.raises(InputError, match="lower learning"):
        learner(experiment("bs4nn", learning={"fact": 12, "eta_fact": 1e4})).learn(*images)


@pytest.mark.parametrize("algorithm", ["s4nn", "bs4nn"])
def test_the_network_that_is_evaluated_is_the_one_that_learned(images, algorithm):
    config = experiment(algorithm)
    ours = learner(config)
    ours.learn(*images)
    ours.layers.network.parameters[:] = ours.parameters()
    signs = algorithm == "bs4nn"
    weights = [np.sign(w.T) if signs else w.T for w in ours.layers.w]
    thresholds = 100 / ours.fact if signs else [100.0] * 2
    responses = respond(ours.layers.network, images[0], config.data.rounding)
    t_in = encode(images[0], 256, config.data.rounding).reshape(UPDATES, -1)
    right = 0
    for b in range(UPDATES):
        times, v = oracle.s4nn_present(t_in[b], weights, thresholds, 256)
        np.testing.assert_array_equal(responses.t_out[b], times[-1])
        assert (responses.spikes[b, 1] == (times[1] <= min(times[-1].min(), 255)).sum()).all()
        scale = ours.fact[-1] if signs else 1.0
        np.testing.assert_allclose(responses.v_late[b], scale * v[:, 253], rtol=1e-5, atol=1e-3)
        # the authors' decision
        label, silent = images[1][b], times[-1].min() == 256
        right += v[:, 253].argmax() == label if silent else times[-1][label] == times[-1].min()
    assert figures_of_merit(responses, images[1])["accuracy_authors"] == pytest.approx(right / UPDATES)
    if signs:
        assert all(len(np.unique(np.abs(w))) == 1 for w in ours.layers.network.w)


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
        assert oracle.s4nn_targets(np.array(t_out), label, 3, gamma_silent, 256).tolist() == expected


def test_a_spike_leaves_a_step_later_and_the_threshold_is_strict():
    config = experiment("s4nn", "2-1", network={"input_shape": [2, 1, 1], "init": [[0, 1]]})
    network = learner(config).layers.network
    network.w[0][...] = np.array([60.0, 40.0]).reshape(network.w[0].shape)
    fire = lambda *t: network.forward(np.array(t, np.int16).reshape(1, 2, 1, 1))[-1].t_post.item()  # noqa: E731
    assert fire(3, 7) == 256  # V = 100 is not above 100
    network.w[0][0, 1] = 40.1
    assert fire(3, 7) == 8
    assert fire(3, 254) == 255
    assert fire(3, 255) == 256  # the spike would come at the end


def test_neurons_that_hardly_fire_start_anew(images):
    ours = learner(experiment("s4nn", learning={"revive": 0.5}))
    ours.layers.w[0][:, :7] = -1.0
    ours.learn(*images)
    assert (ours.fired[0][:7] == 0).all()
    rare = ours.fired[0] < 0.5 * UPDATES
    before = ours.layers.w[0].copy()
    ours.end_epoch(UPDATES, np.random.default_rng(5))
    assert rare[:7].all()
    assert not rare.all()
    assert ((ours.layers.w[0] == before).all(axis=0) == ~rare).all()
    assert ours.layers.w[0][:, rare].min() >= 0
    assert ours.layers.w[0][:, rare].max() < 3
    assert not ours.fired[0].any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": {"strict": False}}, "network.strict = true"),
        ({"network": {"delay": 0}}, "network.delay = 1"),
        ({"network": {"structure": "4C3-10"}}, "dense layers only"),
        ({"network": {"bound": [1.5, 0.5, 1.0]}}, "network.bound = .1, 1, 1."),
        ({"training": {"batch": 2}}, "training.batch = 1"),
        ({"optimiser": {"ema": 0.9}}, "without average"),
        ({"learning": {"error": "race"}}, "learning.error = 'target'"),
        ({"learning": {"algorithm": "ds4nn"}}, "network.strict = false"),
        ({"learning": {"fact": 4.0}}, "learning.fact = 5.0"),
        ({"optimiser": {"weight_decay": 5.0}}, "below 1 / eta"),
        ({"optimiser": {"weight_decay": [0.0, 5.0]}}, "below 1 / eta"),
    ],
)
def test_settings_that_an_algorithm_does_not_follow_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        experiment("s4nn", **changes)
