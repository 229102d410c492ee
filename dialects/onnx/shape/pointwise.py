"""Shapes of operators that work element by element."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute

from dialects.onnx.dims import Dim
from dialects.onnx.shape.elements import element_of_code
from dialects.onnx.shape.helpers import broadcast, normalize_axis
from dialects.onnx.shape.node import NodeShapes, infer
from dialects.onnx.types import f32, tensor_type

i1 = IntegerType(1)
i64 = IntegerType(64)
ui8 = element_of_code(2)


SAME_AS_FIRST = """
    Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Ceil Celu Clip Cos Cosh CumProd CumSum Elu Erf
    Exp Floor Gelu GroupNormalization HardSigmoid HardSwish Hardmax Identity LRN LeakyRelu Log
    LogSoftmax LpNormalization MeanVarianceNormalization Mish Neg Not Reciprocal Relu
    RotaryEmbedding Round Selu Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt SwiGLU
    Swish Tan Tanh TensorScatter ThresholdedRelu Trilu
"""


@infer(*SAME_AS_FIRST.split())
def same_as_first(s: NodeShapes) -> list[Attribute]:
    """The type of the first operand (which other operands only modify)."""
    return [s.kind(0)]


@infer("PRelu")
def prelu(s: NodeShapes) -> list[Attribute]:
    """The data's type; slopes broadcast to it."""
    if s.since >= 7 and (dims := s.dims(0)) is not None:
        s.fits(1, dims)
    return [s.kind(0)]


def _per_channel(s: NodeShapes, *indices: int) -> None:
    """Notes that operands are vectors with a number for each channel."""
    dims = s.dims(0)
    for i in indices:
        sizes = s.dims(i)
        if dims is not None and sizes is not None:
            channels = dims[1] if len(dims) > 1 else 1
            s.equal(sizes[0] if sizes else 1, channels, f"the sizes of input {i} and the channels")


@infer("InstanceNormalization")
def instance_normalization(s: NodeShapes) -> list[Attribute]:
    """The data's type; scale and bias have a number for each channel."""
    _per_channel(s, 1, 2)
    return [s.kind(0)]


@infer("RMSNormalization")
def rms_normalization(s: NodeShapes) -> list[Attribute]:
    """The data's type; the scale broadcasts to it."""
    if (dims := s.dims(0)) is not None:
        s.fits(1, dims)
    return [s.kind(0)]


@infer("IsInf", "IsNaN")
def predicate(s: NodeShapes) -> list[Attribute]:
    """A boolean for each element."""
    return [s.tensor(s.dims(0), i1)]


def broadcast_of(s: NodeShapes, indices: Sequence[int]) -> tuple[Dim, ...] | None:
    """The common shape of some operands, None when one has no known rank."""
    shapes = [s.dims(i) for i in indices]
    known = [dims for dims in shapes if dims is not None]
    if len(known) < len(shapes):
        return None
    return broadcast(*known, assume=s.scope.assume_broadcast)


def _binary_dims(s: NodeShapes) -> tuple[Dim, ...] | None:
    # Before version 7 the second operand was stretched to the first (`axis`, `broadcast`).
    legacy = s.get("broadcast") is not None and "broadcast" in s.op.DEFAULTS
    return s.dims(0) if legacy else broadcast_of(s, (0, 1))


@infer("Add", "Sub", "Mul", "Div", "Pow", "Mod")
@infer("BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor")
def binary(s: NodeShapes) -> list[Attribute]:
    """Two operands broadcast; the first one's element type."""
    return [s.tensor(_binary_dims(s))]


@infer(*["And", "Or", "Xor", "Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual"])
def comparison(s: NodeShapes) -> list[Attribute]:
    """Two operands broadcast to booleans."""
    return [s.tensor(_binary_dims(s), i1)]


@infer("Max", "Min", "Mean", "Sum")
def variadic(s: NodeShapes) -> list[Attribute]:
    """Any number of operands broadcast."""
    return [s.tensor(broadcast_of(s, range(len(s.op.operands))))]


