"""Shapes of contractions, recurrent layers and attention."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute

from dialects.onnx.dims import Dim
from dialects.onnx.shape.equations import parse
from dialects.onnx.shape.helpers import broadcast_dim, matmul_dims
from dialects.onnx.shape.node import NodeShapes, infer, shape_text

i32 = IntegerType(32)


def matmul_of(s: NodeShapes, lhs: int, rhs: int) -> tuple[Dim, ...] | None:
    """The shape of a matrix product of two operands."""
    a, b = s.dims(lhs), s.dims(rhs)
    if a is None or b is None:
        return None
    return matmul_dims(a, b, s.scope.assume, s.scope.assume_broadcast)


@infer("MatMul")
def matmul(s: NodeShapes) -> list[Attribute]:
    """numpy's matmul."""
    return [s.tensor(matmul_of(s, 0, 1))]


@infer("MatMulInteger")
def matmul_integer(s: NodeShapes) -> list[Attribute]:
    """Bytes to i32."""
    return [s.tensor(matmul_of(s, 0, 1), i32)]


@infer("QLinearMatMul")
def qlinear_matmul(s: NodeShapes) -> list[Attribute]:
    """The output zero point's element type."""
    return [s.tensor(matmul_of(s, 0, 3), s.element(7))]


@infer("Gemm")
def gemm(s: NodeShapes) -> list[Attribute]:
    """[rows of A, columns of B], either transposed on request."""
    a, b = s.ranked(0, 2, 2), s.ranked(1, 2, 2)
    if a is None or b is None:
        rows = s.fresh() if a is None else a[1 if s.get("transA", 0) else 0]
        columns = s.fresh() if b is None else b[0 if s.get("transB", 0) else 1]
        return [s.tensor((rows, columns))]
    rows, inner = a[::-1] if s.get("transA", 0) else a
    other, columns = b[::-1] if s.get("transB", 0) else b
    s.equal(inner, other, f"the inner sizes of {shape_text(a)} and {shape_text(b)}")
    s.fits(2, (rows, columns))
    return [s.tensor((rows, columns))]


@infer("Einsum")
def einsum(s: NodeShapes) -> list[Attribute]:
    """Sizes by their labels; those of an ellipsis are broadcast."""
    dims = [s.dims(i) for i in range(len(s.op.operands))]
    if any(own is None for own in dims):
        return [s.tensor(None)]
    equation = parse(s.get("equation"), [len(own) for own in dims if own is not None])
    sizes: dict[str, Dim] = {}
    for term, own in zip(equation.terms, dims, strict=True):
        for label, dim in zip(term, own or (), strict=True):
            sizes[label] = broadcast_dim(sizes.get(label, 1), dim, s.scope.assume)
    return [s.tensor([sizes[label] for label in equation.result])]


@infer("RNN", "GRU", "LSTM")
def recurrent(s: NodeShapes) -> Sequence[Attribute]:
    """Y [sequence, directions, batch, hidden], then the last states [directions, batch, hidden].

    With `layout` 1 the batch comes first in both.
    """
    dims, recurrence = s.ranked(0, 3, 3), s.ranked(2, 3, 3)
    hidden: Dim = s.get("hidden_size") or (recurrence[2] if recurrence else s.fresh("hidden"))
    directions = 2 if s.get("direction", "forward") == "bidirectional" else 1
    sequence, batch, width = dims or (s.fresh("sequence"), s.fresh("batch"), 0)
    if s.get("layout", 0):
        sequence, batch = batch, sequence
    if dims is not None and (weights := s.ranked(1, 3, 3)) is not None:
        s.equal(width, weights[2], "the sizes of a step and of the weights")
    for operand, name in ((4, "sequence_lens"), (5, "initial_h"), (6, "initial_c")):
        if s.present(operand) and (given := s.dims(operand)):
            axis = 1 if len(given) == 3 and not s.get("layout", 0) else 0
            s.equal(given[axis], batch, f"the batches of {name} and of the input")
    if s.get("layout", 0):
        states = s.tensor((batch, directions, hidden))
        return [s.tensor((batch, sequence, directions, hidden)), states, states][
            : len(s.op.results)
        ]
    states = s.tensor((directions, batch, hidden))
    return [s.tensor((sequence, directions, batch, hidden)), states, states][: len(s.op.results)]


@infer("Attention")
def attention(s: NodeShapes) -> Sequence[Attribute]:
    """Y like Q with the values' width; present keys and values; the scores.

    Q, K, V are [batch, heads, sequence, head size], or [batch, sequence, hidden] with the numbers
    of heads as attributes.
    """
    q, k, v = s.dims(0), s.dims(1), s.dims(2)
    if q is None or k is None or v is None:
        return [s.tensor(None)] * len(s.op.results)
    queries, keys, values = (
        _heads(s, q, s.get("q_num_heads")),
        _heads(s, k, s.get("kv_num_heads")),
        _heads(s, v, s.get("kv_num_heads")),
    )
    past = s.dims(4) if s.present(4) else None
    total = keys[2] + past[2] if past is not None else keys[2]
    batch, heads, length, _ = queries
    width = values[3]
    four = (batch, heads, length, width)
    out = four if len(q) == 4 else (batch, length, heads * width)
    kinds = [
        s.tensor(out),
        s.tensor((batch, keys[1], total, keys[3]), s.element(1)),
        s.tensor((batch, values[1], total, width), s.element(2)),
        s.tensor((batch, heads, length, total)),
    ]
    return kinds[: len(s.op.results)]


@infer("LinearAttention")
def linear_attention(s: NodeShapes) -> list[Attribute]:
    """[batch, length, query heads * value size]; the state [batch, heads, key, value size]."""
    q, k, v = s.ranked(0, 3, 3), s.ranked(1, 3, 3), s.ranked(2, 3, 3)
    if q is None or k is None or v is None:
        return [s.tensor(None), s.tensor(None)]
    heads = s.get("kv_num_heads")
    key_size, value_size = k[2] // heads, v[2] // heads
    out = (q[0], q[1], value_size * s.get("q_num_heads"))
    return [s.tensor(out), s.tensor((q[0], heads, key_size, value_size))]


@infer("FlexAttention", domain="ai.onnx.preview")
def flex_attention(s: NodeShapes) -> list[Attribute]:
    """[batch, heads, query length, value size]; the subgraphs change scores in place."""
    q, k, v = s.ranked(0, 4, 4), s.ranked(1, 4, 4), s.ranked(2, 4, 4)
    if q is None or k is None or v is None:
        return [s.tensor(None)]
    scores = s.tensor((*q[:3], k[2]))
    for region in s.op.regions:
        if region.blocks:
            s.scope.infer_region(
                region, [scores] * len(region.block.args), [None] * len(region.block.args)
            )
    return [s.tensor((*q[:3], v[3]))]


def _heads(s: NodeShapes, dims: Sequence[Dim], heads: int | None) -> tuple[Dim, Dim, Dim, Dim]:
    if len(dims) == 4:
        batch, count, length, size = dims
        return batch, count, length, size
    if len(dims) != 3 or not heads:
        s.fail(f"shape {shape_text(dims)} needs rank 4, or rank 3 and a number of heads")
    return dims[0], heads, dims[1], dims[2] // heads
