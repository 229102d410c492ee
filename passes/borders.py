"""What may stand on each stage, as code: the verifiers of the stages' borders.

A lowering that leaves something of its own stage behind is found here, with the operation and its
ONNX node, and not three stages further down. The table is that of docs/architecture.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.ir import Operation
from xdsl.passes import ModulePass

from dialects.onnx.locations import place_of
from runtime.errors import InputError, InternalError, Place

_KERNEL = frozenset({"arith", "math", "memref", "vector"})

ALLOWED: dict[str, frozenset[str]] = {
    "onnx": frozenset({"builtin", "func", "onnx"}),
    "krnl": _KERNEL | {"builtin", "func", "hal", "krnl", "scf"},
    "affine": _KERNEL | {"builtin", "func", "hal", "affine", "scf"},
    "llvm": frozenset({"builtin", "llvm"}),
}
"""Dialects by stage."""


@dataclass(frozen=True)
class VerifyStage(ModulePass):
    """Fails unless the module verifies and all of it may stand on ``stage``."""

    name = "verify-stage"

    stage: str

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Raises InternalError for what may not stand there; the module is not changed."""
        op.verify()
        check_border(op, self.stage)


def check_border(module: ModuleOp, stage: str) -> None:
    """Raises InternalError for the first operation, in order, that may not stand on ``stage``."""
    if stage not in ALLOWED:
        raise InputError(f"there is no stage '{stage}'", hint=f"stages are {', '.join(ALLOWED)}")
    allowed = ALLOWED[stage]
    known: dict[type[Operation], bool] = {}
    for op in module.walk():
        kind = type(op)
        fits = known.get(kind)
        if fits is None:
            fits = known[kind] = op.name.partition(".")[0] in allowed
        if not fits:
            raise InternalError(
                f"{op.name} may not stand on the {stage} stage", place_of(op.location, stage)
            )
    if stage != "onnx":
        _check_no_tensors(module, stage)


def _check_no_tensors(module: ModuleOp, stage: str) -> None:
    """Below the `onnx` stage data lie in memory; a tensor type in a signature is a leftover."""
    for function in module.ops:
        for region in function.regions:
            kinds = region.blocks[0].arg_types if region.blocks else ()
            if any(isinstance(kind, TensorType) for kind in kinds):
                name = function.attributes.get("sym_name") or function.properties.get("sym_name")
                raise InternalError(f"{name} takes tensors", Place(stage=stage))
