"""What affine loads and stores reach, and the loops around them, from the inside out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from xdsl.dialects import func
from xdsl.ir import Block, Operation, SSAValue
from xdsl.ir.affine import AffineConstantExpr, AffineDimExpr, AffineExpr, AffineSymExpr

from dialects import affine

VectorAccess = affine.VectorLoadOp | affine.VectorStoreOp
Access = VectorAccess | affine.LoadOp


@dataclass(frozen=True)
class Loop:
    """A loop over constant bounds: variable, first value, step and number of iterations."""

    variable: SSAValue
    first: int
    step: int
    trips: int
    is_sum: bool

    def number(self, dim: int) -> AffineExpr:
        """Which iteration it is, ``dim`` being the position of the variable."""
        variable = AffineDimExpr(dim)
        from_zero = variable - self.first if self.first else variable
        return from_zero // self.step if self.step > 1 else from_zero


def loops_around(loop: affine.ForOp) -> Iterator[Loop]:
    """A loop and those around it, from the inside out, up to the first one of unknown bounds."""
    op: Operation | None = loop
    while op is not None and not isinstance(op, func.FuncOp):
        if isinstance(op, affine.ForOp):
            bounds = [bound.data.results for bound in (op.lowerBoundMap, op.upperBoundMap)]
            if not all(len(b) == 1 and isinstance(b[0], AffineConstantExpr) for b in bounds):
                return
            ((first,), (end,)) = bounds
            assert isinstance(first, AffineConstantExpr) and isinstance(end, AffineConstantExpr)
            step = op.step.value.data
            trips = -(-(end.value - first.value) // step)
            yield Loop(op.body.block.args[0], first.value, step, trips, bool(op.inits))
        elif isinstance(op, affine.ParallelOp):
            yield from _dimensions(op)
        elif op.name.startswith("scf.for"):
            return
        op = op.parent_op()


def _dimensions(op: affine.ParallelOp) -> Iterator[Loop]:
    """The loops of an `affine.parallel`, from the inside out; a thread runs a part of them."""
    rows = zip(op.body.block.args, op.lower_bounds, op.upper_bounds, op.steps, strict=True)
    for variable, lower, upper, step in reversed(list(rows)):
        match lower, upper:
            case [AffineConstantExpr(value=first)], [AffineConstantExpr(value=end)]:
                size = step.value.data  # type: ignore[union-attr]
                yield Loop(variable, first, size, -(-(end - first) // size), False)
            case _:
                return


def variables_around(op: Operation) -> set[SSAValue]:
    """The variables of the loops around an operation."""
    loop = op.parent_op()
    assert isinstance(loop, affine.ForOp)
    return {around.variable for around in loops_around(loop)}


def lone_variables(access: Access | affine.StoreOp) -> list[SSAValue | None]:
    """The values that stand alone as indices, axis by axis."""
    map = access.map.data
    values: list[SSAValue | None] = []
    for result in map.results:
        match result:
            case AffineDimExpr(position=place):
                values.append(access.indices[place])
            case AffineSymExpr(position=place):
                values.append(access.indices[map.num_dims + place])
            case _:
                values.append(None)
    return values


def is_variable(index: SSAValue) -> bool:
    """Whether an index is a loop's variable, and not computed at a place inside of some loop."""
    return isinstance(index.owner, Block)


def indices_at(access: Access, operands: Sequence[AffineExpr]) -> list[AffineExpr]:
    """The indices of a load or store, its operands given as expressions."""
    map = access.map.data
    dims, symbols = operands[: map.num_dims], operands[map.num_dims :]
    return [result.replace_dims_and_symbols(dims, symbols) for result in map.results]


def element_at(access: Access, known: Mapping[SSAValue, int]) -> int:
    """Which element of its buffer is loaded, values that are not known being 0."""
    map, values = access.map.data, [known.get(value, 0) for value in access.indices]
    indices = map.eval(values[: map.num_dims], values[map.num_dims :])
    element = 0
    for index, size in zip(indices, access.memref.type.get_shape(), strict=True):  # type: ignore[union-attr]
        element = element * size + index
    return element


def bytes_of(buffer: SSAValue) -> int:
    """Bytes of an element of a buffer."""
    element = buffer.type.get_element_type()  # type: ignore[union-attr]
    return -(-element.bitwidth // 8)
