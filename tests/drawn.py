"""Random networks and firing times, and the plain loops of s4nn_ref/reference that compute the same networks."""

import numpy as np
from hypothesis import given, settings

from s4nn_ref.network import Network, Settings
from s4nn_ref.reference import ds4nn

# weights in eighths: their sums are exact, so equality is asserted, not closeness
EIGHTH = 1 / 8

# (structure, input shape, padding)
GEOMETRIES = [
    ("3C3-7", (7, 6, 2), "valid"),
    ("3C3-7", (7, 6, 2), "same"),
    ("4C2-7", (5, 6, 1), "same"),
    ("2C3S2-7", (8, 9, 2), "valid"),
    ("2C3S2-7", (8, 9, 2), "same"),
    ("5C5S3-7", (9, 9, 1), "same"),
    ("3C1-7", (4, 4, 3), "valid"),
    ("3C4-7", (4, 4, 3), "valid"),
    ("70C3-7", (5, 4, 2), "same"),  # more maps than lanes, here and below
    ("3C3-7", (4, 4, 70), "same"),
]


def random_network(rng, structure, shape, t_max=12, low=None, high=None, unit=EIGHTH, **options):
    """A network whose weights are multiples of `unit`, in [low, high); without these, so spread that in layers of any
    size some neurons fire and some do not. options : of network.Settings"""
    network = Network(Settings(structure, input_shape=shape, t_max=t_max, **options))
    for w in network.w:
        mean, spread = 180 / w[0].size, 330 / np.sqrt(w[0].size)
        begin, end = mean - spread if low is None else low, mean + spread if high is None else high
        w[...] = unit * rng.integers(round(begin / unit), round(end / unit), w.shape)
    return network


def random_times(rng, n, shape, t_max=12, silent=0.3):
    """Input firing times (n, *shape), of which a share is silent."""
    t = rng.integers(0, t_max, (n, *shape))
    return np.where(rng.random(t.shape) < silent, t_max, t).astype(np.int16)


def has_both(t_post, silent=12):
    """Whether some of these neurons fired and some did not."""
    return bool((t_post < silent).any() and (t_post == silent).any())


# ------------------------------------------------------------------------------------------------------- reference


def _both_sides(size, kernel, stride, padding):
    """Zeros before and after an axis: as many as a "same" convolution needs, the odd one after it."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0) if padding == "same" else 0
    return total // 2, total - total // 2


def reference_layers(network):
    """The layers of a network as reference/ds4nn.py takes them; the weights are views of the network's."""
    weights, layers = iter(network.w), []
    for spec in network.specs:
        if spec.kind == "pool":
            layers.append(spec.window)
            continue
        w, g = next(weights), spec.geometry
        padding = network.settings.padding if spec.kind == "conv" else "valid"
        rows, columns = (
            _both_sides(size, kernel, g.stride, padding)
            for size, kernel in zip((g.height, g.width), w.shape[1:3], strict=True)
        )
        layers.append(ds4nn.Weighted(w, g.stride, (*rows, *columns)))
    return layers


def reference_states(network, t_in):
    """What the plain loops say of a batch: for every image a Firing of the input and of each layer."""
    layers, by_potential = reference_layers(network), network.settings.pool_ties == "potential"
    return [ds4nn.forward(image, layers, network.v_th, network.t_max, by_potential) for image in t_in]


def assert_states_equal(states, expected):
    """states, of a batch, are bit for bit those of the plain loops, expected[image][layer]."""
    for b, firings in enumerate(expected):
        for state, firing in zip(states, firings, strict=True):
            np.testing.assert_array_equal(state.t_post[b], firing.t)
            np.testing.assert_array_equal(state.t_peak[b], firing.t_peak)
            np.testing.assert_array_equal(state.v_peak[b], firing.v_peak)


def shaped_as_weights(grad, weights):
    """Gradients (S, R, M) of every layer as (S, M, K_y, K_x, C): dw_ji, seen from neuron j as its weights are."""
    return [g.transpose(0, 2, 1).reshape(len(g), *w.shape) for g, w in zip(grad, weights, strict=True)]


# ------------------------------------------------------------------------------------------------------ properties


def property_of(share=0.5, **draws):
    """Decorator: run a test for 40 draws. It returns whether a draw could have shown a fault, e.g. whether there were
    fired and silent neurons; at least this share of the draws must."""

    def decorate(check):
        def test():
            telling = []

            @settings(max_examples=40, deadline=None, derandomize=True)
            @given(**draws)
            def run(**values):
                telling.append(check(**values))

            run()
            assert np.mean(telling) >= share

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return decorate
