"""A folder that one process at a time trains into."""

import os
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows: folders are not held there
    fcntl = None

from s4nn_ref.errors import InputError


class Held(InputError):
    """Another process trains into a folder."""


@contextmanager
def alone_in(out: Path):
    """Hold an output folder, which is made. Raises Held where another process trains into it."""
    out.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    folder = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Held(f"another process trains into {out}; wait for it, or use another --out") from None
        except OSError as error:
            raise InputError(f"cannot hold {out} for this process: {error.strerror}; use another --out") from None
        yield
    finally:
        os.close(folder)
