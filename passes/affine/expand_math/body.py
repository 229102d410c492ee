"""A typed builder for branch-free function bodies, in which code reads like the mathematics.

`Body` owns the block that is being filled; `Value` is an SSA value with operators. Both serve
scalars and vectors: a body has one shape, every value in it has that shape, and Python numbers
become (splat) constants of the other operand's element type, one per function. No operation but
`product` carries fast-math flags: the algorithms depend on the rounding of each step, and where a
multiplication and an addition should fuse they say `fma`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite
from typing import cast

import numpy as np
from xdsl.dialects import math
from xdsl.dialects.builtin import (
    AnyFloat,
    BytesAttr,
    DenseIntOrFPElementsAttr,
    FloatAttr,
    IntegerAttr,
    IntegerType,
    VectorType,
    f32,
    f64,
    i1,
    i32,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, SSAValue

from dialects import arith

Number = int | float


@dataclass(frozen=True)
class Format:
    """An IEEE 754 binary format in which bodies compute.

    `mantissa` is the number of stored mantissa bits, `bias` that of the exponent. Adding `shifter`
    (1.5 * 2**mantissa) to a number below 2**(mantissa - 1) rounds it to an integer, which then
    stands in the low bits of the sum.
    """

    element: AnyFloat
    bits: IntegerType
    mantissa: int
    bias: int

    @property
    def shifter(self) -> float:
        return 1.5 * 2.0**self.mantissa

    @property
    def smallest_normal(self) -> float:
        return 2.0 ** (1 - self.bias)

    @property
    def infinity_bits(self) -> int:
        return (2 * self.bias + 1) << self.mantissa

    @property
    def sign_bit(self) -> int:
        return 1 << (self.bits.width.data - 1)

    def bits_of(self, number: float) -> int:
        """The encoding of `number`, as an unsigned integer."""
        dtype = np.float32 if self.element == f32 else np.float64
        return int.from_bytes(dtype(number).tobytes(), "little")


F32 = Format(f32, i32, 23, 127)
F64 = Format(f64, i64, 52, 1023)
FORMATS: dict[Attribute, Format] = {f32: F32, f64: F64}

_CONTRACT = arith.FastMathFlagsAttr([arith.FastMathFlag.ALLOW_CONTRACT])
_CMPF = {"<": 4, "<=": 5, ">": 2, ">=": 3, "==": 1, "!=": 13}
_CMPI = {"<": 2, "<=": 3, ">": 4, ">=": 5, "==": 0, "!=": 1}
_UNSIGNED_LESS = 6


@cache
def _predicate(number: int) -> IntegerAttr:
    return IntegerAttr(number, i64)


@cache
def shaped(element: Attribute, shape: tuple[int, ...]) -> Attribute:
    """`element`, or the vector of it when `shape` is not empty."""
    return VectorType(element, shape) if shape else element


class Value:
    """An SSA value inside a body; floats, integers and booleans (`i1`) share the class.

    `+ - * /` are the float or integer operation of the element type; comparisons of floats are
    ordered (false for NaN), of integers signed. `==` stays Python's; use `equals` and `differs`.
    """

    __slots__ = ("body", "element", "ssa")

    def __init__(self, body: Body, ssa: SSAValue, element: Attribute) -> None:
        self.body = body
        self.ssa = ssa
        self.element = element

    @property
    def format(self) -> Format:
        """The format of a float value (KeyError for others)."""
        return FORMATS[self.element]

    @property
    def is_integer(self) -> bool:
        return isinstance(self.element, IntegerType)

    def __add__(self, other: Value | Number) -> Value:
        return self._binary(arith.AddfOp, arith.AddiOp, other)

    def __sub__(self, other: Value | Number) -> Value:
        return self._binary(arith.SubfOp, arith.SubiOp, other)

    def __mul__(self, other: Value | Number) -> Value:
        return self._binary(arith.MulfOp, arith.MuliOp, other)

    def __radd__(self, other: Number) -> Value:
        return self + other

    def __rsub__(self, other: Number) -> Value:
        return self.body.lift(other, self.element) - self

    def __rmul__(self, other: Number) -> Value:
        return self * other

    def __truediv__(self, other: Value | Number) -> Value:
        return self.body.op(arith.DivfOp, self, self.body.lift(other, self.element))

    def __rtruediv__(self, other: Number) -> Value:
        return self.body.lift(other, self.element) / self

    def __neg__(self) -> Value:
        return self.body.op(arith.NegfOp, self)

    def __abs__(self) -> Value:
        return self.body.op(math.AbsFOp, self)

    def __and__(self, other: Value | int) -> Value:
        return self._integer(arith.AndIOp, other)

    def __or__(self, other: Value | int) -> Value:
        return self._integer(arith.OrIOp, other)

    def __xor__(self, other: Value | int) -> Value:
        return self._integer(arith.XOrIOp, other)

    def __lshift__(self, other: Value | int) -> Value:
        return self._integer(arith.ShLIOp, other)

    def __rshift__(self, other: Value | int) -> Value:
        """The logical shift: zeros come in from the left."""
        return self._integer(arith.ShRUIOp, other)

    def shift_right_signed(self, other: Value | int) -> Value:
        return self._integer(arith.ShRSIOp, other)

    def __lt__(self, other: Value | Number) -> Value:
        return self._compare("<", other)

    def __le__(self, other: Value | Number) -> Value:
        return self._compare("<=", other)

    def __gt__(self, other: Value | Number) -> Value:
        return self._compare(">", other)

    def __ge__(self, other: Value | Number) -> Value:
        return self._compare(">=", other)

    def equals(self, other: Value | Number) -> Value:
        return self._compare("==", other)

    def differs(self, other: Value | Number) -> Value:
        """`!=`, which for floats is also true when either is NaN."""
        return self._compare("!=", other)

    def unsigned_less(self, other: Value | int) -> Value:
        return self.body.compare(
            arith.CmpiOp, _UNSIGNED_LESS, self, self.body.lift(other, self.element)
        )

    def bits(self) -> Value:
        """The encoding of a float as an integer of the same width."""
        return self.body.convert(arith.BitcastOp, self, self.format.bits)

    def as_float(self) -> Value:
        """The float that an i32 or i64 encodes."""
        return self.body.convert(arith.BitcastOp, self, f32 if self.element == i32 else f64)

    def to(self, element: Attribute) -> Value:
        """This float rounded or extended to another float type."""
        if self.element == element:
            return self
        wider = cast(AnyFloat, element).bitwidth > cast(AnyFloat, self.element).bitwidth
        return self.body.convert(arith.ExtFOp if wider else arith.TruncFOp, self, element)

    def _binary(
        self, on_floats: type[Operation], on_integers: type[Operation], other: Value | Number
    ) -> Value:
        kind = on_integers if self.is_integer else on_floats
        return self.body.op(kind, self, self.body.lift(other, self.element))

    def _integer(self, kind: type[Operation], other: Value | int) -> Value:
        return self.body.op(kind, self, self.body.lift(other, self.element))

    def _compare(self, predicate: str, other: Value | Number) -> Value:
        rhs = self.body.lift(other, self.element)
        if self.is_integer:
            return self.body.compare(arith.CmpiOp, _CMPI[predicate], self, rhs)
        return self.body.compare(arith.CmpfOp, _CMPF[predicate], self, rhs)


class Body:
    """Appends operations on values of one shape to `block`."""

    def __init__(self, block: Block, shape: tuple[int, ...]) -> None:
        self.block = block
        self.shape = shape
        self._constants: dict[tuple[str, Attribute], Value] = {}

    def value(self, ssa: SSAValue) -> Value:
        """An argument of the block as a `Value`."""
        kind = ssa.type
        return Value(self, ssa, kind.element_type if isinstance(kind, VectorType) else kind)

    def op(self, kind: type[Operation], *operands: Value) -> Value:
        """An operation whose result has the type of its (first) operand."""
        ssa = [operand.ssa for operand in operands]
        return self._append(
            kind.create(operands=ssa, result_types=[ssa[0].type]), operands[0].element
        )

    def convert(self, kind: type[Operation], operand: Value, element: Attribute) -> Value:
        """A conversion of `operand` to another element type."""
        result = shaped(element, self.shape)
        return self._append(kind.create(operands=[operand.ssa], result_types=[result]), element)

    def compare(self, kind: type[Operation], predicate: int, lhs: Value, rhs: Value) -> Value:
        operation = kind.create(
            operands=[lhs.ssa, rhs.ssa],
            result_types=[shaped(i1, self.shape)],
            properties={"predicate": _predicate(predicate)},
        )
        return self._append(operation, i1)

    def lift(self, number: Value | Number, element: Attribute) -> Value:
        """`number` itself, or the constant of that element type."""
        return number if isinstance(number, Value) else self.constant(number, element)

    def constant(self, number: Number, element: Attribute) -> Value:
        """A constant, made once per body. Integers are taken modulo their width."""
        key = (repr(number), element)
        if key not in self._constants:
            self._constants[key] = self._new_constant(number, element)
        return self._constants[key]

    def _new_constant(self, number: Number, element: Attribute) -> Value:
        if isinstance(element, IntegerType):
            attribute = _integer_constant(int(number), element, self.shape)
        elif _prints_as_bits(number):
            fmt = FORMATS[element]
            return self.constant(fmt.bits_of(number), fmt.bits).as_float()
        else:
            attribute = _float_constant(float(number), element, self.shape)
        kind = shaped(element, self.shape)
        operation = arith.ConstantOp.create(result_types=[kind], properties={"value": attribute})
        return self._append(operation, element)

    def fma(self, x: Value | Number, y: Value, z: Value | Number) -> Value:
        """x * y + z, rounded once."""
        return self.op(math.FmaOp, self.lift(x, y.element), y, self.lift(z, y.element))

    def product(self, x: Value, y: Value) -> Value:
        """x * y, which may be fused with an addition of the caller's that allows the same."""
        result = self.op(arith.MulfOp, x, y)
        result.ssa.owner.properties["fastmath"] = _CONTRACT  # type: ignore[union-attr]
        return result

    def select(self, condition: Value, yes: Value | Number, no: Value | Number) -> Value:
        """`yes` where `condition` holds, `no` elsewhere; one of the two must be a `Value`."""
        element = cast(Value, yes if isinstance(yes, Value) else no).element
        yes, no = self.lift(yes, element), self.lift(no, element)
        operation = arith.SelectOp.create(
            operands=[condition.ssa, yes.ssa, no.ssa], result_types=[yes.ssa.type]
        )
        return self._append(operation, element)

    def at_most(self, x: Value, bound: Number) -> Value:
        """min(x, bound), NaN stays NaN; one instruction where the hardware has min."""
        return self.select(x > bound, bound, x)

    def at_least(self, x: Value, bound: Number) -> Value:
        """max(x, bound), NaN stays NaN."""
        return self.select(x < bound, bound, x)

    def copysign(self, magnitude: Value, sign: Value) -> Value:
        return self.op(math.CopySignOp, magnitude, sign)

    def round_even(self, x: Value) -> Value:
        return self.op(math.RoundEvenOp, x)

    def floor(self, x: Value) -> Value:
        return self.op(math.FloorOp, x)

    def sqrt(self, x: Value) -> Value:
        return self.op(math.SqrtOp, x)

    def two_sum(self, x: Value, y: Value) -> tuple[Value, Value]:
        """x + y rounded, and what the rounding lost, exactly (Knuth); 6 operations."""
        total = x + y
        of_y = total - x
        return total, (x - (total - of_y)) + (y - of_y)

    def fast_two_sum(self, x: Value, y: Value) -> tuple[Value, Value]:
        """`two_sum` for |x| >= |y| (Dekker); 3 operations."""
        total = x + y
        return total, y - (total - x)

    def two_product(self, x: Value, y: Value) -> tuple[Value, Value]:
        """x * y rounded, and what the rounding lost."""
        product = x * y
        return product, self.fma(x, y, -product)

    def polynomial(self, x: Value, coefficients: Sequence[float]) -> Value:
        """coefficients[0] + coefficients[1] * x + ..., by Horner's rule."""
        *rest, last = coefficients
        result: Value | float = last
        for coefficient in reversed(rest):
            result = self.fma(result, x, coefficient)
        return self.lift(result, x.element)

    def short_polynomial(self, x: Value, coefficients: Sequence[float]) -> Value:
        """The same by Estrin's scheme: a few products more, but few that wait for each other.

        It rounds a little more: for where the polynomial is a small part of the result.
        """
        terms: list[Value | float] = list(coefficients)
        power = x
        while len(terms) > 1:
            pairs: list[Value | float] = [
                self.fma(high, power, low)
                for low, high in zip(terms[::2], terms[1::2], strict=False)
            ]
            terms = pairs + terms[len(pairs) * 2 :]
            if len(terms) > 1:
                power = power * power
        return self.lift(terms[0], x.element)

    def _append(self, operation: Operation, element: Attribute) -> Value:
        self.block.add_op(operation)
        return Value(self, operation.results[0], element)


def _prints_as_bits(number: float) -> bool:
    """Whether xDSL may print a float in hexadecimal. In a dense vector's text that is read back as
    an integer, so such numbers, and all NaN, are made by a cast of their bits."""
    return not isfinite(number) or (abs(number) >= 1e6 and float(number).is_integer())


@cache
def _integer_constant(number: int, element: IntegerType, shape: tuple[int, ...]) -> Attribute:
    width = element.width.data
    data = number & ((1 << width) - 1)
    signed = data - (1 << width) if width > 1 and data >> (width - 1) else data
    if not shape:
        return IntegerAttr(signed, element)
    raw = data.to_bytes((width + 7) // 8, "little")
    return DenseIntOrFPElementsAttr(VectorType(element, shape), BytesAttr(raw))


@cache
def _float_constant(number: float, element: AnyFloat, shape: tuple[int, ...]) -> Attribute:
    if not shape:
        return FloatAttr(number, element)
    dtype = np.float32 if element == f32 else np.float64
    return DenseIntOrFPElementsAttr(VectorType(element, shape), BytesAttr(dtype(number).tobytes()))
