"""Types of operators of other domains that exporters and optimizers write (`onnx.Custom`)."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute

from dialects.onnx.dims import Dim
from dialects.onnx.shape.helpers import normalize_axis
from dialects.onnx.shape.node import NodeShapes, infer
from dialects.onnx.shape.windows import convolution
from dialects.onnx.types import tensor_type

MS = "com.microsoft"
i32 = IntegerType(32)


@infer(
    *["Gelu", "FastGelu", "QuickGelu", "BiasGelu", "BiasSplitGelu", "Trilu", "RotaryEmbedding"],
    domain=MS,
)
def same(s: NodeShapes) -> list[Attribute]:
    """The first operand's type."""
    return [s.kind(0)]


@infer("FusedConv", domain=MS)
def fused_conv(s: NodeShapes) -> list[Attribute]:
    """A convolution with its activation."""
    return [s.tensor(convolution(s, 0, 1))]


@infer("FusedGemm", domain=MS)
def fused_gemm(s: NodeShapes) -> list[Attribute]:
    """A Gemm with its activation."""
    from dialects.onnx.shape.contractions import gemm

    return list(gemm(s))


@infer("FusedMatMul", "TransposeMatMul", domain=MS)
def fused_matmul(s: NodeShapes) -> list[Attribute]:
    """A scaled matrix product of operands that may be transposed, within or across the batch."""
    from dialects.onnx.shape.helpers import matmul_dims

    shapes: list[tuple[Dim, ...]] = []
    for i, side in enumerate("AB"):
        dims = s.ranked(i, 1)
        if dims is None:
            return [s.tensor(None)]
        if s.get(f"transBatch{side}", 0):
            dims = (*dims[1:-1], dims[0], dims[-1])
        if s.get(f"trans{side}", 0) and len(dims) > 1:
            dims = (*dims[:-2], dims[-1], dims[-2])
        shapes.append(dims)
    a, b = shapes
    return [s.tensor(matmul_dims(a, b, s.scope.assume, s.scope.assume_broadcast))]


@infer("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", domain=MS)
def skip_layer_normalization(s: NodeShapes) -> Sequence[Attribute]:
    """The sum normalized, mean and inverse deviation, the sum."""
    dims = s.ranked(0, 1)
    kept = s.tensor(None if dims is None else (*dims[:-1], 1))
    return [s.kind(0), kept, kept, s.kind(0)][: len(s.op.results)]


@infer("SimplifiedLayerNormalization", domain="")
@infer("SimplifiedLayerNormalization", domain=MS)
def simplified_layer_normalization(s: NodeShapes) -> Sequence[Attribute]:
    """The data's type, and the inverse root mean square with the axes from `axis` on as 1."""
    dims = s.ranked(0, 1)
    if dims is None:
        return [s.kind(0), s.tensor(None)][: len(s.op.results)]
    axis = normalize_axis(s.get("axis", -1), len(dims))
    kept = s.tensor((*dims[:axis], *[1] * (len(dims) - axis)))
    return [s.kind(0), kept][: len(s.op.results)]


@infer("EmbedLayerNormalization", domain=MS)
def embed_layer_normalization(s: NodeShapes) -> Sequence[Attribute]:
    """[batch, sequence, hidden], the mask's index [batch], the sum of the embeddings."""
    ids, words = s.ranked(0, 2, 2), s.ranked(2, 2, 2)
    element = s.element(2)
    if ids is None or words is None:
        return [tensor_type(element, None)] * len(s.op.results)
    hidden = tensor_type(element, (*ids, words[1]))
    return [hidden, tensor_type(i32, ids[:1]), hidden][: len(s.op.results)]


@infer("MatMulNBits", domain=MS)
def matmul_n_bits(s: NodeShapes) -> list[Attribute]:
    """[..., N]"""
    dims = s.ranked(0, 1)
    return [s.tensor(None if dims is None else (*dims[:-1], s.get("N")))]
