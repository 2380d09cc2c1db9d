"""Equations 1-12 worked by hand, one case each, for the plain loops of reference/ds4nn.py and for the network.

Both must give the same numbers: what the document says, and what the engines compute.
"""

import doctest
from dataclasses import replace

import numpy as np
import pytest
from drawn import reference_layers, shaped_as_weights

from s4nn_ref.algorithms.ds4nn import Algorithm
from s4nn_ref.config import config_of_dict
from s4nn_ref.data.glyphs import make_glyphs
from s4nn_ref.encoding import encode, firing_times_of_intensities
from s4nn_ref.losses import relative_targets
from s4nn_ref.network import Network, Settings
from s4nn_ref.reference import ds4nn
from s4nn_ref.training.optimisers import Optimiser

V_TH, T_MAX = 100.0, 100


class Reference:
    """reference/ds4nn.py, one image at a time."""

    def encode(self, image, t_max):
        return ds4nn.encode(image, t_max)

    def target_times(self, t_out, label, lam, t_max):
        return ds4nn.target_times(np.array(t_out), label, lam, t_max)

    def error_and_cost(self, t_out, label, lam, t_max):
        e = ds4nn.temporal_error(np.array(t_out), label, lam, t_max)
        return e, ds4nn.cost(e)

    def forward(self, network, t_in):
        """Firing times, and steps and values of the peaks, of the input and every layer."""
        return [tuple(firing) for firing in ds4nn.forward(t_in, reference_layers(network), V_TH, T_MAX)]

    def backward(self, network, t_in, e, surrogate="fired", normalise="none"):
        """dE/dw of every layer, (M, K_y, K_x, C)."""
        layers = reference_layers(network)
        states = ds4nn.forward(t_in, layers, V_TH, T_MAX)
        return ds4nn.backward(states, layers, np.array(e, float), V_TH, T_MAX, surrogate, normalise)


class Engine:
    """A network of one engine; methods as in Reference."""

    def __init__(self, name):
        self.name = name

    def _of(self, network):
        other = Network(replace(network.settings, engine=self.name))
        other.parameters[:] = network.parameters
        return other

    def encode(self, image, t_max):
        return encode(image[None], t_max)[0]

    def target_times(self, t_out, label, lam, t_max):
        return relative_targets.target_times(np.array([t_out]), np.array([label]), lam, t_max)[0]

    def error_and_cost(self, t_out, label, lam, t_max):
        e = relative_targets.temporal_error(np.array([t_out]), np.array([label]), lam, t_max)
        return e[0], relative_targets.cost(e)[0]

    def forward(self, network, t_in):
        states = self._of(network).forward(t_in[None])
        return [(state.t_post[0], state.t_peak[0], state.v_peak[0]) for state in states]

    def backward(self, network, t_in, e, surrogate="fired", normalise="none"):
        network = self._of(network)
        grad = network.gradients(1)
        network.backward(network.forward(t_in[None]), np.array([e], float), grad, surrogate, normalise)
        return [g[0] for g in shaped_as_weights(grad, network.w)]


@pytest.fixture(params=["reference", "fast", "plain"])
def system(request):
    return Reference() if request.param == "reference" else Engine(request.param)


def dense(structure, *weights):
    """A dense network; weights : per layer w_ji, a row for each postsynaptic neuron j."""
    n = int(structure.split("-")[0])
    network = Network(Settings(structure, input_shape=(n, 1, 1), precision="float64"))
    for w, rows in zip(network.w, weights, strict=True):
        w[...] = np.reshape(rows, w.shape)
    return network


def times(*values):
    return np.array(values, np.int16).reshape(-1, 1, 1)


def rows(w):
    """dE/dw of a dense layer, a row for each postsynaptic neuron, as lists."""
    return w.reshape(len(w), -1).tolist()


# ----------------------------------------------------------------------------------------------------------- Eq. 1


@pytest.mark.parametrize("t_max", [1, 7, 64, 100, 255, 256, 1000])
def test_eq1_every_intensity(t_max):
    intensity = np.arange(256)
    t = firing_times_of_intensities(t_max)
    assert t.tolist() == ds4nn.encode(intensity, t_max).tolist()
    assert (t[0], t[255]) == (t_max, 0)  # black is silent, white comes first
    assert (np.diff(t) <= 0).all()  # the brighter, the earlier


def test_eq1_by_hand(system):
    image = np.array([[[255], [128], [0]]], np.uint8)
    # (255 - 128) / 255 * 100 = 49.8
    assert system.encode(image, 100).ravel().tolist() == [0, 49, 100]


def test_encodings_of_another_name_are_refused():
    with pytest.raises(ValueError, match="encoding"):
        firing_times_of_intensities(100, "nearest")


# ------------------------------------------------------------------------------------------------------ Eqs. 2, 3


