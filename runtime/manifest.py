"""The manifest of a program: its signature, target and messages, checked and typed.

The form of the JSON is in docs/architecture.md. Optional here: ``messages[i]["error"]`` is the kind
of error a message stands for ("input" if absent, "device", "internal").
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runtime.dims import Dim, parse, show
from runtime.dtypes import numpy_dtype
from runtime.errors import (
    DeviceError,
    InputError,
    InternalError,
    InvalidModelError,
    Place,
    TerraceError,
    UnsupportedError,
)

FORMAT = 3
"""The version of the program file and of the native entry points that this runtime understands."""

MOST_HEAP_BUFFERS = 1 << 24
"""A program file that asks for more is damaged."""

_ERRORS: dict[str, type[TerraceError]] = {
    "input": InputError,
    "device": DeviceError,
    "internal": InternalError,
}
_DETAIL = re.compile(r"\{([0-3])\}")


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output: name, dtype (numpy's name) and shape (int, expression or None)."""

    name: str
    dtype: str
    shape: tuple[Dim, ...]

    @property
    def is_static(self) -> bool:
        return all(isinstance(dim, int) for dim in self.shape)

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype}{show(self.shape)}"


@dataclass(frozen=True, slots=True)
class Target:
    """The machine the object code is for. ``features`` is LLVM's list, ``+avx2,-avx512f``;
    ``identity`` the `runtime.cpus.cpu_identity` of the machine that it was compiled for and on.
    """

    triple: str = ""
    cpu: str = ""
    features: str = ""
    identity: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """What a failure code of the native code stands for; ``{0}``..``{3}`` are the run's details."""

    text: str
    place: Place = field(default_factory=Place)
    error: type[TerraceError] = InputError

    def as_error(self, details: Sequence[int], remark: str = "") -> TerraceError:
        text = _DETAIL.sub(lambda match: str(details[int(match.group(1))]), self.text)
        return self.error(text + remark, self.place)


@dataclass(frozen=True, slots=True)
class Span:
    """What happens between two events of a trace: a kernel, a copy, or the whole run."""

    name: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The typed view of a manifest.

    ``selected`` are the constants that a run reads parts of. ``arena_bytes`` is None if
    ``terrace_plan`` computes it. ``heap_buffers`` counts those whose sizes a run
    finds out.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    constants: tuple[str, ...]
    selected: frozenset[str]
    target: Target
    arena_bytes: int | None
    heap_buffers: int
    messages: tuple[Message, ...]
    metadata: Mapping[str, Any]
    spans: tuple[Span, ...] = ()


def parse_manifest(manifest: object) -> Manifest:
    """Checks ``manifest``, the JSON value, and gives the typed view of it.

    Raises:
        InvalidModelError: something in it is missing, of the wrong type, or of another format
            version.
        UnsupportedError: an input or output has an element type that the runtime cannot pass.
    """
    top = _Table(manifest, "the manifest")
    version = top.get("format", int)
    if version != FORMAT:
        raise InvalidModelError(f"the program has format {version}, this runtime reads {FORMAT}")
    arena_bytes = top.get("arena_bytes", int, None)
    if arena_bytes is not None and arena_bytes < 0:
        raise InvalidModelError("'arena_bytes' is negative")
    heap_buffers = top.get("heap_buffers", int, 0)
    if not 0 <= heap_buffers <= MOST_HEAP_BUFFERS:
        raise InvalidModelError(f"'heap_buffers' is {heap_buffers}")
    inputs = tuple(_tensor_spec(table) for table in top.tables("inputs"))
    outputs = tuple(_tensor_spec(table) for table in top.tables("outputs"))
    _check_unique("inputs", [spec.name for spec in inputs])
    _check_unique("outputs", [spec.name for spec in outputs])
    return Manifest(
        inputs=inputs,
        outputs=outputs,
        constants=_names(top, "constants"),
        selected=frozenset(_names(top, "selected")),
        target=_target(_Table(top.get("target", dict), "'target'")),
        arena_bytes=arena_bytes,
        heap_buffers=heap_buffers,
        messages=tuple(_message(table) for table in top.tables("messages", ())),
        metadata=top.get("metadata", dict, {}),
        spans=tuple(_span(table) for table in top.tables("spans", ())),
    )


_REQUIRED: Any = object()


class _Table:
    """A JSON object whose fields are type-checked when read; ``what`` names it in errors."""

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, dict):
            raise InvalidModelError(f"{what} is not a JSON object")
        self.what = what
        self._value = value

    def get(self, key: str, kind: type, default: Any = _REQUIRED) -> Any:
        value = self._value.get(key)
        if value is None:
            if default is _REQUIRED:
                raise InvalidModelError(f"{self.what} has no '{key}'")
            return default
        # bool is a subclass of int, and no field is both.
        if type(value) is not kind:
            raise InvalidModelError(f"'{key}' in {self.what} is {value!r}, not {kind.__name__}")
        return value

    def tables(self, key: str, default: Any = _REQUIRED) -> list[_Table]:
        values = self.get(key, list, default)
        return [_Table(value, f"'{key}[{index}]'") for index, value in enumerate(values)]


def _tensor_spec(table: _Table) -> TensorSpec:
    name, dtype = table.get("name", str), table.get("dtype", str)
    try:
        numpy_dtype(dtype)
    except UnsupportedError as error:
        raise UnsupportedError(f"'{name}': {error.message}", hint=error.hint) from error
    return TensorSpec(name, dtype, tuple(_dim(name, dim) for dim in table.get("shape", list)))


def _dim(name: str, dim: object) -> Dim:
    if dim is None or (type(dim) is int and 0 <= dim < 2**62):
        return dim
    if not isinstance(dim, str):
        raise InvalidModelError(f"'{name}' has the size {dim!r}")
    parse(dim)
    return dim


def _names(top: _Table, key: str) -> tuple[str, ...]:
    names = top.get(key, list, [])
    if not all(isinstance(name, str) for name in names):
        raise InvalidModelError(f"'{key}' in the manifest holds something that is not a name")
    _check_unique(key, names)
    return tuple(names)


_TARGET_KEYS = ("triple", "cpu", "features", "identity")


def _target(table: _Table) -> Target:
    return Target(*(table.get(key, str, "") for key in _TARGET_KEYS))


def _message(table: _Table) -> Message:
    kind = table.get("error", str, "input")
    if kind not in _ERRORS:
        raise InvalidModelError(f"{table.what} stands for the unknown error '{kind}'")
    place = Place(
        node=table.get("node", str, ""),
        op_type=table.get("op_type", str, ""),
        domain=table.get("domain", str, ""),
        opset=table.get("opset", int, None),
    )
    return Message(table.get("text", str), place, _ERRORS[kind])


def _span(table: _Table) -> Span:
    return Span(table.get("name", str), tuple(map(str, table.get("nodes", list))))


def _check_unique(what: str, names: Sequence[str]) -> None:
    if doubles := sorted(name for name, count in Counter(names).items() if count > 1):
        raise InvalidModelError(f"'{what}' in the manifest holds {', '.join(doubles)} twice")
