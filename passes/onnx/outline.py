"""Outlining: groups of operations become functions, equal groups one function.

Used by `onnx-form-dispatches`, which decides on the groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from xdsl.dialects import func
from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseIntOrFPElementsAttr,
    FunctionType,
    ModuleOp,
    StringAttr,
    UnitAttr,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from dialects.onnx.dims import Dim
from dialects.onnx.locations import fuse_locations
from dialects.onnx.ops import Const, Dispatch, NoValue, OnnxOp
from dialects.onnx.types import (
    dims_of,
    element_type_of,
    is_none,
    is_tensor,
    layout_of,
    panel_of,
    tensor_type,
)
from passes.lower.onnx_to_krnl.registry import key_of
from passes.onnx.bind_parameters import rename_symbols, symbolic_attributes
from passes.onnx.size_arguments import SizeArguments

if TYPE_CHECKING:
    from passes.onnx.grouping import Grouping
    from passes.onnx.groups import Group


ASSUMPTIONS = ("onnx.assume", "onnx.assume_broadcast")
"""What shape inference could not prove of an operation's sizes; a call checks it for its group."""


class Outliner:
    """Moves groups into functions of their own, one for each different group."""

    def __init__(self, module: ModuleOp) -> None:
        self.module = module
        self.functions: dict[tuple, str] = {}
        self.names: set[str] = {
            op.sym_name.data for op in module.ops if isinstance(op, func.FuncOp)
        }

    def outline(self, block: Block, grouping: Grouping) -> None:
        """Replaces the groups of a block by calls, in an order that respects dependences."""
        groups = grouping.order()
        # Asked before anything changes: it depends on who takes whose values.
        dispatched = {group for group in groups if grouping.is_dispatch(group)}
        outside = {
            grouping.group_of[op]: op for op in block.ops if grouping.group_of[op].root is None
        }
        last = block.last_op
        for group in groups:
            if group in dispatched:
                self._call(group, block)
                continue
            op = outside[group]
            if op is not last:
                op.detach()
                block.add_op(op)
        if last is not None and last.next_op is not None:
            last.detach()
            block.add_op(last)

    def _call(self, group: Group, block: Block) -> None:
        inputs, outputs = _interface(group)
        key, sizes = dispatch_key(group.ops, inputs, outputs)
        if key not in self.functions:
            self.functions[key] = self._function(group, inputs, outputs, sizes)
        types = [v.type for v in outputs]
        call = Dispatch(self.functions[key], inputs, types, _strings(sizes.sizes))
        call.location = fuse_locations([op.location for op in group.ops])
        for kind in ASSUMPTIONS:
            found = [op.attributes.pop(kind) for op in group.ops if kind in op.attributes]
            if found:
                call.attributes[kind] = ArrayAttr([pair for pairs in found for pair in pairs])  # type: ignore[attr-defined]
        block.add_op(call)
        for old, new in zip(outputs, call.results, strict=True):
            new.name_hint = old.name_hint
            old.replace_all_uses_with(new)
        for op in reversed(group.ops):
            op.detach()
            op.erase(safe_erase=False)

    def _function(
        self,
        group: Group,
        inputs: list[SSAValue],
        outputs: list[SSAValue],
        sizes: SizeArguments,
    ) -> str:
        name = self._name(group, outputs)
        block = Block(arg_types=[_renamed(v.type, sizes) for v in inputs])
        mapping: dict[SSAValue, SSAValue] = dict(zip(inputs, block.args, strict=True))
        for old, new in mapping.items():
            new.name_hint = old.name_hint
        for op in group.ops:
            _clone_constants(op, mapping, block)
            clone = op.clone(value_mapper=mapping)
            for kind in ASSUMPTIONS:
                clone.attributes.pop(kind, None)
            for result in clone.results:
                result._type = _renamed(result.type, sizes)
            rename_symbols(clone, sizes.names)
            block.add_op(clone)
        block.add_op(func.ReturnOp(*[mapping[v] for v in outputs]))
        function = func.FuncOp.create(
            properties={
                "sym_name": StringAttr(name),
                "function_type": FunctionType.from_lists(
                    [a.type for a in block.args], [mapping[v].type for v in outputs]
                ),
                "sym_visibility": StringAttr("private"),
            },
            attributes={
                "onnx.dispatch": UnitAttr(),
                "onnx.symbols": _strings(sizes.names.values()),
                **({"remarks": _strings(group.remarks)} if group.remarks else {}),
            },
            regions=[Region(block)],
            location=fuse_locations([op.location for op in group.ops]),
        )
        self.module.body.block.add_op(function)
        return name

    def _name(self, group: Group, outputs: list[SSAValue]) -> str:
        words = [_word(op) for op in group.ops]
        if group.root is None and len(words) > 4:
            words = [*words[:2], f"{len(words) - 3}_more", words[-1]]
        if len(words) > 6:
            words = [*words[:4], f"{len(words) - 5}_more", words[-1]]
        dims = dims_of(outputs[0].type) if outputs else ()
        sizes = [str(d) if isinstance(d, int) else "n" for d in dims or ()]
        stem = "_".join(words) + ("_" + "x".join(sizes) if sizes else "")
        name, number = stem, 1
        while name in self.names:
            number += 1
            name = f"{stem}_{number}"
        self.names.add(name)
        return name