def test_eqs2_and_3_by_hand(system):
    def t_post(w, *t_in):
        return system.forward(dense("2-1", w), times(*t_in))[-1][0].item()

    # V: 60 at t = 3, 110 at t = 7
    assert t_post([60, 50], 3, 7) == 7
    # exactly the threshold fires (Eq. 3: >=), in the same step
    assert t_post([60, 40], 3, 7) == 7
    # one unit short stays silent
    assert t_post([60, 39], 3, 7) == 100
    # both spikes of a step are added before the test: 120 - 30 < 100
    assert t_post([120, -30], 5, 5) == 100
    # but a spike that comes later cannot take the decision back
    assert t_post([120, -30], 5, 6) == 5


def test_peak_by_hand(system):
    t_post, t_peak, v_peak = system.forward(dense("2-1", [60, -30]), times(5, 6))[-1]
    assert (t_post.item(), t_peak.item(), v_peak.item()) == (100, 5, 60)
    t_post, t_peak, v_peak = system.forward(dense("2-1", [-60, -30]), times(5, 6))[-1]
    assert (t_post.item(), t_peak.item(), v_peak.item()) == (100, -1, 0)  # never above 0
    t_post, t_peak, v_peak = system.forward(dense("2-1", [70, 80]), times(5, 6))[-1]
    assert (t_post.item(), t_peak.item(), v_peak.item()) == (6, 6, 150)  # fired: at its spike


def test_the_potential_at_the_end_by_hand():
    """The document does not need it: it decides where no output fires (D20)."""
    states = dense("2-1", [60, -30]).forward(times(5, 6)[None])
    assert states[-1].v_end.item() == 30


def test_index_order(system):
    """w[0][j, ..., i] is the weight from neuron i to neuron j: raising it changes neuron j only."""
    network, t_in = dense("3-2", [[60, 20, 0], [60, 20, 0]]), times(1, 2, 3)
    assert system.forward(network, t_in)[-1][0].ravel().tolist() == [100, 100]
    network.w[0][1, 2, 0, 0] += 30  # from the third input, which fires at t = 3, to the second output
    assert system.forward(network, t_in)[-1][0].ravel().tolist() == [100, 3]
    assert network.rows[0][2].tolist() == [0, 30]  # the same memory, a row per synapse


def test_index_order_of_a_convolution(system):
    """One pixel fires in one channel, one weight is not zero: one neuron fires, that of map j whose window it is."""
    network = Network(Settings("4C3-2", input_shape=(6, 7, 3), precision="float64"))
    t_in = np.full((6, 7, 3), 100, np.int16)
    t_in[3, 5, 2] = 8
    network.w[0][1, 0, 2, 2] = 100.0  # to map 1 from channel 2, at the right of the kernel's first row
    t_post = system.forward(network, t_in)[1][0]
    assert t_post.shape == (4, 5, 4)
    assert np.argwhere(t_post < 100).tolist() == [[3, 3, 1]]  # y = 3 - 0, x = 5 - 2
    assert t_post[3, 3, 1] == 8
    dw = system.backward(network, t_in, [1.0, 0.0])
    assert [w.shape for w in dw] == [(4, 3, 3, 3), (2, 4, 5, 4)]
    assert np.argwhere(dw[1] != 0).tolist() == [[0, 3, 3, 1]]  # to output 0, from the neuron that fired


# ---------------------------------------------------------------------------------------------------- Eqs. 4-6, 9


@pytest.mark.parametrize(
    ("t_out", "label", "expected"),
    [
        ([30, 40, 60], 1, [70, 20, 70]),  # label: earliest - lambda, others: latest + lambda
        ([5, 40, 95], 0, [0, 100, 100]),  # clipped to [0, t_max]
        ([100, 100, 100], 2, [100, 100, 90]),  # a silent network
    ],
)
def test_eq4_by_hand(system, t_out, label, expected):
    np.testing.assert_array_equal(system.target_times(t_out, label, 10, 100), expected)


def test_eqs5_6_and_9_by_hand(system):
    e, cost = system.error_and_cost([30, 40, 60], 1, 10, 100)
    np.testing.assert_allclose(e, [-0.4, 0.2, -0.1])
    assert cost == pytest.approx(0.5 * (0.16 + 0.04 + 0.01))


# ----------------------------------------------------------------------------------------------------- Eqs. 7-12


def test_eqs7_8_and_12_by_hand(system):
    # the output fires at t = 7 of inputs 3, 7, 9: dE/dw = e * (-1) * 1 for the two causal ones
    (dw,) = system.backward(dense("3-1", [60, 50, 50]), times(3, 7, 9), [2.0])
    assert rows(dw) == [[-2.0, -2.0, 0.0]]


def two_layers():
    """Two inputs, two hidden neurons, two outputs; with inputs at 4 and 6 all of them fire."""
    return dense("2-2-2", [[120, 0], [60, 60]], [[150, 10], [50, 70]])


