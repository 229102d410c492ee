"""Sizes of results that only a run knows: kernels that compute them ahead of the operator itself.

`onnx-result-sizes` puts an operation of the domain `terrace.sizes` in front of an operator whose
result has sizes that nothing else tells (NonZero, Compress, a Slice with run-time steps, ...). Its
rule stands next to the operator's and is registered here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dialects.onnx.ops import Custom, OnnxOp
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import ROOTS, root

SIZES_DOMAIN = "terrace.sizes"

SizesRule = Callable[[Kernel, OnnxOp], Sequence[Affine]]
"""(kernel, operation with the operator's operands and attributes) -> all sizes of its result."""


def result_sizes(*names: str) -> Callable[[SizesRule], SizesRule]:
    """Registers the rule that computes the sizes of an operator's first result."""

    def decorate(rule: SizesRule) -> SizesRule:
        root(*names, epilogue=False, domain=SIZES_DOMAIN)(lambda k, op: _emit(k, op, rule))
        return rule

    return decorate


def has_sizes_rule(op_type: str) -> bool:
    """Whether a run can compute the sizes of an operator's first result."""
    return (SIZES_DOMAIN, op_type) in ROOTS


def _emit(k: Kernel, op: OnnxOp, rule: SizesRule) -> None:
    """Stores the sizes along the axes that `axes_wanted` lists."""
    assert isinstance(op, Custom)
    sizes = rule(k, op)
    element = k.element(op.results[0])
    for place, axis in enumerate(op.get("axes_wanted")):
        number = k.s.from_index(k.index_value(sizes[axis]), element)
        k.give(op.results[0], [affine(place)], number)
