"""Backpropagation against finite differences of its linearised twin.

The true forward pass is piecewise constant in the weights. Its twin moves firing times along the surrogate,
u_i = t_i - k_i * sum_j causal_ij * ((w'_ij - w_ij) - w_ij * (u_j - t_j)), with causal masks, winners and surrogate
factors k frozen at the true firing times; the gradient of its cost at w' = w is what Eqs. 7-12 claim to be.
"""

import numpy as np
import pytest

from s4nn_ref.algorithms.ds4nn import target_times
from s4nn_ref.network import Network

T_MAX, V_TH = 30, 100.0


def factor(v_peak, surrogate):
    """k of every neuron of a hidden layer."""
    k = np.maximum(0.0, 1.0 - np.abs(v_peak - V_TH) / V_TH) if surrogate == "window" else np.ones_like(v_peak)
    return np.where((v_peak >= V_TH) | (surrogate == "window"), k, 0.0)


def linearised(network, states, w_new, surrogate, image):
    """Displacements u - t of the output neurons for weights w_new, one image."""
    shift = np.zeros(network.input_shape)
    weights = iter(zip(network.w, w_new, strict=True))
    for depth, layer in enumerate(network.layers):
        pre, post = states[depth], states[depth + 1]
        if layer.kind == "pool":
            y, x, c = np.indices(layer.shape_post)
            dy, dx = np.divmod(post.winner[image], layer.window)
            shift = shift[y * layer.window + dy, x * layer.window + dx, c]
            continue
        w, new = next(weights)
        is_output = layer is network.layers[-1]
        # masks use the time of the peak: of the spike where the neuron fired; a silent output sees all spikes
        t_i = np.minimum(post.t_post[image], T_MAX - 1) if is_output else post.t_peak[image]
        k = np.ones(layer.shape_post) if is_output else factor(post.v_peak[image], surrogate)
        geometry, moved = layer.geometry, np.zeros(layer.shape_post)
        top, left = geometry.pad_top, geometry.pad_left
        for y, x, m in np.ndindex(layer.shape_post):
            total = 0.0
            for ky, kx, c in np.ndindex(w.shape[1:]):
                yy, xx = y * geometry.stride + ky - top, x * geometry.stride + kx - left
                if not (0 <= yy < geometry.height and 0 <= xx < geometry.width):
                    continue
                t_j, t_peak_j = pre.t_post[image, yy, xx, c], pre.t_peak[image, yy, xx, c]
                if t_j < T_MAX and t_j <= t_i[y, x, m]:
                    total += new[m, ky, kx, c] - w[m, ky, kx, c]
                if t_peak_j <= t_i[y, x, m]:
                    total -= w[m, ky, kx, c] * shift[yy, xx, c]
            moved[y, x, m] = -k[y, x, m] * total
        shift = moved
    return shift.ravel()


@pytest.mark.parametrize("surrogate", ["fired", "window"])
@pytest.mark.parametrize("structure", ["3C3-P2-4C3-P2-5", "3C3S2-4C2-6-5", "72-6-5"])
def test_gradient_equals_that_of_the_linearised_twin(structure, surrogate):
    rng = np.random.default_rng(20)
    shape = (6, 6, 2) if structure.startswith("72") else (12, 12, 1)
    padding = "same" if "P2" in structure else "valid"
    network = Network(structure, shape, T_MAX, V_TH, padding, "potential", dtype=np.float64)
    network.initialise([(-30, 70)] * len(network.w), rng)
    n = 2
    t_in = np.where(rng.random((n, *shape)) < 0.4, T_MAX, rng.integers(0, T_MAX, (n, *shape))).astype(np.int16)
    states = network.forward(t_in)
    t_out = states[-1].t_post.reshape(n, -1)
    targets = target_times(t_out, np.array([1, 3]), 4, T_MAX)
    e = t_out - targets
    grad = network.gradients()
    network.backward(states, e, grad, surrogate, "none")
    gradient = [g.sum(axis=0).T.reshape(w.shape) for g, w in zip(grad, network.w, strict=True)]
    assert all(np.abs(g).max() > 0 for g in gradient)

    def twin_cost(scale, directions):
        w_new = [w + scale * d for w, d in zip(network.w, directions, strict=True)]
        return sum(
            0.5 * ((e[b] + linearised(network, states, w_new, surrogate, b)) ** 2).sum() for b in range(n)
        )  # fmt: skip

    for layer in range(len(network.w)):
        directions = [np.zeros_like(w) for w in network.w]
        directions[layer] = rng.normal(size=network.w[layer].shape)
        h = 1e-4
        numeric = (twin_cost(h, directions) - twin_cost(-h, directions)) / (2 * h)
        analytic = (gradient[layer] * directions[layer]).sum()
        assert analytic == pytest.approx(numeric, rel=1e-6)


def test_the_check_fails_for_a_wrong_mask():
    """Weight gradients that ignore causality must not pass for the right ones."""
    network = Network("72-6-5", (6, 6, 2), T_MAX, V_TH, dtype=np.float64)
    rng = np.random.default_rng(21)
    network.initialise([(-5, 30), (-40, 70)], rng)
    t_in = rng.integers(0, T_MAX + 1, (1, 6, 6, 2)).astype(np.int16)
    states = network.forward(t_in)
    e = rng.normal(size=(1, 5))
    grad = network.gradients()
    network.backward(states, e, grad, "fired", "none")
    direction = rng.normal(size=network.w[0].shape)
    moved = linearised(network, states, [network.w[0] + 1e-3 * direction, network.w[1]], "fired", 0)
    right = (moved / 1e-3) @ e[0]
    gradient = grad[0].sum(axis=0).T.reshape(direction.shape)
    assert (gradient * direction).sum() == pytest.approx(right, rel=1e-6)
    # every synapse of a neuron that fired takes its error, however late the input
    acausal = np.where(gradient != 0, gradient, gradient.min(axis=(1, 2, 3), keepdims=True))
    assert (acausal * direction).sum() != pytest.approx(right, rel=1e-2)