def test_eq10_by_hand(system):
    network, t_in = two_layers(), times(4, 6)
    states = system.forward(network, t_in)
    assert states[1][0].ravel().tolist() == [4, 6]
    assert states[2][0].ravel().tolist() == [4, 6]
    # output 0 (t = 4) has seen hidden 0 only; output 1 (t = 6) both.
    # delta_0 = 3 * 150 + 5 * 50 = 700, delta_1 = 5 * 70 = 350
    first, second = system.backward(network, t_in, [3.0, 5.0])
    assert rows(second) == [[-3.0, 0.0], [-5.0, -5.0]]
    # hidden 0 (t = 4) has seen input 0 (t = 4); hidden 1 (t = 6) both
    assert rows(first) == [[-700.0, 0.0], [-350.0, -350.0]]


def test_eq11_by_hand(system):
    network, t_in = two_layers(), times(4, 6)
    # output: (3, 5) / 8; hidden: (3/8 * 150 + 5/8 * 50, 5/8 * 70) = (87.5, 43.75), normalised to (2/3, 1/3)
    first, second = system.backward(network, t_in, [3.0, 5.0], normalise="signed-sum")
    np.testing.assert_allclose(rows(second), [[-3 / 8, 0.0], [-5 / 8, -5 / 8]])
    np.testing.assert_allclose(rows(first), [[-2 / 3, 0.0], [-1 / 3, -1 / 3]])
    _, second = system.backward(network, t_in, [3.0, -5.0], normalise="l1")
    np.testing.assert_allclose(rows(second), [[-3 / 8, 0.0], [5 / 8, 5 / 8]])
    _, second = system.backward(network, t_in, [3.0, 4.0], normalise="l2")
    np.testing.assert_allclose(rows(second), [[-3 / 5, 0.0], [-4 / 5, -4 / 5]])


def test_silent_hidden_neurons_learn_only_through_the_window(system):
    network, t_in = two_layers(), times(4, 6)
    network.w[0][1] = 0.4 * network.w[0][1]  # hidden 1 peaks at V = 48 < 100
    fired, window, window_silent = (
        system.backward(network, t_in, [3.0, 5.0], surrogate)[0] for surrogate in ("fired", "window", "window-silent")
    )
    # output 1 is silent (V = 50): it sees all; k = 0.48, delta_1 = 5 * 70, masks at the peak's time 6
    assert rows(fired)[1] == [0.0, 0.0]
    np.testing.assert_allclose(rows(window)[1], [-0.48 * 350, -0.48 * 350])
    np.testing.assert_allclose(rows(window_silent)[1], [-0.48 * 350, -0.48 * 350])
    # hidden 0 fired with V = 120: k = 0.8 in the window, else 1; delta_0 = 3 * 150 + 5 * 50
    assert rows(fired)[0] == rows(window_silent)[0] == [-700.0, 0.0]
    np.testing.assert_allclose(rows(window)[0], [-0.8 * 700, 0.0])


def test_a_silent_output_is_corrected_through_all_input_spikes(system):
    (dw,) = system.backward(dense("3-1", [10, 20, 5]), times(3, 99, 100), [2.0])
    assert rows(dw) == [[-2.0, -2.0, 0.0]]


# ---------------------------------------------------------------------------------------------------- the document


def test_the_example_of_the_document_runs():
    outcome = doctest.testmod(ds4nn)
    assert outcome.attempted > 4
    assert outcome.failed == 0


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_the_document_learns_what_the_network_learns(engine):
    """Eqs. 1-12 from pixels to weights: a few glyphs, one after the other, in plain loops and with an engine."""
    images, labels = make_glyphs(4, 3)
    images, eta = images[:, 2::3, 2::3], 0.5  # 9 rows and columns
    config = config_of_dict(
        {
            "network": {
                "structure": "3C3-P2-10", "input_shape": [9, 9, 1], "init": [[-20, 60], [-10, 30]], "t_max": 20,
                "engine": engine,
            },
            "learning": {"loss": "relative-targets", "lam": 3, "surrogate": "window-silent"},
            "optimiser": {"rule": "sgd", "eta": eta, "schedule": "constant"},
        }
    )  # fmt: skip
    algorithm = Algorithm(
        config, np.random.default_rng(5), 4, lambda network: Optimiser(config.optimiser, network, 4, 1)
    )
    network = algorithm.network
    layers = [
        layer if isinstance(layer, int) else layer._replace(w=layer.w.astype(float))
        for layer in reference_layers(network)
    ]
    before = network.parameters.copy()
    for image, label in zip(images, labels, strict=True):
        algorithm.learn(image[None], np.array([label]))
        ds4nn.learn(image, label, layers, eta, 3, V_TH, 20)
    assert (network.parameters != before).mean() > 0.5
    for w, layer in zip(network.w, layers[::2], strict=True):
        np.testing.assert_allclose(w, layer.w, rtol=1e-4, atol=1e-4)  # single precision
        assert np.abs(w).max() < 200  # no learning rate that throws the weights away
