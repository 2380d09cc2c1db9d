"""On a worker of a cluster: one task is one process of `s4nn train`, watched until it ends.

Imports little, since every worker imports it; dask.distributed is not needed to import it.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from s4nn_ref import __version__
from s4nn_ref.app.folders import Held, alone_in
from s4nn_ref.errors import InputError
from s4nn_ref.files import load_npz

_POLL = 0.2  # seconds between two looks at a process
LOG = "train.log"


@dataclass(frozen=True)
class Job:
    """A run of `s4nn train`.

    key       : its name on the cluster, and the topic under which it tells how far it is
    folder    : absolute, on a disk that all nodes share; holds checkpoint, record and the log of what was printed
    arguments : of `s4nn train`
    own_cache : machine code is kept in the node's temporary folder, unless $NUMBA_CACHE_DIR names another
    version   : of the package that submits it
    """

    key: str
    folder: str
    arguments: tuple[str, ...]
    own_cache: bool = False
    version: str = __version__


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    state      : "finished"; "failed"; "stopped", as was asked; "interrupted", by somebody else
    line       : the last one that it printed
    history    : rows of its finished epochs, training.checkpoint.Row
    best_epoch : the selected one
    """

    state: str
    line: str = ""
    history: list[dict] = field(default_factory=list)
    best_epoch: int = 0


_lock = threading.Lock()
_running: dict[str, subprocess.Popen] = {}
_stopped: set[str] = set()


def dask_setup(worker) -> None:
    """Called by dask in a new worker of a local cluster: Ctrl-C is for the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def stop(keys: list[str]) -> None:
    """End these runs of this worker, now and whenever they come: they save their state."""
    with _lock:
        for key in keys:
            if key not in _stopped and key in _running:
                _running[key].terminate()
            _stopped.add(key)


def run(job: Job) -> Outcome:
    """Train, from where the run stands, and tell how it ended. Runs in a thread of a dask worker."""
    if job.version != __version__:
        return Outcome("failed", f"{socket.gethostname()} has s4nn_ref {__version__}, not {job.version}: install that")
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG).open("ab") as log:
        begin = log.tell()
        code = _trained(job, folder, log)
    line = _last_line(folder / LOG, begin)
    if code == 0:
        state = "finished"
    elif job.key in _stopped:
        state = "stopped"
    else:
        state = "interrupted" if code == 130 or code < 0 else "failed"
        line = f"killed by signal {-code}: {line}" if code < 0 else line
    progress = _progress(folder)
    return Outcome(state, line, progress["history"], progress["best_epoch"])


def _trained(job: Job, folder: Path, log) -> int:
    """The exit code of the training process."""
    from distributed import get_worker

    worker, environment = get_worker(), dict(os.environ)
    if job.own_cache:
        environment.setdefault("NUMBA_CACHE_DIR", os.path.join(tempfile.gettempdir(), "s4nn_ref-cache"))
    _wait_for(folder, job.key)
    command = [sys.executable, "-m", "s4nn_ref.app.child", str(os.getpid()), "train", *job.arguments]
    with _lock:
        if job.key in _stopped:
            return 130
        process = subprocess.Popen(  # in a session of its own, where Ctrl-C at a terminal does not arrive
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )
        _running[job.key] = process
    try:
        _watch(process, job, worker, folder)
        return process.wait()
    finally:
        del _running[job.key]


def _wait_for(folder: Path, key: str) -> None:
    """Until nobody trains into a folder: a process whose worker was lost may still be saving its state."""
    while key not in _stopped:
        try:
            with alone_in(folder):
                return
        except Held:
            time.sleep(_POLL)


def _watch(process: subprocess.Popen, job: Job, worker, folder: Path) -> None:
    """Tell of every epoch, until the process ends; end it where nobody waits for it any more."""
    checkpoint, seen, told = folder / "checkpoint.npz", None, 0
    worker.log_event(job.key, {"host": socket.gethostname()})
    while process.poll() is None:
        time.sleep(_POLL)
        if _forgotten(worker, job.key):
            stop([job.key])
        stamp = checkpoint.stat().st_mtime_ns if checkpoint.exists() else None
        if stamp != seen:
            seen, rows = stamp, _progress(folder)["history"]
            worker.log_event(job.key, {"rows": rows[told:], "first": told})
            told = len(rows)


def _forgotten(worker, key: str) -> bool:
    """Whether the scheduler has dropped a task that runs: the process that submitted it is gone."""
    task = worker.state.tasks.get(key)
    return task is None or task.state == "cancelled"


def _progress(folder: Path) -> dict:
    """Where the run stands: training.checkpoint.Progress, as far as it is needed here."""
    try:
        return load_npz(folder / "checkpoint.npz")[1]["progress"]
    except InputError:
        return {"history": [], "best_epoch": 0}


def _last_line(path: Path, begin: int) -> str:
    """The last line of a log after a position; of what is overwritten in place, what stays."""
    with path.open("rb") as log:
        log.seek(begin)
        lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
