"""Result types by onnx's own shape inference, for operators without a rule here."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, TypeProto, helper, numpy_helper
from xdsl.dialects.builtin import DenseArrayBase, FloatAttr, IntegerAttr
from xdsl.ir import Attribute

from dialects.onnx.dims import parse_dim, symbol
from dialects.onnx.ops import OnnxOp, python_value
from dialects.onnx.shape.elements import code_of_element, element_of_code
from dialects.onnx.shape.node import NodeShapes
from dialects.onnx.types import (
    OptionalType,
    SequenceType,
    dims_of,
    dtype_of,
    is_none,
    is_tensor,
    tensor_type,
    unknown,
)


def node_proto(op: OnnxOp) -> NodeProto | None:
    """The operation as an ONNX node with inputs `i0`, `i1`, ... and outputs `o0`, ...

    Absent inputs at the end are left out. None when it has subgraphs or attributes without an
    ONNX form.
    """
    if any(region.blocks for region in op.regions):
        return None
    inputs = ["" if is_none(v) else f"i{k}" for k, v in enumerate(op.operands)]
    while inputs and not inputs[-1]:
        inputs.pop()
    outputs = ["" if is_none(v) else f"o{k}" for k, v in enumerate(op.results)]
    node = helper.make_node(op.OP_TYPE, inputs, outputs, domain=op.DOMAIN)
    for name, attribute in op.properties.items():
        value = _attribute_value(attribute)
        if value is None:
            return None
        node.attribute.append(helper.make_attribute(name, value))
    return node


def _attribute_value(attribute: Attribute) -> object | None:
    if isinstance(attribute, IntegerAttr | FloatAttr):
        return python_value(attribute)
    if isinstance(attribute, DenseArrayBase):
        return list(attribute.get_values())
    value = python_value(attribute)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, str | bytes):
        return value
    data = getattr(attribute, "data", None)
    kind = getattr(attribute, "type", None)
    if kind is not None and is_tensor(kind) and hasattr(data, "data"):
        array = np.frombuffer(data.data, dtype_of(kind)).reshape(dims_of(kind))  # type: ignore[arg-type,union-attr]
        return numpy_helper.from_array(array)
    return None


def type_proto(kind: Attribute) -> TypeProto:
    """A type as ONNX writes it; symbolic sizes by their text."""
    if isinstance(kind, SequenceType):
        return helper.make_sequence_type_proto(type_proto(kind.element_type))
    if isinstance(kind, OptionalType):
        return helper.make_optional_type_proto(type_proto(kind.element_type))
    dims = dims_of(kind)
    shape = None if dims is None else [d if isinstance(d, int) else str(d) for d in dims]
    return helper.make_tensor_type_proto(code_of_element(kind.element_type), shape)  # type: ignore[attr-defined]


def type_of_proto(proto: TypeProto, s: NodeShapes) -> Attribute:
    """A type that onnx inferred; sizes without a name become new symbols."""
    match proto.WhichOneof("value"):
        case "sequence_type":
            return SequenceType(type_of_proto(proto.sequence_type.elem_type, s))
        case "optional_type":
            return OptionalType(type_of_proto(proto.optional_type.elem_type, s))
        case "tensor_type":
            tensor = proto.tensor_type
            if not tensor.elem_type:
                return unknown
            dims = [_dim(entry, s) for entry in tensor.shape.dim]
            has_shape = tensor.HasField("shape")
            return tensor_type(element_of_code(tensor.elem_type), dims if has_shape else None)
        case _:
            return unknown


def _dim(entry: onnx.TensorShapeProto.Dimension, s: NodeShapes):
    if entry.HasField("dim_value"):
        return entry.dim_value
    if not entry.dim_param:
        return s.fresh()
    try:
        return parse_dim(entry.dim_param)
    except ValueError:
        return symbol(entry.dim_param)


def infer_by_onnx(s: NodeShapes) -> list[Attribute]:
    """Result types that `onnx.shape_inference` gives; `!onnx.unknown` where it gives none."""
    op, schema = s.op, s.op.SCHEMA
    node = node_proto(op)
    if schema is None or node is None:
        return [unknown] * len(op.results)
    known = {
        name: type_proto(operand.type)
        for name, operand in zip(node.input, op.operands, strict=False)
        if name and operand.type != unknown
    }
    data = {
        name: numpy_helper.from_array(content)
        for i, name in enumerate(node.input)
        if name and (content := s.value(i)) is not None and content.dtype.kind in "iufb"
    }
    imports = [helper.make_opsetid(op.DOMAIN, op.SINCE)]
    try:
        found = onnx.shape_inference.infer_node_outputs(schema, node, known, data, None, imports)
    except onnx.shape_inference.InferenceError as error:
        s.fail(str(error))
    return [type_of_proto(found[name], s) if name in found else unknown for name in node.output]
