"""`lower-krnl`: onnx -> krnl.

Requires dispatches (`onnx-form-dispatches`). Ensures that no `onnx` operation is left: every
dispatch is a kernel (`func.func` with `krnl` loops, not yet scheduled), and `@main` is a
`hal.program`.

    func.func private @relu_4(%x: tensor<4xf32>) { onnx.Relu }
      ==>  func.func @relu_4(%in0: memref<4xf32>, %out0: memref<4xf32>) { krnl.iterate ... }
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from dialects.krnl import INPLACE, integers
from dialects.onnx.constants import pool_of
from passes.lower.onnx_to_krnl.collapse import collapsed_dims, reusable_inputs
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.program import ProgramBuilder


@dataclass(frozen=True)
class OnnxToKrnl(ModulePass):
    """Lowers dispatches to kernels and the main function to the host program.

    ``cache_bytes`` is the size of the outermost cache that a core has for itself.
    """

    name = "lower-krnl"

    cache_bytes: int = 524_288

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Lowers the module in place."""
        pool = pool_of(ctx)
        functions = [f for f in op.ops if isinstance(f, func.FuncOp)]
        dispatches = {f.sym_name.data: f for f in functions if "onnx.dispatch" in f.attributes}
        main = next((f for f in functions if f.sym_name.data == "main"), None)
        if main is not None:
            Rewriter.replace_op(main, ProgramBuilder(main, pool, dispatches).build())
        for function in dispatches.values():
            Rewriter.replace_op(function, emit_kernel(function, self.cache_bytes))


def emit_kernel(dispatch: func.FuncOp, cache_bytes: int) -> func.FuncOp:
    """The kernel of one dispatch."""
    kernel = Kernel(dispatch, collapsed_dims(dispatch), cache_bytes)
    kernel.emit()
    made = kernel.finish(dispatch.sym_name.data)
    reusable = reusable_inputs(dispatch)
    if reusable:
        made.attributes[INPLACE] = integers(tuple(reusable))
    if remarks := dispatch.attributes.get("remarks"):
        made.attributes["remarks"] = remarks
    return made
