"""Types, constants and names of the `llvm` dialect as LLVM IR text."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from functools import cache

from xdsl.dialects.builtin import (
    BFloat16Type,
    DenseIntOrFPElementsAttr,
    Float16Type,
    Float32Type,
    Float64Type,
    FloatAttr,
    IntAttr,
    IntegerAttr,
    IntegerType,
    StringAttr,
    VectorType,
)
from xdsl.ir import Attribute

from dialects.llvm import (
    LLVMArrayType,
    LLVMFunctionType,
    LLVMPointerType,
    LLVMStructType,
    LLVMVoidType,
)
from runtime.errors import InternalError, Place

_PLACE = Place(stage="llvm")
_FLOATS: dict[type[Attribute], str] = {
    Float16Type: "half",
    BFloat16Type: "bfloat",
    Float32Type: "float",
    Float64Type: "double",
}
_SUFFIXES: dict[type[Attribute], str] = {
    Float16Type: "f16",
    BFloat16Type: "bf16",
    Float32Type: "f32",
    Float64Type: "f64",
}
_PLAIN_NAME = re.compile(r"[A-Za-z$._-][A-Za-z0-9$._-]*")


@cache
def type_text(kind: Attribute) -> str:
    """A type as LLVM writes it."""
    if isinstance(kind, IntegerType):
        return f"i{kind.width.data}"
    if type(kind) in _FLOATS:
        return _FLOATS[type(kind)]
    if isinstance(kind, LLVMPointerType):
        space = kind.addr_space
        return f"ptr addrspace({space.data})" if isinstance(space, IntAttr) else "ptr"
    if isinstance(kind, VectorType):
        return f"<{kind.get_shape()[0]} x {type_text(kind.element_type)}>"
    if isinstance(kind, LLVMArrayType):
        return f"[{kind.size.data} x {type_text(kind.type)}]"
    if isinstance(kind, LLVMStructType):
        return f"{{ {', '.join(map(type_text, kind.types.data))} }}"
    if isinstance(kind, LLVMVoidType):
        return "void"
    if isinstance(kind, LLVMFunctionType):
        inputs = [type_text(each) for each in kind.inputs.data]
        if kind.is_variadic:
            inputs.append("...")
        return f"{type_text(kind.output)} ({', '.join(inputs)})"
    raise InternalError(f"LLVM has no type {kind}", _PLACE)


@cache
def suffix(kind: Attribute) -> str:
    """A type as it stands in the name of an overloaded intrinsic."""
    if isinstance(kind, IntegerType):
        return f"i{kind.width.data}"
    if type(kind) in _SUFFIXES:
        return _SUFFIXES[type(kind)]
    if isinstance(kind, LLVMPointerType):
        return f"p{kind.addr_space.data}" if isinstance(kind.addr_space, IntAttr) else "p0"
    if isinstance(kind, VectorType):
        return f"v{kind.get_shape()[0]}{suffix(kind.element_type)}"
    raise InternalError(f"no intrinsic is overloaded on {kind}", _PLACE)


def symbol(name: str) -> str:
    """A function or global by name, quoted where needed."""
    return f"@{name}" if _PLAIN_NAME.fullmatch(name) else f"@{quoted(name)}"


def quoted(text: str) -> str:
    """A string literal of LLVM IR."""
    return f'"{escaped(text.encode())}"'


def escaped(data: bytes) -> str:
    """Bytes inside a string literal."""
    return "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:02X}" for byte in data
    )


def float_text(value: float, kind: Attribute) -> str:
    """A float literal, exact, in LLVM's hexadecimal notation."""
    if isinstance(kind, Float16Type):
        return f"0xH{_float_bits(value, '<e', '<H'):04X}"
    if isinstance(kind, BFloat16Type):
        return f"0xR{_bfloat_bits(_float_bits(value, '<f', '<I')):04X}"
    if isinstance(kind, Float32Type):
        return _float32_text(_float_bits(value, "<f", "<I"))
    return f"0x{_float_bits(value, '<d', '<Q'):016X}"


