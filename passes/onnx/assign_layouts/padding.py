"""Padding of convolutions, which stands in front of them or is left out by their kernels."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, StringAttr

from dialects.krnl import integers
from dialects.onnx import ops
from dialects.onnx.dims import Dim, maximum
from dialects.onnx.locations import place_of
from dialects.onnx.ops import NoValue, OnnxOp
from dialects.onnx.shape.helpers import effective_kernel, transposed_pads
from dialects.onnx.types import element_type_of, none_type, tensor_type
from passes.krnl.tiles import place_axis
from runtime.errors import UnsupportedError

MOST_TAPS = 0.85
"""If no more of a convolution's taps than that are inside of its data, the others are left out."""


def margins(
    op: OnnxOp,
    dims: tuple[Dim, ...],
    weights: tuple[Dim, ...],
    result: tuple[Dim, ...],
) -> tuple[list[int], list[Dim]]:
    """Zeros around the data that the taps of a ConvTranspose reach; resolves `pads`."""
    rank = len(dims) - 2
    ones, zeros = (1,) * rank, (0,) * rank
    strides, dilations = op.get("strides") or ones, op.get("dilations") or ones
    spans = [effective_kernel(k, d) for k, d in zip(weights[2:], dilations, strict=True)]
    extra = op.get("output_padding") or zeros
    totals = [
        (dim - 1) * stride + span + more - size
        for dim, stride, span, more, size in zip(
            dims[2:], strides, spans, extra, result[2:], strict=True
        )
    ]
    given = op.get("pads") or (0,) * (2 * rank)
    auto = op.get("auto_pad") or "NOTSET"
    if auto == "VALID":
        auto, given = "NOTSET", (0,) * (2 * rank)
    if op.get("output_shape"):
        # What is larger than data and kernel make it begins where they begin.
        pads, _ = transposed_pads(auto, [maximum(total, 0) for total in totals], None)
    else:
        pads, _ = transposed_pads(auto, totals, given)
    if not all(isinstance(entry, int) for entry in (*pads, *spans)):
        raise UnsupportedError(
            "the padding or the kernel's size is only known at run time",
            place_of(op.location, "onnx"),
            "give fixed sizes with --dim",
        )
    op.properties.pop("auto_pad", None)
    op.properties["pads"] = integers((*pads, *zeros))  # type: ignore[arg-type]
    before: list[int] = []
    after: list[Dim] = []
    for dim, size, stride, span, pad in zip(
        dims[2:], result[2:], strides, spans, pads, strict=True
    ):
        assert isinstance(span, int) and isinstance(pad, int)
        before.append(max(0, (span - 1 - pad) // stride))
        after.append(maximum((size - 1 + pad) // stride - (dim - 1), 0))
    return before, after


def put_in_front(
    op: OnnxOp,
    dims: tuple[Dim, ...],
    before: Sequence[Dim],
    after: Sequence[Dim],
    order: tuple[int, ...] | None,
    panel: int = 0,
) -> None:
    """Puts a Pad with zeros around the spatial axes in front of operand 0, if there are any.

    Its result has the layout that is given.
    """
    if not any([*before, *after]):
        return
    before, after = [0, 0, *before], [0, 0, *after]
    padded = [a + b + c for a, b, c in zip(before, dims, after, strict=True)]
    data = op.operands[0]
    amounts = ArrayAttr([StringAttr(str(amount)) for amount in (*before, *after)])
    absent = NoValue.create(result_types=[none_type])
    element = element_type_of(data.type)
    made = ops.class_of_schema_version("", "Pad", 13).create(
        operands=[data, absent.result, absent.result],
        result_types=[tensor_type(element, padded, order, panel)],
        attributes={"onnx.parameters": DictionaryAttr({"1": amounts})},
        location=op.location,
    )
    assert op.parent is not None
    op.parent.insert_ops_before([absent, made], op)
    op.operands[0] = made.results[0]


def leave_out_taps(
    op: OnnxOp,
    dims: Sequence[Dim],
    weights: Sequence[Dim],
    result: Sequence[Dim],
    before: list[Dim],
    after: list[Dim],
) -> None:
    """Takes the first spatial axis' padding for the kernel's own where many taps are in it.

    The kernel then leaves these out, which it can do for axes whose places are no rows of a tile:
    with large dilations most of a window's lines are outside of a small image. Volumes always do
    without this padding: its planes are much memory, and to leave out a tap is little work beside
    the plane of taps that it has.
    """
    size, taps, places, *pads = dims[2], weights[2], result[2], before[0], after[0]
    known = [n for n in (size, taps, places, *pads) if isinstance(n, int)]
    if len(known) < 5 or len(dims) == 3 or place_axis(result[2:]) == 0 or not any(pads):
        return
    size, taps, places, first, last = known
    stride, dilation = (op.get("strides") or (1,))[0], (op.get("dilations") or (1,))[0]
    inside = sum(
        0 <= place * stride - first + tap * dilation < size
        for place in range(places)
        for tap in range(taps)
    )
    is_volume = len(dims) > 4
    if is_volume or inside <= MOST_TAPS * places * taps:
        rank = len(dims) - 2
        pads = [0] * (2 * rank)
        pads[0], pads[rank] = first, last
        op.properties["pads"] = integers(tuple(pads))
        before[0] = after[0] = 0
