"""The safetensors layout: named tensors and text metadata in one file that is mapped, not read.

    8 bytes    length of the header, little-endian
    header     JSON: {"__metadata__": {key: text},
                      name: {"dtype": code, "shape": [...], "data_offsets": [begin, end]}, ...}
    data       the tensors back to back

https://huggingface.co/docs/safetensors. On top of it, and still readable by any safetensors
library:

* Data and every tensor begin at a multiple of 64 bytes. The format forbids holes, so tensors
  ``padding/<n>`` fill them.
* ``__metadata__["crc32/<name>"]`` is the checksum of a tensor's bytes and ``__metadata__["crc32"]``
  that of the header without this entry: native code must not run on a damaged file.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import secrets
import struct
import zlib
from collections.abc import Collection, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from runtime.dtypes import NAMES_OF_CODES, SAFETENSORS_CODES, numpy_dtype
from runtime.errors import InvalidModelError, UnsupportedError
from runtime.memory import ALIGNMENT, as_bytes

_LENGTH = struct.Struct("<Q")
_MAX_HEADER = 100_000_000
_PADDING = "padding/"
_CHECKSUM = "crc32"
_PIECE = 65536
"""Bytes that are written at a time of a tensor of which only parts will be read. Linux keeps what
is written at once in one folio, up to 2 MB, and since 6.18 maps a folio as a whole."""


def write(
    path: Path,
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, str],
    selected: Collection[str] = (),
) -> None:
    """Writes ``tensors`` and ``metadata`` to ``path``, all or nothing; a file there is replaced.

    ``selected`` names tensors of which readers touch a few parts. They are written in small
    pieces, so that those parts do not bring large ones into memory.

    Raises:
        UnsupportedError: an element type that safetensors has no code for.
    """
    layout, entries = _lay_out(tensors)
    texts = dict(metadata)
    texts.update((f"{_CHECKSUM}/{name}", _crc(array)) for name, array in layout.items())
    header: dict[str, Any] = {"__metadata__": texts, **entries}
    texts[_CHECKSUM] = _header_crc(header)
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-(len(encoded) + _LENGTH.size) % ALIGNMENT)
    with _replacing(path) as file:
        file.write(_LENGTH.pack(len(encoded)) + encoded)
        for name, array in layout.items():
            step = _PIECE if name in selected else max(1, array.nbytes)
            for begin in range(0, array.nbytes, step):
                file.write(array.data[begin : begin + step])


def _lay_out(tensors: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The bytes of all tensors, paddings included, in file order, and their header entries."""
    layout: dict[str, np.ndarray] = {}
    entries: dict[str, Any] = {}
    end = 0
    for name, array in tensors.items():
        if gap := -end % ALIGNMENT:
            padding = f"{_PADDING}{len(layout)}"
            layout[padding] = np.zeros(gap, np.uint8)
            entries[padding] = {"dtype": "U8", "shape": [gap], "data_offsets": [end, end + gap]}
            end += gap
        data = as_bytes(np.ascontiguousarray(array, array.dtype.newbyteorder("<")))
        layout[name] = data
        entries[name] = {
            "dtype": _code(name, array),
            "shape": list(array.shape),
            "data_offsets": [end, end + data.nbytes],
        }
        end += data.nbytes
    return layout, entries


def _code(name: str, array: np.ndarray) -> str:
    code = SAFETENSORS_CODES.get(array.dtype.newbyteorder("=").name)
    if code is None:
        raise UnsupportedError(f"'{name}' has element type {array.dtype}, which cannot be saved")
    return code


def _crc(data: np.ndarray) -> str:
    return f"{zlib.crc32(data.data):08x}"


