"""Checkpoints: all that decides how an interrupted run goes on."""

import json
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np

from s4nn_ref.errors import InputError
from s4nn_ref.files import read_npz, write_npz
from s4nn_ref.metrics import Validation, layer_names
from s4nn_ref.schema import Array, Count, Positive, Range, Share

FORMAT = "s4nn_ref checkpoint 4"
# keys that checkpoints did not have from the beginning, and the values that those without them stand for
LATER = {"learning": {"spike_penalty": 0.0, "distillation": 0.0, "temperature": 15.0}}


class Row(TypedDict):
    """A finished epoch, in the history of a checkpoint or a record."""

    epoch: Count
    cost: float
    train_accuracy: Share
    seconds: Positive
    images_per_second: Positive
    w_abs_mean: list[Positive]
    validation: NotRequired[Validation]


class Sums(TypedDict):
    """Sums over the images of the current epoch."""

    images: Count
    cost: float
    right: Count
    seconds: Positive


class Progress(TypedDict):
    """Where a run stands."""

    epoch: Count
    batch: Count
    running: Sums
    history: list[Row]
    best_epoch: Count


class Origin(TypedDict):
    """A trained network that a run began from (D35) or learned from (D48)."""

    file: str
    sha256: str


class _Meta(TypedDict):
    config: dict
    start: NotRequired[Origin | None]
    teachers: NotRequired[list[Origin]]
    images: Count
    sha256: list[str]
    progress: Progress


def write(path: Path, identity: dict, progress: Progress, arrays: dict[str, np.ndarray]) -> None:
    """identity : JSON-ready, what must be the same for the run to go on   progress : JSON-ready   arrays : its state"""
    write_npz(path, arrays, {"format": FORMAT, **identity, "progress": progress})


def whole(history: list[Row], layers: tuple[str, ...]) -> bool:
    """Whether a history has every epoch once, and its metrics are of these layers. layers : input first"""
    names = layer_names(layers)
    spikes = [row["validation"]["mrn"]["layers"] for row in history if "validation" in row]
    return [row["epoch"] for row in history] == list(range(1, len(history) + 1)) and all(
        list(counts) == names for counts in spikes
    )


def read(path: Path, identity: dict, arrays: dict[str, np.ndarray]) -> Progress:
    """The progress of a run of this identity; fills its arrays in place.

    Raises InputError on a file that is cut, incomplete, of another release, experiment or start, or of other images.
    """

    def expected(meta: dict) -> dict[str, Array]:
        _check_same(path, meta, json.loads(json.dumps(identity)))
        return {key: _array_like(target) for key, target in arrays.items()}

    stored, meta = read_npz(path, FORMAT, _Meta, expected)
    progress = meta["progress"]
    if not progress["best_epoch"] <= progress["epoch"] == len(progress["history"]):
        raise InputError(f"{path} is damaged: its epochs and its history disagree; start anew with --force")
    for key, target in arrays.items():
        target[...] = stored[key]
    return progress


def _array_like(target: np.ndarray) -> Array:
    """What is stored of an array of a run's state: finite floats, for `Training.save` writes no others."""
    if target.dtype.kind != "f":
        return Array(target.dtype.kind, target.shape)
    largest = float(np.finfo(target.dtype).max)
    return Array("f", target.shape, Range(-largest, largest))


def _check_same(path: Path, meta: dict, now: dict) -> None:
    """Raise InputError where a checkpoint is of another experiment or of other images."""
    data = meta["config"].get("data")
    if isinstance(data, dict) and "names" not in data:  # until 0.3.0 names of classes were not kept
        data["names"] = now["config"]["data"]["names"]
    for section, keys in LATER.items():
        if isinstance(was := meta["config"].get(section), dict):
            was |= {key: value for key, value in keys.items() if key in now["config"][section] and key not in was}
    for section in {**meta["config"], **now["config"]}:
        was, keys = meta["config"].get(section), now["config"].get(section)
        if was != keys:
            raise InputError(
                f"{path} belongs to another experiment: {_difference(section, was, keys)}; restore the configuration, "
                "or start anew with --force or another --out"
            )
    if (meta["images"], meta["sha256"]) != (now["images"], now["sha256"]):
        raise InputError(f"{path} was trained on other images ({meta['images']}); use the same --data and --limit")
    begun, asked = meta.get("start") or {}, now["start"] or {}
    if begun.get("sha256") != asked.get("sha256"):
        names = [start.get("file", "random weights") for start in (begun, asked)]
        same = "give the same --init" if begun else "leave --init out"
        raise InputError(f"{path} began from {names[0]}, not from {names[1]}; {same}, or use --force or another --out")
    taught, asked = (named(of.get("teachers", [])) for of in (meta, now))
    if taught != asked:
        raise InputError(
            f"{path} learned from {taught}, not from {asked}; give the same teachers in the same order, or use --force "
            "or another --out"
        )


def named(teachers: list[Origin]) -> str:
    """The teachers of a run, for people: those of two runs are the same where the texts are."""
    return ", ".join(f"{one['file']} ({one['sha256'][:8]})" for one in teachers) or "no teacher"


def _difference(section: str, was, now) -> str:
    """The keys of a section that differ, and how."""
    if not isinstance(was, dict) or not isinstance(now, dict):
        return f"{section} was {was}, now {now}"
    keys = [key for key in {**was, **now} if was.get(key) != now.get(key)]
    return ", ".join(f"{section}.{key} was {was.get(key)}, now {now.get(key)}" for key in keys)
