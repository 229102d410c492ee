"""The host program in the `llvm` dialect: one native entry point for a run, one for its sizes.

Registers with `lower-llvm` as the rule for `hal.program`. Requires planned memory. Ensures the
functions `@terrace_run` and, where input sizes vary, `@terrace_plan` (docs/architecture.md has
their contract); what the runtime must know beside them becomes attributes of the module:
`hal.inputs`, `hal.outputs`, `hal.constants`, `hal.selected`, `hal.messages`, `hal.arena_bytes`,
`hal.heap_buffers`.
"""

from __future__ import annotations

from collections.abc import Callable

from xdsl.dialects.builtin import ArrayAttr, IntegerAttr, i32, i64
from xdsl.ir import Attribute, Operation, Region

from dialects import hal, llvm
from dialects.onnx.dims import parse_dim
from passes.lower.affine_to_llvm.module import ModuleLowering, llvm_function, module_rule
from passes.lower.affine_to_llvm.types import PTR, VOID
from passes.lower.hal_to_llvm.run import Run
from passes.lower.hal_to_llvm.sizes import Plan


@module_rule(hal.ProgramOp)
def lower_program(module: ModuleLowering, program: hal.ProgramOp) -> None:
    """Lowers the host program and records what the runtime must know."""
    messages: list[Attribute] = []
    run = Run(module, program, messages)
    module.add(run.lower())
    attributes = module.source.attributes
    arena = parse_dim(program.arena_bytes.data) if program.arena_bytes is not None else 0
    if run.has_plan or not isinstance(arena, int):
        module.add(Plan(module, program, messages).lower())
    else:
        attributes["hal.arena_bytes"] = IntegerAttr(arena, i64)
    attributes["hal.inputs"] = program.inputs
    attributes["hal.outputs"] = program.outputs
    attributes["hal.constants"] = ArrayAttr([op.value for op in run.constants])
    selected = [number for number, op in enumerate(run.constants) if op.selected is not None]
    attributes["hal.selected"] = ArrayAttr([IntegerAttr(number, i64) for number in selected])
    attributes["hal.heap_buffers"] = IntegerAttr(len(run.heap), i64)
    attributes["hal.messages"] = ArrayAttr(messages)
    for name in sorted(run.externals):
        module.add(_EXTERNALS[name]())


def _external(name: str, result: Attribute, *arguments: Attribute) -> Callable[[], Operation]:
    kind = llvm.LLVMFunctionType(list(arguments), result)
    return lambda: llvm_function(name, kind, Region())


_EXTERNALS = {
    "aligned_alloc": _external("aligned_alloc", PTR, i64, i64),
    "free": _external("free", VOID, PTR),
    "clock_gettime": _external("clock_gettime", i32, i32, PTR),
    "memcpy": _external("memcpy", PTR, PTR, PTR, i64),
    "memset": _external("memset", PTR, PTR, i32, i64),
}
