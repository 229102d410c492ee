"""Loop."""

from __future__ import annotations

import numpy as np
from xdsl.ir import SSAValue

from dialects import hal
from dialects.hal import size_strings
from dialects.onnx.constants import constant_of, make_const
from dialects.onnx.dims import Dim, symbol
from dialects.onnx.ops import OnnxOp
from dialects.onnx.types import is_none
from passes.lower.onnx_to_krnl.control.iteration import Iteration
from passes.lower.onnx_to_krnl.control.places import Control, body_of, sizes, yielded
from passes.lower.onnx_to_krnl.program import ProgramBuilder
from passes.lower.onnx_to_krnl.registry import host

FOREVER = (1 << 62) - 1
"""The trip count of a loop that only its condition ends."""


@host("Loop")
def loop(b: ProgramBuilder, op: OnnxOp) -> None:
    """A subgraph, repeated as often as a count and a condition say."""
    block = body_of(op, "body")
    number, goes_on, *arguments = block.args
    kept, *given = yielded(block)
    count, start, *initial = op.operands
    control = Iteration(b, op)
    trips = trip_count(control, count)
    for argument, following, value, result in zip(
        arguments, given, initial, op.results, strict=False
    ):
        control.carry(argument, following, (b.buffer(value), sizes(value)), result)
    # A node may leave its last outputs out.
    for value, result in zip(given[len(initial) :], op.results[len(initial) :], strict=False):
        control.stack(value, result)
    condition = loop_condition(control, start, goes_on, kept)
    with b.region() as region:
        kind, dims = b.memref_type(number)
        b.bind(number, control.as_type(control.counter, kind, dims))
        control.begin()
        b.run(block)
        control.end()
    control.repeat(trips, region, condition)
    control.finish(op.results[: len(initial)])


def trip_count(control: Iteration, value: SSAValue) -> Dim:
    """How often a Loop runs at most."""
    if is_none(value):
        return FOREVER
    known = constant_of(value, control.b.pool)
    if known is not None:
        return int(known.reshape(-1)[0])
    name = symbol(control.fresh("signed_trips"))
    control.b.add(hal.SymbolsOp(control.b.buffer(value), size_strings([name])))
    control.b.known.add(str(name))
    return name


def loop_condition(
    control: Iteration, start: SSAValue, argument: SSAValue, following: SSAValue
) -> SSAValue | None:
    """The flag that a Loop goes on by, handed on like a carried value; None: always true."""
    b = control.b
    true = b.buffer(make_const(np.array(True), b.pool, "true").result)
    always = is_none(start) or is_true(control, start)
    if always and (following is argument or is_true(control, following)):
        b.bind(argument, true)
        return None
    initial = (true, []) if is_none(start) else (b.buffer(start), sizes(start))
    return control.carry(argument, following, initial, None)


def is_true(control: Control, value: SSAValue) -> bool:
    """Whether a value is constantly true."""
    known = constant_of(value, control.b.pool)
    return known is not None and bool(known.reshape(-1)[0])
