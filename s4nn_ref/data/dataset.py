"""Images and labels of one split: the embedded digits, IDX files from disk or mirrors, pictures, NPZ and CSV files."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from s4nn_ref.data import arrays, folders, glyphs, idx, npz, table
from s4nn_ref.data.classes import known, listed, number_of, numbered, renumbering
from s4nn_ref.errors import InputError

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Settings:
    """What is learned: section [data].

    dataset    : "mnist", "fashion-mnist", "emnist-letters" and so on, "glyphs", or the name of own data (docs/data.md)
    names      : of the classes, in the order of the output neurons; (): those of the data, or numbers where they have
                 none (D40)
    validation : training images held out, to choose the epoch; "auto": a tenth of them, at most 5000 (D19)
    encoding   : of pixels as firing times, Eq. 1 (D1), a step for each grey level (D26), or two times (D37); see
                 encoding.py
    """

    dataset: str = "mnist"
    names: tuple[str, ...] = ()
    validation: int | Literal["auto"] = field(default="auto", metadata={"least": 0})
    encoding: Literal["eq1", "intensity", "binary"] = "eq1"


@dataclass(frozen=True)
class Dataset:
    """Images and labels of one split, and where they come from.

    images : uint8 (n, H, W, C), intensities   labels : uint8 or uint16 (n,)
    sha256 : of the uncompressed images and labels: of IDX files, or of the arrays as they were read
    names  : of the classes that labels number; () where the data have none: IDX files
    notes  : what was done to the data, for people
    """

    name: str
    split: str
    images: np.ndarray
    labels: np.ndarray
    sha256: tuple[str, str]
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; where they have none, the numbers up to the largest label."""
        return self.names or tuple(map(str, range(int(self.labels.max(initial=0)) + 1)))

    def part(self, index) -> "Dataset":
        """The images that an index or slice names."""
        return replace(self, images=self.images[index], labels=self.labels[index])

    def head(self, limit: int | None) -> "Dataset":
        """The first `limit` images, or all."""
        return self.part(slice(limit))

    def called(self, names: tuple[str, ...]) -> "Dataset":
        """The same images, labelled by the numbers that their classes have among `names`.

        Labels without names are numbers of these already. Where numbers stand for words, and which of `names` have no
        image, is noted. Raises InputError where a class is not among them.
        """
        own, labels, notes = self.classes, self.labels, self.notes
        if self.names:
            number = np.array(renumbering(own, names, f"{self.name} {self.split}"))
            labels = number[labels].astype(np.min_scalar_type(int(number.max())))
        if own[0] not in names and number_of(own[0]) is not None:
            notes += (f"classes are numbers: {listed(f'{i} is {name}' for i, name in enumerate(names))}",)
        present = set(labels.tolist())
        if absent := [name for i, name in enumerate(names) if i not in present]:
            notes += (f"there is no image of {listed(absent)}",)
        return replace(self, labels=labels, names=names, notes=notes)


def check_fits(dataset: Dataset, network) -> None:
    """Raise InputError where images are not of the network's size, or a label has no output neuron."""
    shape = dataset.images.shape[1:]
    if shape != network.input_shape:
        found, needed = ("x".join(map(str, s)) for s in (shape, network.input_shape))
        raise InputError(
            f"{dataset.name} images are {found}, the network reads {needed}; choose other data, or train with "
            f"network.input_shape = {list(shape)}"
        )
    largest = int(dataset.labels.max(initial=0))
    if largest >= network.n_classes:
        raise InputError(
            f"{dataset.name} {dataset.split} has label {largest}, but {network.structure} has only output neurons "
            f"0..{network.n_classes - 1}; choose other data, or train a structure that ends in -{largest + 1} or -auto"
        )


def _digests(*contents) -> tuple[str, ...]:
    return tuple(hashlib.sha256(content).hexdigest() for content in contents)


def _csv(path: Path) -> Path | None:
    """A CSV file, plain or gzipped, if there is one. path : without its ending"""
    found = (path.with_name(f"{path.name}{suffix}") for suffix in (".csv", ".csv.gz"))
    return next((one for one in found if one.is_file()), None)


