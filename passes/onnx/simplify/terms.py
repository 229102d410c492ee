"""Expressions over tensors as polynomials: sums of products of values with numbers as coefficients.

    0.5 * x * (1 + t)   ->   {(x,): 0.5, (t, x): 0.5}

so that a fusion matches a formula and not one exporter's order of operations.
"""

from __future__ import annotations

from typing import TypeAlias

from xdsl.ir import SSAValue

from passes.onnx.simplify.rewriter import Rewriter

Product: TypeAlias = tuple[SSAValue, ...]
Terms: TypeAlias = dict[Product, float]

_LARGEST = 6
"""Polynomials with more terms are no formula that anything matches."""


class Expansion:
    """Expands the expression of one value, through operations on tensors of its type.

    Operations other than the root are opened only when they have no use outside the expression,
    so that a fusion never computes anything twice; ``opened`` counts them.
    """

    def __init__(self, r: Rewriter, root: SSAValue, depth: int = 8) -> None:
        self.r = r
        self.kind = root.type
        self.opened = 0
        self.terms = self._expand(root, depth, is_root=True)

    def _expand(self, value: SSAValue, depth: int, is_root: bool = False) -> Terms:
        number = self.r.scalar(value)
        if number is not None:
            return {(): number} if number else {}
        op = self.r.producer(value, "Add", "Sub", "Mul", "Div", "Neg")
        shared = not is_root and not self.r.used_once(value) and not self._is_square(value)
        if op is None or depth == 0 or shared or value.type != self.kind or not self.r.is_local(op):
            return {(value,): 1.0}
        parts = [self._expand(operand, depth - 1) for operand in op.operands]
        found = _combine(op.OP_TYPE, parts)
        if found is None or len(found) > _LARGEST:
            return {(value,): 1.0}
        self.opened += 1
        return found

    def _is_square(self, value: SSAValue) -> bool:
        """Whether all uses of a value are in one operation: x * x uses it twice."""
        return len({use.operation for use in value.uses}) == 1


def _combine(name: str, parts: list[Terms]) -> Terms | None:
    if name == "Neg":
        return {product: -c for product, c in parts[0].items()}
    lhs, rhs = parts
    if name in ("Add", "Sub"):
        sign = 1.0 if name == "Add" else -1.0
        total = dict(lhs)
        for product, c in rhs.items():
            total[product] = total.get(product, 0.0) + sign * c
        return {product: c for product, c in total.items() if c}
    if name == "Div":
        if set(rhs) != {()}:
            return None
        return {product: c / rhs[()] for product, c in lhs.items()}
    result: Terms = {}
    for a, left in lhs.items():
        for b, right in rhs.items():
            product = tuple(sorted(a + b, key=id))
            result[product] = result.get(product, 0.0) + left * right
    return result


def close(value: float | None, wanted: float, tolerance: float = 1e-3) -> bool:
    """Whether a coefficient is a constant of a formula, as exporters round it."""
    return value is not None and abs(value - wanted) <= tolerance * abs(wanted)
