"""Types of the quantized operators of ONNX Runtime's domain (`onnx.Custom`)."""

from __future__ import annotations

from collections.abc import Callable

from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute

from dialects.onnx.dims import Dim
from dialects.onnx.shape.contractions import matmul_of
from dialects.onnx.shape.custom import MS
from dialects.onnx.shape.helpers import concat_dims, normalize_axes
from dialects.onnx.shape.node import NodeShapes, infer, shape_text
from dialects.onnx.shape.pointwise import broadcast_of, dequantize_linear, quantize_linear
from dialects.onnx.shape.reductions import reduce_dims
from dialects.onnx.shape.windows import convolution, window_output

i32 = IntegerType(32)

infer("QuantizeLinear", domain=MS)(quantize_linear)
infer("DequantizeLinear", domain=MS)(dequantize_linear)


@infer("QLinearAdd", "QLinearMul", domain=MS)
def qlinear_binary(s: NodeShapes) -> list[Attribute]:
    """Quantized operands broadcast."""
    return [s.tensor(broadcast_of(s, (0, 3)))]


@infer("QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax", domain=MS)
def qlinear_unary(s: NodeShapes) -> list[Attribute]:
    """The operand's type."""
    return [s.kind(0)]


@infer("QLinearWhere", domain=MS)
def qlinear_where(s: NodeShapes) -> list[Attribute]:
    """Condition and two quantized operands broadcast."""
    return [s.tensor(broadcast_of(s, (0, 1, 4)), s.element(1))]


@infer("QLinearConcat", domain=MS)
def qlinear_concat(s: NodeShapes) -> list[Attribute]:
    """Tensors (each followed by its scale and zero point) joined along `axis`."""
    shapes = [s.dims(i) for i in range(2, len(s.op.operands), 3)]
    known = [dims for dims in shapes if dims is not None]
    if len(known) < len(shapes):
        return [s.tensor(None, s.element(1))]
    return [s.tensor(concat_dims(known, s.get("axis"), s.scope.assume), s.element(1))]


@infer("QLinearReduceMean", domain=MS)
def qlinear_reduce_mean(s: NodeShapes) -> list[Attribute]:
    """A mean for each index outside the axes."""
    dims = s.dims(0)
    if dims is None:
        return [s.tensor(None)]
    axes = normalize_axes(s.get("axes", range(len(dims))), len(dims))
    return [s.tensor(reduce_dims(dims, axes, bool(s.get("keepdims", 1))))]


def _in_either_layout(
    s: NodeShapes, compute: Callable[[tuple[Dim, ...]], list[Dim]]
) -> list[Attribute]:
    """A pool of [N, C, ...], or with `channels_last` of [N, ..., C]."""
    dims = s.ranked(0, 3)
    if dims is None:
        return [s.tensor(None)]
    if not s.get("channels_last", 0):
        return [s.tensor(compute(dims))]
    pooled = compute((dims[0], dims[-1], *dims[1:-1]))
    return [s.tensor((pooled[0], *pooled[2:], pooled[1]))]


@infer("QLinearGlobalAveragePool", domain=MS)
def qlinear_global_average_pool(s: NodeShapes) -> list[Attribute]:
    """[N, C, 1, ...], or [N, 1, ..., C]."""
    return _in_either_layout(s, lambda dims: [*dims[:2], *[1] * (len(dims) - 2)])


@infer("QLinearAveragePool", domain=MS)
def qlinear_average_pool(s: NodeShapes) -> list[Attribute]:
    """[N, C, windows ...], or [N, windows ..., C]."""

    def pooled(dims: tuple[Dim, ...]) -> list[Dim]:
        kernel = s.get("kernel_shape")
        if not kernel or len(kernel) != len(dims) - 2:
            s.fail(f"kernel_shape {kernel} does not fit data {shape_text(dims)}")
        windows = window_output(s, dims[2:], kernel, bool(s.get("ceil_mode", 0)))
        return [*dims[:2], *windows]

    return _in_either_layout(s, pooled)


@infer("QLinearConv", domain=MS)
def qlinear_conv(s: NodeShapes) -> list[Attribute]:
    """A quantized convolution of [N, C, ...], or with `channels_last` of [N, ..., C]."""
    if not s.get("channels_last", 0):
        return [s.tensor(convolution(s, 0, 3), s.element(7))]
    dims, weights = s.ranked(0, 3), s.ranked(3, 3)
    if dims is None or weights is None:
        return [s.tensor(None, s.element(7))]
    channels = weights[1] * s.get("group", 1)
    s.equal(dims[-1], channels, f"channels of data {shape_text(dims)} and {shape_text(weights)}")
    windows = window_output(s, dims[1:-1], s.get("kernel_shape") or weights[2:])
    return [s.tensor((dims[0], *windows, weights[0]), s.element(7))]


@infer("QGemm", domain=MS)
def qgemm(s: NodeShapes) -> list[Attribute]:
    """[rows of A, columns of B]; of the zero point's type, or float without a scale."""
    element = s.element(8) if s.present(8) else s.element(1)
    a, b = s.ranked(0, 2, 2), s.ranked(3, 2, 2)
    if a is None or b is None:
        return [s.tensor(None, element)]
    rows, inner = a[::-1] if s.get("transA", 0) else a
    other, columns = b[::-1] if s.get("transB", 0) else b
    s.equal(inner, other, f"the inner sizes of {shape_text(a)} and {shape_text(b)}")
    return [s.tensor((rows, columns), element)]


@infer("MatMulIntegerToFloat", domain=MS)
def matmul_integer_to_float(s: NodeShapes) -> list[Attribute]:
    """Bytes to the scales' element type."""
    return [s.tensor(matmul_of(s, 0, 1), s.element(2))]


@infer("MatMulInteger16", domain=MS)
def matmul_integer16(s: NodeShapes) -> list[Attribute]:
    """Pairs of bytes to i32."""
    return [s.tensor(matmul_of(s, 0, 1), i32)]


@infer("DynamicQuantizeMatMul", domain=MS)
def dynamic_quantize_matmul(s: NodeShapes) -> list[Attribute]:
    """Floats times bytes to floats."""
    return [s.tensor(matmul_of(s, 0, 1))]
