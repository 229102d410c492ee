"""`export_model` and `save_model`: the whole way from a module to a model or its files."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import onnx
import onnx.defs
from onnx.helper import find_min_ir_version_for
from onnx.numpy_helper import from_array
from xdsl.context import Context
from xdsl.dialects.builtin import (
    ArrayAttr,
    DictionaryAttr,
    ModuleOp,
    StringAttr,
    UnrankedTensorType,
)
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute

from compiler.exporter.graph import FunctionName, GraphWriter, Store, argument_names, result_names
from compiler.exporter.opsets import choose_opsets
from compiler.exporter.protos import NUMBERS, AttributeWriter, TypeWriter
from dialects.onnx.constants import array_of, pool_of
from dialects.onnx.ops import Const, python_value
from dialects.onnx.types import unknown
from runtime.errors import InvalidModelError, UnsupportedError

EMBEDDED_BYTES = 1_900_000_000
"""With more constants than this they get a file of their own: protobuf ends at 2 GB."""

_EXTERNAL_BYTES = 1024
_ALIGNMENT = 64


def export_model(module: ModuleOp, ctx: Context) -> onnx.ModelProto:
    """The ONNX model of a module on the `onnx` stage, its constants embedded.

    Raises UnsupportedError when the module has something that ONNX has not, or more than
    `EMBEDDED_BYTES` of constants.
    """
    size = _constant_bytes(module, ctx)
    if size > EMBEDDED_BYTES:
        raise UnsupportedError(
            f"the constants take {size} bytes, too many for one protobuf message",
            hint="save the model to a file",
        )
    return _export(module, ctx, lambda name, array: None)


def save_model(module: ModuleOp, ctx: Context, path: str | os.PathLike[str]) -> None:
    """Writes a module on the `onnx` stage as a binary ONNX file, replacing one that is there.

    Large constants go to `<path>.data` when the module came from such a model or has more than
    `EMBEDDED_BYTES` of them. Files are written beside their place and moved there, so maps of a
    replaced one stay valid.
    """
    target = Path(path)
    fits = _constant_bytes(module, ctx) <= EMBEDDED_BYTES
    if fits and "onnx.external_data" not in module.attributes:
        with _replacing(target) as file:
            file.write(export_model(module, ctx).SerializeToString())
        return
    data = target.with_name(f"{target.name}.data")
    with _replacing(data) as data_file:
        model = _export(module, ctx, _ExternalStore(data.name, data_file))
    with _replacing(target) as file:
        file.write(model.SerializeToString())


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file that takes the place of ``path`` when it is complete."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


class _ExternalStore:
    """Writes large constants to a file and refers to them there."""

    def __init__(self, location: str, file: IO[bytes]) -> None:
        self.location = location
        self.file = file

    def __call__(self, name: str, array: np.ndarray) -> onnx.TensorProto | None:
        if array.nbytes < _EXTERNAL_BYTES or array.dtype.kind == "O":
            return None
        self.file.write(b"\0" * (-self.file.tell() % _ALIGNMENT))
        offset, number = self.file.tell(), NUMBERS[array.dtype]
        if array.dtype.kind in "biufc":
            self.file.write(np.ascontiguousarray(array).data.cast("B"))
        else:
            self.file.write(from_array(array).raw_data)
        proto = onnx.TensorProto(name=name, data_type=number, dims=array.shape)
        proto.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (
            ("location", self.location),
            ("offset", offset),
            ("length", self.file.tell() - offset),
        ):
            proto.external_data.add(key=key, value=str(value))
        return proto


def _constant_bytes(module: ModuleOp, ctx: Context) -> int:
    """Bytes of all constants. Raises InvalidModelError where a text left out their data."""
    pool = pool_of(ctx)
    consts = [op for op in module.walk() if isinstance(op, Const)]
    return sum(array_of(op.value, op.result.type, pool).nbytes for op in consts)


def _export(module: ModuleOp, ctx: Context, store: Store) -> onnx.ModelProto:
    main, functions = _functions(module)
    names = {function.sym_name.data: _function_name(function) for function in functions}
    types = TypeWriter(_strings(module.attributes.get("onnx.dim_params")))
    attributes = AttributeWriter(types, pool_of(ctx))
    lenient = "onnx.warnings" in module.attributes
    declared = _opset_imports(module.attributes, "onnx.opset_imports")
    opsets = choose_opsets(main.walk(), declared, lenient)
    model = onnx.ModelProto()
    model.ir_version = _ir_version(module, opsets, functions)
    writer = GraphWriter(attributes, names, opsets, model.ir_version, store)
    _write_graph(main, writer, model.graph)
    for function in functions:
        imports = _opset_imports(_identity(function), "opset_imports")
        inner = choose_opsets(function.walk(), imports, lenient)
        body = GraphWriter(attributes, names, inner, model.ir_version, None)
        name = names[function.sym_name.data]
        _write_function(function, name, body, inner, model.functions.add())
        opsets.setdefault(name.domain, 1)
    _import_default(model.graph.node, opsets)
    _write_imports(model.opset_import, opsets)
    _write_metadata(module, model)
    return model


def _functions(module: ModuleOp) -> tuple[FuncOp, list[FuncOp]]:
    found = [op for op in module.ops if isinstance(op, FuncOp)]
    main = next((op for op in found if op.sym_name.data == "main"), None)
    if main is None:
        raise InvalidModelError("the module has no function @main to export")
    local = [op for op in found if "onnx.function" in op.attributes]
    if others := [op for op in module.ops if op is not main and op not in local]:
        raise UnsupportedError(
            f"'{others[0].name}' has no ONNX form", hint="export before onnx-legalize"
        )
    return main, local


def _identity(function: FuncOp) -> Mapping[str, Attribute]:
    identity = function.attributes["onnx.function"]
    if not isinstance(identity, DictionaryAttr):
        raise InvalidModelError(f"@{function.sym_name.data}: onnx.function is no dictionary")
    return identity.data


def _function_name(function: FuncOp) -> FunctionName:
    entries = _strings(function.attributes["onnx.function"])
    return FunctionName(entries["domain"], entries["name"], entries.get("overload", ""))


def _strings(attribute: Attribute | None) -> dict[str, str]:
    """The strings among a dictionary's entries."""
    if not isinstance(attribute, DictionaryAttr):
        return {}
    return {k: v.data for k, v in attribute.data.items() if isinstance(v, StringAttr)}


