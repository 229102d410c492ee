"""Which tiles may compute rows twice, so that the last one is as large as all others."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from xdsl.ir import SSAValue
from xdsl.ir.affine import AffineBinaryOpExpr, AffineBinaryOpKind, AffineDimExpr

from dialects import krnl
from passes.lower.index import Affine
from passes.lower.krnl_to_affine.schedule import Leaf


@dataclass(frozen=True)
class Repeats:
    """The tiles of a nest, in a kernel whose result may have the buffers ``taken_over``."""

    op: krnl.IterateOp
    taken_over: Set[SSAValue]

    def is_evened(self, leaf: Leaf, total: int | Affine) -> bool:
        """Whether the last tile of a known number of rows (or of lanes) repeats some, to be full.

        That is a few rows of work for a second copy of the tile's code.
        """
        if not isinstance(total, int) or total <= leaf.step or total % leaf.step == 0:
            return False
        return self.may_repeat(leaf) or self._is_strided(leaf)

    def may_repeat(self, leaf: Leaf, mode: str = "unroll") -> bool:
        """Whether rows of a tile may be computed twice: nothing that is read is written here."""
        if self.op.inits or leaf.inner is None or leaf.inner.mode != mode:
            return False
        accesses = list(self.op.body.walk())
        written = {op.memref for op in accesses if isinstance(op, krnl.StoreOp)} | self.taken_over
        return not any(isinstance(op, krnl.LoadOp) and op.memref in written for op in accesses)

    def _is_strided(self, leaf: Leaf) -> bool:
        """Whether steps are vectors that are loaded in strides, which no mask can do."""
        if not self.may_repeat(leaf, "vector"):
            return False
        variable = self.op.induction_variables[list(self.op.loops).index(leaf.root)]
        return any(
            isinstance(part, AffineBinaryOpExpr)
            and part.kind is AffineBinaryOpKind.Mul
            and part.lhs == AffineDimExpr(list(op.indices).index(variable))
            for op in self.op.body.walk()
            if isinstance(op, krnl.LoadOp) and variable in op.indices
            for part in op.map.data.results[-1].dfs()
        )
