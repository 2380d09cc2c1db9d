"""Lanes: numbers side by side in vector registers, one per map, as a value of the kernels' language.

A loop over maps leaves the potentials in memory and loads and stores them at every spike. Here the potentials of LANES
maps are one value, `v`, which the compiler keeps in registers while the spikes of a position pass:

    v = v + load(w, synapse, first)
    rises = (v > peak) & (peak < splat(v_th))
    peak = where(rises, v, peak)

Operators + - * / < <= > >= == != & | act lane by lane; a number beside lanes stands for lanes that all hold it.
Integers are int16, as firing times are: comparing times costs half as much as comparing potentials. LANES is the width
of what `load` and `splat` give; REALS, half of it, that of lanes in double precision for continuous time, of `reals`
and `real`. Without a compiler (NUMBA_DISABLE_JIT=1) lanes are NumPy arrays, and the functions below are what they seem.
"""

import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import config
from numba.core.errors import TypingError
from numba.extending import intrinsic, models, overload, register_model

from s4nn_ref.kernels.compile import LANES

REALS = LANES // 2


def load(array, row, first):
    """Lanes from array (rows, columns), C order: columns first .. first + LANES - 1 of a row, all of them there."""
    return array[row, first : first + LANES].copy()


def load_edge(array, row, first):
    """As load, where the row may end earlier: 0 after its end."""
    out = np.zeros(LANES, array.dtype)
    part = array[row, first : first + LANES]
    out[: part.size] = part
    return out


def store(array, row, first, lanes):
    """Write lanes to array (rows, columns), up to the row's end."""
    part = array[row, first : first + lanes.size]
    part[:] = lanes[: part.size]


def reals(array, row, first):
    """As load_edge, REALS lanes in double precision."""
    out = np.zeros(REALS)
    part = array[row, first : first + REALS]
    out[: part.size] = part
    return out


def splat(number):
    """The same number in every lane."""
    return np.full(LANES, number, type(number))


def real(number):
    """The same number in REALS lanes."""
    return np.full(REALS, number)


def multiply_add(a, b, c):
    """a * b + c of real lanes; rounded once where the machine can."""
    return a * b + c


def where(mask, yes, no):
    """yes in the lanes of the mask, no in the others."""
    return np.where(mask, yes, no)


def in_type_of(reals, lanes):
    """Integers in the type of real lanes."""
    return lanes.astype(reals.dtype)


def any_lane(mask):
    """Whether any lane of a mask is set."""
    return bool(mask.any())


def bits(mask):
    """A mask of at most 63 lanes as an integer: bit j is lane j."""
    return sum(1 << int(j) for j in np.flatnonzero(mask))


def lowest(number):
    """Place of the lowest bit of an integer other than 0."""
    return (int(number) & -int(number)).bit_length() - 1


def lane(lanes, j):
    """The number in lane j."""
    return lanes[j]


