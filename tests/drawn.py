"""Random networks and firing times for the tests of the kernels."""

import numpy as np

from s4nn_ref.network import Network

# weights in eighths: their sums are exact, so equality is asserted, not closeness
EIGHTH = 8


def drawn_network(rng, structure, shape, t_max=12, low=-40, high=60, **options):
    network = Network(structure, shape, t_max=t_max, **options)
    for w in network.w:
        w[...] = rng.integers(low * EIGHTH, high * EIGHTH, w.shape) / EIGHTH
    return network


def drawn_times(rng, n, shape, t_max=12, silent=0.3):
    t = rng.integers(0, t_max, (n, *shape))
    return np.where(rng.random(t.shape) < silent, t_max, t).astype(np.int16)


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


def options_of(token):
    conv = token.split("-")[0]
    stride = int(conv.partition("S")[2] or 1)
    return {"stride": stride}
