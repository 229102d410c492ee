"""Operations and constants that are equal to one that dominates them."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Hashable

from xdsl.dialects.builtin import DenseResourceAttr
from xdsl.ir import Operation
from xdsl.traits import Pure

from dialects.onnx.constants import ConstantPool
from dialects.onnx.ops import Const, Custom, NoValue, OnnxOp


class Seen:
    """The operations of a block and the blocks around it, by what they compute."""

    def __init__(
        self, pool: ConstantPool, known: ChainMap[Hashable, Operation] | None = None
    ) -> None:
        self.pool = pool
        self.known: ChainMap[Hashable, Operation] = ChainMap() if known is None else known

    def child(self) -> Seen:
        """The same for a block inside: what it adds is not seen outside."""
        return Seen(self.pool, self.known.new_child())

    def equal_to(self, op: Operation) -> Operation | None:
        """An operation that gives the same values; constants are noted at once, others by `add`."""
        key = self._key(op)
        if key is None:
            return None
        found = self.known.get(key)
        if found is not None and found.parent is None:
            # It was erased since, perhaps in a block around this one.
            found = None
        if found is None and isinstance(op, Const | NoValue):
            self.known[key] = op
        return None if found is op else found

    def add(self, op: Operation) -> None:
        """Notes an operation that stays."""
        key = self._key(op)
        if key is not None:
            self.known[key] = op

    def _key(self, op: Operation) -> Hashable | None:
        if isinstance(op, Const):
            return self._constant_key(op)
        if isinstance(op, NoValue):
            return NoValue
        if not isinstance(op, OnnxOp) or isinstance(op, Custom) or op.regions:
            return None
        if not op.has_trait(Pure):
            return None
        kinds = tuple(result.type for result in op.results)
        return (type(op), tuple(op.operands), tuple(sorted(op.properties.items())), kinds)

    def _constant_key(self, op: Const) -> Hashable:
        # Large constants are equal when they are one array: comparing their bytes costs more than
        # it saves.
        if isinstance(op.value, DenseResourceAttr):
            array = self.pool.array(op.value)
            return (array.__array_interface__["data"][0], op.result.type)
        return (op.value, op.result.type)
