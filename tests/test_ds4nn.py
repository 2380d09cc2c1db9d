"""Equations 1-12 worked by hand, one case each, and the figures that follow from them."""

import numpy as np
import oracle
import pytest

from s4nn_ref.algorithms import ds4nn
from s4nn_ref.encoding import encode, firing_times_of_intensities
from s4nn_ref.metrics import Responses, decide, figures_of_merit
from s4nn_ref.network import Network


@pytest.mark.parametrize("rounding", ["floor", "nearest"])
def test_eq1_every_intensity(rounding):
    t = firing_times_of_intensities(100, rounding)
    assert t.tolist() == [oracle.encode(i, 255, 100, rounding) for i in range(256)]
    assert (t[0], t[255]) == (100, 0)  # black is silent, white comes first


def test_eq1_by_hand():
    image = np.array([[[255, 128, 0]]], np.uint8)
    # (255 - 128) / 255 * 100 = 49.8
    assert encode(image, 100).ravel().tolist() == [0, 49, 100]
    assert encode(image, 100, "nearest").ravel().tolist() == [0, 50, 100]
    with pytest.raises(ValueError, match="rounding"):
        encode(image, 100, "up")


def small(w, shape=(2, 1, 1), structure="2-1", **options):
    network = Network(structure, shape, **options)
    network.parameters[:] = np.ravel(w)
    return network


def times(*values):
    return np.array(values, np.int16).reshape(1, -1, 1, 1)


def test_eqs2_and_3_by_hand():
    # V: 60 at t = 3, 110 at t = 7
    assert small([60, 50]).forward(times(3, 7))[-1].t_post.item() == 7
    # exactly the threshold fires (Eq. 3: >=), in the same step
    assert small([60, 40]).forward(times(3, 7))[-1].t_post.item() == 7
    # one unit short stays silent
    assert small([60, 39]).forward(times(3, 7))[-1].t_post.item() == 100
    # both spikes of a step are added before the test: 120 - 30 < 100
    assert small([120, -30]).forward(times(5, 5))[-1].t_post.item() == 100
    # but a spike that comes later cannot take the decision back
    assert small([120, -30]).forward(times(5, 6))[-1].t_post.item() == 5


def test_peak_by_hand():
    state = small([60, -30]).forward(times(5, 6))[-1]
    assert (state.t_post.item(), state.t_peak.item(), state.v_peak.item(), state.v_end.item()) == (100, 5, 60, 30)
    state = small([-60, -30]).forward(times(5, 6))[-1]
    assert (state.t_peak.item(), state.v_peak.item()) == (-1, 0)


def test_eq4_by_hand():
    t_out = np.array([[30, 40, 60], [5, 40, 95], [100, 100, 100]])
    target = ds4nn.target_times(t_out, np.array([1, 0, 2]), 10, 100)
    # label: earliest - lambda, others: latest + lambda, clipped to [0, T_max]
    np.testing.assert_array_equal(target, [[70, 20, 70], [0, 100, 100], [100, 100, 90]])
    for row, label, expected in zip(t_out, (1, 0, 2), target, strict=True):
        assert oracle.target_times(row.tolist(), label, 10, 100) == expected.tolist()


def test_eqs5_6_and_9_by_hand():
    e = ds4nn.temporal_error(np.array([[30, 40, 60]]), np.array([1]), 10, 100)
    np.testing.assert_allclose(e, [[-0.4, 0.2, -0.1]])
    np.testing.assert_allclose(ds4nn.cost(e), [0.5 * (0.16 + 0.04 + 0.01)])


def test_hinge_drops_what_is_right_already():
    labels = np.array([0])
    # output 1 is 10 later: enough; output 2 only 5
    e = ds4nn.temporal_error(np.array([[20, 30, 25]]), labels, 10, 100, hinge=True)
    np.testing.assert_allclose(e, [[0.1, 0.0, -0.15]])
    # all others late enough: nothing to learn
    assert not ds4nn.temporal_error(np.array([[20, 30, 30]]), labels, 10, 100, hinge=True).any()
    # a silent network still has to fire
    np.testing.assert_allclose(
        ds4nn.temporal_error(np.array([[100, 100, 100]]), labels, 10, 100, hinge=True), [[0.1, 0, 0]]
    )


def backward(network, t_in, e, normalise="none", surrogate="fired"):
    grad = network.gradients(1)
    network.backward(network.forward(t_in), np.array(e, float), grad, surrogate, normalise)
    return [g[0].T for g in grad]  # (M, R)


def test_eqs7_8_and_12_by_hand():
    # the output fires at t = 7 of inputs 3, 7, 9: dE/dw = e * (-1) * 1 for the two causal ones
    network = small([60, 50, 50], (3, 1, 1), "3-1")
    assert backward(network, times(3, 7, 9), [[2.0]])[0].tolist() == [[-2.0, -2.0, 0.0]]


def two_layers():
    """Two inputs, two hidden neurons, two outputs; everything fires."""
    network = Network("2-2-2", (2, 1, 1), dtype=np.float64)
    network.w[0][...] = np.reshape([[120, 0], [60, 60]], network.w[0].shape)
    network.w[1][...] = np.reshape([[150, 10], [50, 70]], network.w[1].shape)
    return network