def total(lanes):
    """Sum of real lanes: of two halves, as lanes, until one is left."""
    while lanes.size > 1:
        lanes = lanes[: lanes.size // 2] + lanes[lanes.size // 2 :]
    return lanes[0]


# ------------------------------------------------------------------------------------------------ what numba sees


class Lanes(types.Type):
    """Type of `width` elements of a Numba number type, or of booleans: an LLVM vector."""

    def __init__(self, element, width: int):
        self.element, self.width = element, width
        super().__init__(f"Lanes({element}, {width})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, lanes):
        bit = lanes.element == types.boolean
        element = ir.IntType(1) if bit else manager.lookup(lanes.element).get_value_type()
        super().__init__(manager, lanes, ir.VectorType(element, lanes.width))


def _is_integer(number) -> bool:
    return isinstance(number, types.Integer)


def _lanes_of(number) -> Lanes:
    if _is_integer(number) and number != types.int16:
        raise TypingError(f"lanes hold reals and integers of type int16, not {number}")
    return Lanes(number, LANES)


_REALS = Lanes(types.float64, REALS)


def _pointer(context, builder, array_type, width, array, row, first):
    """Pointer to a vector of `width` elements of a two-dimensional array, its type and its alignment."""
    if array_type.ndim != 2 or array_type.layout != "C":
        raise TypingError(f"lanes lie in two-dimensional arrays in C order, not in {array_type}")
    struct = context.make_array(array_type)(context, builder, array)
    columns = builder.extract_value(struct.shape, 1)
    element = context.get_data_type(array_type.dtype)
    vector = ir.VectorType(element, width)
    pointer = builder.gep(struct.data, [builder.add(builder.mul(row, columns), first)])
    return builder.bitcast(pointer, vector.as_pointer()), vector, context.get_abi_sizeof(element)


@intrinsic
def _load(typingctx, array, row, first):
    def codegen(context, builder, signature, args):
        pointer, _, align = _pointer(context, builder, array, LANES, *args)
        return builder.load(pointer, align=align)

    return _lanes_of(array.dtype)(array, types.intp, types.intp), codegen


def _mask_of_first(builder, count, width):
    """Mask of the lanes 0 .. count - 1."""
    number = ir.VectorType(ir.IntType(64), width)
    return builder.icmp_signed("<", ir.Constant(number, list(range(width))), _broadcast(builder, count, number))


def _broadcast(builder, value, vector):
    undefined = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(one, undefined, zeros)


def _mangled(vector) -> str:
    kinds = {ir.FloatType(): "f32", ir.DoubleType(): "f64"}
    return f"v{vector.count}{kinds.get(vector.element) or f'i{vector.element.width}'}"


def _left_in_row(context, builder, array_type, width, array, first):
    """How many elements of a row there are from `first` on, and whether they fill `width` lanes."""
    struct = context.make_array(array_type)(context, builder, array)
    left = builder.sub(builder.extract_value(struct.shape, 1), first)
    return left, builder.icmp_signed(">=", left, left.type(width))


def _load_to_edge(context, builder, array_type, width, array, row, first):
    """Lanes of a row, 0 after its end. A branch, since for some types the masked load is slow and long."""
    pointer, vector, align = _pointer(context, builder, array_type, width, array, row, first)
    left, fits = _left_in_row(context, builder, array_type, width, array, first)
    with builder.if_else(fits) as (then, otherwise):
        with then:
            whole, of_whole = builder.load(pointer, align=align), builder.block
        with otherwise:
            mask, zero = _mask_of_first(builder, left, width), ir.Constant(vector, None)
            kind = ir.FunctionType(vector, [pointer.type, ir.IntType(32), mask.type, vector])
            function = builder.module.declare_intrinsic(f"llvm.masked.load.{_mangled(vector)}.p0", (), kind)
            part = builder.call(function, [pointer, ir.Constant(ir.IntType(32), align), mask, zero])
            of_part = builder.block
    lanes = builder.phi(vector)
    lanes.add_incoming(whole, of_whole)
    lanes.add_incoming(part, of_part)
    return lanes


@intrinsic
def _load_edge(typingctx, array, row, first):
    def codegen(context, builder, signature, args):
        return _load_to_edge(context, builder, array, LANES, *args)

    return _lanes_of(array.dtype)(array, types.intp, types.intp), codegen


def _converted(builder, lanes, element):
    """Real lanes of another precision."""
    if lanes.type.element == element:
        return lanes
    widens = element == ir.DoubleType()
    return (builder.fpext if widens else builder.fptrunc)(lanes, ir.VectorType(element, lanes.type.count))


@intrinsic
def _reals(typingctx, array, row, first):
    def codegen(context, builder, signature, args):
        return _converted(builder, _load_to_edge(context, builder, array, REALS, *args), ir.DoubleType())

    return _REALS(array, types.intp, types.intp), codegen


@intrinsic
def _store(typingctx, array, row, first, lanes):
    def codegen(context, builder, signature, args):
        pointer, vector, align = _pointer(context, builder, array, lanes.width, *args[:3])
        left, fits = _left_in_row(context, builder, array, lanes.width, args[0], args[2])
        value = args[3] if _is_integer(lanes.element) else _converted(builder, args[3], vector.element)
        with builder.if_else(fits) as (then, otherwise):
            with then:
                builder.store(value, pointer, align=align)
            with otherwise:
                mask = _mask_of_first(builder, left, lanes.width)
                kind = ir.FunctionType(ir.VoidType(), [vector, pointer.type, ir.IntType(32), mask.type])
                function = builder.module.declare_intrinsic(f"llvm.masked.store.{_mangled(vector)}.p0", (), kind)
                builder.call(function, [value, pointer, ir.Constant(ir.IntType(32), align), mask])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, lanes), codegen


@intrinsic
def _splat(typingctx, number):
    lanes = _lanes_of(number)

    def codegen(context, builder, signature, args):
        return _broadcast(builder, args[0], context.get_value_type(lanes))

    return lanes(number), codegen


@intrinsic
def _real(typingctx, number):
    def codegen(context, builder, signature, args):
        return _broadcast(builder, args[0], context.get_value_type(_REALS))

    return _REALS(types.float64), codegen


@intrinsic
def _multiply_add(typingctx, a, b, c):
    if not (isinstance(a.element, types.Float) and a == b == c):
        raise TypingError(f"only lanes of reals of one kind are multiplied and added, not {a}, {b} and {c}")

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(args[0].type, [args[0].type] * 3)
        function = builder.module.declare_intrinsic(f"llvm.fmuladd.{_mangled(args[0].type)}", (), kind)
        return builder.call(function, args)

    return a(a, b, c), codegen


@intrinsic
def _where(typingctx, mask, yes, no):
    return yes(mask, yes, no), lambda context, builder, signature, args: builder.select(*args)


@intrinsic
def _in_type_of(typingctx, reals, lanes):
    if reals.width != lanes.width:
        raise TypingError(f"{lanes} and {reals} are not of one width")

    def codegen(context, builder, signature, args):
        return builder.sitofp(args[1], args[0].type)

    return reals(reals, lanes), codegen


def _as_integer(builder, mask):
    return builder.bitcast(mask, ir.IntType(mask.type.count))


@intrinsic
def _any_lane(typingctx, mask):
    def codegen(context, builder, signature, args):
        number = _as_integer(builder, args[0])
        return builder.icmp_unsigned("!=", number, ir.Constant(number.type, 0))

    return types.boolean(mask), codegen


@intrinsic
def _bits(typingctx, mask):
    def codegen(context, builder, signature, args):
        return builder.zext(_as_integer(builder, args[0]), ir.IntType(64))

    return types.int64(mask), codegen


@intrinsic
def _lowest(typingctx, number):
    def codegen(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), codegen


@intrinsic
def _lane(typingctx, lanes, j):
    return lanes.element(lanes, types.int64), lambda context, builder, signature, args: builder.extract_element(*args)


@intrinsic
def _total(typingctx, lanes):
    def codegen(context, builder, signature, args):
        value, width = args[0], lanes.width
        while width > 1:
            width //= 2
            low, high = (
                builder.shuffle_vector(
                    value, value, ir.Constant(ir.VectorType(ir.IntType(32), width), list(range(first, first + width)))
                )
                for first in (0, width)
            )
            value = builder.fadd(low, high)
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return lanes.element(lanes), codegen


if not config.DISABLE_JIT:

    @overload(np.maximum)
    def _overload_maximum(a, b):
        return (lambda a, b: where(a < b, real(b), a)) if isinstance(a, Lanes) else None

    @overload(np.minimum)
    def _overload_minimum(a, b):
        return (lambda a, b: where(a > b, real(b), a)) if isinstance(a, Lanes) else None

    overload(load)(lambda array, row, first: lambda array, row, first: _load(array, row, first))
    overload(load_edge)(lambda array, row, first: lambda array, row, first: _load_edge(array, row, first))
    overload(reals)(lambda array, row, first: lambda array, row, first: _reals(array, row, first))
    overload(store)(lambda array, row, first, lanes: lambda array, row, first, lanes: _store(array, row, first, lanes))
    overload(splat)(lambda number: lambda number: _splat(number))
    overload(real)(lambda number: lambda number: _real(number))
    overload(multiply_add)(lambda a, b, c: lambda a, b, c: _multiply_add(a, b, c))
    overload(where)(lambda mask, yes, no: lambda mask, yes, no: _where(mask, yes, no))
    overload(in_type_of)(lambda reals, lanes: lambda reals, lanes: _in_type_of(reals, lanes))
    overload(any_lane)(lambda mask: lambda mask: _any_lane(mask))
    overload(bits)(lambda mask: lambda mask: _bits(mask))
    overload(lowest)(lambda number: lambda number: _lowest(number))
    overload(lane)(lambda lanes, j: lambda lanes, j: _lane(lanes, j))
    overload(total)(lambda lanes: lambda lanes: _total(lanes))


def _define(operation, name: str) -> None:
    """Let an operator act on lanes: a comparison, or the LLVM instruction `name` (f before it for reals)."""
    compares = name in ("<", "<=", ">", ">=", "==", "!=")

    @intrinsic
    def act(typingctx, a, b):
        lanes = a if isinstance(a, Lanes) else b
        integer = lanes.element == types.boolean or _is_integer(lanes.element)
        a, b = (kind if isinstance(kind, Lanes) else lanes.element for kind in (a, b))

        def codegen(context, builder, signature, args):
            vector = context.get_value_type(lanes)
            args = [value if value.type == vector else _broadcast(builder, value, vector) for value in args]
            if compares and integer:
                return builder.icmp_signed(name, *args)
            if compares:
                return builder.fcmp_ordered(name, *args) if name != "!=" else builder.fcmp_unordered(name, *args)
            # a division by what does not change may become a product with its inverse
            return getattr(builder, name if integer else f"f{name}")(*args, flags=["arcp"] if name == "div" else ())

        return Lanes(types.boolean if compares else lanes.element, lanes.width)(a, b), codegen

    @overload(operation)
    def _(a, b):
        kinds = [kind for kind in (a, b) if isinstance(kind, Lanes)]
        if kinds and all(kind == kinds[0] or isinstance(kind, types.Number) for kind in (a, b)):
            return lambda a, b: act(a, b)
        return None


for _operation, _name in (
    (operator.add, "add"), (operator.sub, "sub"), (operator.mul, "mul"), (operator.truediv, "div"),
    (operator.and_, "and_"), (operator.or_, "or_"), (operator.lt, "<"), (operator.le, "<="), (operator.gt, ">"),
    (operator.ge, ">="), (operator.eq, "=="), (operator.ne, "!="),
):  # fmt: skip
    _define(_operation, _name)
