"""Decisions and metrics: by hand, and of a whole network, counted independently from reference/ds4nn.py."""

import numpy as np
import pytest
from drawn import has_both, random_network, reference_layers

from s4nn_ref.app.predict import predict
from s4nn_ref.decision import decide
from s4nn_ref.kernels.output import LATE, output_potentials
from s4nn_ref.metrics import Responses, metrics_of, respond
from s4nn_ref.reference import ds4nn

T_MAX, V_TH = 20, 100.0


def test_decision_ties_and_silence():
    t = np.array([[5, 7, 7], [7, 5, 5], [7, 5, 5], [9, 9, 9]])
    v = np.array([[100, 300, 300], [300, 110, 120], [300, 120, 120], [1, 2, 3.0]])
    end = np.array([[0, 9, 9], [0, 9, 9], [0, 9, 9], [7, 8, 6.0]])
    assert decide(t, v, end, 9).tolist() == [0, 2, 1, 1]


def test_metrics_by_hand():
    t_out = np.array([[5, 7], [6, 6], [6, 6], [10, 10], [10, 10]], np.int16)
    v_peak = np.array([[110, 120], [110, 120], [110, 120], [50, 60], [50, 60.0]])
    v_end = np.array([[1, 0], [1, 0], [1, 0], [50, 40], [50, 40.0]])
    labels = np.array([0, 0, 1, 0, 1])
    spikes = np.array([[10, 4, 2, 1], [10, 4, 2, 2], [10, 4, 2, 2], [20, 8, 4, 0], [20, 8, 4, 0]])
    r = Responses(t_out, v_peak, v_end, spikes, np.full(5, 0.5), 0.25, ("input", "4C3", "P2", "2"), 10)
    m = metrics_of(r, labels)
    assert m["accuracy_strict"] == 3 / 5  # images 0, 2 (larger potential), 3 (final potential)
    assert m["accuracy_first_spike"] == 2 / 5  # images 0, 2
    assert m["accuracy_unique"] == 1 / 5  # image 0
    assert m["accuracy_lenient"] == 4 / 5  # images 0, 1, 2, and 3 as strict
    assert m["accuracy_potential"] == 3 / 5  # images 0, 1, 3
    assert (m["tied"], m["silent"]) == (2 / 5, 2 / 5)
    assert m["decision_time_mean"] == pytest.approx(37 / 5)
    assert m["aft"] == [pytest.approx(21 / 3), pytest.approx(16 / 2)]
    assert m["mrn"]["total"] == pytest.approx((17 + 18 + 18 + 32 + 32) / 5)
    assert m["mrn"]["total_without_pooling"] == pytest.approx((15 + 16 + 16 + 28 + 28) / 5)
    assert m["mrn"]["layers"]["0:input"] == 14
    assert m["dead"] == {"per_image": 0.5, "always": 0.25}


def test_the_authors_count_by_hand():
    """Any tie is right; a silent image goes to the largest potential before the end, not to that at the end."""
    t_out = np.array([[6, 6], [10, 10], [10, 10]], np.int16)
    v = np.array([[110, 120], [50, 60], [50, 60.0]])
    v_late, v_end = v[:, ::-1], v
    spikes, labels = np.ones((3, 2), int), np.array([0, 0, 1])
    r = Responses(t_out, v, v_end, spikes, np.zeros(3), 0.0, ("input", "2"), 10, v_late)
    assert metrics_of(r, labels)["accuracy_authors"] == 2 / 3  # images 0 and 1; by v_end 0 and 2
    labels = np.array([0, 0, 0])
    assert metrics_of(r, labels)["accuracy_authors"] == 1.0
    assert metrics_of(r, labels)["accuracy_strict"] == 0.0


def test_output_potentials_by_hand():
    w = np.array([[60.0], [-20.0]])  # rows (n, M)
    assert output_potentials(np.array([1, 3], np.int16), w, 4).ravel().tolist() == [0, 60, 60, 40]
    assert output_potentials(np.array([4, 4], np.int16), w, 4).ravel().tolist() == [0] * 4  # silent inputs


# -------------------------------------------------------------------------------------------------- a whole network


@pytest.fixture(scope="module")
def case():
    """A network, images of two channels, and their layers' firing times by the plain loops: [image][layer]."""
    rng = np.random.default_rng(40)
    network = random_network(rng, "3C3-P2-4C2-5", (7, 7, 2), T_MAX)
    images = np.where(rng.random((6, 7, 7, 2)) < 0.4, 0, rng.integers(0, 256, (6, 7, 7, 2))).astype(np.uint8)
    images[5] = 0  # nothing to see: silent
    layers = reference_layers(network)
    states = [ds4nn.forward(ds4nn.encode(image, T_MAX), layers, V_TH, T_MAX) for image in images]
    times = [[firing.t for firing in of_image] for of_image in states]
    assert all(has_both(np.array([of_image[k] for of_image in times]), T_MAX) for k in (1, 3, 4))
    return network, images, times


@pytest.mark.parametrize("batch", [1, 4, 128])
def test_responses_equal_the_reference(case, batch):
    network, images, layers = case
    r = respond(network, images, batch=batch)
    decisions = [int(times[-1].min()) for times in layers]
    assert decisions[5] == T_MAX
    assert min(decisions) < T_MAX
    for b, times in enumerate(layers):
        np.testing.assert_array_equal(r.t_out[b], times[-1].ravel())
        # a spike counts up to and including the decision; without one, all do
        counted = [sum(int(t < T_MAX and t <= decisions[b]) for t in layer.ravel()) for layer in times]
        assert r.spikes[b].tolist() == counted
        hidden = np.concatenate([times[1].ravel(), times[3].ravel()])
        assert r.silent_hidden[b] == pytest.approx((hidden == T_MAX).mean())
    always = [np.all([times[i] == T_MAX for times in layers], axis=0).ravel() for i in (1, 3)]
    assert r.never_fired == pytest.approx(np.concatenate(always).mean())


def test_predictions_equal_the_reference(case):
    network, images, layers = case
    r = respond(network, images)
    for b, times in enumerate(layers):
        t_out = times[-1].ravel()
        p = predict(network, images[b])
        assert p.decision_time == t_out.min()
        assert p.fired == (p.decision_time < T_MAX)
        assert list(p.spikes) == r.spikes[b].tolist()
        np.testing.assert_array_equal(p.t_out, t_out)
        # Fig. 3: the potentials cross the threshold when the neurons fire
        first = [next((t for t in range(T_MAX) if v[t] >= V_TH), T_MAX) for v in p.potentials.T]
        assert first == p.t_out.tolist()
        np.testing.assert_allclose(p.potentials[-1], r.v_end[b], rtol=1e-6)
        np.testing.assert_allclose(p.potentials[T_MAX - LATE], r.v_late[b], rtol=1e-6)
