"""Constant tensors: small ones inline in the IR, large ones in a pool beside it.

The pool belongs to a `Context`: it is the resource storage of that context's builtin dialect, so
that stock xDSL prints and parses the blobs as `dense_resource`, while our passes see numpy arrays
that may be mapped from a file and are never copied.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Mapping
from typing import cast

import numpy as np
from xdsl.context import Context
from xdsl.dialect_interfaces.op_asm import OpAsmDialectInterface
from xdsl.dialects.builtin import (
    ArrayAttr,
    Builtin,
    BytesAttr,
    DenseIntOrFPElementsAttr,
    DenseResourceAttr,
    IntegerType,
    TensorType,
)
from xdsl.ir import Attribute, Dialect, SSAValue

from dialects.onnx.ops import Const, python_value, text_attribute
from dialects.onnx.types import AttributeRefAttr, StringTensorAttr, dtype_of, tensor_type
from runtime.errors import InvalidModelError

INLINE_ELEMENTS = 32
"""Constants of at most this many elements stand inline in the IR."""

_ALIGNMENT_HEADER = 64


class ConstantPool(OpAsmDialectInterface):
    """Named numpy arrays that `dense_resource` attributes refer to."""

    def __init__(self) -> None:
        super().__init__()
        self.arrays: dict[str, np.ndarray] = {}

    def add(self, array: np.ndarray, hint: str = "constant") -> str:
        """Keeps an array under a new name made from ``hint`` and returns the name."""
        stem = re.sub(r"[^A-Za-z0-9_]", "_", hint) or "constant"
        stem = stem if not stem[0].isdigit() else f"_{stem}"
        name, number = stem, 0
        while name in self.arrays or name in self._blob_storage:
            number += 1
            name = f"{stem}_{number}"
        self.arrays[name] = array
        return name

    def array(self, attribute: DenseResourceAttr) -> np.ndarray:
        """The array of a `dense_resource`. Raises InvalidModelError when it was elided."""
        name = attribute.resource_handle.data
        if name not in self.arrays:
            blob = self._blob_storage.get(name)
            if not blob:
                raise InvalidModelError(
                    f"constant '{name}' is elided in this text",
                    hint="print it with all constants",
                )
            kind = attribute.type
            assert isinstance(kind, TensorType)
            data = bytes.fromhex(blob[2:])[4:]
            self.arrays[name] = np.frombuffer(data, dtype_of(kind)).reshape(kind.get_shape())
        return self.arrays[name]

    def lookup(self, key: str) -> str | None:
        """The blob's text: `0x`, its alignment as 4 bytes, its bytes."""
        if key in self.arrays:
            array = np.ascontiguousarray(self.arrays[key])
            return "0x" + _ALIGNMENT_HEADER.to_bytes(4, "little").hex() + array.tobytes().hex()
        return super().lookup(key)

    def build_resources(self, keys: Iterable[str]) -> dict[str, str]:
        """Text of the blobs with these names, for printing."""
        return {key: text for key in keys if (text := self.lookup(key))}


