"""`import_model`: the whole way from a source to a module of the form the package describes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping

import onnx
from xdsl.context import Context
from xdsl.dialects.builtin import (
    ArrayAttr,
    IntegerAttr,
    ModuleOp,
    StringAttr,
    i64,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Region

from compiler.importer.attributes import AttributeReader
from compiler.importer.functions import build_functions, function_infos
from compiler.importer.graph import BodyBuilder, ModelContext, Scope, claimed_types
from compiler.importer.metadata import (
    checked_opsets,
    model_metadata,
    names_attribute,
    opset_attribute,
    string_dictionary,
)
from compiler.importer.names import text
from compiler.importer.reading import ModelSource, Source, read_model
from compiler.importer.tensors import TensorReader
from compiler.importer.types import Symbols, declared_output_type, input_type
from dialects.onnx.constants import pool_of
from runtime.errors import InvalidModelError, TerraceError

_NO_DIMS: Mapping[str, int] = {}


def import_model(source: Source, ctx: Context, *, dims: Mapping[str, int] = _NO_DIMS) -> ModuleOp:
    """The module of an ONNX model: a path, bytes, or a `ModelProto`.

    Files may be protobuf (any suffix), `.onnxtxt`, `.textproto` or `.json`. ``dims`` fixes
    symbolic sizes of the inputs by name. Large constants go to the pool of ``ctx`` and stay
    mapped from the file.

    Raises InvalidModelError for a broken model, UnsupportedError for one that needs something
    unknown, InputError for ``dims`` that do not fit. Oddities that are accepted are warned of.
    """
    model = read_model(source)
    try:
        module = _build(model, ctx, dims)
    except TerraceError as error:
        raise type(error)(f"{model.label}: {error.message}", error.place, error.hint) from error
    noted = module.attributes.get("onnx.warnings", ArrayAttr(()))
    assert isinstance(noted, ArrayAttr)
    for warning in noted:
        assert isinstance(warning, StringAttr)
        warnings.warn(f"{model.label}: {warning.data}", stacklevel=2)
    return module


def _build(source: ModelSource, ctx: Context, dims: Mapping[str, int]) -> ModuleOp:
    proto = source.proto
    opsets = checked_opsets(proto)
    tensors = TensorReader(source.folder)
    attributes = AttributeReader(tensors, pool_of(ctx))
    context = ModelContext(attributes, function_infos(proto, opsets))
    symbols = Symbols(dims)
    main = _main(source, BodyBuilder(context, opsets), symbols)
    if proto.training_info:
        context.warnings.setdefault("the model's training information is left out")
    functions = build_functions(proto, context)
    return ModuleOp(
        [main, *functions], _module_attributes(proto, opsets, symbols, context.warnings, tensors)
    )


def _main(source: ModelSource, builder: BodyBuilder, symbols: Symbols) -> FuncOp:
    graph = source.proto.graph
    if not graph.output:
        raise InvalidModelError("the graph has no outputs")
    constant = {text(tensor.name) for tensor in graph.initializer}
    constant |= {text(sparse.values.name) for sparse in graph.sparse_initializer}
    inputs = [value for value in graph.input if text(value.name) not in constant]
    symbols.declare(inputs)
    block = Block(arg_types=[input_type(value, symbols) for value in inputs])
    symbols.check_fixed()
    scope = Scope()
    for value, argument in zip(inputs, block.args, strict=True):
        scope.define(text(value.name), argument)
    builder.initializers(graph, block, scope, source.payloads)
    builder.nodes(graph.node, block, scope, claimed_types(graph))
    names = [text(value.name) for value in graph.output]
    results = builder.outputs(names, scope, "the graph")
    block.add_op(ReturnOp(*results))
    builder.finish(block)
    declared = [declared_output_type(value, symbols) for value in graph.output]
    return FuncOp(
        "main",
        (block.arg_types, [value.type for value in results]),
        Region(block),
        arg_attrs=names_attribute([text(value.name) for value in inputs]),
        res_attrs=names_attribute(names, declared),
    )


def _module_attributes(
    proto: onnx.ModelProto,
    opsets: Mapping[str, int],
    symbols: Symbols,
    noted: Iterable[str],
    tensors: TensorReader,
) -> dict[str, Attribute]:
    attributes: dict[str, Attribute] = {
        "onnx.ir_version": IntegerAttr(proto.ir_version, i64),
        "onnx.opset_imports": opset_attribute(opsets),
        "onnx.metadata": model_metadata(proto),
    }
    if renamed := symbols.renamed():
        attributes["onnx.dim_params"] = string_dictionary(renamed)
    if warned := [StringAttr(warning) for warning in noted]:
        attributes["onnx.warnings"] = ArrayAttr(warned)
    if tensors.external:
        attributes["onnx.external_data"] = ArrayAttr(map(StringAttr, sorted(tensors.files)))
    return attributes
