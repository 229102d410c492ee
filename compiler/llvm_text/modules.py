"""Modules of the `llvm` dialect as LLVM IR text: whole, or one text for each kernel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from xdsl.dialects.builtin import ModuleOp

from compiler.llvm_text.functions import FunctionText
from compiler.llvm_text.metadata import Metadata
from compiler.llvm_text.types import constant_text, symbol, type_text
from dialects import llvm
from runtime.errors import InternalError, Place

Symbol = llvm.FuncOp | llvm.GlobalOp
_INTERNAL = ("internal", "private")


def module_text(module: ModuleOp, *, attributes: str = "", debug: str = "") -> str:
    """The whole module as LLVM IR.

    `attributes` are given to every function (see `Target.function_attributes`); `debug` names the
    file of debug locations, whose lines are the numbers of ONNX nodes, empty for none.
    """
    table = _symbols(module)
    return _write(table.values(), table, attributes, debug)


def kernel_modules(module: ModuleOp, *, attributes: str = "", debug: str = "") -> dict[str, str]:
    """One LLVM module for each external function that has a body, by its name.

    Each holds what internal functions and globals the function needs; other external functions
    are declared. So equal kernels have equal texts, whatever stands beside them.
    """
    table = _symbols(module)
    texts: dict[str, str] = {}
    for name, op in table.items():
        if isinstance(op, llvm.FuncOp) and _linkage(op) not in _INTERNAL and op.body.blocks:
            texts[name] = _write([op], table, attributes, debug)
    return texts


def _symbols(module: ModuleOp) -> dict[str, Symbol]:
    table: dict[str, Symbol] = {}
    for op in module.ops:
        if not isinstance(op, llvm.FuncOp | llvm.GlobalOp):
            message = f"{op.name} cannot stand in a module of the llvm stage"
            raise InternalError(message, Place(stage="llvm"))
        table[op.sym_name.data] = op
    return table


def _linkage(op: Symbol) -> str:
    return op.linkage.linkage.data


def _write(
    roots: Iterable[Symbol], table: Mapping[str, Symbol], attributes: str, debug: str
) -> str:
    """The roots, and with them all they refer to: internal symbols defined, others declared."""
    metadata = Metadata(debug)
    parts: list[str] = []
    waiting = list(roots)
    known = {op.sym_name.data for op in waiting}
    defined = set(known)
    while waiting:
        op = waiting.pop(0)
        name = op.sym_name.data
        is_defined = name in defined or _linkage(op) in _INTERNAL
        if isinstance(op, llvm.GlobalOp):
            parts.append(_global_text(op, is_defined))
            continue
        if not is_defined or not op.body.blocks:
            parts.append(_declaration(op))
            continue
        function = FunctionText(op, metadata, attributes)
        parts.append(function.write())
        for called in sorted(function.called - known):
            if called not in table:
                message = f"@{name} refers to @{called}, which the module does not have"
                raise InternalError(message, Place(stage="llvm"))
            known.add(called)
            waiting.append(table[called])
    return "\n".join([*parts, metadata.write()])


def _declaration(op: llvm.FuncOp) -> str:
    kind = op.function_type
    inputs = [type_text(each) for each in kind.inputs.data]
    if kind.is_variadic:
        inputs.append("...")
    return f"declare {type_text(kind.output)} {symbol(op.sym_name.data)}({', '.join(inputs)})\n"


def _global_text(op: llvm.GlobalOp, is_defined: bool) -> str:
    linkage = _linkage(op)
    kind = type_text(op.global_type)
    word = "constant" if op.constant is not None else "global"
    if op.thread_local_ is not None:
        word = f"thread_local {word}"
    alignment = f", align {op.alignment.value.data}" if op.alignment is not None else ""
    name = symbol(op.sym_name.data)
    if op.body.blocks:
        message = f"global {name} has an initializer region; give it a value"
        raise InternalError(message, Place(stage="llvm"))
    external = linkage == "external"
    if not is_defined or (external and op.value is None):
        return f"{name} = external {word} {kind}{alignment}\n"
    before = "" if external else f"{linkage} "
    value = "zeroinitializer" if op.value is None else constant_text(op.value, op.global_type)
    return f"{name} = {before}{word} {kind} {value}{alignment}\n"
