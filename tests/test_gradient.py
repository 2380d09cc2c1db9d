"""Backpropagation against finite differences of its linearised twin.

The true forward pass is piecewise constant in the weights. Its twin moves firing times along the surrogate,
u_j = t_j - k_j * sum_i causal_ji * ((w'_ji - w_ji) - w_ji * (u_i - t_i)), with causal masks, winners and surrogate
factors k frozen at the true firing times; the gradient of its cost at w' = w is what Eqs. 7-12 claim to be. The network
and the plain loops of reference/ds4nn.py are both checked.
"""

import numpy as np
import pytest
from drawn import has_both, random_network, random_times, reference_layers, shaped_as_weights

from s4nn_ref.algorithms.ds4nn import Algorithm, spike_cost
from s4nn_ref.config import config_of_dict
from s4nn_ref.losses.relative_targets import target_times
from s4nn_ref.neurons.surrogates import SURROGATES
from s4nn_ref.reference import ds4nn

T_MAX, V_TH = 30, 100.0


def factor(v_peak, surrogate):
    """k of every neuron of a hidden layer."""
    window = np.maximum(0.0, 1.0 - np.abs(v_peak - V_TH) / V_TH)
    fired, silent = {"fired": (1.0, 0.0), "window": (window, window), "window-silent": (1.0, window)}[surrogate]
    return np.where(v_peak >= V_TH, fired, silent)


def linearised(network, states, w_new, surrogate, image):
    """Displacements u - t of the neurons of every layer for weights w_new, one image, input first."""
    shift = np.zeros(network.input_shape)
    shifts = [shift]
    weights = iter(zip(network.w, w_new, strict=True))
    for depth, spec in enumerate(network.specs):
        pre, post = states[depth], states[depth + 1]
        if spec.kind == "pool":
            y, x, c = np.indices(spec.shape_post)
            dy, dx = np.divmod(post.winner[image], spec.window)
            shift = shift[y * spec.window + dy, x * spec.window + dx, c]
            shifts.append(shift)
            continue
        w, new = next(weights)
        is_output = spec is network.specs[-1]
        # masks use the time of the peak: of the spike where the neuron fired; a silent output sees all spikes
        t_j = np.minimum(post.t_post[image], T_MAX - 1) if is_output else post.t_peak[image]
        k = np.ones(spec.shape_post) if is_output else factor(post.v_peak[image], surrogate)
        geometry, moved = spec.geometry, np.zeros(spec.shape_post)
        top, left = geometry.pad_top, geometry.pad_left
        for y, x, j in np.ndindex(spec.shape_post):
            total = 0.0
            for ky, kx in np.ndindex(w.shape[1:3]):
                yy, xx = y * geometry.stride + ky - top, x * geometry.stride + kx - left
                if not (0 <= yy < geometry.height and 0 <= xx < geometry.width):
                    continue
                t_i, t_peak_i = pre.t_post[image, yy, xx], pre.t_peak[image, yy, xx]
                total += (new[j, ky, kx] - w[j, ky, kx]) @ ((t_i < T_MAX) & (t_i <= t_j[y, x, j]))
                total -= w[j, ky, kx] @ np.where(t_peak_i <= t_j[y, x, j], shift[yy, xx], 0.0)
            moved[y, x, j] = -k[y, x, j] * total
        shift = moved
        shifts.append(shift)
    return shifts


