"""The embedded data set `glyphs`: grey digits drawn from the fonts that come with matplotlib, randomly distorted.

A stand-in for MNIST where there is no network and no data set. No result of the paper is ever claimed from it.
"""

from functools import cache
from pathlib import Path

import numpy as np
from scipy import ndimage

SIZE = 28  # rows and columns of an image
N_IMAGES = {"train": 8000, "test": 2000}
_SEED = {"train": 20230227, "test": 20231010}
_OVERSAMPLING = 4  # a master glyph is drawn this many times larger
_FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSerif",
    "DejaVuSerif-Bold", "DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "cmb10", "cmr10",
    "cmss10", "cmtt10",
)  # fmt: skip


def _master(font_file: Path, digit: int) -> np.ndarray:
    """A digit in the middle of a large square: float (112, 112) in [0, 1], 20/28 of it high, as in MNIST."""
    from matplotlib.ft2font import FT2Font

    side = SIZE * _OVERSAMPLING
    font = FT2Font(str(font_file))
    font.set_size(side, 72)
    font.set_text(str(digit), 0.0)
    font.draw_glyphs_to_bitmap(antialiased=True)
    glyph = np.asarray(font.get_image(), float) / 255.0
    glyph = glyph[glyph.any(axis=1)][:, glyph.any(axis=0)]
    glyph = ndimage.zoom(glyph, 20 * _OVERSAMPLING / max(glyph.shape), order=1)
    top, left = (side - glyph.shape[0]) // 2, (side - glyph.shape[1]) // 2
    square = np.zeros((side, side))
    square[top : top + glyph.shape[0], left : left + glyph.shape[1]] = glyph
    return square


@cache
def _masters() -> np.ndarray:
    """float (10 digits, fonts * 3 stroke widths, 112, 112), smoothed so that it can be sampled at every 4th pixel."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    stroke = _OVERSAMPLING + 1
    rows = []
    for digit in range(10):
        row = []
        for name in _FONTS:
            plain = _master(folder / f"{name}.ttf", digit)
            thin, thick = ndimage.grey_erosion(plain, stroke - 2), ndimage.grey_dilation(plain, stroke)
            row += [ndimage.gaussian_filter(glyph, 0.5 * _OVERSAMPLING) for glyph in (thin, plain, thick)]
        rows.append(row)
    return np.array(rows)


def make_glyphs(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """n random digits: images uint8 (n, 28, 28, 1) and labels uint8 (n,), the same for the same seed."""
    rng = np.random.default_rng(seed)
    masters = _masters()
    labels = rng.integers(0, 10, n)
    variant = rng.integers(0, masters.shape[1], n)
    angle = np.deg2rad(rng.uniform(-15, 15, n))
    scale = rng.uniform(0.8, 1.15, (n, 2))
    shear = rng.uniform(-0.25, 0.25, n)
    shift = rng.uniform(-1.5, 1.5, (n, 2))
    elastic = ndimage.gaussian_filter(rng.standard_normal((n, 2, SIZE, SIZE)), (0, 0, 4, 4)) * 12.0
    noise = rng.normal(0.0, 0.04, (n, SIZE, SIZE))
    centre = (SIZE - 1) / 2
    y, x = np.mgrid[:SIZE, :SIZE] - centre
    images = np.empty((n, SIZE, SIZE))
    for i in range(n):
        cos, sin = np.cos(angle[i]), np.sin(angle[i])
        yy = (cos * y - sin * x) / scale[i, 0] + shift[i, 0] + elastic[i, 0]
        xx = (sin * y + cos * x + shear[i] * y) / scale[i, 1] + shift[i, 1] + elastic[i, 1]
        at = (np.array([yy, xx]) + centre + 0.5) * _OVERSAMPLING - 0.5
        images[i] = ndimage.map_coordinates(masters[labels[i], variant[i]], at, order=1)
    ink = images > 0.05  # noise on the stroke only: the background of MNIST is clean
    images = np.clip(images / images.max(axis=(1, 2), keepdims=True) * 1.05 + noise * ink, 0.0, 1.0) * ink
    return np.rint(images * 255).astype(np.uint8)[..., None], labels.astype(np.uint8)


def make_split(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of the "train" or "test" split, made in a few seconds."""
    return make_glyphs(N_IMAGES[split], _SEED[split])
