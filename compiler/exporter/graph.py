"""Operations of a function as nodes of a graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import onnx
from onnx.numpy_helper import from_array
from xdsl.dialects.builtin import DictionaryAttr, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, OpResult, SSAValue

from compiler.exporter.protos import AttributeWriter
from compiler.exporter.upgrades import apply, upgrades
from dialects.onnx.constants import array_of
from dialects.onnx.locations import Node, node_of
from dialects.onnx.ops import Call, CheckCondition, Const, Custom, NoValue, OnnxOp, Symbols, Yield
from dialects.onnx.types import UnknownType, is_none
from runtime.errors import InvalidModelError, UnsupportedError

_CUSTOM_FIELDS = ("domain", "op_type", "since", "region_names")
_METADATA_IR_VERSION = 10


class Store(Protocol):
    """Takes the data of a constant, or leaves them to the model."""

    def __call__(self, name: str, array: np.ndarray) -> onnx.TensorProto | None: ...


@dataclass
class Names:
    """Names of values, each given once in a function and its subgraphs."""

    of: dict[SSAValue, str] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)

    def reserve(self, names: Iterable[str]) -> None:
        """Keeps names from being given to other values."""
        self.taken.update(dict.fromkeys(names, 1))

    def give(self, value: SSAValue, stem: str) -> str:
        """Names a value, by ``stem`` if that is free."""
        self.of[value] = self.fresh(stem)
        return self.of[value]

    def fresh(self, stem: str) -> str:
        """A name that nothing has."""
        name = stem
        while name in self.taken:
            self.taken[stem] += 1
            name = f"{stem}_{self.taken[stem] - 1}"
        self.taken[name] = 1
        return name


@dataclass(frozen=True)
class FunctionName:
    """What a call writes for a model-local function."""

    domain: str
    name: str
    overload: str


class GraphWriter:
    """Writes the operations of one function.

    ``opsets`` are the imports under which nodes are written.
    ``store`` may put a constant's data elsewhere; without it (in model-local functions, which
    have no initializers) all constants are `Constant` nodes.
    """

    def __init__(
        self,
        attributes: AttributeWriter,
        functions: Mapping[str, FunctionName],
        opsets: Mapping[str, int],
        ir_version: int,
        store: Store | None,
    ) -> None:
        self.attributes = attributes
        self.functions = functions
        self.opsets = opsets
        self.ir_version = ir_version
        self.store = store
        self.names = Names()
        self.node_names = Names()

    def arguments(self, function: FuncOp) -> list[str]:
        """Names a function's arguments and reserves those of its results."""
        inputs = argument_names(function)
        self.names.reserve(result_names(function))
        arguments = function.body.block.args
        self.names.of.update(zip(arguments, inputs, strict=True))
        self.names.reserve(inputs)
        return inputs

    def body(self, block: Block, graph: onnx.GraphProto, outputs: list[str] | None) -> list[str]:
        """Writes a block's nodes and initializers into ``graph``; gives the output names.

        ``outputs`` are the names the outputs must have, None for any.
        """
        terminator = block.last_op
        assert isinstance(terminator, ReturnOp | Yield)
        returned = list(terminator.operands)
        if outputs is not None:
            self._claim_outputs(returned, outputs)
        for op in block.ops:
            if op is not terminator:
                self._operation(op, graph)
        if outputs is None:
            return list(self._subgraph_outputs(block, returned, graph))
        for value, name in zip(returned, outputs, strict=True):
            if self.names.of[value] != name:
                self._copy(self.names.of[value], name, graph)
        return outputs

    def _claim_outputs(self, values: list[SSAValue], outputs: list[str]) -> None:
        """Names results of operations as the outputs that they are; others get copies later."""
        claimed = dict(zip(self.names.of.values(), self.names.of, strict=True))
        for value, name in zip(values, outputs, strict=True):
            if claimed.setdefault(name, value) is not value:
                raise InvalidModelError(f"two values are the output '{name}'")
            if isinstance(value, OpResult) and value not in self.names.of:
                self.names.of[value] = name

    def _subgraph_outputs(
        self, block: Block, values: list[SSAValue], graph: onnx.GraphProto
    ) -> Iterator[str]:
        """Names of a subgraph's outputs, copies of those it does not compute or gives twice."""
        given: set[str] = set()
        for value in values:
            name, owner = self.names.of[value], value.owner
            computed = isinstance(owner, Operation) and owner.parent is block
            if not computed or isinstance(owner, Const) or name in given:
                name = self._copy(name, self.names.fresh(f"{name}_out"), graph)
            given.add(name)
            yield name

    def _copy(self, source: str, name: str, graph: onnx.GraphProto) -> str:
        node = self.node_names.fresh(name)
        graph.node.add(op_type="Identity", input=[source], output=[name], name=node)
        return name

    def _operation(self, op: Operation, graph: onnx.GraphProto) -> None:
        if isinstance(op, NoValue):
            self.names.of[op.result] = ""
        elif isinstance(op, Const):
            self._constant(op, graph)
        elif isinstance(op, OnnxOp) and (op.SCHEMA is not None or isinstance(op, Custom | Call)):
            self._node(op, graph)
        # Names of sizes say nothing to a runtime that computes them, and ONNX has no assertions.
        elif not isinstance(op, Symbols | CheckCondition):
            raise UnsupportedError(
                f"operation '{op.name}' has no ONNX form",
                hint="export before onnx-legalize",
            )

    def _constant(self, op: Const, graph: onnx.GraphProto) -> None:
        node = node_of(op.location)
        array = array_of(op.value, op.result.type, self.attributes.pool)
        name = self._name_result(op.result, node.name if not node.op_type else "", "constant")
        stored = self.store(name, array) if self.store is not None else None
        if stored is not None:
            graph.initializer.append(stored)
        elif self.store is not None and node.op_type != "Constant":
            graph.initializer.append(from_array(array, name))
        else:
            given = self.node_names.fresh(node.name or name)
            proto = graph.node.add(op_type="Constant", output=[name], name=given)
            proto.attribute.add(name="value", type=onnx.AttributeProto.TENSOR, t=from_array(array))

    def _node(self, op: OnnxOp, graph: onnx.GraphProto) -> None:
        node = node_of(op.location)
        proto = onnx.NodeProto()
        self._identity(op, proto)
        proto.name = self.node_names.fresh(node.name or proto.op_type)
        proto.input.extend(_trimmed(self.names.of[value] for value in op.operands))
        proto.output.extend(
            _trimmed(
                "" if is_none(result) else self._name_result(result, "", f"{proto.name}_output")
                for result in op.results
            )
        )
        for name, value in self._attributes(op):
            proto.attribute.append(self.attributes.attribute(name, value))
        for name, region in zip(self._region_names(op), op.regions, strict=True):
            if region.blocks:
                subgraph = self._subgraph(region.block, f"{proto.name}.{name}")
                proto.attribute.add(name=name, type=onnx.AttributeProto.GRAPH, g=subgraph)
        self._trace(node, proto)
        if op.SCHEMA is not None:
            changes = upgrades(op, self.opsets[op.DOMAIN]) or []
            apply(changes, proto, lambda array: self._added_constant(array, proto.name, graph))
        graph.node.append(proto)
        if isinstance(op.parent_op(), FuncOp):
            graph.value_info.extend(self._known_types(op))

    def _added_constant(self, array: np.ndarray, node: str, graph: onnx.GraphProto) -> str:
        name = self.names.fresh(f"{node}_constant")
        given = self.node_names.fresh(name)
        proto = graph.node.add(op_type="Constant", output=[name], name=given)
        proto.attribute.add(name="value", type=onnx.AttributeProto.TENSOR, t=from_array(array))
        return name

    def _identity(self, op: OnnxOp, proto: onnx.NodeProto) -> None:
        overload = ""
        if isinstance(op, Call):
            function = self.functions[op.callee.string_value()]
            domain, proto.op_type = function.domain, function.name
            overload = function.overload
        elif isinstance(op, Custom):
            domain, proto.op_type = op.domain.data, op.op_type.data
        else:
            domain, proto.op_type = op.DOMAIN, op.OP_TYPE
        if domain:
            proto.domain = domain
        if overload:
            proto.overload = overload

    def _attributes(self, op: OnnxOp) -> Iterator[tuple[str, Attribute]]:
        if not isinstance(op, Custom | Call):
            yield from op.properties.items()
        # ONNX attributes have identifiers as names, discardable ones of our passes have a dot.
        yield from ((name, value) for name, value in op.attributes.items() if "." not in name)

    def _region_names(self, op: OnnxOp) -> list[str]:
        if isinstance(op, Custom):
            return [name.data for name in op.region_names or ()]
        kinds = op.SCHEMA.attributes if op.SCHEMA is not None else {}
        graph = onnx.defs.OpSchema.AttrType.GRAPH
        return sorted(name for name, attribute in kinds.items() if attribute.type == graph)

    def _subgraph(self, block: Block, name: str) -> onnx.GraphProto:
        graph = onnx.GraphProto(name=name)
        types = self.attributes.types
        for argument in block.args:
            given = self.names.give(argument, argument.name_hint or "input")
            graph.input.append(types.value_info(given, argument.type))
        terminator = block.last_op
        assert terminator is not None
        outputs = self.body(block, graph, None)
        for given, value in zip(outputs, terminator.operands, strict=True):
            graph.output.append(types.value_info(given, value.type))
        return graph

    def _name_result(self, result: SSAValue, name: str, stem: str) -> str:
        if result in self.names.of:
            return self.names.of[result]
        return self.names.give(result, name or result.name_hint or stem)

    def _known_types(self, op: Operation) -> Iterator[onnx.ValueInfoProto]:
        for result in op.results:
            if not is_none(result) and not isinstance(result.type, UnknownType):
                yield self.attributes.types.value_info(self.names.of[result], result.type)

    def _trace(self, node: Node, proto: onnx.NodeProto) -> None:
        if not node.sources:
            return
        if self.ir_version >= _METADATA_IR_VERSION:
            lines = [f'File "{file}", line {line}' for file, line in reversed(node.sources)]
            proto.metadata_props.add(key="pkg.torch.onnx.stack_trace", value="\n".join(lines))
        else:
            proto.doc_string = "\n".join(f"{file}({line}): " for file, line in node.sources)


def _trimmed(names: Iterable[str]) -> list[str]:
    """The names without empty ones at the end."""
    result = list(names)
    while result and not result[-1]:
        result.pop()
    return result


def argument_names(function: FuncOp) -> list[str]:
    """The ONNX names of a function's arguments."""
    hints = [argument.name_hint for argument in function.body.block.args]
    return _names(function.arg_attrs, hints, "input")


def result_names(function: FuncOp) -> list[str]:
    """The ONNX names of a function's results."""
    return _names(function.res_attrs, [None] * len(function.function_type.outputs), "output")


def _names(
    attributes: Iterable[DictionaryAttr] | None, hints: list[str | None], stem: str
) -> list[str]:
    entries = [entry.data for entry in attributes] if attributes is not None else [{}] * len(hints)
    names: list[str] = []
    for position, (entry, hint) in enumerate(zip(entries, hints, strict=True)):
        given = entry.get("onnx.name")
        names.append(given.data if isinstance(given, StringAttr) else hint or f"{stem}_{position}")
    return names