@infer("Where")
def where(s: NodeShapes) -> list[Attribute]:
    """Three operands broadcast."""
    return [s.tensor(broadcast_of(s, (0, 1, 2)), s.element(1))]


@infer("Cast")
def cast(s: NodeShapes) -> list[Attribute]:
    """The element type that `to` names: a code since version 6, a name before."""
    return [s.tensor(s.dims(0), element_of_code(s.get("to")))]


@infer("BitCast")
def bit_cast(s: NodeShapes) -> list[Attribute]:
    """Elements of the same width, read anew."""
    return [s.tensor(s.dims(0), element_of_code(s.get("to")))]


@infer("CastLike")
def cast_like(s: NodeShapes) -> list[Attribute]:
    """The second operand's element type."""
    return [s.tensor(s.dims(0), s.element(1))]


@infer("Dropout")
def dropout(s: NodeShapes) -> list[Attribute]:
    """The data, and a mask: of the data's type before version 10, boolean since."""
    return [s.kind(0), s.kind(0) if s.since < 10 else s.tensor(s.dims(0), i1)]


@infer("QuantizeLinear")
def quantize_linear(s: NodeShapes) -> list[Attribute]:
    """The zero point's element type, else `output_dtype`'s, else ui8."""
    if s.present(2):
        return [s.tensor(s.dims(0), s.element(2))]
    code = s.get("output_dtype", 0)
    return [s.tensor(s.dims(0), element_of_code(code) if code else ui8)]


@infer("DequantizeLinear")
def dequantize_linear(s: NodeShapes) -> list[Attribute]:
    """The scale's element type, else `output_dtype`'s."""
    code = s.get("output_dtype", 0)
    return [s.tensor(s.dims(0), element_of_code(code) if code else s.element(1))]


@infer("DynamicQuantizeLinear")
def dynamic_quantize_linear(s: NodeShapes) -> list[Attribute]:
    """Quantized data, its scale, its zero point."""
    return [s.tensor(s.dims(0), ui8), s.tensor((), f32), s.tensor((), ui8)]


@infer("BatchNormalization")
def batch_normalization(s: NodeShapes) -> list[Attribute]:
    """The data's type; running (and, before 9, saved) statistics have the scale's shape."""
    _per_channel(s, 1, 2, 3, 4)
    statistics = tensor_type(s.element(3), s.dims(3))
    return [s.kind(0), *[statistics] * (len(s.op.results) - 1)]


@infer("LayerNormalization")
def layer_normalization(s: NodeShapes) -> list[Attribute]:
    """The data's type; mean and inverse deviation keep the axes before `axis`, 1 from there on."""
    dims = s.ranked(0, 1)
    if dims is None:
        return [s.kind(0)] + [s.tensor(None, f32)] * 2
    s.fits(1, dims)
    s.fits(2, dims)
    axis = normalize_axis(s.get("axis", -1), len(dims))
    kept = s.tensor((*dims[:axis], *[1] * (len(dims) - axis)), f32)
    return [s.kind(0), kept, kept]


@infer("RandomNormalLike", "RandomUniformLike", "Bernoulli", "EyeLike")
def like(s: NodeShapes) -> list[Attribute]:
    """The operand's shape with the element type `dtype`, else the operand's."""
    code = s.get("dtype", 0)
    return [s.tensor(s.dims(0), element_of_code(code) if code else None)]


@infer("RandomNormal", "RandomUniform")
def random(s: NodeShapes) -> list[Attribute]:
    """The shape that the attribute `shape` lists."""
    return [tensor_type(element_of_code(s.get("dtype", 1)), s.get("shape"))]


@infer("Multinomial")
def multinomial(s: NodeShapes) -> list[Attribute]:
    """`sample_size` draws for each row."""
    dims = s.ranked(0, 2, 2)
    element = element_of_code(s.get("dtype", 6))
    return [s.tensor(None if dims is None else (dims[0], s.get("sample_size", 1)), element)]
