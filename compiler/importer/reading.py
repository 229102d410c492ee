"""From a path, bytes or a `ModelProto` to a `ModelProto` whose large tensors are not copied.

A protobuf message in Python hands out its `bytes` fields as copies. So of a large file, which is
mapped, the raw data of the main graph's initializers is cut out before protobuf parses the rest,
and stays a view (`ModelSource.payloads`). The wire format is that of
https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import onnx
from google.protobuf.message import DecodeError

from runtime.errors import InvalidModelError

Source: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | onnx.ModelProto"

SPLIT_BYTES = 4 << 20
"""Models of at least this size have their initializers cut out instead of copied."""

_PAYLOAD_BYTES = 4096

_MODEL_GRAPH, _GRAPH_INITIALIZER, _TENSOR_RAW_DATA = 7, 5, 9
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass
class ModelSource:
    """A parsed model and where its data lie.

    ``payloads`` has the raw data of initializer ``k`` of the main graph where it was cut out of
    the proto; ``folder`` is None when the model did not come from a file; ``label`` names it in
    messages.
    """

    proto: onnx.ModelProto
    label: str
    folder: Path | None = None
    payloads: dict[int, memoryview] = field(default_factory=dict)


def read_model(source: Source) -> ModelSource:
    """Reads and parses a model. Raises InvalidModelError for what is no ONNX model."""
    if isinstance(source, onnx.ModelProto):
        return _checked(ModelSource(source, "model"))
    if isinstance(source, bytes | bytearray | memoryview):
        return _checked(_parse_binary(memoryview(source).cast("B"), "model", None))
    path = Path(source)
    data = _map_file(path)
    label, folder = str(path), path.resolve().parent
    kind = onnx.serialization.registry.get_format_from_file_extension(path.suffix) or "protobuf"
    if kind == "protobuf":
        return _checked(_parse_binary(data, label, folder))
    return _checked(ModelSource(_parse_text(bytes(data), kind, label), label, folder))


def _map_file(path: Path) -> memoryview:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size == 0:
                raise InvalidModelError(f"{path}: the file is empty")
            if size < SPLIT_BYTES:
                return memoryview(file.read())
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except FileNotFoundError as error:
        raise InvalidModelError(f"{path}: there is no such file") from error
    except (OSError, ValueError) as error:
        raise InvalidModelError(f"{path}: cannot be read: {error}") from error


def _parse_text(data: bytes, kind: str, label: str) -> onnx.ModelProto:
    from google.protobuf import json_format, text_format

    errors = (json_format.ParseError, text_format.ParseError, onnx.parser.ParseError)
    # onnx's own syntax is read in C++, where numbers out of range raise plain exceptions.
    numbers = (UnicodeDecodeError, RuntimeError, ValueError, IndexError)
    try:
        if kind == "onnxtxt":
            return onnx.parser.parse_model(data.decode())
        return onnx.serialization.registry.get(kind).deserialize_proto(data, onnx.ModelProto())
    except (*errors, *numbers) as error:
        raise InvalidModelError(f"{label}: {kind} syntax error: {error}") from error


def _parse_binary(data: memoryview, label: str, folder: Path | None) -> ModelSource:
    if not data.nbytes:
        raise InvalidModelError(f"{label}: the data is empty")
    payloads: dict[int, memoryview] = {}
    text: bytes | None = None
    if data.nbytes >= SPLIT_BYTES:
        text, payloads = split_payloads(data)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(bytes(data) if text is None else text)
    except DecodeError as error:
        raise InvalidModelError(
            f"{label}: this is no ONNX model, or it is truncated or corrupt ({error})"
        ) from error
    return ModelSource(model, label, folder, payloads)


def _checked(source: ModelSource) -> ModelSource:
    if not source.proto.HasField("graph"):
        raise InvalidModelError(f"{source.label}: the file holds no graph, so it is no ONNX model")
    return source


def split_payloads(data: memoryview) -> tuple[bytes | None, dict[int, memoryview]]:
    """A serialized model without its large initializers' raw data, and those data by position.

    Gives (None, {}) for bytes that are malformed or have an unusual layout: protobuf judges those.
    """
    pieces: list[bytes | memoryview] = []
    payloads: dict[int, memoryview] = {}
    graphs = 0
    try:
        for number, wire, start, begin, end in _fields(data, 0, len(data)):
            if number == _MODEL_GRAPH and wire == _BYTES:
                graphs += 1
                graph = b"".join(_split_graph(data, begin, end, payloads))
                pieces += (_header(_MODEL_GRAPH, len(graph)), graph)
            else:
                pieces.append(data[start:end])
    except (ValueError, IndexError):
        return None, {}
    return (b"".join(pieces), payloads) if graphs == 1 else (None, {})


def _split_graph(
    data: memoryview, begin: int, end: int, payloads: dict[int, memoryview]
) -> Iterator[bytes | memoryview]:
    index = 0
    for number, wire, start, inner, stop in _fields(data, begin, end):
        is_tensor = number == _GRAPH_INITIALIZER and wire == _BYTES
        raw = _raw_data(data, inner, stop) if is_tensor and stop - inner > _PAYLOAD_BYTES else None
        if raw is None:
            yield data[start:stop]
        else:
            field_start, payload_start, payload_end = raw
            payloads[index] = data[payload_start:payload_end]
            length = (field_start - inner) + (stop - payload_end)
            yield _header(_GRAPH_INITIALIZER, length)
            yield data[inner:field_start]
            yield data[payload_end:stop]
        index += is_tensor


def _raw_data(data: memoryview, begin: int, end: int) -> tuple[int, int, int] | None:
    found = [
        (start, inner, stop)
        for number, wire, start, inner, stop in _fields(data, begin, end)
        if number == _TENSOR_RAW_DATA and wire == _BYTES
    ]
    return found[0] if len(found) == 1 and found[0][2] - found[0][1] > _PAYLOAD_BYTES // 2 else None


def _fields(data: memoryview, begin: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Fields of a message: number, wire type, start of the field, of its value, end.

    Raises ValueError when the bytes are no message.
    """
    position = begin
    while position < end:
        start = position
        tag, position = _varint(data, position)
        wire = tag & 7
        if wire == _VARINT:
            value, (_, stop) = position, _varint(data, position)
        elif wire == _BYTES:
            length, value = _varint(data, position)
            stop = value + length
        elif wire in (_FIXED32, _FIXED64):
            value, stop = position, position + (4 if wire == _FIXED32 else 8)
        else:
            raise ValueError(f"wire type {wire}")
        if stop > end:
            raise ValueError("a field reaches beyond its message")
        yield tag >> 3, wire, start, value, stop
        position = stop


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7
        if shift > 63:
            raise ValueError("a number is longer than 64 bits")


def _header(number: int, length: int) -> bytes:
    header = bytearray([number << 3 | _BYTES])
    while length >= 0x80:
        header.append(length & 0x7F | 0x80)
        length >>= 7
    header.append(length)
    return bytes(header)
