"""How much of a layer's gradient is one direction that all input patterns share (D31, docs/derivation.md).

    python experiments/spectrum.py experiments/fashion-plus.toml [--weights W.npz] [--images 512] [--data DIR]

Prints, per weighted layer, of the gradient over the first training images: the share of its squared length in the first
singular direction, the first singular value over the median one, the share of synapses whose sign in that direction is
the same, and how many directions hold 90 % of the squared length. Weights are the experiment's initial ones, or W's.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from s4nn_ref.algorithms import DS4NN
from s4nn_ref.config import read_config
from s4nn_ref.data import load
from s4nn_ref.errors import InputError
from s4nn_ref.storage import read_weights


def gradients(algorithm: DS4NN, images: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """dE/dw per weighted layer (R, M), summed over the images; no weight is changed."""
    algorithm.optimiser.update = lambda grad, n_images: None
    algorithm.learn(images, labels)
    return [shards.sum(axis=0) for shards in algorithm._grad]


def row(layer: str, gradient: np.ndarray) -> str:
    left, values, _ = np.linalg.svd(gradient.astype(np.float64), full_matrices=False)
    share = np.cumsum(values**2) / (values**2).sum()
    same = max((left[:, 0] > 0).mean(), (left[:, 0] < 0).mean())
    over, most = values[0] / np.median(values), np.searchsorted(share, 0.9) + 1
    return f"{layer:<8}{gradient.shape!s:<14}{share[0]:>8.2f}{over:>10.1f}{same:>12.2f}{most:>8}"


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, metavar="CONFIG.toml")
    parser.add_argument("--weights", type=Path, metavar="W.npz", help="a trained network (default: initial weights)")
    parser.add_argument("--images", type=int, default=512, metavar="N", help="default: 512")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the data sets, as for s4nn train")
    args = parser.parse_args(argv)
    try:
        config = read_config(args.config)
        algorithm = DS4NN(config, np.random.default_rng(config.training.seed), 1)
        if args.weights:
            algorithm.network.parameters[:] = read_weights(args.weights)[0].parameters
        dataset = load(config.data.dataset, "train", args.data).head(args.images)
        print(f"{'layer':<8}{'(R, M)':<14}{'first':>8}{'/median':>10}{'same sign':>12}{'90 %':>8}")
        layers = [layer.token for layer in algorithm.network.layers if layer.geometry]
        for layer, gradient in zip(layers, gradients(algorithm, dataset.images, dataset.labels), strict=True):
            print(row(layer, gradient))
    except InputError as error:
        print(f"spectrum: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
