"""Experiments, spaces of searches and networks that come with the package, by name.

A wheel carries them in s4nn_ref/share/ (setup.py); in a checkout they are experiments/ and weights/ beside the package.
"""

import re
import tomllib
from difflib import get_close_matches
from pathlib import Path

from s4nn_ref.errors import InputError

_PACKAGE = Path(__file__).resolve().parent.parent
_SHARE = _PACKAGE / "share"
_ROOT = _SHARE if _SHARE.is_dir() else _PACKAGE.parent


def _named(folder: Path, suffix: str) -> dict[str, Path]:
    """Files of a folder and of those in it, by their paths in it without suffix; the folder's own first."""
    paths = sorted(folder.rglob(f"*{suffix}"), key=lambda path: (len(path.parts), path.with_suffix("")))
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}


def experiments() -> dict[str, Path]:
    """Files of experiments, by name: "demo", "ladder/6-sparse"."""
    return {name: path for name, path in _named(_ROOT / "experiments", ".toml").items() if path.parent.name != "search"}


def spaces() -> dict[str, Path]:
    """Files of spaces for `s4nn search`, by name: "mnist"."""
    return _named(_ROOT / "experiments" / "search", ".toml")


def networks() -> dict[str, Path]:
    """Weights files, by name: "mnist-plus"."""
    return _named(_ROOT / "weights", ".npz")


def experiment(given: Path) -> Path:
    """The file of an experiment, given by its path or, where there is no such file, by its name.

    Raises InputError, which lists the names, where there is neither.
    """
    return _found(given, experiments(), "one of the experiments")


def space(given: Path) -> Path:
    """The file of a space, given as in `experiment`."""
    return _found(given, spaces(), "one of the spaces")


def network(given: Path) -> Path:
    """The weights file of a network, given as in `experiment`."""
    return _found(given, networks(), "one of the networks")


def _found(given: Path, known: dict[str, Path], what: str) -> Path:
    name = given.as_posix()
    if given.is_file() or (given.exists() and name not in known):  # what is no file, its reader complains of
        return given
    if name not in known:
        raise InputError(f"{given} not found; give a file, or {what}: {', '.join(_nearest(name, known))}")
    return known[name]


def _nearest(name: str, known: dict[str, Path]) -> list[str]:
    """All names, those that may be meant first."""
    plain = re.sub(r"^(?:experiments|weights)/|\.(?:toml|npz)$", "", name)
    close = get_close_matches(plain, known, n=3, cutoff=0.5)
    return close + [other for other in known if other not in close]


def overview() -> str:
    """What there is, for people: experiments with structure, data set and whether a trained network comes along."""
    rows, trained = [], networks()
    for name, path in experiments().items():
        table = tomllib.loads(path.read_text())
        rows.append((name, table["data"]["dataset"], table["network"]["structure"], "yes" if name in trained else ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    titles = ("experiment", "data set", "structure", "trained network")
    lines = [
        "  ".join(cell.ljust(max(width, len(title))) for cell, width, title in zip(row, widths, titles, strict=True))
        for row in (titles, *rows)
    ]
    return "\n".join([
        *(line.rstrip() for line in lines),
        "",
        "s4nn train NAME trains one; evaluate, predict, info, --init and --teacher take the name of a trained network.",
        f"Their files, to copy and change: {_ROOT / 'experiments'}",
    ])  # fmt: skip
