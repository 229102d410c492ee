"""Operators that read parts of a tensor, and tensors that only those use."""

from __future__ import annotations

from xdsl.ir import Operation, SSAValue

from dialects.onnx.ops import OnnxOp

SELECTS = frozenset({"Gather", "GatherElements", "GatherND", "Slice", "Shape", "Size"})
"""Operators that read a part of their first operand."""


def selections_of(value: SSAValue) -> list[Operation]:
    """The users of a tensor if all of them read parts of it; else none."""
    users = [use.operation for use in value.uses]
    reads_parts = all(
        isinstance(user, OnnxOp)
        and not user.DOMAIN
        and user.OP_TYPE in SELECTS
        and [place for place, each in enumerate(user.operands) if each is value] == [0]
        for user in users
    )
    return users if reads_parts else []
