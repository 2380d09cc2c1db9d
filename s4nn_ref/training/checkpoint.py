"""Checkpoints: all that decides how an interrupted run goes on."""

import json
from pathlib import Path

import numpy as np

from s4nn_ref.errors import InputError
from s4nn_ref.files import read_npz, write_npz

FORMAT = "s4nn_ref checkpoint 4"


def write(path: Path, identity: dict, progress: dict, arrays: dict[str, np.ndarray]) -> None:
    """identity : JSON-ready, what must be the same for the run to go on   progress : JSON-ready   arrays : its state"""
    write_npz(path, arrays, {"format": FORMAT, **identity, "progress": progress})


def read(path: Path, identity: dict, arrays: dict[str, np.ndarray]) -> dict:
    """The progress of a run of this identity; fills its arrays in place.

    Raises InputError on a file that is cut, of another release, experiment or start, or of other images.
    """
    stored, meta = read_npz(path)
    if meta.get("format") != FORMAT:
        older = str(meta.get("format", "")).startswith("s4nn_ref checkpoint")
        if older:
            raise InputError(
                f"{path} is a checkpoint written before 0.2.0: finish the run with the release that wrote it, or start "
                "anew with --force"
            )
        raise InputError(f"{path} is not a checkpoint of s4nn")
    now = json.loads(json.dumps(identity))
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
    for key, target in arrays.items():
        if key not in stored or stored[key].shape != target.shape:
            raise InputError(f"{path} is damaged: {key} is missing or of the wrong size; start anew with --force")
        target[...] = stored[key]
    return meta["progress"]


def _difference(section: str, was, now) -> str:
    """The keys of a section that differ, and how."""
    if not isinstance(was, dict) or not isinstance(now, dict):
        return f"{section} was {was}, now {now}"
    keys = [key for key in {**was, **now} if was.get(key) != now.get(key)]
    return ", ".join(f"{section}.{key} was {was.get(key)}, now {now.get(key)}" for key in keys)
