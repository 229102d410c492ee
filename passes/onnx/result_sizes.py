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

from collections.abc import Mapping, Sequence
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
from xdsl.ir import Attribute, Block, SSAValue
from xdsl.passes import ModulePass

from dialects.onnx.dims import Dim, product, symbol, symbols_of
from dialects.onnx.locations import place_of
from dialects.onnx.ops import Custom, OnnxOp, Symbols
from dialects.onnx.shape.helpers import normalize_axis
from dialects.onnx.types import dims_of, element_type_of, is_tensor, tensor_type
from passes.lower.onnx_to_krnl.result_sizes import SIZES_DOMAIN, has_sizes_rule
from passes.onnx.editing import replace_value, update_function_type
from runtime.errors import UnsupportedError


@dataclass(frozen=True)
class ResultSizes(ModulePass):
    """Inserts computations of sizes that only data tell."""

    name = "onnx-result-sizes"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrites every function of the module in place."""
        for function in op.ops:
            if isinstance(function, func.FuncOp) and not function.is_declaration:
                _define(function.body.block, set())
                update_function_type(function)


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
        if isinstance(op, OnnxOp) and (op.DOMAIN, op.OP_TYPE) == ("", "Unique"):
            known |= _split_unique(op, known)
            continue
        if isinstance(op, OnnxOp) and (op.DOMAIN, op.OP_TYPE) == ("", "NonMaxSuppression"):
            known |= _split_suppression(op)
            continue
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
    made = _custom(
        op,
        op.OP_TYPE,
        list(op.operands),
        [tensor_type(IntegerType(64), (len(wanted),))],
        {
            **op.properties,
            **{k: v for k, v in op.attributes.items() if k == "onnx.parameters"},
            "axes_wanted": DenseArrayBase.from_list(i64, list(wanted.values())),
        },
    )
    names = ArrayAttr([StringAttr(name) for name in wanted])
    symbols = Symbols.create(
        operands=[made.results[0]], properties={"symbols": names}, location=op.location
    )
    assert op.parent is not None
    op.parent.insert_ops_before([made, symbols], op)
    known |= set(wanted)


def _custom(
    op: OnnxOp,
    name: str,
    operands: Sequence[SSAValue],
    results: Sequence[Attribute],
    attributes: Mapping[str, Attribute],
) -> Custom:
    """An operation of our domain that does a part of ``op``."""
    return Custom.create(
        operands=operands,
        result_types=results,
        properties={
            "domain": StringAttr(SIZES_DOMAIN),
            "op_type": StringAttr(name),
            "since": IntegerAttr(op.SINCE, i64),
        },
        attributes=attributes,
        location=op.location,
    )


def _split_unique(op: OnnxOp, known: set[str]) -> set[str]:
    """Writes a Unique as the two operations of `onnx_to_krnl.unique`; gives the new symbols."""
    source, (y, indices, inverse, counts) = op.operands[0], op.results
    dims, axis = dims_of(source.type), op.get("axis")
    assert dims is not None
    items: Dim = product(dims) if axis is None else dims[axis]
    defined = {name: int(r is not inverse) for r in op.results for name in _symbols(r) - known}
    numbers = IntegerType(64)
    attributes = {"sorted": IntegerAttr(op.get("sorted"), i64)}
    if axis is not None:
        attributes["axis"] = IntegerAttr(normalize_axis(axis, len(dims)), i64)
    groups = _custom(
        op,
        "UniqueGroups",
        [source],
        [
            tensor_type(numbers, (len(defined),)),
            tensor_type(numbers, (items,)),
            tensor_type(IntegerType(1), (items,)),
            tensor_type(numbers, (items,)),
            tensor_type(numbers, (items,)),
        ],
        {**attributes, "counts_groups": DenseArrayBase.from_list(i64, list(defined.values()))},
    )
    names = ArrayAttr([StringAttr(name) for name in defined])
    symbols = Symbols.create(
        operands=[groups.results[0]], properties={"symbols": names}, location=op.location
    )
    kinds = [result.type for result in (y, indices, counts)]
    parts = _custom(op, "UniqueParts", [source, *groups.results[1:]], kinds, attributes)
    assert op.parent is not None
    op.parent.insert_ops_before([groups, symbols, parts], op)
    for old, new in zip((y, indices, counts), parts.results, strict=True):
        replace_value(old, new)
    replace_value(inverse, groups.results[1])
    op.detach()
    op.erase()
    return set(defined)


def _split_suppression(op: OnnxOp) -> set[str]:
    """Writes a NonMaxSuppression as the two operations of `onnx_to_krnl.suppression`."""
    scores, result = op.operands[1], op.results[0]
    sizes = dims_of(scores.type)
    if sizes is None or len(sizes) != 3:
        raise UnsupportedError(
            "scores of unknown rank", place_of(op.location, "onnx"), "give fixed sizes with --dim"
        )
    numbers, pairs = IntegerType(64), sizes[:2]
    kinds = [(numbers, (1,)), (numbers, sizes), (numbers, pairs), (numbers, pairs)]
    kinds.append((element_type_of(scores.type), (5, sizes[2])))
    boxes = _custom(
        op,
        "SuppressBoxes",
        [*op.operands],
        [tensor_type(element, dims) for element, dims in kinds],
        {"center_point_box": IntegerAttr(op.get("center_point_box"), i64)},
    )
    names = _symbols(result)
    symbols = Symbols.create(
        operands=[boxes.results[0]],
        properties={"symbols": ArrayAttr([StringAttr(name) for name in names])},
        location=op.location,
    )
    made = _custom(op, "ListBoxes", boxes.results[1:], [result.type], {})
    assert op.parent is not None
    op.parent.insert_ops_before([boxes, symbols, made], op)
    replace_value(result, made.results[0])
    op.detach()
    op.erase()
    return names
