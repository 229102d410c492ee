"""Buffers: their layout, addresses of elements, loads, stores, allocations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from xdsl.dialects import memref
from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    IntegerAttr,
    MemRefType,
    NoneAttr,
    SymbolRefAttr,
    i32,
    i64,
)
from xdsl.ir import Attribute, SSAValue

from dialects import affine, llvm
from passes.lower.affine_to_llvm.builder import Properties
from passes.lower.affine_to_llvm.function import FunctionLowering, MemRef, place_of, rule
from passes.lower.affine_to_llvm.index import Index, IndexBuilder, Linear
from passes.lower.affine_to_llvm.types import PTR, byte_size, llvm_type
from runtime.errors import InternalError

ALIGNMENT = 64
"""Bytes to which buffers on the stack and tables of constants are aligned."""

_ORDERING = IntegerAttr(0, i64)
_ACCESS: dict[int, Properties] = {
    size: {"alignment": IntegerAttr(size, i64), "ordering": _ORDERING}
    for size in (1, 2, 4, 8, 16, 32, 64)
}


def access_properties(element: Attribute) -> Properties:
    """The properties of a load or store of elements of this type: aligned to one element."""
    return _ACCESS[byte_size(element)]


def dense_strides(builder: IndexBuilder, sizes: Sequence[Index]) -> tuple[Index, ...]:
    """Row-major strides, in elements."""
    strides: list[Index] = [1] * len(sizes)
    for dim in reversed(range(len(sizes) - 1)):
        strides[dim] = builder.mul(strides[dim + 1], sizes[dim + 1])
    return tuple(strides)


def buffer(
    builder: IndexBuilder, kind: MemRefType, ptr: SSAValue, dynamic_sizes: Sequence[Index]
) -> MemRef:
    """Describes a buffer of a memref type, given its dynamic sizes in order."""
    if not isinstance(kind.layout, NoneAttr):
        raise InternalError(f"{kind} has a layout; kernels use the identity layout only")
    dynamic = iter(dynamic_sizes)
    sizes = tuple(next(dynamic) if s == DYNAMIC_INDEX else s for s in kind.get_shape())
    return MemRef(kind, ptr, sizes, dense_strides(builder, sizes))


def address(
    builder: IndexBuilder, source: MemRef, indices: Sequence[Linear], is_inside: bool = True
) -> SSAValue:
    """The address of an element: what the innermost loop adds to an address known outside.

    One that is not ``is_inside`` may lie behind the buffer.
    """
    offset = Linear()
    for index, stride in zip(indices, source.strides, strict=True):
        offset = offset + builder.product(index, builder.as_linear(stride))
    kind = llvm_type(source.type.element_type)
    return builder.element_address(source.ptr, offset, kind, is_inside)


def mapped(
    low: FunctionLowering, op: affine.LoadOp | affine.StoreOp | affine.PrefetchOp
) -> list[Linear]:
    """The indices of an affine access as linear forms."""
    affine_map = op.map.data
    operands = low.indices(op.indices)
    return [low.builder.linear(e, operands, affine_map.num_dims) for e in affine_map.results]


def plain(low: FunctionLowering, indices: Sequence[SSAValue]) -> list[Linear]:
    """Index operands as linear forms."""
    return [low.builder.as_linear(index) for index in low.indices(indices)]


def _load(low: FunctionLowering, source: MemRef, indices: list[Linear], result: SSAValue) -> None:
    ptr = address(low.builder, source, indices)
    element = source.type.element_type
    low.values[result] = low.builder.value(
        llvm.LoadOp, (ptr,), llvm_type(result.type), access_properties(element)
    )


def _store(low: FunctionLowering, value: SSAValue, target: MemRef, indices: list[Linear]) -> None:
    ptr = address(low.builder, target, indices)
    element = target.type.element_type
    low.builder.emit(llvm.StoreOp, (low.values[value], ptr), (), access_properties(element))


@rule(affine.LoadOp, affine.VectorLoadOp)
def lower_affine_load(low: FunctionLowering, op: affine.LoadOp) -> None:
    _load(low, low.memrefs[op.memref], mapped(low, op), op.result)


@rule(affine.StoreOp, affine.VectorStoreOp)
def lower_affine_store(low: FunctionLowering, op: affine.StoreOp) -> None:
    _store(low, op.value, low.memrefs[op.memref], mapped(low, op))


@rule(memref.LoadOp)
def lower_load(low: FunctionLowering, op: memref.LoadOp) -> None:
    _load(low, low.memrefs[op.memref], plain(low, op.indices), op.res)


@rule(memref.StoreOp)
def lower_store(low: FunctionLowering, op: memref.StoreOp) -> None:
    _store(low, op.value, low.memrefs[op.memref], plain(low, op.indices))


@rule(memref.DimOp)
def lower_dim(low: FunctionLowering, op: memref.DimOp) -> None:
    (index,) = low.indices([op.index])
    if not isinstance(index, int):
        raise InternalError("memref.dim of a dimension that is no constant", place_of(op))
    low.set_index(op.result, low.memrefs[op.source].sizes[index])


@rule(memref.CastOp)
def lower_cast(low: FunctionLowering, op: memref.CastOp) -> None:
    source = low.memrefs[op.source]
    kind = cast(MemRefType, op.dest.type)
    low.memrefs[op.dest] = MemRef(kind, source.ptr, source.sizes, source.strides)


@rule(memref.ViewOp)
def lower_view(low: FunctionLowering, op: memref.ViewOp) -> None:
    kind = cast(MemRefType, op.result.type)
    source = low.memrefs[op.source]
    ptr = address(low.builder, source, plain(low, [op.byte_shift]))
    low.memrefs[op.result] = buffer(low.builder, kind, ptr, low.indices(op.sizes))


@rule(memref.AllocaOp)
def lower_alloca(low: FunctionLowering, op: memref.AllocaOp) -> None:
    """Static buffers are allocated once, at the function's entry, also inside loops."""
    kind = cast(MemRefType, op.memref.type)
    if op.dynamic_sizes:
        raise InternalError("memref.alloca of a dynamic size", place_of(op))
    count = 1
    for size in kind.get_shape():
        count *= size
    low.memrefs[op.memref] = buffer(
        low.builder, kind, allocate(low.builder, llvm_type(kind.element_type), count), ()
    )