def _opset_imports(attributes: Mapping[str, Attribute], key: str) -> dict[str, int]:
    imports = attributes.get(key)
    entries = imports.data if isinstance(imports, DictionaryAttr) else {}
    return {"" if d == "ai.onnx" else d: python_value(version) for d, version in entries.items()}


def _ir_version(module: ModuleOp, opsets: Mapping[str, int], functions: list[FuncOp]) -> int:
    declared = module.attributes.get("onnx.ir_version")
    imports = [onnx.OperatorSetIdProto(domain=d, version=v) for d, v in opsets.items()]
    least = find_min_ir_version_for(imports, ignore_unknown=True)
    # Before IR version 4 initializers had to be inputs; functions came with 8, overloads with 10.
    least = max(4, least if declared is None else 4, 8 if functions else 4)
    if any(_function_name(function).overload for function in functions):
        least = max(least, 10)
    return least if declared is None else max(least, python_value(declared))


def _write_graph(main: FuncOp, writer: GraphWriter, graph: onnx.GraphProto) -> None:
    types = writer.attributes.types
    block = main.body.block
    for name, kind in zip(writer.arguments(main), block.arg_types, strict=True):
        graph.input.append(types.value_info(name, kind))
    outputs = writer.body(block, graph, result_names(main))
    for name, kind in zip(outputs, _output_types(main), strict=True):
        graph.output.append(types.value_info(name, kind))
    declared = {*outputs, *argument_names(main)}
    inner = [info for info in graph.value_info if info.name not in declared]
    del graph.value_info[:]
    graph.value_info.extend(inner)


def _output_types(main: FuncOp) -> Iterator[Attribute]:
    """The types of results; what the model declared where inference has found no shape."""
    attributes = main.res_attrs or ArrayAttr([DictionaryAttr({})] * len(main.function_type.outputs))
    for kind, entry in zip(main.function_type.outputs, attributes, strict=True):
        declared = entry.data.get("onnx.declared_type", kind)
        yield declared if kind == unknown or isinstance(kind, UnrankedTensorType) else kind


def _write_function(
    function: FuncOp,
    name: FunctionName,
    writer: GraphWriter,
    opsets: dict[str, int],
    proto: onnx.FunctionProto,
) -> None:
    identity = _identity(function)
    proto.domain, proto.name, proto.overload = name.domain, name.name, name.overload
    proto.doc_string = _strings(function.attributes["onnx.function"]).get("doc_string", "")
    proto.input.extend(writer.arguments(function))
    graph = onnx.GraphProto()
    proto.output.extend(writer.body(function.body.block, graph, result_names(function)))
    proto.node.extend(graph.node)
    proto.attribute.extend(python_value(identity.get("attributes", ArrayAttr(()))))
    defaults = identity.get("defaults")
    for key, value in defaults.data.items() if isinstance(defaults, DictionaryAttr) else ():
        proto.attribute_proto.append(writer.attributes.attribute(key, value))
    for key, value in _strings(identity.get("custom")).items():
        proto.metadata_props.add(key=key, value=value)
    _import_default(proto.node, opsets)
    _write_imports(proto.opset_import, opsets)


def _import_default(nodes: Iterable[onnx.NodeProto], opsets: dict[str, int]) -> None:
    """Imports the default domain for `Identity` and `Constant` nodes that the export added."""
    if any(not node.domain for node in nodes):
        opsets.setdefault("", onnx.defs.onnx_opset_version())


def _write_imports(imports: Any, opsets: Mapping[str, int]) -> None:
    for domain, version in opsets.items():
        imports.add(domain=domain, version=version)


def _write_metadata(module: ModuleOp, model: onnx.ModelProto) -> None:
    attribute = module.attributes.get("onnx.metadata")
    entries = attribute.data if isinstance(attribute, DictionaryAttr) else {}
    texts = _strings(attribute)
    for key in ("producer_name", "producer_version", "domain", "doc_string"):
        if key in texts:
            setattr(model, key, texts[key])
    model.graph.name = texts.get("graph_name", "main")
    if "graph_doc_string" in texts:
        model.graph.doc_string = texts["graph_doc_string"]
    if version := entries.get("model_version"):
        model.model_version = python_value(version)
    for key, value in _strings(entries.get("custom")).items():
        model.metadata_props.add(key=key, value=value)
