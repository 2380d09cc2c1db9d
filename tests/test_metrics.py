"""Responses of a whole network, counted independently by the plain twins."""

import numpy as np
import oracle
import pytest

from s4nn_ref.anytime import Anytime
from s4nn_ref.dense import output_potentials
from s4nn_ref.metrics import respond
from s4nn_ref.network import Network
from s4nn_ref.predict import predict

T_MAX, V_TH = 20, 100.0


@pytest.fixture(scope="module")
def case():
    """A network, images, and their layers' firing times by the oracle: [image][layer] (H, W, M)."""
    rng = np.random.default_rng(40)
    network = Network("3C3-P2-4C2-5", (7, 7, 1), T_MAX, V_TH)
    for w, (low, high) in zip(network.w, ((-20, 60), (-30, 60), (-10, 50)), strict=True):
        w[...] = rng.integers(8 * low, 8 * high, w.shape) / 8
    images = np.where(rng.random((6, 7, 7)) < 0.4, 0, rng.integers(0, 256, (6, 7, 7))).astype(np.uint8)
    images[5] = 0  # nothing to see: silent
    layers = []
    for image in images:
        t_in = np.array([[[oracle.encode(int(i), 255, T_MAX, "floor")] for i in row] for row in image])
        c1, _, v1, _ = oracle.if_conv(t_in, network.w[0], V_TH, T_MAX)
        p1, _ = oracle.spike_pool(c1, v1, 2)
        c2 = oracle.if_conv(p1, network.w[1], V_TH, T_MAX)[0]
        out = oracle.if_dense(c2.ravel(), network.w[2].reshape(5, -1), V_TH, T_MAX)[0]
        layers.append([t_in, c1, p1, c2, out])
    return network, images, layers


@pytest.mark.parametrize("batch", [1, 4, 128])
def test_responses_equal_the_oracles(case, batch):
    network, images, layers = case
    r = respond(network, images, batch=batch)
    decisions = [int(times[-1].min()) for times in layers]
    assert decisions[5] == T_MAX
    assert min(decisions) < T_MAX
    for b, times in enumerate(layers):
        np.testing.assert_array_equal(r.t_out[b], times[-1])
        # a spike counts up to and including the decision; without one, all do
        counted = [sum(int(t < T_MAX and t <= decisions[b]) for t in layer.ravel()) for layer in times]
        assert r.spikes[b].tolist() == counted
        hidden = np.concatenate([times[1].ravel(), times[3].ravel()])
        assert r.silent_hidden[b] == pytest.approx((hidden == T_MAX).mean())
    always = [np.all([times[i] == T_MAX for times in layers], axis=0).ravel() for i in (1, 3)]
    assert r.never_fired == pytest.approx(np.concatenate(always).mean())


def test_predictions_equal_the_oracles(case):
    network, images, layers = case
    r, anytime = respond(network, images), Anytime(network)
    for b, times in enumerate(layers):
        p = predict(network, images[b])
        assert p.decision_time == times[-1].min()
        assert p.fired == (p.decision_time < T_MAX)
        assert list(p.spikes) == r.spikes[b].tolist()
        np.testing.assert_array_equal(p.t_out, times[-1])
        # Fig. 3: the potentials cross the threshold when the neurons fire
        first = [next((t for t in range(T_MAX) if v[t] >= V_TH), T_MAX) for v in p.potentials.T]
        assert first == p.t_out.tolist()
        early = predict(network, images[b], anytime=anytime)  # stops at the decision
        assert (early.label, early.decision_time, early.fired, early.spikes) == (
            p.label, p.decision_time, p.fired, p.spikes
        )  # fmt: skip
        assert early.t_out is None


def test_output_potentials_by_hand():
    w_pre = np.array([[60.0], [-20.0]])
    assert output_potentials(np.array([1, 3], np.int16), w_pre, 4).ravel().tolist() == [0, 60, 60, 40]
    assert output_potentials(np.array([4, 4], np.int16), w_pre, 4).ravel().tolist() == [0] * 4  # silent inputs