def allocate(builder: IndexBuilder, kind: Attribute, count: int) -> SSAValue:
    """Room on the stack for `count` elements, at the function's entry."""
    alloca = llvm.AllocaOp.create(
        operands=(builder.integer(count),),
        result_types=(PTR,),
        properties={"alignment": IntegerAttr(ALIGNMENT, i64), "elem_type": kind},
        location=builder.location,
    )
    return builder.prologue(alloca)


@rule(memref.GetGlobalOp)
def lower_get_global(low: FunctionLowering, op: memref.GetGlobalOp) -> None:
    name = SymbolRefAttr(op.name_.root_reference.data)
    address_of = llvm.AddressOfOp.create(result_types=(PTR,), properties={"global_name": name})
    ptr = low.builder.prologue(address_of)
    low.memrefs[op.memref] = buffer(low.builder, cast(MemRefType, op.memref.type), ptr, ())


@rule(affine.PrefetchOp)
def lower_prefetch(low: FunctionLowering, op: affine.PrefetchOp) -> None:
    ptr = address(low.builder, low.memrefs[op.memref], mapped(low, op), is_inside=False)
    properties = {
        "rw": IntegerAttr(op.isWrite.value.data & 1, i32),
        "hint": op.localityHint,
        "cache": IntegerAttr(op.isDataCache.value.data & 1, i32),
    }
    low.builder.emit(llvm.PrefetchOp, (ptr,), (), properties)