class Case:
    """A network, its states for two images, and an error of its outputs."""

    def __init__(self, structure, seed=20):
        self.rng = np.random.default_rng(seed)
        shape = (6, 6, 2) if structure.startswith("72") else (12, 12, 1)
        padding = "same" if "P2" in structure else "valid"
        self.network = random_network(
            self.rng, structure, shape, T_MAX, precision="float64", padding=padding, pool_ties="potential"
        )
        self.t_in = random_times(self.rng, 2, shape, T_MAX)
        self.states = self.network.forward(self.t_in)
        t_out = self.states[-1].t_post.reshape(2, -1)
        self.e = t_out - target_times(t_out, np.array([1, 3]), 4, T_MAX)

    def directions(self, layer):
        """A random direction in the weights of one layer."""
        directions = [np.zeros_like(w) for w in self.network.w]
        directions[layer] = self.rng.normal(size=self.network.w[layer].shape)
        return directions

    def slope_of_the_twin(self, directions, surrogate, h=1e-4):
        """Change of the twin's cost along directions in the weights."""

        def cost(scale):
            w_new = [w + scale * d for w, d in zip(self.network.w, directions, strict=True)]
            moved = [linearised(self.network, self.states, w_new, surrogate, b)[-1].ravel() for b in range(2)]
            return 0.5 * ((self.e + np.array(moved)) ** 2).sum()

        return (cost(h) - cost(-h)) / (2 * h)

    def gradient_of_the_network(self, surrogate):
        grad = self.network.gradients()
        self.network.backward(self.states, self.e, grad, surrogate, "none")
        return [g.sum(axis=0) for g in shaped_as_weights(grad, self.network.w)]

    def gradient_of_the_document(self, surrogate):
        layers, total = reference_layers(self.network), 0
        for t_in, e in zip(self.t_in, self.e, strict=True):
            states = ds4nn.forward(t_in, layers, V_TH, T_MAX, True)
            dw = ds4nn.backward(states, layers, e, V_TH, T_MAX, surrogate, "none", True)
            total = total + np.array([one for one in dw if one is not None], object)
        return list(total)


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("structure", ["3C3-P2-4C3-P2-5", "3C3S2-4C2-6-5", "72-6-5"])
def test_gradient_equals_that_of_the_linearised_twin(structure, surrogate):
    case = Case(structure)
    for layer, state in zip(case.network.layers, case.states[1:], strict=True):
        assert has_both(state.t_post, T_MAX) or not layer.weighted
    gradient, document = case.gradient_of_the_network(surrogate), case.gradient_of_the_document(surrogate)
    assert all(np.abs(g).max() > 0 for g in gradient)
    for layer in range(len(case.network.w)):
        directions = case.directions(layer)
        numeric = case.slope_of_the_twin(directions, surrogate)
        assert (gradient[layer] * directions[layer]).sum() == pytest.approx(numeric, rel=1e-6)
        assert (document[layer] * directions[layer]).sum() == pytest.approx(numeric, rel=1e-6)


@pytest.mark.parametrize("other", [s for s in SURROGATES if s != "window-silent"])
def test_the_check_fails_for_another_surrogate(other):
    """Silent neurons and fired ones both have their share in the gradient of "window-silent"."""
    case = Case("3C3-P2-4C3-P2-5")
    wrong, directions = case.gradient_of_the_network(other), case.directions(0)
    numeric = case.slope_of_the_twin(directions, "window-silent")
    assert (wrong[0] * directions[0]).sum() != pytest.approx(numeric, rel=1e-3)


def test_the_check_fails_for_a_wrong_mask():
    """Weight gradients that ignore causality must not pass for the right ones."""
    case = Case("72-6-5")
    gradient, directions = case.gradient_of_the_network("fired"), case.directions(0)
    right = case.slope_of_the_twin(directions, "fired")
    assert (gradient[0] * directions[0]).sum() == pytest.approx(right, rel=1e-6)
    case.states[0].t_post[...] = 0  # as if every input came before every spike
    acausal = case.gradient_of_the_network("fired")
    assert (acausal[0] * directions[0]).sum() != pytest.approx(right, rel=1e-2)


def test_the_check_fails_for_exchanged_neurons():
    """The gradient of one neuron must not pass for another's: the index order of w_ji."""
    case = Case("72-6-5")
    gradient, directions = case.gradient_of_the_network("window-silent"), case.directions(1)
    numeric = case.slope_of_the_twin(directions, "window-silent")
    assert (gradient[1][::-1] * directions[1]).sum() != pytest.approx(numeric, rel=1e-2)


