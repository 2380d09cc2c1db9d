"""The command `s4nn search`: trials of a space on a cluster, rung by rung, each run a process of `s4nn train`."""

import math
import shutil
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from s4nn_ref.app import trials
from s4nn_ref.app.cluster import Cluster
from s4nn_ref.app.folders import alone_in
from s4nn_ref.app.journal import Journal, Result
from s4nn_ref.app.live import Live
from s4nn_ref.app.space import OBJECTIVES, Space
from s4nn_ref.app.space_file import read_space
from s4nn_ref.app.sweep import shares
from s4nn_ref.app.toml import write_config
from s4nn_ref.config import Config, config_of_dict
from s4nn_ref.errors import InputError
from s4nn_ref.files import write_atomically
from s4nn_ref.training.loop import deferred_interrupt

_EVERY = 1.0  # seconds between two tables
_HOPELESS = 3  # failed trials with which a search that never had a complete one ends


@dataclass(frozen=True)
class Options:
    """Options of `s4nn search`; see its --help."""

    trials: int | None = None
    data: Path | None = None
    out: Path | None = None
    workers: int | None = None
    threads: int | None = None
    scheduler: str | None = None


@dataclass
class _Trial:
    """A trial that runs in a rung. drawn : of Optuna, in the first rung   keys : of its runs, a seed each
    told : epochs that Optuna knows   pruned : it was told to stop"""

    number: int
    config: Config
    params: dict
    drawn: object = None
    keys: list[str] = field(default_factory=list)
    told: int = 0
    pruned: bool = False


def search(path: Path, options: Options) -> int:
    """Search a space, or go on with it; returns the exit code, 0 or 130 where interrupted."""
    space = read_space(path)
    out = options.out or Path("runs") / "search" / Path(path).stem
    with alone_in(out):
        journal, most = Journal(space, out), options.trials or space.settings.trials
        workers, threads = shares(options.workers, options.threads, options.scheduler, most)
        try:
            with Cluster(workers, options.scheduler) as cluster, deferred_interrupt() as stop:
                ladder = _Ladder(space, journal, cluster, out, _arguments(options, threads), stop)
                for rung in range(len(space.rungs)):
                    ladder.climb(rung, most)
        finally:
            results = [result for rung in range(len(space.rungs)) for result in journal.results(rung)]
            trials.write_table(out / "trials.csv", results, space.rungs)
        if stop["set"]:
            print("interrupted; every run has saved its state, the same command goes on")
            return 130
        if any(result.state == "complete" for result in results):
            trials.plot(out / "pareto.png", results)
        text = trials.summary(results, space.rungs, space.settings.objectives, journal.importance())
        write_atomically(out / "summary.md", f"{text}\n".encode())
    print(f"{text}\n\nin {out}: trials.csv, summary.md, pareto.png")
    return 0


def _arguments(options: Options, threads: int) -> list[str]:
    """Of `s4nn train`, the same for all runs."""
    data = ["--data", str(options.data.resolve())] if options.data else []
    return ["--no-test", "--resume", "--threads", str(threads), *data]


