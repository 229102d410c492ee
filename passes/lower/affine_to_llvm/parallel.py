"""`affine.parallel`: the loop's body becomes functions that the runtime's thread pool calls.

    affine.parallel (%i, %j) = (0, 0) to (%n, 64) { body }    in @kernel

becomes

    @kernel.parallel0(captured..., begin, end)    runs the iterations [begin, end), numbered through
    @kernel.thunk0(closure, begin, end)           unpacks what the body captures and calls it
    in @kernel: fill the closure; context.parallel_for(context, @kernel.thunk0, closure, n, grain)

Inside of another loop every second pass goes backwards through its range: it begins with what the
caches still hold of the end of the pass before (recurrent weights, step by step).

What the body captures are arguments of the first function, so that memrefs are `noalias` there too.
Constants are not captured but made again. The attribute `grain` is the smallest number of
iterations worth a thread, 1 if absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from xdsl.dialects.builtin import (
    IntegerAttr,
    SymbolRefAttr,
    i64,
)
from xdsl.ir import Block, Region, SSAValue

from dialects import affine, llvm
from dialects.affine import cut
from passes.lower.affine_to_llvm.builder import NO_PROPERTIES, Builder, Properties
from passes.lower.affine_to_llvm.constants import i32_array
from passes.lower.affine_to_llvm.control import counted_loop, loop_annotation
from passes.lower.affine_to_llvm.function import FunctionLowering, place_of, rule
from passes.lower.affine_to_llvm.index import Index
from passes.lower.affine_to_llvm.memory import allocate
from passes.lower.affine_to_llvm.module import (
    call_properties,
    llvm_function,
)
from passes.lower.affine_to_llvm.outline import OutlinedFunction
from passes.lower.affine_to_llvm.types import PTR
from runtime.errors import InternalError

_ALIGNED: Properties = {"alignment": IntegerAttr(8, i64), "ordering": IntegerAttr(0, i64)}


@dataclass(frozen=True)
class _Dimension:
    """One dimension of the iteration space: first index, step, and number of iterations."""

    lower: Index
    step: int
    count: Index


class _Body(OutlinedFunction):
    """The function that runs a range of iterations; its last two arguments are its ends."""

    def lower_iterations(self, op: affine.ParallelOp, space: Sequence[_Dimension]) -> None:
        """Fills the function: loops over the iterations of a range around the body."""
        begin, end = self.entry.args
        total = prod(self.outer.builder.range_of(dimension.count)[1] for dimension in space)
        self.builder.limit(begin, (0, total))
        self.builder.limit(end, (0, total))
        axes = list(zip(op.body.block.args, space, strict=True))
        for variable, dimension in axes:
            self.set_index(variable, self.capture_index(dimension.lower))
        several = [axis for axis in axes if axis[1].count != 1]
        self._loops(op, several or axes[:1], begin, end, self._turns(op))

    def _turns(self, op: affine.ParallelOp) -> SSAValue | None:
        """Whether to go backwards now; None if it never is, as there is no loop around it."""
        around = op.parent_op()
        if not isinstance(around, affine.ForOp):
            return None
        (iteration,) = self.indices([around.body.block.args[0]])
        number = self.builder.floordiv(iteration, around.step.value.data)
        return self.builder.compare("ne", self.builder.mod(number, 2), 0)

    def _loops(
        self,
        op: affine.ParallelOp,
        axes: Sequence[tuple[SSAValue, _Dimension]],
        begin: Index,
        end: Index,
        turns: SSAValue | None,
    ) -> None:
        """A loop for each of these variables, the last one running fastest.

        ``begin`` and ``end`` number the iterations of all of them. Dividing them once is cheaper
        than taking every iteration's number apart. ``turns`` says whether to go backwards.
        """
        builder = self.builder
        (variable, dimension), *rest = axes
        lower = self.capture_index(dimension.lower)
        inner: Index = 1
        for _, other in rest:
            inner = builder.mul(inner, self.capture_index(other.count))

        first, last = builder.floordiv(begin, inner), builder.ceildiv(end, inner)

        def body(number: Index, carried: list[SSAValue]) -> list[SSAValue]:
            if turns is not None:
                mirrored = builder.sub(builder.sub(builder.add(first, last), 1), number)
                limits = builder.range_of(number)
                number = builder.limit(builder.select(turns, mirrored, number), limits)
            index = builder.add(lower, builder.mul(number, dimension.step))
            self.set_index(variable, index)
            if not rest:
                return self.lower_body(op.body.block)
            before = builder.mul(number, inner)
            inside = builder.minimum(builder.sub(end, before), inner)
            self._loops(op, rest, builder.maximum(builder.sub(begin, before), 0), inside, turns)
            return carried

        annotation = NO_PROPERTIES if rest else loop_annotation(op)
        counted_loop(self, (first, last, 1), (), body, annotation)


@rule(affine.ParallelOp)
def lower_parallel(low: FunctionLowering, op: affine.ParallelOp) -> None:
    if low.context is None:
        raise InternalError(f"@{low.name} has no context to run loops in parallel", place_of(op))
    space = _iteration_space(low, op)
    number = low.module.next_number(low.name)
    body = _Body(low, f"{low.name}.parallel{number}", [i64, i64])
    body.builder.location = op.location
    body.lower_iterations(op, space)
    function = body.finish()
    closure = llvm.LLVMStructType.from_type_list([value.type for value in body.captured])
    thunk = _thunk(f"{low.name}.thunk{number}", body, closure)
    for each in (function, thunk):
        each.location = op.location
        low.module.add(each)
    low.builder.location = op.location
    _start(low, op, thunk, body.captured, closure, space)


def _iteration_space(low: FunctionLowering, op: affine.ParallelOp) -> list[_Dimension]:
    builder = low.builder
    lower_map, upper_map = op.lowerBoundsMap.data, op.upperBoundsMap.data
    split = lower_map.num_dims + lower_map.num_symbols
    operands = low.indices(op.map_operands)
    lowers = builder.affine_results(lower_map, operands[:split])
    uppers = builder.affine_results(upper_map, operands[split:])
    space: list[_Dimension] = []
    for lower_group, upper_group, step in zip(
        cut(lowers, op.lowerBoundsGroups), cut(uppers, op.upperBoundsGroups), op.steps, strict=True
    ):
        lower, upper = builder.greatest(lower_group), builder.smallest(upper_group)
        extent = builder.maximum(builder.sub(upper, lower), 0)
        space.append(_Dimension(lower, step.value.data, builder.ceildiv(extent, step.value.data)))
    return space


def _thunk(name: str, body: _Body, closure: llvm.LLVMStructType) -> llvm.FuncOp:
    """Unpacks a closure and calls the body."""
    entry = Block(arg_types=[PTR, i64, i64])
    pointer, begin, end = entry.args
    builder = Builder(Region(entry), entry)
    fields = [
        builder.value(
            llvm.LoadOp, (field_address(builder, pointer, closure, position),), kind, _ALIGNED
        )
        for position, kind in enumerate(closure.types.data)
    ]
    arguments = [*fields, begin, end]
    callee = {"callee": SymbolRefAttr(body.name), **call_properties(len(arguments))}
    builder.emit(llvm.CallOp, arguments, (), callee)
    builder.emit(llvm.ReturnOp, ())
    kind = llvm.LLVMFunctionType([PTR, i64, i64])
    return llvm_function(name, kind, builder.region, internal=True)


def field_address(
    builder: Builder, pointer: SSAValue, kind: llvm.LLVMStructType, position: int
) -> SSAValue:
    """The address of a field of a struct."""
    properties = {
        "rawConstantIndices": i32_array(0, position),
        "elem_type": kind,
        "noWrapFlags": llvm.INBOUNDS,
    }
    return builder.value(llvm.GEPOp, (pointer,), PTR, properties)


def _start(
    low: FunctionLowering,
    op: affine.ParallelOp,
    thunk: llvm.FuncOp,
    captured: Sequence[SSAValue],
    closure: llvm.LLVMStructType,
    space: Sequence[_Dimension],
) -> None:
    """Fills the closure and hands the loop to the context's pool."""
    builder, context = low.builder, low.context
    assert context is not None
    pointer = allocate(builder, closure, 1)
    for position, value in enumerate(captured):
        target = field_address(builder, pointer, closure, position)
        builder.emit(llvm.StoreOp, (value, target), (), _ALIGNED)
    total: Index = 1
    for dimension in space:
        total = builder.mul(total, dimension.count)
    grain = op.attributes.get("grain")
    grain = grain.value.data if isinstance(grain, IntegerAttr) else 1
    address_of = {"global_name": SymbolRefAttr(thunk.sym_name.data)}
    function = builder.value(llvm.AddressOfOp, (), PTR, address_of)
    parallel_for = builder.value(llvm.LoadOp, (context,), PTR, _ALIGNED)
    arguments = (context, function, pointer, builder.index(total), builder.integer(grain))
    properties = call_properties(1 + len(arguments))
    builder.emit(llvm.CallOp, (parallel_for, *arguments), (), properties)
