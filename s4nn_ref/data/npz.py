"""Data sets in one NPZ file, with the arrays that Keras, MedMNIST and others write."""

from pathlib import Path

import numpy as np

from s4nn_ref.data import arrays
from s4nn_ref.errors import InputError

_NAMES = {
    "train": (("x_train", "y_train"), ("train_images", "train_labels")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
    "whole": (("x", "y"), ("images", "labels")),
}
EXPECTED = "x_train, y_train, x_test, y_test, or train_images, train_labels and so on, or x and y"


def read(path: Path, split: str, shape: tuple[int, int, int] | None) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Images uint8 (n, H, W, C), labels (n,) and what is to be said of one split of an NPZ file.

    shape : of an image, where the user names it
    Raises InputError on a file that is damaged, holds Python objects, or lacks images or labels.
    """
    try:
        with open(path, "rb") as opened:
            file = np.load(opened, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise InputError(f"{path} holds a single array; store images and labels as {EXPECTED}")
            with file:
                return _split(path, file, split, shape)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # a damaged archive may raise anything
        if isinstance(error, OSError) and error.strerror:
            raise InputError(f"cannot read {path}: {error.strerror}") from None
        if "Object arrays" in str(error):  # as NumPy says it
            raise InputError(
                f"{path} holds Python objects, which are never read; store numbers, or names as y.astype(str)"
            ) from None
        raise InputError(f"{path} is damaged or no NPZ file; write it anew by numpy.savez") from None


def _pair(file, split: str) -> tuple[str, str] | None:
    """The arrays of a split, as the file spells them."""
    spelled = {name.lower(): name for name in file.files}
    return next(((spelled[x], spelled[y]) for x, y in _NAMES[split] if x in spelled and y in spelled), None)


def _split(path: Path, file, split: str, shape) -> tuple[np.ndarray, np.ndarray, list[str]]:
    pair, cut = _pair(file, split), None
    if pair is None:  # one without test images
        other = _pair(file, "whole") or (_pair(file, "train") if split == "test" else None)
        pair, cut = other, split
    elif split == "train" and _pair(file, "test") is None:
        cut = split
    if pair is None:
        raise InputError(f"{path} holds {', '.join(file.files) or 'nothing'}; expected {EXPECTED}")
    images, notes = arrays.pixels(file[pair[0]], shape, f"{path}, {pair[0]}"), []
    labels = arrays.labels(file[pair[1]], len(images), f"{path}, {pair[1]}")
    if cut:
        index = arrays.without_test_images(labels, split)
        images, labels = images[index], labels[index]
        notes.append(f"{path.name} is not split: every {arrays.EVERY}th image of a class is a test image")
    if split == "train" and (unread := [name for name in file.files if name.lower() in ("x_val", "val_images")]):
        notes.append(f"{unread[0]} is not read: validation images are taken from the training images")
    return images, labels, notes
