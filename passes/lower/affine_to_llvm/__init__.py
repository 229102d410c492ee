"""`affine` stage to `llvm` stage.

In: a module whose functions hold `affine`, `scf`, `memref`, `vector`, `arith`, `func` and those
operations of `math` that LLVM has instructions for. Out: the same functions in the `llvm` dialect,
with the calling convention of docs/architecture.md: a memref is a `noalias` pointer followed by its
dynamic sizes; a function with an `affine.parallel` takes the run's context first, and the loop's
body becomes functions of its own.

One walk builds new functions; what an operation becomes stands in the rule registered for it
(`@rule` for operations inside functions, `@module_rule` for the module's).
"""

from passes.lower.affine_to_llvm import arith, control, dots, memory, parallel, vectors
from passes.lower.affine_to_llvm.function import FunctionLowering, MemRef, rule
from passes.lower.affine_to_llvm.lowering import AffineToLLVM
from passes.lower.affine_to_llvm.module import (
    ModuleLowering,
    Signature,
    call,
    llvm_function,
    module_rule,
)

__all__ = [
    "AffineToLLVM",
    "FunctionLowering",
    "MemRef",
    "ModuleLowering",
    "Signature",
    "arith",
    "call",
    "control",
    "dots",
    "llvm_function",
    "memory",
    "module_rule",
    "parallel",
    "rule",
    "vectors",
]
