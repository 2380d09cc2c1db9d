"""The space of a search: ranges and choices over any key of an experiment, budgets and objectives (docs/sweep.md)."""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from s4nn_ref.config import Config, config_of_dict
from s4nn_ref.errors import InputError, shown

# of the selected epoch's validation metrics; whether more is better
OBJECTIVES = {
    "accuracy": (True, lambda v: v["accuracy_strict"]),
    "first_spike": (True, lambda v: v["accuracy_first_spike"]),
    "decision_time": (False, lambda v: v["decision_time_mean"]),
    "mrn": (False, lambda v: v["mrn"]["total"]),
}


@dataclass(frozen=True)
class Rung:
    """A budget. limit : training images   epochs : else as the experiment says   seeds : runs of each trial, averaged
    keep : share of the trials that climb to the next rung"""

    limit: int | Literal["all"] = field(default="all", metadata={"least": 1})
    epochs: int | Literal["experiment"] = field(default="experiment", metadata={"least": 1})
    seeds: int = field(default=1, metadata={"least": 1, "most": 1000})
    keep: float = field(default=0.25, metadata={"above": 0, "most": 1})


@dataclass(frozen=True)
class Settings:
    """Keys beside `base`, [space] and rungs.

    trials     : how many      objectives : the first decides where one must
    sampler    : TPE of Optuna, or independent draws      seed : of the sampler
    pruner     : ends a trial by its accuracy after an epoch of the first rung, in comparison with others; "auto":
                 "median" with one objective and one rung, else "none", since Optuna prunes by one objective only
    """

    trials: int = field(default=100, metadata={"least": 1, "most": 1_000_000})
    objectives: tuple[str, ...] = ("accuracy",)
    sampler: Literal["tpe", "random"] = "tpe"
    pruner: Literal["auto", "none", "median", "halving", "hyperband"] = "auto"
    seed: int = field(default=0, metadata={"least": 0, "most": 2**31})


@dataclass(frozen=True)
class Range:
    """A number from low to high, whole where both are. log : equally likely factors   step : between two values"""

    path: tuple[str, ...]
    name: str
    low: float
    high: float
    log: bool
    step: float | None


@dataclass(frozen=True)
class Keys:
    """A set of keys: an option of a choice."""

    dimensions: list


@dataclass(frozen=True)
class Choice:
    """One of several options, each a value or `Keys`. labels : what they are called"""

    path: tuple[str, ...]
    name: str
    labels: list
    options: list


@dataclass(frozen=True)
class Fixed:
    """One value."""

    path: tuple[str, ...]
    value: object


@dataclass(frozen=True)
class Space:
    """What a file says. tables : of the base experiment, as it names them   source : all of the file but `trials`"""

    tables: dict
    settings: Settings
    rungs: list[Rung]
    dimensions: list
    source: str

    def config(self, values: dict, name: str) -> Config:
        """The experiment with other values. values : by path. Raises InputError where keys exclude each other."""
        tables = copy.deepcopy(self.tables)
        for path, value in sorted(values.items(), key=lambda item: len(item[0])):  # lists before places in them
            if len(path) == 2:
                tables.setdefault(path[0], {})[path[1]] = value
            else:
                _put(tables, path, value)
        config = config_of_dict(tables, name)
        if config.data.validation == 0:
            raise InputError("data.validation = 0: a search compares trials by validation images; hold some out")
        return config

    def draw(self, trial) -> dict:
        """Values by path, from an Optuna trial."""
        return dict(_drawn(self.dimensions, trial))


def _drawn(dimensions: list, trial) -> Iterator[tuple[tuple[str, ...], object]]:
    for d in dimensions:
        if isinstance(d, Fixed):
            yield d.path, d.value
        elif isinstance(d, Range):
            whole = isinstance(d.low, int) and isinstance(d.high, int)
            suggest = trial.suggest_int if whole else trial.suggest_float
            yield d.path, suggest(d.name, d.low, d.high, log=d.log, step=d.step or (1 if whole else None))
        else:
            option = d.options[d.labels.index(trial.suggest_categorical(d.name, d.labels))]
            if isinstance(option, Keys):
                yield from _drawn(option.dimensions, trial)
            else:
                yield d.path, option


def _put(tables: dict, path: tuple[str, ...], value) -> None:
    """Set one place of a list, e.g. ("optimiser", "eta", "2"); one value for all layers, or "auto", becomes a list."""
    section, key, *places = path
    target = tables.get(section, {}).get(key)
    if not isinstance(target, list):
        target = json.loads(json.dumps(config_of_dict(tables).as_dict())).get(section, {}).get(key)
        tables.setdefault(section, {})[key] = target
    for place in places[:-1]:
        target = target[_index(target, place, path)]
    target[_index(target, places[-1], path)] = value


def _index(values, place: str, path: tuple[str, ...]) -> int:
    """The place as a number. Raises InputError where these values have none such."""
    if not isinstance(values, list) or not place.isdecimal() or int(place) >= len(values):
        raise InputError(f"{'.'.join(path)}: there is no place {place} in {shown(values)}; places count from 0")
    return int(place)
