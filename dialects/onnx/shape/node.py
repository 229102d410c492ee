"""What a shape rule sees of its operation, and the registries of the rules.

    @infer("Relu", "Sigmoid")     result types from operand types, attributes and contents
    @propagate("Gather")          contents of small tensors from the contents of the operands

A *content* is what is known of the elements of a small tensor before anything runs: an array of
objects, each an int, a `DimExpr`, a bool, a float, or None where nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, Protocol, TypeAlias

import numpy as np
from xdsl.ir import Attribute, Operation, Region, SSAValue

from dialects.onnx.dims import Dim, DimExpr, at_most, maximum, sign
from dialects.onnx.ops import Custom, OnnxOp
from dialects.onnx.types import AnyTensorType, dims_of, is_none, is_tensor, tensor_type

CONTENT_ELEMENTS = 64
"""Contents are kept of tensors with at most this many elements."""


class ShapeError(ValueError):
    """Shapes, axes or attributes contradict each other; the pass adds the place."""


class Scope(Protocol):
    """What rules may ask of the pass that runs them."""

    def fresh(self, hint: str) -> DimExpr:
        """A new symbol whose name starts with ``hint``."""
        ...

    def content(self, value: SSAValue) -> np.ndarray | None:
        """What is known of a value's elements: a constant's array or a content."""
        ...

    def assume(self, lhs: Dim, rhs: Dim) -> None:
        """Notes that two sizes, not provably equal, have to be equal at run time."""
        ...

    def assume_broadcast(self, lhs: Dim, rhs: Dim) -> None:
        """Notes that two sizes have to be equal at run time unless one of them is 1."""
        ...

    def infer_region(
        self, region: Region, kinds: Sequence[Attribute], contents: Sequence[np.ndarray | None]
    ) -> list[Attribute]:
        """Infers a subgraph with these argument types; gives the types it yields."""
        ...

    def take_branch(self, region: Region, unless: str | None = None) -> list[Attribute]:
        """Infers the only branch that an If can take, which will stand in its place.

        ``unless``: a run checks that the condition chooses it, or fails with this message.
        """
        ...


class NodeShapes:
    """An operation with what is known of its operands."""

    __slots__ = ("op", "scope")

    def __init__(self, op: OnnxOp, scope: Scope) -> None:
        self.op = op
        self.scope = scope

    @property
    def op_type(self) -> str:
        """The operator's ONNX name."""
        return self.op.op_type.data if isinstance(self.op, Custom) else self.op.OP_TYPE

    @property
    def since(self) -> int:
        """The operator version."""
        return self.op.SINCE

    def get(self, name: str, default: Any = None) -> Any:
        """The attribute's Python value, the schema's default, or ``default``."""
        value = self.op.get(name)
        return default if value is None else value

    def present(self, i: int) -> bool:
        """Whether operand ``i`` exists and is not absent."""
        return i < len(self.op.operands) and not is_none(self.op.operands[i])

    def kind(self, i: int) -> Attribute:
        """The type of operand ``i``."""
        return self.op.operands[i].type

    def element(self, i: int) -> Attribute:
        """The element type of operand ``i``. Raises ShapeError when it is no tensor."""
        kind = self.kind(i)
        if not is_tensor(kind):
            raise ShapeError(f"input {i} has type {kind}, not a tensor")
        return kind.element_type  # type: ignore[attr-defined]

    def dims(self, i: int) -> tuple[Dim, ...] | None:
        """Sizes of operand ``i``; None when absent or of unknown rank."""
        return dims_of(self.op.operands[i].type) if i < len(self.op.operands) else None

    def rank(self, i: int) -> int | None:
        """Rank of operand ``i``, or None."""
        dims = self.dims(i)
        return None if dims is None else len(dims)

    def ranked(self, i: int, least: int, most: int | None = None) -> tuple[Dim, ...] | None:
        """Sizes of operand ``i``, None when unknown. Raises ShapeError for a rank out of bounds."""
        dims = self.dims(i)
        if dims is not None and (len(dims) < least or (most is not None and len(dims) > most)):
            wanted = f"{least}" if most == least else f"at least {least}"
            self.fail(f"input {i} has shape {shape_text(dims)}, but its rank must be {wanted}")
        return dims

    def value(self, i: int) -> np.ndarray | None:
        """Known elements of operand ``i``: an array of numbers, or of objects (see above)."""
        if i >= len(self.op.operands):
            return None
        return self.scope.content(self.op.operands[i])

    def ints(self, i: int) -> list[Dim] | None:
        """Elements of a small integer operand in order, or None when one is unknown."""
        content = self.value(i)
        if content is None or content.size > CONTENT_ELEMENTS or content.dtype.kind not in "iuO":
            return None
        flat = content.reshape(-1).tolist()
        return flat if all(isinstance(entry, int | DimExpr) for entry in flat) else None

    def fresh(self, hint: str = "") -> DimExpr:
        """A new symbol: a size that this operation defines."""
        return self.scope.fresh(hint or self.op_type.lower())

    def equal(self, lhs: Dim, rhs: Dim, what: str) -> Dim:
        """The common value of two sizes that must be equal, the simpler of both.

        Raises ShapeError naming ``what`` when they differ for all sizes.
        """
        from dialects.onnx.shape.helpers import unify

        return unify(lhs, rhs, what, self.scope.assume)

    def at_most(self, lhs: Dim, rhs: Dim, what: str) -> None:
        """Notes that a run must check ``lhs <= rhs``, where it does not hold for all sizes.

        Raises ShapeError naming ``what`` when it holds for none.
        """
        if at_most(lhs, rhs):
            return
        if sign(lhs - rhs) == 1:
            self.fail(f"{what}: {lhs} is more than {rhs}")
        self.scope.assume(maximum(lhs, rhs), rhs)

    def fits(self, i: int, target: Sequence[Dim]) -> None:
        """Notes that a run must check that operand ``i`` broadcasts to ``target``.

        Raises ShapeError when it never does.
        """
        dims = self.dims(i) if self.present(i) else None
        if dims is None:
            return
        what = (
            f"input {i} of shape {shape_text(dims)} must broadcast to {shape_text(target)}: sizes"
        )
        if len(dims) > len(target):
            self.fail(what.removesuffix(": sizes"))
        for dim, wide in zip(reversed(dims), reversed(target), strict=False):
            if isinstance(dim, int) and dim != 1:
                self.equal(dim, wide, what)
            elif dim not in (1, wide):
                self.scope.assume_broadcast(dim, wide)

    def tensor(self, dims: Iterable[Dim] | None, element: Attribute | None = None) -> AnyTensorType:
        """The tensor type with these sizes, of operand 0's element type unless told."""
        return tensor_type(
            self.element(0) if element is None else element, None if dims is None else tuple(dims)
        )

    def fail(self, message: str) -> NoReturn:
        """Raises ShapeError."""
        raise ShapeError(message)


