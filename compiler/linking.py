"""From the `llvm` stage to a program: object code, constants and manifest in one `Program`."""

from __future__ import annotations

from collections.abc import Container
from time import perf_counter
from typing import Any

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseIntOrFPElementsAttr,
    DenseResourceAttr,
    DictionaryAttr,
    IntegerAttr,
    ModuleOp,
    StringAttr,
    SymbolRefAttr,
)
from xdsl.ir import Attribute

from compiler.codegen import CodeGenerator
from compiler.llvm_text import INDIRECT_CALL, kernel_modules
from compiler.object_cache import ObjectCache
from compiler.report import Report
from compiler.target import Target
from compiler.version import PRODUCER
from dialects import llvm
from dialects.hal import sizes_of
from dialects.onnx.constants import array_of, pool_of
from dialects.onnx.dims import symbols_of
from dialects.onnx.locations import node_names
from dialects.onnx.types import dtype_of
from runtime import pool
from runtime.cpus import cpu_identity
from runtime.dtypes import BYTE_NAMES
from runtime.errors import InternalError, Place
from runtime.manifest import FORMAT
from runtime.program import Program


def link(
    module: ModuleOp,
    ctx: Context,
    target: Target,
    cache: ObjectCache | None = None,
    report: Report | None = None,
) -> Program:
    """Compiles the functions of a module on the `llvm` stage and makes a program of them.

    ``report`` says what was done before; it is completed and kept in the manifest.

    Raises InternalError when the module has no host program, and InvalidModelError when its
    constants were elided from the text that it comes from.
    """
    with Linker(target, cache) as linker:
        return linker.finish(module, ctx, Report() if report is None else report)


class Linker:
    """Makes a program of functions that come in several modules, the host program's the last.

    Those that came are compiled while others are still being made.
    """

    def __init__(self, target: Target, cache: ObjectCache | None = None) -> None:
        self._target = target
        self._generator = CodeGenerator(target, cache)
        self._needs_pool = False

    def __enter__(self) -> Linker:
        return self

    def __exit__(self, *exception: object) -> None:
        self._generator.__exit__(*exception)

    def add(self, module: ModuleOp) -> None:
        """Has the functions of a module on the `llvm` stage compiled."""
        texts = kernel_modules(module, attributes=self._target.function_attributes)
        for name, text in texts.items():
            self._needs_pool |= INDIRECT_CALL in text
            self._generator.add(name, text)

    def finish(self, module: ModuleOp, ctx: Context, report: Report) -> Program:
        """The program of all functions; this module's attributes describe it. As `link`."""
        if "hal.inputs" not in module.attributes:
            raise InternalError("the module has no host program", Place(stage="llvm"))
        report.listener("generating code")
        start = perf_counter()
        self.add(module)
        if self._needs_pool:
            self._generator.add(pool.OBJECT, pool.source(self._target.architecture))
        objects = self._generator.finish()
        report.code_seconds += perf_counter() - start
        constants = _constants(module, ctx)
        report.object_bytes = sum(map(len, objects.values()))
        report.constant_bytes = sum(array.nbytes for array in constants.values())
        dispatches = _dispatches(module, objects)
        report.dispatches = len(dispatches)
        report.kernels = len({entry["name"] for entry in dispatches})
        entries = manifest(module, self._target, list(constants))
        entries["kernels"] = dispatches
        if "hal.spans" in module.attributes:
            entries["spans"] = plain(module.attributes["hal.spans"])
        entries["report"] = report.as_json()
        return Program(entries, objects, constants)


def _dispatches(module: ModuleOp, kernels: Container[str]) -> list[dict[str, Any]]:
    """The kernels that the host program calls, in order, with the nodes each call computes."""
    (program,) = (
        op for op in module.ops if isinstance(op, llvm.FuncOp) and op.sym_name.data == "terrace_run"
    )
    return [
        {"name": op.callee.string_value(), "nodes": node_names(op.location)}
        for op in program.walk()
        if isinstance(op, llvm.CallOp) and op.callee and op.callee.string_value() in kernels
    ]


