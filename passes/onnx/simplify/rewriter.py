"""What a simplification rule works with, and the registry of the rules.

    @rewrite("Transpose")
    def transpose_of_transpose(r: Rewriter, op: OnnxOp) -> Replacement:
        # Transpose(Transpose(x, p), q) -> Transpose(x, p[q])

A rule gives the values that replace the operation's results, or None when it does not apply. What
it makes stands in front of the operation and is simplified in turn, so a rule has to make things
simpler, or it never ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from onnx.defs import onnx_opset_version
from xdsl.dialects.builtin import DenseArrayBase, FloatAttr, IntegerAttr, StringAttr, i64
from xdsl.ir import Attribute, Operation, Region, SSAValue

from dialects.onnx.constants import ConstantPool, array_of, make_const
from dialects.onnx.dims import Dim, DimExpr
from dialects.onnx.ops import Const, NoValue, OnnxOp, class_of_schema_version, since_version
from dialects.onnx.shape import NodeShapes, infer_types, propagate_contents
from dialects.onnx.types import dims_of, dtype_of, f32, is_none, is_tensor, none_type
from passes.onnx.infer_shapes import content_of, is_small
from runtime.errors import InternalError

Replacement: TypeAlias = "Sequence[SSAValue] | SSAValue | None"
Rule: TypeAlias = "Callable[[Rewriter, OnnxOp], Replacement]"

RULES: dict[tuple[str, str], list[Rule]] = {}
"""(domain, operator) to the rules that may replace it, in the order in which they are tried."""

OLDEST = {
    "Add": 7,
    "Cast": 9,
    "Clip": 11,
    "Gemm": 11,
    "GroupNormalization": 21,
    "Mul": 7,
    "ReduceL1": 18,
    "ReduceL2": 18,
    "ReduceMax": 18,
    "ReduceSum": 13,
    "Relu": 6,
    "Reshape": 5,
    "Resize": 13,
    "Shape": 15,
    "Slice": 10,
    "Sub": 7,
}
"""The first version that takes operands and attributes as rules give them, where not 1."""


@lru_cache(maxsize=256)
def version(name: str, opset: int) -> int:
    """The version of an operator that rules make: the model's, or the next one that will do."""
    oldest = OLDEST.get(name, 1)
    since = since_version("", name, opset)
    if since is not None and since >= oldest:
        return since
    later = (
        since_version("", name, newer)
        for newer in range(max(oldest, opset), onnx_opset_version() + 1)
    )
    return next(found for found in later if found is not None and found >= oldest)


def rewrite(
    *names: str, domain: str = "", table: dict[tuple[str, str], list[Rule]] = RULES
) -> Callable[[Rule], Rule]:
    """Registers a rule for operators; another ``table`` than `RULES` is another pass's."""

    def register(rule: Rule) -> Rule:
        for name in names:
            table.setdefault((domain, name), []).append(rule)
        return rule

    return register


@lru_cache(maxsize=4096)
def attribute(value: Any) -> Attribute:
    """The property that holds a Python value: int, float, str, or a tuple of ints or floats."""
    match value:
        case bool() | int():
            return IntegerAttr(int(value), i64)
        case float():
            return FloatAttr(value, f32)
        case str():
            return StringAttr(value)
        case tuple():
            whole = all(isinstance(entry, int) for entry in value)
            return DenseArrayBase.from_list(i64 if whole else f32, value)
    raise InternalError(f"{value!r} is no attribute")


