"""Pointwise operators: one table from operator to the arithmetic of one element.

The formulas are those of the ONNX operator specifications.
"""

from __future__ import annotations

import math as py_math
from collections.abc import Callable, Sequence
from functools import reduce

from xdsl.dialects import math
from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Operation

from dialects.onnx.constants import single_element
from dialects.onnx.ops import Const, OnnxOp
from dialects.onnx.types import element_type_of, f32, f64
from passes.lower.onnx_to_krnl.registry import POINTWISE, Pointwise, pointwise
from passes.lower.onnx_to_krnl.scalars import Scalar, Scalars, accumulator_type, i1

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


EXACT = frozenset(
    [
        "Identity",
        "Neg",
        "Abs",
        "Floor",
        "Ceil",
        "Round",
        "Relu",
        "Not",
        "BitwiseNot",
        "IsNaN",
        "Sign",
        "Add",
        "Sub",
        "Mul",
        "Div",
        "And",
        "Or",
        "Xor",
        "BitwiseAnd",
        "BitwiseOr",
        "BitwiseXor",
        "Equal",
        "Less",
        "LessOrEqual",
        "Greater",
        "GreaterOrEqual",
        "Max",
        "Min",
        "Sum",
        "Reciprocal",
        "Sqrt",
    ]
)
"""Operators of one correctly rounded operation, which short floats may do themselves."""


