"""What an operator's schema asks of its nodes, the order of nodes, and where they come from."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import onnx
from onnx.defs import OpSchema

from compiler.importer.names import text
from dialects.onnx.ops import OnnxOp
from runtime.errors import InvalidModelError, Place, UnsupportedError

MAX_DEPTH = 64
"""Subgraphs may be nested this deep."""

_GRAPH = onnx.AttributeProto.GRAPH
_STACK_TRACES = ("pkg.torch.onnx.stack_trace", "pkg.onnxscript.stack_trace")
_PYTHON_FRAME = re.compile(r'File "([^"\n]+)", line (\d+)')
_TORCHSCRIPT_FRAME = re.compile(r"^(?:# )?([^\s(][^(\n]*)\((\d+)\): ", re.MULTILINE)
_MAX_FRAMES = 8


@dataclass(frozen=True)
class Signature:
    """A schema as the importer needs it.

    ``fixed_inputs`` and ``fixed_outputs`` count the formals that are not variadic; ``kinds`` maps
    attribute names to `AttributeProto` kinds; ``regions`` are the subgraphs among them, in the
    dialect's order.
    """

    inputs: tuple[str, ...]
    required: tuple[bool, ...]
    min_inputs: int
    fixed_inputs: int
    variadic_input: bool
    required_outputs: tuple[bool, ...]
    fixed_outputs: int
    variadic_output: bool
    kinds: dict[str, int]
    required_attributes: tuple[str, ...]
    regions: tuple[str, ...]


@cache
def signature(made: type[OnnxOp]) -> Signature:
    """The signature of an operator version's class."""
    schema = made.SCHEMA
    assert schema is not None
    variadic = OpSchema.FormalParameterOption.Variadic
    optional = OpSchema.FormalParameterOption.Optional
    fixed_in = [formal for formal in schema.inputs if formal.option != variadic]
    fixed_out = [formal for formal in schema.outputs if formal.option != variadic]
    kinds = {name: a.type.value for name, a in schema.attributes.items()}
    return Signature(
        inputs=tuple(formal.name for formal in schema.inputs),
        required=tuple(formal.option != optional for formal in fixed_in),
        min_inputs=schema.min_input,
        fixed_inputs=len(fixed_in),
        variadic_input=len(fixed_in) < len(schema.inputs),
        required_outputs=tuple(formal.option != optional for formal in fixed_out),
        fixed_outputs=len(fixed_out),
        variadic_output=len(fixed_out) < len(schema.outputs),
        kinds=kinds,
        required_attributes=tuple(n for n, a in schema.attributes.items() if a.required),
        regions=tuple(sorted(name for name, kind in kinds.items() if kind == _GRAPH)),
    )


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The node's subgraphs."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g


def used_names(node: onnx.NodeProto, depth: int = 0) -> set[str]:
    """Names that a node needs, those that its subgraphs take from outside included."""
    names = set(node.input)
    for graph in subgraphs(node):
        names |= _free_names(graph, depth + 1)
    names.discard("")
    return names


def _free_names(graph: onnx.GraphProto, depth: int) -> set[str]:
    if depth > MAX_DEPTH:
        raise UnsupportedError(f"subgraphs are nested more than {MAX_DEPTH} deep")
    defined = {value.name for value in graph.input}
    defined |= {tensor.name for tensor in graph.initializer}
    defined |= {sparse.values.name for sparse in graph.sparse_initializer}
    defined |= {name for node in graph.node for name in node.output}
    used = {value.name for value in graph.output}
    for node in graph.node:
        used |= used_names(node, depth)
    return used - defined


def ordered(
    nodes: Sequence[onnx.NodeProto], visible: Container[str]
) -> list[tuple[int, onnx.NodeProto]]:
    """The nodes with their positions, each after those that define what it uses.

    ONNX asks for that order; files that lack it are sorted. ``visible`` are the names defined
    outside. Raises InvalidModelError for cycles.
    """
    needs = [used_names(node) for node in nodes]
    defined: set[str] = set()
    in_order = True
    for node, names in zip(nodes, needs, strict=True):
        if in_order and any(n not in defined and n not in visible for n in names):
            in_order = False
        defined.update(node.output)
    numbered = list(enumerate(nodes))
    return numbered if in_order else _sorted(numbered, needs)


def _sorted(
    numbered: list[tuple[int, onnx.NodeProto]], needs: list[set[str]]
) -> list[tuple[int, onnx.NodeProto]]:
    # Imported here: few files need it, and it takes 0.2 s.
    import networkx as nx

    definers = {name: index for index, node in numbered for name in node.output if name}
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(numbered)))
    for index, names in enumerate(needs):
        graph.add_edges_from((definers[name], index) for name in names if name in definers)
    try:
        return [numbered[index] for index in nx.lexicographical_topological_sort(graph)]
    except nx.NetworkXUnfeasible:
        path = [user for _, user in nx.find_cycle(graph)]
        raise _cycle(numbered, path[::-1], needs) from None


def _cycle(
    numbered: list[tuple[int, onnx.NodeProto]], path: list[int], needs: list[set[str]]
) -> InvalidModelError:
    """An error about nodes of which each needs the next, and the last one the first."""
    first = path.index(min(path))
    path = [*path[first:], *path[:first]]
    index, node = numbered[path[0]]
    value = next(name for name in node.output if name in needs[path[-1]])
    names = " <- ".join(f"'{node_name(numbered[i][1], i)}'" for i in path[:5])
    return InvalidModelError(
        f"nodes depend on each other in a cycle through '{value}': {names}",
        Place(node_name(node, index), text(node.op_type), text(node.domain)),
    )


def node_name(node: onnx.NodeProto, index: int, prefix: str = "") -> str:
    """The node's name, or `<op_type>_<index>` (after the enclosing node's name) without one."""
    return text(node.name) or f"{prefix}{text(node.op_type)}_{index}"


def sources(node: onnx.NodeProto) -> tuple[tuple[str, int], ...]:
    """The exporter's stack trace as (file, line) pairs, innermost first.

    torch's exporter writes it to the node's metadata, the older one to its doc string.
    """
    for entry in node.metadata_props:
        if entry.key in _STACK_TRACES:
            frames = _PYTHON_FRAME.findall(text(entry.value))
            return tuple((file, _line(n)) for file, n in reversed(frames[-_MAX_FRAMES:]))
    if node.doc_string:
        frames = _TORCHSCRIPT_FRAME.findall(text(node.doc_string))
        return tuple((file, _line(number)) for file, number in frames[:_MAX_FRAMES])
    return ()


def _line(digits: str) -> int:
    return int(digits[:9])
