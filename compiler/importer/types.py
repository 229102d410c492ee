"""From a `TypeProto` to a type of the IR, with the symbols of its sizes."""

from __future__ import annotations

import keyword
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping

import onnx
from xdsl.ir import Attribute

from compiler.importer.names import text
from compiler.importer.tensors import DTYPES
from dialects.onnx.dims import SIGNED_PREFIX, Dim, parse_dim, substitute, symbol, symbols_of
from dialects.onnx.types import (
    MapType,
    OptionalType,
    SequenceType,
    SparseTensorType,
    element_type,
    tensor_type,
    unknown,
)
from runtime.errors import InputError, InvalidModelError, UnsupportedError

_MAX_EXPRESSION = 100
_MAX_NESTING = 16
_MAX_ELEMENTS = 1 << 46


class Symbols:
    """The symbolic sizes of a model: which symbol stands for which text.

    Texts that are identifiers are symbols of that name; expressions over symbols that occur alone
    in some input stay expressions; any other text is an opaque symbol of its own. ``fixed``
    replaces symbols by sizes.
    """

    def __init__(self, fixed: Mapping[str, int]) -> None:
        self.fixed = dict(fixed)
        self.unused = set(fixed)
        self.dims: dict[str, Dim] = {}
        self.texts: dict[str, str] = {}

    def declare(self, inputs: Iterable[onnx.ValueInfoProto]) -> None:
        """Takes over the texts of these inputs' sizes, those that are plain names first."""
        texts = dict.fromkeys(t for value in inputs for t in _dim_params(value.type, 0))
        for plain in [t for t in texts if _is_symbol(t)]:
            self.dims[plain] = self._fixed(symbol(plain), plain)
            self.texts[plain] = plain
        for other in texts:
            self.named(other)

    def named(self, param: str) -> Dim:
        """The size that a `dim_param` means."""
        if param not in self.dims:
            expression = self._expression(param)
            self.dims[param] = self._opaque(param) if expression is None else expression
        return self.dims[param]

    def anonymous(self, value: str, axis: int) -> Dim:
        """A symbol for an unnamed size, made of the value's name and the axis."""
        name = self._unique(f"{value}_{axis}")
        self.texts[name] = ""
        return self._fixed(symbol(name), name)

    def check_fixed(self) -> None:
        """Raises InputError when a fixed size belongs to no symbol."""
        if self.unused:
            known = ", ".join(f"'{name}'" for name in self.texts) or "none"
            names = ", ".join(f"'{name}'" for name in sorted(self.unused))
            raise InputError(
                f"no symbolic size {names} in the model's inputs", hint=f"it has: {known}"
            )

    def renamed(self) -> dict[str, str]:
        """Symbols that stand for a different text, and that text ("" for none)."""
        return {name: t for name, t in self.texts.items() if name != t}

    def _opaque(self, param: str) -> Dim:
        name = self._unique(param)
        self.texts[name] = param
        return self._fixed(symbol(name), name, param)

    def _expression(self, param: str) -> Dim | None:
        if len(param) > _MAX_EXPRESSION:
            return None
        try:
            dim = parse_dim(param.strip())
        except (ValueError, ZeroDivisionError, RecursionError, MemoryError):
            return None
        names = symbols_of(dim)
        if not names or not all(self.texts.get(name) == name for name in names):
            return None
        value = substitute(dim, self.fixed)
        if isinstance(value, int) and value < 0:
            raise InputError(f"the fixed sizes make '{param}' negative: {value}")
        return value

    def _fixed(self, dim: Dim, *names: str) -> Dim:
        for name in names:
            if name in self.fixed:
                self.unused.discard(name)
                return self.fixed[name]
        return dim

    def _unique(self, stem: str) -> str:
        stem = _sanitized(stem)
        name, number = stem, 1
        while name in self.texts:
            number += 1
            name = f"{stem}_{number}"
        return name


def _sanitized(name: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_]", "_", unicodedata.normalize("NFKC", name))
    return name if _is_symbol(name) else f"_{name}"


def _is_symbol(name: str) -> bool:
    reserved = keyword.iskeyword(name) or name in ("max", "min") or name.startswith(SIGNED_PREFIX)
    return name.isascii() and name.isidentifier() and not reserved


