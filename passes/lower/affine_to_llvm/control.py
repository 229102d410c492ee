"""Loops, conditionals, calls and affine index operations.

Loops come out rotated: a guard if the loop may be empty, then one block that is body and latch, its
arguments being the induction variable and what is carried. Loops known to run once are not loops.

Attributes of `affine.for` and `scf.for` that reach LLVM as loop metadata:

* `vectorize_disable`, `unroll_disable`: unit attributes,
* `vectorize_width`, `interleave_count`, `unroll_count`: integers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.dialects import scf
from xdsl.dialects.builtin import (
    AnyFloat,
    DenseIntOrFPElementsAttr,
    IntegerAttr,
    VectorType,
    i1,
    i32,
    i64,
)
from xdsl.ir import Attribute, Operation, Region, SSAValue
from xdsl.ir.affine import AffineConstraintKind

from dialects import affine, llvm
from passes.lower.affine_to_llvm.builder import (
    NO_PROPERTIES,
    NSW,
    NSW_NUW,
    Properties,
    new_block,
)
from passes.lower.affine_to_llvm.constants import i32_array
from passes.lower.affine_to_llvm.function import FunctionLowering, rule
from passes.lower.affine_to_llvm.index import Index
from passes.lower.affine_to_llvm.outline import outline
from passes.lower.affine_to_llvm.types import llvm_type

Body = Callable[[Index, list[SSAValue]], list[SSAValue]]
"""Emits a loop's body for an induction variable and carried values; gives the next ones."""

_TRUE = IntegerAttr(1, i1)
_UNROLLED_TRIPS = 8
"""How often a loop around loops may run and still be unrolled: taps of a window, not rows."""

_SUM_TRIPS = range(8, 100)
"""Trips of a reduction that LLVM unrolls, and from which on its terms are worth vectors."""

_PREDICATES = {
    AffineConstraintKind.eq: "eq",
    AffineConstraintKind.ge: "sge",
    AffineConstraintKind.le: "sle",
}
_LOOP_OPTIONS = {
    "vectorize_disable": ("vectorize", "disable"),
    "vectorize_width": ("vectorize", "width"),
    "interleave_count": ("interleave", "count"),
    "unroll_disable": ("unroll", "disable"),
    "unroll_count": ("unroll", "count"),
}
_LOOP_GROUPS = {
    "vectorize": llvm.LoopVectorizeAttr,
    "interleave": llvm.LoopInterleaveAttr,
    "unroll": llvm.LoopUnrollAttr,
}


def loop_annotation(op: Operation) -> Properties:
    """The annotation for a loop's latch that the loop's attributes ask for."""
    if not op.attributes:
        return NO_PROPERTIES
    groups: dict[str, dict[str, Attribute]] = {}
    for name, (group, key) in _LOOP_OPTIONS.items():
        option = op.attributes.get(name)
        if option is not None:
            number = isinstance(option, IntegerAttr)
            value = IntegerAttr(option.value.data, i32) if number else _TRUE
            groups.setdefault(group, {})[key] = value
    if not groups:
        return NO_PROPERTIES
    options = {name: _LOOP_GROUPS[name].of(keys) for name, keys in groups.items()}
    return {"loop_annotation": llvm.LoopAnnotationAttr.of(options)}


_NOT_UNROLLED: Properties = {
    "loop_annotation": llvm.LoopAnnotationAttr.of(
        {"unroll": llvm.LoopUnrollAttr.of({"disable": _TRUE})}
    )
}
_AROUND_SUMS: Properties = {
    "loop_annotation": llvm.LoopAnnotationAttr.of(
        {
            "vectorize": llvm.LoopVectorizeAttr.of({"disable": _TRUE}),
            "unroll": llvm.LoopUnrollAttr.of({"disable": _TRUE}),
        }
    )
}


