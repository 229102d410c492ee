"""onnx-fold: computes operations whose operands are all constants.

    %a = "onnx.Const"() <{value = dense<[1, 2]> : tensor<2xi64>}>
    %b = "onnx.Add.v14"(%a, %a) : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  becomes
    %b = "onnx.Const"() <{value = dense<[2, 4]> : tensor<2xi64>}>

Requires: types from `onnx-infer-shapes`.

Ensures: an operation of which every operand is an `onnx.Const` is computed when its results take
at most `limit` bytes, or no more than its operands. Random and impure operations, operations with
subgraphs and the operators in `keep` stay. Expansions (Expand, Tile, ConstantOfShape, ...) of more
than `expansion` bytes are computed for other folds, but stay where anything else reads them: an
index map is cheaper than memory. An operation that cannot be computed (division by zero, an index
out of range, ...) stays as it is. A constant may be static where its type was symbolic;
`onnx-infer-shapes` then makes more of it.

The common operators are numpy functions in `table`; the others run in `onnx.reference`, one node
at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.traits import Pure

from dialects.onnx.constants import ConstantPool, array_of, make_const, pool_of
from dialects.onnx.ops import Const, Custom, OnnxOp
from dialects.onnx.types import dims_of, dtype_of, is_none, is_tensor
from passes.onnx.editing import erase_dead, replace_value, update_function_type
from passes.onnx.fold_constants import quantization, table
from passes.onnx.fold_constants.node import FOLD, FoldNode, Unfoldable
from passes.onnx.fold_constants.reference import evaluate_by_reference

__all__ = ["FoldConstants", "quantization", "table"]

EXPANSIONS = frozenset({"Expand", "Tile", "ConstantOfShape", "EyeLike", "Range", "OneHot"})
"""Operators whose results hold little more information than their operands."""

SMALL_BYTES = 65536


@dataclass(frozen=True)
class FoldConstants(ModulePass):
    """Computes operations on constants; see the package's docstring.

    ``limit`` and ``expansion`` are in bytes, ``keep`` are ONNX operator names.
    """

    name = "onnx-fold"

    limit: int = 4 << 20
    expansion: int = 4096
    keep: tuple[str, ...] = ("DequantizeLinear",)

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Folds every function that is not a model-local one."""
        for function in op.body.block.ops:
            if isinstance(function, FuncOp) and "onnx.function" not in function.attributes:
                Folding(self, pool_of(ctx)).run(function)


class Folding:
    """The state of one function's folding."""

    def __init__(self, options: FoldConstants, pool: ConstantPool) -> None:
        self.options = options
        self.pool = pool
        self.keep = frozenset(options.keep)
        self.known: dict[SSAValue, np.ndarray] = {}

    def run(self, function: FuncOp) -> None:
        """Computes forward, then writes the constants that somebody needs, backward."""
        operations = list(function.walk())
        with np.errstate(all="ignore"):
            for op in operations:
                if isinstance(op, OnnxOp) and self._may_fold(op):
                    self._fold(op)
        for op in reversed(operations):
            for result in op.results:
                if result in self.known and not isinstance(op, Const):
                    self._write(op, result)
        erase_dead(function.body.block)
        update_function_type(function)

    def _may_fold(self, op: OnnxOp) -> bool:
        if op.regions or isinstance(op, Custom) or op.OP_TYPE in self.keep:
            return False
        if not all(is_none(result) or is_tensor(result.type) for result in op.results):
            return False
        return op.has_trait(Pure) and all(map(self._is_known, op.operands))

    def _is_known(self, value: SSAValue) -> bool:
        return value in self.known or isinstance(value.owner, Const) or is_none(value)

    def _array(self, value: SSAValue) -> np.ndarray | None:
        if is_none(value):
            return None
        if value not in self.known:
            assert isinstance(value.owner, Const)
            self.known[value] = array_of(value.owner.value, value.type, self.pool)
        return self.known[value]

    def _fold(self, op: OnnxOp) -> None:
        if not self._fits(op):
            return
        inputs = [self._array(value) for value in op.operands]
        rule = FOLD.get((op.DOMAIN, op.OP_TYPE))
        found: Sequence[np.ndarray] | None = None
        try:
            found = None if rule is None else rule(FoldNode(op, inputs, self.pool))
        except (Unfoldable, ArithmeticError, IndexError, TypeError, ValueError):
            # What numpy refuses is left to the run, which reports it with its place.
            return
        if found is None:
            found = evaluate_by_reference(op, inputs)
        if found is not None and all(map(_fits_type, op.results, found)):
            self.known.update(zip(op.results, found, strict=False))

    def _fits(self, op: OnnxOp) -> bool:
        """Whether the results stay within the limit; small data tell small sizes."""
        results = [static_bytes(result) for result in op.results]
        operands = sum(static_bytes(value) or 0 for value in op.operands)
        if None in results:
            return operands <= SMALL_BYTES and op.OP_TYPE not in EXPANSIONS
        return sum(size for size in results if size) <= max(self.options.limit, operands)

    def _write(self, op: Operation, result: SSAValue) -> None:
        """Puts a constant in the place of a value that an operation which stays reads."""
        array = self.known[result]
        assert isinstance(op, OnnxOp)
        if op.OP_TYPE in EXPANSIONS and array.nbytes > self.options.expansion:
            return
        if result.first_use is None or all(self._vanishes(u.operation) for u in result.uses):
            return
        made = make_const(array, self.pool, result.name_hint or "folded")
        made.location = op.location
        assert op.parent is not None
        op.parent.insert_op_before(made, op)
        replace_value(result, made.result)

    def _vanishes(self, op: Operation) -> bool:
        """Whether an operation has become dead because its results are constants now."""
        return bool(op.results) and all(
            r.first_use is None and (r in self.known or is_none(r)) for r in op.results
        )


def static_bytes(value: SSAValue) -> int | None:
    """How many bytes a value takes in numpy; None when a size is not known."""
    if is_none(value):
        return 0
    kind = value.type
    if not isinstance(kind, TensorType) or -1 in kind.get_shape():
        return None
    return int(np.prod(kind.get_shape())) * dtype_of(kind).itemsize


def _fits_type(result: SSAValue, array: np.ndarray) -> bool:
    if is_none(result):
        return True
    dims = dims_of(result.type)
    same = dims is None or (
        len(dims) == array.ndim
        and all(d == size for d, size in zip(dims, array.shape, strict=True) if isinstance(d, int))
    )
    return same and (array.dtype == dtype_of(result.type) or array.dtype.kind in "USO")
