"""Bodies that ONNX's schemas give for their operators, as operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import onnx
from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto, numpy_helper
from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseArrayBase,
    FloatAttr,
    IntegerAttr,
    LocationAttr,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from dialects.onnx.constants import ConstantPool, constant_node, dense_attribute
from dialects.onnx.locations import node_location, node_of
from dialects.onnx.ops import NoValue, OnnxOp, Yield, op_class, text_attribute
from dialects.onnx.shape.fallback import node_proto, type_proto
from dialects.onnx.types import f32, is_none, none_type, unknown
from passes.onnx.simplify.rewriter import attribute
from runtime.errors import InternalError

Body = tuple[list[Operation], list[SSAValue | None]]


def has_body(op: OnnxOp) -> bool:
    """Whether ONNX defines an operator by a function."""
    schema = op.SCHEMA
    return schema is not None and (schema.has_function or schema.has_context_dependent_function)


def body_of_operator(op: OnnxOp, pool: ConstantPool) -> Body | None:
    """Operations that compute an operation's results, in order, and those results.

    None when there is no body for its types, or when it has subgraphs.
    """
    function = function_proto(op)
    if function is None:
        return None
    opsets = {entry.domain: entry.version for entry in function.opset_import}
    builder = _Builder(pool, opsets, _attributes(op), op.location)
    values = dict(zip(function.input, op.operands, strict=False))
    operations = builder.nodes(function.node, values)
    return operations, [
        values.get(name) for name, _ in zip(function.output, op.results, strict=False)
    ]


def function_proto(op: OnnxOp) -> FunctionProto | None:
    """The body of an operator, of the newest opset that its version's schema has one for."""
    schema, node = op.SCHEMA, node_proto(op)
    if schema is None or node is None:
        return None
    if schema.has_function:
        newest = max(schema.function_opset_versions)
        return FunctionProto.FromString(schema.get_function_with_opset_version(newest))
    kinds = [type_proto(v.type).SerializeToString() for v in op.operands if not is_none(v)]
    newest = max(schema.context_dependent_function_opset_versions)
    data = schema.get_context_dependent_function_with_opset_version(
        newest, node.SerializeToString(), kinds
    )
    return FunctionProto.FromString(data) if data else None


def _attributes(op: OnnxOp) -> dict[str, Attribute]:
    """What the body's references mean: the operation's attributes and its schema's defaults."""
    defaults = {n: attribute(value) for n, value in op.DEFAULTS.items() if value is not None}
    return defaults | op.properties


class _Builder:
    """Turns nodes of a body into operations."""

    def __init__(
        self,
        pool: ConstantPool,
        opsets: Mapping[str, int],
        attributes: Mapping[str, Attribute],
        location: LocationAttr,
    ) -> None:
        self.pool = pool
        self.opsets = opsets
        self.attributes = attributes
        self.node = node_of(location)

    def nodes(self, protos: Any, values: dict[str, SSAValue]) -> list[Operation]:
        """The operations of some nodes, in order; ``values`` gets their outputs."""
        none = NoValue.create(result_types=[none_type])
        made: list[Operation] = [none]
        for proto in protos:
            op = self._node(
                proto, [values[i] if i else none.result for i in proto.input], none, values
            )
            op.location = self._location(proto)
            values.update((o, r) for o, r in zip(proto.output, op.results, strict=False) if o)
            made.append(op)
        return made

    def _node(
        self,
        proto: NodeProto,
        operands: list[SSAValue],
        none: NoValue,
        values: Mapping[str, SSAValue],
    ) -> Operation:
        cls = op_class(proto.domain, proto.op_type, self._opset(proto.domain))
        if cls is None or cls.SCHEMA is None:
            raise InternalError(f"a function body has the unknown operator {proto.op_type}")
        properties = {
            a.name: found for a in proto.attribute if (found := self._value(a)) is not None
        }
        if proto.op_type == "Constant":
            return constant_node(properties, self.pool)
        regions = [
            self._region(a.g, values)
            for a in sorted(proto.attribute, key=lambda a: a.name)
            if a.HasField("g")
        ]
        variadic = onnx.defs.OpSchema.FormalParameterOption.Variadic
        fixed = sum(formal.option != variadic for formal in cls.SCHEMA.inputs)
        operands = operands + [none.result] * (fixed - len(operands))
        kinds = [unknown if name else none_type for name in proto.output]
        fixed = sum(formal.option != variadic for formal in cls.SCHEMA.outputs)
        kinds += [none_type] * (fixed - len(kinds))
        return cls.create(
            operands=operands, result_types=kinds, properties=properties, regions=regions
        )

    def _value(self, proto: AttributeProto) -> Attribute | None:
        if proto.ref_attr_name:
            return self.attributes.get(proto.ref_attr_name)
        read = _READERS.get(proto.type)
        return None if read is None else read(proto, self.pool)

    def _region(self, graph: GraphProto, outer: Mapping[str, SSAValue]) -> Region:
        block = Block(arg_types=[unknown] * len(graph.input))
        values = dict(outer)
        values.update(zip((i.name for i in graph.input), block.args, strict=True))
        for initializer in graph.initializer:
            value = dense_attribute(numpy_helper.to_array(initializer), self.pool)
            const = constant_node({"value": value}, self.pool)
            block.add_op(const)
            values[initializer.name] = const.result
        block.add_ops(self.nodes(graph.node, values))
        block.add_op(Yield.create(operands=[values[o.name] for o in graph.output]))
        return Region(block)

    def _opset(self, domain: str) -> int:
        """The version in force; some bodies forget to import the default domain."""
        return self.opsets.get(domain, onnx.defs.onnx_opset_version())

    def _location(self, proto: NodeProto) -> LocationAttr:
        name = f"{self.node.name}/{proto.name or proto.op_type}"
        opset = self._opset(proto.domain)
        return node_location(name, proto.op_type, proto.domain, opset, self.node.sources)


_READERS: dict[int, Callable[[AttributeProto, ConstantPool], Attribute]] = {
    AttributeProto.FLOAT: lambda a, pool: FloatAttr(a.f, f32),
    AttributeProto.INT: lambda a, pool: IntegerAttr(a.i, i64),
    AttributeProto.STRING: lambda a, pool: text_attribute(a.s),
    AttributeProto.FLOATS: lambda a, pool: DenseArrayBase.from_list(f32, list(a.floats)),
    AttributeProto.INTS: lambda a, pool: DenseArrayBase.from_list(i64, list(a.ints)),
    AttributeProto.STRINGS: lambda a, pool: ArrayAttr(map(text_attribute, a.strings)),
    AttributeProto.TENSOR: lambda a, pool: dense_attribute(numpy_helper.to_array(a.t), pool),
}
