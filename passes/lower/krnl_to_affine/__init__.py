"""`lower-affine`: krnl -> affine.

Requires kernels (`func.func` with `krnl` loops over `memref`). Ensures that no `krnl` operation is
left: schedules have become loops, tiles and vectors. The host program is not touched.

    %i0, %i1 = krnl.block %i 4                    affine.for %o = 0 to 16 step 4 {
    krnl.iterate (%i -> %x = 0 to 16) {   ==>       affine.for %x = 0 to 4 {
      krnl.load %a[%x]                                affine.load %a[%o + %x]
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from passes.lower.krnl_to_affine.kernel import KernelLowering


@dataclass(frozen=True)
class KrnlToAffine(ModulePass):
    """Turns scheduled `krnl` loops into `affine` loops."""

    name = "lower-affine"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Lowers every kernel of the module in place."""
        for kernel in [k for k in op.ops if isinstance(k, func.FuncOp) and not k.is_declaration]:
            Rewriter.replace_op(kernel, KernelLowering(kernel).run())
