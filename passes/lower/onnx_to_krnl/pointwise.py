"""Pointwise operators: one table from operator to the arithmetic of one element.

The formulas are those of the ONNX operator specifications.
"""

from __future__ import annotations

import math as py_math
from collections.abc import Callable, Sequence
from functools import reduce

from xdsl.dialects import math
from xdsl.ir import Operation

from dialects.onnx.ops import OnnxOp
from dialects.onnx.types import element_type_of
from passes.lower.onnx_to_krnl.registry import POINTWISE, pointwise
from passes.lower.onnx_to_krnl.scalars import Scalar, Scalars, i1

Operands = Sequence[Scalar | None]
Unary = Callable[[Scalars, Scalar], Scalar]
Binary = Callable[[Scalars, Scalar, Scalar], Scalar]


def given(operand: Scalar | None) -> Scalar:
    """An operand that is not absent."""
    assert operand is not None
    return operand


def _function(kind: type[Operation]) -> Unary:
    return lambda s, x: s.unary(kind, x)


def _compared(order: str) -> Binary:
    return lambda s, x, y: s.compare(order, x, y)


UNARY: dict[str, Unary] = {
    "Identity": lambda s, x: x,
    "Neg": Scalars.neg,
    "Abs": Scalars.abs,
    "Exp": Scalars.exp,
    "Log": Scalars.log,
    "Sqrt": Scalars.sqrt,
    "Reciprocal": Scalars.reciprocal,
    "Sigmoid": Scalars.sigmoid,
    "Tanh": Scalars.tanh,
    "Erf": _function(math.ErfOp),
    "Sin": _function(math.SinOp),
    "Cos": _function(math.CosOp),
    "Tan": _function(math.TanOp),
    "Asin": _function(math.AsinOp),
    "Acos": _function(math.AcosOp),
    "Atan": _function(math.AtanOp),
    "Sinh": _function(math.SinhOp),
    "Cosh": _function(math.CoshOp),
    "Asinh": _function(math.AsinhOp),
    "Acosh": _function(math.AcoshOp),
    "Atanh": _function(math.AtanhOp),
    "Floor": _function(math.FloorOp),
    "Ceil": _function(math.CeilOp),
    "Round": _function(math.RoundEvenOp),
    "Relu": lambda s, x: s.max(x, s.like(0, x)),
    "Not": Scalars.invert,
    "BitwiseNot": Scalars.invert,
    "IsNaN": Scalars.is_nan,
    "Softplus": lambda s, x: softplus(s, x),
    "Softsign": lambda s, x: s.div(x, s.add(s.like(1, x), s.abs(x))),
    "HardSwish": lambda s, x: s.mul(x, hard_sigmoid(s, x, 1 / 6, 0.5)),
    "Mish": lambda s, x: s.mul(x, s.tanh(softplus(s, x))),
    "Sign": lambda s, x: sign(s, x),
}

BINARY: dict[str, Binary] = {
    "Add": Scalars.add,
    "Sub": Scalars.sub,
    "Mul": Scalars.mul,
    "Div": Scalars.div,
    "And": Scalars.bit_and,
    "Or": Scalars.bit_or,
    "Xor": Scalars.bit_xor,
    "BitwiseAnd": Scalars.bit_and,
    "BitwiseOr": Scalars.bit_or,
    "BitwiseXor": Scalars.bit_xor,
    "Equal": _compared("eq"),
    "Less": _compared("lt"),
    "LessOrEqual": _compared("le"),
    "Greater": _compared("gt"),
    "GreaterOrEqual": _compared("ge"),
    "PRelu": lambda s, x, slope: s.select(s.compare("lt", x, s.like(0, x)), s.mul(x, slope), x),
}

FOLDED: dict[str, Binary] = {"Max": Scalars.max, "Min": Scalars.min, "Sum": Scalars.add}


def softplus(s: Scalars, x: Scalar) -> Scalar:
    """log(1 + exp(x)), as max(x, 0) + log1p(exp(-|x|)), which does not overflow."""
    small = s.unary(math.Log1pOp, s.exp(s.neg(s.abs(x))))
    return s.add(s.max(x, s.like(0, x)), small)


