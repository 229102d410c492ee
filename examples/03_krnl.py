"""The `krnl` stage: each dispatch a kernel of loops, its schedule apart from its body.

The convolution below is printed twice, before and after `krnl-schedule`: only lines that define
tiles, their order and what becomes of them are added. The host program calls the kernels in order;
`offset` is a buffer's place in the one arena of a run.
"""

from pathlib import Path

from xdsl.dialects.func import FuncOp

import compiler

MODEL = Path(__file__).parent / "digits" / "digits.onnx"


def print_kernel(low: compiler.Lowered, name: str) -> None:
    for op in low.module.ops:
        if isinstance(op, FuncOp) and op.sym_name.data.startswith(name):
            print(op, end="\n\n")
            return


pipeline = compiler.Pipeline.default()
unscheduled = compiler.lower(MODEL, to="krnl", passes=pipeline.until("krnl-schedule"))
scheduled = compiler.lower(MODEL, to="krnl")
print_kernel(unscheduled, "conv")
print_kernel(scheduled, "conv")
print(next(op for op in scheduled.module.ops if op.name == "hal.program"))