def _word(op: OnnxOp) -> str:
    word = op.OP_TYPE.lower() or key_of(op)[1].lower()  # type: ignore[index]
    if word in ("conv", "convtranspose", "maxpool", "averagepool"):
        shape = op.get("kernel_shape") or (dims_of(op.operands[1].type) or ())[2:]
        word += "x".join(str(size) for size in shape)
    return word


def _interface(group: Group) -> tuple[list[SSAValue], list[SSAValue]]:
    """Values a group takes from outside, and those of its own that others use."""
    inside = set(group.ops)
    inputs: dict[SSAValue, None] = {}
    outputs: list[SSAValue] = []
    for op in group.ops:
        for value in op.operands:
            if value.owner not in inside and not _is_internal(value):
                inputs[value] = None
        for result in op.results:
            users = [use.operation for use in result.uses]
            if any(user not in inside for user in users):
                outputs.append(result)
    return list(inputs), outputs


def _is_internal(value: SSAValue) -> bool:
    """Whether a value is cloned into the dispatch: absent inputs and single numbers."""
    owner = value.owner
    if isinstance(owner, NoValue):
        return True
    return (
        isinstance(owner, Const)
        and isinstance(owner.value, DenseIntOrFPElementsAttr)
        and all(dim == 1 for dim in dims_of(value.type) or ())
        and not layout_of(value.type)
    )


def _clone_constants(op: OnnxOp, mapping: dict[SSAValue, SSAValue], block: Block) -> None:
    for value in op.operands:
        if value not in mapping and _is_internal(value):
            assert isinstance(value.owner, Operation)
            clone = value.owner.clone()
            block.add_op(clone)
            mapping[value] = clone.results[0]


def dispatch_key(
    ops: Sequence[OnnxOp], inputs: Sequence[SSAValue], outputs: Sequence[SSAValue]
) -> tuple[tuple, SizeArguments]:
    """What makes two groups one kernel: structure, types and attributes, sizes by first use.

    Also gives the sizes that the kernel is told.
    """
    sizes = SizeArguments(_all_sizes(ops, inputs))
    numbers: dict[SSAValue, int] = {}

    def kind(value: SSAValue) -> tuple:
        dims = dims_of(value.type)
        if dims is None:
            return (value.type,)
        return (
            element_type_of(value.type),
            tuple(map(sizes.renamed, dims)),
            layout_of(value.type),
            panel_of(value.type),
        )

    parts: list = []
    for value in inputs:
        numbers[value] = len(numbers)
        parts.append(kind(value))
    for op in ops:
        operands = []
        for value in op.operands:
            if value in numbers:
                operands.append(numbers[value])
            else:
                owner = value.owner
                constant = owner.value if isinstance(owner, Const) else None
                operands.append((value.type, constant))
        for result in op.results:
            numbers[result] = len(numbers)
        attributes = _attribute_key(op, sizes)
        results = tuple(None if is_none(r) else kind(r) for r in op.results)
        parts.append((op.name, tuple(operands), attributes, results))
    parts.append(tuple(numbers[v] for v in outputs))
    return tuple(parts), sizes


def _all_sizes(ops: Iterable[OnnxOp], inputs: Iterable[SSAValue]) -> Iterator[Dim]:
    """Every size that occurs in a group."""
    for value in inputs:
        yield from dims_of(value.type) or ()
    for op in ops:
        yield from symbolic_attributes(op)
        for result in op.results:
            yield from dims_of(result.type) or ()


def _attribute_key(op: OnnxOp, sizes: SizeArguments) -> tuple:
    """Attributes, with the symbolic sizes in them called like those in types."""
    for dim in symbolic_attributes(op):
        sizes.renamed(dim)
    renamed = type(op).create(properties=dict(op.properties), attributes=dict(op.attributes))
    rename_symbols(renamed, sizes.names)
    ignored = ("onnx.content", "onnx.cycles", *ASSUMPTIONS)
    items = [*renamed.properties.items(), *renamed.attributes.items()]
    return tuple(sorted(((k, v) for k, v in items if k not in ignored), key=lambda item: item[0]))


def _renamed(kind: Attribute, sizes: SizeArguments) -> Attribute:
    dims = dims_of(kind) if is_tensor(kind) else None
    if not dims or all(isinstance(dim, int) for dim in dims):
        return kind
    renamed = [sizes.renamed(dim) for dim in dims]
    return tensor_type(element_type_of(kind), renamed, layout_of(kind), panel_of(kind))


def _strings(entries: Iterable[Dim | str]) -> ArrayAttr[StringAttr]:
    return ArrayAttr([StringAttr(str(entry)) for entry in entries])
