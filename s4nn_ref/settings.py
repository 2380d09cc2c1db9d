"""Settings: frozen dataclasses that stand next to the code they steer, read from TOML tables.

A field is a key. Its type is checked, and its metadata may hold a range: "least" and "most" (inclusive), "above" and
"below" (exclusive), of every number in it. A field made by `choice` is a key too: its value names another settings
class, whose keys then belong to the same table. Keys that the chosen classes do not have are errors:

    [learning]
    algorithm = "ds4nn"
    loss = "first-spike"
    noise = 5                # a key of this loss; with another loss an error
"""

import difflib
import importlib
import os
import pkgutil
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, field, fields
from pathlib import Path

from s4nn_ref.errors import InputError, shown

SMALLEST, LARGEST = 1e-30, 1e30  # sizes of numbers: their products with weights and times are still single precision
MOST = 2**63 - 1  # of whole numbers


def find_own_parts() -> None:
    """Let the packages of parts also hold the modules of $S4NN_PARTS/algorithms, losses and neurons.

    Raises InputError where there is no such folder.
    """
    if not (own := os.environ.get("S4NN_PARTS")):
        return
    if not Path(own).is_dir():
        raise InputError(f"S4NN_PARTS = {shown(own)}: there is no such folder")
    for part in ("algorithms", "losses", "neurons"):
        path = importlib.import_module(f"s4nn_ref.{part}").__path__
        if (folder := str(Path(own).resolve() / part)) not in path:
            path.append(folder)


class Registry(Mapping):
    """What the modules of a package offer under one attribute, by the modules' names: a new file is a new entry, in the
    package or in the user's own folder (`find_own_parts`).

    Modules are imported when they are asked for; "first_spike.py" is called "first-spike". Raises InputError on a
    module without the attribute.
    """

    def __init__(self, package: str, attribute: str):
        self.package, self.attribute = package, attribute

    def _names(self) -> list[str]:
        find_own_parts()
        path = importlib.import_module(self.package).__path__
        return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(path) if m.name[0] != "_")

    def __iter__(self):
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def __getitem__(self, name: str):
        if name not in self._names():
            raise KeyError(name)
        module = importlib.import_module(f"{self.package}.{name.replace('-', '_')}")
        if not hasattr(module, self.attribute):
            raise InputError(f"{module.__file__} has no class {self.attribute}")
        return getattr(module, self.attribute)


def choice(registry: Mapping, default: str | None = None):
    """A field whose key names an entry of a registry of settings classes, and whose value is an instance of it."""
    return field(default=None, metadata={"choice": registry, "name": default})


def name_of(value, registry: Mapping) -> str:
    """The name of a settings object's class in a registry."""
    return next(name for name in registry if registry[name] is type(value))


_UNIONS = (types.UnionType, typing.Union)


def _type_name(kind) -> str:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return "one of " + ", ".join(f'"{choice}"' for choice in args)
    if origin in _UNIONS:
        return " or ".join(_type_name(one) for one in args).replace("or one of", "or")
    if origin is tuple:
        return f"a list, each element {_type_name(args[0])}"
    names = {int: "a whole number", float: "a number", str: "a string", bool: "true or false", dict: "a table"}
    return names.get(kind, str(kind))


def _value(value, kind, where: str):
    """value as a `kind`, or an InputError that names the key."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(value, int) and abs(value) > MOST:
        raise InputError(f"{where}: expected a number of at most 19 digits")  # of thousands, Python would print none
    bad = InputError(f"{where} = {shown(value)}: expected {_type_name(kind)}")
    if origin in _UNIONS:  # a value, or a word in its place
        other, word = args
        if isinstance(value, str) and value not in typing.get_args(word):
            raise bad
        return value if isinstance(value, str) else _value(value, other, where)
    if origin is typing.Literal:
        if value not in args or isinstance(value, bool):
            raise bad
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            if args[-1] is Ellipsis and args[0] is float:  # one value for all layers
                return (_value(value, args[0], where),)
            raise bad
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else args
        if len(kinds) != len(value):
            raise InputError(f"{where} = {shown(value)}: expected {len(kinds)} elements")
        return tuple(_value(v, k, where) for v, k in zip(value, kinds, strict=True))
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        if value != 0 and not SMALLEST <= abs(value) <= LARGEST:  # NaN neither
            raise InputError(
                f"{where} = {value!r}: expected a number that single precision holds, 0 or {SMALLEST:g} to {LARGEST:g}"
            )
        return float(value) + 0.0  # not -0.0, which is a range's wrong end to numpy.random
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise bad


_RANGES = {
    "least": (">=", lambda x, end: x >= end),
    "most": ("<=", lambda x, end: x <= end),
    "above": (">", lambda x, end: x > end),
    "below": ("<", lambda x, end: x < end),
}


def _in_range(value, metadata, where: str):
    """value, whose every number lies in the range that a field's metadata gives, or an InputError."""
    ranges = [(sign, end, holds) for key, (sign, holds) in _RANGES.items() if (end := metadata.get(key)) is not None]
    for number in value if isinstance(value, tuple) else () if isinstance(value, str) else (value,):
        if not all(holds(number, end) for _, end, holds in ranges):
            expected = " and ".join(f"{sign} {end:g}" for sign, end, _ in ranges)
            raise InputError(f"{where} = {shown(value)}: expected a value {expected}")
    return value


