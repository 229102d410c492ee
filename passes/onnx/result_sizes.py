"""`onnx-result-sizes`: compute sizes that only data tell, ahead of the operators that need them.

Requires inferred shapes and bound parameters. Ensures that every symbol in a type is a size of an
argument or stands in an `onnx.Symbols` (control flow, sequences and calls define their own). In
front of an operator whose result has a symbol that nothing defines stands an operation of the
domain `terrace.sizes` with the same operands, which computes those sizes.

    %y = NonZero(%x) : tensor<2x?xi64, ["n"]>   ==>   %s = terrace.sizes.NonZero(%x) : tensor<1xi64>
                                                      onnx.Symbols(%s) ["n"]
                                                      %y = NonZero(%x) : tensor<2x?xi64, ["n"]>
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseArrayBase,
    IntegerAttr,
    IntegerType,
    ModuleOp,
    StringAttr,
    i64,
)
from xdsl.ir import Block, SSAValue
from xdsl.passes import ModulePass

from dialects.onnx.dims import symbol, symbols_of
from dialects.onnx.ops import Custom, OnnxOp, Symbols
from dialects.onnx.types import dims_of, is_tensor, tensor_type
from passes.lower.onnx_to_krnl.result_sizes import SIZES_DOMAIN, has_sizes_rule


@dataclass(frozen=True)
class ResultSizes(ModulePass):
    """Inserts computations of sizes that only data tell."""

    name = "onnx-result-sizes"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrites every function of the module in place."""
        for function in op.ops:
            if isinstance(function, func.FuncOp) and not function.is_declaration:
                _define(function.body.block, set())


def _define(block: Block, known: set[str]) -> None:
    """Defines the symbols of a block's values; ``known`` are those of the blocks around it."""
    for argument in block.args:
        known |= _symbols(argument)
    for op in list(block.ops):
        if isinstance(op, Symbols):
            known |= {name for entry in op.symbols for name in [entry.data]}
            continue
        for region in op.regions:
            for inner in region.blocks:
                _define(inner, set(known))
        if isinstance(op, OnnxOp) and op.results and not op.DOMAIN:
            _define_sizes(op, known)
        known |= set[str]().union(*map(_symbols, op.results))


def _symbols(value: SSAValue) -> set[str]:
    dims = dims_of(value.type) if is_tensor(value.type) else None
    return set[str]().union(*map(symbols_of, dims or ()))


def _define_sizes(op: OnnxOp, known: set[str]) -> None:
    if _symbols(op.results[0]) <= known or not has_sizes_rule(op.OP_TYPE):
        return
    wanted: dict[str, int] = {}
    for axis, dim in enumerate(dims_of(op.results[0].type) or ()):
        for name in symbols_of(dim) - known:
            if dim == symbol(name):
                wanted.setdefault(name, axis)
    made = Custom.create(
        operands=list(op.operands),
        result_types=[tensor_type(IntegerType(64), (len(wanted),))],
        properties={
            "domain": StringAttr(SIZES_DOMAIN),
            "op_type": StringAttr(op.OP_TYPE),
            "since": IntegerAttr(op.SINCE, i64),
        },
        attributes={
            **op.properties,
            **{k: v for k, v in op.attributes.items() if k == "onnx.parameters"},
            "axes_wanted": DenseArrayBase.from_list(i64, list(wanted.values())),
        },
        location=op.location,
    )
    names = ArrayAttr([StringAttr(name) for name in wanted])
    symbols = Symbols.create(
        operands=[made.results[0]], properties={"symbols": names}, location=op.location
    )
    assert op.parent is not None
    op.parent.insert_ops_before([made, symbols], op)
    known |= set(wanted)
