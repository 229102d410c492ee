"""Where results of control flow go: what the rules share."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import MemRefType, StringAttr, UnitAttr
from xdsl.ir import Block, SSAValue

from dialects import hal
from dialects.hal import size_strings
from dialects.onnx.dims import Dim, Symbol, symbols_of
from dialects.onnx.locations import place_of
from dialects.onnx.ops import OnnxOp
from dialects.onnx.types import dims_of, is_none, is_tensor
from passes.lower.onnx_to_krnl.program import Place, ProgramBuilder
from runtime.errors import InternalError, UnsupportedError


def body_of(op: OnnxOp, name: str) -> Block:
    """The block of a subgraph attribute."""
    assert op.SCHEMA is not None
    graphs = sorted(n for n, a in op.SCHEMA.attributes.items() if a.type.name == "GRAPH")
    return op.regions[graphs.index(name)].block


def yielded(block: Block) -> Sequence[SSAValue]:
    """What a subgraph gives."""
    assert block.last_op is not None
    return list(block.last_op.operands)


def sizes(value: SSAValue) -> list[Dim]:
    """All sizes of a tensor."""
    dims = dims_of(value.type)
    assert dims is not None
    return list(dims)


def require_tensors(op: OnnxOp) -> None:
    """Raises UnsupportedError for results that are no tensors of known rank."""
    for result in op.results:
        if not is_none(result) and (not is_tensor(result.type) or dims_of(result.type) is None):
            raise UnsupportedError(
                f"{op.OP_TYPE} with a result of type {result.type}",
                place_of(op.location, "krnl"),
                "results must be tensors whose rank does not depend on the data",
            )


class Control:
    """What the rules share: places for results, and what regions do at their end."""

    def __init__(self, b: ProgramBuilder, op: OnnxOp) -> None:
        self.b = b
        self.op = op
        require_tensors(op)

    def unknown(self, value: SSAValue) -> bool:
        """Whether the sizes of a tensor are not known here."""
        return any(not symbols_of(dim) <= self.b.known for dim in sizes(value))

    def declare(self, value: SSAValue) -> SSAValue:
        """A buffer for a tensor that is allocated later."""
        kind, dims = self.b.memref_type(value)
        made = hal.AllocOp.create(
            properties={"dims": size_strings(dims), "later": UnitAttr()}, result_types=[kind]
        )
        self.b.add(made)
        made.result.name_hint = value.name_hint
        return made.result

    def place(self, value: SSAValue) -> Place:
        """The place of a result of this operation."""
        if not self.unknown(value):
            return Place(self.b.alloc(value), False)
        outer = self.b.places.get(value)
        shares = outer is not None and outer.later
        buffer = self.b.places.pop(value).buffer if shares else self.declare(value)
        kind, dims = self.b.memref_type(value)
        self.b.bind(value, self.as_type(buffer, kind, dims))
        return Place(buffer, True)

    def as_type(self, buffer: SSAValue, kind: MemRefType, dims: list[Dim]) -> SSAValue:
        """A buffer under another type and other sizes, if it has not these."""
        return self.b.as_type(buffer, kind, dims)

    def deliver(self, value: SSAValue, place: Place) -> None:
        """Brings a value to its place."""
        source = self.b.buffer(value)
        if place.later:
            self.b.add(hal.ReserveOp(place.buffer, sizes(value)))
        self.b.add(hal.CopyOp(source, place.buffer))

    def bind_sizes(self, pairs: Sequence[tuple[Sequence[Dim], Sequence[Dim]]]) -> None:
        """Gives the symbols on the left that have no value here those on the right, all at once."""
        bound: dict[str, Dim] = {}
        for names, values in pairs:
            for name, value in zip(names, values, strict=True):
                if name != value and not symbols_of(name) <= self.b.known:
                    bound[plain(name)] = value
        if bound:
            self.b.add(hal.BindOp(list(bound), list(bound.values())))

    def fresh(self, hint: str) -> str:
        """A symbol's name that this program has not used."""
        self.b.symbols_made += 1
        return f"{hint}__{self.b.symbols_made}"


def equal_check(lhs: Dim, rhs: Dim, op: OnnxOp) -> hal.CheckOp:
    """A check that a value has the same size in all iterations."""
    message = "iterations give sizes {0} and {1}, which must be equal"
    return hal.CheckOp.create(
        properties={
            "lhs": StringAttr(str(lhs)),
            "rhs": StringAttr(str(rhs)),
            "message": StringAttr(message),
        },
        location=op.location,
    )


def plain(dim: Dim) -> str:
    """The name of a size that is nothing but a symbol."""
    if not isinstance(dim, int) and len(dim.terms) == 1:
        ((monomial, coefficient),) = dim.terms
        if coefficient == 1 and len(monomial) == 1 and isinstance(monomial[0], Symbol):
            return monomial[0].name
    raise InternalError(f"control flow has to define the size '{dim}'")
