"""Operators of ONNX Runtime's domain as standard ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from xdsl.ir import Attribute, SSAValue

from dialects.onnx.ops import Custom, OnnxOp
from dialects.onnx.shape.custom import MS
from passes.onnx.simplify.rewriter import Replacement, Rewriter, present, rewrite

_CONV_ATTRIBUTES = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")


def _activation(
    r: Rewriter, x: SSAValue, name: str, parameters: Sequence[float]
) -> SSAValue | None:
    """An activation by the name that fused operators give it; None for one that is not known."""
    table: dict[str, Callable[[], SSAValue]] = {
        "": lambda: x,
        "Relu": lambda: r.make("Relu", x),
        "Tanh": lambda: r.make("Tanh", x),
        "Sigmoid": lambda: r.make("Sigmoid", x),
        "HardSwish": lambda: r.make("HardSwish", x),
        "LeakyRelu": lambda: r.make("LeakyRelu", x, alpha=float((*parameters, 0.01)[0])),
        "HardSigmoid": lambda: r.make(
            "HardSigmoid",
            x,
            alpha=float((*parameters, 0.2)[0]),
            beta=float(parameters[1]) if len(parameters) > 1 else 0.5,
        ),
        "Clip": lambda: r.make("Clip", x, *(r.number(bound, x) for bound in parameters)),
    }
    make = table.get(name)
    return None if make is None else make()


def _standard(
    r: Rewriter, op: OnnxOp, name: str, operands: Sequence[SSAValue | None], names: Sequence[str]
) -> SSAValue:
    """A standard operation with some of the attributes of a custom one."""
    kept: dict[str, Attribute] = {n: op.attributes[n] for n in names if n in op.attributes}
    return r.build(r.class_of(name), operands, {}, kept)


@rewrite("FusedConv", domain=MS)
def fused_conv(r: Rewriter, op: OnnxOp) -> Replacement:
    """FusedConv(x, w, b, z) -> activation(Conv(x, w, b) + z)"""
    operands = [present(op, i) for i in range(3)]
    value = _standard(r, op, "Conv", operands, _CONV_ATTRIBUTES)
    if (added := present(op, 3)) is not None:
        value = r.make("Add", value, added)
    return _activation(r, value, op.get("activation") or "", op.get("activation_params") or ())


@rewrite("FusedGemm", domain=MS)
def fused_gemm(r: Rewriter, op: OnnxOp) -> Replacement:
    """FusedGemm(a, b, c) -> activation(Gemm(a, b, c))"""
    operands = [present(op, i) for i in range(3)]
    value = _standard(r, op, "Gemm", operands, ("alpha", "beta", "transA", "transB"))
    given = (op.get(f"activation_{name}") for name in ("alpha", "beta"))
    parameters = [number for number in given if number is not None]
    return _activation(r, value, op.get("activation") or "", parameters)


@rewrite("FusedMatMul", "TransposeMatMul", domain=MS)
def fused_matmul(r: Rewriter, op: OnnxOp) -> Replacement:
    """FusedMatMul(a, b) -> MatMul of transposes, times alpha"""
    sides: list[SSAValue] = []
    for operand, side in zip(op.operands, "AB", strict=True):
        dims = r.dims(operand)
        if dims is None:
            return None
        axes = list(range(len(dims)))
        if op.get(f"transBatch{side}"):
            axes = [*axes[1:-1], axes[0], axes[-1]]
        if op.get(f"trans{side}") and len(axes) > 1:
            axes = [*axes[:-2], axes[-1], axes[-2]]
        moved = axes != list(range(len(dims)))
        sides.append(r.make("Transpose", operand, perm=tuple(axes)) if moved else operand)
    value, alpha = r.make("MatMul", *sides), op.get("alpha")
    return value if alpha in (None, 1) else r.make("Mul", value, r.number(alpha, value))


@rewrite("Gelu", "BiasGelu", "FastGelu", domain=MS)
def gelu(r: Rewriter, op: OnnxOp) -> Replacement:
    """Gelu(x), Gelu(x + bias); FastGelu is the one with tanh"""
    value, bias = op.operands[0], present(op, 1)
    if bias is not None:
        value = r.make("Add", value, bias)
    fast = op.op_type.data == "FastGelu" if isinstance(op, Custom) else False
    return r.make("Gelu", value, approximate="tanh" if fast else "none")


@rewrite("QuickGelu", domain=MS)
def quick_gelu(r: Rewriter, op: OnnxOp) -> Replacement:
    """x * sigmoid(alpha * x) -> Swish(x)"""
    alpha = op.get("alpha")
    return r.make("Swish", op.operands[0], alpha=1.702 if alpha is None else alpha)


def _unused(op: OnnxOp, *indices: int) -> bool:
    return all(i >= len(op.results) or op.results[i].first_use is None for i in indices)


@rewrite("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", domain=MS)
def skip_layer_normalization(r: Rewriter, op: OnnxOp) -> Replacement:
    """LayerNormalization(x + skip + bias), or RMSNormalization; result 3 is the sum"""
    if not _unused(op, 1, 2):
        return None
    simplified = isinstance(op, Custom) and op.op_type.data.startswith("SkipSimplified")
    total = r.make("Add", op.operands[0], op.operands[1])
    bias = present(op, 3 if simplified else 4)
    if bias is not None:
        total = r.make("Add", total, bias)
    epsilon, gamma = float(op.get("epsilon") or 1e-5), op.operands[2]
    if simplified:
        out = r.make("RMSNormalization", total, gamma, axis=-1, epsilon=epsilon)
    else:
        beta = present(op, 3)
        out = r.make("LayerNormalization", total, gamma, beta, axis=-1, epsilon=epsilon)
    return [out, *op.results[1:3], total][: len(op.results)]


@rewrite("SimplifiedLayerNormalization")
@rewrite("SimplifiedLayerNormalization", domain=MS)
def simplified_layer_normalization(r: Rewriter, op: OnnxOp) -> Replacement:
    """RMSNormalization(x, scale)"""
    if not _unused(op, 1):
        return None
    axis, epsilon = op.get("axis"), float(op.get("epsilon") or 1e-5)
    out = r.make(
        "RMSNormalization",
        op.operands[0],
        op.operands[1],
        axis=-1 if axis is None else axis,
        epsilon=epsilon,
    )
    return [out, *op.results[1:]]


@rewrite("EmbedLayerNormalization", domain=MS)
def embed_layer_normalization(r: Rewriter, op: OnnxOp) -> Replacement:
    """LayerNormalization(words[ids] + positions[0 : length] + segments[segment ids])"""
    ids, segments, words, positions, segment_words = (present(op, i) for i in range(5))
    if ids is None or words is None or positions is None or not _unused(op, 2):
        return None
    total = r.make("Gather", words, ids, axis=0)
    total = r.make("Add", total, _positions(r, op, ids, positions))
    if segments is not None and segment_words is not None:
        total = r.make("Add", total, r.make("Gather", segment_words, segments, axis=0))
    epsilon = float(op.get("epsilon") or 1e-12)
    out = r.make(
        "LayerNormalization", total, op.operands[5], op.operands[6], axis=-1, epsilon=epsilon
    )
    if _unused(op, 1):
        return [out, *op.results[1:]]
    mask = present(op, 7)
    if mask is None:
        return None
    count = r.make("ReduceSum", mask, r.const([1], "axes"), keepdims=0)
    return [out, count, *op.results[2:]]


def _positions(r: Rewriter, op: OnnxOp, ids: SSAValue, positions: SSAValue) -> SSAValue:
    given = present(op, 8)
    if given is not None:
        return r.make("Gather", positions, given, axis=0)
    length = r.make("Shape", ids, start=1, end=2)
    return r.make("Slice", positions, r.const([0], "starts"), length, r.const([0], "axes"))


@rewrite("Upsample")
def upsample(r: Rewriter, op: OnnxOp) -> Replacement:
    """Upsample(x, scales) -> Resize with asymmetric coordinates, rounding down"""
    if op.SINCE == 1:
        return None
    attribute = op.get("scales")
    scales = (
        op.operands[1] if attribute is None else r.const(np.array(attribute, np.float32), "scales")
    )
    return r.make(
        "Resize",
        op.operands[0],
        None,
        scales,
        result_type=op.results[0].type,
        mode="nearest" if op.get("mode") == "nearest" else "linear",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
