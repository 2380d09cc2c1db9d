"""A drawn digit brought into MNIST's form, by the rule of its makers (LeCun, Cortes, Burges: the MNIST database):

"size normalized to fit in a 20x20 pixel box while preserving their aspect ratio. The resulting images contain grey
levels as a result of the anti-aliasing technique used by the normalization algorithm. the images were centered in a
28x28 image by computing the center of mass of the pixels, and translating the image so as to position this point at the
center of the 28x28 field."
"""

from pathlib import Path

import numpy as np

from s4nn_ref.data.pictures import Picture, background, levels, read_pixels, resized
from s4nn_ref.errors import InputError

SIZE, BOX = 28, 20
CENTRE = 14  # row and column, from 0, in which MNIST's digits have their centre of mass (measured: 14.0 +- 0.3)
_INK = 0.15  # of the brightest stroke: what is fainter does not bound the digit


def _ink(image: np.ndarray) -> np.ndarray:
    """Brightness above the background, (h, w), scaled so that the brightest pixel is 1; zeros where all is alike."""
    above = np.maximum(image[..., 0] - background(image)[0], 0.0)
    return above / above.max() if above.max() > 0 else above


def like_mnist(image: np.ndarray) -> Picture:
    """A digit, light on dark, float (h, w, 1) from 0 to 1, as MNIST would show it: uint8 (28, 28, 1).

    Its background becomes black and its brightest pixel white; it is cut to its bounds and scaled to fit 20 x 20; its
    centre of mass comes to the centre of the frame, to the next pixel, as far as it is inside then.
    """
    ink = _ink(image)
    rows, columns = (np.flatnonzero((ink > _INK).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        said = "nothing is brighter than its background, so no digit is found; dark on light needs --invert"
        return Picture(np.zeros((SIZE, SIZE, 1), np.uint8), said)
    top, left = int(rows[0]), int(columns[0])
    digit = ink[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    scale = BOX / max(digit.shape)
    new = tuple(max(1, round(side * scale)) for side in digit.shape)
    small = resized(digit[..., None], new)[..., 0]
    small /= small.max()
    corner = [
        int(np.clip(round(CENTRE - np.average(np.arange(n), weights=small.sum(axis=1 - axis))), 0, SIZE - n))
        for axis, n in enumerate(new)
    ]
    framed = np.zeros((SIZE, SIZE, 1))
    framed[corner[0] : corner[0] + new[0], corner[1] : corner[1] + new[1], 0] = small
    (height, width), (h, w) = digit.shape, image.shape[:2]
    said = (
        f"of {w} x {h} pixels the digit's {width} x {height} at column {left}, row {top} are scaled to {new[1]} x "
        f"{new[0]}, and their centre of mass is put at the centre of {SIZE} x {SIZE}"
    )
    light = "; its background is light: is --invert as it should be?" if background(image)[0] > 0.5 else ""
    return Picture(levels(framed), said + light)


def read_like_mnist(path: Path, shape: tuple[int, int, int], invert: bool = False) -> Picture:
    """A PNG or JPEG of a digit in MNIST's form.

    shape  : (H, W, C) that the network reads; only (28, 28, 1) is MNIST's
    invert : for dark writing on light ground
    Raises InputError as `pictures.read_pixels`, and on another shape.
    """
    if shape != (SIZE, SIZE, 1):
        read = "x".join(map(str, shape))
        raise InputError(f"--like-mnist makes {SIZE}x{SIZE}x1 images, the network reads {read}; leave it out")
    image = read_pixels(path, 1)
    return like_mnist(1.0 - image if invert else image)
