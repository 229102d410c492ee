"""Which rule lowers which operator. Rules register themselves next to their definition.

Four kinds of operator, by what their elements need:

* pointwise: an element of the result from the elements of the (broadcast) operands at the same
place;
* map: an element of the result *is* an element of an operand, at an index that follows from its
own;
* root: owns its loop nests (products, windows, reductions, sorts, joins);
* host: part of the host program (control flow, sequences, strings).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from xdsl.ir import Operation

from dialects.onnx.ops import Custom, OnnxOp
from passes.lower.index import Affine
from runtime.errors import InternalError

if TYPE_CHECKING:
    from passes.lower.onnx_to_krnl.kernel import Kernel
    from passes.lower.onnx_to_krnl.scalars import Scalar, Scalars

Pointwise: TypeAlias = "Callable[[Scalars, OnnxOp, Sequence[Scalar | None]], Scalar]"
"""(builder, operation, operands at one place; None where absent) -> result at that place."""

IndexMap: TypeAlias = "Callable[[Kernel, OnnxOp, int, Sequence[Affine]], Scalar]"
"""(kernel, operation, result number, indices) -> the result's element at the indices."""

Forward: TypeAlias = "Callable[[Kernel, OnnxOp, Sequence[Affine]], list[Affine]]"
"""(kernel, operation, indices into operand 0) -> where that element stands in the result."""

Root: TypeAlias = "Callable[[Kernel, OnnxOp], None]"
"""Emits the operator's nests; gives its elements to ``kernel.give``."""


@dataclass(frozen=True)
class MapRule:
    """An index map; ``forward`` exists when it is a bijection of elements."""

    read: IndexMap
    forward: Forward | None = None


@dataclass(frozen=True)
class RootRule:
    """A root. ``fuses``: which producers may be computed where the root reads an operand.

    "all" (each element is read about once), "maps" (often: only index maps), "none".
    ``operands`` limits that to some operand numbers. ``epilogue``: consumers may join.
    """

    emit: Root
    fuses: str = "all"
    operands: tuple[int, ...] | None = None
    epilogue: bool = True


@dataclass(frozen=True)
class FrameRule:
    """A root that leaves its operand as it is and puts something around it.

    It may be computed behind another root, which then stores each element at its ``place`` in the
    frame's result at once. ``surround`` emits the nests that fill the rest. ``fits``: whether this
    operation, a pad that cuts nothing off, say, is so simple.
    """

    fits: Callable[[OnnxOp], bool]
    place: Forward
    surround: Root


Chain: TypeAlias = "Callable[..., None]"
"""(kernel, the operations of the roots in order): emits one nest for all of them."""

POINTWISE: dict[tuple[str, str], Pointwise] = {}
MAPS: dict[tuple[str, str], MapRule] = {}
ROOTS: dict[tuple[str, str], RootRule] = {}
FRAMES: dict[tuple[str, str], FrameRule] = {}
HOST: dict[tuple[str, str], Any] = {}
CHAINS: dict[tuple[str, ...], Chain] = {}

DECOMPOSED = frozenset(("", name) for name in ("RNN", "GRU", "LSTM", "Unique", "NonMaxSuppression"))
"""Operators that `onnx-decompose-rnn` and `onnx-result-sizes` take apart before lowering."""


def _register(table: dict, names: Sequence[str], rule: Any, domain: str) -> None:
    for name in names:
        if any((domain, name) in other for other in (POINTWISE, MAPS, ROOTS, HOST)):
            raise InternalError(f"two lowerings for {domain or 'ai.onnx'}.{name}")
        table[domain, name] = rule


def pointwise(*names: str, domain: str = "") -> Callable[[Pointwise], Pointwise]:
    """Registers a pointwise rule."""

    def decorate(rule: Pointwise) -> Pointwise:
        _register(POINTWISE, names, rule, domain)
        return rule

    return decorate


def index_map(
    *names: str, forward: Forward | None = None, domain: str = ""
) -> Callable[[IndexMap], IndexMap]:
    """Registers an index map."""

    def decorate(rule: IndexMap) -> IndexMap:
        _register(MAPS, names, MapRule(rule, forward), domain)
        return rule

    return decorate


def root(
    *names: str,
    fuses: str = "all",
    operands: tuple[int, ...] | None = None,
    epilogue: bool = True,
    domain: str = "",
) -> Callable[[Root], Root]:
    """Registers a root."""

    def decorate(rule: Root) -> Root:
        _register(ROOTS, names, RootRule(rule, fuses, operands, epilogue), domain)
        return rule

    return decorate


def chain(*names: str) -> Callable[[Chain], Chain]:
    """Registers a rule for a dispatch of several roots, each the only user of the one before."""

    def decorate(rule: Chain) -> Chain:
        CHAINS[names] = rule
        return rule

    return decorate


def host(*names: str, domain: str = "") -> Callable[[Any], Any]:
    """Registers an operator of the host program."""

    def decorate(rule: Any) -> Any:
        _register(HOST, names, rule, domain)
        return rule

    return decorate


def key_of(op: Operation) -> tuple[str, str] | None:
    """The (domain, operator) that rules are registered under; None for other operations."""
    if isinstance(op, Custom):
        return op.domain.data, op.op_type.data
    return (op.DOMAIN, op.OP_TYPE) if isinstance(op, OnnxOp) else None


def is_lowered(domain: str, op_type: str) -> bool:
    """Whether an operator has a lowering."""
    key = (domain, op_type)
    tables = (POINTWISE, MAPS, ROOTS, HOST, DECOMPOSED)
    return any(key in table for table in tables)
