"""Appends `llvm` operations to the current block, folding and reusing integer arithmetic.

Integer arithmetic on i64 is remembered per scope: a scope is opened for every nested body, so a
value found in an outer scope dominates the place where it is asked for. Constants are gathered and
stand at the function's entry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xdsl.dialects.builtin import (
    UNKNOWN_LOC,
    IntegerAttr,
    LocationAttr,
    i32,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from dialects import llvm
from passes.lower.affine_to_llvm.constants import i32_array, integer_attr
from passes.lower.affine_to_llvm.types import PTR

Properties = Mapping[str, Attribute]
Index = int | SSAValue

NO_PROPERTIES: Properties = {}
NSW: Properties = {"overflowFlags": IntegerAttr(1, i32)}
NSW_NUW: Properties = {"overflowFlags": IntegerAttr(3, i32)}
NO_OVERFLOW_FLAGS: Properties = {"overflowFlags": IntegerAttr(0, i32)}

_DYNAMIC_INDEX = i32_array(llvm.GEP_USE_SSA_VAL)
FAST_NONE: Properties = {"fastmathFlags": llvm.NO_FAST_MATH}
"""The properties of a float operation without fast-math flags."""

PREDICATES: dict[str, Properties] = {
    flag.value: {"predicate": IntegerAttr(position, i64)}
    for position, flag in enumerate(llvm.ALL_ICMP_FLAGS)
}


def new_block(arg_types: Sequence[Attribute] = ()) -> Block:
    """A block that belongs to no function yet: `Builder.start` puts it in its place."""
    return Block(arg_types=arg_types)


class Builder:
    """Builds the body of one function.

    `block` is where operations go, `location` what they get as location. `known` gives the value of
    i64 constants, `ranges` the smallest and largest value that other i64 values may take.
    """

    def __init__(self, region: Region, entry: Block) -> None:
        self.region = region
        self.entry = entry
        self.block = entry
        self.location: LocationAttr = UNKNOWN_LOC
        self.known: dict[SSAValue, int] = {}
        self.ranges: dict[SSAValue, tuple[int, int]] = {}
        self._constants: dict[tuple[Attribute, Attribute], SSAValue] = {}
        self._prologue: list[Operation] = []
        self._scopes: list[dict[tuple[object, ...], SSAValue]] = [{}]
        self._number: dict[Block, int] = {}
        self._loop_starts: list[int] = []

    def emit(
        self,
        kind: type[Operation],
        operands: Sequence[SSAValue],
        result_types: Sequence[Attribute] = (),
        properties: Properties = NO_PROPERTIES,
    ) -> Operation:
        """Appends an operation to the current block."""
        op = kind.create(
            operands=operands,
            result_types=result_types,
            properties=properties,
            location=self.location,
        )
        self.block.add_op(op)
        return op

    def value(
        self,
        kind: type[Operation],
        operands: Sequence[SSAValue],
        result_type: Attribute,
        properties: Properties = NO_PROPERTIES,
    ) -> SSAValue:
        """Appends an operation and gives its only result."""
        return self.emit(kind, operands, (result_type,), properties).results[0]

    def start(self, block: Block) -> None:
        """Appends a block to the function and continues there."""
        self.region.add_block(block)
        self.block = block
        self._number[block] = len(self._number)

    def start_loop(self, block: Block) -> None:
        """Appends the first block of a loop and continues there. `end_loop` ends the loop."""
        self._loop_starts.append(len(self._number))
        self.start(block)

    def end_loop(self) -> None:
        """Ends the innermost loop: what is appended from now on does not belong to it."""
        self._loop_starts.pop()

    @property
    def is_nested(self) -> bool:
        """Whether the current block belongs to a loop inside of another one."""
        return len(self._loop_starts) > 1

    def is_invariant(self, value: SSAValue) -> bool:
        """Whether a value is computed outside of the innermost loop."""
        if not self._loop_starts:
            return True
        owner = value.owner
        block = owner if isinstance(owner, Block) else owner.parent
        return block is None or self._number.get(block, -1) < self._loop_starts[-1]

    def open_scope(self) -> None:
        """Starts a nested body: what is computed in it is forgotten at its end."""
        self._scopes.append({})

    def close_scope(self) -> None:
        """Ends the body that the last `open_scope` began."""
        self._scopes.pop()

    def recall(self, key: tuple[object, ...]) -> SSAValue | None:
        """What this scope or an outer one has computed under a key."""
        for scope in reversed(self._scopes):
            found = scope.get(key)
            if found is not None:
                return found
        return None

    def keep(self, key: tuple[object, ...], value: SSAValue) -> None:
        """Lets this scope and its inner ones find a value again."""
        self._scopes[-1][key] = value

    def finish(self) -> None:
        """Puts the gathered constants at the function's entry. Call once, at the end."""
        first = self.entry.first_op
        if first is None:
            self.entry.add_ops(self._prologue)
        else:
            self.entry.insert_ops_before(self._prologue, first)

    def constant(self, value: Attribute, kind: Attribute) -> SSAValue:
        """A constant; equal ones are the same value."""
        key = (value, kind)
        found = self._constants.get(key)
        if found is None:
            op = llvm.ConstantOp.create(result_types=(kind,), properties={"value": value})
            self._prologue.append(op)
            found = self._constants[key] = op.results[0]
        return found

    def prologue(self, op: Operation) -> SSAValue:
        """Adds an operation without operands but constants to the function's entry."""
        self._prologue.append(op)
        return op.results[0]

    def integer(self, value: int, kind: Attribute = i64) -> SSAValue:
        """An integer constant, or a vector with that value in every lane."""
        result = self.constant(integer_attr(value, kind), kind)
        if kind is i64 and result not in self.known:
            self.known[result] = value
            self.ranges[result] = (value, value)
        return result

    def address(
        self, base: SSAValue, offset: Index, kind: Attribute, flags: IntegerAttr = llvm.INBOUNDS
    ) -> SSAValue:
        """The address of element `offset` of a buffer of `kind`."""
        if offset == 0:
            return base
        if isinstance(offset, int) and -(1 << 31) < offset < (1 << 31):
            operands, indices = (base,), i32_array(offset)
        else:
            operands, indices = (base, self.index(offset)), _DYNAMIC_INDEX
        properties = {
            "rawConstantIndices": indices,
            "elem_type": kind,
            "noWrapFlags": flags,
        }
        return self.value(llvm.GEPOp, operands, PTR, properties)

    def branch(self, target: Block, arguments: Sequence[SSAValue] = ()) -> None:
        """Ends the current block; `start` another one next."""
        self.block.add_op(
            llvm.BrOp.create(operands=arguments, successors=(target,), location=self.location)
        )

    def branch_if(
        self,
        condition: SSAValue,
        then: tuple[Block, Sequence[SSAValue]],
        otherwise: tuple[Block, Sequence[SSAValue]],
        properties: Properties = NO_PROPERTIES,
    ) -> None:
        """Ends the current block with a choice between two targets with arguments."""
        segments = {"operandSegmentSizes": i32_array(1, len(then[1]), len(otherwise[1]))}
        self.block.add_op(
            llvm.CondBrOp.create(
                operands=(condition, *then[1], *otherwise[1]),
                successors=(then[0], otherwise[0]),
                properties=segments | dict(properties),
                location=self.location,
            )
        )

    def index(self, value: Index) -> SSAValue:
        """An index as an SSA value."""
        return self.integer(value) if isinstance(value, int) else value