def widened(rule: Pointwise) -> Pointwise:
    """A rule that computes on short floats in float32 and rounds once, at the end."""

    def wide(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
        short = operands[0].element if operands and operands[0] is not None else None
        if short is None or accumulator_type(short) == short:
            return rule(s, op, operands)
        result = rule(s, op, [None if x is None else _wide(s, x) for x in operands])
        return s.cast(result, short) if result.element == f32 else result

    return wide


def _wide(s: Scalars, x: Scalar) -> Scalar:
    return s.cast(x, accumulator_type(x.element))


def _register(name: str, rule: Pointwise) -> None:
    pointwise(name)(rule if name in EXACT else widened(rule))


def _unary(name: str, body: Unary) -> None:
    _register(name, lambda s, op, operands: body(s, given(operands[0])))


def _binary(name: str, body: Binary) -> None:
    _register(name, lambda s, op, operands: body(s, given(operands[0]), given(operands[1])))


def _folded(name: str, body: Binary) -> None:
    _register(
        name, lambda s, op, operands: reduce(lambda x, y: body(s, x, y), map(given, operands))
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
    saturate, rounding = op.get("saturate") != 0, op.get("round_mode") or "up"
    return s.cast(given(operands[0]), element_type_of(op.results[0].type), saturate, rounding)


@pointwise("BitCast")
def bit_cast(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """The same bits as another type."""
    return s.bit_cast(given(operands[0]), element_type_of(op.results[0].type))


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
@widened
def leaky_relu(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """x, or alpha * x below zero."""
    x = given(operands[0])
    scaled = s.mul(x, s.like(op.get("alpha"), x))
    return s.select(s.compare("lt", x, s.like(0, x)), scaled, x)


def _negative_exponential(s: Scalars, x: Scalar, alpha: float) -> Scalar:
    """alpha * (exp(x) - 1)."""
    return s.mul(s.like(alpha, x), s.unary(math.ExpM1Op, x))


@pointwise("Elu")
@widened
def elu(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """x, or alpha * (exp(x) - 1) below zero."""
    x = given(operands[0])
    below = _negative_exponential(s, x, op.get("alpha"))
    return s.select(s.compare("lt", x, s.like(0, x)), below, x)


@pointwise("Selu")
@widened
def selu(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """gamma * x, or gamma * alpha * (exp(x) - 1) at and below zero."""
    x = given(operands[0])
    below = _negative_exponential(s, x, op.get("alpha"))
    chosen = s.select(s.compare("le", x, s.like(0, x)), below, x)
    return s.mul(s.like(op.get("gamma"), x), chosen)


@pointwise("Celu")
@widened
def celu(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1))."""
    x = given(operands[0])
    alpha, zero = op.get("alpha"), s.like(0, x)
    below = _negative_exponential(s, s.div(x, s.like(alpha, x)), alpha)
    return s.add(s.max(zero, x), s.min(zero, below))


@pointwise("ThresholdedRelu")
@widened
def thresholded_relu(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """x above alpha, else 0."""
    x = given(operands[0])
    return s.select(s.compare("gt", x, s.like(op.get("alpha"), x)), x, s.like(0, x))


@pointwise("Shrink")
@widened
def shrink(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """x moved towards zero by bias outside of [-lambd, lambd], 0 inside."""
    x = given(operands[0])
    lambd, bias = s.like(op.get("lambd"), x), s.like(op.get("bias"), x)
    above = s.select(s.compare("gt", x, lambd), s.sub(x, bias), s.like(0, x))
    return s.select(s.compare("lt", x, s.neg(lambd)), s.add(x, bias), above)


@pointwise("HardSigmoid")
@widened
def hard_sigmoid_op(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """max(0, min(1, alpha * x + beta))."""
    return hard_sigmoid(s, given(operands[0]), op.get("alpha"), op.get("beta"))


@pointwise("Gelu")
@widened
def gelu(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """x * Phi(x), exactly through erf or by the tanh approximation."""
    x = given(operands[0])
    half, one = s.like(0.5, x), s.like(1, x)
    if op.get("approximate") == "tanh":
        cube = s.mul(s.mul(x, x), x)
        inner = s.add(x, s.mul(s.like(0.044715, x), cube))
        bell = s.tanh(s.mul(s.like(py_math.sqrt(2 / py_math.pi), x), inner))
    else:
        bell = s.erf_of_unit(s.mul(x, s.like(py_math.sqrt(0.5), x)))
    return s.mul(s.mul(half, x), s.add(one, bell))


@pointwise("Swish")
@widened
def swish(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """x * sigmoid(alpha * x), as x / (1 + exp(-alpha * x))."""
    x = given(operands[0])
    power = s.exp_normal(s.mul(s.like(-op.get("alpha"), x), x))
    return s.div(x, s.add(s.like(1, x), power))


@pointwise("Pow")
@widened
def power(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """x to the power of y, in x's type; whole-number powers of integers are exact."""
    x, y = map(given, operands)
    fixed = _fixed_power(s, x, op.operands[1].owner)
    if fixed is not None:
        return fixed
    if x.is_float:
        return s.binary(math.PowFOp, x, s.cast(y, x.element))
    if y.is_float:
        result = s.binary(math.PowFOp, s.cast(x, f64), s.cast(y, f64))
        return s.cast(result, x.element)
    return _integer_power(s, x, y)


def _fixed_power(s: Scalars, x: Scalar, owner: object) -> Scalar | None:
    """Powers that are known and come down to a few products, or a square root."""
    if not isinstance(owner, Const):
        return None
    exponent = single_element(owner)
    if exponent in (1, 2, 3, 4):
        square = s.mul(x, x)
        return {1: x, 2: square, 3: s.mul(square, x), 4: s.mul(square, square)}[int(exponent)]
    if not x.is_float or exponent not in (0.5, -1):
        return None
    if exponent == -1:
        return s.reciprocal(x)
    # pow(-0.0, 0.5) is 0.0, and pow(-inf, 0.5) is inf.
    infinity = s.like(float("inf"), x)
    root = s.sqrt(s.add(x, s.like(0, x)))
    return s.select(s.equal(x, s.neg(infinity)), infinity, root)


def _integer_power(s: Scalars, x: Scalar, y: Scalar) -> Scalar:
    """By squaring, wrapping like machine integers; a negative power is 0 but for x = 1 and -1."""
    result, factor, zero = s.like(1, x), x, s.like(0, y)
    assert isinstance(y.element, IntegerType)
    for bit in range(y.element.width.data - (not y.is_unsigned)):
        taken = s.compare("ne", s.bit_and(y, s.like(1 << bit, y)), zero)
        result = s.select(taken, s.mul(result, factor), result)
        factor = s.mul(factor, factor)
    if y.is_unsigned:
        return result
    one = s.like(1, x)
    inverse = s.select(s.equal(x, one), one, s.like(0, x))
    if not x.is_unsigned:
        odd = s.compare("ne", s.bit_and(y, s.like(1, y)), zero)
        sign = s.select(odd, s.like(-1, x), one)
        inverse = s.select(s.equal(x, s.like(-1, x)), sign, inverse)
    return s.select(s.compare("lt", y, zero), inverse, result)


@pointwise("Mod")
@widened
def modulo(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """Remainder with the divisor's sign (fmod = 0) or the dividend's (fmod = 1)."""
    x, y = map(given, operands)
    rest = s.remainder(x, y)
    if op.get("fmod") or x.is_unsigned:
        return rest
    zero = s.like(0, x)
    nonzero = s.compare("ne", rest, zero)
    differ = s.bit_xor(s.compare("lt", rest, zero), s.compare("lt", y, zero))
    shifted = s.select(s.bit_and(nonzero, differ), s.add(rest, y), rest)
    if not x.is_float:
        return shifted
    return s.select(s.equal(rest, zero), s.binary(math.CopySignOp, zero, y), shifted)


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
