"""From an `AttributeProto` to the attribute of an operation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import onnx
from xdsl.dialects.builtin import ArrayAttr, DenseArrayBase, FloatAttr, IntegerAttr, StringAttr, i64
from xdsl.ir import Attribute

from compiler.importer.names import text
from compiler.importer.tensors import TensorReader
from compiler.importer.types import attribute_type
from dialects.onnx.constants import ConstantPool, dense_attribute
from dialects.onnx.ops import text_attribute
from dialects.onnx.types import AttributeRefAttr, StringTensorAttr, f32, tensor_type
from runtime.errors import UnsupportedError

Kind = onnx.AttributeProto
KIND_NAMES: dict[int, str] = {number: name for name, number in Kind.AttributeType.items()}

_FIELDS = {
    Kind.FLOAT: "f",
    Kind.INT: "i",
    Kind.STRING: "s",
    Kind.TENSOR: "t",
    Kind.GRAPH: "g",
    Kind.SPARSE_TENSOR: "sparse_tensor",
    Kind.TYPE_PROTO: "tp",
    Kind.FLOATS: "floats",
    Kind.INTS: "ints",
    Kind.STRINGS: "strings",
    Kind.TENSORS: "tensors",
    Kind.GRAPHS: "graphs",
}


def kind_of(proto: onnx.AttributeProto) -> int:
    """The attribute's kind; where an old model leaves it out, that of the field that is set."""
    if proto.type:
        return proto.type
    present = {field.name for field, _ in proto.ListFields()}
    return next((kind for kind, field in _FIELDS.items() if field in present), Kind.UNDEFINED)


class AttributeReader:
    """Reads attributes of one model; tensors go to ``pool``."""

    def __init__(self, tensors: TensorReader, pool: ConstantPool) -> None:
        self.tensors = tensors
        self.pool = pool

    def value(self, proto: onnx.AttributeProto, where: str) -> Attribute:
        """The attribute's value; a reference to a function's attribute is an `AttributeRefAttr`.

        Raises UnsupportedError for kinds that no operation has; graphs are regions.
        """
        kind = kind_of(proto)
        if proto.ref_attr_name:
            name = StringAttr(text(proto.ref_attr_name))
            return AttributeRefAttr(name, StringAttr(KIND_NAMES.get(kind, "UNDEFINED")))
        read = _READERS.get(kind)
        if read is None:
            raise UnsupportedError(
                f"{where} is of kind {KIND_NAMES.get(kind, str(kind))}, which is not supported"
            )
        return read(self, proto, where)

    def tensor(self, proto: onnx.TensorProto, where: str) -> Attribute:
        """A tensor as an attribute: dense, a resource in the pool, or strings."""
        return self.dense(self.tensors.array(proto, where), text(proto.name))

    def dense(self, array: np.ndarray, name: str) -> Attribute:
        """An array as an attribute."""
        value = dense_attribute(array, self.pool, name or "value")
        if isinstance(value, ArrayAttr):
            return StringTensorAttr(value, tensor_type(array.dtype, array.shape))
        return value


def _floats(values: Sequence[float]) -> Attribute:
    # xDSL prints no array<f32> with inf or NaN that it can read back.
    if all(map(math.isfinite, values)):
        return DenseArrayBase.from_list(f32, values)
    return ArrayAttr([FloatAttr(value, f32) for value in values])


_READERS: dict[int, Callable[[AttributeReader, onnx.AttributeProto, str], Attribute]] = {
    Kind.FLOAT: lambda reader, proto, where: FloatAttr(proto.f, f32),
    Kind.INT: lambda reader, proto, where: IntegerAttr(proto.i, i64),
    Kind.STRING: lambda reader, proto, where: text_attribute(proto.s),
    Kind.FLOATS: lambda reader, proto, where: _floats(list(proto.floats)),
    Kind.INTS: lambda reader, proto, where: DenseArrayBase.from_list(i64, list(proto.ints)),
    Kind.STRINGS: lambda reader, proto, where: ArrayAttr(map(text_attribute, proto.strings)),
    Kind.TENSOR: lambda reader, proto, where: reader.tensor(proto.t, where),
    Kind.TENSORS: lambda reader, proto, where: ArrayAttr(
        reader.tensor(tensor, where) for tensor in proto.tensors
    ),
    Kind.SPARSE_TENSOR: lambda reader, proto, where: reader.dense(
        reader.tensors.dense(proto.sparse_tensor, where), proto.name
    ),
    Kind.TYPE_PROTO: lambda reader, proto, where: attribute_type(proto.tp, where),
}
