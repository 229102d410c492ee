"""Einsum: loops over the labels of the result around sums over the other labels."""

from __future__ import annotations

from functools import reduce

from dialects.onnx.dims import Dim
from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.equations import parse
from dialects.onnx.shape.helpers import broadcast_dim
from passes.lower.index import Affine
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.scalars import REDUCTION, Scalar, accumulator_type


@root("Einsum", fuses="none")
def einsum(k: Kernel, op: OnnxOp) -> None:
    """Products of elements of all operands, summed over the labels that the result has not."""
    dims = [k.dims(value) for value in op.operands]
    equation = parse(op.get("equation"), [len(own) for own in dims])
    terms, result = equation.terms, equation.result
    sizes: dict[str, Dim] = {}
    for term, own in zip(terms, dims, strict=True):
        for label, dim in zip(term, own, strict=True):
            sizes[label] = broadcast_dim(sizes.get(label, 1), dim)
    summed = [label for label in sizes if label not in result]
    kind = accumulator_type(k.element(op.results[0]))

    def body(ivs: list[Affine]) -> None:
        outer = dict(zip(result, ivs, strict=True))

        def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            at = {**outer, **dict(zip(summed, taps, strict=True))}
            factors = []
            for value, term, own in zip(op.operands, terms, dims, strict=True):
                entries = [
                    k._broadcast_entry(at[label], dim, sizes[label])
                    for label, dim in zip(term, own, strict=True)
                ]
                factors.append(k.s.cast(k.read(value, entries), kind))
            product = reduce(lambda x, y: k.s.mul(x, y, REDUCTION), factors)
            return [k.s.add(carried[0], product, REDUCTION)]

        (total,) = k.reduce([sizes[label] for label in summed], [k.s.const(0, kind)], step)
        k.give(op.results[0], ivs, k.s.cast(total, k.element(op.results[0])))

    count = len(result)
    tile = (count - 2, count - 1) if count > 1 and summed else None
    k.nest([sizes[label] for label in result], body, contraction=tile)
