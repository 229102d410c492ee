"""From the `krnl` stage to a program, kernel by kernel.

The kernels of a module have nothing to do with each other. So each goes down the last stages alone,
and LLVM compiles it in another process while the next one is lowered. What remains of it in the
module is a declaration, by which the host program calls it.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from time import perf_counter
from typing import TYPE_CHECKING

from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp, StringAttr, UnitAttr
from xdsl.ir import Region
from xdsl.passes import ModulePass

from compiler.linking import Linker
from compiler.pipeline import make_pass, run_passes
from compiler.report import Report
from dialects import hal
from passes.lower.affine_to_llvm.module import PARALLEL, signature_of

if TYPE_CHECKING:
    from compiler.lowered import Lowered
    from runtime.program import Program


def link_kernels(low: Lowered, verified: Container[str]) -> Program:
    """Lowers a module on the `krnl` or `affine` stage to a program, taking its kernels out of it.

    ``verified`` is as for `compiler.pipeline.run_passes`, with whose errors this fails.
    """
    lowering = _Lowering(low, verified)
    kernels = independent_kernels(low.module)
    start = perf_counter()
    with Linker(low.target) as linker:
        for number, kernel in enumerate(kernels, 1):
            low.report.listener(f"kernel {number} of {len(kernels)}: {kernel.sym_name.data}")
            linker.add(_take_out(kernel, lowering))
        lowering.to_affine(low.module)
        lowering.to_llvm(low.module)
        low.report.add_passes(lowering.report)
        low.report.code_seconds = perf_counter() - start - lowering.report.seconds
        return linker.finish(low.module, low.ctx, low.report)


class _Lowering:
    """The passes that a module still has to take; ``report`` says how long they took."""

    def __init__(self, low: Lowered, verified: Container[str]) -> None:
        from compiler.lowered import remaining_passes

        above = remaining_passes(low.module, "affine", low.target)
        below = remaining_passes(low.module, "llvm", low.target)[len(above) :]
        self.report = Report()
        self._stage = low.stage
        self._above = [make_pass(text) for text in above]
        self._below = [make_pass(text) for text in below]
        self._low = low
        self._verified = verified

    def to_affine(self, module: ModuleOp) -> None:
        """Brings the module, or a part of it, to the `affine` stage."""
        self._run(module, self._above, self._stage)

    def to_llvm(self, module: ModuleOp) -> None:
        """Brings it from there to the `llvm` stage."""
        self._run(module, self._below, "affine")

    def _run(self, module: ModuleOp, passes: Sequence[ModulePass], stage: str) -> None:
        run_passes(module, self._low.ctx, passes, self.report, stage, verified=self._verified)


def independent_kernels(module: ModuleOp) -> Sequence[func.FuncOp]:
    """The module's kernels, or none if they need each other, as those that people write may."""
    functions = [op for op in module.ops if isinstance(op, func.FuncOp)]
    alone = {func.FuncOp.name, hal.ProgramOp.name}.issuperset(op.name for op in module.ops)
    calls = (op for kernel in functions for op in kernel.walk() if isinstance(op, func.CallOp))
    defined = all(kernel.body.blocks for kernel in functions)
    return functions if alone and defined and next(calls, None) is None else ()


def _take_out(kernel: func.FuncOp, lowering: _Lowering) -> ModuleOp:
    """A module with the kernel on the `llvm` stage; in its place comes a declaration."""
    declaration = func.FuncOp.create(
        properties={
            "sym_name": kernel.sym_name,
            "function_type": kernel.function_type,
            "sym_visibility": StringAttr("private"),
        },
        regions=[Region()],
        location=kernel.location,
    )
    block = kernel.parent
    assert block is not None
    block.insert_op_before(declaration, kernel)
    kernel.detach()
    part = ModuleOp([kernel])
    lowering.to_affine(part)
    lowered = next(op for op in part.ops if isinstance(op, func.FuncOp))
    if signature_of(lowered).takes_context:
        declaration.attributes[PARALLEL] = UnitAttr()
    lowering.to_llvm(part)
    return part
