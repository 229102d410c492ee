"""The order of what stands behind the sums of a tile."""

from __future__ import annotations

from xdsl.dialects import memref, vector
from xdsl.dialects.arith import FastMathFlag
from xdsl.dialects.builtin import MemRefType
from xdsl.ir import Block, Operation, SSAValue

from dialects import affine
from dialects.arith import has_flag

_LOADS = (
    affine.LoadOp,
    affine.VectorLoadOp,
    memref.LoadOp,
    vector.LoadOp,
    vector.MaskedLoadOp,
)
_STORES = (
    affine.StoreOp,
    affine.VectorStoreOp,
    memref.StoreOp,
    vector.StoreOp,
    vector.MaskedStoreOp,
)


def finish_one_by_one(block: Block) -> None:
    """Orders what stands behind the last sum of a block by the results that are stored.

    A tile's operations are emitted each for all of its rows and vectors. Behind its sums, that
    keeps what is between the operations of all of them in registers: more than there are. One
    result after the other, up to its store, needs the registers of one. Left alone where something
    that is stored may be loaded again.
    """
    behind: list[Operation] = []
    op = block.last_op
    # What adds up unrolled taps may be reordered.
    while op is not None and not op.regions and not has_flag(op, FastMathFlag.REASSOC):
        behind.append(op)
        op = op.prev_op
    stores = [op for op in reversed(behind) if isinstance(op, _STORES)]
    if op is None or len(stores) < 2:
        return
    stored = {_buffer(store) for store in stores}
    if any(isinstance(op, _LOADS) and _buffer(op) in stored for op in behind):
        return
    waiting = dict.fromkeys(reversed(behind))
    order: list[Operation] = []

    def place(op: Operation) -> None:
        if op in waiting:
            del waiting[op]
            for operand in op.operands:
                if isinstance(operand.owner, Operation):
                    place(operand.owner)
            order.append(op)

    for store in stores:
        place(store)
    for op in list(waiting):
        place(op)
    for op in order:
        op.detach()
        block.add_op(op)


def _buffer(op: Operation) -> SSAValue:
    """What an operation loads from or stores to."""
    return next(value for value in op.operands if isinstance(value.type, MemRefType))
