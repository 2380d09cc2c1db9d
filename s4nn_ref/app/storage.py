"""Weights files: a trained network and its experiment."""

from pathlib import Path

import numpy as np

from s4nn_ref.app.legacy import config_of_stored
from s4nn_ref.config import Config
from s4nn_ref.errors import InputError
from s4nn_ref.files import read_npz, write_npz
from s4nn_ref.network import Network

WEIGHTS_FORMAT = "s4nn_ref weights 1"


def write_weights(path: Path, config: Config, parameters: np.ndarray) -> None:
    """A trained network: one array w0, w1, ... (M, K_y, K_x, C) per weighted layer, and its experiment."""
    views = config.network_of().views(parameters)
    meta = {"format": WEIGHTS_FORMAT, "config": config.as_dict()}
    write_npz(path, {f"w{i}": w for i, w in enumerate(views)}, meta)


def read_weights(path: Path) -> tuple[Network, Config]:
    """A network of `write_weights` and its experiment.

    Raises InputError on a file that is not ours, arrays of another shape than the structure's, and NaN.
    """
    arrays, meta = read_npz(path)
    if meta.get("format") != WEIGHTS_FORMAT:
        raise InputError(f"{path} is not a weights file of s4nn: format {meta.get('format')!r}, not {WEIGHTS_FORMAT!r}")
    config = config_of_stored(meta.get("config"), path)
    network = config.network_of()
    for i, w in enumerate(network.w):
        stored = arrays.get(f"w{i}")
        if stored is None or stored.shape != w.shape or stored.dtype.kind != "f":
            found = "missing" if stored is None else f"{stored.dtype} {stored.shape}"
            raise InputError(f"{path}: w{i} is {found}, {network.structure} needs float {w.shape}")
        with np.errstate(over="ignore"):
            w[...] = stored
        if not np.isfinite(w).all():  # in the precision in which they are used
            raise InputError(f"{path}: w{i} holds NaN or infinite weights; train again, perhaps with a smaller eta")
    return network, config
