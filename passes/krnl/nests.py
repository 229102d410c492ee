"""What schedules ask of a loop nest: sizes, work, panels, and which loops may run as vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from xdsl.dialects.builtin import DYNAMIC_INDEX, IndexType
from xdsl.ir import BlockArgument, Operation, SSAValue
from xdsl.ir.affine import AffineBinaryOpExpr, AffineBinaryOpKind, AffineConstantExpr, AffineDimExpr

from dialects import krnl
from passes.lower.krnl_to_affine.access import WIDEST_STRIDE

ASSUMED_EXTENT = 64
"""Iterations counted for a loop of unknown length."""


def stored_axis(nest: krnl.IterateOp) -> int:
    """The loop over neighbours of what is stored; the innermost where there is no single one."""
    found: set[SSAValue] = set()
    for op in nest.body.block.ops:
        if isinstance(op, krnl.StoreOp):
            lasts = op.map.data.results[-1:]
            found.update(v for n, v in enumerate(op.indices) if any(_is_unit(x, n) for x in lasts))
    axes = [axis for axis, value in enumerate(nest.induction_variables) if value in found]
    return axes[0] if len(axes) == len(found) == 1 else len(nest.loops) - 1


def transposed_row(nest: krnl.IterateOp, column: int) -> int | None:
    """The loop over neighbours of an operand that loop ``column`` goes through in strides."""
    body = nest.body.block
    if any(op.regions for op in body.ops) or len(nest.loops) < 2:
        return None
    variables: list[SSAValue] = list(nest.induction_variables)
    innermost = variables[column]
    for op in body.ops:
        if not isinstance(op, krnl.LoadOp) or innermost not in op.indices:
            continue
        *leading, last = op.map.data.results
        if not any(_uses(result, list(op.indices).index(innermost)) for result in leading):
            continue
        for place, value in enumerate(op.indices):
            if value in variables and value is not innermost and _is_unit(last, place):
                return variables.index(value)
    return None


def finds_places(nest: krnl.IterateOp) -> bool:
    """Whether places along the innermost loop come of more than index expressions.

    That is, of comparisons or of data.
    """
    varied: set[SSAValue] = {nest.induction_variables[-1]}
    for op in nest.body.walk():
        _spread(op, varied)
        if not isinstance(op, krnl.IndexOp) and any(
            isinstance(result.type, IndexType) and result in varied for result in op.results
        ):
            return True
    return False


def row_pitch(nest: krnl.IterateOp, row: int, column: int) -> int:
    """Bytes from one row of a product's left-hand side to the next; 0 where that is not known."""
    variable, other = nest.induction_variables[row], nest.induction_variables[column]
    for op in nest.body.walk():
        if not isinstance(op, krnl.LoadOp) or variable not in op.indices or other in op.indices:
            continue
        shape = op.memref.type.get_shape()  # type: ignore[union-attr]
        if DYNAMIC_INDEX in shape[1:]:
            return 0
        places = [
            op.map.data.eval([int(index is variable) * at for index in op.indices], [])
            for at in (0, 1)
        ]
        first, second = (
            sum(index * prod(shape[axis + 1 :]) for axis, index in enumerate(place))
            for place in places
        )
        return (second - first) * element_bits(op) // 8
    return 0


def static(bounds: tuple[int | SSAValue, int | SSAValue]) -> int | None:
    """How many iterations a loop has, if that is known as a number."""
    lower, upper = bounds
    return upper - lower if isinstance(lower, int) and isinstance(upper, int) else None


def element_bits(op: Operation) -> int:
    """Width of the elements that an operation loads or stores; 0 for another one."""
    if not isinstance(op, krnl.LoadOp | krnl.StoreOp):
        return 0
    return getattr(op.memref.type.element_type, "bitwidth", 32)  # type: ignore[union-attr]


def value_bits(op: Operation) -> int:
    """Width of the widest number that an operation computes; 0 where it gives none."""
    return max((getattr(result.type, "bitwidth", 0) for result in op.results), default=0)


def work_of(nest: krnl.IterateOp) -> int:
    """Scalar operations of a nest, loops of unknown length counted as ASSUMED_EXTENT."""
    total = 0
    for op in nest.body.block.ops:
        if isinstance(op, krnl.IterateOp):
            total += work_of(op)
        elif op.regions:
            total += sum(1 for _ in op.walk())
        elif not isinstance(op, krnl.YieldOp | krnl.DefineLoopsOp):
            total += 20 if op.name.startswith("math.") else 1
    extents = [static(bounds) for bounds in nest.extents]
    return total * prod(ASSUMED_EXTENT if n is None else n for n in extents)


