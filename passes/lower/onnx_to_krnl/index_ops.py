"""Index arithmetic that is not affine: extrema, choices, division by what is not constant.

Operands and results are index expressions, so that they mix with affine ones; constants are
computed here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Operation, SSAValue

from dialects import arith
from dialects.onnx.constants import single_element
from dialects.onnx.dims import Dim
from dialects.onnx.ops import Const, OnnxOp
from dialects.onnx.types import dtype_of, is_none
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl.emitter import index
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.scalars import Scalar
from passes.onnx.bind_parameters import parameter

i64 = IntegerType(64)
Bounds = tuple[int | None, int | None]

Extent = tuple[Affine, Affine]
"""The first index along an axis, and the one behind the last."""


def _binary(k: Kernel, kind: type[Operation], a: Affine, b: Affine, bounds: Bounds) -> Affine:
    values = [k.index_value(a), k.index_value(b)]
    return k.index_of(k.add(kind.create(operands=values, result_types=[index])), *bounds)


def maximum(k: Kernel, a: Affine, b: Affine | int) -> Affine:
    """The larger of two indices."""
    b = affine(b)
    (low_a, high_a), (low_b, high_b) = a.range, b.range
    if low_a is not None and high_b is not None and low_a >= high_b:
        return a
    if low_b is not None and high_a is not None and low_b >= high_a:
        return b
    low = max((x for x in (low_a, low_b) if x is not None), default=None)
    high = None if high_a is None or high_b is None else max(high_a, high_b)
    return _binary(k, arith.MaxSIOp, a, b, (low, high))


def minimum(k: Kernel, a: Affine, b: Affine | int) -> Affine:
    """The smaller of two indices."""
    b = affine(b)
    (low_a, high_a), (low_b, high_b) = a.range, b.range
    if high_a is not None and low_b is not None and high_a <= low_b:
        return a
    if high_b is not None and low_a is not None and high_b <= low_a:
        return b
    high = min((x for x in (high_a, high_b) if x is not None), default=None)
    low = None if low_a is None or low_b is None else min(low_a, low_b)
    return _binary(k, arith.MinSIOp, a, b, (low, high))


def clamp(k: Kernel, entry: Affine, dim: Dim | Affine) -> Affine:
    """The nearest index inside of a size; 0 for an empty one."""
    return maximum(k, minimum(k, entry, k.size(dim) - 1), 0)


def select(k: Kernel, condition: Scalar, true: Affine, false: Affine) -> Affine:
    """One of two indices."""
    (a, b), (c, d) = true.range, false.range
    low = None if a is None or c is None else min(a, c)
    high = None if b is None or d is None else max(b, d)
    values = [condition.value, k.index_value(true), k.index_value(false)]
    made = arith.SelectOp.create(operands=values, result_types=[index])
    return k.index_of(k.add(made), low, high)


def product(k: Kernel, a: Affine, b: Affine) -> Affine:
    """The product of two indices."""
    if not a.terms:
        return b * a.constant
    if not b.terms:
        return a * b.constant
    return _binary(k, arith.MuliOp, a, b, (None, None))


def floordiv(k: Kernel, a: Affine, b: Affine) -> Affine:
    """The quotient rounded down; the divisor must be positive."""
    if not b.terms:
        return a // b.constant
    return _binary(k, arith.FloorDivSIOp, a, b, (None, None))


def modulo(k: Kernel, a: Affine, b: Affine) -> Affine:
    """The remainder with the sign of the divisor, which must be positive."""
    if not b.terms:
        return a % b.constant
    rest = _binary(k, arith.RemSIOp, a, b, (None, None))
    if (a.range[0] or -1) >= 0:
        return k.index_of(k.index_value(rest), 0)
    negative = k.compare_index("lt", rest, affine(0))
    return select(k, negative, rest + b, rest)


def from_end(k: Kernel, entry: Affine, size: Affine) -> Affine:
    """An index of which negative values count from the end."""
    low, high = entry.range
    if low is not None and low >= 0:
        return entry
    if high is not None and high < 0:
        return entry + size
    return select(k, k.compare_index("lt", entry, affine(0)), entry + size, entry)


def from_scalar(k: Kernel, scalar: Scalar) -> Affine:
    """An integer as an index; booleans and floats are converted."""
    return k.index_of(k.s.to_index(scalar))


def read_index(k: Kernel, value: SSAValue, entries: Sequence[Affine]) -> Affine:
    """An element of a tensor of whole numbers as an index; of a constant one it is a number."""
    owner = value.owner
    if isinstance(owner, Const) and value not in k.buffers:
        return affine(int(single_element(owner)))
    scalar = k.read(value, entries)
    found = from_scalar(k, k.s.cast(scalar, i64) if scalar.is_float else scalar)
    unsigned = dtype_of(value.type).kind == "u"
    return k.index_of(k.index_value(found), 0) if unsigned else found


def wrapped(k: Kernel, entry: Affine, dim: Dim) -> Affine:
    """An index of which negative values count from the end, kept inside for the memory's sake.

    ONNX forbids indices outside of [-dim, dim); the check of a run is `onnx-check-indices`.
    """
    return clamp(k, from_end(k, entry, k.size(dim)), dim)


def parameters(k: Kernel, op: OnnxOp, number: int) -> list[Affine] | None:
    """An operand that tells an operator what to do, as indices; None where it is absent.

    What shape inference did not find out is read from memory.
    """
    found = parameter(op, number)
    if found is not None:
        return [k.size(int(dim) if isinstance(dim, float) else dim) for dim in found]
    if number >= len(op.operands) or is_none(op.operands[number]):
        return None
    value = op.operands[number]
    dims = k.dims(value)
    if not dims:
        return [read_index(k, value, [])]
    count = dims[0]
    if len(dims) != 1 or not isinstance(count, int):
        raise k.unsupported(
            op,
            f"operand {number} has an unknown number of elements",
            "give the model's inputs fixed sizes with --dim",
        )
    return [read_index(k, value, [affine(place)]) for place in range(count)]


def around(inside: Sequence[Extent], whole: Sequence[Extent]) -> Iterator[list[Extent]]:
    """Boxes that fill what lies of ``whole`` around ``inside``, two sides of every axis in turn."""
    for depth, ((first, last), (lower, upper)) in enumerate(zip(whole, inside, strict=True)):
        for side in ((first, lower), (upper, last)):
            if side[0] != side[1]:
                yield [*inside[:depth], side, *whole[depth + 1 :]]