def release_pages(array: np.ndarray) -> None:
    """Tells the system that a mapped file's pages behind an array are not needed for now.

    They count as the process's memory while they stay; a later read brings them back.
    """
    base: object = array
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    if not isinstance(base, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED"):
        return
    start, end = np.lib.array_utils.byte_bounds(array)
    origin = np.frombuffer(base, np.uint8, 1).ctypes.data
    first = -(-(start - origin) // mmap.PAGESIZE) * mmap.PAGESIZE
    length = (end - origin) // mmap.PAGESIZE * mmap.PAGESIZE - first
    if length > 0:
        base.madvise(mmap.MADV_DONTNEED, first, length)


def builtin_with_pool() -> Dialect:
    """A builtin dialect of its own, whose resources are a fresh `ConstantPool`."""
    return Dialect("builtin", list(Builtin.operations), list(Builtin.attributes), [ConstantPool()])


def pool_of(ctx: Context) -> ConstantPool:
    """The constant pool of a context; a stock context gets one on first use."""
    builtin = ctx.get_dialect("builtin")
    if pool := builtin.get_interface(ConstantPool):
        return pool
    fresh = builtin_with_pool()
    ctx._loaded_dialects["builtin"] = fresh
    pool = fresh.get_interface(ConstantPool)
    assert pool is not None
    if stock := builtin.get_interface(OpAsmDialectInterface):
        pool._blob_storage = stock._blob_storage
    return pool


def dense_attribute(array: np.ndarray, pool: ConstantPool, hint: str = "constant") -> Attribute:
    """The attribute that holds an array: strings, inline dense, or a resource in the pool."""
    if array.dtype.kind in "USO":
        return ArrayAttr([text_attribute(entry) for entry in array.reshape(-1)])
    kind = tensor_type(array.dtype, array.shape)
    assert isinstance(kind, TensorType)
    if array.size <= INLINE_ELEMENTS and array.dtype.kind != "c" and _plain(array):
        data = np.ascontiguousarray(array)
        shaped = cast("TensorType[IntegerType]", kind)
        return DenseIntOrFPElementsAttr(shaped, BytesAttr(data.tobytes()))
    return DenseResourceAttr.from_params(pool.add(array, hint), kind)


def _plain(array: np.ndarray) -> bool:
    """Whether xDSL prints such data so that it parses back (not inf, NaN, or sub-byte)."""
    if array.dtype.kind in "iub":
        return True
    return array.dtype.kind == "f" and bool(np.isfinite(array).all())


def array_of(attribute: Attribute, kind: Attribute, pool: ConstantPool) -> np.ndarray:
    """The array that a `Const`'s value attribute holds."""
    if isinstance(attribute, DenseResourceAttr):
        return pool.array(attribute)
    if isinstance(attribute, StringTensorAttr):
        attribute, kind = attribute.values, attribute.type
    shape = kind.get_shape() if isinstance(kind, TensorType) else ()
    if isinstance(attribute, ArrayAttr):
        strings = np.empty(len(attribute), dtype=object)
        strings[:] = [python_value(entry) for entry in attribute]
        return strings.reshape(shape)
    assert isinstance(attribute, DenseIntOrFPElementsAttr)
    dtype = dtype_of(attribute.type)
    data = np.frombuffer(attribute.data.data, dtype)
    size = int(np.prod(shape))
    return (np.repeat(data, size) if data.size == 1 != size else data).reshape(shape)


def constant_of(value: SSAValue, pool: ConstantPool) -> np.ndarray | None:
    """The array a value is known to be, or None when no `onnx.Const` defines it."""
    owner = value.owner
    return array_of(owner.value, value.type, pool) if isinstance(owner, Const) else None


_FIELD_DTYPES = {
    "value_int": np.int64,
    "value_ints": np.int64,
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_string": np.object_,
    "value_strings": np.object_,
}


def constant_node(
    properties: Mapping[str, Attribute], pool: ConstantPool, hint: str = "constant"
) -> Const:
    """The `onnx.Const` that a `Constant` node with these properties stands for.

    Exactly one property is expected, none of them an `AttributeRefAttr`. Raises ValueError for
    anything else.
    """
    if len(properties) != 1:
        raise ValueError(f"a Constant has one value, not {len(properties)}: {sorted(properties)}")
    ((field, attribute),) = properties.items()
    if isinstance(attribute, DenseIntOrFPElementsAttr | DenseResourceAttr):
        return Const.create(result_types=[attribute.type], properties={"value": attribute})
    if isinstance(attribute, StringTensorAttr):
        return make_const(array_of(attribute, attribute.type, pool), pool, hint)
    if field not in _FIELD_DTYPES or isinstance(attribute, AttributeRefAttr):
        raise ValueError(f"attribute '{field}' does not hold a constant")
    return make_const(np.array(python_value(attribute), _FIELD_DTYPES[field]), pool, hint)


def make_const(array: np.ndarray, pool: ConstantPool, hint: str = "constant") -> Const:
    """An `onnx.Const` operation with this array (kept, not copied, when large)."""
    kind = tensor_type(array.dtype, array.shape)
    return Const.create(
        result_types=[kind], properties={"value": dense_attribute(array, pool, hint)}
    )


def single_element(op: Const) -> float | int | bool:
    """The value of a constant of one element. Raises AssertionError for any other."""
    value = op.value
    assert isinstance(value, DenseIntOrFPElementsAttr)
    return np.frombuffer(value.data.data, dtype_of(value.type))[0].item()
