"""Types, tensors and attributes of the IR as protobuf messages."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx.numpy_helper import from_array
from xdsl.dialects.builtin import (
    ArrayAttr,
    BytesAttr,
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    DenseResourceAttr,
    FloatAttr,
    IntegerAttr,
    IntegerType,
    StringAttr,
)
from xdsl.ir import Attribute, TypeAttribute

from compiler.importer.tensors import DTYPES
from dialects.onnx.constants import ConstantPool, array_of
from dialects.onnx.dims import Dim
from dialects.onnx.ops import python_value
from dialects.onnx.types import (
    AttributeRefAttr,
    MapType,
    OptionalType,
    SequenceType,
    SparseTensorType,
    StringTensorAttr,
    UnknownType,
    dims_of,
    dtype_of,
    is_tensor,
)
from runtime.errors import UnsupportedError

Kind = onnx.AttributeProto

NUMBERS: dict[np.dtype, int] = {dtype: number for number, dtype in DTYPES.items()}
"""numpy element types to ONNX ones."""


class TypeWriter:
    """Writes types; ``dim_params`` gives symbols back the texts they had in the model."""

    def __init__(self, dim_params: Mapping[str, str]) -> None:
        self.dim_params = dim_params

    def value_info(self, name: str, kind: Attribute) -> onnx.ValueInfoProto:
        """A name with its type; no type when it is unknown."""
        info = onnx.ValueInfoProto(name=name)
        if not isinstance(kind, UnknownType):
            info.type.CopyFrom(self.type_proto(kind))
        return info

    def type_proto(self, kind: Attribute) -> onnx.TypeProto:
        """The type. Raises UnsupportedError for one that ONNX does not have."""
        proto = onnx.TypeProto()
        match kind:
            case SequenceType():
                proto.sequence_type.elem_type.CopyFrom(self.type_proto(kind.element_type))
            case OptionalType():
                proto.optional_type.elem_type.CopyFrom(self.type_proto(kind.element_type))
            case MapType():
                proto.map_type.key_type = NUMBERS[dtype_of(kind.key_type)]
                proto.map_type.value_type.CopyFrom(self.type_proto(kind.value_type))
            case SparseTensorType():
                self._tensor(proto.sparse_tensor_type, kind.dense_type)
            case _ if is_tensor(kind):
                self._tensor(proto.tensor_type, kind)
            case _:
                raise UnsupportedError(f"ONNX has no type {kind}")
        return proto

    def _tensor(
        self, proto: onnx.TypeProto.Tensor | onnx.TypeProto.SparseTensor, kind: Attribute
    ) -> None:
        proto.elem_type = NUMBERS[dtype_of(kind)]
        dims = dims_of(kind)
        if dims is None:
            return
        proto.shape.SetInParent()
        for dim in dims:
            self._dim(proto.shape.dim.add(), dim)

    def _dim(self, proto: onnx.TensorShapeProto.Dimension, dim: Dim) -> None:
        if isinstance(dim, int):
            proto.dim_value = dim
        elif name := self.dim_params.get(str(dim), str(dim)):
            proto.dim_param = name


class AttributeWriter:
    """Writes attributes; tensors come from ``pool``."""

    def __init__(self, types: TypeWriter, pool: ConstantPool) -> None:
        self.types = types
        self.pool = pool

    def attribute(self, name: str, value: Attribute) -> onnx.AttributeProto:
        """The attribute. Raises UnsupportedError for a value that no ONNX attribute holds."""
        proto = onnx.AttributeProto(name=name)
        if isinstance(value, AttributeRefAttr):
            proto.ref_attr_name = value.ref_name.data
            proto.type = Kind.AttributeType.Value(value.kind.data)
            return proto
        match value:
            case IntegerAttr():
                proto.type, proto.i = Kind.INT, value.value.data
            case FloatAttr():
                proto.type, proto.f = Kind.FLOAT, value.value.data
            case StringAttr() | BytesAttr():
                proto.type, proto.s = Kind.STRING, _bytes(value)
            case DenseIntOrFPElementsAttr() | DenseResourceAttr() | StringTensorAttr():
                proto.type = Kind.TENSOR
                proto.t.CopyFrom(self.tensor(value))
            case DenseArrayBase() | ArrayAttr():
                self._list(proto, value)
            case TypeAttribute():
                proto.type = Kind.TYPE_PROTO
                proto.tp.CopyFrom(self.types.type_proto(value))
            case _:
                raise UnsupportedError(f"attribute '{name}' has no ONNX form: {value}")
        return proto

    def tensor(self, value: Attribute) -> onnx.TensorProto:
        """A dense, resource or string attribute as a tensor."""
        kind = getattr(value, "type", value)
        return from_array(array_of(value, kind, self.pool))

    def _list(self, proto: onnx.AttributeProto, value: DenseArrayBase | ArrayAttr) -> None:
        entries = [] if isinstance(value, DenseArrayBase) else list(value)
        first = value.elt_type if isinstance(value, DenseArrayBase) else next(iter(entries), None)
        match first:
            case IntegerType() | IntegerAttr():
                proto.type = Kind.INTS
                proto.ints.extend(python_value(value))
            case None | StringAttr() | BytesAttr():
                proto.type = Kind.STRINGS
                proto.strings.extend(map(_bytes, entries))
            case DenseIntOrFPElementsAttr() | DenseResourceAttr() | StringTensorAttr():
                proto.type = Kind.TENSORS
                proto.tensors.extend(map(self.tensor, entries))
            case _:
                proto.type = Kind.FLOATS
                proto.floats.extend(python_value(value))


def _bytes(value: Attribute) -> bytes:
    text = python_value(value)
    return text.encode() if isinstance(text, str) else text
