"""`terrace inspect`: what a model consists of, and what becomes of it."""

from __future__ import annotations

import warnings
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from typing import Any

from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, StringAttr

from compiler.cli.compile_command import request_of
from compiler.cli.printing import byte_text
from compiler.cli.progress import Progress
from compiler.driver import Request, build, read
from compiler.linking import metadata_entries, plain
from compiler.lowered import Lowered, main_function
from dialects.onnx.constants import array_of, pool_of
from dialects.onnx.ops import Const, OnnxOp
from passes.lower.onnx_to_krnl.registry import key_of
from runtime.errors import UnsupportedError
from runtime.program import Program

_SHOWN_NODES = 4


def run(options: Namespace) -> int:
    """Runs the command."""
    request = request_of(options)
    with Progress() as progress, warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        low = read(request, progress)
        lines = list(_model(request, low))
        lines += [f"note        {warning.message}" for warning in noted]
        try:
            program = build(request, not options.no_cache, listener=progress).program
            lines += _program(program)
            lines += _memory(program)
        except UnsupportedError as error:
            lines += ["", f"cannot be compiled: {error}"]
    print("\n".join(lines))
    return 0


def _model(request: Request, low: Lowered) -> Iterator[str]:
    yield f"model       {request.source.label}, {low.stage} stage"
    for key, value in metadata_entries(low.module).items():
        yield f"{key:11s} {value}"
    for domain, version in plain(low.module.attributes.get("onnx.opset_imports", _NOTHING)).items():
        yield f"opset       {domain} {version}"
    if low.stage != "onnx":
        return
    main = main_function(low.module)
    for name, argument in zip(_names(main.arg_attrs), main.body.block.args, strict=True):
        yield f"input       {name}: {argument.type}"
    for entry in main.res_attrs or ():
        kind = entry.data.get("onnx.declared_type", "of no declared type")
        yield f"output      {plain(entry.data['onnx.name'])}: {kind}"
    pool = pool_of(low.ctx)
    constants = [op for op in low.module.walk() if isinstance(op, Const)]
    total = sum(array_of(op.value, op.result.type, pool).nbytes for op in constants)
    yield f"constants   {len(constants)}, {byte_text(total)}"
    yield ""
    counts = Counter(_operator(op) for op in low.module.walk() if isinstance(op, OnnxOp))
    yield f"operators   {sum(counts.values())} nodes of {len(counts)} kinds"
    for name, count in counts.most_common():
        yield f"{count:7d}     {name}"


_NOTHING = DictionaryAttr({})


def _names(entries: ArrayAttr[DictionaryAttr] | None) -> Iterator[str]:
    for entry in entries or ():
        name = entry.data["onnx.name"]
        assert isinstance(name, StringAttr)
        yield name.data


def _operator(op: OnnxOp) -> str:
    domain, name = key_of(op) or ("", op.name)
    return f"{domain}.{name}" if domain else name


def _program(program: Program) -> Iterator[str]:
    dispatches: list[dict[str, Any]] = program.manifest["kernels"]
    calls: dict[str, list[str]] = {}
    for entry in dispatches:
        calls.setdefault(entry["name"], []).append("+".join(entry["nodes"]) or "?")
    yield ""
    yield f"kernels     {len(calls)} for {len(dispatches)} dispatches"
    for name, nodes in sorted(calls.items(), key=lambda item: -len(item[1])):
        shown = ", ".join(nodes[:_SHOWN_NODES]) + (", ..." if len(nodes) > _SHOWN_NODES else "")
        yield f"{len(nodes):7d}     {name}: {shown}"


def _memory(program: Program) -> Iterator[str]:
    arena = program.signature.arena_bytes
    constants = sum(array.nbytes for array in program.constants.values())
    yield ""
    yield f"arena       {'depends on input sizes' if arena is None else byte_text(arena)}"
    yield f"weights     {byte_text(constants)} in {len(program.constants)} arrays"