def _float_bits(value: float, float_format: str, int_format: str) -> int:
    try:
        packed = struct.pack(float_format, value)
    except OverflowError:
        packed = struct.pack(float_format, math.copysign(math.inf, value))
    return struct.unpack(int_format, packed)[0]


def _bfloat_bits(bits: int) -> int:
    """The upper half of an f32's bits, rounded to the nearest even one; NaN stays NaN."""
    if bits & 0x7FFFFFFF > 0x7F800000:
        return bits >> 16 | 0x40
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


def _float32_text(bits: int) -> str:
    """LLVM writes a float as the double of the same value; NaN payloads move along."""
    exponent, mantissa = bits >> 23 & 0xFF, bits & 0x7FFFFF
    if exponent == 0xFF:
        wide = (bits >> 31) << 63 | 0x7FF << 52 | mantissa << 29
    else:
        (value,) = struct.unpack("<f", struct.pack("<I", bits))
        (wide,) = struct.unpack("<Q", struct.pack("<d", value))
    return f"0x{wide:016X}"


def _integer_text(value: int, kind: IntegerType) -> str:
    width = kind.width.data
    if width == 1:
        return "true" if value & 1 else "false"
    return str(value)


def constant_text(value: Attribute, kind: Attribute) -> str:
    """The literal of a constant of a type, without the type."""
    if isinstance(value, FloatAttr):
        return float_text(value.value.data, value.type)
    if isinstance(value, IntegerAttr):
        integer = value.value.data
        if isinstance(kind, IntegerType):
            return _integer_text(integer, kind)
    if isinstance(value, StringAttr):
        return f'c"{escaped(value.data.encode())}"'
    if isinstance(value, DenseIntOrFPElementsAttr):
        return _dense_text(value, kind)
    raise InternalError(f"{value} is no constant of type {kind}", _PLACE)


def _dense_text(value: DenseIntOrFPElementsAttr, kind: Attribute) -> str:
    element = value.get_element_type()
    elements = list(_elements(value.data.data, element))
    count = kind.get_shape()[0] if isinstance(kind, VectorType) else _array_length(kind)
    first = elements[0]
    text = type_text(element)
    if all(each == first for each in elements):
        if isinstance(kind, VectorType):
            return f"splat ({text} {first})"
        elements = [first] * count
    if isinstance(kind, VectorType):
        return f"<{', '.join(f'{text} {each}' for each in elements)}>"
    if text == "i8":
        return f'c"{escaped(value.data.data)}"'
    return f"[{', '.join(f'{text} {each}' for each in elements)}]"


def _array_length(kind: Attribute) -> int:
    if isinstance(kind, LLVMArrayType):
        return kind.size.data
    raise InternalError(f"dense constant of type {kind}", _PLACE)


def _elements(data: bytes, kind: Attribute) -> Iterator[str]:
    """The literals of packed little-endian elements."""
    if isinstance(kind, IntegerType):
        size = 1 << max(0, (kind.width.data - 1).bit_length() - 3)
        for start in range(0, len(data), size):
            integer = int.from_bytes(data[start : start + size], "little", signed=True)
            yield _integer_text(integer, kind)
    elif isinstance(kind, Float32Type):
        yield from (_float32_text(bits) for (bits,) in struct.iter_unpack("<I", data))
    elif isinstance(kind, Float64Type):
        yield from (f"0x{bits:016X}" for (bits,) in struct.iter_unpack("<Q", data))
    elif isinstance(kind, Float16Type | BFloat16Type):
        letter = "H" if isinstance(kind, Float16Type) else "R"
        yield from (f"0x{letter}{bits:04X}" for (bits,) in struct.iter_unpack("<H", data))
    else:
        raise InternalError(f"dense constant of {kind}", _PLACE)
