"""Files this program writes and reads back: NPZ without pickles and JSON, written whole or not at all."""

import io
import json
import os
import tempfile
from pathlib import Path

import numpy as np

from s4nn_ref.config import Config, config_of_stored
from s4nn_ref.errors import InputError
from s4nn_ref.network import Network, network_of

WEIGHTS_FORMAT = "s4nn_ref weights 1"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, then rename: readers see the old file or the new one.

    Raises InputError where the disk is full or the folder cannot be written; the old file is then untouched.
    """
    path = Path(path)
    temporary, written = None, False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        written = True
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror}; free space or choose another --out (nothing was overwritten)"
        ) from None
    finally:
        if temporary and not written:  # also where Ctrl-C came in between
            Path(temporary).unlink(missing_ok=True)


def write_json(path: Path, content: dict) -> None:
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


def write_npz(path: Path, arrays: dict, meta: dict) -> None:
    """Arrays and a JSON-ready dictionary as one compressed NPZ."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, meta=np.array(json.dumps(meta)), **arrays)
    write_atomically(path, buffer.getvalue())


def read_npz(path: Path) -> tuple[dict, dict]:
    """Arrays and dictionary of `write_npz`. Raises InputError on a file that is missing, cut, corrupt or not ours."""
    try:
        with np.load(path, allow_pickle=False) as npz:
            arrays = {key: npz[key] for key in npz.files}
        meta = json.loads(str(arrays.pop("meta")))
    except FileNotFoundError:
        raise InputError(f"{path} not found") from None
    except Exception as error:  # a damaged archive may raise anything at all
        raise InputError(f"{path} is cut, corrupt or not a file of s4nn ({type(error).__name__}: {error})") from None
    if not isinstance(meta, dict):
        raise InputError(f"{path} is not a file of s4nn")
    return arrays, meta


def write_weights(path: Path, config: Config, parameters: np.ndarray) -> None:
    """A trained network: one array w0, w1, ... (M, K_y, K_x, C) per weighted layer, and its experiment."""
    network = network_of(config)
    views = network.views(parameters)
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
    network = network_of(config)
    for i, w in enumerate(network.w):
        stored = arrays.get(f"w{i}")
        if stored is None or stored.shape != w.shape or stored.dtype.kind != "f":
            found = "missing" if stored is None else f"{stored.dtype} {stored.shape}"
            raise InputError(f"{path}: w{i} is {found}, {network.structure} needs float {w.shape}")
        if not np.isfinite(stored).all():
            raise InputError(f"{path}: w{i} holds NaN or infinite weights; train again, perhaps with a smaller eta")
        w[...] = stored
    return network, config