def _constants(module: ModuleOp, ctx: Context) -> dict[str, np.ndarray]:
    pool = pool_of(ctx)
    found: dict[str, np.ndarray] = {}
    values = module.attributes["hal.constants"]
    assert isinstance(values, ArrayAttr)
    for number, value in enumerate(values):
        assert isinstance(value, DenseResourceAttr | DenseIntOrFPElementsAttr)
        name = value.resource_handle.data if isinstance(value, DenseResourceAttr) else "c"
        array = array_of(value, value.type, pool)
        if array.dtype.name in BYTE_NAMES:
            array = array.view(np.uint8)
        found[f"{number}_{name}"] = array
    return found


def manifest(module: ModuleOp, target: Target, constants: list[str]) -> dict[str, Any]:
    """The program file's manifest (docs/architecture.md)."""
    attributes = module.attributes
    arena = attributes.get("hal.arena_bytes")
    known = _input_symbols(attributes["hal.inputs"])
    return {
        "format": FORMAT,
        "producer": PRODUCER,
        "target": {
            "triple": target.triple,
            "cpu": target.cpu,
            "features": target.features,
            "identity": (cpu_identity() or "") if target.is_host else "",
        },
        "inputs": _signature(attributes["hal.inputs"], None),
        "outputs": _signature(attributes["hal.outputs"], known),
        "constants": constants,
        "selected": [constants[number] for number in plain(attributes["hal.selected"])],
        "arena_bytes": arena.value.data if isinstance(arena, IntegerAttr) else None,
        "heap_buffers": plain(attributes["hal.heap_buffers"]),
        "messages": plain(attributes["hal.messages"]),
        "dim_params": plain(attributes.get("onnx.dim_params", DictionaryAttr({}))),
        "metadata": metadata_entries(module),
    }


def _signature(entries: Attribute, known: set[str] | None) -> list[dict[str, Any]]:
    assert isinstance(entries, ArrayAttr)
    return [
        {
            "name": plain(entry.data["name"]),
            "dtype": dtype_of(entry.data["element"]).name,
            "shape": [_dim(dim, known) for dim in sizes_of(entry.data["dims"])],
        }
        for entry in entries
        if isinstance(entry, DictionaryAttr)
    ]


def _dim(dim: Any, known: set[str] | None) -> int | str | None:
    if isinstance(dim, int):
        return dim
    return str(dim) if known is None or symbols_of(dim) <= known else None


def _input_symbols(entries: Attribute) -> set[str]:
    assert isinstance(entries, ArrayAttr)
    return {
        name
        for entry in entries
        if isinstance(entry, DictionaryAttr)
        for dim in sizes_of(entry.data["dims"])
        for name in symbols_of(dim)
    }


_METADATA = {
    "producer_name": "producer_name",
    "producer_version": "producer_version",
    "graph_name": "graph_name",
    "domain": "domain",
    "doc_string": "description",
    "graph_doc_string": "graph_description",
    "model_version": "version",
    "custom": "custom",
}


def metadata_entries(module: ModuleOp) -> dict[str, Any]:
    """What the model says about itself, in the manifest's words."""
    found = module.attributes.get("onnx.metadata")
    entries = plain(found) if found is not None else {}
    return {_METADATA[key]: value for key, value in entries.items()}


def plain(attribute: Attribute) -> Any:
    """An attribute as JSON."""
    match attribute:
        case StringAttr():
            return attribute.data
        case IntegerAttr():
            return attribute.value.data
        case ArrayAttr():
            return [plain(entry) for entry in attribute]
        case DictionaryAttr():
            return {key: plain(value) for key, value in attribute.data.items()}
        case SymbolRefAttr():
            return attribute.string_value()
        case _:
            return str(attribute)
