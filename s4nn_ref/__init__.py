"""DS4NN in NumPy and Numba: deep spiking networks with one spike per neuron, trained by temporal backpropagation."""

import hashlib
from pathlib import Path


def _drop_stale_machine_code() -> None:
    """Delete what numba has stored of kernels that call code of another file, where any source has changed since.

    Numba looks at the file of the kernel itself only; kernels here are built from several files.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for source in sorted(here.rglob("*.py")):
        digest.update(source.read_bytes())
    stamp = here / "__pycache__" / "sources.sha256"
    try:
        if stamp.exists() and stamp.read_text() == digest.hexdigest():
            return
        for index in here.rglob("__pycache__/*.nb[ic]"):
            index.unlink(missing_ok=True)
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(digest.hexdigest())
    except OSError:
        pass  # a read-only installation: its code does not change either


_drop_stale_machine_code()
