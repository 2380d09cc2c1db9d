"""Arrays of pixels and labels as people store them, checked and brought to uint8 (n, H, W, C)."""

import math

import numpy as np

from s4nn_ref.errors import InputError

EVERY = 6  # where a data set has no test images, each 6th of every class is one


def without_test_images(labels: np.ndarray, split: str) -> np.ndarray:
    """Indices of the "train" or "test" images of a data set that is not split, in their order.

    Of each class every 6th image is a test image, or the last one of two to five. labels : (n,)
    """
    test = np.zeros(len(labels), bool)
    for one in np.unique(labels):
        index = np.flatnonzero(labels == one)
        test[index[EVERY - 1 :: EVERY] if len(index) >= EVERY else index[1:][-1:]] = True
    return np.flatnonzero(test == (split == "test"))


def _levels(array: np.ndarray, where) -> np.ndarray:
    """Pixels of any type as levels 0 .. 255, uint8."""
    if array.dtype.kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind not in "iuf":
        raise InputError(f"{where}: pixels are {array.dtype}, expected numbers from 0 to 255, or from 0 to 1")
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 255):  # NaN neither
        deep = "; 16 bits: divide by 257" if array.dtype.kind in "iu" and 255 < high < 2**16 and low >= 0 else ""
        raise InputError(f"{where}: pixels from {low:g} to {high:g}, expected 0 to 255, or 0 to 1 with a point{deep}")
    if array.dtype.kind == "f":
        if high <= 1:
            return np.rint(array * 255).astype(np.uint8)
        if (array != np.rint(array)).any():
            raise InputError(f"{where}: pixels up to {high:g} with fractions; divide by 255, or round to whole numbers")
    return array.astype(np.uint8)


def _shaped(array: np.ndarray, shape: tuple[int, int, int] | None, where) -> np.ndarray:
    """Images (n, pixels), (n, H, W) or (n, H, W, C) as (n, H, W, C). shape : of an image, where the user names it"""
    if array.ndim == 2:
        pixels, side = array.shape[1], math.isqrt(array.shape[1])
        if shape and math.prod(shape) == pixels:
            return array.reshape(-1, *shape)
        if side * side == pixels:
            return array.reshape(-1, side, side, 1)
        raise InputError(
            f"{where}: {pixels} pixels are no grey square; write their rows, columns and channels, "
            "network.input_shape = [H, W, C]"
        )
    if array.ndim == 3:
        return array[..., None]
    if array.ndim == 4 and array.shape[3] in (1, 3):
        return array
    found = "x".join(map(str, array.shape[1:])) or "no pixels"
    hint = ""
    if array.ndim == 4 and array.shape[1] in (1, 3):
        hint = "; channels come last: np.moveaxis(x, 1, 3)"
    elif array.ndim == 4 and array.shape[3] == 4:
        hint = "; leave transparency out: x[..., :3]"
    raise InputError(f"{where}: images are {found}, expected (n, H, W), or (n, H, W, C) with 1 or 3 channels{hint}")


def pixels(array: np.ndarray, shape: tuple[int, int, int] | None, where) -> np.ndarray:
    """Images uint8 (n, H, W, C).

    array : (n, pixels), (n, H, W) or (n, H, W, C); 0 .. 255, booleans, or floats from 0 to 1
    shape : of an image, where the user names it   where : names them in errors
    Raises InputError on other types, ranges and sizes, and where there is no image.
    """
    if not array.size:
        raise InputError(f"{where} holds no images")
    return np.ascontiguousarray(_levels(_shaped(array, shape, where), where))


def doubts(images: np.ndarray) -> list[str]:
    """What is to be said of images that no network learns well: bright pixels spike first, and black ones never."""
    brightest, mean = int(images.max()), float(images.mean())
    if brightest < 128:
        return [f"the brightest pixel is {brightest} of 255, and bright pixels spike first; store 0 to 255, or 0 to 1"]
    if mean > 180:
        return [f"images are light, {mean:.0f} of 255 in the mean, and bright pixels spike first; store 255 - x?"]
    return []


def labels(array: np.ndarray, n: int, where) -> np.ndarray:
    """Labels of n images, (n,): whole numbers or str.

    Raises InputError on other types and shapes, and on another number of labels.
    """
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2:
        raise InputError(f"{where}: labels are {array.shape}, expected one for each image; one-hot: y.argmax(axis=1)")
    if array.ndim != 1 or len(array) != n:
        raise InputError(f"{where}: {n} images but labels {array.shape}; they do not belong together")
    kind = array.dtype.kind
    if kind == "S":
        return np.char.decode(array, "utf-8", "replace")
    if kind == "f" and (array == np.rint(array)).all():
        return array.astype(np.int64)
    if kind not in "biuU":
        raise InputError(f"{where}: labels are {array.dtype}, expected whole numbers or names")
    return array.astype(np.int64) if kind in "bi" else array
