"""`onnx-form-dispatches`: group operations into kernels, and make equal groups one function.

Requires inferred shapes and assigned layouts. Ensures that every operation that computes numbers stands
in a private function (a *dispatch*), called from where it stood; equal dispatches are one function. What
stays outside: constants, views (the same bytes under another shape), control flow and host calls.

A dispatch is at most one root (`passes/lower/onnx_to_krnl/registry.py`) with

* in front of it the index maps and pointwise operations whose results only it needs, and
* behind it the pointwise operations and bijective maps that use each element of its result once.

    %1 = Conv(%x, %w)                     func private @conv3x3_relu_8x8x16(%x, %w) { Conv; Relu }
    %2 = Relu(%1)                ==>      %2 = onnx.Dispatch @conv3x3_relu_8x8x16(%x, %w)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import networkx as nx
from xdsl.context import Context
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
from xdsl.passes import ModulePass

from dialects.onnx.dims import Dim, DimExpr, substitute, symbol, symbols_of
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
from passes.lower.onnx_to_krnl.layout import Layout
from passes.lower.onnx_to_krnl.registry import (
    HOST,
    MAPS,
    POINTWISE,
    ROOTS,
    key_of,
)
from passes.onnx.bind_parameters import rename_symbols, symbolic_attributes

RESHAPES = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Transpose"})
"""Operators whose result may be the operand's bytes under another shape."""

COSTLY = frozenset(
    [
        "Exp",
        "Log",
        "Tanh",
        "Erf",
        "Sigmoid",
        "Gelu",
        "Mish",
        "Softplus",
        "Sin",
        "Cos",
        "Tan",
        "Asin",
        "Acos",
        "Atan",
        "Sinh",
        "Cosh",
        "Asinh",
        "Acosh",
        "Atanh",
        "Pow",
        "Elu",
        "Selu",
        "Celu",
        "Swish",
    ]
)
"""Pointwise operators that are not worth computing twice."""


@dataclass(eq=False)
class Group:
    """Operations that will be one kernel."""

    ops: list[OnnxOp]
    root: OnnxOp | None = None
    number: int = 0
    paths: dict[SSAValue, tuple[Operation, ...]] = field(default_factory=dict)
    """Behind a root: the maps between its result and each value of the group."""


