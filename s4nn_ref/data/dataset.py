"""Images and labels of one split, from IDX files, mirrors or the embedded digits."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from s4nn_ref.data import glyphs, idx
from s4nn_ref.errors import InputError


@dataclass(frozen=True)
class Settings:
    """What is learned: section [data].

    dataset    : "mnist", "fashion-mnist", "glyphs", or the name of a folder with IDX files
    validation : training images held out, to choose the epoch; "auto": a tenth of them, at most 5000 (D19)
    encoding   : of pixels as firing times, Eq. 1 (D1), a step for each grey level (D26), or two times (D37); see
                 encoding.py
    """

    dataset: str = "mnist"
    validation: int | Literal["auto"] = field(default="auto", metadata={"least": 0})
    encoding: Literal["eq1", "intensity", "binary"] = "eq1"


@dataclass(frozen=True)
class Dataset:
    """Images and labels of one split, and where they come from.

    images : uint8 (n, H, W, C), intensities   labels : uint8 (n,)   sha256 : of the uncompressed images and labels
    """

    name: str
    split: str
    images: np.ndarray
    labels: np.ndarray
    sha256: tuple[str, str]

    def part(self, index) -> "Dataset":
        """The images that an index or slice names."""
        return Dataset(self.name, self.split, self.images[index], self.labels[index], self.sha256)

    def head(self, limit: int | None) -> "Dataset":
        """The first `limit` images, or all."""
        return self.part(slice(limit))


def check_fits(dataset: Dataset, network) -> None:
    """Raise InputError where images are not of the network's size, or a label has no output neuron."""
    shape = dataset.images.shape[1:]
    if shape != network.input_shape:
        found, needed = ("x".join(map(str, s)) for s in (shape, network.input_shape))
        raise InputError(
            f"{dataset.name} images are {found}, the network reads {needed}; choose other data or input_shape"
        )
    largest = int(dataset.labels.max(initial=0))
    if largest >= network.n_classes:
        raise InputError(
            f"{dataset.name} {dataset.split} has label {largest}, but {network.structure} has only output neurons "
            f"0..{network.n_classes - 1}"
        )


def load(name: str, split: str, data_dir: Path | None = None) -> Dataset:
    """Images and labels of "train" or "test" of a data set, from disk or else from a mirror.

    data_dir : when given, the only folder searched
    Raises InputError on missing, truncated, swapped or corrupt files and on labels out of range.
    """
    if name == "glyphs":
        images, labels = glyphs.make_split(split)
        digests = tuple(hashlib.sha256(array.tobytes()).hexdigest() for array in (images, labels))
        return Dataset(name, split, images, labels, digests)
    arrays, digests = {}, []
    for what in ("images", "labels"):
        filename = idx.FILES[split, what]
        path = idx.find(name, filename, data_dir)
        if path is None and data_dir:
            raise InputError(f"{name}/{filename}[.gz] not found in {data_dir}; correct --data, or leave it out")
        path = path or idx.fetch(name, filename)
        content = idx.read(path)
        arrays[what] = idx.parse_idx(content, what, path)  # first: it tells more than a checksum
        digests.append(idx.checked(name, filename, content, path))
    images, labels = arrays["images"], arrays["labels"]
    if len(images) != len(labels):
        raise InputError(
            f"{name} {split}: {len(images)} images but {len(labels)} labels; the files do not belong together"
        )
    return Dataset(name, split, images, labels, (digests[0], digests[1]))
