"""What comes out of the compiler besides modules' text: LLVM IR, assembly, objects, ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compiler.codegen import compile_text
from compiler.llvm_text import module_text
from runtime.errors import UnsupportedError

if TYPE_CHECKING:
    from compiler.lowered import Lowered

ONNX_SUFFIXES = (".onnx", ".onnxtxt", ".json", ".textproto")
"""Files that an ONNX model can be written to."""


def llvm_ir(low: Lowered, label: str) -> str:
    """A module on the `llvm` stage as LLVM IR, before LLVM's own optimisations.

    Its debug locations name ``label`` as the file and the numbers of ONNX nodes as lines.
    """
    header = f'target triple = "{low.target.triple}"\n'
    text = module_text(low.module, attributes=low.target.function_attributes, debug=label)
    return header + text


def assembly(low: Lowered, label: str) -> str:
    """A module on the `llvm` stage as assembly for its target, optimised."""
    return compile_text(llvm_ir(low, label), low.target, "asm", label).decode()


def object_code(low: Lowered, label: str) -> bytes:
    """A module on the `llvm` stage as one object file for its target, optimised."""
    return compile_text(llvm_ir(low, label), low.target, "object", label)


def write_onnx(low: Lowered, path: Path) -> None:
    """Writes a module on the `onnx` stage as an ONNX file; the suffix says in which form.

    Raises UnsupportedError when the module has something that ONNX has not.
    """
    from compiler.exporter import export_model, save_model

    if path.suffix == ".onnx":
        save_model(low.module, low.ctx, path)
        return
    from onnx import serialization

    kind = serialization.registry.get_format_from_file_extension(path.suffix)
    if kind is None:
        raise UnsupportedError(
            f"'{path.suffix}' is no form of ONNX", hint=f"use {', '.join(ONNX_SUFFIXES)}"
        )
    model = export_model(low.module, low.ctx)
    path.write_bytes(serialization.registry.get(kind).serialize_proto(model))
