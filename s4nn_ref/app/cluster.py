"""A dask.distributed cluster that trains: a local one, or any existing one. The client's side of jobs.py."""

import logging
import os
import queue
import secrets
import time
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

from s4nn_ref.app import jobs
from s4nn_ref.errors import InputError

ATTEMPTS = 3  # at an epoch in which the process is killed by somebody else
_PATIENCE = 20  # seconds in which a scheduler answers


@dataclass
class Watched:
    """What is known of a submitted run.

    job   : as it was submitted last       submitted : how often before   reached : the epoch from which it was
    attempts : how often it was interrupted by somebody else without a new epoch
    state : "waiting", "running", or as jobs.Outcome         host : where it runs, or ran
    rows  : of its finished epochs         since : when the last thing was heard of it, as time.monotonic
    outcome : when it has ended
    """

    job: jobs.Job
    submitted: int = 0
    reached: int = 0
    attempts: int = 0
    state: str = "waiting"
    host: str = ""
    rows: list[dict] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)
    outcome: jobs.Outcome | None = None

    def hear(self, event: dict) -> None:
        if self.outcome:  # it was on its way when the run ended
            return
        self.since = time.monotonic()
        if "host" in event:
            self.state, self.host = "running", event["host"]
        else:
            self.rows[event["first"] :] = event["rows"]

    def interrupted(self) -> bool:
        """Whether to submit it again."""
        self.attempts = 1 if len(self.rows) > self.reached else self.attempts + 1
        self.submitted, self.reached, self.state = self.submitted + 1, len(self.rows), "waiting"
        return self.attempts < ATTEMPTS

    def end(self, outcome: jobs.Outcome) -> None:
        self.state, self.outcome, self.rows = outcome.state, outcome, outcome.history or self.rows


class Cluster:
    """Submits runs, and hears of them. A context manager.

    Parameters
    ----------
    workers   : how many runs at once; None: as many as the existing cluster has threads
    scheduler : address of an existing one, or its scheduler file; None: a local cluster
    Raises
    ------
    InputError : no scheduler answers
    """

    def __init__(self, workers: int | None, scheduler: str | None):
        self.workers, self.scheduler = workers, scheduler
        self.watched: dict[str, Watched] = {}
        self._news: queue.SimpleQueue = queue.SimpleQueue()
        self._futures: dict[str, object] = {}
        self._stopped: set[str] = set()

    def __enter__(self) -> "Cluster":
        # what matters is told by the table
        os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "critical")  # read by workers too
        import dask
        from distributed import Client, LocalCluster

        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        dask.config.set({"distributed.scheduler.worker-saturation": 1.0})  # a run waits for any worker that is free
        self._local = None
        if self.scheduler is None:
            # the memory is that of the training processes, which dask does not see
            self._local = LocalCluster(
                n_workers=self.workers, threads_per_worker=1, memory_limit=None, dashboard_address=":0",
                preload=["s4nn_ref.app.jobs"],
            )  # fmt: skip
            self._client = Client(self._local)
        else:
            self._client = _connected(self.scheduler)
        return self

    def __exit__(self, *error) -> None:
        self._client.close()
        if self._local:
            self._local.close()

    def slots(self) -> int:
        """How many runs it takes at once, now."""
        return self.workers or sum(self._client.nthreads().values())

    def submit(self, folder: Path, arguments: list[str]) -> str:
        """Train with these arguments of `s4nn train`; the key of the run."""
        key = f"train-{secrets.token_hex(8)}"
        job = jobs.Job(key, str(folder.resolve()), tuple(arguments), own_cache=self._local is None)
        self.watched[key] = Watched(job)
        self._start(key)
        return key

    def _start(self, key: str) -> None:
        watched = self.watched[key]
        topic = watched.job.key
        self._client.subscribe_topic(topic, lambda event: self._news.put((key, event[1])))
        # attempts at a lost worker's runs are dask's business
        future = self._client.submit(jobs.run, watched.job, key=topic, pure=False)
        self._futures[key] = future
        future.add_done_callback(lambda done: self._news.put((key, None)))

    def stop(self, keys: list[str]) -> None:
        """Let these runs save their state and end; they are heard of when they have."""
        self._stopped |= set(keys)
        names = [self.watched[key].job.key for key in keys]
        self._client.run(jobs.stop, names, on_error="ignore")
        for key in keys:
            if self.watched[key].state == "waiting":
                self._futures[key].cancel()

    def news(self, seconds: float) -> list[str]:
        """Keys of the runs of which something was heard, within this time; returns when something was."""
        keys, wait = [], seconds
        while True:
            try:
                key, event = self._news.get(timeout=wait) if wait else self._news.get_nowait()
            except queue.Empty:
                return list(dict.fromkeys(keys))
            self._take(key, event)
            keys.append(key)
            wait = 0

    def _take(self, key: str, event: dict | None) -> None:
        watched = self.watched[key]
        if event is not None:
            watched.hear(event)
            return
        outcome = self._outcome(self._futures.pop(key))
        self._client.unsubscribe_topic(watched.job.key)
        if outcome.state != "interrupted":
            watched.end(outcome)
        elif key in self._stopped:
            watched.end(replace(outcome, state="stopped"))
        elif watched.interrupted():
            watched.job = replace(watched.job, key=f"{key}-{watched.submitted}")
            self._start(key)
        else:
            watched.end(replace(outcome, state="failed"))

    def _outcome(self, future) -> jobs.Outcome:
        """What a finished task returned, or what became of it."""
        from distributed import KilledWorker

        if future.status == "finished":
            return future.result()
        if future.status == "cancelled" and self._client.status == "running":
            return jobs.Outcome("stopped")
        if future.status in ("cancelled", "lost"):
            raise InputError(f"the scheduler {self.scheduler or ''} is gone; start it, and give the same command again")
        error = future.exception()
        if isinstance(error, KilledWorker):
            return jobs.Outcome("interrupted", "its worker was lost again and again; perhaps its memory was full")
        return jobs.Outcome("failed", f"the worker could not start it: {type(error).__name__}: {error}")


def _connected(address: str):
    """A client of an existing scheduler."""
    from distributed import Client

    where = {"scheduler_file": address} if Path(address).is_file() else {"address": address}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other versions of packages that play no part
            return Client(**where, timeout=_PATIENCE)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"no scheduler answers at {address} ({error}); start one with: dask scheduler (docs/sweep.md)"
        ) from None
