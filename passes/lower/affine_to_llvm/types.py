"""Types of the `affine` stage as types of the `llvm` dialect."""

from __future__ import annotations

from functools import cache
from math import prod

from xdsl.dialects.builtin import (
    BFloat16Type,
    Float16Type,
    Float32Type,
    Float64Type,
    IndexType,
    IntegerType,
    MemRefType,
    VectorType,
    i64,
)
from xdsl.ir import Attribute

from dialects.llvm import LLVMPointerType, LLVMStructType, LLVMVoidType
from runtime.errors import InternalError, Place

PTR = LLVMPointerType()
VOID = LLVMVoidType()

_FLOATS = (Float32Type, Float64Type, Float16Type, BFloat16Type)


@cache
def llvm_type(kind: Attribute) -> Attribute:
    """The register type of a value. `index` is i64; vectors of any rank are flattened row-major."""
    if isinstance(kind, IndexType):
        return i64
    if isinstance(kind, IntegerType):
        # Signedness is an operation's business below the onnx stage.
        return IntegerType(kind.width.data)
    if isinstance(kind, VectorType):
        return VectorType(llvm_type(kind.element_type), [prod(kind.get_shape())])
    if isinstance(kind, MemRefType):
        return PTR
    if isinstance(kind, (*_FLOATS, LLVMPointerType, LLVMStructType)):
        return kind
    raise InternalError(f"no llvm type for {kind}", Place(stage="affine"))


@cache
def byte_size(kind: Attribute) -> int:
    """Bytes that one element takes in memory (sub-byte integers take a whole byte)."""
    if isinstance(kind, IndexType | LLVMPointerType):
        return 8
    if isinstance(kind, IntegerType):
        return max(1, kind.width.data // 8)
    if isinstance(kind, _FLOATS):
        return kind.bitwidth // 8
    if isinstance(kind, VectorType):
        return byte_size(kind.element_type) * lanes(kind)
    raise InternalError(f"no size known for {kind}", Place(stage="affine"))


def element_type(kind: Attribute) -> Attribute:
    """The type of one lane."""
    return kind.element_type if isinstance(kind, VectorType) else kind


def lanes(kind: Attribute) -> int:
    """Number of lanes of a vector type; 1 for a scalar."""
    return prod(kind.get_shape()) if isinstance(kind, VectorType) else 1


def with_lanes_of(kind: Attribute, shape: Attribute) -> Attribute:
    """`kind`, or a vector of it if `shape` is a vector."""
    return VectorType(kind, [lanes(shape)]) if isinstance(shape, VectorType) else kind
