"""The backward kernels of both engines against s4nn_ref/reference/ds4nn.py, and the engines against each other."""

import numba
import numpy as np
import pytest
from drawn import (
    GEOMETRIES,
    has_both,
    random_network,
    random_times,
    reference_layers,
    reference_states,
    shaped_as_weights,
)

from s4nn_ref.algorithms import ALGORITHMS
from s4nn_ref.config import config_of_dict
from s4nn_ref.engines import N_SHARDS
from s4nn_ref.kernels import backprop
from s4nn_ref.kernels.backprop import NORMALISATIONS
from s4nn_ref.kernels.state import NO_WINNER, Error, State
from s4nn_ref.network import Network, Settings
from s4nn_ref.neurons.surrogates import SURROGATES
from s4nn_ref.reference import ds4nn
from s4nn_ref.training.optimisers import Optimiser

ENGINES = ("fast", "plain")


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("normalise", NORMALISATIONS)
def test_synaptic_error_equals_reference(surrogate, normalise):
    rng = np.random.default_rng(4)
    delta, v_peak = rng.normal(size=(3, 50)), rng.uniform(-20, 250, (3, 50))
    v_peak[:, :4] = 0, 100, 200, 99.9  # the ends of the window, its middle, just silent
    delta[2] = 0.0  # no error: nothing to normalise
    g = np.empty_like(delta)
    backprop.synaptic_error(delta, v_peak, np.float64(100), SURROGATES[surrogate], NORMALISATIONS[normalise], 2, g)
    for b in range(3):
        expected = ds4nn.synaptic_error(delta[b], v_peak[b], 100.0, surrogate, normalise)
        if normalise == "none":
            np.testing.assert_array_equal(g[b], expected)
        np.testing.assert_allclose(g[b], expected, rtol=1e-13)  # the sums' order is numpy's own
    if normalise == "l2":
        assert np.linalg.norm(g[0]) == pytest.approx(1.0)
    fired, silent = v_peak >= 100, v_peak < 100
    assert (g[:2][fired[:2]] != 0).any()
    assert (g[:2][silent[:2]] != 0).any() == (surrogate != "fired")


def test_surrogates_and_normalisations_differ():
    """What is compared above tells them apart."""
    rng = np.random.default_rng(4)
    delta, v_peak = rng.normal(size=50), rng.uniform(0, 200, 50)
    results = [ds4nn.synaptic_error(delta, v_peak, 100.0, s, n) for s in SURROGATES for n in NORMALISATIONS]
    assert len({g.tobytes() for g in results}) == len(SURROGATES) * len(NORMALISATIONS)


def error_of_layer(rng, layer, n):
    """Random synaptic errors, of which half are none, and times in the masks: (B, H', W', M) each."""
    shape = (n, *layer.shape_post)
    g = np.where(rng.random(shape) < 0.5, 0, rng.integers(-8, 9, shape)) / 8
    return g, rng.integers(-1, 12, shape).astype(np.int16)


def positions_as_one_axis(array):
    return array.reshape(len(array), -1, array.shape[-1])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("structure", "shape", "padding"), GEOMETRIES)
def test_if_conv_backward_equals_reference(structure, shape, padding, engine):
    """Eqs. 8, 10 and 12 of the first layer, for errors, masks and peaks below that no forward pass need have made."""
    rng = np.random.default_rng(5)
    network = random_network(rng, structure, shape, padding=padding, precision="float64", engine=engine)
    layer, weighted = network.layers[0], reference_layers(network)[0]
    t_in = random_times(rng, 3, shape)
    t_peak = np.minimum(t_in, rng.integers(-1, 12, t_in.shape)).astype(np.int16)
    pre = State(t_in, t_peak, np.zeros(t_in.shape))
    g, t_mask = error_of_layer(rng, layer, 3)
    error = Error(positions_as_one_axis(g), positions_as_one_axis(t_mask), NO_WINNER)
    grad = np.zeros((N_SHARDS, *layer.rows.shape))
    layer.weight_gradient(pre, error, grad)
    delta_pre = layer.propagate(pre, error).reshape(t_in.shape)
    (by_shard,) = shaped_as_weights([grad], [layer.w])
    for b in range(3):  # a shard for each image
        firing = ds4nn.Firing(t_in[b], t_peak[b], pre.v_peak[b])
        dw, delta = ds4nn.gradients(g[b], t_mask[b], firing, weighted, 12)
        np.testing.assert_array_equal(by_shard[b], dw)
        np.testing.assert_array_equal(delta_pre[b], delta)
    assert by_shard.any()
    assert delta_pre.any()
    assert not by_shard[3:].any()
    before = grad.copy()
    layer.weight_gradient(pre, error, grad)  # adds
    np.testing.assert_array_equal(grad, 2 * before)