def has_pairs(nest: krnl.IterateOp, axis: int) -> bool:
    """Whether columns are those of several rows side by side, so that an operand repeats."""
    extent, variable = static(nest.extents[axis]), nest.induction_variables[axis]
    if extent is None or panel_of(nest, axis) != extent:
        return False
    return any(
        is_grouped(result, place)
        for op, place in loads_along(nest, variable)
        for result in op.map.data.results
    )


def loads_along(nest: krnl.IterateOp, variable: SSAValue) -> Iterator[tuple[krnl.LoadOp, int]]:
    """Loads inside of a nest whose indices depend on a variable; which of the operands it is."""
    for op in nest.body.walk():
        if isinstance(op, krnl.LoadOp) and variable in op.indices:
            yield op, list(op.indices).index(variable)


def panel_of(nest: krnl.IterateOp, axis: int) -> int | None:
    """Width of the panels in which an operand is packed along a loop.

    All of the loop where its iterations are columns of several rows side by side: one tile.
    """
    variable = nest.induction_variables[axis]
    for op, place in loads_along(nest, variable):
        shape = op.memref.type.get_shape()  # type: ignore[union-attr]
        for result in op.map.data.results if len(shape) > 1 else ():
            match result:
                case AffineBinaryOpExpr(
                    kind=AffineBinaryOpKind.Mod,
                    lhs=AffineDimExpr(position=position),
                    rhs=AffineConstantExpr(value=width),
                ) if position == place:
                    return width if width == shape[-1] else static(nest.extents[axis])
        if len(shape) > 2 and op.map.data.results[-1] == AffineDimExpr(place) and _is_packed(op):
            return shape[-1]
    return None


def _is_packed(op: krnl.LoadOp) -> bool:
    """Whether a load reads the only panel of a packed operand: its number is simply 0."""
    return op.map.data.results[0] == AffineConstantExpr(0)


def is_vectorizable(nest: krnl.IterateOp, axis: int | None = None, any_store: bool = False) -> bool:
    """Whether a loop (the innermost) reads and writes neighbours around a nested reduction.

    With ``any_store`` results may go anywhere: they are then stored element by element.
    """
    body = nest.body.block
    if axis is None:
        if not any(isinstance(op, krnl.IterateOp) for op in body.ops):
            return False
        axis = len(nest.loops) - 1
    extent = static(nest.extents[axis])
    if extent == 1:
        return False
    variable = nest.induction_variables[axis]
    seen: set[SSAValue] = {variable}
    varied: set[SSAValue] = {variable}
    for op in body.walk():
        if isinstance(op, krnl.LoadOp | krnl.StoreOp):
            computed = seen & set(op.indices) - {variable}
            if any_store and isinstance(op, krnl.StoreOp) and not computed:
                continue
            known = extent is not None
            is_row = (
                known and nest.contraction is not None and not computed and _is_row(op, variable)
            )
            if not is_row and not _is_near(op, variable, seen - {variable}, known):
                return False
        elif isinstance(op, krnl.IndexOp):
            if seen & set(op.operands):
                seen.update(op.results)
        elif seen & set(op.operands) and (op.regions or op.name.startswith(("arith.cmpi", "scf"))):
            return False
        elif seen & set(op.operands):
            seen.update(r for r in op.results if r.type == variable.type)
        if isinstance(op, krnl.LoadOp) and seen & set(op.indices) and _is_index_data(op):
            return False
        if varied & set(op.operands) and _decides(op, variable):
            return False
        _spread(op, varied)
    return True


def _decides(op: Operation, variable: BlockArgument) -> bool:
    """Whether an operation makes control flow or an index of data."""
    if isinstance(op, krnl.IndexOp):
        return False
    makes_index = any(result.type == variable.type for result in op.results)
    return op.name == "scf.if" or (makes_index and op.operands[0].type != variable.type)


def _spread(op: Operation, varied: set[SSAValue]) -> None:
    """Adds what differs from lane to lane because an operand does; carried values count as such."""
    if isinstance(op, krnl.IterateOp):
        varied.update(op.body.block.args[len(op.loops) :], op.results)
    elif op.regions or varied & set(op.operands):
        varied.update(op.results)


def _is_index_data(op: krnl.LoadOp) -> bool:
    """Whether a loaded value goes on to address memory."""
    return any(use.operation.name == "arith.index_cast" for use in op.result.uses)


