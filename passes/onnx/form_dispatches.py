"""`onnx-form-dispatches`: group operations into kernels, and make equal groups one function.

Requires inferred shapes and assigned layouts. Ensures that every operation that computes numbers
stands in a private function (a *dispatch*), called from where it stood; equal dispatches are one
function. What stays outside: constants, views (the same bytes under another shape), control flow
and host calls.

A dispatch is at most one root (`passes/lower/onnx_to_krnl/registry.py`) with

* in front of it the index maps and pointwise operations whose results only it needs, and
* behind it the pointwise operations and bijective maps that use each element of its result once,
  and pads around the outcome, which are written in place.

Attention is one dispatch too, with three roots: a product, a Softmax along its columns, and a
product with that (`passes/lower/onnx_to_krnl/attention.py`). So are a convolution and the depthwise
one behind it, if what lies between would not stay in the core's cache
(`passes/lower/onnx_to_krnl/convolution_chain.py`), and a reduction over all places of the outcome.

    %1 = Conv(%x, %w)                  func private @conv3x3_relu_8x8x16(%x, %w) { Conv; Relu }
    %2 = Relu(%1)                ==>   %2 = onnx.Dispatch @conv3x3_relu_8x8x16(%x, %w)
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block
from xdsl.passes import ModulePass

from passes.onnx.grouping import Grouping
from passes.onnx.outline import Outliner


@dataclass(frozen=True)
class FormDispatches(ModulePass):
    """Fuses, outlines and deduplicates. ``cache_bytes`` is the core's own cache.

    With ``explain`` a dispatch has an attribute ``remarks``: what it was not fused with, and why.
    """

    name = "onnx-form-dispatches"

    explain: bool = False
    cache_bytes: int = 524_288

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrites every function of the module in place."""
        outliner = Outliner(op)
        for function in list(op.ops):
            if isinstance(function, func.FuncOp) and not function.is_declaration:
                self._form(function.body.block, outliner)

    def _form(self, block: Block, outliner: Outliner) -> None:
        for op in block.ops:
            for region in op.regions:
                for nested in region.blocks:
                    self._form(nested, outliner)
        grouping = Grouping(block, self.cache_bytes)
        grouping.run()
        if self.explain:
            grouping.explain()
        outliner.outline(block, grouping)
