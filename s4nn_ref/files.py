"""Files this program writes and reads back: NPZ without pickles and JSON, written whole or not at all.

What is read has been checked against a schema (schema.py), or it is an InputError.
"""

import io
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from glob import escape
from pathlib import Path

import numpy as np

from s4nn_ref.errors import InputError, shown
from s4nn_ref.schema import Array, check, check_arrays

try:
    import fcntl
except ImportError:  # not on Windows: what a killed process leaves is not removed there
    fcntl = None


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, then rename: readers see the old file or the new one.

    A new file has the mode that the umask leaves, an old one keeps its own. Temporary files that killed processes left
    are removed. Raises InputError where the disk is full or the folder cannot be written; the old file is then
    untouched.
    """
    path = Path(os.path.realpath(path))  # a link stays a link
    temporary, written = None, False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise InputError(f"cannot write {path}: it is not a file; choose another name")
        _remove_left(path)
        temporary, handle = _temporary(path)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            if path.exists():
                os.chmod(temporary, stat.S_IMODE(path.stat().st_mode))
            if fcntl is None:  # Windows does not rename an open file; elsewhere it is held until it is renamed
                file.close()
            os.replace(temporary, path)
        written = True
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror}; make room there or write elsewhere (nothing was overwritten)"
        ) from None
    finally:
        if temporary and not written:  # also where Ctrl-C came in between
            temporary.unlink(missing_ok=True)


def _held(handle: int) -> bool:
    """Hold an open file for as long as this process has it open; False where another one does."""
    if fcntl:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
    return True


def _temporary(path: Path) -> tuple[Path, int]:
    """A new file beside `path` and its handle, held by this process."""
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
        handle = os.open(temporary, flags, 0o666)
        # another process may have taken it for one that was left, before it was held
        if _held(handle) and temporary.exists():
            return temporary, handle
        os.close(handle)


def _remove_left(path: Path) -> None:
    """Remove the temporary files of `path` that no process holds: a killed process holds nothing."""
    if fcntl is None:
        return
    for left in path.parent.glob(f".{escape(path.name)}.{'[0-9a-f]' * 8}.tmp"):
        with suppress(OSError):  # gone by now, or of another user, or on a file system without locks
            handle = os.open(left, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink()
            finally:
                os.close(handle)


def check_free(path: Path, force: bool, inputs: Iterable[Path]) -> None:
    """Raise InputError where writing a file would lose one: an input, or without `force` any that is there."""
    if not path.exists():
        return
    if any(other.exists() and path.samefile(other) for other in inputs):
        raise InputError(f"{path} is one of the files to read; write to another name")
    if not force:
        raise InputError(f"{path} is there already; --force overwrites it, or use another name")


def write_json(path: Path, content: dict) -> None:
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


def write_npz(path: Path, arrays: dict, meta: dict) -> None:
    """Arrays and a JSON-ready dictionary as one compressed NPZ."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, meta=np.array(json.dumps(meta)), **arrays)
    write_atomically(path, buffer.getvalue())


def load_npz(path: Path) -> tuple[dict, dict]:
    """Arrays and dictionary of `write_npz`, whatever they are.

    Raises InputError on a file that is missing, cut, corrupt or not ours.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as npz:
            arrays = {key: npz[key] for key in npz.files}
        meta = json.loads(str(arrays.pop("meta")))
    except FileNotFoundError:
        raise InputError(f"{path} not found") from None
    except Exception as error:  # a damaged archive may raise anything at all
        if isinstance(error, OSError) and error.strerror:
            raise InputError(f"cannot read {path}: {error.strerror}") from None
        raise InputError(f"{path} is cut, corrupt or not a file of s4nn ({type(error).__name__}: {error})") from None
    if not isinstance(meta, dict):
        raise InputError(f"{path} is not a file of s4nn")
    return arrays, meta


def read_npz(path: Path, file_format: str, kind, arrays_of: Callable[[dict], dict[str, Array]]) -> tuple[dict, dict]:
    """Arrays and dictionary of `write_npz`, of the right types and shapes.

    file_format : "s4nn_ref KIND NUMBER", which the dictionary holds as "format"   kind : TypedDict of the dictionary
    arrays_of   : function(dictionary) -> which arrays there must be
    Raises InputError, naming the file, where anything is missing or different.
    """
    arrays, meta = load_npz(path)
    _check_format(path, meta, file_format)
    _checked(path, lambda: check(meta, kind, ""))
    expected = arrays_of(meta)
    _checked(path, lambda: check_arrays(arrays, expected))
    return arrays, meta


def read_json(path: Path, file_format: str, kind, command: str) -> dict:
    """The dictionary of a JSON file, of the right keys and types.

    file_format, kind : as in `read_npz`   command : that makes the file, for errors
    Raises InputError, naming the file, where it cannot be read and where anything is missing or different.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path} not found; make it with: {command}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path} is not JSON; make it again with: {command} --force") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a file of s4nn; make it again with: {command} --force")
    _check_format(path, content, file_format)
    _checked(path, lambda: check(content, kind, ""))
    return content


def _check_format(path: Path, content: dict, file_format: str) -> None:
    """Raise InputError on a file of another kind, or of another release."""
    stored, kind = content.get("format"), file_format.split()[1]
    if stored == file_format:
        return
    if isinstance(stored, str) and stored.startswith(file_format.rpartition(" ")[0]):
        raise InputError(
            f"{path} was written by another release, as {stored!r}, and this one reads {file_format!r}: go on with the "
            "release that wrote it, or start anew with --force"
        )
    raise InputError(f"{path} is not a {kind} file of s4nn: format {shown(stored)}, not {file_format!r}")


def _checked(path: Path, work: Callable[[], None]) -> None:
    """Do a check; its InputError names the file."""
    try:
        work()
    except InputError as error:
        raise InputError(f"{path} is damaged, or of another release: {error}") from None
