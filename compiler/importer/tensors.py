"""From a `TensorProto` to a numpy array that shares its memory with the file where it can."""

from __future__ import annotations

import math
import mmap
import os
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
from onnx.helper import tensor_dtype_to_np_dtype

from compiler.importer.names import text
from dialects.onnx.ops import text_attribute
from runtime.errors import InvalidModelError, UnsupportedError

Types = onnx.TensorProto

DTYPES: dict[int, np.dtype] = {
    number: tensor_dtype_to_np_dtype(number)
    for number in Types.DataType.values()
    if number != Types.UNDEFINED
}
"""ONNX element types to numpy (and ml_dtypes) ones; strings are objects."""

_BITS: dict[int, int] = {
    Types.INT4: 4,
    Types.UINT4: 4,
    Types.FLOAT4E2M1: 4,
    Types.INT2: 2,
    Types.UINT2: 2,
    Types.FLOAT6E2M3: 6,
    Types.FLOAT6E3M2: 6,
}
"""Element types that lie bit-packed in raw data, little end first."""

_FIELDS: dict[int, tuple[str, type]] = {
    Types.FLOAT: ("float_data", np.float32),
    Types.COMPLEX64: ("float_data", np.float32),
    Types.DOUBLE: ("double_data", np.float64),
    Types.COMPLEX128: ("double_data", np.float64),
    Types.INT64: ("int64_data", np.int64),
    Types.UINT32: ("uint64_data", np.uint64),
    Types.UINT64: ("uint64_data", np.uint64),
}
"""Typed field and its element type; all others stand in ``int32_data``."""

_INTEGERS = {Types.INT32, Types.INT16, Types.INT8, Types.UINT16, Types.UINT8}

_MAX_RANK = 64
_MAX_BYTES = 1 << 46
MAX_DENSE_BYTES = 1 << 30
"""A sparse tensor that would take more when made dense is refused."""


