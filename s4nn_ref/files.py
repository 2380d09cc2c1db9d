"""Files this program writes and reads back: NPZ without pickles and JSON, written whole or not at all."""

import io
import json
import os
import tempfile
from pathlib import Path

import numpy as np

from s4nn_ref.errors import InputError


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
