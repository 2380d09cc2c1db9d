"""The record of a run: record.json (what was run, every metric) and responses.npz (raw responses to test images)."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import NotRequired, TypedDict

import numba
import numpy as np

from s4nn_ref import __version__
from s4nn_ref.app.legacy import config_of_stored
from s4nn_ref.config import Config
from s4nn_ref.errors import InputError
from s4nn_ref.files import read_json, read_npz, write_json, write_npz
from s4nn_ref.metrics import Metrics, Responses, layer_names
from s4nn_ref.schema import Array, Count, Positive, Range, Share
from s4nn_ref.structure import parse_structure
from s4nn_ref.training.checkpoint import Origin, Row, whole

RECORD_FORMAT = "s4nn_ref record 1"
_CHECKOUT = Path(__file__).resolve().parent.parent.parent


class _Judged(TypedDict):
    """Metrics of the weights of one epoch."""

    epoch: Count
    test: Metrics
    train: Metrics


class _Splits(TypedDict):
    train: list[str]
    test: list[str]


class _Seconds(TypedDict):
    training: Positive
    evaluation: Positive


class _Versions(TypedDict):
    python: str
    s4nn_ref: str
    numpy: str
    numba: str
    llvmlite: str
    scipy: str


class _Environment(TypedDict):
    revision: str | None
    dirty: bool | None
    versions: _Versions
    cpu: str
    cores: Count | None
    threads: Count


class Record(TypedDict):
    """record.json: what was run, and every metric. `config` holds the tables of an experiment."""

    experiment: str
    seed: Count
    config: dict
    environment: _Environment
    dataset_sha256: _Splits
    limit: Count | None
    start: NotRequired[Origin | None]
    teachers: NotRequired[list[Origin]]
    seconds: _Seconds
    selected: _Judged
    last: _Judged
    history: list[Row]


class _ResponsesMeta(TypedDict):
    layers: list[str]
    t_max: Count
    never_fired: Share


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
    packages = ("numpy", "numba", "llvmlite", "scipy")
    return {
        "revision": revision,
        "dirty": bool(_git("status", "--porcelain", "--", "s4nn_ref", "experiments")) if revision else None,
        "versions": {
            "python": platform.python_version(),
            "s4nn_ref": __version__,  # of this source, whatever is installed
            **{name: metadata.version(name) for name in packages},
        },
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


def _agrees(record: Record, config: Config) -> bool:
    """Whether the metrics are those of this network, and the epochs those of the history."""
    n = config.network
    specs = parse_structure(n.structure, n.input_shape, n.padding)
    layers = ("input", *(spec.token for spec in specs))
    judged = [record[which] for which in ("selected", "last")]
    metrics = [of[split] for of in judged for split in ("test", "train")]
    return (
        whole(record["history"], layers)
        and all(of["epoch"] <= len(record["history"]) for of in judged)
        and all(len(of["aft"]) == specs[-1].shape_post[2] for of in metrics)
        and all(list(of["mrn"]["layers"]) == layer_names(layers) for of in metrics)
    )


def read_record(folder: Path) -> Record:
    """record.json of a run, its experiment in the keys of this release.

    Raises InputError where it is missing, incomplete or not a record.
    """
    path = Path(folder) / "record.json"
    record = read_json(path, RECORD_FORMAT, Record, f"s4nn train experiments/NAME.toml --out {folder}")
    config = config_of_stored(record["config"], path)
    if not _agrees(record, config):
        raise InputError(f"{path} is damaged: its epochs, classes or layers do not agree; make it again with --force")
    return {**record, "config": config.as_dict()}


def read_responses(folder: Path) -> tuple[Responses, np.ndarray]:
    """Raw responses of a run to the test set, and its labels.

    Raises InputError where they are missing, incomplete or not responses.
    """
    path = Path(folder) / "responses.npz"

    def expected(meta: dict) -> dict[str, Array]:
        spikes, times = ("n", len(meta["layers"])), Range(0, float("inf"))
        each = ("n", "classes")
        return {
            "t_out": Array("if", each, times),
            "v_peak": Array("f", each),
            "v_end": Array("f", each),
            "v_late": Array("f", each, optional=True),  # not in the oldest records
            "spikes": Array("i", spikes, Range(0)),
            "silent_hidden": Array("f", ("n",), Range(0, 1)),
            "labels": Array("iu", ("n",), Range(0)),
        }

    arrays, meta = read_npz(path, RECORD_FORMAT, _ResponsesMeta, expected)
    labels, t_out = arrays.pop("labels"), arrays["t_out"]
    late = t_out.dtype.kind == "i" and t_out.max(initial=0) > meta["t_max"]
    if not len(labels) or labels.max() >= t_out.shape[1] or late:
        raise InputError(f"{path} is damaged: no images, labels without an output neuron, or spikes after t_max")
    return Responses(
        **arrays, never_fired=meta["never_fired"], layers=tuple(meta["layers"]), t_max=meta["t_max"]
    ), labels