class Rewriter:
    """Reads and builds operations in front of the one that is being replaced."""

    def __init__(self, pool: ConstantPool, opset: int) -> None:
        self.pool = pool
        self.opset = opset
        """The model's opset of the default domain."""
        self.at: Operation | None = None
        """The operation being replaced."""
        self.made: list[Operation] = []
        """What the current rule has made, in order."""
        self.contents: dict[SSAValue, np.ndarray] = {}
        """Contents of small tensors that rules have made."""

    # Reading.

    def dims(self, value: SSAValue) -> tuple[Dim, ...] | None:
        """A value's sizes, None when it has no known rank."""
        return dims_of(value.type)

    def dtype(self, value: SSAValue) -> np.dtype | None:
        """A tensor's element type in numpy, None for other values."""
        return dtype_of(value.type) if is_tensor(value.type) else None

    def is_float(self, value: SSAValue) -> bool:
        """Whether a value is a tensor of f16, bf16, f32 or f64."""
        dtype = self.dtype(value)
        return dtype is not None and dtype.name in ("float16", "bfloat16", "float32", "float64")

    def constant(self, value: SSAValue) -> np.ndarray | None:
        """The array of an `onnx.Const`, else None."""
        owner = value.owner
        return array_of(owner.value, value.type, self.pool) if isinstance(owner, Const) else None

    def scalar(self, value: SSAValue) -> float | None:
        """The number that a constant with one element holds, else None."""
        array = self.constant(value)
        if array is None or array.size != 1 or array.dtype == object:
            return None
        return float(array.reshape(-1)[0])

    def producer(self, value: SSAValue, *names: str) -> OnnxOp | None:
        """The default-domain operation of one of these names that makes a value, else None."""
        owner = value.owner
        if isinstance(owner, OnnxOp) and owner.DOMAIN == "" and owner.OP_TYPE in names:
            return owner
        return None

    def single(self, value: SSAValue, *names: str) -> OnnxOp | None:
        """Like `producer`, when the value has no other use and stands in the same block."""
        op = self.producer(value, *names)
        return op if op is not None and self.used_once(value) and self.is_local(op) else None

    def is_local(self, op: Operation) -> bool:
        """Whether an operation stands in the block of the one being replaced: it may move there."""
        return self.at is not None and op.parent is self.at.parent

    def used_once(self, value: SSAValue) -> bool:
        """Whether exactly one operand reads a value."""
        return value.first_use is not None and value.has_one_use()

    # The scope in which types of new operations are inferred.

    def content(self, value: SSAValue) -> np.ndarray | None:
        """A constant's array, or what `onnx-infer-shapes` found of a small tensor."""
        constant = self.constant(value)
        if constant is not None:
            return constant
        return self.contents[value] if value in self.contents else content_of(value, self.pool)

    def fresh(self, hint: str) -> DimExpr:
        """No rule makes an operation whose sizes only data tell."""
        raise InternalError(f"a simplification needs a new size '{hint}'")

    def assume(self, lhs: Dim, rhs: Dim) -> None:
        """The operation being replaced made the same assumption already."""

    def assume_broadcast(self, lhs: Dim, rhs: Dim) -> None:
        """The operation being replaced made the same assumption already."""

    def infer_region(
        self, region: Region, kinds: Sequence[Attribute], contents: Sequence[np.ndarray | None]
    ) -> list[Attribute]:
        """No rule makes an operation with subgraphs."""
        raise InternalError("a simplification makes an operation with subgraphs")

    def take_branch(self, region: Region, unless: str | None = None) -> list[Attribute]:
        """No rule makes an If."""
        raise InternalError("a simplification makes an If")

    # Building.

    def make(
        self,
        name: str,
        *operands: SSAValue | None,
        result_type: Attribute | None = None,
        **attributes: Any,
    ) -> SSAValue:
        """The first result of a new operation; None among the operands is an absent input.

        The result's type is inferred unless given, as it must be where only data tell its sizes.
        """
        return self.build(self.class_of(name), operands, attributes, result_type=result_type)

    def class_of(self, name: str) -> type[OnnxOp]:
        """The class of an operator that is made anew."""
        return class_of_schema_version("", name, version(name, self.opset))

    def like(self, op: OnnxOp, operands: Sequence[SSAValue | None], **changed: Any) -> SSAValue:
        """The first result of a copy of ``op`` with other operands and ``changed`` attributes.

        An attribute that is changed to None is left out.
        """
        kept = {name: value for name, value in op.properties.items() if name not in changed}
        return self.build(type(op), operands, changed, kept)

    def build(
        self,
        cls: type[OnnxOp],
        operands: Sequence[SSAValue | None],
        attributes: dict[str, Any],
        kept: dict[str, Attribute] | None = None,
        result_type: Attribute | None = None,
    ) -> SSAValue:
        """The first result of a new operation; its other results are absent."""
        properties = dict(kept or {})
        properties |= {k: attribute(v) for k, v in attributes.items() if v is not None}
        inputs = [self.none() if operand is None else operand for operand in operands]
        variadic = cls.INPUTS and cls.SCHEMA is not None and cls.SCHEMA.max_input > 1000
        if not variadic:
            inputs += [self.none() for _ in range(len(cls.INPUTS) - len(inputs))]
        made = cls.create(
            operands=inputs, result_types=[none_type] * len(cls.OUTPUTS), properties=properties
        )
        self._insert(made)
        s = NodeShapes(made, self)
        made.results[0]._type = infer_types(s)[0] if result_type is None else result_type
        if is_small(made.results[0].type) and (content := propagate_contents(s)[0]) is not None:
            self.contents[made.results[0]] = content
        return made.results[0]

    def none(self) -> SSAValue:
        """An absent input."""
        made = NoValue.create(result_types=[none_type])
        self._insert(made)
        return made.result

    def const(self, array: np.ndarray | Sequence[int], hint: str = "constant") -> SSAValue:
        """A constant; a sequence of ints is i64."""
        array = np.array(array, np.int64) if isinstance(array, list | tuple) else np.asarray(array)
        made = make_const(array, self.pool, hint)
        self._insert(made)
        return made.result

    def number(self, value: float, like: SSAValue) -> SSAValue:
        """A scalar constant with the element type of another value."""
        return self.const(np.array(value, self.dtype(like)))

    def reshape(self, value: SSAValue, dims: Sequence[Dim]) -> SSAValue | None:
        """A Reshape to ``dims`` with a constant target, or None when no constant says them."""
        target = constant_target(self.dims(value), dims)
        if target is None:
            return None
        return self.make("Reshape", value, self.const(target, "shape"))

    def adopt(self, operations: Sequence[Operation]) -> None:
        """Moves existing operations in front of the one being replaced."""
        assert self.at is not None and self.at.parent is not None
        for op in operations:
            op.detach()
            self.at.parent.insert_op_before(op, self.at)
        self.made += operations

    def _insert(self, op: Operation) -> None:
        assert self.at is not None and self.at.parent is not None
        op.location = self.at.location
        self.at.parent.insert_op_before(op, self.at)
        self.made.append(op)


def constant_target(dims: Sequence[Dim] | None, target: Sequence[Dim]) -> list[int] | None:
    """A Reshape operand that gives ``target``: -1 for one symbolic size, 0 for those in place."""
    if any(size == 0 for size in target):
        return None
    result = [size if isinstance(size, int) else -1 for size in target]
    open_axes = [axis for axis, size in enumerate(result) if size == -1]
    for axis in open_axes:
        if len([a for a in open_axes if result[a] == -1]) <= 1:
            break
        if dims is not None and axis < len(dims) and dims[axis] == target[axis]:
            result[axis] = 0
    return result if result.count(-1) <= 1 else None


def present(op: OnnxOp, i: int) -> SSAValue | None:
    """Operand ``i`` unless it is absent."""
    return op.operands[i] if i < len(op.operands) and not is_none(op.operands[i]) else None
