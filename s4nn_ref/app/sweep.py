"""The command `s4nn sweep`: experiments and seeds on a cluster, and what they come to."""

import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numba

from s4nn_ref.app.cluster import Cluster, Watched
from s4nn_ref.app.legacy import config_of_stored
from s4nn_ref.app.live import Live
from s4nn_ref.app.record import read_record
from s4nn_ref.app.toml import write_config
from s4nn_ref.config import Config, read_config
from s4nn_ref.errors import InputError
from s4nn_ref.training.loop import deferred_interrupt

_EVERY = 1.0  # seconds between two tables


@dataclass(frozen=True)
class Options:
    """Options of `s4nn sweep`; see its --help."""

    seeds: tuple[int, ...] = (0,)
    data: Path | None = None
    out: Path = Path("runs")
    epochs: int | None = None
    limit: int | None = None
    no_test: bool = False
    workers: int | None = None
    threads: int | None = None
    scheduler: str | None = None


@dataclass
class Run:
    """One experiment with one seed. record : of the finished run   watched : once it is submitted"""

    config: Config
    folder: Path
    record: dict | None = None
    watched: Watched | None = None
    told: str = field(default="", repr=False)

    @property
    def state(self) -> str:
        return "finished" if self.record else self.watched.state if self.watched else "waiting"

    @property
    def rows(self) -> list[dict]:
        return self.record["history"] if self.record else self.watched.rows if self.watched else []

    @property
    def selected(self) -> int:
        """The selected epoch; 0 before the run is finished."""
        if self.record:
            return self.record["selected"]["epoch"]
        return self.watched.outcome.best_epoch if self.watched and self.watched.outcome else 0

    def validation(self) -> dict:
        """Validation metrics of the selected epoch, of a run that goes on those of the last one."""
        rows = self.rows[: self.selected or None]
        return rows[-1].get("validation", {}) if rows else {}


def sweep(paths: list[Path], options: Options) -> int:
    """Run every experiment with every seed; returns the exit code: 0, 2 where a run failed, or 130."""
    runs = _planned(paths, options)
    todo = [run for run in runs if not run.record]
    if todo:
        workers, threads = shares(options.workers, options.threads, options.scheduler, len(todo))
        with Cluster(workers, options.scheduler) as cluster, deferred_interrupt() as stop:
            _work(cluster, todo, [run for run in runs if run.record], _arguments(options, threads), stop)
        if stop["set"]:
            print("interrupted; every run has saved its state, the same command goes on")
            return 130
    print(summary(runs))
    failed = [run for run in runs if run.state != "finished"]
    for run in failed:
        print(f"s4nn: {run.folder} failed: {run.watched.outcome.line}", file=sys.stderr)
    return 2 if failed else 0


