"""onnx-simplify: brings a model into fewer and simpler operations that mean the same.

    %t = "onnx.Transpose.v13"(%x) <{perm = array<i64: 0, 2, 1>}>
    %u = "onnx.Transpose.v13"(%t) <{perm = array<i64: 0, 2, 1>}>       // gone: users read %x
    %v = "onnx.Conv.v11"(%u, %w, %none)
    %y = "onnx.BatchNormalization.v15"(%v, %scale, %b, %mean, %var)    // %y = Conv(%u, %w2, %b2)

Requires: types from `onnx-infer-shapes`; `onnx-fold` before makes more rules apply.

Ensures: no operation remains that a rule of this package replaces; equal operations on equal
operands are one; equal constants are one; nothing is unused. Types of values that remain are as
before.

One walk forward: each operation is matched against the rules of its operator, what a rule makes is
visited next. The rules stand in `identities`, `views`, `algebra`, `weights`, `branches`,
`recompose`, `pieces`, `sequences`, `spectral`, `einsum`, `quantized`, `contrib`,
`contrib_quantized`, `ml` and `control`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onnx.defs import onnx_opset_version
from xdsl.context import Context
from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, OpResult, SSAValue
from xdsl.passes import ModulePass

from dialects.onnx.constants import ConstantPool, pool_of
from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape import operator_of
from dialects.onnx.types import is_tensor
from passes.onnx.editing import erase_dead, is_dead, replace_value, update_function_type
from passes.onnx.simplify import (
    algebra,
    branches,
    contrib,
    contrib_quantized,
    control,
    einsum,
    identities,
    ml,
    pieces,
    quantized,
    recompose,
    sequences,
    spectral,
    views,
    weights,
)
from passes.onnx.simplify.duplicates import Seen
from passes.onnx.simplify.rewriter import RULES, Rewriter, Rule

__all__ = [
    "RULES",
    "Simplify",
    "algebra",
    "branches",
    "contrib",
    "contrib_quantized",
    "control",
    "einsum",
    "identities",
    "ml",
    "pieces",
    "quantized",
    "recompose",
    "sequences",
    "spectral",
    "views",
    "weights",
]


@dataclass(frozen=True)
class Simplify(ModulePass):
    """Applies the rules; see the package's docstring."""

    name = "onnx-simplify"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Simplifies every function that is not a model-local one."""
        pool = pool_of(ctx)
        for function in op.body.block.ops:
            if isinstance(function, FuncOp) and "onnx.function" not in function.attributes:
                Walk(pool, opset_of(op)).block(function.body.block, Seen(pool))
                erase_dead(function.body.block)
                update_function_type(function)


def opset_of(module: ModuleOp) -> int:
    """The opset of the default domain that a module imports; the newest when it does not say."""
    imports = module.attributes.get("onnx.opset_imports")
    found = imports.data.get("ai.onnx") if isinstance(imports, DictionaryAttr) else None
    return found.value.data if isinstance(found, IntegerAttr) else onnx_opset_version()


class Walk:
    """One walk through a function."""

    def __init__(
        self, pool: ConstantPool, opset: int, rules: Mapping[tuple[str, str], list[Rule]] = RULES
    ) -> None:
        self.rewriter = Rewriter(pool, opset)
        self.rules = rules

    def block(self, block: Block, seen: Seen) -> None:
        """Simplifies a block; ``seen`` holds the operations that dominate it."""
        op = block.first_op
        while op is not None:
            following = self.visit(op, seen)
            if following is None:
                for region in op.regions:
                    for inner in region.blocks:
                        self.block(inner, seen.child())
                following = op.next_op
            op = following

    def visit(self, op: Operation, seen: Seen) -> Operation | None:
        """Replaces an operation if something does; gives what to visit next, None when it stays.

        Only the terminator has nothing behind it, and nothing replaces that.
        """
        duplicate = seen.equal_to(op)
        if duplicate is not None:
            following = op.next_op
            replace(op, list(duplicate.results))
            return following
        if not isinstance(op, OnnxOp):
            return None
        for rule in self.rules.get(operator_of(op), ()):
            self.rewriter.at, self.rewriter.made = op, []
            found = rule(self.rewriter, op)
            if found is not None:
                values = [found] if isinstance(found, SSAValue) else list(found)
                return self._replaced(op, values)
            for made in reversed(self.rewriter.made):
                if made.parent is not None:
                    _erase(made)
        seen.add(op)
        return None

    def _replaced(self, op: OnnxOp, values: list[SSAValue]) -> Operation | None:
        # The type found by inference, with its symbols, is the one that users know.
        for result, value in zip(op.results, values, strict=False):
            if value.owner in self.rewriter.made and is_tensor(value.type):
                value._type = result.type
        following = op.next_op
        replace(op, values)
        kept = [made for made in self.rewriter.made if made.parent is not None]
        return kept[0] if kept else following


def replace(op: Operation, values: list[SSAValue]) -> None:
    """Puts values in the place of an operation's results, and erases it and what only it used."""
    for result, value in zip(op.results, values, strict=False):
        replace_value(result, value)
    _erase(op)


def _erase(op: Operation) -> None:
    """Erases an operation and the producers of its operands that become dead by it."""
    operands = list(op.operands)
    assert op.parent is not None
    op.parent.erase_op(op)
    for operand in dict.fromkeys(operands):
        if isinstance(operand, OpResult) and operand.op.parent is not None and is_dead(operand.op):
            _erase(operand.op)