def hard_sigmoid(s: Scalars, x: Scalar, alpha: float, beta: float) -> Scalar:
    """max(0, min(1, alpha * x + beta))."""
    line = s.add(s.mul(x, s.like(alpha, x)), s.like(beta, x))
    return s.max(s.like(0, x), s.min(s.like(1, x), line))


def sign(s: Scalars, x: Scalar) -> Scalar:
    """-1, 0 or 1; NaN stays NaN."""
    zero, one = s.like(0, x), s.like(1, x)
    positive = s.select(s.compare("gt", x, zero), one, zero)
    if x.is_unsigned:
        return positive
    result = s.select(s.compare("lt", x, zero), s.like(-1, x), positive)
    return s.select(s.is_nan(x), x, result) if x.is_float else result


def _unary(name: str, body: Unary) -> None:
    pointwise(name)(lambda s, op, operands: body(s, given(operands[0])))


def _binary(name: str, body: Binary) -> None:
    pointwise(name)(lambda s, op, operands: body(s, given(operands[0]), given(operands[1])))


def _folded(name: str, body: Binary) -> None:
    pointwise(name)(
        lambda s, op, operands: reduce(lambda x, y: body(s, x, y), map(given, operands))
    )


for _name, _body in UNARY.items():
    _unary(_name, _body)
for _name, _two in BINARY.items():
    _binary(_name, _two)
for _name, _two in FOLDED.items():
    _folded(_name, _two)


