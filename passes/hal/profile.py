"""`hal-profile`: have a run note when each of its kernels begins and ends.

Requires a host program. Ensures a `hal.stamp` before and after every dispatch, every copy and every
clearing of a buffer, and at both ends of the program. The module's `hal.spans` names what lies
between the stamps 2k and 2k + 1: a kernel or an operation, and the ONNX nodes it comes from. Span 0
is the whole run.

    hal.dispatch @k(%x)   ==>   hal.stamp 2; hal.dispatch @k(%x); hal.stamp 3

A stamp reads the clock, some 25 ns, and nothing else changes: memory is planned as without, kernels
are the same code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, ModuleOp, StringAttr
from xdsl.ir import Block, Operation
from xdsl.passes import ModulePass

from dialects import hal
from dialects.onnx.locations import node_names

TIMED = (hal.DispatchOp, hal.CopyOp, hal.ClearOp, hal.AppendOp, hal.GiveOp)
"""Operations that take time which grows with their data."""


@dataclass(frozen=True)
class Profile(ModulePass):
    """Puts stamps around what takes time."""

    name = "hal-profile"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Adds the stamps and `hal.spans`."""
        programs = [each for each in op.ops if isinstance(each, hal.ProgramOp)]
        for program in programs:
            op.attributes["hal.spans"] = ArrayAttr(list(_stamp(program.body.block)))


def _stamp(block: Block) -> Iterator[DictionaryAttr]:
    timed = [op for op in block.walk() if isinstance(op, TIMED)]
    yield _span("run", [])
    for number, op in enumerate(timed, 1):
        parent = op.parent
        assert parent is not None
        parent.insert_op_before(hal.StampOp(2 * number), op)
        parent.insert_op_after(hal.StampOp(2 * number + 1), op)
        yield _span(_name(op), node_names(op.location))
    first = block.first_op
    if first is not None:
        block.insert_op_before(hal.StampOp(0), first)
        block.add_op(hal.StampOp(1))


def _name(op: Operation) -> str:
    if isinstance(op, hal.DispatchOp):
        return op.callee.root_reference.data
    return op.name.removeprefix("hal.")


def _span(name: str, nodes: list[str]) -> DictionaryAttr:
    return DictionaryAttr(
        {"name": StringAttr(name), "nodes": ArrayAttr([StringAttr(node) for node in nodes])}
    )
