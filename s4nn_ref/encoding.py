"""Time-to-first-spike encoding of images (Eq. 1)."""

import numpy as np


def firing_times_of_intensities(t_max: int, rounding: str = "floor", intensity_max: int = 255) -> np.ndarray:
    """Firing time of each intensity 0..intensity_max (Eq. 1).

    Parameters
    ----------
    t_max    : simulation time, time steps
    rounding : "floor" or "nearest", the brackets of Eq. 1 (D1); "intensity": t = intensity_max - intensity, a step
               for each grey level, so that with t_max > intensity_max black pixels fire too; intensities that would
               come at t_max or later are silent (D26)
    Returns
    -------
    int16 (intensity_max + 1,): t = [(intensity_max - intensity) / intensity_max * t_max], where intensity 0 gives
    t_max, no spike; or as "intensity" says.
    """
    numerator = (intensity_max - np.arange(intensity_max + 1, dtype=np.int64)) * t_max
    if rounding == "floor":
        t = numerator // intensity_max
    elif rounding == "nearest":
        t = (2 * numerator + intensity_max) // (2 * intensity_max)
    elif rounding == "intensity":
        t = np.minimum(intensity_max - np.arange(intensity_max + 1), t_max)
    else:
        raise ValueError(f'rounding must be "floor", "nearest" or "intensity", not {rounding!r}')
    return t.astype(np.int16)  # Eq. 1


def encode(images: np.ndarray, t_max: int, rounding: str = "floor") -> np.ndarray:
    """Firing times of images.

    images : uint8 (B, H, W) or (B, H, W, C), intensities
    Returns int16 (B, H, W, C), time steps in [0, t_max]; t_max = no spike.
    """
    t = firing_times_of_intensities(t_max, rounding)[images]
    return t if t.ndim == 4 else t[..., None]
