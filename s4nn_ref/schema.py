"""What a stored file must hold, said as types, so that what is read from disk is whole before anything uses it.

JSON is described by TypedDicts, whose further keys are left alone and whose NotRequired keys older releases did not
write; list[T], dict[str, T], T | None; int, float, str, bool, dict; and Annotated[int, Range(0)]. Arrays are described
by `Array`.
"""

import typing
from dataclasses import dataclass
from types import NoneType, UnionType

import numpy as np

from s4nn_ref.errors import InputError, shown


@dataclass(frozen=True)
class Range:
    """least <= number <= most, so no NaN."""

    least: float
    most: float = float("inf")


Count = typing.Annotated[int, Range(0, 2**63 - 1)]
Share = typing.Annotated[float, Range(0, 1)]
Positive = typing.Annotated[float, Range(0)]

_NAMES = {int: "a whole number", float: "a number", str: "a string", bool: "true or false", dict: "a table"}


@dataclass(frozen=True)
class Array:
    """kinds : letters of numpy's dtype.kind   axes : lengths; a name stands for one length in all arrays of a file
    range : of every element, None: any   optional : whether it may be missing
    """

    kinds: str
    axes: tuple[int | str, ...]
    range: Range | None = None
    optional: bool = False

    def __str__(self) -> str:
        names = {"f": "float", "iu": "whole numbers", "i": "whole numbers", "b": "true or false"}
        return f"{names.get(self.kinds, 'numbers')} ({', '.join(map(str, self.axes))}{',' * (len(self.axes) == 1)})"


def check(value, kind, where: str) -> None:
    """Raise InputError, which names the place, where a JSON value is not of a type.

    where : of the value, for errors: "selected.test.tied"
    """
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if typing.is_typeddict(kind):
        _check_table(value, kind, where)
    elif origin in (typing.NotRequired, typing.Annotated):
        check(value, args[0], where)
        if origin is typing.Annotated and not args[1].least <= value <= args[1].most:
            raise _wrong(value, f"{args[1].least:g} to {args[1].most:g}", where)
    elif origin in (UnionType, typing.Union):
        if value is not None:
            check(value, next(arg for arg in args if arg is not NoneType), where)
    elif origin is list:
        if not isinstance(value, list):
            raise _wrong(value, "a list", where)
        for i, element in enumerate(value):
            check(element, args[0], f"{where}[{i}]")
    elif origin is dict:
        check(value, dict, where)
        for key, element in value.items():
            check(element, args[1], f"{where}.{key}")
    else:
        kinds = int | float if kind is float else kind
        if not isinstance(value, kinds) or (isinstance(value, bool) and kind is not bool):
            raise _wrong(value, _NAMES[kind], where)
        if kind is float and isinstance(value, int) and abs(value) > 2**1000:
            raise _wrong(value, "a number that a float holds", where)


def _check_table(value, kind, where: str) -> None:
    check(value, dict, where)
    for key, of_key in typing.get_type_hints(kind, include_extras=True).items():
        place = f"{where}.{key}" if where else key
        if key in value:
            check(value[key], of_key, place)
        elif key in kind.__required_keys__:
            raise InputError(f"{place} is missing")


def _wrong(value, expected: str, where: str) -> InputError:
    return InputError(f"{where or 'its content'} is {shown(value)}, expected {expected}")


def check_arrays(arrays: dict[str, np.ndarray], expected: dict[str, Array]) -> None:
    """Raise InputError, which names the array, where one is missing, superfluous or of another type, shape or range."""
    for name in arrays:
        if name not in expected:
            raise InputError(f"{name} does not belong there, expected {', '.join(expected)}")
    lengths = {}
    for name, kind in expected.items():
        array = arrays.get(name)
        if array is None:
            if not kind.optional:
                raise InputError(f"{name} is missing, expected {kind}")
            continue
        same = array.ndim == len(kind.axes) and all(
            length == (axis if isinstance(axis, int) else lengths.setdefault(axis, length))
            for axis, length in zip(kind.axes, array.shape, strict=True)
        )
        if not same or array.dtype.kind not in kind.kinds:
            known = " with " + ", ".join(f"{axis} = {n}" for axis, n in lengths.items()) if lengths else ""
            raise InputError(f"{name} is {array.dtype} {array.shape}, expected {kind}{known}")
        # in double precision, which holds the ends of every range
        if kind.range and not ((array >= np.float64(kind.range.least)) & (array <= np.float64(kind.range.most))).all():
            raise InputError(f"{name} holds numbers that are not {kind.range.least:g} to {kind.range.most:g}")