def counted_loop(
    low: FunctionLowering,
    bounds: tuple[Index, Index, Index],
    inits: Sequence[SSAValue],
    body: Body,
    annotation: Properties = NO_PROPERTIES,
) -> list[SSAValue]:
    """Emits `for iv in range(lower, upper, step)`, step > 0; gives the carried values' last.

    LLVM is not to unroll loops around loops: once it has made a call of the inner one, or a few
    vectors, it would unroll each level around that anew, to code that is no faster. Nor is it to
    make vectors of a loop around nothing but a reduction that it unrolls: it would gather their
    elements one by one, where the unrolled reduction gives vectors of neighbours.
    """
    builder = low.builder
    lower, upper, step = bounds
    low_end, high_end = builder.range_of(lower)[0], builder.range_of(upper)[1] - 1
    is_short = is_sum = False
    if high_end < low_end:
        return list(inits)
    if isinstance(lower, int) and isinstance(upper, int) and isinstance(step, int):
        if lower + step >= upper:
            return body(lower, list(inits))
        high_end = lower + (upper - 1 - lower) // step * step
        is_short = high_end < lower + _UNROLLED_TRIPS * step
        is_sum = (high_end - lower) // step + 1 in _SUM_TRIPS and _is_number(inits)
    types = [init.type for init in inits]
    loop, exit_block = new_block([i64, *types]), new_block(types)
    start = [builder.index(lower), *inits]
    if builder.range_of(lower)[1] < builder.range_of(upper)[0]:
        builder.branch(loop, start)
    else:
        guard = builder.compare("slt", lower, upper)
        builder.branch_if(guard, (loop, start), (exit_block, inits))
    builder.start_loop(loop)
    iv, *carried = loop.args
    builder.limit(iv, (low_end, high_end))
    builder.open_scope()
    loops, sums = low.loops, low.sums
    results = body(iv, list(carried))
    if low.loops > loops and annotation is NO_PROPERTIES and not is_short:
        only_sums = low.sums - sums == low.loops - loops
        annotation = _AROUND_SUMS if only_sums else _NOT_UNROLLED
    low.sums += is_sum and low.loops == loops
    low.loops += 1
    flags = NSW_NUW if low_end >= 0 else NSW
    following = builder.value(llvm.AddOp, (iv, builder.index(step)), i64, flags)
    again = builder.compare("slt", following, upper)
    builder.branch_if(again, (loop, [following, *results]), (exit_block, results), annotation)
    builder.close_scope()
    builder.end_loop()
    builder.start(exit_block)
    return list(exit_block.args)


def _is_number(carried: Sequence[SSAValue]) -> bool:
    """Whether a loop carries one floating-point number, as sums and maxima do."""
    return len(carried) == 1 and isinstance(carried[0].type, AnyFloat)


@rule(affine.ForOp)
def lower_affine_for(low: FunctionLowering, op: affine.ForOp) -> None:
    if affine.OUTLINE in op.attributes:
        outline(low, op, _lower_affine_for)
    else:
        _lower_affine_for(low, op)


def _lower_affine_for(low: FunctionLowering, op: affine.ForOp) -> None:
    builder = low.builder
    lowers = builder.affine_results(op.lowerBoundMap.data, low.indices(op.lowerBoundOperands))
    uppers = builder.affine_results(op.upperBoundMap.data, low.indices(op.upperBoundOperands))
    bounds = (builder.greatest(lowers), builder.smallest(uppers), op.step.value.data)
    _lower_for(low, op, bounds, op.inits)


@rule(scf.ForOp)
def lower_scf_for(low: FunctionLowering, op: scf.ForOp) -> None:
    lower, upper, step = low.indices([op.lb, op.ub, op.step])
    _lower_for(low, op, (lower, upper, step), op.iter_args)


def _lower_for(
    low: FunctionLowering,
    op: affine.ForOp | scf.ForOp,
    bounds: tuple[Index, Index, Index],
    inits: Sequence[SSAValue],
) -> None:
    block = op.body.block

    def body(iv: Index, carried: list[SSAValue]) -> list[SSAValue]:
        low.set_index(block.args[0], iv)
        low.values.update(zip(block.args[1:], carried, strict=True))
        return low.lower_body(block)

    starts = [low.values[init] for init in inits]
    results = counted_loop(low, bounds, starts, body, loop_annotation(op))
    low.values.update(zip(op.results, results, strict=True))


