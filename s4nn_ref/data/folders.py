"""Data sets in folders of pictures: NAME/train/CLASS/*.png and NAME/test/CLASS/*.png, or NAME/CLASS/*.png."""

from collections import Counter
from pathlib import Path

import numpy as np
from tqdm import tqdm

from s4nn_ref.data.arrays import EVERY, without_test_images
from s4nn_ref.data.classes import listed
from s4nn_ref.data.pictures import form_of, read_image
from s4nn_ref.errors import InputError

_SUFFIXES = (".png", ".jpg", ".jpeg")
_SPLITS = ("train", "test")
LONGEST = 64  # side to which pictures of unlike size are scaled where none is named


def _seen(folder: Path) -> list[Path]:
    """What a folder holds, in the order of names, without hidden files."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _pictures(folder: Path, advice: str) -> tuple[list[Path], list[str], Counter]:
    """Pictures of every class in a folder, the class of each, and how many other files there are of which kind."""
    files, labels, others = [], [], Counter()
    for place in _seen(folder):
        if not place.is_dir():
            others[place.suffix.lower() or place.name] += 1
            continue
        inside = _seen(place)
        found = [path for path in inside if path.suffix.lower() in _SUFFIXES and path.is_file()]
        others.update(path.suffix.lower() or path.name for path in inside if path not in found and path.is_file())
        if not found:
            what = "only folders" if inside and all(path.is_dir() for path in inside) else "no .png or .jpg file"
            raise InputError(f"{place} holds {what}; {advice}")
        files += found
        labels += [place.name] * len(found)
    return files, labels, others


def _common(forms: list[tuple[int, int, int]]) -> tuple[tuple[int, int, int], str]:
    """The size (H, W, C) to which pictures are brought, and what is to be said of it.

    The size that all have; else the medians of rows and columns, the longer side at most LONGEST. 1 channel where none
    has colour.
    """
    channels, sizes = max(form[2] for form in forms), [form[:2] for form in forms]
    few, many = (pick(sizes, key=lambda size: (size[0] * size[1], size)) for pick in (min, max))
    if few == many:
        return (*few, channels), ""
    rows, columns = np.median(sizes, axis=0)
    scale = min(1.0, LONGEST / max(rows, columns))
    shape = (max(1, round(rows * scale)), max(1, round(columns * scale)), channels)
    return shape, (
        f"pictures are from {few[1]} x {few[0]} to {many[1]} x {many[0]} pixels; network.input_shape = {list(shape)} "
        "is taken, name another if you like"
    )


def _split(path: Path, split: str) -> tuple[list[Path], np.ndarray, list[str]]:
    """Pictures of one split, the class of each (n,), and what is to be said of it."""
    halves, inside, notes = [name for name in _SPLITS if (path / name).is_dir()], path, []
    if halves:
        inside = path / (split if split in halves else "train")
        if not inside.is_dir():
            raise InputError(f"{path} has a folder test and no folder train; add {inside}/CLASS/*.png")
    advice = f"pictures are in {inside}/CLASS/*.png" + ("" if halves else f", or in {path}/train/CLASS/*.png")
    files, labels, others = _pictures(inside, f"{advice}; remove the folder, or fill it")
    if not files:
        raise InputError(f"{inside} holds no folder of pictures; {advice}")
    labels = np.array(labels)
    if "test" not in halves:
        index = without_test_images(labels, split)
        files, labels = [files[i] for i in index], labels[index]
        notes.append(f"there is no folder test: every {EVERY}th picture of a class, by name, is a test image")
        if not files:
            raise InputError(f"{inside} has too few pictures for test images; add some, at least two of a class")
    if halves and (more := [one.name for one in _seen(path) if one.is_dir() and one.name not in _SPLITS]):
        notes.append(f"{listed(more)} beside train is not read: validation images are taken from the training images")
    if others:
        kinds = listed(f"{n} {kind}" for kind, n in sorted(others.items()))
        notes.append(f"{sum(others.values())} files in {inside} are no .png or .jpg and are not read ({kinds})")
    return files, labels, notes


def _bar(files: list[Path], what: str):
    """Files, with a bar where stderr is a terminal."""
    return tqdm(files, what, unit="img", unit_scale=True, leave=False, disable=None)


def read(path: Path, split: str, shape: tuple[int, int, int] | None) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Images uint8 (n, H, W, C), labels (n,) and what is to be said of one split of a folder of pictures.

    shape : to which pictures are scaled, their aspect kept; None: see `_common`
    Raises InputError on pictures that cannot be read, and on classes without any.
    """
    files, labels, notes = _split(path, split)
    if shape is None:
        shape, said = _common([form_of(file) for file in _bar(files, f"sizes of {path.name} {split}")])
        notes += [said] * bool(said)
    images, scaled = np.empty((len(files), *shape), np.uint8), 0
    for i, file in enumerate(_bar(files, f"read {path.name} {split}")):
        picture = read_image(file, shape)
        images[i], scaled = picture.image, scaled + bool(picture.fitted)
    if scaled:
        rows, columns = shape[:2]
        notes.append(
            f"{scaled} of {len(files)} pictures are scaled to {columns} x {rows} pixels, their aspect kept, and padded "
            "with their background"
        )
    return images, labels, notes