@dataclass(frozen=True)
class FormDispatches(ModulePass):
    """Fuses, outlines and deduplicates."""

    name = "onnx-form-dispatches"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrites every function of the module in place."""
        outliner = Outliner(op)
        for function in list(op.ops):
            if isinstance(function, func.FuncOp) and not function.is_declaration:
                _form(function.body.block, outliner)


def _form(block: Block, outliner: Outliner) -> None:
    for op in block.ops:
        for region in op.regions:
            for nested in region.blocks:
                _form(nested, outliner)
    grouping = Grouping(block)
    grouping.run()
    outliner.outline(block, grouping)


def is_view(op: Operation) -> bool:
    """Whether an operation's result is its operand's buffer under another shape."""
    key = key_of(op)
    if key is None or key[0] or key[1] not in RESHAPES:
        return False
    source, target = op.operands[0].type, op.results[0].type
    before, after = dims_of(source), dims_of(target)
    if before is None or after is None:
        return False
    layouts = [_layout(kind, dims) for kind, dims in ((source, before), (target, after))]
    if key[1] == "Identity":
        return layouts[0].same_bytes(layouts[1], before)
    if key[1] == "Transpose":
        rank = len(before)
        perm = op.get("perm") or tuple(range(rank - 1, -1, -1))  # type: ignore[attr-defined]
        place = {axis: position for position, axis in enumerate(perm)}
        if layouts[0].panel or layouts[1].panel:
            return False
        seen = Layout(tuple(place[axis] for axis in layouts[0].order))
        return seen.same_bytes(layouts[1], after)
    row_major = (Layout.row_major(len(before)), Layout.row_major(len(after)))
    return layouts[0].same_bytes(row_major[0], before) and layouts[1].same_bytes(
        row_major[1], after
    )


def _layout(kind: Attribute, dims: Sequence[Dim]) -> Layout:
    order = layout_of(kind)
    return Layout.row_major(len(dims)) if order is None else Layout(order, panel_of(kind))


class Grouping:
    """Greedy fusion over the operations of a block, in order."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.group_of: dict[Operation, Group] = {}
        self.graph = nx.DiGraph()
        self.count = 0

    def run(self) -> None:
        """Puts every computing operation into a group."""
        for op in self.block.ops:
            key = key_of(op)
            if (
                not isinstance(op, OnnxOp)
                or key is None
                or key in HOST
                or op.regions
                or not self._is_numeric(op)
            ):
                self._outside(op)
            elif key in ROOTS:
                self._add_root(op, key)
            elif key in POINTWISE or key in MAPS:
                self._add_elementwise(op, key)
            else:
                self._outside(op)

    def _is_numeric(self, op: OnnxOp) -> bool:
        return all(dims_of(r.type) is not None for r in op.results if is_tensor(r.type)) and not (
            is_view(op) and self._stays_view(op)
        )

    # Groups ---------------------------------------------------------------------------------

    def _outside(self, op: Operation) -> None:
        """An operation that stays in the caller: a node of the graph, so that order is known."""
        self._new_group([op] if isinstance(op, OnnxOp) else [], op)

    def _new_group(self, ops: list[OnnxOp], op: Operation, root: OnnxOp | None = None) -> Group:
        group = Group(ops, root, self.count)
        self.count += 1
        self.graph.add_node(group)
        self.group_of[op] = group
        self._connect(op, group)
        return group

    def _connect(self, op: Operation, group: Group) -> None:
        for producer in self._producers(op):
            source = self.group_of.get(producer)
            if source is not None and source is not group:
                self.graph.add_edge(source, group)

    def _producers(self, op: Operation) -> Iterable[Operation]:
        """Operations of this block that an operation (or its regions) takes values from."""
        for nested in op.walk():
            for value in nested.operands:
                owner = value.owner
                if isinstance(owner, Operation) and owner.parent is self.block:
                    yield owner

    def _merge(self, source: Group, target: Group) -> None:
        target.ops = sorted([*source.ops, *target.ops], key=self._position)
        for op in source.ops:
            self.group_of[op] = target
        for before in list(self.graph.predecessors(source)):
            if before is not target:
                self.graph.add_edge(before, target)
        for after in list(self.graph.successors(source)):
            if after is not target:
                self.graph.add_edge(target, after)
        self.graph.remove_node(source)

    def _position(self, op: Operation) -> int:
        if not hasattr(self, "_order"):
            self._order = {op: n for n, op in enumerate(self.block.ops)}
        return self._order[op]

    def _is_dispatch(self, group: Group | None) -> bool:
        return group is not None and bool(group.ops) and self._computes(group.ops[0])

    def _computes(self, op: OnnxOp) -> bool:
        key = key_of(op)
        return (key in ROOTS or key in POINTWISE or key in MAPS) and not (
            is_view(op) and self._stays_view(op)
        )

    # Roots and what stands in front of them --------------------------------------------------

    def _add_root(self, op: OnnxOp, key: tuple[str, str]) -> None:
        group = self._new_group([op], op, op)
        for result in op.results:
            group.paths[result] = ()
        rule = ROOTS[key]
        if rule.fuses == "none":
            return
        for number, operand in enumerate(op.operands):
            if rule.operands is None or number in rule.operands:
                self._absorb(operand, op, group, rule.fuses == "maps")

    def _absorb(self, value: SSAValue, user: OnnxOp, group: Group, maps_only: bool) -> None:
        """Computes a producer inside its only user's group."""
        owner = value.owner
        source = self.group_of.get(owner) if isinstance(owner, Operation) else None
        if source is None or source is group or source.root is not None:
            return
        if not self._is_dispatch(source) or not self._only_used_by(source, group, user):
            return
        if maps_only and any(key_of(op) not in MAPS for op in source.ops):
            return
        if self._repeats(value, user) and any(op.OP_TYPE in COSTLY for op in source.ops):
            return
        self._merge(source, group)

    def _only_used_by(self, source: Group, group: Group, user: Operation) -> bool:
        for op in source.ops:
            for result in op.results:
                for use in result.uses:
                    inside = use.operation
                    while inside.parent is not None and inside.parent is not self.block:
                        inside = inside.parent.parent_op() or inside
                    if inside is user:
                        continue
                    if self.group_of.get(inside) not in (source, group):
                        return False
        return True

    def _repeats(self, value: SSAValue, user: OnnxOp) -> bool:
        """Whether a user reads elements of a value more than once."""
        if key_of(user) in ROOTS:
            return user.OP_TYPE in ("Softmax", "LogSoftmax", "LayerNormalization")
        return dims_of(value.type) != dims_of(user.results[0].type) and key_of(user) in POINTWISE

    # Pointwise operations and maps ------------------------------------------------------------

    def _add_elementwise(self, op: OnnxOp, key: tuple[str, str]) -> None:
        group = self._joinable(op, key)
        if group is None:
            group = self._new_group([op], op)
        else:
            group.ops.append(op)
            self.group_of[op] = group
            self._connect(op, group)
        if key in MAPS and not self._reads_each_once(op):
            for operand in op.operands:
                self._absorb(operand, op, group, maps_only=True)
            return
        for operand in op.operands:
            self._absorb(operand, op, group, maps_only=False)

    def _reads_each_once(self, op: OnnxOp) -> bool:
        return MAPS[key_of(op)].forward is not None  # type: ignore[index]

    def _joinable(self, op: OnnxOp, key: tuple[str, str]) -> Group | None:
        """The group behind whose root, or beside whose operations, this one can be computed."""
        best: Group | None = None
        for operand in op.operands:
            owner = operand.owner
            group = self.group_of.get(owner) if isinstance(owner, Operation) else None
            if group is None or not self._is_dispatch(group) or group is best:
                continue
            if not self._can_join(op, key, operand, group):
                continue
            if best is None or group.number > best.number:
                best = group
        return best

    def _can_join(self, op: OnnxOp, key: tuple[str, str], operand: SSAValue, group: Group) -> bool:
        if group.root is None:
            return self._can_join_pure(op, key, operand, group)
        if not ROOTS[key_of(group.root)].epilogue or operand not in group.paths:  # type: ignore[index]
            return False
        if key in POINTWISE:
            if dims_of(operand.type) != dims_of(op.results[0].type):
                return False
        elif (
            MAPS[key].forward is None
            or op.operands[0] is not operand
            or len(list(operand.uses)) != 1
        ):
            return False
        path = group.paths[operand]
        for other in op.operands:
            inside = isinstance(other.owner, Operation) and self.group_of.get(other.owner) is group
            if inside and (other not in group.paths or group.paths[other] != path):
                return False
        if self._makes_cycle(op, group):
            return False
        step = (op,) if key in MAPS else ()
        for result in op.results:
            group.paths[result] = (*path, *step)
        return True

    def _can_join_pure(
        self, op: OnnxOp, key: tuple[str, str], operand: SSAValue, group: Group
    ) -> bool:
        """Beside a pointwise group whose value others need as well: one pass over memory for both."""
        if key not in POINTWISE or any(key_of(other) not in POINTWISE for other in group.ops):
            return False
        same = dims_of(operand.type) == dims_of(op.results[0].type)
        same = same and layout_of(operand.type) == layout_of(op.results[0].type)
        return same and not self._makes_cycle(op, group)

    def _makes_cycle(self, op: OnnxOp, group: Group) -> bool:
        """Whether an operand from elsewhere is itself computed from the group."""
        for producer in self._producers(op):
            other = self.group_of.get(producer)
            if other is None or other is group:
                continue
            if other.number > group.number and nx.has_path(self.graph, group, other):
                return True
        return False

    def _stays_view(self, op: Operation) -> bool:
        """A view is free, unless fusing it lets a root store in a later transposition's order."""
        users = [use.operation for use in op.results[0].uses]
        owner = op.operands[0].owner
        if len(users) != 1 or not isinstance(owner, Operation):
            return True
        user = users[0]
        return not (
            key_of(user) == ("", "Transpose")
            and not is_view(user)
            and len(list(op.operands[0].uses)) == 1
            and owner in self.group_of
            and self.group_of[owner].root is not None
        )

    # Order ------------------------------------------------------------------------------------

    def order(self) -> list[Group]:
        """Groups so that producers stand before users, otherwise as the model has them."""
        return list(nx.lexicographical_topological_sort(self.graph, key=lambda g: g.number))


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
        outside = {
            grouping.group_of[op]: op for op in block.ops if grouping.group_of[op].root is None
        }
        last = block.last_op
        for group in groups:
            if grouping._is_dispatch(group):
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
        key, symbols = dispatch_key(group.ops, inputs, outputs)
        if key not in self.functions:
            self.functions[key] = self._function(group, inputs, outputs, symbols)
        types = [v.type for v in outputs]
        call = Dispatch(self.functions[key], inputs, types, _strings(symbols.values()))
        call.location = fuse_locations([op.location for op in group.ops])
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
        symbols: dict[str, Dim],
    ) -> str:
        name = self._name(group, outputs)
        rename = {old: symbol(f"s{n}") for n, old in enumerate(symbols)}
        block = Block(arg_types=[_renamed(v.type, rename) for v in inputs])
        mapping = dict(zip(inputs, block.args, strict=True))
        for old, new in mapping.items():
            new.name_hint = old.name_hint
        for op in group.ops:
            _clone_constants(op, mapping, block)
            clone = op.clone(value_mapper=mapping)
            for result in clone.results:
                result._type = _renamed(result.type, rename)
            rename_symbols(clone, rename)
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
                "onnx.symbols": _strings(rename.values()),
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
) -> tuple[tuple, dict[str, Dim]]:
    """What makes two groups one kernel: structure, types and attributes, symbols by first use.

    Also gives the symbols in the order in which the kernel numbers them.
    """
    symbols: dict[str, Dim] = {}
    numbers: dict[SSAValue, int] = {}

    def kind(value: SSAValue) -> tuple:
        dims = dims_of(value.type)
        if dims is None:
            return (value.type,)
        for dim in dims:
            for name in sorted(symbols_of(dim)):
                symbols.setdefault(name, symbol(name))
        rename = {old: symbol(f"s{n}") for n, old in enumerate(symbols)}
        renamed = tuple(substitute(dim, rename) for dim in dims)
        return (
            element_type_of(value.type),
            renamed,
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
        attributes = _attribute_key(op, symbols)
        results = tuple(None if is_none(r) else kind(r) for r in op.results)
        parts.append((op.name, tuple(operands), attributes, results))
    parts.append(tuple(numbers[v] for v in outputs))
    return tuple(parts), symbols


def _attribute_key(op: OnnxOp, symbols: dict[str, Dim]) -> tuple:
    """Attributes, with the symbolic sizes in them numbered like those in types."""
    for dim in symbolic_attributes(op):
        for name in sorted(symbols_of(dim)):
            symbols.setdefault(name, symbol(name))
    renamed = type(op).create(properties=dict(op.properties), attributes=dict(op.attributes))
    rename_symbols(renamed, {old: symbol(f"s{n}") for n, old in enumerate(symbols)})
    ignored = ("onnx.content",)
    items = [*renamed.properties.items(), *renamed.attributes.items()]
    return tuple(sorted(((k, v) for k, v in items if k not in ignored), key=lambda item: item[0]))


def _renamed(kind: Attribute, rename: dict[str, DimExpr]) -> Attribute:
    dims = dims_of(kind) if is_tensor(kind) else None
    if not dims or not rename or all(isinstance(dim, int) for dim in dims):
        return kind
    renamed = [substitute(dim, rename) for dim in dims]
    return tensor_type(element_type_of(kind), renamed, layout_of(kind), panel_of(kind))


def _strings(dims: Iterable[Dim]) -> ArrayAttr[StringAttr]:
    return ArrayAttr([StringAttr(str(dim)) for dim in dims])
