"""Time-to-first-spike encoding of images (Eq. 1)."""

import numpy as np

from s4nn_ref.errors import InputError

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


_MEANT = "bytes, whole numbers 0..255, floats in [0, 1] or booleans"


def intensities(images) -> np.ndarray:
    """Images of any usual type as intensities, by their type alone: nothing is scaled to what the images hold (D39).

    images : (n, H, W, C), or (n, H, W), which are grey. Bytes, and whole numbers 0..255 of another type, stay as they
             are; a float x in [0, 1] is floor(255 x + 1/2), so that bytes / 255 give these bytes again; False is 0 and
             True 255
    Returns uint8 (n, H, W, C); the images themselves where they are that already.
    Raises InputError on other values, types and ranks.
    """
    try:
        images = np.asarray(images)
    except ValueError:  # lists of different lengths
        raise InputError("images are of different sizes; bring them to one, (n, rows, columns, channels)") from None
    if images.ndim not in (3, 4):
        raise InputError(
            f"images are an array {images.shape}, expected (n, rows, columns, channels), or (n, rows, columns) of grey "
            "ones; give one image as image[None]"
        )
    kind = images.dtype.kind
    if kind not in "uifb":
        raise InputError(f"images are {images.dtype}, expected {_MEANT}")
    images = images[..., None] if images.ndim == 3 else images
    if images.dtype == np.uint8:
        return images
    if kind == "b":
        return images * np.uint8(255)
    least, most = (images.min(), images.max()) if images.size else (0, 0)
    if not (least >= 0 and most <= (1 if kind == "f" else 255)):  # NaN neither
        advice = "divide them by 255" if kind == "f" and least >= 0 and 128 <= most <= 255 else "scale or clip them"
        found = f"{images.dtype} from {least.item()!r} to {most.item()!r}"
        raise InputError(f"images are {found}, expected {_MEANT}; {advice}")
    if kind == "f":
        levels = images.astype(np.float64)
        levels *= 255
        levels += 0.5
        return levels.astype(np.uint8)  # which cuts: the floor
    return images.astype(np.uint8)


def encode(images: np.ndarray, t_max: int, encoding: str = "eq1") -> np.ndarray:
    """Firing times of images.

    images : (B, H, W, C), or grey (B, H, W), of a type that `intensities` takes
    Returns int16 (B, H, W, C), time steps in [0, t_max]; t_max = no spike.
    Raises InputError as `intensities` does.
    """
    return firing_times_of_intensities(t_max, encoding)[intensities(images)]


def latencies(images: np.ndarray, t_max: float, encoding: str = "eq1", intensity_max: int = 255) -> np.ndarray:
    """Firing times in continuous time.

    images   : (B, H, W, C), or grey (B, H, W), of a type that `intensities` takes
    encoding : "eq1", Eq. 1 without its brackets, black pixels silent (D33); or "binary", two times: z = exp(t) is 1 for
               pixels of at least half the largest intensity, and 6 for the others (Mostafa 2018, D37)
    Returns float64 (B, H, W, C), in the unit of t_max, or z; inf = no spike.
    Raises InputError as `intensities` does, and ValueError on another encoding.
    """
    intensity = np.arange(intensity_max + 1)
    if encoding == "eq1":
        t = (intensity_max - intensity) / intensity_max * t_max  # Eq. 1
        t[0] = np.inf
    elif encoding == "binary":
        t = np.where(2 * intensity >= intensity_max, 1.0, 6.0)
    else:
        raise ValueError(f'encoding must be "eq1" or "binary" in continuous time, not {encoding!r}')
    return t[intensities(images)]
