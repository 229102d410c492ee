"""What a run computes to find errors in its data."""

from __future__ import annotations

from dialects.onnx.ops import IndexRange, OnnxOp
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.scalars import Scalar


@root("IndexRange", epilogue=False)
def index_range(k: Kernel, op: OnnxOp) -> None:
    """Smallest and largest index, of every component of index tuples."""
    assert isinstance(op, IndexRange)
    dims = k.dims(op.indices)
    components = k.dims(op.result)[1]
    assert isinstance(components, int)
    rows = dims[:-1] if op.tuples is not None else dims
    element = k.element(op.result)
    for component in range(components):
        last = [affine(component)] if op.tuples is not None else []

        def step(
            taps: list[Affine], carried: list[Scalar], last: list[Affine] = last
        ) -> list[Scalar]:
            index = k.s.cast(k.read(op.indices, [*taps, *last]), element)
            return [k.s.min(carried[0], index), k.s.max(carried[1], index)]

        found = k.reduce(rows, [k.s.highest(element), k.s.lowest(element)], step)
        for row, value in enumerate(found):
            k.give(op.result, [affine(row), affine(component)], value)
