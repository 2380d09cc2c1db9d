"""Random shifts, flips, affine maps, elastic distortions and erased squares of training images (D14).

Nearest neighbour on purpose: interpolation would invent grey values, and with them firing times that no image of the
data set has.
"""

import numpy as np
from numba import njit, prange

from s4nn_ref.config import AugmentConfig

_GRID = 5  # control points of an elastic distortion, per side: of an MNIST digit, one every 7 pixels


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


def draw_bends(config: AugmentConfig, n: int, rng: np.random.Generator) -> np.ndarray:
    """Random displacements of the control points of elastic distortions (Simard et al. 2003), in pixels.

    Returns float64 (n, 2, G, G), (y, x) of control points spread evenly over the image; (n, 2, 0, 0) for none.
    """
    if not config.elastic:
        return np.empty((n, 2, 0, 0))
    changed = rng.random(n) < config.probability
    return rng.normal(0.0, config.elastic, (n, 2, _GRID, _GRID)) * changed[:, None, None, None]


@njit(cache=True)
def _between(points, y, x):
    """Displacement between control points: bilinear in points (G, G) at y, x in [0, G - 1]."""
    i, j = min(int(y), points.shape[0] - 2), min(int(x), points.shape[1] - 2)
    y, x = y - i, x - j
    above = (1 - x) * points[i, j] + x * points[i, j + 1]
    below = (1 - x) * points[i + 1, j] + x * points[i + 1, j + 1]
    return (1 - y) * above + y * below


@njit(cache=True, parallel=True)
def apply_maps(images, affine, bends, out):
    """Resample images through affine maps and elastic distortions, nearest neighbour, 0 outside.

    images : uint8 (B, H, W)   affine : float64 (B, 2, 3), see draw_maps   bends : (B, 2, G, G), see draw_bends
    Overwrites out (B, H, W).   Oracle: tests/oracle.py::apply_map
    """
    n, height, width = images.shape
    centre_y, centre_x = (height - 1) / 2, (width - 1) / 2
    cells = bends.shape[2] - 1  # -1: nothing is bent
    for b in prange(n):
        a = affine[b]
        for y in range(height):
            for x in range(width):
                dy, dx = y - centre_y, x - centre_x
                y_in = a[0, 0] * dy + a[0, 1] * dx + a[0, 2] + centre_y
                x_in = a[1, 0] * dy + a[1, 1] * dx + a[1, 2] + centre_x
                if cells > 0:
                    y_grid, x_grid = y * cells / max(height - 1, 1), x * cells / max(width - 1, 1)
                    y_in += _between(bends[b, 0], y_grid, x_grid)
                    x_in += _between(bends[b, 1], y_grid, x_grid)
                yy, xx = int(np.floor(y_in + 0.5)), int(np.floor(x_in + 0.5))
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
    apply_maps(images, draw_maps(config, len(images), rng), draw_bends(config, len(images), rng), out)
    if config.erase > 0:
        erase(out, config.erase, rng)
    return out
