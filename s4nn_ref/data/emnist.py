"""What is different in EMNIST's IDX files (Cohen et al. 2017): their names, the order of pixels, letters from 1."""

import numpy as np

from s4nn_ref.data.classes import EMNIST
from s4nn_ref.errors import InputError

SOURCE = "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"
FOLDER = "emnist"  # in which the six sets of the archive may lie together
_ENDS = {"images": "images-idx3-ubyte", "labels": "labels-idx1-ubyte"}


def files(name: str) -> dict[tuple[str, str], str]:
    """Names of the four files of one of the six sets, by split and content."""
    return {(split, what): f"{name}-{split}-{end}" for split in ("train", "test") for what, end in _ENDS.items()}


def upright(name: str, what: str, array: np.ndarray) -> np.ndarray:
    """Images of a file, stored column by column, row by row; or labels, those of letters counted from 0.

    array : uint8 (n, H, W, C), or (n,). Raises InputError on labels out of range.
    """
    if what == "images":
        return np.ascontiguousarray(array.swapaxes(1, 2))
    first = 1 if name == "emnist-letters" else 0
    last = first + len(EMNIST[name]) - 1
    if array.min() < first or array.max() > last:
        raise InputError(
            f"{name}: labels from {array.min()} to {array.max()}, expected {first} to {last}; do the files have each "
            "other's names?"
        )
    return array - np.uint8(first)
