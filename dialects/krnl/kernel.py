"""What is known of a whole kernel: attributes of its function."""

from __future__ import annotations

from xdsl.dialects.builtin import DenseArrayBase
from xdsl.dialects.func import FuncOp

INPLACE = "krnl.inplace"
"""Numbers of arguments of a kernel whose buffer its result may take over: each element is read
where the result's is written, before that, and not again."""


def inplace_arguments(kernel: FuncOp) -> tuple[int, ...]:
    """The numbers of a kernel's arguments whose buffer its result may take over."""
    places = kernel.attributes.get(INPLACE)
    return tuple(map(int, places.get_values())) if isinstance(places, DenseArrayBase) else ()