def _dim_params(proto: onnx.TypeProto, depth: int) -> list[str]:
    if proto.HasField("tensor_type"):
        return [text(dim.dim_param) for dim in proto.tensor_type.shape.dim if dim.dim_param]
    if proto.HasField("sparse_tensor_type"):
        return [text(dim.dim_param) for dim in proto.sparse_tensor_type.shape.dim if dim.dim_param]
    if proto.HasField("optional_type") and depth < _MAX_NESTING:
        return _dim_params(proto.optional_type.elem_type, depth + 1)
    return []


def input_type(value: onnx.ValueInfoProto, symbols: Symbols) -> Attribute:
    """The type of a graph input; sizes it leaves open are symbols of its own.

    A size of 0 or less counts as open: exporters write it for an unknown one.
    """
    name = text(value.name)
    return _type(value.type, f"input '{name}'", name, symbols, 1, 0)


def declared_output_type(value: onnx.ValueInfoProto, symbols: Symbols) -> Attribute:
    """The type that a graph output claims to have, or `!onnx.unknown`."""
    if value.type.WhichOneof("value") is None or _untyped(value.type):
        return unknown
    name = text(value.name)
    return _type(value.type, f"output '{name}'", name, symbols, 0, 0)


def loose_type(proto: onnx.TypeProto, where: str) -> Attribute:
    """A claimed type without its sizes; `!onnx.unknown` when nothing is claimed."""
    kind = proto.WhichOneof("value")
    if kind is None or _untyped(proto):
        return unknown
    if kind == "tensor_type":
        return tensor_type(_element(proto.tensor_type.elem_type, where), None)
    return _type(proto, where, "", None, 0, 0)


def attribute_type(proto: onnx.TypeProto, where: str) -> Attribute:
    """A type that is an attribute; sizes are kept where all of a tensor's are known."""
    return _type(proto, where, "", None, 0, 0)


def _untyped(proto: onnx.TypeProto) -> bool:
    return proto.HasField("tensor_type") and not proto.tensor_type.elem_type


def _type(
    proto: onnx.TypeProto, where: str, name: str, symbols: Symbols | None, least: int, depth: int
) -> Attribute:
    """``least`` is the smallest declared size that counts; without symbols sizes are left out."""
    if depth > _MAX_NESTING:
        raise UnsupportedError(f"{where}: its type is nested too deeply")
    match proto.WhichOneof("value"):
        case "tensor_type":
            return _tensor(proto.tensor_type, where, name, symbols, least)
        case "sparse_tensor_type":
            return SparseTensorType(_tensor(proto.sparse_tensor_type, where, name, symbols, least))
        case "optional_type":
            inner = proto.optional_type.elem_type
            return OptionalType(_type(inner, where, name, symbols, least, depth + 1))
        # Elements of a sequence differ in size, so symbols would claim too much.
        case "sequence_type":
            return SequenceType(
                _type(proto.sequence_type.elem_type, where, name, None, least, depth + 1)
            )
        case "map_type":
            key = _element(proto.map_type.key_type, where)
            value = _type(proto.map_type.value_type, where, name, None, least, depth + 1)
            return MapType(key, value)
        case None:
            raise InvalidModelError(f"{where} has no type")
        case kind:
            raise UnsupportedError(f"{where} has a type of kind '{kind}'")


def _tensor(
    proto: onnx.TypeProto.Tensor | onnx.TypeProto.SparseTensor,
    where: str,
    name: str,
    symbols: Symbols | None,
    least: int,
) -> Attribute:
    element = _element(proto.elem_type, where)
    if not proto.HasField("shape") or len(proto.shape.dim) > 64:
        return tensor_type(element, None)
    if symbols is None:
        static = [dim.dim_value for dim in proto.shape.dim if dim.dim_value > 0]
        return tensor_type(element, static if len(static) == len(proto.shape.dim) else None)
    dims = [_dim(dim, name, axis, symbols, least) for axis, dim in enumerate(proto.shape.dim)]
    if math.prod(dim for dim in dims if isinstance(dim, int) and dim) > _MAX_ELEMENTS:
        raise InvalidModelError(f"{where} has the absurd shape {dims}")
    return tensor_type(element, dims)


def _dim(
    dim: onnx.TensorShapeProto.Dimension, name: str, axis: int, symbols: Symbols, least: int
) -> Dim:
    if dim.dim_param:
        return symbols.named(text(dim.dim_param))
    if dim.HasField("dim_value") and dim.dim_value >= least:
        return dim.dim_value
    return symbols.anonymous(name, axis)


def _element(kind: int, where: str) -> Attribute:
    if kind not in DTYPES:
        raise InvalidModelError(f"{where} has the unknown element type {kind}")
    return element_type(DTYPES[kind])
