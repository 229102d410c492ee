"""Small edits: replacing values, erasing what nobody uses, function types that follow."""

from __future__ import annotations

from xdsl.dialects.builtin import FunctionType
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.traits import Pure

from dialects.onnx.ops import Custom


def is_dead(op: Operation) -> bool:
    """Whether an operation may go: no result is used, and running it has no effect."""
    if any(result.first_use is not None for result in op.results):
        return False
    return op.has_trait(Pure) or isinstance(op, Custom)


def erase_dead(block: Block) -> None:
    """Erases dead operations of a block and of the regions in it, users before producers."""
    op = block.last_op
    while op is not None:
        previous = op.prev_op
        if is_dead(op):
            block.erase_op(op)
        else:
            for region in op.regions:
                for inner in region.blocks:
                    erase_dead(inner)
        op = previous


def update_function_type(function: FuncOp) -> None:
    """Sets a function's type to the types of its arguments and of what it returns."""
    block = function.body.block
    last = block.last_op
    assert last is not None
    function.function_type = FunctionType.from_lists(
        [argument.type for argument in block.args], [operand.type for operand in last.operands]
    )


def replace_value(old: SSAValue, new: SSAValue) -> None:
    """Puts ``new`` in the place of ``old`` everywhere; ``new`` keeps its own name if it has one."""
    for use in tuple(old.uses):
        use.operation.operands[use.index] = new
    if new.name_hint is None and old.name_hint:
        new.name_hint = old.name_hint
