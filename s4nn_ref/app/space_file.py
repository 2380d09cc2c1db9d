"""Space files: TOML, read into a `Space`.

In [space] a list is a choice, and a table {low, high, log, step} a range. Tables [[space.NAME]] are a choice between
sets of keys, which may hold ranges and choices again. A number in a key, as in `optimiser.eta.2`, is a place in a list.
"""

import json
import math
import tomllib
from pathlib import Path

from s4nn_ref.app import shipped
from s4nn_ref.app.space import OBJECTIVES, Choice, Fixed, Keys, Range, Rung, Settings, Space
from s4nn_ref.config import config_of_dict, read_config
from s4nn_ref.errors import InputError, shown
from s4nn_ref.settings import from_table

_RANGE = {"low", "high", "log", "step"}


def _dimensions(table: dict, prefix: tuple[str, ...] = (), condition: str = "") -> list:
    """Dimensions of a table of [space]. condition : says in names of which option they are"""
    found = []
    for key, value in table.items():
        path = (*prefix, key)
        name = ".".join(path) + condition
        tables = [isinstance(option, dict) for option in value] if isinstance(value, list) else [False]
        if isinstance(value, dict) and "low" in value and "high" in value and len(path) > 1:
            found.append(_range(path, name, value))
        elif isinstance(value, dict):
            found += _dimensions(value, path, condition)
        elif not value and isinstance(value, list):
            raise InputError(f"space.{name} = []: expected at least one option")
        elif any(tables) and (not all(tables) or prefix):
            raise InputError(f"space.{name}: sets of keys stand in [[space.NAME]], with the sections of their keys")
        elif all(tables):
            labels = _labels([_dimensions(option) for option in value])
            options = [
                Keys(_dimensions(option, (), f" ({label})")) for option, label in zip(value, labels, strict=True)
            ]
            found.append(Choice(path, name, labels, options))
        elif not prefix:
            raise InputError(f"space.{name} = {shown(value)}: expected the keys of a section, or [[space.NAME]] tables")
        elif isinstance(value, list):
            found.append(_choice(path, name, value))
        else:
            found.append(Fixed(path, value))
    return found


def _range(path: tuple[str, ...], name: str, table: dict) -> Range:
    low, high, log, step = (table.get(key) for key in ("low", "high", "log", "step"))
    given = (low, high) if step is None else (low, high, step)
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) for x in given)
    if unknown := set(table) - _RANGE:
        raise InputError(f"space.{name}: unknown key {unknown.pop()} of a range; known: low, high, log, step")
    if not numbers or not low <= high or log not in (None, True, False) or (log and (low <= 0 or step)):
        raise InputError(f"space.{name} = {shown(table)}: expected numbers low <= high; with log, 0 < low and no step")
    whole = isinstance(low, int) and isinstance(high, int)
    if step is not None and (step <= 0 or (whole and not isinstance(step, int))):
        raise InputError(f"space.{name}.step = {step}: expected a value > 0, a whole one between whole numbers")
    return Range(path, name, low, high, bool(log), step)


def _choice(path: tuple[str, ...], name: str, options: list) -> Choice:
    labels = [o if isinstance(o, bool | int | float | str) else json.dumps(o) for o in options]
    if len(set(labels)) < len(labels):
        raise InputError(f"space.{name} = {shown(options)}: two options are alike; remove one")
    return Choice(path, name, labels, options)


def _labels(options: list[list]) -> list[str]:
    """What sets of keys are called: by what is fixed in them, and where that is not enough by their place too."""
    labels = [", ".join(f"{d.path[-1]} {d.value}" for d in option if isinstance(d, Fixed)) for option in options]
    alone = [label and labels.count(label) == 1 for label in labels]
    return [label if alone[i] else f"{label} #{i}".strip() for i, label in enumerate(labels)]


def read_space(path: Path) -> Space:
    """A space file. Raises InputError, naming the file, on anything that is wrong in it."""
    try:
        table = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; an example is experiments/search/mnist.toml") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid TOML: {error}") from None
    try:
        return _space(table, Path(path))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _space(table: dict, path: Path) -> Space:
    rest = dict(table)
    base, space, rungs = rest.pop("base", None), rest.pop("space", None), rest.pop("rungs", [{}])
    settings = from_table(Settings, rest)
    if not isinstance(space, dict) or not space:
        raise InputError("missing table [space]: the keys to search, as optimiser.ema = [0, 0.99]")
    if not isinstance(rungs, list) or not rungs:
        raise InputError("rungs: expected a list of tables, as [{limit = 8000, epochs = 1}, {epochs = 6}]")
    ladder = [from_table(Rung, rung, f"rungs[{i}]") for i, rung in enumerate(rungs)]
    if "keep" in rungs[-1]:
        raise InputError("rungs: the last one has no rung above it; remove its keep")
    unknown = [name for name in settings.objectives if name not in OBJECTIVES]
    if unknown or not settings.objectives or len(set(settings.objectives)) < len(settings.objectives):
        raise InputError(f"objectives = {shown(list(settings.objectives))}: expected some of {', '.join(OBJECTIVES)}")
    if settings.pruner not in ("auto", "none") and len(settings.objectives) > 1:
        raise InputError(f'pruner = "{settings.pruner}": with several objectives only rungs end trials; remove the key')
    dimensions = _dimensions(space)
    if all(rung.epochs != "experiment" for rung in ladder) and _names(dimensions, ("training", "epochs")):
        raise InputError("space.training.epochs: every rung has epochs of its own; remove them from one, or this key")
    source = json.dumps({key: value for key, value in table.items() if key != "trials"}, sort_keys=True)
    found = Space(_base(base, path), settings, ladder, dimensions, source)
    found.config({}, "")  # an error of the base is one of the file, not of every trial
    return found


def _names(dimensions: list, path: tuple[str, ...]) -> bool:
    """Whether a key is searched, somewhere."""
    inner = [o.dimensions for d in dimensions if isinstance(d, Choice) for o in d.options if isinstance(o, Keys)]
    return any(d.path == path for d in dimensions) or any(_names(some, path) for some in inner)


def _base(base, space: Path) -> dict:
    """Tables of the base experiment, from a table, a file, or the name of one beside the space file, in the folder
    above, or of the package."""
    if isinstance(base, dict):
        config_of_dict(base)
        return base
    if not isinstance(base, str):
        raise InputError('missing key base: an experiment to vary, by its name as "mnist", or a table [base]')
    named = [folder / f"{base}.toml" for folder in (space.parent, space.parent.parent)]
    beside = [*named, space.parent / base]
    path = next((path for path in beside if path.is_file() and path != space), None) or shipped.experiment(Path(base))
    read_config(path)
    return tomllib.loads(path.read_text("utf-8"))
