"""Programs for the runtime's tests: LLVM IR by hand that follows the native interface."""

from __future__ import annotations

import functools
import platform
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from runtime import pool
from runtime.program import Program

RUN = (
    "define i64 @terrace_run(ptr %inputs, ptr %outputs, ptr %constants, ptr %arena,"
    " ptr %dims_in, ptr %dims_out, ptr %context)"
)
PLAN = "define i64 @terrace_plan(ptr %dims_in, ptr %dims_out)"
CONTEXT = "%context = type { ptr, ptr, i64, [4 x i64], ptr, ptr, ptr, ptr }\n"


def slot(name: str, table: str, index: int) -> str:
    """IR that loads pointer ``index`` of a pointer table."""
    return (
        f"  %{name}.slot = getelementptr ptr, ptr %{table}, i64 {index}\n"
        f"  %{name} = load ptr, ptr %{name}.slot\n"
    )


def size(name: str, table: str, index: int) -> str:
    """IR that loads size ``index`` of a size table."""
    return (
        f"  %{name}.slot = getelementptr i64, ptr %{table}, i64 {index}\n"
        f"  %{name} = load i64, ptr %{name}.slot\n"
    )


ADD = """
define internal void @add(ptr %a, ptr %b, ptr %c, i64 %n) {
entry:
  br label %check
check:
  %i = phi i64 [ 0, %entry ], [ %next, %body ]
  %more = icmp slt i64 %i, %n
  br i1 %more, label %body, label %done
body:
  %pa = getelementptr float, ptr %a, i64 %i
  %pb = getelementptr float, ptr %b, i64 %i
  %pc = getelementptr float, ptr %c, i64 %i
  %x = load float, ptr %pa
  %y = load float, ptr %pb
  %z = fadd float %x, %y
  store float %z, ptr %pc
  %next = add i64 %i, 1
  br label %check
done:
  ret void
}
"""


@functools.cache
def compile_ir(text: str) -> bytes:
    """Object code for this machine."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=1,
        reloc="pic",
        codemodel="default",
    )
    module = llvm.parse_assembly(text)
    module.verify()
    return machine.emit_object(module)


def tensor(name: str, *shape: Any, dtype: str = "float32") -> dict[str, Any]:
    return {"name": name, "dtype": dtype, "shape": list(shape)}


def program(
    text: str | None,
    inputs: list[dict[str, Any]],
    outputs: list[dict[str, Any]],
    constants: dict[str, np.ndarray] | None = None,
    **manifest: Any,
) -> Program:
    """A program for this machine. ``text`` None stands for code that is never loaded."""
    constants = constants or {}
    target = {
        "triple": llvm.get_process_triple(),
        "cpu": llvm.get_host_cpu_name(),
        "features": llvm.get_host_cpu_features().flatten(),
    }
    top = {
        "format": 3,
        "producer": "tests",
        "target": target,
        "inputs": inputs,
        "outputs": outputs,
        "constants": list(constants),
        "arena_bytes": 0,
        "messages": [],
        "kernels": [],
        "metadata": {"graph_name": "test", "custom": {"author": "hand"}},
        **manifest,
    }
    return Program(top, {"main": compile_ir(text) if text else b"none"}, constants)


def add_program(n: int = 4) -> Program:
    """c = a + b on float32[n]."""
    text = (
        f"{ADD}{RUN} {{\n{slot('a', 'inputs', 0)}{slot('b', 'inputs', 1)}{slot('c', 'outputs', 0)}"
        f"  call void @add(ptr %a, ptr %b, ptr %c, i64 {n})\n  ret i64 0\n}}\n"
    )
    return program(text, [tensor("a", n), tensor("b", n)], [tensor("c", n)])


def add_constant_program(constant: np.ndarray) -> Program:
    """y = x + constant on float32, the constant read from the constants' table."""
    n = constant.size
    text = (
        f"{ADD}{RUN} {{\n"
        f"{slot('x', 'inputs', 0)}{slot('w', 'constants', 0)}{slot('y', 'outputs', 0)}"
        f"  call void @add(ptr %x, ptr %w, ptr %y, i64 {n})\n  ret i64 0\n}}\n"
    )
    shape = constant.shape
    return program(text, [tensor("x", *shape)], [tensor("y", *shape)], {"w": constant})


def dynamic_program() -> Program:
    """z = x + y on float32[batch, 3], through the arena, which terrace_plan sizes."""
    text = (
        f"{ADD}{PLAN} {{\n{size('m', 'dims_in', 0)}{size('n', 'dims_in', 1)}"
        "  %same = icmp eq i64 %m, %n\n"
        "  br i1 %same, label %good, label %bad\n"
        "good:\n"
        "  store i64 %m, ptr %dims_out\n"
        "  %bytes = mul i64 %m, 12\n"
        "  ret i64 %bytes\n"
        "bad:\n"
        "  ret i64 -2\n}\n"
        "declare ptr @memcpy(ptr, ptr, i64)\n"
        f"{RUN} {{\n{slot('x', 'inputs', 0)}{slot('y', 'inputs', 1)}{slot('z', 'outputs', 0)}"
        f"{size('m', 'dims_in', 0)}"
        "  %count = mul i64 %m, 3\n"
        "  %bytes = mul i64 %m, 12\n"
        "  call void @add(ptr %x, ptr %y, ptr %arena, i64 %count)\n"
        "  %copied = call ptr @memcpy(ptr %z, ptr %arena, i64 %bytes)\n"
        "  ret i64 0\n}\n"
    )
    # 'rows' is a second symbol, so that the program's own check is reached.
    return program(
        text,
        [tensor("x", "batch", 3), tensor("y", "rows", 3)],
        [tensor("z", "batch", 3)],
        arena_bytes=None,
        messages=[
            {"text": "unused"},
            {"text": "the batches differ", "node": "add", "op_type": "Add"},
        ],
    )


