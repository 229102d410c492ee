"""The state of lowering one function, and the table of rules that drive it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from xdsl.dialects.builtin import FileLineColLoc, LocationAttr, MemRefType, NameLoc
from xdsl.ir import Block, Operation, Region, SSAValue

from passes.lower.affine_to_llvm.index import Index, IndexBuilder
from runtime.errors import InternalError, Place

if TYPE_CHECKING:
    from passes.lower.affine_to_llvm.module import ModuleLowering


@dataclass(frozen=True)
class MemRef:
    """A buffer: the address of its first element, and what indexing it needs.

    `sizes` and `strides` (in elements) have one entry per dimension; `written` tells whether the
    function may store to it.
    """

    type: MemRefType
    ptr: SSAValue
    sizes: tuple[Index, ...]
    strides: tuple[Index, ...]


class FunctionLowering:
    """Lowers the body of one function, operation by operation, into `region`.

    `values` maps every old SSA value but memrefs to its new value, `memrefs` the memrefs. `name` is
    the new function's, `context` the run's context pointer if the function gets it, `loops` and
    `sums` count the loops that are finished, and those of them that carry one number a few times.
    """

    def __init__(self, module: ModuleLowering, name: str, entry: Block) -> None:
        self.module = module
        self.name = name
        self.region = Region(entry)
        self.builder = IndexBuilder(self.region, entry)
        self.values: dict[SSAValue, SSAValue] = {}
        self.memrefs: dict[SSAValue, MemRef] = {}
        self.context: SSAValue | None = None
        self.loops = 0
        self.sums = 0

    def lower_ops(self, block: Block) -> None:
        """Lowers every operation of a block but its terminator."""
        last = block.last_op
        builder = self.builder
        for op in block.ops:
            if op is not last:
                builder.location = op.location
                rule_for(op)(self, op)

    def lower_body(self, block: Block) -> list[SSAValue]:
        """Lowers a nested block in a scope of its own; gives what its terminator yields."""
        location = self.builder.location
        self.builder.open_scope()
        self.lower_ops(block)
        terminator = block.last_op
        assert terminator is not None
        results = [self.values[operand] for operand in terminator.operands]
        self.builder.close_scope()
        # What follows belongs to the operation around the block again.
        self.builder.location = location
        return results

    def operands(self, op: Operation) -> list[SSAValue]:
        """The new values of an operation's operands, none of them a memref."""
        values = self.values
        return [values[operand] for operand in op.operands]

    def indices(self, operands: Sequence[SSAValue]) -> list[Index]:
        """Index operands, as numbers where they are constants."""
        known = self.builder.known
        values = [self.values[operand] for operand in operands]
        return [known.get(value, value) for value in values]

    def set_index(self, result: SSAValue, index: Index) -> None:
        """Gives an index result its value."""
        self.values[result] = self.builder.index(index)


Rule = Callable[[FunctionLowering, Operation], None]
_RULES: dict[str, Rule] = {}

_RuleT = TypeVar("_RuleT", bound=Callable[..., None])


def rule(*kinds: type[Operation]) -> Callable[[_RuleT], _RuleT]:
    """Registers the decorated function as the lowering of these operations.

    Rules go by the operation's name, so that an operation class that replaces xDSL's shares them.
    """

    def register(function: _RuleT) -> _RuleT:
        for kind in kinds:
            if kind.name in _RULES:
                raise ValueError(f"{kind.name} has two rules")
            _RULES[kind.name] = function
        return function

    return register


def rule_for(op: Operation) -> Rule:
    """The rule for an operation. Raises InternalError where there is none.

    Instructions of the llvm dialect may stand in a kernel, for what no other dialect can say.
    """
    found = _RULES.get(op.name)
    if found is not None:
        return found
    if op.name.startswith("llvm.") and not op.regions and not op.successors:
        return _keep
    raise InternalError(f"{op.name} cannot be lowered to llvm", place_of(op))


def _keep(low: FunctionLowering, op: Operation) -> None:
    kept = low.builder.emit(type(op), low.operands(op), op.result_types, op.properties)
    kept.attributes |= op.attributes
    low.values.update(zip(op.results, kept.results, strict=True))


def place_of(op: Operation) -> Place:
    """Where an operation stems from, read off its location."""
    return Place(node=_node_name(op.location), stage="affine")


def _node_name(location: LocationAttr) -> str:
    if isinstance(location, NameLoc):
        return location.desc.data
    if isinstance(location, FileLineColLoc):
        return f"{location.filename.data}:{location.line.data}"
    return ""
