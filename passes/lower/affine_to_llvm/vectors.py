"""`vector`: registers of several lanes. Vectors of any rank are flattened row-major, so that
reshaping costs nothing and transposing, extracting and inserting are shuffles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from math import prod

from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    BytesAttr,
    DenseIntOrFPElementsAttr,
    IntegerAttr,
    IntegerType,
    UnitAttr,
    VectorType,
    i1,
    i32,
    i64,
)
from xdsl.ir import Attribute, Operation, SSAValue

from dialects import llvm, vector
from passes.lower.affine_to_llvm.arith import fast_math
from passes.lower.affine_to_llvm.builder import (
    FAST_NONE,
    NO_PROPERTIES,
    PREDICATES,
    Builder,
    Properties,
)
from passes.lower.affine_to_llvm.constants import float_attr, i32_array, vector_of
from passes.lower.affine_to_llvm.function import FunctionLowering, MemRef, place_of, rule
from passes.lower.affine_to_llvm.memory import access_properties, address, plain
from passes.lower.affine_to_llvm.types import PTR, byte_size, element_type, lanes, llvm_type
from runtime.errors import InternalError

Kind = vector.CombiningKindFlag

_FLOAT_REDUCTIONS: dict[Kind, tuple[type[Operation], type[Operation]]] = {
    Kind.MAXIMUMF: (llvm.VectorReduceFMaximumOp, llvm.MaximumOp),
    Kind.MINIMUMF: (llvm.VectorReduceFMinimumOp, llvm.MinimumOp),
    Kind.MAXNUMF: (llvm.VectorReduceFMaxOp, llvm.VectorFMaxOp),
    Kind.MINNUMF: (llvm.VectorReduceFMinOp, llvm.VectorFMinOp),
}
"""The reduction of a vector, and what combines its result with the accumulator."""

_ORDERED_REDUCTIONS: dict[Kind, tuple[type[Operation], float]] = {
    Kind.ADD: (llvm.VectorReduceFAddOp, -0.0),
    Kind.MUL: (llvm.VectorReduceFMulOp, 1.0),
}
"""Reductions that start from a value, and the neutral one. Without `reassoc` they are serial."""

_INTEGER_REDUCTIONS: dict[Kind, tuple[type[Operation], type[Operation]]] = {
    Kind.ADD: (llvm.VectorReduceAddOp, llvm.AddOp),
    Kind.MUL: (llvm.VectorReduceMulOp, llvm.MulOp),
    Kind.AND: (llvm.VectorReduceAndOp, llvm.AndOp),
    Kind.OR: (llvm.VectorReduceOrOp, llvm.OrOp),
    Kind.XOR: (llvm.VectorReduceXorOp, llvm.XOrOp),
    Kind.MAXSI: (llvm.VectorReduceSMaxOp, llvm.SMaxOp),
    Kind.MINSI: (llvm.VectorReduceSMinOp, llvm.SMinOp),
    Kind.MAXUI: (llvm.VectorReduceUMaxOp, llvm.UMaxOp),
    Kind.MINUI: (llvm.VectorReduceUMinOp, llvm.UMinOp),
}


def _shape(kind: Attribute) -> tuple[int, ...]:
    return kind.get_shape() if isinstance(kind, VectorType) else ()


def shuffle(builder: Builder, lhs: SSAValue, rhs: SSAValue, mask: Sequence[int]) -> SSAValue:
    """Lanes of two vectors of the same length, numbered through."""
    kind = vector_of(element_type(lhs.type), len(mask))
    properties = {"mask": i32_array(*mask)}
    return builder.value(llvm.ShuffleVectorOp, (lhs, rhs), kind, properties)


def select_lanes(builder: Builder, source: SSAValue, mask: Sequence[int]) -> SSAValue:
    """Lanes of one vector; the vector itself if that changes nothing."""
    if list(mask) == list(range(lanes(source.type))):
        return source
    return shuffle(builder, source, builder.value(llvm.PoisonOp, (), source.type), mask)


def splat(builder: Builder, value: SSAValue, count: int) -> SSAValue:
    """A scalar in every lane."""
    single = vector_of(value.type, count)
    poison = builder.value(llvm.PoisonOp, (), single)
    zero = builder.integer(0)
    inserted = builder.value(llvm.InsertElementOp, (poison, value, zero), single)
    return shuffle(builder, inserted, poison, [0] * count)


def steps(builder: Builder, count: int, kind: IntegerType) -> SSAValue:
    """The vector [0, 1, ...]."""
    width = kind.width.data // 8
    data = b"".join(lane.to_bytes(width, "little") for lane in range(count))
    vector_type = VectorType(kind, [count])
    return builder.constant(DenseIntOrFPElementsAttr(vector_type, BytesAttr(data)), vector_type)


def _element_address(
    low: FunctionLowering, source: MemRef, indices: Sequence[SSAValue]
) -> SSAValue:
    return address(low.builder, source, plain(low, indices))


def _check_rank(op: Operation, kind: Attribute) -> None:
    if len(_shape(kind)) > 1:
        raise InternalError(f"{op.name} of {kind}: memory is accessed by rows", place_of(op))


@rule(vector.LoadOp)
def lower_load(low: FunctionLowering, op: vector.LoadOp) -> None:
    _check_rank(op, op.result.type)
    ptr = _element_address(low, low.memrefs[op.base], op.indices)
    kind = llvm_type(op.result.type)
    properties = _nontemporal(op, access_properties(element_type(kind)))
    low.values[op.result] = low.builder.value(llvm.LoadOp, (ptr,), kind, properties)


@rule(vector.StoreOp)
def lower_store(low: FunctionLowering, op: vector.StoreOp) -> None:
    _check_rank(op, op.vector.type)
    value = low.values[op.vector]
    ptr = _element_address(low, low.memrefs[op.base], op.indices)
    properties = _nontemporal(op, access_properties(element_type(value.type)))
    low.builder.emit(llvm.StoreOp, (value, ptr), (), properties)


def _nontemporal(op: vector.LoadOp | vector.StoreOp, properties: Properties) -> Properties:
    if op.nontemporal is not None and op.nontemporal.value.data:
        return {**properties, "nontemporal": UnitAttr()}
    return properties


def _masked_properties(kind: Attribute) -> Properties:
    return {"alignment": IntegerAttr(byte_size(element_type(kind)), i32)}


@rule(vector.MaskedLoadOp)
def lower_masked_load(low: FunctionLowering, op: vector.MaskedLoadOp) -> None:
    ptr = _element_address(low, low.memrefs[op.base], op.indices)
    kind = llvm_type(op.result.type)
    operands = (ptr, low.values[op.mask], low.values[op.pass_thru])
    low.values[op.result] = low.builder.value(
        llvm.MaskedLoadOp, operands, kind, _masked_properties(kind)
    )


@rule(vector.MaskedStoreOp)
def lower_masked_store(low: FunctionLowering, op: vector.MaskedStoreOp) -> None:
    value = low.values[op.value_to_store]
    ptr = _element_address(low, low.memrefs[op.base], op.indices)
    operands = (value, ptr, low.values[op.mask])
    low.builder.emit(llvm.MaskedStoreOp, operands, (), _masked_properties(value.type))


def _lane_addresses(
    low: FunctionLowering, base: SSAValue, offsets: Sequence[SSAValue], indices: SSAValue
) -> SSAValue:
    """One pointer per lane."""
    source = low.memrefs[base]
    start = _element_address(low, source, offsets)
    lane_indices = low.values[indices]
    properties = {
        "rawConstantIndices": i32_array(llvm.GEP_USE_SSA_VAL),
        "elem_type": llvm_type(source.type.element_type),
        "noWrapFlags": llvm.INBOUNDS,
    }
    kind = VectorType(PTR, [lanes(lane_indices.type)])
    return low.builder.value(llvm.GEPOp, (start, lane_indices), kind, properties)


@rule(vector.GatherOp)
def lower_gather(low: FunctionLowering, op: vector.GatherOp) -> None:
    kind = llvm_type(op.result.type)
    ptrs = _lane_addresses(low, op.base, op.offsets, op.indices)
    operands = (ptrs, low.values[op.mask], low.values[op.pass_thru])
    low.values[op.result] = low.builder.value(
        llvm.MaskedGatherOp, operands, kind, _masked_properties(kind)
    )


@rule(vector.ScatterOp)
def lower_scatter(low: FunctionLowering, op: vector.ScatterOp) -> None:
    value = low.values[op.valueToStore]
    ptrs = _lane_addresses(low, op.base, op.offsets, op.indices)
    operands = (value, ptrs, low.values[op.mask])
    low.builder.emit(llvm.MaskedScatterOp, operands, (), _masked_properties(value.type))


@rule(vector.BroadcastOp)
def lower_broadcast(low: FunctionLowering, op: vector.BroadcastOp) -> None:
    source = low.values[op.source]
    shape = _shape(op.vector.type)
    if not isinstance(op.source.type, VectorType):
        low.values[op.vector] = splat(low.builder, source, prod(shape))
        return
    old = (1,) * (len(shape) - len(_shape(op.source.type))) + _shape(op.source.type)
    strides = _strides(old)
    mask = [
        sum(0 if size == 1 else i * s for i, size, s in zip(at, old, strides, strict=True))
        for at in product(*map(range, shape))
    ]
    low.values[op.vector] = select_lanes(low.builder, source, mask)


def _strides(shape: Sequence[int]) -> list[int]:
    return [prod(shape[dim + 1 :]) for dim in range(len(shape))]


@rule(vector.FMAOp)
def lower_fma(low: FunctionLowering, op: vector.FMAOp) -> None:
    operands = low.operands(op)
    low.values[op.res] = low.builder.value(llvm.FMAOp, operands, operands[0].type, FAST_NONE)


def _static_offset(op: Operation, position: Sequence[int], shape: Sequence[int]) -> int:
    """Where the part at a static position begins in the flattened vector."""
    if DYNAMIC_INDEX in position:
        message = f"{op.name} at a dynamic position of a vector of rank {len(shape)}"
        raise InternalError(message, place_of(op))
    return sum(index * s for index, s in zip(position, _strides(shape), strict=False))


@rule(vector.ExtractOp)
def lower_extract(low: FunctionLowering, op: vector.ExtractOp) -> None:
    builder = low.builder
    source, *dynamic = low.operands(op)
    shape = _shape(op.vector.type)
    if dynamic and len(shape) == 1:
        lane = dynamic[0]
    else:
        start = _static_offset(op, op.static_position.get_values(), shape)
        if isinstance(op.result.type, VectorType):
            part = range(start, start + lanes(op.result.type))
            low.values[op.result] = select_lanes(builder, source, part)
            return
        lane = builder.integer(start)
    kind = llvm_type(op.result.type)
    low.values[op.result] = builder.value(llvm.ExtractElementOp, (source, lane), kind)


@rule(vector.InsertOp)
def lower_insert(low: FunctionLowering, op: vector.InsertOp) -> None:
    builder = low.builder
    source, dest, *dynamic = low.operands(op)
    shape = _shape(op.dest.type)
    if dynamic and len(shape) == 1:
        lane = dynamic[0]
    else:
        start = _static_offset(op, op.static_position.get_values(), shape)
        if isinstance(op.source.type, VectorType):
            low.values[op.result] = _insert_part(builder, source, dest, start)
            return
        lane = builder.integer(start)
    operands = (dest, source, lane)
    low.values[op.result] = builder.value(llvm.InsertElementOp, operands, dest.type)


def _insert_part(builder: Builder, part: SSAValue, dest: SSAValue, start: int) -> SSAValue:
    """`dest` with the lanes from `start` on replaced by `part`."""
    count, width = lanes(dest.type), lanes(part.type)
    widened = select_lanes(builder, part, [*range(width), *[-1] * (count - width)])
    mask = [
        count + lane - start if start <= lane < start + width else lane for lane in range(count)
    ]
    return shuffle(builder, dest, widened, mask)


@rule(vector.ShapeCastOp)
def lower_shape_cast(low: FunctionLowering, op: vector.ShapeCastOp) -> None:
    low.values[op.result] = low.values[op.source]


@rule(vector.TransposeOp)
def lower_transpose(low: FunctionLowering, op: vector.TransposeOp) -> None:
    strides = _strides(_shape(op.vector.type))
    order = op.permutation.get_values()
    mask = [
        sum(index * strides[dim] for index, dim in zip(at, order, strict=True))
        for at in product(*map(range, _shape(op.result.type)))
    ]
    low.values[op.result] = select_lanes(low.builder, low.values[op.vector], mask)


@rule(vector.ShuffleOp)
def lower_shuffle(low: FunctionLowering, op: vector.ShuffleOp) -> None:
    lhs, rhs = low.operands(op)
    row = prod(_shape(op.v1.type)[1:])
    mask = _by_rows(op.mask.get_values(), row)
    if lanes(lhs.type) == lanes(rhs.type):
        low.values[op.result] = shuffle(low.builder, lhs, rhs, mask)
        return
    # LLVM wants operands of one length: pad the shorter one and renumber the second.
    first, length = lanes(lhs.type), max(lanes(lhs.type), lanes(rhs.type))
    padded = [
        select_lanes(low.builder, v, [*range(lanes(v.type)), *[-1] * (length - lanes(v.type))])
        for v in (lhs, rhs)
    ]
    mask = [lane if lane < first else lane - first + length for lane in mask]
    low.values[op.result] = shuffle(low.builder, padded[0], padded[1], mask)


def _by_rows(mask: Iterable[int], row: int) -> list[int]:
    """A mask of rows of `row` lanes as a mask of lanes."""
    return [lane * row + i if lane >= 0 else -1 for lane in mask for i in range(row)]


@rule(vector.InterleaveOp)
def lower_interleave(low: FunctionLowering, op: vector.InterleaveOp) -> None:
    lhs, rhs = low.operands(op)
    count = lanes(lhs.type)
    mask = [lane for i in range(count) for lane in (i, count + i)]
    low.values[op.result] = shuffle(low.builder, lhs, rhs, mask)


@rule(vector.DeinterleaveOp)
def lower_deinterleave(low: FunctionLowering, op: vector.DeinterleaveOp) -> None:
    (source,) = low.operands(op)
    count = lanes(source.type)
    low.values[op.res1] = select_lanes(low.builder, source, range(0, count, 2))
    low.values[op.res2] = select_lanes(low.builder, source, range(1, count, 2))


@rule(vector.FromElementsOp)
def lower_from_elements(low: FunctionLowering, op: vector.FromElementsOp) -> None:
    builder = low.builder
    kind = llvm_type(op.dest.type)
    result = builder.value(llvm.PoisonOp, (), kind)
    for position, element in enumerate(low.operands(op)):
        operands = (result, element, builder.integer(position))
        result = builder.value(llvm.InsertElementOp, operands, kind)
    low.values[op.dest] = result


@rule(vector.StepOp)
def lower_step(low: FunctionLowering, op: vector.StepOp) -> None:
    low.values[op.result] = steps(low.builder, lanes(op.result.type), i64)


@rule(vector.CreateMaskOp)
def lower_create_mask(low: FunctionLowering, op: vector.CreateMaskOp) -> None:
    """Lane i is set if i < size. Compared in 32 bits, for which sizes are clamped first."""
    _check_rank(op, op.mask_vector.type)
    builder = low.builder
    count = lanes(op.mask_vector.type)
    (size,) = low.indices(op.mask_dim_sizes)
    size = builder.index(builder.maximum(builder.minimum(size, count), 0))
    narrow = builder.value(llvm.TruncOp, (size,), i32)
    operands = (steps(builder, count, i32), splat(builder, narrow, count))
    kind = VectorType(i1, [count])
    low.values[op.mask_vector] = builder.value(llvm.ICmpOp, operands, kind, PREDICATES["slt"])


@rule(vector.BitcastOp)
def lower_bitcast(low: FunctionLowering, op: vector.BitcastOp) -> None:
    (value,) = low.operands(op)
    kind = llvm_type(op.result.type)
    same = value.type == kind
    low.values[op.result] = value if same else low.builder.value(llvm.BitcastOp, (value,), kind)


@rule(vector.ReductionOp)
def lower_reduction(low: FunctionLowering, op: vector.ReductionOp) -> None:
    builder = low.builder
    source, *accumulator = low.operands(op)
    kind, element = op.kind.data, element_type(source.type)
    if isinstance(element, IntegerType):
        reduction, combination = _INTEGER_REDUCTIONS[kind]
        flags = NO_PROPERTIES
    elif kind in _ORDERED_REDUCTIONS:
        reduction, neutral = _ORDERED_REDUCTIONS[kind]
        start = accumulator or [builder.constant(float_attr(neutral, element), element)]
        flags = fast_math(op.fastmath)
        low.values[op.dest] = builder.value(reduction, (*start, source), element, flags)
        return
    else:
        reduction, combination = _FLOAT_REDUCTIONS[kind]
        flags = fast_math(op.fastmath)
    result = builder.value(reduction, (source,), element, flags)
    if accumulator:
        result = builder.value(combination, (result, *accumulator), element, flags)
    low.values[op.dest] = result
