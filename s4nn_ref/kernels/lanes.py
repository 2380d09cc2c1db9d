"""Lanes: LANES numbers side by side in vector registers, one per map, as a value of the kernels' language.

A loop over maps leaves the potentials in memory and loads and stores them at every spike. Here the potentials of LANES
maps are one value, `v`, which the compiler keeps in registers while the spikes of a position pass:

    v = v + load(w, synapse, first)
    rises = (v > peak) & (peak < splat(v_th))
    peak = where(rises, v, peak)

Operators + - * < <= > >= == != & | act lane by lane. Integers are int16, as firing times are: comparing times costs
half as much as comparing potentials. Without a compiler (NUMBA_DISABLE_JIT=1) lanes are NumPy arrays, and the functions
below are what they seem.
"""

import operator

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import config
from numba.core.errors import TypingError
from numba.extending import intrinsic, models, overload, register_model

from s4nn_ref.kernels.compile import LANES


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
    part = array[row, first : first + LANES]
    part[:] = lanes[: part.size]


def splat(number):
    """The same number in every lane."""
    return np.full(LANES, number, type(number))


def multiply_add(a, b, c):
    """a * b + c of real lanes; rounded once where the machine can."""
    return a * b + c


def where(mask, yes, no):
    """yes in the lanes of the mask, no in the others."""
    return np.where(mask, yes, no)


def any_lane(mask):
    """Whether any lane of a mask is set."""
    return bool(mask.any())


# ------------------------------------------------------------------------------------------------ what numba sees


class Lanes(types.Type):
    """Type of LANES elements of a Numba number type, or of booleans: an LLVM vector."""

    def __init__(self, element):
        self.element = element
        super().__init__(f"Lanes({element})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, lanes):
        bit = lanes.element == types.boolean
        element = ir.IntType(1) if bit else manager.lookup(lanes.element).get_value_type()
        super().__init__(manager, lanes, ir.VectorType(element, LANES))


def _is_integer(number) -> bool:
    return isinstance(number, types.Integer)


def _lanes_of(number) -> Lanes:
    if _is_integer(number) and number != types.int16:
        raise TypingError(f"lanes hold reals and integers of type int16, not {number}")
    return Lanes(number)


def _pointer(context, builder, array_type, array, row, first):
    """Pointer to a vector of LANES elements of a two-dimensional array, its type and its alignment."""
    if array_type.ndim != 2 or array_type.layout != "C":
        raise TypingError(f"lanes lie in two-dimensional arrays in C order, not in {array_type}")
    struct = context.make_array(array_type)(context, builder, array)
    columns = builder.extract_value(struct.shape, 1)
    element = context.get_data_type(array_type.dtype)
    vector = ir.VectorType(element, LANES)
    pointer = builder.gep(struct.data, [builder.add(builder.mul(row, columns), first)])
    return builder.bitcast(pointer, vector.as_pointer()), vector, context.get_abi_sizeof(element)


@intrinsic
def _load(typingctx, array, row, first):
    def codegen(context, builder, signature, args):
        pointer, _, align = _pointer(context, builder, array, *args)
        return builder.load(pointer, align=align)

    return _lanes_of(array.dtype)(array, types.intp, types.intp), codegen


def _mask_of_first(builder, count):
    """Mask of the lanes 0 .. count - 1."""
    number = ir.VectorType(ir.IntType(64), LANES)
    return builder.icmp_signed("<", ir.Constant(number, list(range(LANES))), _broadcast(builder, count, number))


def _broadcast(builder, value, vector):
    undefined = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _mangled(vector) -> str:
    kinds = {ir.FloatType(): "f32", ir.DoubleType(): "f64"}
    return f"v{LANES}{kinds.get(vector.element) or f'i{vector.element.width}'}"


@intrinsic
def _load_first(typingctx, array, row, first, count):
    def codegen(context, builder, signature, args):
        pointer, vector, align = _pointer(context, builder, array, *args[:3])
        mask, zero = _mask_of_first(builder, args[3]), ir.Constant(vector, None)
        kind = ir.FunctionType(vector, [pointer.type, ir.IntType(32), mask.type, vector])
        function = builder.module.declare_intrinsic(f"llvm.masked.load.{_mangled(vector)}.p0", (), kind)
        return builder.call(function, [pointer, ir.Constant(ir.IntType(32), align), mask, zero])

    return _lanes_of(array.dtype)(array, types.intp, types.intp, types.intp), codegen


@intrinsic
def _store(typingctx, array, row, first, lanes):
    def codegen(context, builder, signature, args):
        pointer, _, align = _pointer(context, builder, array, *args[:3])
        builder.store(args[3], pointer, align=align)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, lanes), codegen