def _header_crc(header: Mapping[str, Any]) -> str:
    texts = {k: v for k, v in header["__metadata__"].items() if k != _CHECKSUM}
    canonical = json.dumps({**header, "__metadata__": texts}, sort_keys=True)
    return f"{zlib.crc32(canonical.encode()):08x}"


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of ``path`` if the block succeeds, else vanishes."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read(path: Path, unchecked: str = "") -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """The metadata and the tensors of the file at ``path``; the tensors are read-only views of the
    mapped file.

    Tensors whose name begins with ``unchecked`` (if given) are not read, so their checksums are not
    compared.

    Raises:
        InvalidModelError: the file is not in this layout, truncated or damaged; the message names
            it.
        OSError: the file cannot be opened.
    """
    with open(path, "rb") as file:
        try:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise InvalidModelError(f"{path}: the file is empty") from error
    try:
        return _Reader(mapped).read(unchecked)
    except InvalidModelError as error:
        raise InvalidModelError(f"{path}: {error.message}") from error


class _Reader:
    """One pass over a mapped file. Its errors do not name the file."""

    def __init__(self, mapped: mmap.mmap) -> None:
        self._mapped = mapped
        self._begin = 0

    def read(self, unchecked: str) -> tuple[dict[str, str], dict[str, np.ndarray]]:
        header = self._header()
        metadata = header.pop("__metadata__")
        tensors = {name: self._tensor(name, entry) for name, entry in header.items()}
        self._check_cover(header)
        for name, tensor in tensors.items():
            if unchecked and name.startswith(unchecked):
                continue
            if metadata.get(f"{_CHECKSUM}/{name}") != _crc(as_bytes(tensor)):
                raise InvalidModelError(f"tensor '{name}' is damaged: its checksum does not fit")
        texts = {k: v for k, v in metadata.items() if k.split("/")[0] != _CHECKSUM}
        return texts, {k: v for k, v in tensors.items() if not k.startswith(_PADDING)}

    def _header(self) -> dict[str, Any]:
        size = len(self._mapped)
        if size < _LENGTH.size:
            raise InvalidModelError(f"the file is truncated: it has only {size} bytes")
        (length,) = _LENGTH.unpack_from(self._mapped)
        if length > _MAX_HEADER:
            raise InvalidModelError(f"not a program file: the header would have {length} bytes")
        self._begin = _LENGTH.size + length
        if self._begin > size:
            raise InvalidModelError(f"the file is truncated: {size} bytes end inside the header")
        try:
            header = json.loads(self._mapped[_LENGTH.size : self._begin])
        except (ValueError, RecursionError) as error:
            raise InvalidModelError(f"the header is not JSON: {error}") from error
        self._check_header(header)
        return header

    def _check_header(self, header: object) -> None:
        metadata = header.get("__metadata__") if isinstance(header, dict) else None
        if not isinstance(header, dict) or not isinstance(metadata, dict):
            raise InvalidModelError("not a program file: the header has no '__metadata__'")
        if not all(isinstance(text, str) for text in metadata.values()):
            raise InvalidModelError("a value in '__metadata__' is not text")
        if _CHECKSUM not in metadata:
            raise InvalidModelError("not a program file: the header has no checksum")
        if metadata[_CHECKSUM] != _header_crc(header):
            raise InvalidModelError("the header is damaged: its checksum does not fit")

    def _tensor(self, name: str, entry: object) -> np.ndarray:
        dtype, shape, begin, end = self._entry(name, entry)
        count = prod(shape)
        if end - begin != count * dtype.itemsize:
            raise InvalidModelError(f"tensor '{name}': its size does not fit its shape {shape}")
        if self._begin + end > len(self._mapped):
            raise InvalidModelError(f"the file is truncated: tensor '{name}' ends after its end")
        position = self._begin + begin
        if position % ALIGNMENT and count and not name.startswith(_PADDING):
            raise InvalidModelError(f"tensor '{name}' does not begin at a multiple of {ALIGNMENT}")
        if count == 0:
            return np.empty(shape, dtype)
        return np.frombuffer(self._mapped, dtype, count, position).reshape(shape)

    def _entry(self, name: str, entry: object) -> tuple[np.dtype, tuple[int, ...], int, int]:
        fields = entry if isinstance(entry, dict) else {}
        code: Any = fields.get("dtype")
        shape: Any = fields.get("shape")
        offsets: Any = fields.get("data_offsets")
        if code not in NAMES_OF_CODES:
            raise InvalidModelError(f"tensor '{name}' has the unknown element type {code!r}")
        if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
            raise InvalidModelError(f"tensor '{name}' has no valid shape and data_offsets")
        return numpy_dtype(NAMES_OF_CODES[code]), tuple(shape), offsets[0], offsets[1]

    def _check_cover(self, entries: Mapping[str, Any]) -> None:
        """Tensors must follow each other without holes and overlaps, to the end of the file."""
        position = 0
        for begin, end in sorted(entry["data_offsets"] for entry in entries.values()):
            if begin != position:
                raise InvalidModelError(f"the tensors overlap or leave a hole at byte {position}")
            position = end
        if self._begin + position != len(self._mapped):
            raise InvalidModelError("the file does not end with its last tensor")


def _are_sizes(value: Any) -> bool:
    """Whether ``value`` is a list of sizes, none so large that numpy's index arithmetic fails."""
    return isinstance(value, list) and all(type(x) is int and 0 <= x < 2**62 for x in value)
