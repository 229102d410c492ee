"""Roots that select elements by their order: ArgMax, ArgMin, TopK."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import IntegerType

from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.helpers import normalize_axis
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.heap import Heap
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.scalars import REDUCTION, Scalar
from passes.lower.onnx_to_krnl.scans import in_order

i32, i64 = IntegerType(32), IntegerType(64)


@root("ArgMax", "ArgMin")
def arg_extreme(k: Kernel, op: OnnxOp) -> None:
    """Where the largest or smallest element along an axis is, the first or the last of equal ones.

    In two passes, the extreme and then its index, for both run as vectors. NaN is the extreme.
    """
    source, result = op.operands[0], op.results[0]
    dims = k.dims(source)
    axis = normalize_axis(op.get("axis"), len(dims))
    kept = [a for a in range(len(dims)) if a != axis]
    keeps = len(k.dims(result)) == len(dims)
    element = k.element(source)
    is_max, last = op.OP_TYPE == "ArgMax", bool(op.get("select_last_index"))
    # Indices of 32 bits fill twice as many lanes; an axis longer than that has none of its own.
    small = isinstance(dims[axis], int) and int(dims[axis]) < 1 << 31  # type: ignore[arg-type]
    kind = i32 if small else i64

    def body(ivs: list[Affine]) -> None:
        def x(taps: Sequence[Affine]) -> Scalar:
            at = dict(zip([*kept, axis], [*ivs, *taps], strict=True))
            return k.read(source, [at[a] for a in range(len(dims))])

        def extreme(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            combine = k.s.max if is_max else k.s.min
            return [combine(carried[0], x(taps), REDUCTION)]

        first = k.s.lowest(element) if is_max else k.s.highest(element)
        (found,) = k.reduce([dims[axis]], [first], extreme)

        def place(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            beaten = k.s.compare("lt" if is_max else "gt", x(taps), found)
            here = k.s.from_index(k.index_value(taps[0]), kind)
            worst = k.s.const(-1, kind) if last else k.s.highest(kind)
            here = k.s.select(beaten, worst, here)
            return [k.s.max(carried[0], here) if last else k.s.min(carried[0], here)]

        worst = k.s.const(-1, kind) if last else k.s.highest(kind)
        (chosen,) = k.reduce([dims[axis]], [worst], place)
        at = dict(zip(kept, ivs, strict=True))
        entries = [at.get(a, affine(0)) for a in range(len(dims)) if keeps or a in at]
        k.give(result, entries, k.s.cast(chosen, k.element(result)))

    k.nest([dims[a] for a in kept], body)


@root("TopK", fuses="none", epilogue=False)
def top_k(k: Kernel, op: OnnxOp) -> None:
    """The k largest or smallest elements along an axis in order, the first of equal ones first.

    They stand in a heap where the result will be: of indices, or of values where nobody wants the
    indices.
    """
    source, (values, indices) = op.operands[0], op.results[:2]
    dims = k.dims(source)
    axis = normalize_axis(op.get("axis"), len(dims))
    outer = [a for a in range(len(dims)) if a != axis]
    has_indices = indices in k.outputs
    # The attribute is younger than the operator; at first only the largest could be asked for.
    largest = op.get("largest") != 0
    size, length = k.size(k.dims(values)[axis]), k.size(dims[axis])

    def row(ivs: list[Affine]) -> None:
        def entries(place: Affine) -> list[Affine]:
            at = {**dict(zip(outer, ivs, strict=True)), axis: place}
            return [at[axis] for axis in range(len(at))]

        def element(place: Affine) -> Scalar:
            return k.load(k.buffers[source], k.place(source, entries(place)), k.element(source))

        heap = Heap(k, indices if has_indices else values, entries, element, has_indices, largest)
        heap.select(size, length)
        if has_indices and values in k.outputs:

            def fetch(ivs: list[Affine]) -> None:
                value = element(index_ops.from_scalar(k, heap.held(ivs[0])))
                k.write_output(values, entries(ivs[0]), value)

            in_order(k, [size], fetch)

    k.nest([dims[a] for a in outer], row)