@rule(scf.WhileOp)
def lower_while(low: FunctionLowering, op: scf.WhileOp) -> None:
    """Before-region, then either the after-region and back, or out."""
    builder = low.builder
    before, after = op.before_region.block, op.after_region.block
    inits = [low.values[argument] for argument in op.arguments]
    header = new_block([init.type for init in inits])
    passed = [llvm_type(kind) for kind in after.arg_types]
    body, exit_block = new_block(passed), new_block(passed)
    builder.branch(header, inits)
    builder.start(header)
    low.values.update(zip(before.args, header.args, strict=True))
    builder.open_scope()
    condition, *forwarded = low.lower_body(before)
    builder.branch_if(condition, (body, forwarded), (exit_block, forwarded))
    builder.start(body)
    low.values.update(zip(after.args, body.args, strict=True))
    builder.branch(header, low.lower_body(after))
    builder.close_scope()
    builder.start(exit_block)
    low.values.update(zip(op.results, exit_block.args, strict=True))


@rule(scf.IfOp)
def lower_scf_if(low: FunctionLowering, op: scf.IfOp) -> None:
    _lower_if(low, op, low.values[op.cond], (op.true_region, op.false_region))


@rule(affine.IfOp)
def lower_affine_if(low: FunctionLowering, op: affine.IfOp) -> None:
    """All constraints of the set must hold."""
    builder = low.builder
    integer_set = op.condition.data
    operands = low.indices(op.args)
    condition: SSAValue | None = None
    for constraint in integer_set.constraints:
        sides = (constraint.lhs, constraint.rhs)
        lhs, rhs = (builder.linear(side, operands, integer_set.num_dims) for side in sides)
        difference = builder.emit_linear(lhs + rhs.scaled(-1))
        holds = builder.compare(_PREDICATES[constraint.kind], difference, 0)
        if condition is not None:
            holds = builder.value(llvm.AndOp, (condition, holds), i1)
        condition = holds
    true = builder.constant(_TRUE, i1)
    regions = (op.then_region, op.else_region)
    _lower_if(low, op, true if condition is None else condition, regions)


def _lower_if(
    low: FunctionLowering, op: Operation, condition: SSAValue, regions: tuple[Region, Region]
) -> None:
    builder = low.builder
    join = new_block([llvm_type(result.type) for result in op.results])
    blocks = [new_block() if region.blocks else join for region in regions]
    builder.branch_if(condition, (blocks[0], ()), (blocks[1], ()))
    for block, region in zip(blocks, regions, strict=True):
        if region.blocks:
            builder.start(block)
            builder.branch(join, low.lower_body(region.block))
    builder.start(join)
    low.values.update(zip(op.results, join.args, strict=True))


@rule(scf.IndexSwitchOp)
def lower_index_switch(low: FunctionLowering, op: scf.IndexSwitchOp) -> None:
    builder = low.builder
    cases = list(op.cases.iter_values())
    join = new_block([llvm_type(result.type) for result in op.results])
    regions = [op.default_region, *op.case_regions]
    blocks = [new_block() for _ in regions]
    properties: dict[str, Attribute] = {
        "operandSegmentSizes": i32_array(1, 0, 0),
        "case_operand_segments": i32_array(*[0] * len(cases)),
    }
    if cases:
        kind = VectorType(i64, [len(cases)])
        properties["case_values"] = DenseIntOrFPElementsAttr.from_list(kind, cases)
    builder.block.add_op(
        llvm.SwitchOp.create(
            operands=(low.values[op.arg],),
            properties=properties,
            successors=blocks,
            location=builder.location,
        )
    )
    for block, region in zip(blocks, regions, strict=True):
        builder.start(block)
        builder.branch(join, low.lower_body(region.block))
    builder.start(join)
    low.values.update(zip(op.results, join.args, strict=True))


@rule(affine.ApplyOp)
def lower_apply(low: FunctionLowering, op: affine.ApplyOp) -> None:
    (result,) = low.builder.affine_results(op.map.data, low.indices(op.mapOperands))
    low.set_index(op.result, result)


@rule(affine.MinOp)
def lower_min(low: FunctionLowering, op: affine.MinOp) -> None:
    results = low.builder.affine_results(op.map.data, low.indices(op.arguments))
    low.set_index(op.result, low.builder.smallest(results))


@rule(affine.MaxOp)
def lower_max(low: FunctionLowering, op: affine.MaxOp) -> None:
    results = low.builder.affine_results(op.map.data, low.indices(op.arguments))
    low.set_index(op.result, low.builder.greatest(results))
