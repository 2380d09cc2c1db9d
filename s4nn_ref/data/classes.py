"""Classes and their names: of data sets whose makers published them, and of labels of any kind."""

import string
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from s4nn_ref.errors import InputError, shown

_DIGITS, _UPPER = tuple(string.digits), tuple(string.ascii_uppercase)
# lower-case letters that EMNIST's makers did not merge with the upper-case ones (Cohen et al. 2017)
_UNMERGED = tuple("abdefghnqrt")
_FASHION = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_MAX_CLASSES = 2**16


class Known(NamedTuple):
    """What is known of a data set before it is read: size (H, W, C) of its images, and names of its classes."""

    shape: tuple[int, int, int]
    classes: tuple[str, ...]


EMNIST = {
    "emnist-balanced": _DIGITS + _UPPER + _UNMERGED,
    "emnist-bymerge": _DIGITS + _UPPER + _UNMERGED,
    "emnist-byclass": _DIGITS + _UPPER + tuple(string.ascii_lowercase),
    "emnist-letters": _UPPER,
    "emnist-digits": _DIGITS,
    "emnist-mnist": _DIGITS,
}
_KNOWN = {"mnist": _DIGITS, "fashion-mnist": _FASHION, "glyphs": _DIGITS, **EMNIST}


def known(name: str) -> Known | None:
    """What is known of a data set of this name; None of a user's own."""
    return Known((28, 28, 1), _KNOWN[name]) if name in _KNOWN else None


def without_numbers(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Names of classes as configurations hold them: none where they are 0, 1, 2 and so on."""
    return () if classes == tuple(map(str, range(len(classes)))) else classes


def listed(names: Iterable[str], most: int = 8) -> str:
    """Names as a line shows them: "cat, dog, fish"; of many the first ones and the last."""
    names = tuple(names)
    return ", ".join(names if len(names) <= most else (*names[: most - 1], "...", names[-1]))


def number_of(name: str) -> int | None:
    """The whole number >= 0 that a name is, written as Python writes it; else None."""
    return int(name) if name.isascii() and name.isdigit() and str(int(name)) == name else None


def _place(name: str) -> tuple:
    """Where a name stands among others: whole numbers first, by their value, then by code points."""
    digits = name.removeprefix("-")
    whole = digits.isascii() and digits.isdigit() and len(digits) < 20
    return (0, int(name), name) if whole else (1, 0, name)


def numbered(labels: np.ndarray, where) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the classes of labels, in their order, and the labels as numbers into them, uint8 or uint16 (n,).

    labels : (n,) of str or whole numbers   where : names them in errors
    Raises InputError on an empty label, and on more than 65,536 classes.
    """
    found, inverse = np.unique(labels, return_inverse=True)
    names = [str(one) for one in found.tolist()]
    for name in names:
        if not name.strip() or not name.isprintable():
            raise InputError(f"{where}: {shown(name)} is no name of a class; use printable characters")
    if len(names) > _MAX_CLASSES:
        raise InputError(f"{where}: {len(names):,} different labels, at most {_MAX_CLASSES:,} are possible")
    order = sorted(range(len(names)), key=lambda i: _place(names[i]))
    number = np.empty(len(names), np.uint8 if len(names) <= 256 else np.uint16)
    number[order] = np.arange(len(names))
    return tuple(names[i] for i in order), number[inverse]


def renumbering(own: tuple[str, ...], names: tuple[str, ...], where: str) -> list[int]:
    """The number that each class of `own` has among those called `names`.

    Own classes that are numbers are numbers of the named ones, if none of these is called by a number.
    Raises InputError where a class is not among them.
    """
    number = {name: i for i, name in enumerate(names)}
    if not any(number_of(name) is not None for name in names):
        number |= {str(i): i for i in range(len(names))}
    if unknown := [name for name in own if name not in number]:
        raise InputError(
            f"{where} has class{'es' * (len(unknown) > 1)} {listed(unknown)}, but the network's are {listed(names)}; "
            "choose other data, or train with these classes"
        )
    return [number[name] for name in own]
