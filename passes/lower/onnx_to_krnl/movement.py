"""Roots that move or make elements: Concat, Pad, Content."""

from __future__ import annotations

from dialects.onnx.dims import Dim, parse_dim
from dialects.onnx.ops import Content, OnnxOp
from dialects.onnx.shape.helpers import normalize_axis
from dialects.onnx.types import is_none
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.scalars import Scalar
from passes.onnx.bind_parameters import parameter


@root("Content")
def content(k: Kernel, op: OnnxOp) -> None:
    """Symbolic sizes as data."""
    assert isinstance(op, Content)
    rank = len(k.dims(op.result))
    for place, text in enumerate(op.content):
        number = k.index_value(k.size(parse_dim(text.data)))
        element = k.s.from_index(number, k.element(op.result))
        k.give(op.result, [affine(place)] if rank else [], element)


@root("Concat")
def concat(k: Kernel, op: OnnxOp) -> None:
    """Operands one after the other along an axis: a nest for each."""
    result = op.results[0]
    axis = normalize_axis(op.get("axis") if op.get("axis") is not None else 1, len(k.dims(result)))
    offset = affine(0)
    layout = k.layout(result)
    for operand in op.operands:
        dims = k.dims(operand)

        def body(ivs: list[Affine], operand=operand, offset=offset) -> None:
            entries = k.logical(layout, ivs)
            scalar = k.read(operand, entries)
            entries[axis] = entries[axis] + offset
            k.give(result, entries, scalar)

        k.nest([dims[a] for a in layout.order], body)
        offset = offset + k.size(dims[axis])


@root("Pad")
def pad(k: Kernel, op: OnnxOp) -> None:
    """The operand inside, and around it a constant or elements of the operand."""
    source, result = op.operands[0], op.results[0]
    dims = k.dims(source)
    before = pad_amounts(k, op, len(dims))
    mode = op.get("mode") or "constant"
    element = k.element(result)
    layout = k.layout(result)

    def body(ivs: list[Affine]) -> None:
        entries = k.logical(layout, ivs)
        inner = [e - k.size(b) for e, b in zip(entries, before, strict=True)]
        if mode != "constant":
            at = [_reflected(k, mode, e, d) for e, d in zip(inner, dims, strict=True)]
            k.give(result, entries, k.read(source, at))
            return
        inside = k.all_inside(inner, dims)
        if inside is None:
            k.give(result, entries, k.read(source, inner))
            return
        chosen = k.when(inside, lambda: k.read(source, inner), lambda: _fill(k, op, element))
        k.give(result, entries, chosen)

    k.nest([k.dims(result)[a] for a in layout.order], body)


def pad_amounts(k: Kernel, op: OnnxOp, rank: int) -> list[Dim]:
    """How many elements stand in front, for every axis."""
    amounts = list(op.get("pads") or op.get("paddings") or ()) if op.SINCE < 11 else None
    if amounts is None:
        found = parameter(op, 1)
        if found is None:
            raise k.unsupported(op, "the amount of padding is only known at run time")
        amounts = list(found)
    axes = parameter(op, 3) if op.SINCE >= 18 else None
    if axes is None:
        return amounts[:rank]  # type: ignore[return-value]
    before: list[Dim] = [0] * rank
    for place, axis in enumerate(axes):
        before[normalize_axis(int(axis), rank)] = amounts[place]  # type: ignore[index]
    return before


def _fill(k: Kernel, op: OnnxOp, element) -> Scalar:
    if op.SINCE >= 11 and len(op.operands) > 2 and not is_none(op.operands[2]):
        rank = len(k.dims(op.operands[2]))
        return k.read(op.operands[2], [affine(0)] * rank)
    return k.s.const(op.get("value") or 0, element)


def _reflected(k: Kernel, mode: str, entry: Affine, dim: Dim) -> Affine:
    """The operand's index that an index outside of it stands for."""
    from xdsl.dialects import arith

    def op(kind, a: Affine, b: Affine) -> Affine:
        made = kind.create(
            operands=[k.index_value(a), k.index_value(b)], result_types=[k.index_value(a).type]
        )
        return k.index_of(k.add(made))

    last = k.size(dim) - 1
    zero = affine(0)
    if mode == "edge":
        low = op(arith.MaxSIOp, entry, zero)
        return op(arith.MinSIOp, low, last)
    if mode == "wrap":
        rest = op(arith.RemSIOp, entry, k.size(dim))
        shifted = op(arith.RemSIOp, rest + k.size(dim), k.size(dim))
        return shifted
    # reflect: 0 1 2 1 0 1 ... has period 2 * last
    positive = op(arith.MaxSIOp, entry, entry * -1)
    period = op(arith.MaxSIOp, last * 2, affine(1))
    rest = op(arith.RemSIOp, positive, period)
    return op(arith.MinSIOp, rest, last * 2 - rest)