def test_a_shard_sums_its_own_images():
    """Ten images in four shards: the same sum as image by image, cut by the batch alone."""
    rng = np.random.default_rng(6)
    network = random_network(rng, "3C3-4", (6, 6, 2), precision="float64")
    t_in, delta = random_times(rng, 10, (6, 6, 2)), rng.integers(-8, 9, (10, 4)) / 8
    grad = network.gradients()
    network.backward(network.forward(t_in), delta, grad, "fired")
    for shard in range(N_SHARDS):
        images = slice(shard * 10 // N_SHARDS, (shard + 1) * 10 // N_SHARDS)
        alone = network.gradients(1)
        network.backward(network.forward(t_in[images]), delta[images], alone, "fired")
        for g, one in zip(grad, alone, strict=True):
            np.testing.assert_array_equal(g[shard], one[0])
            assert one.any()


# --------------------------------------------------------------------------------------------- whole backward pass

NETWORKS = [
    ("4C3-P2-3C3-P2-4", (9, 8, 2), {"padding": "same"}),
    ("4C3-P2-3C3-P2-4", (9, 8, 2), {"padding": "same", "pool_ties": "potential"}),
    ("3C3S2-4C2-6-4", (9, 8, 1), {}),
    ("5C3-P3-4", (7, 7, 3), {"padding": "same", "pool_ties": "potential"}),  # 7 rows, which 3 does not divide
    ("30-9-6-4", (5, 3, 2), {}),
    # gradients too large to be walked position by position, and maps that do not fill their lanes
    ("9C3-P2-40C3-P2-4", (9, 8, 2), {"padding": "same", "pool_ties": "potential"}),
    ("9C3-7C3S2-6-4", (9, 9, 2), {}),
]


def both_backward(structure, shape, options, surrogate, normalise, engine, fuse=False):
    """Gradients of each image, dw_ji, by a network and by the plain loops. Sums are exact unless normalised."""
    rng = np.random.default_rng(7)
    network = random_network(rng, structure, shape, unit=0.5, v_th=128.0, precision="float64", engine=engine, **options)
    t_in, error = random_times(rng, 4, shape, silent=0.2), rng.integers(-8, 9, (4, 4)).astype(float)
    layers, by_potential = reference_layers(network), network.settings.pool_ties == "potential"
    expected = reference_states(network, t_in)
    for depth, layer in enumerate(network.layers, 1):
        assert has_both(np.array([states[depth].t for states in expected])) or not layer.weighted
    dw = [
        [
            one
            for one in ds4nn.backward(states, layers, e, 128.0, 12, surrogate, normalise, by_potential)
            if one is not None
        ]
        for states, e in zip(expected, error, strict=True)
    ]
    network, grad = network.fused() if fuse else network, network.gradients()
    network.backward(network.forward(t_in), error, grad, surrogate, normalise)
    return shaped_as_weights(grad, network.w), [np.array(of_layer) for of_layer in zip(*dw, strict=True)]


@pytest.mark.parametrize("engine", ["fast", "fused", "plain"])
@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize(("structure", "shape", "options"), NETWORKS)
def test_backward_equals_reference(structure, shape, options, surrogate, engine):
    """Gradients of every layer, each image in its own shard, bit for bit."""
    fuse = engine == "fused"
    grad, expected = both_backward(structure, shape, options, surrogate, "none", "fast" if fuse else engine, fuse)
    for g, dw in zip(grad, expected, strict=True):
        np.testing.assert_array_equal(g, dw)
        assert g.any()


@pytest.mark.parametrize("normalise", ["signed-sum", "l1", "l2"])
def test_normalised_backward_equals_reference(normalise):
    """Quotients are not exact: equal up to rounding."""
    for g, dw in zip(*both_backward(*NETWORKS[1], "window-silent", normalise, "fast"), strict=True):
        np.testing.assert_allclose(g, dw, rtol=1e-10, atol=1e-12 * np.abs(dw).max())
        assert g.any()


@pytest.mark.parametrize("change", ["surrogate", "ties"])
def test_the_comparison_of_gradients_fails_for_another(change):
    structure, shape, options = NETWORKS[1]
    grad, _ = both_backward(structure, shape, options, "window-silent", "none", "fast")
    if change == "surrogate":
        _, expected = both_backward(structure, shape, options, "fired", "none", "fast")
    else:
        _, expected = both_backward(structure, shape, {"padding": "same"}, "window-silent", "none", "fast")
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(grad[0], expected[0])


def test_backward_sends_errors_to_the_winners_of_stacked_pools():
    """P2-P2 sends each error to the same neuron as P4."""
    shape, t_in = (8, 8, 1), random_times(np.random.default_rng(7), 2, (8, 8, 1))
    grads = []
    for structure in ("3C3-P2-P2-4", "3C3-P4-4"):
        network = random_network(
            np.random.default_rng(8), structure, shape, padding="same", precision="float64", pool_ties="potential"
        )
        delta = np.random.default_rng(9).normal(size=(2, 4))
        grad = network.gradients()
        network.backward(network.forward(t_in), delta, grad, "window")
        grads.append(grad)
    assert np.abs(grads[0][0]).sum() > 0
    for one, two in zip(*grads, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12)


# ------------------------------------------------------------------------------------------------ the two engines

PAIRS = [
    ("5C3-P2-6C3-P2-4", (9, 8, 2), {"padding": "same", "pool_ties": "potential"}),
    ("3C3S2-4C2-6-4", (9, 8, 1), {"collapse": (1.5, 0.5, 2.0)}),
    ("70C3-P3-4", (7, 7, 2), {"padding": "same"}),
    ("40C3-P2-40C3-4", (9, 8, 2), {"padding": "same"}),
    ("30-9-4", (5, 3, 2), {"exceeds": True, "delay": 1}),
]


def everything(network, t_in, error, surrogate="window", normalise="none"):
    """States and gradients of a batch, each a list of arrays."""
    states, grad = network.forward(t_in), network.gradients()
    network.backward(states, error.copy(), grad, surrogate, normalise)
    return [array for state in states for array in state if array is not None], grad


def outcome_of(engine, structure, shape, options, surrogate, in_steps, normalise="none"):
    """`everything` of a network whose sums are exact, also after the window's division by the threshold."""
    rng = np.random.default_rng(30)
    network = random_network(rng, structure, shape, unit=0.5, v_th=128.0, precision="float64", engine=engine, **options)
    assert all(type(layer.engine).__name__.lower() == engine for layer in network.layers if layer.weighted)
    t_in = random_times(rng, 5, shape, silent=0.2)
    error = rng.integers(-8, 9, (5, 12, 4) if in_steps else (5, 4)).astype(float)
    for layer, state in zip(network.layers, network.forward(t_in)[1:], strict=True):
        assert has_both(state.t_post) or not layer.weighted
    return everything(network, t_in, error, surrogate, normalise)


@pytest.mark.parametrize("in_steps", [False, True], ids=["error of firing times", "error in every step"])
@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize(("structure", "shape", "options"), PAIRS)
def test_plain_engine_equals_fast_engine(structure, shape, options, surrogate, in_steps):
    """States and gradients, bit for bit."""
    (states, grad), (states_plain, grad_plain) = (
        outcome_of(engine, structure, shape, options, surrogate, in_steps) for engine in ENGINES
    )
    for a, b in zip(states + grad, states_plain + grad_plain, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    assert all(g.any() for g in grad)


@pytest.mark.parametrize("normalise", ["signed-sum", "l1", "l2"])
def test_plain_engine_equals_fast_engine_normalised(normalise):
    """A division leaves no exact sums: the gradients are equal up to rounding."""
    (_, grad), (_, grad_plain) = (
        outcome_of(engine, *PAIRS[0], "window-silent", False, normalise) for engine in ENGINES
    )
    for a, b in zip(grad, grad_plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * np.abs(a).max())


def test_surrogates_give_different_gradients():
    """What is compared above tells the three surrogates apart."""
    gradients = [outcome_of("plain", *PAIRS[0], surrogate, False)[1][0] for surrogate in SURROGATES]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert (gradients[a] != gradients[b]).any()


def learned_by(engine):
    """An experiment of [network] engine: weights before and after an update."""
    config = config_of_dict(
        {
            "network": {
                "structure": "4C3-P2-20-5", "input_shape": [8, 8, 1], "init": [[-20, 60], [-20, 30], [-30, 40]],
                "t_max": 64, "v_th": 128, "engine": engine,
            },
            "learning": {"loss": "relative-targets", "surrogate": "window-silent", "lam": 8},
            "optimiser": {"eta": 0.1},
            "training": {"batch": 6},
        }
    )  # fmt: skip
    rng = np.random.default_rng(31)
    algorithm = ALGORITHMS["ds4nn"](config, rng, 1, lambda network: Optimiser(config.optimiser, network, 1, 1))
    assert type(algorithm.network.layers[0].engine).__name__.lower() == engine
    w = algorithm.network.parameters
    w[:] = np.round(w)  # exact sums
    before = w.copy()
    algorithm.learn(rng.integers(0, 256, (6, 8, 8, 1)).astype(np.uint8), np.arange(6) % 5)
    return before, w


def test_an_experiment_chooses_the_engine():
    (before, fast), (_, plain) = learned_by("fast"), learned_by("plain")
    assert (fast != before).mean() > 0.5
    np.testing.assert_array_equal(fast, plain)


@pytest.mark.parametrize(("n", "engine"), [(1, "fast"), (3, "fast"), (13, "fast"), (5, "plain")])
def test_threads_change_no_bit(n, engine):
    rng = np.random.default_rng(12)
    network = Network(Settings("8C3-P2-8C3-P2-10", input_shape=(14, 14, 1), engine=engine))
    network.initialise([(-60, 80), (-30, 30), (-2, 2)], rng)
    t_in, delta = random_times(rng, n, (14, 14, 1), 100), rng.normal(size=(n, 10))
    threads = numba.get_num_threads()
    assert threads > 1
    try:
        numba.set_num_threads(1)
        states, grad = everything(network, t_in, delta, "window", "l2")
        numba.set_num_threads(threads)
        states_many, grad_many = everything(network, t_in, delta, "window", "l2")
    finally:
        numba.set_num_threads(threads)
    assert all(g.any() for g in grad)
    for a, b in zip(states + grad, states_many + grad_many, strict=True):
        assert a.tobytes() == b.tobytes()
