"""Arithmetic on scalars with ONNX's element types: the words in which operator bodies are written.

A `Scalar` pairs an SSA value with its ONNX element type, because the signless integers below the
`onnx` stage do not say how to divide or compare. Booleans are `i1` here (one byte in memory).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import ml_dtypes
import numpy as np
from xdsl.dialects import math
from xdsl.dialects.builtin import (
    AnyFloat,
    BFloat16Type,
    Float16Type,
    FloatAttr,
    IndexType,
    IntegerAttr,
    IntegerType,
    Signedness,
    bf16,
)
from xdsl.ir import Attribute, Operation, SSAValue

from dialects import arith
from dialects.onnx.types import dtype_of, f32
from passes.lower.onnx_to_krnl.minifloats import bits_of, decode, encode, is_minifloat

i1 = IntegerType(1)
index = IndexType()
_I32 = IntegerType(32)
_I64 = IntegerType(64)

CONTRACT = arith.FastMathFlagsAttr([arith.FastMathFlag.ALLOW_CONTRACT])
REDUCTION = arith.FastMathFlagsAttr(
    [
        arith.FastMathFlag.ALLOW_CONTRACT,
        arith.FastMathFlag.REASSOC,
        arith.FastMathFlag.NO_SIGNED_ZEROS,
    ]
)
NUMBERS = arith.FastMathFlagsAttr(
    [arith.FastMathFlag.REASSOC, arith.FastMathFlag.NO_SIGNED_ZEROS, arith.FastMathFlag.NO_NANS]
)
"""For a softmax's largest element, which is then one instruction and not three: where an element is
NaN, so is the sum of the exponentials, whichever element was taken for the largest."""
APPROXIMATE = arith.FastMathFlagsAttr([arith.FastMathFlag.APPROX_FUNC])
UNSIGNED_ZEROS = arith.FastMathFlagsAttr([arith.FastMathFlag.NO_SIGNED_ZEROS])
"""For the larger of two numbers: which of two zeros no operator says, and costs instructions."""
EXACT = arith.FastMathFlagsAttr("none")

_FLOAT_ORDER = {"eq": 1, "gt": 2, "ge": 3, "lt": 4, "le": 5, "ne": 13}
_SIGNED_ORDER = {"eq": 0, "ne": 1, "lt": 2, "le": 3, "gt": 4, "ge": 5}
_UNSIGNED_ORDER = {"eq": 0, "ne": 1, "lt": 6, "le": 7, "gt": 8, "ge": 9}


@dataclass(frozen=True)
class Scalar:
    """An SSA value and the ONNX element type that it has."""

    value: SSAValue
    element: Attribute

    @property
    def is_float(self) -> bool:
        """Whether it is a floating-point number that machines compute with."""
        return isinstance(self.element, AnyFloat) and not is_minifloat(self.element)

    @property
    def is_unsigned(self) -> bool:
        """Whether integer operations treat it as unsigned."""
        element = self.element
        return isinstance(element, IntegerType) and (
            element.signedness.data is Signedness.UNSIGNED or element.width.data == 1
        )

    @property
    def is_bool(self) -> bool:
        """Whether it is a truth value."""
        return self.element == i1


@cache
def register_type(element: Attribute) -> Attribute:
    """The type a scalar has in a body: signless; the smallest floats are their bits."""
    if is_minifloat(element):
        return IntegerType(8)
    return IntegerType(element.width.data) if isinstance(element, IntegerType) else element


@cache
def storage_type(element: Attribute) -> Attribute:
    """The type an element has in memory: signless, booleans and shorter integers as bytes."""
    kind = register_type(element)
    return IntegerType(8) if isinstance(kind, IntegerType) and kind.width.data < 8 else kind


@cache
def accumulator_type(element: Attribute) -> Attribute:
    """The type in which a sum is kept: float32 for the short floats."""
    return f32 if isinstance(element, Float16Type | BFloat16Type) else element


@cache
def _float_constant(value: float, element: Attribute) -> FloatAttr:
    return FloatAttr(value, element)  # type: ignore[type-var]


@dataclass(frozen=True)
class Quantized:
    """What an integer was quantized to: whole steps, as a float, from a zero point."""

    steps: Scalar
    zero: SSAValue


class Scalars:
    """Builds scalar operations into the block that ``add`` appends to.

    ``quantized`` remembers what integers were made of, for what computes with them at once.
    """

    def __init__(self, add: Callable[[Operation], SSAValue]) -> None:
        self._add = add
        self.quantized: dict[SSAValue, Quantized] = {}

    def _op(
        self, kind: type[Operation], result: Attribute, *operands: SSAValue, **properties: Attribute
    ) -> SSAValue:
        return self._add(
            kind.create(operands=operands, result_types=[result], properties=properties)
        )

    # Constants ------------------------------------------------------------------------------

    def const(self, value: float | int | bool, element: Attribute) -> Scalar:
        """A constant of an element type."""
        kind = register_type(element)
        if is_minifloat(element):
            return Scalar(self.const(bits_of(float(value), element), kind).value, element)
        if isinstance(element, AnyFloat):
            attribute: Attribute = _float_constant(float(value), element)
        else:
            width = element.width.data if isinstance(element, IntegerType) else 64
            number = int(value)
            if number >= 1 << (width - 1) and width > 1:
                number -= 1 << width
            attribute = IntegerAttr(number if width > 1 else number & 1, kind)  # type: ignore
        made = arith.ConstantOp.create(result_types=[kind], properties={"value": attribute})
        return Scalar(self._add(made), element)

    def like(self, value: float | int, other: Scalar) -> Scalar:
        """A constant of another scalar's type."""
        return self.const(value, other.element)

    def lowest(self, element: Attribute) -> Scalar:
        """The identity of max: -inf, or the smallest integer."""
        if isinstance(element, AnyFloat):
            return self.const(-np.inf, element)
        return self.const(
            0 if element == i1 else int(ml_dtypes.iinfo(dtype_of(element)).min), element
        )

    def highest(self, element: Attribute) -> Scalar:
        """The identity of min: +inf, or the largest integer."""
        if isinstance(element, AnyFloat):
            return self.const(np.inf, element)
        return self.const(
            1 if element == i1 else int(ml_dtypes.iinfo(dtype_of(element)).max), element
        )

    # Arithmetic -----------------------------------------------------------------------------

    def _binary(
        self,
        lhs: Scalar,
        rhs: Scalar,
        on_floats: type[Operation],
        on_signed: type[Operation],
        on_unsigned: type[Operation] | None = None,
        flags: Attribute = CONTRACT,
    ) -> Scalar:
        kind = lhs.value.type
        if lhs.is_float:
            value = self._op(on_floats, kind, lhs.value, rhs.value, fastmath=flags)
        else:
            op = on_unsigned if lhs.is_unsigned and on_unsigned else on_signed
            properties = {} if op not in _OVERFLOW else {"overflowFlags": _NO_OVERFLOW_FLAGS}
            value = self._op(op, kind, lhs.value, rhs.value, **properties)
        return Scalar(value, lhs.element)

    def add(self, lhs: Scalar, rhs: Scalar, flags: Attribute = CONTRACT) -> Scalar:
        """Sum; integers wrap."""
        return self._binary(lhs, rhs, arith.AddfOp, arith.AddiOp, flags=flags)

    def sub(self, lhs: Scalar, rhs: Scalar) -> Scalar:
        """Difference; integers wrap."""
        return self._binary(lhs, rhs, arith.SubfOp, arith.SubiOp)

    def mul(self, lhs: Scalar, rhs: Scalar, flags: Attribute = CONTRACT) -> Scalar:
        """Product; integers wrap."""
        return self._binary(lhs, rhs, arith.MulfOp, arith.MuliOp, flags=flags)

    def div(self, lhs: Scalar, rhs: Scalar) -> Scalar:
        """Quotient; integers truncate towards zero, and division by zero gives zero.

        ONNX leaves integer division by zero undefined; the machine would trap.
        """
        if lhs.is_float:
            return self._binary(lhs, rhs, arith.DivfOp, arith.DivSIOp)
        divisor, safe = self._safe_divisor(lhs, rhs)
        quotient = self._binary(lhs, divisor, arith.DivfOp, arith.DivSIOp, arith.DivUIOp)
        negated = self.neg(lhs)
        if not lhs.is_unsigned:
            quotient = self.select(self.equal(rhs, self.like(-1, rhs)), negated, quotient)
        return self.select(safe, quotient, self.like(0, lhs))

    def _safe_divisor(self, lhs: Scalar, rhs: Scalar) -> tuple[Scalar, Scalar]:
        """A divisor that never traps, and whether the given one is not zero."""
        nonzero = self.compare("ne", rhs, self.like(0, rhs))
        divisor = self.select(nonzero, rhs, self.like(1, rhs))
        if not lhs.is_unsigned:
            minus_one = self.equal(divisor, self.like(-1, rhs))
            divisor = self.select(minus_one, self.like(1, rhs), divisor)
        return divisor, nonzero

    def remainder(self, lhs: Scalar, rhs: Scalar) -> Scalar:
        """C's remainder (sign of the dividend); zero for a zero integer divisor."""
        if lhs.is_float:
            return self._binary(lhs, rhs, arith.RemFOp, arith.RemSIOp)
        divisor, safe = self._safe_divisor(lhs, rhs)
        rest = self._binary(lhs, divisor, arith.RemFOp, arith.RemSIOp, arith.RemUIOp)
        return self.select(safe, rest, self.like(0, lhs))

    def neg(self, x: Scalar) -> Scalar:
        """Negation; integers wrap."""
        if x.is_float:
            return Scalar(self._op(arith.NegfOp, x.value.type, x.value, fastmath=EXACT), x.element)
        return self.sub(self.like(0, x), x)

    def max(self, lhs: Scalar, rhs: Scalar, flags: Attribute = UNSIGNED_ZEROS) -> Scalar:
        """The larger one, of two zeros either; NaN wins."""
        return self._binary(lhs, rhs, arith.MaximumfOp, arith.MaxSIOp, arith.MaxUIOp, flags)

    def min(self, lhs: Scalar, rhs: Scalar, flags: Attribute = UNSIGNED_ZEROS) -> Scalar:
        """The smaller one, of two zeros either; NaN wins."""
        return self._binary(lhs, rhs, arith.MinimumfOp, arith.MinSIOp, arith.MinUIOp, flags)

    def bit_and(self, lhs: Scalar, rhs: Scalar) -> Scalar:
        """Bitwise (for booleans logical) and."""
        return Scalar(self._op(arith.AndIOp, lhs.value.type, lhs.value, rhs.value), lhs.element)

    def bit_or(self, lhs: Scalar, rhs: Scalar) -> Scalar:
        """Bitwise (for booleans logical) or."""
        return Scalar(self._op(arith.OrIOp, lhs.value.type, lhs.value, rhs.value), lhs.element)

    def bit_xor(self, lhs: Scalar, rhs: Scalar) -> Scalar:
        """Bitwise (for booleans logical) exclusive or."""
        return Scalar(self._op(arith.XOrIOp, lhs.value.type, lhs.value, rhs.value), lhs.element)

    def invert(self, x: Scalar) -> Scalar:
        """Bitwise (for booleans logical) not."""
        return self.bit_xor(x, self.like(1 if x.is_bool else -1, x))

    def shift_left(self, lhs: Scalar, rhs: Scalar) -> Scalar:
        """Left shift; a distance of the width or more (or below 0) gives zero."""
        shifted = self._op(
            arith.ShLIOp, lhs.value.type, lhs.value, rhs.value, overflowFlags=_NO_OVERFLOW_FLAGS
        )
        return self._bounded_shift(Scalar(shifted, lhs.element), rhs)

    def shift_right(self, lhs: Scalar, rhs: Scalar) -> Scalar:
        """Right shift that keeps a sign; a distance of the width or more leaves only the sign."""
        if lhs.is_unsigned:
            shifted = self._op(arith.ShRUIOp, lhs.value.type, lhs.value, rhs.value)
            return self._bounded_shift(Scalar(shifted, lhs.element), rhs)
        assert isinstance(lhs.element, IntegerType)
        last = self.like(lhs.element.width.data - 1, rhs)
        distance = self._op(arith.MinUIOp, rhs.value.type, rhs.value, last.value)
        return Scalar(self._op(arith.ShRSIOp, lhs.value.type, lhs.value, distance), lhs.element)

    def _bounded_shift(self, shifted: Scalar, distance: Scalar) -> Scalar:
        assert isinstance(shifted.element, IntegerType)
        width = self.like(shifted.element.width.data, distance)
        inside = Scalar(
            self._op(arith.CmpiOp, i1, distance.value, width.value, predicate=_predicate(6)), i1
        )
        return self.select(inside, shifted, self.like(0, shifted))

    # Comparison and choice ------------------------------------------------------------------

    def compare(self, order: str, lhs: Scalar, rhs: Scalar) -> Scalar:
        """`eq ne lt le gt ge`; comparisons with NaN are false, but `ne` is true."""
        if lhs.is_float:
            value = self._op(
                arith.CmpfOp,
                i1,
                lhs.value,
                rhs.value,
                predicate=_predicate(_FLOAT_ORDER[order]),
                fastmath=EXACT,
            )
        else:
            table = _UNSIGNED_ORDER if lhs.is_unsigned else _SIGNED_ORDER
            value = self._op(
                arith.CmpiOp, i1, lhs.value, rhs.value, predicate=_predicate(table[order])
            )
        return Scalar(value, i1)

    def equal(self, lhs: Scalar, rhs: Scalar) -> Scalar:
        """Whether both are equal."""
        return self.compare("eq", lhs, rhs)

    def select(self, condition: Scalar, true: Scalar, false: Scalar) -> Scalar:
        """One of two values, without a branch."""
        value = self._op(arith.SelectOp, true.value.type, condition.value, true.value, false.value)
        return Scalar(value, true.element)

    def is_nan(self, x: Scalar) -> Scalar:
        """Whether a float is not a number."""
        unordered = self._op(
            arith.CmpfOp, i1, x.value, x.value, predicate=_predicate(14), fastmath=EXACT
        )
        return Scalar(unordered, i1)

    # Functions ------------------------------------------------------------------------------

    def unary(self, kind: type[Operation], x: Scalar, flags: Attribute = EXACT) -> Scalar:
        """A floating-point function of the `math` dialect."""
        return Scalar(self._op(kind, x.value.type, x.value, fastmath=flags), x.element)

    def binary(self, kind: type[Operation], lhs: Scalar, rhs: Scalar) -> Scalar:
        """A floating-point function of two arguments of the `math` dialect."""
        return Scalar(
            self._op(kind, lhs.value.type, lhs.value, rhs.value, fastmath=EXACT), lhs.element
        )

    def exp(self, x: Scalar) -> Scalar:
        """e to the power of x."""
        return self.unary(math.ExpOp, x)

    def exp_normal(self, x: Scalar) -> Scalar:
        """e to the power of x as a term of a sum that has a 1: subnormal numbers may be 0."""
        return self.unary(math.ExpOp, x, APPROXIMATE)

    def erf_of_unit(self, x: Scalar) -> Scalar:
        """The error function as a term of 1 + erf x: its own smallest digits may be wrong."""
        return self.unary(math.ErfOp, x, APPROXIMATE)

    def log(self, x: Scalar) -> Scalar:
        """Natural logarithm."""
        return self.unary(math.LogOp, x)

    def tanh(self, x: Scalar) -> Scalar:
        """Hyperbolic tangent."""
        return self.unary(math.TanhOp, x)

    def sqrt(self, x: Scalar) -> Scalar:
        """Square root."""
        return self.unary(math.SqrtOp, x)

    def floor(self, x: Scalar) -> Scalar:
        """Largest whole number not above x."""
        return self.unary(math.FloorOp, x)

    def abs(self, x: Scalar) -> Scalar:
        """Absolute value; the smallest integer stays itself."""
        if x.is_float:
            return self.unary(math.AbsFOp, x)
        return x if x.is_unsigned else self.max(x, self.neg(x))

    def sigmoid(self, x: Scalar) -> Scalar:
        """1 / (1 + exp(-x))."""
        one = self.like(1, x)
        return self.div(one, self.add(one, self.exp_normal(self.neg(x))))

    def reciprocal(self, x: Scalar) -> Scalar:
        """1 / x."""
        return self.div(self.like(1, x), x)

    # Conversion -----------------------------------------------------------------------------

    def cast(
        self, x: Scalar, element: Attribute, saturate: bool = True, rounding: str = "up"
    ) -> Scalar:
        """ONNX's Cast between numbers and booleans; only floats of 8 bits saturate."""
        if x.element == element:
            return x
        if is_minifloat(x.element):
            return self.cast(decode(self, x), element, saturate, rounding)
        if is_minifloat(element):
            return encode(self, self.cast(x, f32), element, saturate, rounding)
        if element == i1:
            return self.compare("ne", x, self.like(0, x))
        target = register_type(element)
        if x.is_float:
            return Scalar(self._from_float(x, element, target), element)
        if element == bf16:
            # No machine converts integers to bfloat16.
            return self.cast(self.cast(x, f32), element)
        if isinstance(element, AnyFloat):
            op = arith.UIToFPOp if x.is_unsigned else arith.SIToFPOp
            return Scalar(self._op(op, target, x.value), element)
        return Scalar(self._resize_integer(x, target), element)

    def _from_float(self, x: Scalar, element: Attribute, target: Attribute) -> SSAValue:
        if isinstance(element, AnyFloat):
            if element.bitwidth == x.element.bitwidth:  # type: ignore[attr-defined]
                x = self.cast(x, f32)
            wider = element.bitwidth > x.element.bitwidth  # type: ignore[attr-defined]
            if wider:
                return self._op(arith.ExtFOp, target, x.value)
            if element.bitwidth < 32 < x.element.bitwidth:  # type: ignore[attr-defined]
                x = self._odd_single(x)
            return self._op(arith.TruncFOp, target, x.value)
        # A float outside of the range of a narrow type is undefined in LLVM: go through a wider one
        # and wrap. 32 bits do but for unsigned ones, and machines convert to those in vectors.
        width = element.width.data  # type: ignore[attr-defined]
        unsigned = Scalar(x.value, element).is_unsigned
        wide = _I64 if width + unsigned > 32 else _I32
        op = arith.FPToUIOp if unsigned and width == 64 else arith.FPToSIOp
        value = self._op(op, wide, x.value)
        return value if target == wide else self._op(arith.TruncIOp, target, value)

    def _odd_single(self, x: Scalar) -> Scalar:
        """A float64 as float32, rounded to odd: rounding that again to a short float is exact.

        Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using
        rounding to odd". Machines have no instruction from float64 to short floats.
        """
        nearest = Scalar(self._op(arith.TruncFOp, f32, x.value), f32)
        back = self.cast(nearest, x.element)
        bits = self.bit_cast(nearest, _I32)
        beyond = self.compare("gt", self.abs(back), self.abs(x))
        bits = self.select(beyond, self.sub(bits, self.like(1, bits)), bits)
        odd = self.bit_cast(self.bit_or(bits, self.like(1, bits)), f32)
        return self.select(self.equal(back, x), nearest, odd)

    def bit_cast(self, x: Scalar, element: Attribute) -> Scalar:
        """The same bits as another element type of the same width."""
        target = register_type(element)
        if target == x.value.type:
            return Scalar(x.value, element)
        if x.is_bool or element == i1:
            return self.cast(x, element)
        return Scalar(self._op(arith.BitcastOp, target, x.value), element)

    def _resize_integer(self, x: Scalar, target: Attribute) -> SSAValue:
        assert isinstance(target, IntegerType) and isinstance(x.value.type, IntegerType)
        before, after = x.value.type.width.data, target.width.data
        if before == after:
            return x.value
        if before > after:
            return self._op(arith.TruncIOp, target, x.value)
        return self._op(arith.ExtUIOp if x.is_unsigned else arith.ExtSIOp, target, x.value)

    def to_index(self, x: Scalar) -> SSAValue:
        """An integer as an index value."""
        wide = self._resize_integer(x, _I64)
        return self._op(arith.IndexCastOp, index, wide)

    def from_index(self, value: SSAValue, element: Attribute) -> Scalar:
        """An index value as a number."""
        number = Scalar(self._op(arith.IndexCastOp, _I64, value), _I64)
        return self.cast(number, element)


@cache
def _predicate(number: int) -> IntegerAttr:
    return IntegerAttr(number, IntegerType(64))


_OVERFLOW = (arith.AddiOp, arith.SubiOp, arith.MuliOp)
_NO_OVERFLOW_FLAGS = arith.IntegerOverflowAttr("none")