def _chosen(f, table: dict, where: str):
    """The settings class that a `choice` field's key names."""
    registry, name = f.metadata["choice"], table.get(f.name, f.metadata["name"])
    if name is None:
        raise InputError(f"missing key {where}{f.name}; known: {', '.join(registry)}")
    if not isinstance(name, str) or name not in registry:
        raise InputError(f"{where}{f.name} = {shown(name)}: expected " + _type_name(typing.Literal[*registry]))
    return registry[name]


def known_keys(kind, table: dict, where: str) -> list[str]:
    """Every key that a table of this class may have, chosen classes included."""
    known = []
    for f in fields(kind):
        known.append(f.name)
        if "choice" in f.metadata:
            known += known_keys(_chosen(f, table, where), table, where)
    return known


def elsewhere(kind, table: dict, key: str, where: str) -> str:
    """Where a key would belong, the nearest choice first: a hint for errors; "" where nowhere."""
    for f in fields(kind):
        registry = f.metadata.get("choice", {})
        chosen = table.get(f.name, f.metadata.get("name"))
        names = sorted(registry, key=lambda name, chosen=chosen: name != chosen)
        for name in names[:1]:
            if hint := elsewhere(registry[name], table, key, where):
                return hint
        for name in names:
            if key in (g.name for g in fields(registry[name])):
                return f'it belongs to {where}{f.name} = "{name}"'
        for name in names[1:]:
            if hint := elsewhere(registry[name], table, key, where):
                return f'{hint} of {f.name} = "{name}"'
    return ""


def unknown_key(path: str, hint: str, known: list[str]) -> InputError:
    """The error of a key that is none. hint : of `elsewhere`, or ""; known : keys that could have been meant"""
    near = difflib.get_close_matches(path.rpartition(".")[2], known, 1)
    guess = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
    return InputError(f"unknown key {path}; {hint or guess}")


def from_table(kind, table, where: str = ""):
    """A settings object of class `kind` from a table, e.g. of a TOML file.

    where : name of the table, for errors. Raises InputError on unknown, missing, ill-typed and impossible keys.
    """
    if not isinstance(table, dict):
        raise InputError(f"{where}: expected a table, e.g. [{where}]")
    path = f"{where}." if where else ""
    known = known_keys(kind, table, path)
    for key in table:
        if key not in known:
            raise unknown_key(f"{path}{key}", elsewhere(kind, table, key, path), known)
    return _built(kind, table, path)


def _built(kind, table: dict, path: str):
    """The object, whose table's keys are known."""
    hints, values = typing.get_type_hints(kind), {}
    for f in fields(kind):
        if "choice" in f.metadata:
            values[f.name] = _built(_chosen(f, table, path), table, path)
        elif f.name in table:
            values[f.name] = _in_range(_value(table[f.name], hints[f.name], path + f.name), f.metadata, path + f.name)
        elif f.default is MISSING and f.default_factory is MISSING:
            raise InputError(f"missing key {path}{f.name}; see experiments/mnist.toml for an example")
    return kind(**values)


def to_table(settings) -> dict:
    """The table that `from_table` makes the same settings of."""
    table = {}
    for f in fields(settings):
        value = getattr(settings, f.name)
        if "choice" in f.metadata:
            table |= {f.name: name_of(value, f.metadata["choice"]), **to_table(value)}
        else:
            table[f.name] = value
    return table


def per_layer(values: tuple, tokens: list[str], key: str, structure: str) -> tuple:
    """One value per weighted layer, from one for all or one each.

    tokens : names of the weighted layers. Raises InputError on another number of values.
    """
    values = values * len(tokens) if len(values) == 1 else values
    if len(values) != len(tokens):
        raise InputError(
            f"{key} has {len(values)} values, but {structure} has {len(tokens)} weighted layers "
            f"({', '.join(tokens)}); give one value, or one per layer"
        )
    return values