def test_eq10_by_hand():
    network, t_in = two_layers(), times(4, 6)
    states = network.forward(t_in)
    assert states[1].t_post.ravel().tolist() == [4, 6]
    assert states[2].t_post.ravel().tolist() == [4, 6]
    # output 0 (t = 4) has seen hidden 0 only; output 1 (t = 6) both.
    # delta_0 = 3 * 150 + 5 * 50 = 700, delta_1 = 5 * 70 = 350
    first, second = backward(network, t_in, [[3.0, 5.0]])
    assert second.tolist() == [[-3.0, 0.0], [-5.0, -5.0]]
    # hidden 0 (t = 4) has seen input 0 (t = 4); hidden 1 (t = 6) both
    assert first.tolist() == [[-700.0, 0.0], [-350.0, -350.0]]


def test_eq11_by_hand():
    network, t_in = two_layers(), times(4, 6)
    # output: (3, 5) / 8; hidden: (3/8 * 150 + 5/8 * 50, 5/8 * 70) = (87.5, 43.75), normalised to (2/3, 1/3)
    first, second = backward(network, t_in, [[3.0, 5.0]], "signed-sum")
    np.testing.assert_allclose(second, [[-3 / 8, 0.0], [-5 / 8, -5 / 8]])
    np.testing.assert_allclose(first, [[-2 / 3, 0.0], [-1 / 3, -1 / 3]])
    np.testing.assert_allclose(
        backward(network, t_in, [[3.0, -5.0]], "l1")[1], [[-3 / 8, 0.0], [5 / 8, 5 / 8]]
    )  # fmt: skip
    np.testing.assert_allclose(
        backward(network, t_in, [[3.0, 4.0]], "l2")[1], [[-3 / 5, 0.0], [-4 / 5, -4 / 5]]
    )  # fmt: skip


def test_silent_hidden_neurons_learn_only_through_the_window():
    network, t_in = two_layers(), times(4, 6)
    network.w[0][1] = 0.4 * network.w[0][1]  # hidden 1 peaks at V = 48 < 100
    fired, window = (backward(network, t_in, [[3.0, 5.0]], surrogate=s)[0] for s in ("fired", "window"))
    assert fired[1].tolist() == [0.0, 0.0]
    # output 1 is silent (V = 50): it sees all; k = 0.48, delta_1 = 5 * 70, masks at the peak's time 6
    np.testing.assert_allclose(window[1], [-0.48 * 350, -0.48 * 350])


def test_a_silent_output_is_corrected_through_all_input_spikes():
    network = small([10, 20, 5], (3, 1, 1), "3-1")
    assert backward(network, times(3, 99, 100), [[2.0]])[0].tolist() == [[-2.0, -2.0, 0.0]]


def test_decision_ties_and_silence():
    t = np.array([[5, 7, 7], [7, 5, 5], [7, 5, 5], [9, 9, 9]])
    v = np.array([[100, 300, 300], [300, 110, 120], [300, 120, 120], [1, 2, 3.0]])
    end = np.array([[0, 9, 9], [0, 9, 9], [0, 9, 9], [7, 8, 6.0]])
    assert decide(t, v, end, 9).tolist() == [0, 2, 1, 1]


def test_figures_of_merit_by_hand():
    t_out = np.array([[5, 7], [6, 6], [6, 6], [10, 10], [10, 10]], np.int16)
    v_peak = np.array([[110, 120], [110, 120], [110, 120], [50, 60], [50, 60.0]])
    v_end = np.array([[1, 0], [1, 0], [1, 0], [50, 40], [50, 40.0]])
    labels = np.array([0, 0, 1, 0, 1])
    spikes = np.array([[10, 4, 2, 1], [10, 4, 2, 2], [10, 4, 2, 2], [20, 8, 4, 0], [20, 8, 4, 0]])
    r = Responses(t_out, v_peak, v_end, spikes, np.full(5, 0.5), 0.25, ("input", "4C3", "P2", "2"), 10)
    f = figures_of_merit(r, labels)
    assert f["accuracy_strict"] == 3 / 5  # images 0, 2 (larger potential), 3 (final potential)
    assert f["accuracy_first_spike"] == 2 / 5  # images 0, 2
    assert f["accuracy_unique"] == 1 / 5  # image 0
    assert f["accuracy_lenient"] == 4 / 5  # images 0, 1, 2, and 3 as strict
    assert (f["tied"], f["silent"]) == (2 / 5, 2 / 5)
    assert f["decision_time_mean"] == pytest.approx(37 / 5)
    assert f["aft"] == [pytest.approx(21 / 3), pytest.approx(16 / 2)]
    assert f["mrn"]["total"] == pytest.approx((17 + 18 + 18 + 32 + 32) / 5)
    assert f["mrn"]["total_without_pooling"] == pytest.approx((15 + 16 + 16 + 28 + 28) / 5)
    assert f["mrn"]["layers"]["0:input"] == 14
    assert f["dead"] == {"per_image": 0.5, "always": 0.25}


def test_the_authors_count_by_hand():
    """Any tie is right; a silent image goes to the largest potential before the end, not to that at the end."""
    t_out = np.array([[6, 6], [10, 10], [10, 10]], np.int16)
    v = np.array([[110, 120], [50, 60], [50, 60.0]])
    v_late, v_end = v[:, ::-1], v
    spikes, labels = np.ones((3, 2), int), np.array([0, 0, 1])
    r = Responses(t_out, v, v_end, spikes, np.zeros(3), 0.0, ("input", "2"), 10, v_late)
    assert figures_of_merit(r, labels)["accuracy_authors"] == 2 / 3  # images 0 and 1; by v_end 0 and 2
    labels = np.array([0, 0, 0])
    assert figures_of_merit(r, labels)["accuracy_authors"] == 1.0
    assert figures_of_merit(r, labels)["accuracy_strict"] == 0.0