def shape_text(dims: Iterable[Dim] | None) -> str:
    """`[1, 3, h]` for messages; `[*]` when the rank is unknown."""
    return "[*]" if dims is None else f"[{', '.join(map(str, dims))}]"


InferRule: TypeAlias = Callable[[NodeShapes], Sequence[Attribute]]
PropagateRule: TypeAlias = Callable[[NodeShapes], "np.ndarray | Sequence[np.ndarray | None] | None"]

INFER: dict[tuple[str, str], InferRule] = {}
"""(domain, operator) to the rule that gives its result types."""

PROPAGATE: dict[tuple[str, str], PropagateRule] = {}
"""(domain, operator) to the rule that gives its results' contents."""


def infer(*names: str, domain: str = "") -> Callable[[InferRule], InferRule]:
    """Registers a rule for result types. Raises KeyError for a name that has one."""
    return _registering(INFER, names, domain)


def propagate(*names: str, domain: str = "") -> Callable[[PropagateRule], PropagateRule]:
    """Registers a rule for contents. Raises KeyError for a name that has one."""
    return _registering(PROPAGATE, names, domain)


def _registering(table: dict[tuple[str, str], Any], names: Sequence[str], domain: str) -> Any:
    def register(rule: Any) -> Any:
        for name in names:
            if (domain, name) in table:
                raise KeyError(f"{domain}.{name} has a rule already")
            table[domain, name] = rule
        return rule

    return register


def operator_of(op: Operation) -> tuple[str, str]:
    """(domain, operator) of an `onnx` operation, the domain `ai.onnx` written as ``""``."""
    if isinstance(op, Custom):
        return op.domain.data, op.op_type.data
    assert isinstance(op, OnnxOp)
    return op.DOMAIN, op.OP_TYPE
