"""The backward kernels against their plain twins."""

import numpy as np
import oracle
import pytest
from drawn import EIGHTH, GEOMETRIES, drawn_network, drawn_times, options_of

from s4nn_ref import backprop, kernels
from s4nn_ref.network import NORMALISATIONS, SURROGATES, _padded


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("normalise", NORMALISATIONS)
def test_synaptic_error_equals_oracle(surrogate, normalise):
    rng = np.random.default_rng(4)
    delta, v_peak = rng.normal(size=(3, 50)), rng.uniform(-20, 250, (3, 50))
    delta[2] = 0.0  # no error: nothing to normalise
    g = np.empty_like(delta)
    backprop.synaptic_error(delta, v_peak, np.float64(100), SURROGATES[surrogate], NORMALISATIONS[normalise], 2, g)
    for b in range(3):
        np.testing.assert_allclose(
            g[b], oracle.synaptic_error(delta[b], v_peak[b], 100.0, surrogate, normalise), rtol=1e-12, atol=1e-15
        )
    if normalise == "l2":
        assert np.linalg.norm(g[0]) == pytest.approx(1.0)


@pytest.mark.parametrize(("structure", "shape", "padding"), GEOMETRIES)
def test_if_conv_backward_equals_oracle(structure, shape, padding):
    rng = np.random.default_rng(5)
    network = drawn_network(rng, structure, shape, padding=padding, dtype=np.float64)
    t_in = drawn_times(rng, 3, shape)
    t_peak_pre = np.minimum(t_in, rng.integers(-1, 12, t_in.shape)).astype(np.int16)
    geometry = network.geometries[0]
    positions = (3, geometry.height_post * geometry.width_post, geometry.maps_post)
    g = np.where(rng.random(positions) < 0.5, 0, rng.integers(-8, 9, (3, 1, 1))) / EIGHTH
    t_error = rng.integers(-1, 12, g.shape).astype(np.int16)
    grad = np.zeros((2, geometry.receptive_field, geometry.maps_post))
    delta_pre = np.empty((3, shape[0] * shape[1], shape[2]))
    w_post = _padded(network.w[0].reshape(-1, shape[2])).reshape(geometry.maps_post, -1)
    backprop.if_conv_backward(
        g, t_error, np.empty((1, 0, 0), np.int16), t_in.reshape(3, -1), t_peak_pre.reshape(delta_pre.shape), w_post,
        geometry, 1, 12, True, kernels.fan_out(geometry, 2), delta_pre, grad,
    )  # fmt: skip
    delta_pre = delta_pre.reshape(t_in.shape)
    grad = grad.transpose(0, 2, 1)
    expected_grad = 0
    for b in range(3):
        delta, one_grad = oracle.if_conv_backward(
            g[b].reshape(geometry.shape_post), t_error[b].reshape(geometry.shape_post), t_in[b], t_peak_pre[b],
            network.w[0], 12, padding=padding, **options_of(structure),
        )  # fmt: skip
        np.testing.assert_array_equal(delta_pre[b], delta)
        expected_grad = expected_grad + one_grad
    assert np.abs(expected_grad).max() > 0
    np.testing.assert_array_equal(grad.sum(axis=0).reshape(network.w[0].shape), expected_grad)
    # each shard holds its own images: the first of two shards the first of three
    first = oracle.if_conv_backward(
        g[0].reshape(geometry.shape_post), t_error[0].reshape(geometry.shape_post), t_in[0], t_peak_pre[0],
        network.w[0], 12, padding=padding, **options_of(structure),
    )[1]  # fmt: skip
    np.testing.assert_array_equal(grad[0].reshape(network.w[0].shape), first)


@pytest.mark.parametrize("window", [2, 3])
def test_pooled_backward_equals_the_oracle_at_the_winners(window):
    """7 rows, which neither window divides."""
    rng, shape = np.random.default_rng(6), (7, 7, 3)
    network = drawn_network(rng, f"5C3-P{window}-4", shape, padding="same", dtype=np.float64)
    t_in = drawn_times(rng, 2, shape)
    state = network.forward(t_in, every_layer=False)[2]
    geometry = network.geometries[0]
    g = rng.integers(-8, 9, state.t_post.shape) / EIGHTH
    flat, grad = (2, -1, 5), np.zeros((2, geometry.receptive_field, 5))
    delta_pre = np.empty((2, 49, 3))
    w_post = _padded(network.w[0].reshape(-1, 3)).reshape(5, -1)
    backprop.if_conv_backward(
        g.reshape(flat), state.t_peak.reshape(flat), state.winner.reshape(flat), t_in.reshape(2, -1),
        t_in.reshape(2, -1, 3), w_post, geometry, window, 12, True, kernels.fan_out(geometry, 2), delta_pre, grad,
    )  # fmt: skip
    for b in range(2):
        at_winner, t_error = np.zeros((7, 7, 5)), np.zeros((7, 7, 5), int)
        for y, x, m in np.ndindex(state.t_post.shape[1:]):
            dy, dx = divmod(int(state.winner[b, y, x, m]), window)
            at_winner[y * window + dy, x * window + dx, m] = g[b, y, x, m]
            t_error[y * window + dy, x * window + dx, m] = state.t_peak[b, y, x, m]
        delta, expected = oracle.if_conv_backward(
            at_winner, t_error, t_in[b], t_in[b], network.w[0], 12, padding="same"
        )  # fmt: skip
        np.testing.assert_array_equal(delta_pre[b].reshape(shape), delta)
        np.testing.assert_array_equal(grad[b].T.reshape(expected.shape), expected)


def test_backward_sends_errors_to_the_winners_of_stacked_pools():
    """P2-P2 sends each error to the same neuron as P4."""
    shape, t_in = (8, 8, 1), drawn_times(np.random.default_rng(7), 2, (8, 8, 1))
    grads = []
    for structure in ("3C3-P2-P2-4", "3C3-P4-4"):
        network = drawn_network(np.random.default_rng(8), structure, shape, padding="same", dtype=np.float64,
                                pool_ties="potential")  # fmt: skip
        delta = np.random.default_rng(9).normal(size=(2, 4))
        grad = network.gradients()
        network.backward(network.forward(t_in), delta, grad, "window")
        grads.append(grad)
    assert np.abs(grads[0][0]).sum() > 0
    for one, two in zip(*grads, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12)
