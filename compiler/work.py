"""What a kernel has to do: floating-point operations, and the bytes that must move.

Counted on the dispatches of the `onnx` stage, which kernels are named after, so that it is the
model's work and not a schedule's: a convolution by Winograd's filtering counts like a direct one,
as does a product by Strassen's seven.
Products count multiplications and additions; pointwise operators one operation for each element,
whatever it costs; softmax and normalizations a few. Bytes are those of all operands and results,
each once, constants included; of a tensor that is only selected from, what is selected.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from xdsl.dialects.builtin import ArrayAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue

from dialects.onnx.ops import (
    Dispatch,
    OnnxOp,
    Recurrence,
    SplitMatMul,
    StrassenMatMul,
    WinogradConv,
)
from dialects.onnx.types import dims_of, dtype_of, is_tensor
from passes.lower.onnx_to_krnl.registry import key_of
from passes.onnx.selections import SELECTS, selections_of
from passes.winograd.matrices import TAPS

if TYPE_CHECKING:
    from xdsl.context import Context
    from xdsl.dialects.builtin import ModuleOp

_SHAPES = {"Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
_PLACES = {"Concat", "DepthToSpace", "Pad", "ScatterElements", "ScatterND", "SpaceToDepth"}
_VALUES = {"Cast", "CastLike", "ConstantOfShape", "Range", "Split", "Tile", "Where"}
MOVES = SELECTS | _SHAPES | _PLACES | _VALUES
"""Operators that compute nothing."""

PER_INPUT = {
    "Softmax": 5,
    "LogSoftmax": 5,
    "LayerNormalization": 8,
    "RMSNormalization": 5,
    "GroupNormalization": 8,
    "InstanceNormalization": 8,
    "GlobalAveragePool": 1,
    "GlobalMaxPool": 1,
    "ArgMax": 1,
    "ArgMin": 1,
}
"""Operations for each element of the first operand."""


@dataclass(frozen=True)
class Work:
    """Floating-point operations (integer ones for integers) and bytes of one call."""

    flops: int
    bytes: int


class WorkObserver:
    """An observer of passes that counts the work of every dispatch, by its kernel's name.

    Kernels with sizes that are not known as numbers are left out. ``calls`` says how often each
    kernel is called, those of loops' bodies once.
    """

    def __init__(self) -> None:
        self.work: dict[str, Work] = {}
        self.calls: Counter[str] = Counter()

    def __call__(self, stage: str, name: str, module: ModuleOp, ctx: Context) -> None:
        """Looks at the module once dispatches are formed."""
        del stage, ctx
        if name != "onnx-form-dispatches":
            return
        for function in module.ops:
            if not isinstance(function, FuncOp):
                continue
            if "onnx.dispatch" in function.attributes:
                work = work_of(function)
                if work is not None:
                    self.work[function.sym_name.data] = work
            else:
                calls = (op for op in function.walk() if isinstance(op, Dispatch))
                self.calls.update(call.callee.string_value() for call in calls)

    def each_call(self) -> list[Work]:
        """The work of every call in a run; empty if some of it is not known."""
        if not all(name in self.work for name in self.calls):
            return []
        return [self.work[name] for name, count in self.calls.items() for _ in range(count)]


def work_of(function: FuncOp) -> Work | None:
    """The work of a dispatch; None where a size is not known as a number."""
    results = function.get_return_op()
    operations = [op for op in function.walk() if isinstance(op, OnnxOp)]
    values = [*function.body.block.args, *(results.operands if results else ())]
    values += [value for op in operations for value in (*op.operands, *op.results)]
    if any(is_tensor(value.type) and _elements(value) is None for value in values):
        return None
    moved = sum(_read_bytes(value) for value in function.body.block.args)
    moved += sum(_bytes(value) for value in (results.operands if results else ()))
    return Work(sum(map(_flops, operations)), moved)


def _read_bytes(value: SSAValue) -> int:
    if selections := selections_of(value):
        return min(_bytes(value), sum(_bytes(op.results[0]) for op in selections))
    return _bytes(value)


def _flops(op: OnnxOp) -> int:
    kind = _kind(op)
    if kind in MOVES or not op.results or not is_tensor(op.results[0].type):
        return 0
    made = _elements(op.results[0]) or 0
    shapes = [dims_of(value.type) or () if is_tensor(value.type) else () for value in op.operands]
    if isinstance(op, Recurrence):
        # Each step multiplies a row of every batch entry with the recurrent weights.
        return 2 * _product(shapes[0][:2]) * _product(shapes[1])
    if isinstance(op, WinogradConv):
        return 2 * made * TAPS**2 * _size(shapes[1], 1)
    if isinstance(op, SplitMatMul):
        return 2 * made * _size(shapes[0], -1) * _packed(op)
    if isinstance(op, StrassenMatMul):
        return 4 * made * _size(shapes[0], 0) * _size(shapes[0], -1)
    match kind:
        case "MatMul" | "MatMulInteger" | "QLinearMatMul":
            return 2 * made * _size(shapes[0], -1) * _packed(op)
        case "Gemm":
            return 2 * made * _size(shapes[0], 0 if op.get("transA") else 1)
        case "Conv" | "ConvInteger":
            return 2 * made * _product(shapes[1][1:]) * _packed(op)
        case "ConvTranspose":
            return 2 * _product(shapes[0]) * _product(shapes[1][1:])
        case "MaxPool" | "AveragePool" | "LpPool":
            return made * prod(op.get("kernel_shape"))
    if kind in PER_INPUT or kind.startswith("Reduce"):
        return PER_INPUT.get(kind, 1) * _product(shapes[0])
    return made


def _packed(op: OnnxOp) -> int:
    """How many numbers an element of an integer product's operands holds."""
    packed = op.attributes.get("onnx.packed")
    if not isinstance(packed, ArrayAttr):
        return 1
    return dtype_of(op.operands[1].type).itemsize // dtype_of(packed.data[1]).itemsize


def _kind(op: Operation) -> str:
    key = key_of(op) if isinstance(op, OnnxOp) else None
    return key[1] if key else op.name


def _elements(value: SSAValue) -> int | None:
    sizes = dims_of(value.type)
    if sizes is None or not all(isinstance(size, int) for size in sizes):
        return None
    return _product(sizes)


def _bytes(value: SSAValue) -> int:
    if not is_tensor(value.type):
        return 0
    return (_elements(value) or 0) * dtype_of(value.type).itemsize


def _product(sizes: object) -> int:
    assert isinstance(sizes, tuple | list)
    return prod(int(size) for size in sizes)


def _size(sizes: object, axis: int) -> int:
    assert isinstance(sizes, tuple | list)
    return int(sizes[axis])