def _is_near(
    op: krnl.LoadOp | krnl.StoreOp,
    variable: BlockArgument,
    derived: set[SSAValue],
    any_stride: bool,
) -> bool:
    """Whether the elements of a vector are neighbours, or loaded from not far apart."""
    if any(value in derived for value in op.indices):
        return False
    if variable not in op.indices:
        return isinstance(op, krnl.LoadOp)
    place = list(op.indices).index(variable)
    *leading, last = op.map.data.results
    shape = op.memref.type.get_shape()  # type: ignore[union-attr]
    for number, result in enumerate(leading):
        if _uses(result, place) and not _is_panel_number(result, place, shape, number):
            return False
    if not any_stride or isinstance(op, krnl.StoreOp):
        return _is_unit(last, place)
    return any(rule(last, place) for rule in (_is_unit, _is_strided, is_grouped))


def _is_row(op: krnl.LoadOp | krnl.StoreOp, variable: BlockArgument) -> bool:
    """Whether all elements of a row's columns are one: `row * 2 + variable floordiv columns`."""
    if not isinstance(op, krnl.LoadOp) or variable not in op.indices:
        return False
    place = list(op.indices).index(variable)
    uses = [result for result in op.map.data.results if _uses(result, place)]
    return len(uses) == 1 and is_grouped(uses[0], place)


def _uses(expression: object, place: int) -> bool:
    if isinstance(expression, AffineBinaryOpExpr):
        return _uses(expression.lhs, place) or _uses(expression.rhs, place)
    return isinstance(expression, AffineDimExpr) and expression.position == place


def _is_panel_number(expression: object, place: int, shape: Sequence[int], number: int) -> bool:
    """`variable floordiv panel` plus what does not vary; the innermost size is a panel's width."""
    if not isinstance(expression, AffineBinaryOpExpr):
        return False
    if expression.kind is AffineBinaryOpKind.Add:
        used = [side for side in (expression.lhs, expression.rhs) if _uses(side, place)]
        return len(used) == 1 and _is_panel_number(used[0], place, shape, number)
    return (
        expression.kind is AffineBinaryOpKind.FloorDiv
        and expression.lhs == AffineDimExpr(place)
        and expression.rhs == AffineConstantExpr(shape[-1])
    )


def _is_strided(expression: object, place: int) -> bool:
    """Whether an index moves by a few elements with a loop: `v * 2 + ...`."""
    if not isinstance(expression, AffineBinaryOpExpr):
        return False
    if expression.kind is AffineBinaryOpKind.Add:
        used = [side for side in (expression.lhs, expression.rhs) if _uses(side, place)]
        return len(used) == 1 and _is_strided(used[0], place)
    factor = expression.rhs
    return (
        expression.kind is AffineBinaryOpKind.Mul
        and expression.lhs == AffineDimExpr(place)
        and isinstance(factor, AffineConstantExpr)
        and 1 < factor.value <= WIDEST_STRIDE
    )


def is_grouped(expression: object, place: int) -> bool:
    """Whether a few iterations read the same few neighbours: `v floordiv 4 * 4 + ...`, or fewer."""
    match expression:
        case AffineBinaryOpExpr(kind=AffineBinaryOpKind.FloorDiv, lhs=lhs):
            return lhs == AffineDimExpr(place)
        case AffineBinaryOpExpr(kind=AffineBinaryOpKind.Add, lhs=lhs, rhs=rhs):
            used = [side for side in (lhs, rhs) if _uses(side, place)]
            return len(used) == 1 and is_grouped(used[0], place)
        case AffineBinaryOpExpr(
            kind=AffineBinaryOpKind.Mul,
            lhs=AffineBinaryOpExpr(kind=AffineBinaryOpKind.FloorDiv, lhs=lhs, rhs=divisor),
            rhs=AffineConstantExpr(value=factor),
        ):
            few = isinstance(divisor, AffineConstantExpr) and factor <= divisor.value
            return lhs == AffineDimExpr(place) and few
    return False


def _is_unit(expression: object, place: int) -> bool:
    """Whether an index moves by one with a loop: `v`, `v + ...`, or `v mod panel`."""
    if isinstance(expression, AffineDimExpr):
        return expression.position == place
    if not isinstance(expression, AffineBinaryOpExpr):
        return False
    if expression.kind is AffineBinaryOpKind.Mod:
        return expression.lhs == AffineDimExpr(place)
    if expression.kind is AffineBinaryOpKind.Add:
        sides = (expression.lhs, expression.rhs)
        used = [side for side in sides if _uses(side, place)]
        return len(used) == 1 and _is_unit(used[0], place)
    return False
