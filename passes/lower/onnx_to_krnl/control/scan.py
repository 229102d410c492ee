"""Scan: along the first axis, and before version 9 over batches."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import DYNAMIC_INDEX, MemRefType, i64
from xdsl.ir import SSAValue

from dialects import hal
from dialects.hal import size_strings
from dialects.onnx.dims import Dim, product, symbol
from dialects.onnx.locations import place_of
from dialects.onnx.ops import OnnxOp
from dialects.onnx.types import is_none
from passes.hal.plan_memory import element_bytes
from passes.lower.onnx_to_krnl.control.iteration import Iteration
from passes.lower.onnx_to_krnl.control.places import body_of, sizes, yielded
from passes.lower.onnx_to_krnl.program import ProgramBuilder
from passes.lower.onnx_to_krnl.registry import host
from runtime.errors import InternalError, UnsupportedError


@host("Scan")
def scan(b: ProgramBuilder, op: OnnxOp) -> None:
    """A subgraph, run on slices of tensors along an axis."""
    if op.SINCE == 8:
        scan_batches(b, op)
        return
    count = op.get("num_scan_inputs")
    states, tensors = op.operands[:-count], op.operands[-count:]
    length = sizes(tensors[0])[0]
    initial = [(b.buffer(state), sizes(state)) for state in states]
    control = scan_sequence(Iteration(b, op, 0, length), initial, tensors, op.results, length)
    control.finish(op.results[: len(initial)])


Initial = Sequence[tuple[SSAValue, Sequence[Dim]]]


def scan_sequence(
    control: Iteration,
    initial: Initial,
    tensors: Sequence[SSAValue],
    results: Sequence[SSAValue | None],
    trips: Dim,
) -> Iteration:
    """One sequence: states from their initial buffers and sizes, a step for each slice."""
    b, op = control.b, control.op
    block = body_of(op, "body")
    given = yielded(block)
    count = len(initial)
    inputs_backwards, outputs_backwards = directions(op, len(tensors), len(given) - count)
    for argument, following, start, result in zip(
        block.args, given, initial, results, strict=False
    ):
        control.carry(argument, following, start, result)
    for value, result, backwards in zip(
        given[count:], op.results[count:], outputs_backwards, strict=False
    ):
        control.stack(value, result, backwards)
    with b.region() as region:
        control.begin()
        for argument, tensor, backwards in zip(
            block.args[count:], tensors, inputs_backwards, strict=True
        ):
            control.scan(argument, tensor, backwards)
        b.run(block)
        control.end()
    control.repeat(trips, region)
    return control


def directions(op: OnnxOp, inputs: int, outputs: int) -> tuple[list[bool], list[bool]]:
    """Which inputs a Scan reads, and which outputs it writes, from the end."""
    if any(op.get("scan_input_axes") or ()) or any(op.get("scan_output_axes") or ()):
        raise InternalError("Scan along another axis than the first", place_of(op.location, "krnl"))
    name = "directions" if op.SINCE == 8 else "scan_input_directions"
    reads = op.get(name) or (0,) * inputs
    writes = op.get("scan_output_directions") or (0,) * outputs
    return [flag == 1 for flag in reads], [flag == 1 for flag in writes]


def scan_batches(b: ProgramBuilder, op: OnnxOp) -> None:
    """Scan of version 8: every sequence of a batch, as long as ``sequence_lens`` says."""
    lengths, *operands = op.operands
    count = op.get("num_scan_inputs")
    states, tensors = operands[:-count], operands[-count:]
    batch, length = sizes(tensors[0])[:2]
    outer = Iteration(b, op)
    if any(outer.unknown(result) for result in op.results):
        raise UnsupportedError(
            "batches of results whose size only the data tell", place_of(op.location, "krnl")
        )
    buffers = [b.alloc(result) for result in op.results]
    if not is_none(lengths):
        for buffer in buffers[len(states) :]:
            b.add(hal.ClearOp.create(operands=[buffer]))
    with b.region() as region:
        outer.read_counter(str(outer.step))
        inner = Iteration(b, op, outer.step * length, length)
        initial = [
            (batch_slice(outer, state, b.buffer(state)), sizes(state)[1:]) for state in states
        ]
        trips = length if is_none(lengths) else sequence_length(outer, lengths)
        scan_sequence(inner, initial, tensors, [None] * len(states), trips)
        for carried, result, buffer in zip(inner.carried, op.results, buffers, strict=False):
            b.add(hal.CopyOp(carried.buffer, batch_slice(outer, result, buffer)))
    outer.repeat(batch, region)


def batch_slice(outer: Iteration, tensor: SSAValue, buffer: SSAValue) -> SSAValue:
    """The current batch's part of a tensor."""
    kind, _ = outer.b.memref_type(tensor)
    inner = sizes(tensor)[1:]
    offset = outer.step * product(inner) * element_bytes(kind.element_type)
    dynamic: list[Dim] = [dim for dim in inner if not isinstance(dim, int)]
    shape = [dim if isinstance(dim, int) else DYNAMIC_INDEX for dim in inner if dim != 1]
    part = MemRefType(kind.element_type, shape)
    return outer.b.view_of(buffer, part, dynamic, offset)


def sequence_length(outer: Iteration, lengths: SSAValue) -> Dim:
    """The current batch's number of steps."""
    b = outer.b
    entry = b.view_of(b.buffer(lengths), MemRefType(i64, [1]), [], outer.step * 8)
    name = symbol(outer.fresh("signed_length"))
    b.add(hal.SymbolsOp(entry, size_strings([name])))
    b.known.add(str(name))
    return name
