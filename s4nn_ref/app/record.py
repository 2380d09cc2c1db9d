"""The record of a run: record.json (what was run, every metric) and responses.npz (raw responses to test images)."""

import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import numba
import numpy as np

from s4nn_ref.app.legacy import is_old, modern
from s4nn_ref.config import Config
from s4nn_ref.errors import InputError
from s4nn_ref.files import read_npz, write_json, write_npz
from s4nn_ref.metrics import Responses

RECORD_FORMAT = "s4nn_ref record 1"
_CHECKOUT = Path(__file__).resolve().parent.parent.parent


def _git(*arguments: str) -> str | None:
    """Output of a git command in the checkout; None outside one (an installed package in another repository)."""
    if not (_CHECKOUT / ".git").exists():
        return None
    try:
        result = subprocess.run(
            ["git", *arguments], cwd=_CHECKOUT, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def environment() -> dict:
    """Revision, versions and machine that a record names. Revision and dirty are null outside a checkout."""
    revision = _git("rev-parse", "HEAD")
    packages = ("s4nn_ref", "numpy", "numba", "llvmlite", "scipy")
    return {
        "revision": revision,
        "dirty": bool(_git("status", "--porcelain", "--", "s4nn_ref", "experiments")) if revision else None,
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in packages}},
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": numba.get_num_threads(),
    }


def write_record(folder: Path, config: Config, content: dict, responses: Responses, labels: np.ndarray) -> None:
    """record.json with `content` after what was run, and the raw responses to the test set in responses.npz.

    The record is written last: where it stands, the run is complete.
    """
    names = ("t_out", "v_peak", "v_end", "v_late", "spikes", "silent_hidden")
    arrays = {name: getattr(responses, name) for name in names} | {"labels": labels}
    meta = {
        "format": RECORD_FORMAT,
        "layers": responses.layers,
        "t_max": responses.t_max,
        "never_fired": responses.never_fired,
    }
    write_npz(folder / "responses.npz", arrays, meta)
    write_json(
        folder / "record.json",
        {
            "format": RECORD_FORMAT,
            "experiment": config.name,
            "seed": config.training.seed,
            "config": config.as_dict(),
            **content,
        },
    )


def read_record(folder: Path) -> dict:
    """record.json of a run. Raises InputError where it is missing or not a record."""
    path = Path(folder) / "record.json"
    try:
        record = json.loads(path.read_text())
    except OSError:
        raise InputError(f"{path} not found; make it with: s4nn train experiments/NAME.toml --out {folder}") from None
    except ValueError:
        raise InputError(f"{path} is not JSON; make it again with s4nn train ... --force") from None
    if not isinstance(record, dict) or record.get("format") != RECORD_FORMAT:
        raise InputError(f"{path} is not a record of s4nn")
    if is_old(record.get("config", {})):
        record["config"] = modern(record["config"])
    return record


def read_responses(folder: Path) -> tuple[Responses, np.ndarray]:
    """Raw responses of a run to the test set, and its labels."""
    arrays, meta = read_npz(Path(folder) / "responses.npz")
    if meta.get("format") != RECORD_FORMAT:
        raise InputError(f"{folder}/responses.npz is not a record of s4nn")
    labels = arrays.pop("labels")
    return Responses(
        **arrays, never_fired=meta["never_fired"], layers=tuple(meta["layers"]), t_max=meta["t_max"]
    ), labels