def positives_program() -> Program:
    """The positive elements of float32[n]: a size that only the data tell. -1 makes it fail."""
    text = (
        "declare ptr @malloc(i64)\n"
        f"{PLAN} {{\n  store i64 -1, ptr %dims_out\n  ret i64 0\n}}\n"
        f"{RUN} {{\nentry:\n{slot('x', 'inputs', 0)}{size('n', 'dims_in', 0)}"
        "  %bytes = mul i64 %n, 4\n"
        "  %y = call ptr @malloc(i64 %bytes)\n"
        "  store ptr %y, ptr %outputs\n"
        "  br label %check\n"
        "check:\n"
        "  %i = phi i64 [ 0, %entry ], [ %i.next, %step ]\n"
        "  %k = phi i64 [ 0, %entry ], [ %k.next, %step ]\n"
        "  %more = icmp slt i64 %i, %n\n"
        "  br i1 %more, label %look, label %done\n"
        "look:\n"
        "  %p = getelementptr float, ptr %x, i64 %i\n"
        "  %v = load float, ptr %p\n"
        "  %i.next = add i64 %i, 1\n"
        "  %is_bad = fcmp oeq float %v, -1.0\n"
        "  br i1 %is_bad, label %bad, label %step\n"
        "step:\n"
        "  %q = getelementptr float, ptr %y, i64 %k\n"
        "  store float %v, ptr %q\n"
        "  %keep = fcmp ogt float %v, 0.0\n"
        "  %one = zext i1 %keep to i64\n"
        "  %k.next = add i64 %k, %one\n"
        "  br label %check\n"
        "done:\n"
        "  store i64 %k, ptr %dims_out\n"
        "  ret i64 0\n"
        "bad:\n"
        "  ret i64 1\n}\n"
    )
    return program(
        text,
        [tensor("x", "n")],
        [tensor("y", None)],
        arena_bytes=None,
        messages=[{"text": "-1 is forbidden", "node": "pick"}],
    )


def parallel_program(n: int, grain: int, nested: bool = False) -> Program:
    """y = 2 x on float32[n] through context.parallel_for, inside a second one if ``nested``."""
    double = (
        "define internal void @double(ptr %closure, i64 %begin, i64 %end) {\n"
        f"entry:\n{slot('x', 'closure', 0)}{slot('y', 'closure', 1)}"
        "  br label %check\n"
        "check:\n"
        "  %i = phi i64 [ %begin, %entry ], [ %next, %body ]\n"
        "  %more = icmp slt i64 %i, %end\n"
        "  br i1 %more, label %body, label %done\n"
        "body:\n"
        "  %p = getelementptr float, ptr %x, i64 %i\n"
        "  %q = getelementptr float, ptr %y, i64 %i\n"
        "  %v = load float, ptr %p\n"
        "  %w = fmul float %v, 2.0\n"
        "  store float %w, ptr %q\n"
        "  %next = add i64 %i, 1\n"
        "  br label %check\n"
        "done:\n  ret void\n}\n"
    )
    # Every row of the outer loop doubles everything again from x: idempotent, and all of it nested.
    rows = (
        "define internal void @rows(ptr %closure, i64 %begin, i64 %end) {\n"
        f"{slot('context', 'closure', 2)}  %for = load ptr, ptr %context\n"
        f"  call void %for(ptr %context, ptr @double, ptr %closure, i64 {n}, i64 {grain})\n"
        "  ret void\n}\n"
    )
    call = (
        "  call void %for(ptr %context, ptr @rows, ptr %closure, i64 4, i64 1)\n"
        if nested
        else f"  call void %for(ptr %context, ptr @double, ptr %closure, i64 {n}, i64 {grain})\n"
    )
    text = (
        f"{double}{rows}{RUN} {{\n{slot('x', 'inputs', 0)}{slot('y', 'outputs', 0)}"
        "  %closure = alloca [3 x ptr]\n"
        "  store ptr %x, ptr %closure\n"
        "  %c1 = getelementptr ptr, ptr %closure, i64 1\n"
        "  store ptr %y, ptr %c1\n"
        "  %c2 = getelementptr ptr, ptr %closure, i64 2\n"
        "  store ptr %context, ptr %c2\n"
        f"  %for = load ptr, ptr %context\n{call}  ret i64 0\n}}\n"
    )
    made = program(text, [tensor("x", n)], [tensor("y", n)])
    made.objects[pool.OBJECT] = compile_ir(pool.source(platform.machine()))
    return made


def failing_program(error: str = "input", code: int = 1) -> Program:
    """A run that fails with ``code``, the context's details set to 10, 20, 30, 40."""
    details = "".join(
        f"  %d{i} = getelementptr %context, ptr %context, i32 0, i32 3, i32 {i}\n"
        f"  store i64 {10 * (i + 1)}, ptr %d{i}\n"
        for i in range(4)
    )
    text = f"{CONTEXT}{RUN} {{\n{details}  ret i64 {code}\n}}\n"
    message = {
        "text": "index {0} is not below {3}",
        "node": "pick",
        "op_type": "Gather",
        "opset": 13,
        "error": error,
    }
    return program(text, [tensor("x", 1)], [tensor("y", 1)], messages=[message])
