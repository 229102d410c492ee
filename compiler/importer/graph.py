"""From the nodes of a graph to operations, with ONNX's scoping of names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from xdsl.dialects.builtin import (
    ArrayAttr,
    IntegerAttr,
    NameLoc,
    StringAttr,
    SymbolRefAttr,
    TensorType,
    UnknownLoc,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from compiler.importer.attributes import KIND_NAMES, AttributeReader, kind_of
from compiler.importer.names import hint, plain_domain, text
from compiler.importer.nodes import (
    MAX_DEPTH,
    Signature,
    node_name,
    ordered,
    signature,
    sources,
)
from compiler.importer.types import attribute_type, loose_type
from dialects.onnx.constants import constant_node, make_const
from dialects.onnx.locations import node_location
from dialects.onnx.ops import Call, Custom, NoValue, OnnxOp, Yield, resolve
from dialects.onnx.types import AttributeRefAttr, none_type, tensor_type, unknown
from runtime.errors import InvalidModelError, Place, TerraceError, UnsupportedError

_GRAPH = onnx.AttributeProto.GRAPH

FunctionKey = tuple[str, str, str]
"""Domain, name and overload of a model-local function."""


@dataclass(frozen=True)
class FunctionInfo:
    """What a call needs to know of a model-local function; ``version`` is its domain's."""

    symbol: str
    inputs: int
    outputs: int
    attributes: frozenset[str]
    version: int


@dataclass
class Scope:
    """Names visible at a place: those of this graph so far, then the enclosing ones'."""

    values: dict[str, SSAValue] = field(default_factory=dict)
    parent: Scope | None = None

    def find(self, name: str) -> SSAValue | None:
        """The value of a name, the innermost one, or None."""
        scope: Scope | None = self
        while scope is not None:
            if (value := scope.values.get(name)) is not None:
                return value
            scope = scope.parent
        return None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.find(name) is not None

    def define(self, name: str, value: SSAValue) -> None:
        """Binds a name. Raises InvalidModelError when this graph has it already."""
        if name in self.values:
            raise InvalidModelError(f"'{name}' is defined a second time")
        self.values[name] = value
        value.name_hint = hint(name)


@dataclass
class ModelContext:
    """What all graphs of one model share."""

    attributes: AttributeReader
    functions: Mapping[FunctionKey, FunctionInfo]
    warnings: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True)
class _Graph:
    """A graph while it is built: names in scope, declared types, prefix of names, nesting depth."""

    scope: Scope
    claimed: Mapping[str, Attribute]
    prefix: str = ""
    depth: int = 0


@dataclass(frozen=True)
class _Site:
    """A node while it is built."""

    proto: onnx.NodeProto
    graph: _Graph
    name: str

    def result_types(self, required: Sequence[bool]) -> list[Attribute]:
        """Declared types of the node's outputs; absent ones, if not ``required``, are `none`."""
        claimed = self.graph.claimed
        types = [claimed.get(o, unknown) if o else none_type for o in self.proto.output]
        types += [none_type] * (len(required) - len(types))
        for position, needed in enumerate(required):
            if needed and types[position] is none_type:
                types[position] = unknown
        return types


@dataclass
class _Attributes:
    """A node's attributes: those of the operator, unchecked ones, subgraphs."""

    values: dict[str, Attribute] = field(default_factory=dict)
    unchecked: dict[str, Attribute] = field(default_factory=dict)
    graphs: dict[str, onnx.GraphProto] = field(default_factory=dict)


