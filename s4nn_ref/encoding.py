"""Time-to-first-spike encoding of images (Eq. 1)."""

import numpy as np

IN_STEPS, CONTINUOUS = ("eq1", "intensity"), ("eq1", "binary")  # encodings of either kind of time


def firing_times_of_intensities(t_max: int, encoding: str = "eq1", intensity_max: int = 255) -> np.ndarray:
    """Firing time of each intensity 0..intensity_max (Eq. 1).

    Parameters
    ----------
    t_max    : simulation time, time steps
    encoding : "eq1", whose brackets are read as the floor (D1); or "intensity", t = intensity_max - intensity, a step
               for each grey level, so that with t_max > intensity_max black pixels fire too, and intensities that would
               come at t_max or later are silent (D26)
    Returns
    -------
    int16 (intensity_max + 1,), time steps; t_max = no spike, which Eq. 1 gives intensity 0.
    Raises
    ------
    ValueError : another encoding
    """
    intensity = np.arange(intensity_max + 1, dtype=np.int64)
    if encoding == "eq1":
        t = (intensity_max - intensity) * t_max // intensity_max  # Eq. 1
    elif encoding == "intensity":
        t = np.minimum(intensity_max - intensity, t_max)
    else:
        raise ValueError(f'encoding must be "eq1" or "intensity", not {encoding!r}')
    return t.astype(np.int16)


def _checked(images: np.ndarray) -> np.ndarray:
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(f"images are {images.dtype} {images.shape}, expected uint8 (n, rows, columns, channels)")
    return images


def encode(images: np.ndarray, t_max: int, encoding: str = "eq1") -> np.ndarray:
    """Firing times of images.

    images : uint8 (B, H, W, C), intensities
    Returns int16 (B, H, W, C), time steps in [0, t_max]; t_max = no spike.
    Raises ValueError on arrays of another type or rank.
    """
    return firing_times_of_intensities(t_max, encoding)[_checked(images)]


def latencies(images: np.ndarray, t_max: float, encoding: str = "eq1", intensity_max: int = 255) -> np.ndarray:
    """Firing times in continuous time.

    images   : uint8 (B, H, W, C)
    encoding : "eq1", Eq. 1 without its brackets, black pixels silent (D33); or "binary", two times: z = exp(t) is 1 for
               pixels of at least half the largest intensity, and 6 for the others (Mostafa 2018, D37)
    Returns float64 (B, H, W, C), in the unit of t_max, or z; inf = no spike.
    Raises ValueError on arrays of another type or rank, and on another encoding.
    """
    intensity = np.arange(intensity_max + 1)
    if encoding == "eq1":
        t = (intensity_max - intensity) / intensity_max * t_max  # Eq. 1
        t[0] = np.inf
    elif encoding == "binary":
        t = np.where(2 * intensity >= intensity_max, 1.0, 6.0)
    else:
        raise ValueError(f'encoding must be "eq1" or "binary" in continuous time, not {encoding!r}')
    return t[_checked(images)]