@pointwise("Mean")
def mean(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """Arithmetic mean of the operands."""
    total = POINTWISE["", "Sum"](s, op, operands)
    return s.div(total, s.like(len(operands), total))


@pointwise("Where")
def where(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """X where the condition holds, else Y."""
    condition, x, y = map(given, operands)
    return s.select(condition, x, y)


@pointwise("Cast")
def cast(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """Conversion to the result's element type."""
    return s.cast(given(operands[0]), element_type_of(op.results[0].type))


pointwise("CastLike")(lambda s, op, operands: cast(s, op, operands[:1]))


@pointwise("Clip")
def clip(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """min(max(x, low), high); the bounds are attributes before version 11."""
    x, low, high = given(operands[0]), *(*operands[1:], None, None)[:2]
    if op.SINCE < 11:
        bounds = (op.get("min"), op.get("max"))
        low, high = (None if b is None else s.like(b, x) for b in bounds)
    x = x if low is None else s.max(x, low)
    return x if high is None else s.min(x, high)


@pointwise("LeakyRelu")
def leaky_relu(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """x, or alpha * x below zero."""
    x = given(operands[0])
    scaled = s.mul(x, s.like(op.get("alpha"), x))
    return s.select(s.compare("lt", x, s.like(0, x)), scaled, x)


def _negative_exponential(s: Scalars, x: Scalar, alpha: float) -> Scalar:
    """alpha * (exp(x) - 1)."""
    return s.mul(s.like(alpha, x), s.unary(math.ExpM1Op, x))


@pointwise("Elu")
def elu(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """x, or alpha * (exp(x) - 1) below zero."""
    x = given(operands[0])
    below = _negative_exponential(s, x, op.get("alpha"))
    return s.select(s.compare("lt", x, s.like(0, x)), below, x)


@pointwise("Selu")
def selu(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """gamma * x, or gamma * alpha * (exp(x) - 1) at and below zero."""
    x = given(operands[0])
    below = _negative_exponential(s, x, op.get("alpha"))
    chosen = s.select(s.compare("le", x, s.like(0, x)), below, x)
    return s.mul(s.like(op.get("gamma"), x), chosen)


@pointwise("Celu")
def celu(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1))."""
    x = given(operands[0])
    alpha, zero = op.get("alpha"), s.like(0, x)
    below = _negative_exponential(s, s.div(x, s.like(alpha, x)), alpha)
    return s.add(s.max(zero, x), s.min(zero, below))


@pointwise("ThresholdedRelu")
def thresholded_relu(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """x above alpha, else 0."""
    x = given(operands[0])
    return s.select(s.compare("gt", x, s.like(op.get("alpha"), x)), x, s.like(0, x))


@pointwise("Shrink")
def shrink(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """x moved towards zero by bias outside of [-lambd, lambd], 0 inside."""
    x = given(operands[0])
    lambd, bias = s.like(op.get("lambd"), x), s.like(op.get("bias"), x)
    above = s.select(s.compare("gt", x, lambd), s.sub(x, bias), s.like(0, x))
    return s.select(s.compare("lt", x, s.neg(lambd)), s.add(x, bias), above)


@pointwise("HardSigmoid")
def hard_sigmoid_op(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """max(0, min(1, alpha * x + beta))."""
    return hard_sigmoid(s, given(operands[0]), op.get("alpha"), op.get("beta"))


@pointwise("Gelu")
def gelu(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """x * Phi(x), exactly through erf or by the tanh approximation."""
    x = given(operands[0])
    half, one = s.like(0.5, x), s.like(1, x)
    if op.get("approximate") == "tanh":
        cube = s.mul(s.mul(x, x), x)
        inner = s.add(x, s.mul(s.like(0.044715, x), cube))
        bell = s.tanh(s.mul(s.like(py_math.sqrt(2 / py_math.pi), x), inner))
    else:
        bell = s.unary(math.ErfOp, s.mul(x, s.like(py_math.sqrt(0.5), x)))
    return s.mul(s.mul(half, x), s.add(one, bell))


@pointwise("Swish")
def swish(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """x * sigmoid(alpha * x)."""
    x = given(operands[0])
    return s.mul(x, s.sigmoid(s.mul(s.like(op.get("alpha"), x), x)))


@pointwise("Pow")
def power(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """x to the power of y, in x's type; whole-number powers of integers are exact."""
    x, y = map(given, operands)
    if x.is_float:
        return s.binary(math.PowFOp, x, s.cast(y, x.element))
    if y.is_float:
        from dialects.onnx.types import f64

        result = s.binary(math.PowFOp, s.cast(x, f64), s.cast(y, f64))
        return s.cast(result, x.element)
    return _integer_power(s, x, s.cast(y, x.element))


def _integer_power(s: Scalars, x: Scalar, y: Scalar) -> Scalar:
    """By squaring, wrapping like machine integers; a negative power is 0 but for x = 1 and -1."""
    result, factor, zero = s.like(1, x), x, s.like(0, x)
    bits = x.element.width.data  # type: ignore[attr-defined]
    for bit in range(min(bits, 64) if bits < 64 else 63):
        mask = s.like(1 << bit, x)
        taken = s.compare("ne", s.bit_and(y, mask), zero)
        result = s.select(taken, s.mul(result, factor), result)
        factor = s.mul(factor, factor)
        if bit == 5:
            break
    if x.is_unsigned:
        return result
    odd = s.compare("ne", s.bit_and(y, s.like(1, x)), zero)
    minus_one = s.select(odd, s.like(-1, x), s.like(1, x))
    inverse = s.select(s.equal(x, s.like(1, x)), x, zero)
    inverse = s.select(s.equal(x, s.like(-1, x)), minus_one, inverse)
    return s.select(s.compare("lt", y, zero), inverse, result)


@pointwise("Mod")
def modulo(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """Remainder with the divisor's sign (fmod = 0) or the dividend's (fmod = 1)."""
    x, y = map(given, operands)
    rest = s.remainder(x, y)
    if op.get("fmod") or x.is_unsigned:
        return rest
    zero = s.like(0, x)
    nonzero = s.compare("ne", rest, zero)
    differ = s.bit_xor(s.compare("lt", rest, zero), s.compare("lt", y, zero))
    return s.select(s.bit_and(nonzero, differ), s.add(rest, y), rest)


@pointwise("IsInf")
def is_inf(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """Whether x is infinite, of the signs asked for."""
    x = given(operands[0])
    infinity = s.like(float("inf"), x)
    result = s.const(False, i1)
    if op.get("detect_positive"):
        result = s.bit_or(result, s.equal(x, infinity))
    if op.get("detect_negative"):
        result = s.bit_or(result, s.equal(x, s.neg(infinity)))
    return result


@pointwise("BitShift")
def bit_shift(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """x shifted by y bits, zeros coming in."""
    x, y = map(given, operands)
    return s.shift_left(x, y) if op.get("direction") == "LEFT" else s.shift_right(x, y)


@pointwise("Dropout")
def dropout(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """The input: inference drops nothing."""
    return given(operands[0])
