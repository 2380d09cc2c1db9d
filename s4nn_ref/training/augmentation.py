"""Random shifts, flips, affine maps and erased squares of training images (D14).

Nearest neighbour on purpose: interpolation would invent grey values, and with them firing times that no image of the
data set has.
"""

from dataclasses import dataclass, field

import numpy as np
from numba import prange

from s4nn_ref.kernels.compile import kernel

_PIXELS = {"least": 0, "most": 10_000}  # no image is as large


@dataclass(frozen=True)
class Settings:
    """Random changes of training images: section [augment].

    shift       : pixels, uniform in [-shift, shift]
    probability : of a rotation (degrees), scale (relative) and shear (relative), each uniform in +-
    flip        : with probability 1/2 left and right are swapped
    erase       : with probability 1/2 a square of at most erase x erase pixels is blanked
    epochs      : all but the flip ends after this many epochs (0: with the run)
    """

    shift: int = field(default=0, metadata=_PIXELS)
    probability: float = field(default=0.0, metadata={"least": 0, "most": 1})
    rotation: float = field(default=0.0, metadata={"least": 0, "most": 180})
    scale: float = field(default=0.0, metadata={"least": 0, "below": 1})
    shear: float = field(default=0.0, metadata={"least": 0, "below": 1})
    flip: bool = False
    erase: int = field(default=0, metadata=_PIXELS)
    epochs: int = field(default=0, metadata={"least": 0})

    def at(self, epoch: int) -> "Settings":
        """What is done in an epoch, counted from 0."""
        return self if not self.epochs or epoch < self.epochs else Settings(flip=self.flip)

    @property
    def active(self) -> bool:
        return self.shift > 0 or self.probability > 0 or self.flip or self.erase > 0


def draw_maps(config: Settings, n: int, rng: np.random.Generator) -> np.ndarray:
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


@kernel(parallel=True)
def apply_maps(images, affine, out):
    """Resample images through affine maps, nearest neighbour, 0 outside.

    images : uint8 (B, H, W, C)   affine : float64 (B, 2, 3), see draw_maps   Overwrites out (B, H, W, C).
    Twin: tests/twins.py, `apply_map`
    """
    n, height, width, channels = images.shape
    centre_y, centre_x = (height - 1) / 2, (width - 1) / 2
    for b in prange(n):
        a = affine[b]
        for y in range(height):
            for x in range(width):
                dy, dx = y - centre_y, x - centre_x
                yy = int(np.floor(a[0, 0] * dy + a[0, 1] * dx + a[0, 2] + centre_y + 0.5))
                xx = int(np.floor(a[1, 0] * dy + a[1, 1] * dx + a[1, 2] + centre_x + 0.5))
                inside = (yy >= 0) & (yy < height) & (xx >= 0) & (xx < width)
                for c in range(channels):
                    out[b, y, x, c] = images[b, yy, xx, c] if inside else 0


def erase(images: np.ndarray, side: int, rng: np.random.Generator) -> None:
    """Blank, with probability 1/2, a square of at most side x side pixels of each image (B, H, W, C), in place.

    Blank pixels send no spike: what is to be recognised must not depend on one part of the picture.
    """
    n, height, width, _ = images.shape
    size = np.where(rng.random(n) < 0.5, rng.integers(1, side + 1, n), 0)[:, None, None]
    top, left = rng.integers(0, height, (n, 1, 1)), rng.integers(0, width, (n, 1, 1))
    y, x = np.arange(height)[None, :, None], np.arange(width)[None, None, :]
    images[(y >= top) & (y < top + size) & (x >= left) & (x < left + size)] = 0


def augment(config: Settings, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Augmented copy of uint8 images (B, H, W, C)."""
    out = np.empty_like(images)
    apply_maps(images, draw_maps(config, len(images), rng), out)
    if config.erase > 0:
        erase(out, config.erase, rng)
    return out
