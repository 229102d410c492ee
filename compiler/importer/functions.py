"""Model-local functions: what calls need to know of them, and their bodies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import onnx
from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Region

from compiler.importer.graph import (
    BodyBuilder,
    FunctionInfo,
    FunctionKey,
    ModelContext,
    Scope,
    claimed_types,
)
from compiler.importer.metadata import (
    custom_metadata,
    names_attribute,
    opset_attribute,
    opset_imports,
)
from compiler.importer.names import plain_domain, text
from compiler.importer.nodes import subgraphs
from dialects.onnx.types import unknown
from runtime.errors import InvalidModelError, TerraceError


def function_infos(
    proto: onnx.ModelProto, opsets: Mapping[str, int]
) -> dict[FunctionKey, FunctionInfo]:
    """The model's functions by domain, name and overload.

    Raises InvalidModelError for two of the same identity and for recursion.
    """
    infos: dict[FunctionKey, FunctionInfo] = {}
    calls: dict[FunctionKey, set[FunctionKey]] = {}
    for function in proto.functions:
        key = _key(function)
        if key in infos:
            raise InvalidModelError(f"{_where(function)} is defined twice")
        names = {text(name) for name in function.attribute}
        names |= {text(default.name) for default in function.attribute_proto}
        infos[key] = FunctionInfo(
            "::".join(filter(None, (key[0] or "ai.onnx", *key[1:]))),
            len(function.input),
            len(function.output),
            frozenset(names),
            opsets.get(key[0], 1),
        )
        calls[key] = set(_called(function.node))
    _refuse_recursion(calls)
    return infos


def _key(function: onnx.FunctionProto) -> FunctionKey:
    return plain_domain(text(function.domain)), text(function.name), text(function.overload)


def _where(function: onnx.FunctionProto) -> str:
    return f"function '{function.domain}.{function.name}'"


def _called(nodes: Iterable[onnx.NodeProto]) -> Iterator[FunctionKey]:
    pending = [nodes]
    while pending:
        for node in pending.pop():
            yield plain_domain(text(node.domain)), text(node.op_type), text(node.overload)
            pending.extend(graph.node for graph in subgraphs(node))


def _refuse_recursion(calls: Mapping[FunctionKey, set[FunctionKey]]) -> None:
    """Removes functions that call no remaining one until none is left (Kahn's algorithm)."""
    remaining = dict(calls)
    while remaining:
        leaves = [key for key, called in remaining.items() if not called & remaining.keys()]
        if not leaves:
            names = ", ".join(f"'{domain}.{name}'" for domain, name, _ in remaining)
            raise InvalidModelError(f"functions call each other in a cycle among {names}")
        for key in leaves:
            del remaining[key]


def build_functions(proto: onnx.ModelProto, context: ModelContext) -> list[FuncOp]:
    """The functions of the model, private, in order."""
    return [_build(function, context) for function in proto.functions]


def _build(function: onnx.FunctionProto, context: ModelContext) -> FuncOp:
    info, where = context.functions[_key(function)], _where(function)
    opsets = opset_imports(function.opset_import)
    builder = BodyBuilder(context, opsets, info.attributes)
    inputs = [text(name) for name in function.input]
    block = Block(arg_types=[unknown] * len(inputs))
    scope = Scope()
    try:
        for name, argument in zip(inputs, block.args, strict=True):
            scope.define(name, argument)
        builder.nodes(function.node, block, scope, claimed_types(function))
        outputs = [text(name) for name in function.output]
        results = builder.outputs(outputs, scope, "it")
    except TerraceError as error:
        raise type(error)(f"{where}: {error.message}", error.place, error.hint) from error
    block.add_op(ReturnOp(*results))
    builder.finish(block)
    made = FuncOp(
        info.symbol,
        (block.arg_types, [value.type for value in results]),
        Region(block),
        "private",
        arg_attrs=names_attribute(inputs),
        res_attrs=names_attribute(outputs),
    )
    made.attributes["onnx.function"] = _identity(function, opsets, context)
    return made


def _identity(
    function: onnx.FunctionProto, opsets: Mapping[str, int], context: ModelContext
) -> DictionaryAttr:
    defaults = {
        text(proto.name): context.attributes.value(proto, f"{_where(function)} '{proto.name}'")
        for proto in function.attribute_proto
    }
    fields: dict[str, Attribute] = {
        "domain": StringAttr(text(function.domain)),
        "name": StringAttr(text(function.name)),
        "overload": StringAttr(text(function.overload)),
        "doc_string": StringAttr(text(function.doc_string)),
        "opset_imports": opset_attribute(opsets),
        "attributes": ArrayAttr(StringAttr(text(name)) for name in function.attribute),
        "defaults": DictionaryAttr(defaults),
        "custom": custom_metadata(function.metadata_props),
    }
    return DictionaryAttr(fields)
