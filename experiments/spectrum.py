"""How much of a layer's gradient lies in one direction, which all input patterns share (D31, docs/extensions.md).

    python experiments/spectrum.py experiments/fashion-plus.toml [--weights W.npz] [--images 512] [--data DIR]

Takes the gradient over the first training images, at the experiment's initial weights or at those of W, and prints for
each weighted layer: the share of its squared length in the first singular direction, the ratio of the first singular
value to the median one, the share of synapses with the same sign in that direction, and how many directions hold 90 %
of the squared length.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from s4nn_ref.app.storage import read_weights
from s4nn_ref.config import read_config
from s4nn_ref.data.dataset import load
from s4nn_ref.errors import InputError
from s4nn_ref.training.loop import Training


def row(layer: str, gradient: np.ndarray) -> str:
    """The line of a layer whose gradient is (R, M)."""
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
        if config.algorithm != "ds4nn":
            raise InputError(f'{args.config} is of algorithm "{config.algorithm}", which learns online')
        if args.images < 1:
            raise InputError(f"--images {args.images}: must be at least 1")
        dataset = load(config.data.dataset, "train", args.data)
        config = config.on(dataset)
        dataset = dataset.called(config.classes).head(args.images)
        algorithm = Training(config, dataset, dataset.head(0)).algorithm
        if args.weights:
            network, _ = read_weights(args.weights)
            if (network.structure, network.input_shape) != (config.network.structure, config.network.input_shape):
                raise InputError(f"{args.weights} is {network.structure}, {args.config} is {config.network.structure}")
            algorithm.network.parameters[:] = network.parameters
        algorithm.grad = algorithm.network.gradients()
        algorithm.backward(dataset.images, dataset.labels)
        print(f"{'layer':<8}{'(R, M)':<14}{'first':>8}{'/median':>10}{'same sign':>12}{'90 %':>8}")
        layers = [spec.token for spec in algorithm.network.specs if spec.geometry]
        for layer, shards in zip(layers, algorithm.grad, strict=True):
            print(row(layer, shards.sum(axis=0)))
    except InputError as error:
        print(f"spectrum: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