class TensorReader:
    """Reads the tensors of one model; external files are mapped once each.

    ``folder`` is the model's, None when it did not come from a file.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.files: dict[str, memoryview] = {}
        self.external = False

    def array(
        self, tensor: onnx.TensorProto, where: str, payload: memoryview | None = None
    ) -> np.ndarray:
        """The tensor as an array; ``payload`` is its raw data when that was cut out.

        Raises InvalidModelError, with ``where`` in the message, when shape, type and data disagree.
        """
        kind = tensor.data_type
        dtype = DTYPES.get(kind)
        if dtype is None:
            raise InvalidModelError(f"{where}: unknown element type {kind}")
        if tensor.HasField("segment"):
            raise UnsupportedError(f"{where}: tensors in segments are not supported")
        shape = checked_shape(tensor.dims, dtype.itemsize, where)
        if tensor.data_location == Types.EXTERNAL:
            payload = self._external(tensor, where, _raw_bytes(kind, dtype, math.prod(shape)))
        elif payload is None and tensor.HasField("raw_data"):
            payload = memoryview(tensor.raw_data)
        if payload is None:
            return _from_fields(tensor, dtype, shape, where)
        if kind == Types.STRING:
            raise InvalidModelError(f"{where}: strings cannot stand in raw data")
        return from_raw(payload, kind, shape, where)

    def dense(self, sparse: onnx.SparseTensorProto, where: str) -> np.ndarray:
        """A sparse tensor (coordinates or linear indices) as a dense array.

        Raises UnsupportedError when that takes more than `MAX_DENSE_BYTES`.
        """
        values = self.array(sparse.values, f"{where} values")
        shape = checked_shape(sparse.dims, values.dtype.itemsize, where)
        if math.prod(shape) * values.dtype.itemsize > MAX_DENSE_BYTES:
            raise UnsupportedError(f"{where}: a sparse tensor of shape {list(shape)} is too large")
        indices = self.array(sparse.indices, f"{where} indices")
        if values.ndim != 1 or indices.dtype != np.int64 or indices.ndim not in (1, 2):
            raise InvalidModelError(f"{where}: malformed sparse tensor")
        columns = indices[:, None] if indices.ndim == 1 else indices
        limits = np.array([math.prod(shape)] if indices.ndim == 1 else shape, np.int64)
        fits = columns.shape == (values.size, limits.size)
        if not fits or ((columns < 0) | (columns >= limits)).any():
            raise InvalidModelError(f"{where}: a sparse tensor's index lies outside of {shape}")
        fill = "" if values.dtype == object else 0
        result = np.full(shape, fill, values.dtype)
        flat = indices if indices.ndim == 1 else np.ravel_multi_index(tuple(indices.T), shape)
        result.reshape(-1)[flat] = values
        return result

    def _external(self, tensor: onnx.TensorProto, where: str, size: int) -> memoryview:
        if tensor.data_type == Types.STRING:
            raise InvalidModelError(f"{where}: strings cannot be external data")
        fields = {text(entry.key): text(entry.value) for entry in tensor.external_data}
        data = self._file(fields.get("location", ""), where)
        offset = _number(fields.get("offset", "0"), "offset", where)
        length = _number(fields.get("length", str(size)), "length", where)
        if length != size:
            raise InvalidModelError(
                f"{where}: its external data has {length} bytes, its shape needs {size}"
            )
        if offset + length > data.nbytes:
            raise InvalidModelError(
                f"{where}: its data at {offset} to {offset + length} lies beyond the end of "
                f"'{fields['location']}' ({data.nbytes} bytes)"
            )
        self.external = True
        return data[offset : offset + length]

    def _file(self, location: str, where: str) -> memoryview:
        if location not in self.files:
            self.files[location] = _map(self._path(location, where), location, where)
        return self.files[location]

    def _path(self, location: str, where: str) -> Path:
        if self.folder is None:
            raise InvalidModelError(
                f"{where}: its data lies in '{location}', but the model was not read from a file",
                hint="give the path of the model, or load its external data first",
            )
        if not location or "\0" in location:
            raise InvalidModelError(f"{where}: external data without a location")
        path = (self.folder / location).resolve()
        if os.path.isabs(location) or not path.is_relative_to(self.folder):
            raise InvalidModelError(
                f"{where}: external data '{location}' lies outside of the model's folder",
                hint="put the file itself, no link, into the folder of the model",
            )
        return path


def _map(path: Path, location: str, where: str) -> memoryview:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return memoryview(b"")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except FileNotFoundError as error:
        raise InvalidModelError(f"{where}: external data file '{location}' is missing") from error
    except (OSError, ValueError) as error:
        raise InvalidModelError(
            f"{where}: external data file '{location}' cannot be read: {error}"
        ) from error


def _number(digits: str, field: str, where: str) -> int:
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        raise InvalidModelError(f"{where}: external data with {field} '{digits}'")
    return int(digits)


def checked_shape(dims: object, itemsize: int, where: str) -> tuple[int, ...]:
    """The sizes as a tuple. Raises InvalidModelError when no array can have them."""
    shape = tuple(dims)  # type: ignore[arg-type]
    if any(size < 0 for size in shape):
        raise InvalidModelError(f"{where}: negative size in shape {list(shape)}")
    if len(shape) > _MAX_RANK or math.prod(n for n in shape if n) * itemsize > _MAX_BYTES:
        raise InvalidModelError(f"{where}: absurd shape {list(shape)[:_MAX_RANK]}")
    return shape


def _raw_bytes(kind: int, dtype: np.dtype, count: int) -> int:
    bits = _BITS.get(kind, 8 * dtype.itemsize)
    return (count * bits + 7) // 8


def from_raw(data: memoryview, kind: int, shape: tuple[int, ...], where: str) -> np.ndarray:
    """Raw data as an array: a read-only view, but for bit-packed types and odd booleans."""
    dtype, count = DTYPES[kind], math.prod(shape)
    size = _raw_bytes(kind, dtype, count)
    if data.nbytes != size:
        raise InvalidModelError(
            f"{where}: shape {list(shape)} of {dtype} needs {size} bytes, its data has "
            f"{data.nbytes}"
        )
    if count == 0:
        return np.zeros(shape, dtype)
    if kind in _BITS:
        return unpack_bits(np.frombuffer(data, np.uint8), _BITS[kind], count, dtype).reshape(shape)
    if kind == Types.BOOL:
        return _booleans(np.frombuffer(data, np.uint8)).reshape(shape)
    return np.frombuffer(data, dtype).reshape(shape)


def _booleans(data: np.ndarray) -> np.ndarray:
    return data.view(np.bool_) if data.max(initial=0) <= 1 else data != 0


def unpack_bits(data: np.ndarray, bits: int, count: int, dtype: np.dtype) -> np.ndarray:
    """``count`` elements of 2, 4 or 6 bits out of packed bytes, little end first."""
    if bits == 6:
        padded = np.zeros(-(-data.size // 3) * 3, np.uint32)
        padded[: data.size] = data
        words = padded.reshape(-1, 3) @ np.array([1, 1 << 8, 1 << 16], np.uint32)
        shifts, mask = range(0, 24, 6), np.uint32(63)
    else:
        words, shifts, mask = data, range(0, 8, bits), np.uint8((1 << bits) - 1)
    fields = np.stack([((words >> shift) & mask).astype(np.uint8) for shift in shifts], axis=-1)
    return _sign_extended(fields.reshape(-1)[:count], bits, dtype)


def _sign_extended(fields: np.ndarray, bits: int, dtype: np.dtype) -> np.ndarray:
    """ml_dtypes keeps a signed small integer sign-extended in its byte."""
    if dtype in (ml_dtypes.int4, ml_dtypes.int2):
        shift = 8 - bits
        fields = ((fields << shift).view(np.int8) >> shift).view(np.uint8)
    return fields.view(dtype)


def _from_fields(
    tensor: onnx.TensorProto, dtype: np.dtype, shape: tuple[int, ...], where: str
) -> np.ndarray:
    kind, count = tensor.data_type, math.prod(shape)
    if kind == Types.STRING:
        data = np.empty(len(tensor.string_data), object)
        data[:] = [text_attribute(entry).data for entry in tensor.string_data]
    else:
        field, stored = _FIELDS.get(kind, ("int32_data", np.int32))
        data = _converted(np.array(getattr(tensor, field), stored), kind, dtype, count)
    if data.size != count:
        raise InvalidModelError(
            f"{where}: shape {list(shape)} needs {count} elements, the data has {data.size}"
        )
    return data.reshape(shape)


def _converted(data: np.ndarray, kind: int, dtype: np.dtype, count: int) -> np.ndarray:
    if kind in (Types.COMPLEX64, Types.COMPLEX128):
        return data[: data.size // 2 * 2].view(dtype)
    if kind == Types.BOOL:
        return data != 0
    if kind in _FIELDS or kind in _INTEGERS:
        return data.astype(dtype)
    if kind in (Types.FLOAT6E2M3, Types.FLOAT6E3M2):
        return (data.astype(np.uint8) & 63).view(dtype)
    if kind in _BITS:
        available = data.size * 8 // _BITS[kind]
        fits = data.size == _raw_bytes(kind, dtype, count)
        return unpack_bits(data.astype(np.uint8), _BITS[kind], count if fits else available, dtype)
    return data.astype(np.uint16 if dtype.itemsize == 2 else np.uint8).view(dtype)