def _read_csv(path: Path, split: str, shape, whole: bool):
    """A CSV file of one split, or that split of one that is `whole`."""
    (images, labels), notes = table.read(path, shape), []
    if whole:
        index = arrays.without_test_images(labels, split)
        images, labels = images[index], labels[index]
        notes.append(f"{path.name} is not split: every {arrays.EVERY}th image of a class is a test image")
    return images, labels, notes


def _found(folder: Path, name: str, split: str, shape) -> list:
    """(path, how to read it) of everything in a folder that may be the data set of this name, IDX files apart."""
    found, own = [], folder / name
    if (path := folder / f"{name}.npz").is_file():
        found.append((path, lambda path: npz.read(path, split, shape)))
    if path := _csv(own):
        found.append((path, lambda path: _read_csv(path, split, shape, whole=True)))
    train, test = _csv(own / "train"), _csv(own / "test")
    if train or test:
        path = (test if split == "test" else None) or train or own / "train.csv"
        found.append((path, lambda path: _read_csv(path, split, shape, whole=test is None)))
    elif own.is_dir():
        found.append((own, lambda path: folders.read(path, split, shape)))
    return found


def _own(name: str, split: str, data_dir: Path | None, shape=None) -> list:
    """As `_found`, of the first folder that has the data set; [] where it is glyphs or one of IDX files."""
    if known(name) or idx.is_there(name, data_dir):
        return []
    every = (_found(folder, name, split, shape) for folder in idx.search_path(data_dir))
    return next((found for found in every if found), [])


def is_idx(name: str, data_dir: Path | None = None) -> bool:
    """Whether a data set is one of IDX files: by its name, because they are there, or because nothing else is."""
    return name != "glyphs" and not _own(name, "train", data_dir)


def whereabouts(name: str, data_dir: Path | None = None) -> list[tuple[str, Path | None]]:
    """What a data set is read from, as (name, path); None where it is not there."""
    if name == "glyphs":
        return [(name, Path(glyphs.__file__))]
    if paths := dict.fromkeys(path for split in SPLITS for path, _ in _own(name, split, data_dir)):
        return [(name, path) for path in paths]
    return [(f"{name}/{filename}", idx.find(name, filename, data_dir)) for filename in idx.files(name).values()]


def verified(name: str, data_dir: Path | None = None) -> list[Dataset]:
    """Both splits of a data set, the test images labelled as the training images are.

    Raises InputError as `load`, and where the splits do not belong together.
    """
    train = load(name, "train", data_dir)
    test = load(name, "test", data_dir, train.images.shape[1:]).called(train.classes)
    if test.images.shape[1:] != train.images.shape[1:]:
        sizes = ["x".join(map(str, one.images.shape[1:])) for one in (train, test)]
        raise InputError(f"{name}: training images are {sizes[0]}, test images {sizes[1]}; they must be alike")
    return [train, test]


def load(name: str, split: str, data_dir: Path | None = None, shape: tuple[int, int, int] | None = None) -> Dataset:
    """Images and labels of "train" or "test" of a data set, from disk or else from a mirror.

    data_dir : when given, the only folder searched
    shape    : (H, W, C) to which pictures are scaled, and into which rows of pixels are cut; None: as they are
    Raises InputError on missing, truncated, swapped or corrupt files, and on pixels and labels that are none.
    """
    if name == "glyphs":
        images, labels = glyphs.make_split(split)
        return Dataset(name, split, images, labels, _digests(images.tobytes(), labels.tobytes()), known(name).classes)
    own = _own(name, split, data_dir, shape)
    if len(own) > 1:
        raise InputError(f"{' and '.join(str(path) for path, _ in own)} are both there; rename one of them")
    for path, read in own:
        images, labels, notes = read(path)
        names, labels = numbered(labels, path)
        notes += arrays.doubts(images)
        if split == "train" and len(names) == 1:
            notes.append(f"there is one class only, {names[0]}, and nothing to tell apart")
        return Dataset(name, split, images, labels, _digests(images, labels), names, tuple(notes))
    images, labels, digests = idx.load(name, split, data_dir)
    facts = known(name)
    return Dataset(name, split, images, labels, digests, facts.classes if facts else ())
