"""Weights files: a trained network and its experiment."""

from pathlib import Path
from typing import TypedDict

import numpy as np

from s4nn_ref.app.legacy import config_of_stored
from s4nn_ref.config import Config
from s4nn_ref.errors import InputError
from s4nn_ref.files import read_npz, write_npz
from s4nn_ref.network import Network
from s4nn_ref.schema import Array
from s4nn_ref.structure import parse_structure

WEIGHTS_FORMAT = "s4nn_ref weights 1"


class _Meta(TypedDict):
    config: dict


def write_weights(path: Path, config: Config, parameters: np.ndarray) -> None:
    """A trained network: one array w0, w1, ... (M, K_y, K_x, C) per weighted layer, and its experiment."""
    views = config.network_of().views(parameters)
    meta = {"format": WEIGHTS_FORMAT, "config": config.as_dict()}
    write_npz(path, {f"w{i}": w for i, w in enumerate(views)}, meta)


def read_weights(path: Path) -> tuple[Network, Config]:
    """A network of `write_weights` and its experiment.

    Raises InputError on a file that is incomplete or not ours, arrays of another shape than the structure's, and NaN.
    """

    def expected(meta: dict) -> dict[str, Array]:  # before a network of that size is made
        n = config_of_stored(meta["config"], path).network
        weighted = [spec for spec in parse_structure(n.structure, n.input_shape, n.padding) if spec.geometry]
        return {f"w{i}": Array("f", spec.geometry.w_shape) for i, spec in enumerate(weighted)}

    arrays, meta = read_npz(path, WEIGHTS_FORMAT, _Meta, expected)
    config = config_of_stored(meta["config"], path)
    network = config.network_of()
    for i, w in enumerate(network.w):
        with np.errstate(all="ignore"):
            w[...] = arrays[f"w{i}"]
        if not np.isfinite(w).all():  # in the precision in which they are used
            raise InputError(f"{path}: w{i} holds NaN or infinite weights; train again, perhaps with a smaller eta")
    return network, config