class BodyBuilder:
    """Builds the body of one function: the main graph's, or that of a model-local function.

    ``opsets`` are the versions in force, the default domain written "". Only functions may refer
    to attributes, those in ``attribute_names``.
    """

    def __init__(
        self,
        context: ModelContext,
        opsets: Mapping[str, int],
        attribute_names: frozenset[str] | None = None,
    ) -> None:
        self.context = context
        self.opsets = opsets
        self.attribute_names = attribute_names
        self.none = NoValue.create(result_types=[none_type])
        self.none.result.name_hint = "none"

    def finish(self, block: Block) -> None:
        """Puts the one `onnx.NoValue` at the start of the body, if something uses it."""
        if self.none.result.first_use is None:
            return
        first = block.first_op
        assert first is not None
        block.insert_op_before(self.none, first)

    def nodes(
        self,
        nodes: Sequence[onnx.NodeProto],
        block: Block,
        scope: Scope,
        claimed: Mapping[str, Attribute],
    ) -> None:
        """Appends the operations of a graph's nodes; ``claimed`` are the types that it declares."""
        self._nodes(nodes, block, _Graph(scope, claimed))

    def _nodes(self, nodes: Sequence[onnx.NodeProto], block: Block, graph: _Graph) -> None:
        for index, node in ordered(nodes, graph.scope):
            block.add_op(self._node(node, index, graph))

    def initializers(
        self,
        graph: onnx.GraphProto,
        block: Block,
        scope: Scope,
        payloads: Mapping[int, memoryview],
        skipped: Iterable[str] = (),
    ) -> None:
        """Appends a graph's initializers as constants, without the ``skipped`` names."""
        skip, pool = set(skipped), self.context.attributes.pool
        for name, read in self._initializer_readers(graph, payloads):
            where = f"initializer '{name}'"
            if not name:
                raise InvalidModelError("an initializer has no name")
            if name in skip:
                continue
            const = make_const(read(where), pool, name)
            const.location = NameLoc(StringAttr(name), UnknownLoc())
            scope.define(name, const.results[0])
            block.add_op(const)

    def _initializer_readers(
        self, graph: onnx.GraphProto, payloads: Mapping[int, memoryview]
    ) -> Iterator[tuple[str, Callable[[str], np.ndarray]]]:
        tensors = self.context.attributes.tensors
        for k, tensor in enumerate(graph.initializer):
            yield (
                text(tensor.name),
                lambda where, t=tensor, k=k: tensors.array(t, where, payloads.get(k)),
            )
        for sparse in graph.sparse_initializer:
            yield text(sparse.values.name), lambda where, t=sparse: tensors.dense(t, where)

    def outputs(self, names: Iterable[str], scope: Scope, where: str) -> list[SSAValue]:
        """The values of output names. Raises InvalidModelError for one that nothing defines."""
        values: list[SSAValue] = []
        for name in names:
            value = scope.find(name)
            if value is None:
                raise InvalidModelError(f"{where} has the output '{name}', which nothing defines")
            values.append(value)
        return values

    def _node(self, node: onnx.NodeProto, index: int, graph: _Graph) -> Operation:
        op_type, domain = text(node.op_type), plain_domain(text(node.domain))
        site = _Site(node, graph, node_name(node, index, graph.prefix))
        function = self.context.functions.get((domain, op_type, text(node.overload)))
        opset = self.opsets.get(domain) or (function.version if function else 0)
        try:
            op = self._operation(site, domain, opset, function)
        except TerraceError as error:
            if error.place != Place():
                raise
            place = Place(site.name, op_type, domain, opset or None)
            raise type(error)(error.message, place, error.hint) from error
        op.location = node_location(site.name, op_type, domain, opset, sources(node))
        return op

    def _operation(
        self, site: _Site, domain: str, opset: int, function: FunctionInfo | None
    ) -> Operation:
        operands = self._operands(site)
        if function:
            op = self._call(site, function, operands)
        elif not opset:
            raise InvalidModelError(f"the model imports no opset of '{domain or 'ai.onnx'}'")
        elif made := resolve(domain, text(site.proto.op_type), opset):
            op = self._known(site, made, operands)
            if opset < made.SINCE:
                self._warn_newer(made, opset)
        else:
            op = self._custom(site, domain, opset, operands)
        for output, result in zip(site.proto.output, op.results, strict=False):
            if output:
                site.graph.scope.define(text(output), result)
        return op

    def _warn_newer(self, made: type[OnnxOp], opset: int) -> None:
        domain = made.DOMAIN or "ai.onnx"
        self.context.warnings.setdefault(
            f"the model declares opset {opset} of {domain}, but uses {made.OP_TYPE}, which "
            f"exists since opset {made.SINCE}; taken as version {made.SINCE}"
        )

    def _operands(self, site: _Site) -> list[SSAValue]:
        operands: list[SSAValue] = []
        for name in site.proto.input:
            value = site.graph.scope.find(name) if name else self.none.result
            if value is None:
                raise InvalidModelError(f"it uses '{name}', which nothing defines")
            operands.append(value)
        return operands

    def _known(self, site: _Site, made: type[OnnxOp], operands: list[SSAValue]) -> Operation:
        expected = signature(made)
        attributes = self._attributes(site, expected)
        for name in expected.required_attributes:
            if name not in attributes.values and name not in attributes.graphs:
                raise InvalidModelError(f"it lacks the attribute '{name}'")
        if made.OP_TYPE == "Constant" and (constant := self._constant(site, attributes)):
            return constant
        self._complete(operands, expected)
        given, fixed = len(site.proto.output), expected.fixed_outputs
        if given > fixed and not expected.variadic_output:
            raise InvalidModelError(f"it has {given} outputs, at most {fixed} are allowed")
        return made.create(
            operands=operands,
            result_types=site.result_types(expected.required_outputs),
            properties=attributes.values,
            attributes=attributes.unchecked,
            regions=[
                self._region(attributes.graphs[key], site, key)
                if key in attributes.graphs
                else Region()
                for key in expected.regions
            ],
        )

    def _constant(self, site: _Site, attributes: _Attributes) -> Operation | None:
        """The constant of a `Constant` node, or None when a function's attribute decides it."""
        if any(isinstance(value, AttributeRefAttr) for value in attributes.values.values()):
            return None
        name = text(site.proto.output[0]) if site.proto.output else site.name
        try:
            return constant_node(attributes.values, self.context.attributes.pool, name)
        except ValueError as error:
            raise InvalidModelError(str(error)) from error

    def _complete(self, operands: list[SSAValue], expected: Signature) -> None:
        """Checks the number of inputs and appends the absent ones."""
        given, fixed = len(operands), expected.fixed_inputs
        if given > fixed and not expected.variadic_input:
            raise InvalidModelError(f"it has {given} inputs, at most {fixed} are allowed")
        operands.extend([self.none.result] * (fixed - given))
        for position, required in enumerate(expected.required):
            if required and operands[position] is self.none.result:
                raise InvalidModelError(f"it lacks the input '{expected.inputs[position]}'")
        if given < expected.min_inputs:
            least = expected.min_inputs
            raise InvalidModelError(f"it has {given} inputs, at least {least} are needed")

    def _attributes(self, site: _Site, expected: Signature | None = None) -> _Attributes:
        """Reads a node's attributes; with a signature, names and kinds are checked."""
        result = _Attributes()
        for proto in site.proto.attribute:
            name, kind = text(proto.name), kind_of(proto)
            where = f"attribute '{name}'"
            if any(name in known for known in (result.values, result.unchecked, result.graphs)):
                raise InvalidModelError(f"{where} is given twice")
            checked = expected is None or name in expected.kinds
            if not checked and not name.startswith("__"):
                raise InvalidModelError(f"{where} is not one of this operator's")
            if expected and checked and kind != expected.kinds[name]:
                raise InvalidModelError(
                    f"{where} is of kind {KIND_NAMES.get(kind, kind)}, not "
                    f"{KIND_NAMES[expected.kinds[name]]}"
                )
            if checked and kind == _GRAPH and not proto.ref_attr_name:
                result.graphs[name] = proto.g
            else:
                values = result.values if checked else result.unchecked
                values[name] = self._attribute(proto, where)
        return result

    def _attribute(self, proto: onnx.AttributeProto, where: str) -> Attribute:
        if proto.ref_attr_name:
            if self.attribute_names is None:
                raise InvalidModelError(f"{where} refers to a function's attribute outside of one")
            if proto.ref_attr_name not in self.attribute_names:
                raise InvalidModelError(
                    f"{where} refers to '{proto.ref_attr_name}', which the function does not have"
                )
            if kind_of(proto) == _GRAPH:
                raise UnsupportedError(f"{where} refers to a subgraph of the function's caller")
        return self.context.attributes.value(proto, where)

    def _custom(self, site: _Site, domain: str, opset: int, operands: list[SSAValue]) -> Operation:
        attributes = self._attributes(site)
        properties: dict[str, Attribute] = {
            "domain": StringAttr(domain),
            "op_type": StringAttr(text(site.proto.op_type)),
            "since": IntegerAttr(opset, i64),
        }
        if attributes.graphs:
            properties["region_names"] = ArrayAttr(StringAttr(name) for name in attributes.graphs)
        return Custom.create(
            operands=operands,
            result_types=site.result_types(()),
            properties=properties,
            attributes=attributes.values,
            regions=[self._region(graph, site, key) for key, graph in attributes.graphs.items()],
        )

    def _call(self, site: _Site, function: FunctionInfo, operands: list[SSAValue]) -> Operation:
        attributes = self._attributes(site)
        if attributes.graphs:
            raise UnsupportedError("it passes a subgraph to a function")
        for name in attributes.values.keys() - function.attributes:
            raise InvalidModelError(f"the function has no attribute '{name}'")
        for kind, given, known in (
            ("inputs", len(operands), function.inputs),
            ("outputs", len(site.proto.output), function.outputs),
        ):
            if given > known:
                raise InvalidModelError(f"it has {given} {kind}, the function {known}")
        operands.extend([self.none.result] * (function.inputs - len(operands)))
        return Call.create(
            operands=operands,
            result_types=site.result_types([False] * function.outputs),
            properties={"callee": SymbolRefAttr(function.symbol)},
            attributes=attributes.values,
        )

    def _region(self, graph: onnx.GraphProto, site: _Site, key: str) -> Region:
        where, depth = f"subgraph '{key}'", site.graph.depth + 1
        if depth > MAX_DEPTH:
            raise UnsupportedError(f"subgraphs are nested more than {MAX_DEPTH} deep")
        claimed = claimed_types(graph)
        names = [text(value.name) for value in graph.input]
        types = [claimed.get(name, unknown) for name in names]
        if site.proto.op_type == "Loop":
            types[:2] = _loop_counters(graph.input[:2])
        block = Block(arg_types=types)
        scope = Scope(parent=site.graph.scope)
        for name, argument in zip(names, block.args, strict=True):
            scope.define(name, argument)
        # A subgraph's inputs are always passed, so defaults for them are never used.
        self.initializers(graph, block, scope, {}, skipped=names)
        self._nodes(graph.node, block, _Graph(scope, claimed, f"{site.name}/", depth))
        outputs = [text(value.name) for value in graph.output]
        block.add_op(Yield.create(operands=self.outputs(outputs, scope, where)))
        return Region(block)


def _loop_counters(inputs: Sequence[onnx.ValueInfoProto]) -> list[Attribute]:
    """Types of a loop body's counter and condition.

    `Loop` itself makes their values, of the shape that the body declares, else as scalars.
    """
    types: list[Attribute] = []
    for value, dtype in zip(inputs, (np.int64, np.bool_), strict=False):
        kind = value.type
        declared = kind.tensor_type.HasField("shape") and kind.tensor_type.elem_type
        ranked = attribute_type(kind, f"value '{value.name}'") if declared else unknown
        types.append(ranked if isinstance(ranked, TensorType) else tensor_type(dtype, []))
    return types


def claimed_types(graph: onnx.GraphProto | onnx.FunctionProto) -> dict[str, Attribute]:
    """Types that a graph declares for its values, by name, sizes left out."""
    declared = list(graph.value_info)
    if isinstance(graph, onnx.GraphProto):
        declared += [*graph.input, *graph.output]
    types = ((text(v.name), loose_type(v.type, f"value '{v.name}'")) for v in declared)
    return {name: kind for name, kind in types if kind is not unknown}