def shares(workers: int | None, threads: int | None, scheduler: str | None, most: int) -> tuple[int | None, int]:
    """Runs at once, and threads of each, where the command line does not say: all cores of this machine, or on an
    existing cluster one thread for each of its own. most : runs that there are"""
    if scheduler:
        return workers, threads or 1
    cores = numba.config.NUMBA_NUM_THREADS
    workers = workers or max(1, min(most, cores // (threads or 1)))
    return workers, threads or max(1, cores // workers)


def _planned(paths: list[Path], options: Options) -> list[Run]:
    """The runs, finished ones with their records. Raises InputError on a wrong experiment, before anything is begun."""
    configs = [read_config(path).changed("training", epochs=options.epochs) for path in paths]
    names = [config.name for config in configs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(f"two experiments are called {twice.pop()}; their runs would share a folder, so rename one")
    runs = []
    for config in configs:
        folder = options.out / config.name
        write_config(folder / f"{config.name}.toml", config)  # where all nodes can read it
        for seed in options.seeds:
            run = Run(config.changed("training", seed=seed), folder / f"seed{seed}")
            run.record = _record(run, options.limit)
            runs.append(run)
    return runs


def _record(run: Run, limit: int | None) -> dict | None:
    """The record of this very run, if it is finished. Of another one, `s4nn train` will say what is different."""
    if not (run.folder / "record.json").exists():
        return None
    record = read_record(run.folder)
    was = config_of_stored(record["config"], run.folder / "record.json")
    try:
        now = run.config.like(was)
    except InputError:  # of other data
        return None
    return record if was == now and record.get("limit") == limit else None


def _arguments(options: Options, threads: int) -> list[str]:
    """Of `s4nn train`, the same for all runs."""
    arguments = ["--resume", "--threads", str(threads)]
    if options.data:
        arguments += ["--data", str(options.data.resolve())]
    if options.limit:
        arguments += ["--limit", str(options.limit)]
    return arguments + ["--no-test"] * options.no_test


def _work(cluster: Cluster, todo: list[Run], finished: list[Run], arguments: list[str], stop: dict) -> None:
    """Run what there is to do, until it has ended or a signal came and all have saved their state."""
    live, waiting, active = Live(sys.stdout), list(todo), {}
    while (waiting and not stop["set"]) or active:
        at_once = cluster.workers or len(todo)
        while waiting and len(active) < at_once and not stop["set"]:
            run = waiting.pop(0)
            toml = (run.folder.parent / f"{run.config.name}.toml").resolve()
            where = ["--seed", str(run.config.training.seed), "--out", str(run.folder.resolve())]
            key = cluster.submit(run.folder, [str(toml), *where, *arguments])
            run.watched, active[key] = cluster.watched[key], run
        if stop["set"] and waiting is not None:
            live.say("stopping: the runs save their state (once more: at once)")
            cluster.stop(list(active))
            waiting = None
        for key in cluster.news(_EVERY):
            run = active[key]
            if run.watched.outcome:
                del active[key]
                if run.state == "finished" and (run.folder / "record.json").exists():
                    run.record = read_record(run.folder)
            if not live.redraws and (line := _line(run, clock=False)) != run.told:
                run.told = line
                live.say(line)
        live.draw([_line(run) for run in sorted([*finished, *todo], key=lambda run: run.state != "running")])
    live.draw([])


def _line(run: Run, clock: bool = True) -> str:
    """A run as a row of the table. clock : with the time left"""
    name, done, total = f"{run.config.name} seed{run.config.training.seed}", len(run.rows), run.config.training.epochs
    accuracy = run.validation().get("accuracy_strict")
    parts = [f"{name:<28} {run.state:<9} epoch {done:>3}/{total}"]
    if accuracy is not None:
        parts.append(f"validation {100 * accuracy:.2f} %")
    if run.state == "running" and clock and done:
        seconds = statistics.median(row["seconds"] for row in run.rows[-3:])
        left = max(0.0, seconds * (total - done) - (time.monotonic() - run.watched.since))
        parts.append(f"{left / 60:.0f} min left" if left > 90 else f"{left:.0f} s left")
    if run.state == "running" and run.watched.host:
        parts.append(f"on {run.watched.host}")
    if run.state == "failed":
        parts.append(run.watched.outcome.line)
    return "  ".join(parts)


def summary(runs: list[Run]) -> str:
    """Mean and standard deviation over the seeds of each experiment, and the best run by validation; Markdown."""
    head = ["experiment", "runs", "validation", "test (strict)", "test (first spike)", "decision time", "MRN", "best"]
    table = [head]
    for name in dict.fromkeys(run.config.name for run in runs):
        asked = [run for run in runs if run.config.name == name]
        ours = [run for run in asked if run.state == "finished"]
        count = str(len(ours)) if len(ours) == len(asked) else f"{len(ours)} of {len(asked)}"
        if not ours:
            table.append([name, count, *"------"])
            continue
        tests = [run.record["selected"]["test"] if run.record else {} for run in ours]
        validated = [run.validation() for run in ours]
        metrics = [test or found for test, found in zip(tests, validated, strict=True)]
        best = max(ours, key=lambda run: run.validation().get("accuracy_strict", -1))
        table.append([
            name, count,
            _spread([v.get("accuracy_strict") for v in validated], 100, 2),
            _spread([t.get("accuracy_strict") for t in tests], 100, 2),
            _spread([t.get("accuracy_first_spike") for t in tests], 100, 2),
            _spread([m.get("decision_time_mean") for m in metrics], 1, 1),
            _spread([m["mrn"]["total"] if m else None for m in metrics], 1, 0),
            best.folder.name if best.validation() else "-",
        ])  # fmt: skip
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in table]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    lines.append("accuracies in %; mean ± standard deviation over seeds; best: by validation accuracy")
    return "\n".join(lines)


def _spread(values: list[float | None], scale: float, digits: int) -> str:
    """Mean and standard deviation as text; "-" where a value is missing."""
    if None in values:
        return "-"
    mean = f"{scale * statistics.fmean(values):.{digits}f}"
    return f"{mean} ± {scale * statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean
