"""What a search knows: an Optuna study for each rung, all in one file that many processes may append to.

The first rung's study draws the trials; those above hold the trials that climbed, under the number they began with.
"""

import logging
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from s4nn_ref.app.space import OBJECTIVES, Space
from s4nn_ref.errors import InputError
from s4nn_ref.files import write_atomically

_STATES = {
    "complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "infeasible": TrialState.FAIL,
    "failed": TrialState.FAIL,
}  # fmt: skip
CURVE = ("accuracy", "first_spike", "decision_time", "mrn", "silent", "train_accuracy", "cost")  # of an epoch


@dataclass(frozen=True)
class Result:
    """How a trial ended in a rung.

    state  : "complete"; "pruned", "infeasible" (its keys exclude each other) or "failed", with a reason
    config : tables of the experiment, empty where it is infeasible
    values : means over the seeds, by objective; of all OBJECTIVES      curves : per seed and epoch, see CURVE
    """

    number: int
    rung: int
    state: str
    reason: str
    params: dict
    config: dict
    values: dict
    curves: list[list[list[float]]]


class Journal:
    """The studies of a search, in its folder. Raises InputError where the folder holds a search of another space."""

    def __init__(self, space: Space, folder: Path):
        logging.getLogger("optuna").setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", module="optuna")  # of which sense an importance has, see there
        self.space, path = space, folder / "journal.log"
        _mend(path)
        storage = JournalStorage(JournalFileBackend(str(path)))  # locked by a link, which NFS has too
        directions = ["maximize" if OBJECTIVES[name][0] else "minimize" for name in space.settings.objectives]
        self.studies = [
            optuna.create_study(
                storage=storage, study_name=f"rung {i}", directions=directions, load_if_exists=True,
                pruner=self._pruner() if i == 0 else None,
            )
            for i in range(len(space.rungs))
        ]  # fmt: skip
        first = self.studies[0]
        if first.user_attrs.get("space", space.source) != space.source:
            raise InputError(f"{path} belongs to another space (all but `trials` must stay); name another --out")
        first.set_user_attr("space", space.source)

    def _pruner(self):
        settings, epochs = self.space.settings, self.space.rungs[0].epochs
        kind = settings.pruner
        if kind == "auto":
            kind = "median" if len(settings.objectives) == len(self.space.rungs) == 1 else "none"
        if kind == "halving":
            return optuna.pruners.SuccessiveHalvingPruner(min_resource=1)
        if kind == "hyperband":
            most = self.space.config({}, "").training.epochs if epochs == "experiment" else epochs
            return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=most)
        return optuna.pruners.MedianPruner() if kind == "median" else optuna.pruners.NopPruner()

    @property
    def prunes(self) -> bool:
        return not isinstance(self.studies[0].pruner, optuna.pruners.NopPruner)

    def trials(self, most: int) -> Iterator[tuple[optuna.Trial, dict]]:
        """Trials of the first rung and their values by path: those that were interrupted, then new ones, up to `most`
        in all. They are drawn when they are asked for, from what is known by then."""
        study = self.studies[0]
        begun = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for frozen in begun:
            trial = optuna.Trial(study, frozen._trial_id)
            yield trial, self.space.draw(trial)
        while (number := len(study.get_trials(deepcopy=False))) < most:
            study.sampler = self._sampler(number)
            trial = study.ask()
            yield trial, self.space.draw(trial)

    def _sampler(self, number: int):
        """Seeded by the number of the trial: an interrupted search draws what it would have drawn."""
        settings = self.space.settings
        kind = optuna.samplers.TPESampler if settings.sampler == "tpe" else optuna.samplers.RandomSampler
        return kind(seed=(settings.seed * 1_000_003 + number) % 2**32)

    def prune(self, trial: optuna.Trial, value: float, epoch: int) -> bool:
        """Whether a trial of the first rung is to end; value : of the first objective after an epoch."""
        known = self.studies[0].get_trials(deepcopy=False)[trial.number].intermediate_values
        if epoch not in known:  # it is, of a trial that was interrupted
            trial.report(value, epoch)
        return trial.should_prune()

    def tell(self, result: Result) -> None:
        """Keep how a trial ended."""
        study, stored = self.studies[result.rung], asdict(result)
        complete = result.state == "complete"
        values = [result.values[name] for name in self.space.settings.objectives] if complete else None
        if result.rung == 0:
            trial = optuna.Trial(study, study.get_trials(deepcopy=False)[result.number]._trial_id)
            trial.set_user_attr("result", stored)
            study.tell(result.number, values, _STATES[result.state])
        else:
            drawn = self.studies[0].get_trials(deepcopy=False)[result.number]
            study.add_trial(
                optuna.trial.create_trial(
                    state=_STATES[result.state], values=values, params=drawn.params,
                    distributions=drawn.distributions, user_attrs={"result": stored},
                )
            )  # fmt: skip

    def results(self, rung: int) -> list[Result]:
        """How the trials of a rung ended, by their numbers."""
        stored = [trial.user_attrs.get("result") for trial in self.studies[rung].get_trials(deepcopy=False)]
        return sorted((Result(**result) for result in stored if result), key=lambda result: result.number)

    def importance(self) -> dict[str, dict[str, float]]:
        """For each objective the importance of each key in the first rung, in all 1 (PED-ANOVA, conditional keys
        included); empty where too few trials tell."""
        found = {}
        for i, name in enumerate(self.space.settings.objectives):
            sign = -1 if OBJECTIVES[name][0] else 1  # it asks what makes the target small
            try:
                shares = optuna.importance.get_param_importances(
                    self.studies[0], target=lambda trial, i=i, sign=sign: sign * trial.values[i]
                )
            except (ValueError, RuntimeError):  # too few trials, or all alike
                shares = {}
            found[name] = {key: float(share) for key, share in shares.items()}
        return found


def _mend(path: Path) -> None:
    """Remove what a process that was killed while it wrote has left: half a line at the end, and a lock."""
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    content = path.read_bytes() if path.exists() else b""
    if not content.endswith(b"\n") and content:
        write_atomically(path, content[: content.rfind(b"\n") + 1])
