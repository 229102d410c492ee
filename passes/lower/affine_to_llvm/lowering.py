"""The pass `lower-llvm`."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from passes.lower.affine_to_llvm.module import ModuleLowering


@dataclass(frozen=True)
class AffineToLLVM(ModulePass):
    """Lowers all functions of a module to the `llvm` dialect.

    Requires the `affine` stage. Ensures that only the `llvm` dialect remains, provided that every
    other operation of the module has a rule (see `module_rule`). ``dot_products`` is the
    instruction that the target has for those of short integers: none, pmaddwd, or vpdpbusd (and
    pmaddwd).
    """

    name = "lower-llvm"

    dot_products: str = "none"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        ModuleLowering(op, self.dot_products).run()