@intrinsic
def _store_first(typingctx, array, row, first, count, lanes):
    def codegen(context, builder, signature, args):
        pointer, vector, align = _pointer(context, builder, array, *args[:3])
        mask = _mask_of_first(builder, args[3])
        kind = ir.FunctionType(ir.VoidType(), [vector, pointer.type, ir.IntType(32), mask.type])
        function = builder.module.declare_intrinsic(f"llvm.masked.store.{_mangled(vector)}.p0", (), kind)
        builder.call(function, [args[4], pointer, ir.Constant(ir.IntType(32), align), mask])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, types.intp, lanes), codegen


@intrinsic
def _splat(typingctx, number):
    lanes = _lanes_of(number)

    def codegen(context, builder, signature, args):
        return _broadcast(builder, args[0], context.get_value_type(lanes))

    return lanes(number), codegen


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
def _any_lane(typingctx, mask):
    def codegen(context, builder, signature, args):
        bits = builder.bitcast(args[0], ir.IntType(LANES))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(mask), codegen


if not config.DISABLE_JIT:

    @njit(error_model="numpy")
    def _load_any(array, row, first):
        if first + LANES <= array.shape[1]:
            return _load(array, row, first)
        return _load_first(array, row, first, array.shape[1] - first)

    @njit(error_model="numpy")
    def _store_any(array, row, first, lanes):
        if first + LANES <= array.shape[1]:
            _store(array, row, first, lanes)
        else:
            _store_first(array, row, first, array.shape[1] - first, lanes)

    overload(load)(lambda array, row, first: lambda array, row, first: _load(array, row, first))
    overload(load_edge)(lambda array, row, first: lambda array, row, first: _load_any(array, row, first))
    overload(store)(
        lambda array, row, first, lanes: lambda array, row, first, lanes: _store_any(array, row, first, lanes)
    )
    overload(splat)(lambda number: lambda number: _splat(number))
    overload(multiply_add)(lambda a, b, c: lambda a, b, c: _multiply_add(a, b, c))
    overload(where)(lambda mask, yes, no: lambda mask, yes, no: _where(mask, yes, no))
    overload(any_lane)(lambda mask: lambda mask: _any_lane(mask))


def _define(operation, name: str) -> None:
    """Let an operator act on lanes: a comparison, or the LLVM instruction `name` (f before it for reals)."""
    compares = name in ("<", "<=", ">", ">=", "==", "!=")

    @intrinsic
    def act(typingctx, a, b):
        integer = a.element == types.boolean or _is_integer(a.element)

        def codegen(context, builder, signature, args):
            if compares and integer:
                return builder.icmp_signed(name, *args)
            if compares:
                return builder.fcmp_ordered(name, *args) if name != "!=" else builder.fcmp_unordered(name, *args)
            return getattr(builder, name if integer else f"f{name}")(*args)

        return Lanes(types.boolean if compares else a.element)(a, b), codegen

    @overload(operation)
    def _(a, b):
        if isinstance(a, Lanes) and a == b:
            return lambda a, b: act(a, b)
        return None


for _operation, _name in (
    (operator.add, "add"), (operator.sub, "sub"), (operator.mul, "mul"), (operator.and_, "and_"), (operator.or_, "or_"),
    (operator.lt, "<"), (operator.le, "<="), (operator.gt, ">"), (operator.ge, ">="), (operator.eq, "=="),
    (operator.ne, "!="),
):  # fmt: skip
    _define(_operation, _name)
