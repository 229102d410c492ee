"""Small edits: replacing values, erasing what nobody uses, types and attributes that follow."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import FunctionType
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.traits import Pure

from dialects.krnl import integers
from dialects.onnx.dims import Dim
from dialects.onnx.ops import Custom, OnnxOp
from dialects.onnx.shape.helpers import resolve_pads
from dialects.onnx.types import dims_of


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


def has_strides(op: OnnxOp) -> bool:
    """Whether a convolution leaves out places."""
    return any(stride != 1 for stride in op.get("strides") or ())


def is_pointwise(op: OnnxOp) -> bool:
    """Whether a convolution is one product of channels at each place, without groups or padding.

    Its weights have a known rank; strides may leave out places.
    """
    kernel = (dims_of(op.operands[1].type) or ())[2:]
    is_padded = any(op.get("pads") or ()) or op.get("auto_pad") not in (None, "NOTSET", "VALID")
    return op.get("group") == 1 and all(size == 1 for size in kernel) and not is_padded


def take_padding(
    op: OnnxOp, dims: Sequence[Dim], weight_dims: Sequence[Dim]
) -> tuple[list[Dim], list[Dim]]:
    """Leaves a convolution no padding to do; gives what it did before and after its spatial axes.

    ``dims`` are the sizes of its data, ``weight_dims`` those of its weights.
    """
    rank = len(dims) - 2
    ones = (1,) * rank
    resolved = resolve_pads(
        op.get("auto_pad"),
        dims[2:],
        weight_dims[2:],
        op.get("strides") or ones,
        op.get("dilations") or ones,
        op.get("pads"),
    )
    op.properties.pop("auto_pad", None)
    op.properties["pads"] = integers((0,) * (2 * rank))
    return resolved
