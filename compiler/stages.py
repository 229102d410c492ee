"""The stages of a model, in order, and the passes that bring it from each to the next.

This table is the compiler: the driver walks it from the stage that a module stands on to the stage
that is asked for. Nothing here imports xdsl, so that a cached program is found without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from compiler.target import Target
from runtime.errors import InputError


@dataclass(frozen=True)
class Stage:
    """A terrace: its name and the passes, as pipeline text, whose result stands on it.

    ``entry`` is the pass that does the lowering: what stands before it works on the stage above.
    """

    name: str
    passes: Callable[[Target], tuple[str, ...]]
    entry: str = ""


STAGES = (
    Stage(
        "onnx",
        lambda target: (
            "onnx-expand-functions",
            "onnx-infer-shapes",
            "onnx-fold",
            "onnx-simplify",
            "onnx-infer-shapes",
        ),
    ),
    Stage(
        "krnl",
        lambda target: (
            "onnx-legalize",
            "onnx-multiply-integers",
            "onnx-decompose-integers"
            f"{{unsigned-data={str(target.dot_products == 'vpdpbusd').lower()}}}",
            "onnx-slice-strides",
            "onnx-check-indices",
            "onnx-bind-parameters",
            "onnx-result-sizes",
            "onnx-align-operands",
            "onnx-decompose-rnn",
            "onnx-normalize-scan",
            "onnx-check-operators",
            f"onnx-apply-winograd{{group={target.dot_group} vector-bits={target.vector_bits}"
            f" registers={target.vector_registers} l1-bytes={target.l1_bytes}"
            f" l2-bytes={target.l2_bytes} l3-bytes={target.l3_bytes}}}",
            f"onnx-apply-strassen{{vector-bits={target.vector_bits}"
            f" registers={target.vector_registers} l1-bytes={target.l1_bytes}"
            f" l2-bytes={target.l2_bytes} l3-bytes={target.l3_bytes}}}",
            f"onnx-pack-integers{{group={target.dot_group} vector-bits={target.vector_bits}"
            f" registers={target.vector_registers}}}",
            f"onnx-assign-layouts{{vector-bits={target.vector_bits}"
            f" registers={target.vector_registers} l2-bytes={target.l2_bytes}}}",
            f"onnx-form-dispatches{{cache-bytes={target.l2_bytes}}}",
            f"lower-krnl{{cache-bytes={target.l2_bytes}}}",
            f"krnl-schedule{{vector-bits={target.vector_bits}"
            f" registers={target.vector_registers} near-bytes={target.l1_bytes}}}",
            "hal-plan-memory",
        ),
        entry="lower-krnl",
    ),
    Stage(
        "affine",
        lambda target: (
            "lower-affine",
            f"affine-prefetch{{cache-bytes={target.l2_bytes}}}",
            "expand-math",
        ),
        entry="lower-affine",
    ),
    Stage(
        "llvm",
        lambda target: (f"lower-llvm{{dot-products={target.dot_products}}}",),
        entry="lower-llvm",
    ),
)
"""Each stage's text can be the compiler's input."""

NAMES = tuple(stage.name for stage in STAGES)

ENTRIES = {stage.entry: stage.name for stage in STAGES if stage.entry}
"""The stage that each lowering leads to."""

CODE = ("llvm-ir", "asm", "obj", "program")
"""What follows the last stage: text and files that are no modules."""


def index_of(name: str) -> int:
    """The position of a stage. Raises InputError for a name that is none."""
    if name not in NAMES:
        raise InputError(f"there is no stage '{name}'", hint=f"stages are {', '.join(NAMES)}")
    return NAMES.index(name)


def default_passes(target: Target) -> Iterator[str]:
    """All passes from an imported model to the `llvm` stage."""
    for stage in STAGES:
        yield from stage.passes(target)


@cache
def homes() -> dict[str, int]:
    """The position of the stage that each pass belongs to."""
    any_target = Target(triple="", cpu="")
    found: dict[str, int] = {}
    for number, stage in enumerate(STAGES):
        for text in stage.passes(any_target):
            found.setdefault(text.partition("{")[0], number)
    return found