class _Ladder:
    """Runs the trials of a search, rung by rung."""

    def __init__(self, space: Space, journal: Journal, cluster: Cluster, out: Path, arguments: list[str], stop: dict):
        self.space, self.journal, self.cluster, self.out = space, journal, cluster, out
        self.arguments, self.stop, self.live = arguments, stop, Live(sys.stdout)
        self.active: dict[str, _Trial] = {}  # by the keys of their runs
        self.complete = any(result.state == "complete" for result in journal.results(0))
        self.failed = 0

    def climb(self, rung: int, most: int) -> None:
        """Run what there is to run in a rung, until it has ended or a signal came. most : trials of the first rung"""
        source = self._drawn(most) if rung == 0 else self._climbers(rung)
        waiting, stopping = True, False
        while self.active or (waiting and not self.stop["set"]):
            while waiting and not self.stop["set"] and len(self.active) < max(1, self.cluster.slots()):
                trial = next(source, None)
                waiting = trial is not None
                if trial:
                    self._submit(trial, rung)
            if self.stop["set"] and not stopping:
                stopping = True
                self.live.say("stopping: the runs save their state (once more: at once)")
                self.cluster.stop(list(self.active))
            for key in self.cluster.news(_EVERY) if self.active else ():
                if key in self.active:
                    self._hear(self.active[key], rung)
            if self.live.redraws:
                self.live.draw(self._lines(rung))
        self.live.draw([])

    def _drawn(self, most: int) -> Iterator[_Trial]:
        """Trials of the first rung; those whose keys exclude each other end here."""
        for drawn, values in self.journal.trials(most):
            try:
                config = self.space.config(values, f"trial{drawn.number:04d}")
            except InputError as error:
                self._end(_Trial(drawn.number, None, drawn.params), 0, "infeasible", str(error))
                continue
            yield _Trial(drawn.number, config, drawn.params, drawn)

    def _climbers(self, rung: int) -> Iterator[_Trial]:
        """Trials that climb to a rung and have not ended there."""
        below, ended = self.journal.results(rung - 1), {result.number for result in self.journal.results(rung)}
        for result in trials.climbers(below, self.space.rungs[rung - 1].keep, self.space.settings.objectives):
            if result.number not in ended:
                yield _Trial(result.number, config_of_dict(result.config), result.params)

    def _folder(self, trial: _Trial, rung: int) -> Path:
        return self.out / f"rung{rung}" / f"trial{trial.number:04d}"

    def _submit(self, trial: _Trial, rung: int) -> None:
        """Start its runs, one for each seed."""
        folder, budget = self._folder(trial, rung), self.space.rungs[rung]
        toml = folder.with_suffix(".toml")
        epochs = None if budget.epochs == "experiment" else budget.epochs
        write_config(toml, trial.config.changed("training", epochs=epochs))
        limit = [] if budget.limit == "all" else ["--limit", str(budget.limit)]
        for seed in range(trial.config.training.seed, trial.config.training.seed + budget.seeds):
            out = folder / f"seed{seed}"
            where = [str(toml.resolve()), "--seed", str(seed), "--out", str(out.resolve())]
            trial.keys.append(self.cluster.submit(out, [*where, *limit, *self.arguments]))
        self.active |= dict.fromkeys(trial.keys, trial)

    def _hear(self, trial: _Trial, rung: int) -> None:
        """Something is new of a trial: let Optuna prune it, or keep how it ended."""
        watched = [self.cluster.watched[key] for key in trial.keys]
        if trial.drawn and self.journal.prunes and not trial.pruned:
            self._prune(trial, watched)
        if not all(run.outcome for run in watched):
            return
        for key in trial.keys:
            del self.active[key]
        failed = [run.outcome.line for run in watched if run.state == "failed"]
        if failed:
            self._end(trial, rung, "failed", failed[0])
        elif all(run.state == "finished" for run in watched):
            values = _means([run.outcome for run in watched])
            finite = all(math.isfinite(value) for value in values.values())
            self._end(trial, rung, *(("complete", "") if finite else ("failed", "metrics are not finite")), values)
        elif trial.pruned:
            self._end(trial, rung, "pruned", f"after epoch {trial.told}")

    def _prune(self, trial: _Trial, watched: list) -> None:
        """Tell Optuna of every epoch that all seeds have finished; stop the runs where it says so."""
        value = OBJECTIVES[self.space.settings.objectives[0]][1]
        for epoch in range(trial.told, min(len(run.rows) for run in watched)):
            trial.told = epoch + 1
            found = statistics.fmean(value(run.rows[epoch]["validation"]) for run in watched)
            if self.journal.prune(trial.drawn, found, trial.told):
                trial.pruned = True
                self.cluster.stop([key for key in trial.keys if not self.cluster.watched[key].outcome])
                return

    def _end(self, trial: _Trial, rung: int, state: str, reason: str, values: dict | None = None) -> None:
        """Keep how a trial ended; of those that go no further only that."""
        curves = [[_point(row) for row in self.cluster.watched[key].rows] for key in trial.keys]
        config = trial.config.as_dict() if trial.config else {}
        values = values if state == "complete" else {}
        self.journal.tell(Result(trial.number, rung, state, reason, trial.params, config, values, curves))
        last = rung == len(self.space.rungs) - 1
        if state == "pruned" or (state == "complete" and not last):
            shutil.rmtree(self._folder(trial, rung), ignore_errors=True)
        if not self.live.redraws or state in ("failed", "infeasible"):
            accuracy = f"accuracy {100 * values['accuracy']:.2f} %" if values else reason
            self.live.say(f"rung {rung} trial {trial.number}: {state}, {accuracy}")
        self.complete, self.failed = self.complete or state == "complete", self.failed + (state == "failed")
        if self.failed >= _HOPELESS and not self.complete:
            self.cluster.stop(list(self.active))
            raise InputError(
                f"the first {self.failed} trials failed, begin anew with another --out; the last: {reason}"
            )

    def _lines(self, rung: int) -> list[str]:
        """The table of what runs."""
        ended = self.journal.results(rung)
        accuracies = [result.values["accuracy"] for result in ended if result.values]
        best = f", best {100 * max(accuracies):.2f} %" if accuracies else ""
        lines = [f"rung {rung} of {len(self.space.rungs) - 1}: {len(ended)} trials ended{best}"]
        for key, trial in self.active.items():
            run = self.cluster.watched[key]
            accuracy = f"accuracy {100 * run.rows[-1]['validation']['accuracy_strict']:.2f} %" if run.rows else ""
            lines.append(
                f"  trial {trial.number:<5} {run.state:<9} epoch {len(run.rows):>3}  {accuracy:<18} {run.host}"
            )
        return lines


def _means(outcomes: list) -> dict[str, float]:
    """Means over the seeds, of the selected epochs' validation metrics."""
    selected = [outcome.history[outcome.best_epoch - 1]["validation"] for outcome in outcomes]
    return {name: statistics.fmean(float(of(v)) for v in selected) for name, (_, of) in OBJECTIVES.items()}


def _point(row: dict) -> list[float]:
    """An epoch as journal.CURVE."""
    v = row["validation"]
    values = [*(of(v) for _, of in OBJECTIVES.values()), v["silent"], row["train_accuracy"], row["cost"]]
    return [float(f"{value:.5g}") for value in values]