@pytest.mark.parametrize("structure", ["3C3-P2-4C3-P2-5", "3C3S2-4C2-6-5"])
def test_the_price_of_spikes_equals_that_of_the_twin(structure):
    """D47: hidden spikes up to the decision, of layers that pass them on, cost their steps until it is over."""
    penalty, rng = 0.01, np.random.default_rng(7)
    network = {"structure": structure, "input_shape": [12, 12, 1], "t_max": T_MAX, "precision": "float64",
               "padding": "same" if "P2" in structure else "valid", "pool_ties": "potential",
               "init": [[0, 1]] * len(Case(structure).network.w)}  # fmt: skip
    learning = {"loss": "relative-targets", "lam": 4, "normalise": "none", "spike_penalty": penalty}
    config = config_of_dict({"network": network, "learning": learning, "training": {"batch": 2}})
    algorithm = Algorithm(config, rng, 1, lambda network: None)
    case = Case(structure)
    algorithm.network.parameters[:] = case.network.parameters
    images, labels = rng.integers(0, 256, (2, 12, 12, 1), np.uint8), np.array([1, 3])
    case.t_in = case.network.encode(images)
    case.states = case.network.forward(case.t_in)
    outputs = case.network.outputs(case.states)
    of_outputs, e = config.learning.loss.error(outputs, labels)
    specs, decision = case.network.specs, outputs.t_out.min(axis=1)
    passing = [i for i in range(1, len(specs)) if specs[i].kind != "pool"]  # layers whose spikes a neuron integrates

    def of_spikes(shifts, image):
        cost, counted = 0.0, 0
        for i in passing:
            t = case.states[i].t_post[image]
            counts = (t <= decision[image]) & (t < T_MAX)
            counted += counts.sum()
            cost += penalty * (decision[image] + 1 - (t + shifts[i]))[counts].sum()
        assert counted > 0
        return cost

    def cost(scale, directions):
        w_new, total = [w + scale * d for w, d in zip(case.network.w, directions, strict=True)], 0.0
        for b in range(2):
            shifts = linearised(case.network, case.states, w_new, "window", b)
            total += e[b] @ shifts[-1].ravel() + of_spikes(shifts, b)
        return total

    expected = of_outputs + [of_spikes([np.zeros(1)] * len(case.states), b) for b in range(2)]
    np.testing.assert_allclose(algorithm.backward(images, labels)[0], expected)
    gradient = [g.sum(axis=0) for g in shaped_as_weights(algorithm.grad, case.network.w)]
    for layer in range(len(case.network.w)):
        directions, h = case.directions(layer), 1e-4
        numeric = (cost(h, directions) - cost(-h, directions)) / (2 * h)
        assert (gradient[layer] * directions[layer]).sum() == pytest.approx(numeric, rel=1e-6)
    without = case.network.gradients()
    case.network.backward(case.states, e, without, "window", "none")
    assert np.abs(algorithm.grad[0].sum(axis=0) - without[0].sum(axis=0)).max() > 0


def test_the_price_of_spikes_by_hand():
    """A decision in step 2, and none in 5 steps: spikes pay to the end. Silent neurons, which hold 5, pay nothing."""
    t_post = np.array([[[0, 2], [3, 5]], [[0, 4], [5, 5]]], np.int16)
    cost, slope = spike_cost(t_post, np.array([2, 4], np.int16), 0.5)
    assert cost.tolist() == [0.5 * (3 + 1), 0.5 * (5 + 1)]
    assert slope.tolist() == [[[-0.5, -0.5], [0, 0]], [[-0.5, -0.5], [0, 0]]]


def test_a_silent_network_pays_for_all_its_spikes():
    """Through the algorithm: no output fires, one image where there is room for two, single precision."""
    network = {"structure": "3C3-P2-2", "input_shape": [8, 8, 1], "t_max": 20, "init": [[60, 99], [-2, -1]]}
    learning = {"loss": "relative-targets", "spike_penalty": 0.5}
    config = config_of_dict({"network": network, "learning": learning, "training": {"batch": 2}})
    algorithm = Algorithm(config, np.random.default_rng(0), 1, lambda network: None)
    images, labels = np.random.default_rng(1).integers(1, 256, (1, 8, 8, 1), np.uint8), np.array([0])
    states = algorithm.network.forward(algorithm.network.encode(images))
    assert (states[-1].t_post == 20).all()
    t = states[2].t_post[states[2].t_post < 20]
    assert t.size > 0
    of_outputs, _ = config.learning.loss.error(algorithm.network.outputs(states), labels)
    assert algorithm.backward(images, labels)[0] == pytest.approx(of_outputs + 0.5 * (20 - t).sum())
