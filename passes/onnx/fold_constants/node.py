"""What a folding rule sees of its operation, and the registry of the rules.

@fold("Add")
def add(n: FoldNode) -> list[np.ndarray]: ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from dialects.onnx.constants import ConstantPool, array_of
from dialects.onnx.ops import OnnxOp
from dialects.onnx.types import dims_of, dtype_of


class Unfoldable(Exception):
    """The operation stays: ONNX does not define its result."""


@dataclass(frozen=True)
class FoldNode:
    """An operation with its operands' arrays, None for an absent one."""

    op: OnnxOp
    inputs: Sequence[np.ndarray | None]
    pool: ConstantPool

    @property
    def since(self) -> int:
        """The operator version."""
        return self.op.SINCE

    def get(self, name: str, default: Any = None) -> Any:
        """The attribute's Python value, the schema's default, or ``default``."""
        value = self.op.get(name)
        return default if value is None else value

    def tensor(self, name: str) -> np.ndarray | None:
        """The array of an attribute that is a tensor, or None when absent."""
        value = self.op.get(name)
        return None if value is None else array_of(value, value.type, self.pool)

    def input(self, i: int) -> np.ndarray | None:
        """Operand ``i``, or None when absent."""
        return self.inputs[i] if i < len(self.inputs) else None

    def needed(self, i: int) -> np.ndarray:
        """Operand ``i``. Raises Unfoldable when it is absent."""
        array = self.input(i)
        if array is None:
            raise Unfoldable
        return array

    def ints(self, i: int) -> list[int] | None:
        """The elements of an integer operand, or None when absent."""
        array = self.input(i)
        return None if array is None else [int(entry) for entry in array.reshape(-1)]

    @property
    def dtype(self) -> np.dtype:
        """The element type of the first result."""
        return dtype_of(self.op.results[0].type)

    def shape(self, i: int = 0) -> tuple[int, ...]:
        """The static shape of result ``i``."""
        dims = dims_of(self.op.results[i].type)
        assert dims is not None
        return tuple(int(dim) for dim in dims)  # type: ignore[arg-type]


FoldRule: TypeAlias = Callable[[FoldNode], "list[np.ndarray] | None"]

FOLD: dict[tuple[str, str], FoldRule] = {}
"""(domain, operator) to the numpy function that computes it, or gives None: ask the reference."""


def fold(*names: str) -> Callable[[FoldRule], FoldRule]:
    """Registers a rule for default-domain operators. Raises KeyError for one that has a rule."""

    def register(rule: FoldRule) -> FoldRule:
        for name in names:
            if ("", name) in FOLD:
                raise KeyError(f"{name} has a folding rule already")
            FOLD["", name] = rule
        return rule

    return register
