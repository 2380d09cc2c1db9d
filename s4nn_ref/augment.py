"""Random shifts, flips, affine maps and erased squares of training images (D14).

Nearest neighbour on purpose: interpolation would invent grey values, and with them firing times that no image of the
data set has.
"""

import numpy as np
from numba import njit, prange

from s4nn_ref.config import AugmentConfig


def draw_maps(config: AugmentConfig, n: int, rng: np.random.Generator) -> np.ndarray:
    """Random affine maps from output to input pixels, about the centre.

    Returns float64 (n, 2, 3): (y, x) of the input = map[:, :2] @ (y, x) of the output + map[:, 2].
    """
    affine = np.zeros((n, 2, 3))
    affine[:, 0, 0] = affine[:, 1, 1] = 1.0
    if config.probability > 0:
        changed = rng.random(n) < config.probability
        angle = np.deg2rad(rng.uniform(-config.rotation, config.rotation, n)) * changed
        scale = 1.0 + rng.uniform(-config.scale, config.scale, n) * changed
        shear = rng.uniform(-config.shear, config.shear, n) * changed
        cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
        affine[:, 0, 0], affine[:, 0, 1] = cos, -sin
        affine[:, 1, 0], affine[:, 1, 1] = sin + shear * cos, cos - shear * sin
    if config.flip:
        affine[:, 1, :2] *= np.where(rng.random(n) < 0.5, -1.0, 1.0)[:, None]
    if config.shift > 0:
        affine[:, :, 2] = rng.integers(-config.shift, config.shift + 1, (n, 2))
    return affine


@njit(cache=True, parallel=True)
def apply_maps(images, affine, out):
    """Resample images through affine maps, nearest neighbour, 0 outside.

    images : uint8 (B, H, W)   affine : float64 (B, 2, 3), see draw_maps   Overwrites out (B, H, W).
    Oracle: tests/oracle.py::apply_map
    """
    n, height, width = images.shape
    centre_y, centre_x = (height - 1) / 2, (width - 1) / 2
    for b in prange(n):
        a = affine[b]
        for y in range(height):
            for x in range(width):
                dy, dx = y - centre_y, x - centre_x
                yy = int(np.floor(a[0, 0] * dy + a[0, 1] * dx + a[0, 2] + centre_y + 0.5))
                xx = int(np.floor(a[1, 0] * dy + a[1, 1] * dx + a[1, 2] + centre_x + 0.5))
                inside = (yy >= 0) & (yy < height) & (xx >= 0) & (xx < width)
                out[b, y, x] = images[b, yy, xx] if inside else 0


def erase(images: np.ndarray, side: int, rng: np.random.Generator) -> None:
    """Blank, with probability 1/2, a square of at most side x side pixels of each image (B, H, W), in place.

    Blank pixels send no spike: what is to be recognised must not hang on one part of the picture.
    """
    n, height, width = images.shape
    size = np.where(rng.random(n) < 0.5, rng.integers(1, side + 1, n), 0)[:, None, None]
    top, left = rng.integers(0, height, (n, 1, 1)), rng.integers(0, width, (n, 1, 1))
    y, x = np.arange(height)[None, :, None], np.arange(width)[None, None, :]
    images[(y >= top) & (y < top + size) & (x >= left) & (x < left + size)] = 0


def augment(config: AugmentConfig, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Augmented copy of uint8 images (B, H, W)."""
    out = np.empty_like(images)
    apply_maps(images, draw_maps(config, len(images), rng), out)
    if config.erase > 0:
        erase(out, config.erase, rng)
    return out
