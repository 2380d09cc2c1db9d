"""Data sets in CSV files: a row for each image, its label and its pixels."""

import csv
import gzip
import zlib
from itertools import chain, islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from s4nn_ref.data import arrays
from s4nn_ref.errors import InputError, shown

_LABEL = ("label", "class", "target")  # what a header calls the column of labels
_ROWS = 1000  # that are converted together


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _column(path: Path, first: list[str]) -> tuple[int, bool]:
    """The column of labels, and whether the first row is a header: it says so, or has more words than a label."""
    words = sum(not _is_number(cell) for cell in first)
    named = [i for i, cell in enumerate(first) if cell.strip().lower() in _LABEL]
    if len(first) < 2:
        raise InputError(f"{path}: its first row has {len(first)} cell; write label and pixels, parted by commas")
    if not named and words > 1:
        raise InputError(
            f'{path}: its header, {shown(first[0])} to {shown(first[-1])}, names no column "label"; add the labels'
        )
    if named and not first[0].strip():
        raise InputError(f"{path}: its first column has no name; leave an index out, as to_csv(index=False) does")
    return (named[0], True) if named else (0, False)


def _numbers(path: Path, rows: list[list[str]], begin: int, column: int) -> np.ndarray:
    """Cells as numbers, float32 (rows, pixels); an InputError that names the place of one that is none.

    begin : line of the first row   column : of the labels, which are taken out
    """
    try:
        return np.array(rows, np.float32)
    except ValueError:
        length = len(rows[0])
        for line, row in enumerate(rows, begin):
            if len(row) != length:
                raise InputError(
                    f"{path}, line {line}: {len(row) + 1} cells, {length + 1} in others; is it cut?"
                ) from None
            for i, cell in enumerate(row):
                if not _is_number(cell):
                    at = i + 1 + (i >= column)
                    raise InputError(f"{path}, line {line}, column {at}: {shown(cell)} is not a number") from None
        raise


def _parsed(path: Path, lines) -> tuple[np.ndarray, np.ndarray]:
    """Pixels float32 (n, pixels), and labels (n,) of str or whole numbers."""
    rows = (row for row in csv.reader(lines, skipinitialspace=True) if row)
    first = next(rows, None)
    if first is None:
        raise InputError(f"{path} is empty; write a row for each image, its label and its pixels")
    column, header = _column(path, first)
    labels, parts, line = [], [], 1 + header
    rows = rows if header else chain([first], rows)
    with tqdm(desc=f"read {path.name}", unit="img", unit_scale=True, leave=False, disable=None) as bar:
        while some := list(islice(rows, _ROWS)):
            if short := next((i for i, row in enumerate(some) if len(row) <= column), None):
                raise InputError(f"{path}, line {line + short}: no label; is it cut?")
            labels += [row.pop(column).strip() for row in some]
            if parts and len(some[0]) != parts[0].shape[1]:
                raise InputError(
                    f"{path}, line {line}: {len(some[0]) + 1} cells, {parts[0].shape[1] + 1} in others; is it cut?"
                )
            parts.append(_numbers(path, some, line, column))
            line += len(some)
            bar.update(len(some))
    if not parts:
        raise InputError(f"{path} holds a header and no images")
    return np.concatenate(parts), _of_one_kind(np.array(labels))


def _of_one_kind(labels: np.ndarray) -> np.ndarray:
    """Labels that are all whole numbers as such: 7.0 and 7 are one class."""
    try:
        values = labels.astype(np.float64)
    except ValueError:
        return labels
    whole = np.isfinite(values).all() and (values == np.rint(values)).all() and np.abs(values).max() < 2**53
    return values.astype(np.int64) if whole else labels


def read(path: Path, shape: tuple[int, int, int] | None) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (n, H, W, C) and labels (n,) of a CSV file, which may be gzipped.

    The label is the first cell, or the column that the header calls label, class or target.
    shape : of an image, where the user names it; else pixels are grey squares
    Raises InputError, which names line and column, where a pixel is no number from 0 to 255, and on unequal rows.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            pixels, labels = _parsed(path, file)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise InputError(f"{path} is a cut or damaged gzip file; fetch it again") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text in UTF-8; save it as such") from None
    except csv.Error as error:
        raise InputError(f"{path} is no CSV file: {error}") from None
    return arrays.pixels(pixels, shape, path), labels
