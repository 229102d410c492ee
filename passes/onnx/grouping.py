"""Which operations of a block become one kernel: greedy fusion, in the order of the model.

Used by `onnx-form-dispatches`, whose file says what a kernel may be made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from xdsl.dialects.builtin import ArrayAttr
from xdsl.ir import Block, Operation, SSAValue

from dialects.hal import sizes_of
from dialects.onnx.dims import Dim, parse_dim, symbol, symbols_of
from dialects.onnx.locations import node_names
from dialects.onnx.ops import OnnxOp, Symbols
from dialects.onnx.types import dims_of, is_tensor, layout_of
from passes.lower.onnx_to_krnl.registry import FRAMES, HOST, MAPS, POINTWISE, ROOTS, key_of
from passes.lower.onnx_to_krnl.views import is_view
from passes.onnx.bind_parameters import symbolic_attributes
from passes.onnx.fusion import (
    COSTLY,
    READ_ONCE,
    goes_along,
    keeps_neighbours,
    reduces_places,
    result_dims,
    weighs_columns,
)
from passes.onnx.groups import Group, in_order, link, take_sources
from passes.onnx.outline import ASSUMPTIONS

CYCLE = "another operand is computed from the kernel's own result"


class Grouping:
    """Greedy fusion over the operations of a block, in order."""

    def __init__(self, block: Block, cache_bytes: int = 524_288) -> None:
        self.block = block
        self.cache_bytes = cache_bytes
        self.group_of: dict[Operation, Group] = {}
        self.groups: dict[Group, None] = {}
        self.waiting: set[Operation] = set()
        self.obstacles: dict[tuple[Operation, Operation], str] = {}
        self.position = {op: number for number, op in enumerate(block.ops)}
        self.definers = {
            name: op for op in block.ops if isinstance(op, Symbols) for name in _defined(op)
        }

    def run(self) -> None:
        """Puts every computing operation into a group."""
        for op in self.block.ops:
            key = key_of(op)
            self._place_waiting(op)
            if (
                not isinstance(op, OnnxOp)
                or key is None
                or key in HOST
                or op.regions
                or not self._is_numeric(op)
            ):
                self._outside(op)
            elif key in FRAMES and (framed := self._framed(op, key)) is not None:
                self._add_behind(op, framed)
            elif key in ROOTS:
                self._add_root(op, key)
            elif key in POINTWISE or key in MAPS:
                if self._is_for_user(op):
                    self.waiting.add(op)
                else:
                    self._add_elementwise(op, key)
            else:
                self._outside(op)

    def _is_numeric(self, op: OnnxOp) -> bool:
        return all(dims_of(r.type) is not None for r in op.results if is_tensor(r.type)) and not (
            is_view(op) and self._stays_view(op)
        )

    def explain(self) -> None:
        """Gives groups the reasons why they are kernels of their own."""
        for (producer, user), reason in self.obstacles.items():
            source, group = self.group_of[producer], self.group_of[user]
            if source is not group and self.is_dispatch(source) and self.is_dispatch(group):
                remark = f"{_label(user)} is not fused with {_label(producer)}: {reason}"
                group.remarks[remark] = None

    # Groups ---------------------------------------------------------------------------------

    def _outside(self, op: Operation) -> None:
        """An operation that stays in the caller: a group, so that order is known."""
        self._new_group([op] if isinstance(op, OnnxOp) else [], op)

    def _new_group(self, ops: list[OnnxOp], op: Operation, root: OnnxOp | None = None) -> Group:
        group = Group(ops, root, number=self.position[op])
        self.groups[group] = None
        self.group_of[op] = group
        self._connect(op, group)
        return group

    def _connect(self, op: Operation, group: Group) -> None:
        for producer in self._producers(op):
            source = self.group_of.get(producer)
            if source is not None:
                link(source, group)

    def _producers(self, op: Operation) -> Iterable[Operation]:
        """Operations of this block that an operation (and its regions) takes values or sizes of."""
        for nested in op.walk():
            for value in nested.operands:
                owner = value.owner
                if isinstance(owner, Operation) and owner.parent is self.block:
                    yield owner
            if self.definers and not isinstance(nested, Symbols):
                for name in _symbols_used(nested):
                    if name in self.definers:
                        yield self.definers[name]

    def _merge(self, source: Group, target: Group) -> None:
        """Joins a group that only the target takes values of."""
        target.ops = sorted([*source.ops, *target.ops], key=self.position.__getitem__)
        for op in source.ops:
            self.group_of[op] = target
        take_sources(source, target)
        del self.groups[source]

    def is_dispatch(self, group: Group) -> bool:
        """Whether a group is computed by a kernel."""
        return bool(group.ops) and self._computes(group.ops[0])

    def _computes(self, op: OnnxOp) -> bool:
        key = key_of(op)
        return (key in ROOTS or key in POINTWISE or key in MAPS) and not (
            is_view(op) and self._stays_view(op)
        )

    def _group_computing(self, value: SSAValue) -> Group | None:
        """The group of the operation that a value comes from, if it has one yet."""
        return self.group_of.get(value.owner) if isinstance(value.owner, Operation) else None

    # Roots and what stands in front of them --------------------------------------------------

    def _add_root(self, op: OnnxOp, key: tuple[str, str]) -> None:
        source = self._group_computing(op.operands[0]) if op.operands else None
        if source is not None and reduces_places(source, op, self.cache_bytes):
            source.reduced = op
            self._add_behind(op, source)
            return
        group = self._new_group([op], op, op)
        for result in op.results:
            group.paths[result] = (result,)
        if ROOTS[key].fuses != "none":
            self._absorb_operands(op, group)
            return
        for operand in op.operands:
            owner = operand.owner
            if isinstance(owner, Operation) and self.group_of.get(owner):
                self.obstacles[owner, op] = f"{op.OP_TYPE} computes nothing in front of it"
        if op.OP_TYPE == "MatMul":
            self._absorb_attention(op, group)
        elif op.OP_TYPE == "Conv":
            self._absorb_convolution(op, group)

    def _absorb_attention(self, op: OnnxOp, group: Group) -> None:
        """Joins a product with softmax(f(product)), f pointwise: scores need not be stored."""
        softmax = self._only_producer(op.operands[0], "Softmax")
        if softmax is None or not weighs_columns(softmax, op):
            return
        assert softmax.root is not None
        scores = self._only_producer(softmax.root.operands[0], "MatMul")
        if scores is not None and result_dims(scores) == result_dims(softmax):
            self._merge(softmax, group)
            self._merge(scores, group)

    def _absorb_convolution(self, op: OnnxOp, group: Group) -> None:
        """Joins a depthwise convolution with one in front of it whose result would go to memory."""
        producer = self._only_producer(op.operands[0], "Conv", may_be_framed=True)
        if producer is not None and goes_along(producer, op, self.cache_bytes):
            self._merge(producer, group)

    def _only_producer(
        self, value: SSAValue, name: str, may_be_framed: bool = False
    ) -> Group | None:
        """The group around a root of some kind that gives others nothing but ``value``, once.

        Its elements stand where the root's result has them, or have a frame around them.
        """
        owner, group = value.owner, self._group_computing(value)
        if group is None or group.root is None or key_of(group.root) != ("", name):
            return None
        assert isinstance(owner, Operation)
        is_frame = may_be_framed and owner is not group.root and key_of(owner) in FRAMES
        inner = owner.operands[0] if is_frame else value
        if group.paths.get(inner) != (group.root.results[0],) or not value.has_one_use():
            return None
        others = (r for op in group.ops for r in op.results if r is not value)
        inside = all(self.group_of.get(use.operation) is group for r in others for use in r.uses)
        return group if inside else None

    def _framed(self, op: OnnxOp, key: tuple[str, str]) -> Group | None:
        """The group that computes what an operation only puts something around."""
        value = op.operands[0]
        group = self._group_computing(value)
        if group is None or group.root is None or value not in group.paths:
            return None
        fits = ROOTS[_key(group.root)].epilogue and FRAMES[key].fits(op)
        return group if fits and not self._makes_cycle(op, group) else None

    def _add_behind(self, op: OnnxOp, group: Group) -> None:
        group.ops.append(op)
        self.group_of[op] = group
        self._connect(op, group)

    def _absorb_operands(self, user: OnnxOp, group: Group) -> None:
        """Computes what stands in front of an operation inside of its group, where that pays."""
        for operand in user.operands:
            owner, source = operand.owner, self._group_computing(operand)
            if (
                source is not None
                and source is not group
                and source.root is None
                and self.is_dispatch(source)
            ):
                assert isinstance(owner, Operation)
                obstacle = self._why_not_only_for(source, user, group)
                if obstacle:
                    self.obstacles.setdefault((owner, user), obstacle)
                else:
                    self._merge(source, group)

    def _why_not_only_for(self, source: Group, user: OnnxOp, group: Group) -> str:
        """Why a group may not be computed where its values are read; "" if it may."""
        for value in [result for op in source.ops for result in op.results]:
            for use in value.uses:
                op = use.operation
                if self.group_of.get(op) is source:
                    continue
                if not isinstance(op, OnnxOp) or op.parent is not self.block:
                    return "its result leaves the graph"
                if op is not user and self.group_of.get(op) is not group:
                    return f"{_label(op)} takes its result, too"
                if obstacle := self._why_not_compute(source, value, op, use.index, group):
                    return obstacle
        return ""

    def _why_not_compute(
        self, source: Group, value: SSAValue, op: OnnxOp, number: int, group: Group
    ) -> str:
        """Why a group may not be computed wherever an operation reads an element of its value."""
        key = key_of(op)
        assert key is not None
        maps_only = all(key_of(other) in MAPS for other in source.ops)
        costly = any(other.OP_TYPE in COSTLY for other in source.ops)
        if group.root is not None and not group.is_behind(op):
            rule = ROOTS[_key(group.root)]
            if op is group.root and rule.operands is not None and number not in rule.operands:
                return f"operand {number} of {group.root.OP_TYPE} is read from memory"
            if rule.fuses == "none" or (rule.fuses == "maps" and not maps_only):
                return f"{group.root.OP_TYPE} computes nothing in front of it"
            if costly and group.root.OP_TYPE not in READ_ONCE:
                return f"{group.root.OP_TYPE} reads elements again that are costly to compute"
        elif group.root is not None:
            root = group.root
            if not all(keeps_neighbours(other, root) for other in source.ops):
                return f"columns of {root.OP_TYPE} would read what is no neighbours in memory"
        if key in MAPS:
            known = maps_only or MAPS[key].forward is not None
            return "" if known else f"{op.OP_TYPE} is computed from where its results lie"
        broadcast = key in POINTWISE and dims_of(value.type) != dims_of(op.results[0].type)
        return "it is broadcast, and costly to compute again" if costly and broadcast else ""

    # Dequantized bytes ------------------------------------------------------------------------

    def _is_for_user(self, op: OnnxOp) -> bool:
        """Whether bytes are dequantized for a single operation, which can do so as it reads."""
        users = [use.operation for use in op.results[0].uses]
        if op.OP_TYPE != "DequantizeLinear" or len(users) != 1 or users[0].parent is not self.block:
            return False
        key = key_of(users[0])
        return key in POINTWISE or (key in ROOTS and ROOTS[key].fuses == "all")

    def _place_waiting(self, user: Operation) -> None:
        """Puts DequantizeLinears into groups once their user is met.

        One may stand behind the root that computes its bytes, so that a pointwise user can do so
        too. Others stand in front of the user, and bytes are what is stored.
        """
        owners = dict.fromkeys(operand.owner for operand in user.operands)
        found = [op for op in owners if isinstance(op, OnnxOp) and op in self.waiting]
        if not found:
            return
        latest = max(found, key=self._number_of_source) if key_of(user) in POINTWISE else None
        for op in found:
            self.waiting.remove(op)
            if op is latest:
                self._add_elementwise(op, _key(op))
            else:
                self._absorb_operands(op, self._new_group([op], op))

    def _number_of_source(self, op: OnnxOp) -> int:
        """Where the model has the group that computes an operation's first operand."""
        group = self._group_computing(op.operands[0])
        return -1 if group is None else group.number

    # Pointwise operations and maps ------------------------------------------------------------

    def _add_elementwise(self, op: OnnxOp, key: tuple[str, str]) -> None:
        group = self._joinable(op, key)
        if group is None:
            group = self._new_group([op], op)
        else:
            self._add_behind(op, group)
        self._absorb_operands(op, group)

    def _joinable(self, op: OnnxOp, key: tuple[str, str]) -> Group | None:
        """The group behind whose root, or beside whose operations, this one can be computed.

        Behind a root rather than beside: what stands beside may then join the root's group, too.
        """
        found: list[Group] = []
        for operand in op.operands:
            owner, group = operand.owner, self._group_computing(operand)
            if group is None or not self.is_dispatch(group) or group in found:
                continue
            if obstacle := self._why_not_join(op, key, operand, group):
                assert isinstance(owner, Operation)
                self.obstacles.setdefault((owner, op), obstacle)
                continue
            found.append(group)
        return max(found, key=lambda group: (group.root is not None, group.number), default=None)

    def _why_not_join(
        self, op: OnnxOp, key: tuple[str, str], operand: SSAValue, group: Group
    ) -> str:
        """Why an operation may not be computed in a group that it takes a value of."""
        if group.root is None:
            return self._why_not_join_pure(op, key, operand, group)
        if group.reduced is not None:
            return f"nothing more is computed beside {group.reduced.OP_TYPE}"
        if not ROOTS[_key(group.root)].epilogue:
            return f"nothing is computed behind {group.root.OP_TYPE}"
        if operand not in group.paths:
            return "it is computed in front of the kernel's root"
        if key in POINTWISE:
            if dims_of(operand.type) != dims_of(op.results[0].type):
                return "it is broadcast"
        elif MAPS[key].forward is None or op.operands[0] is not operand:
            return f"{op.OP_TYPE} is computed from where its results lie"
        elif len(list(operand.uses)) != 1:
            return "others take its result, too"
        if not keeps_neighbours(op, group.root):
            return "columns would no longer be neighbours in memory"
        path = group.paths[operand]
        for other in op.operands:
            inside = self._group_computing(other) is group
            if inside and (other not in group.paths or group.paths[other] != path):
                return "its operands come from different elements of the root's result"
        if self._makes_cycle(op, group):
            return CYCLE
        step = (op,) if key in MAPS else ()
        for result in op.results:
            group.paths[result] = (*path, *step)
        return ""

    def _why_not_join_pure(
        self, op: OnnxOp, key: tuple[str, str], operand: SSAValue, group: Group
    ) -> str:
        """Beside a pointwise group whose value others need too: one pass over memory for both."""
        if key not in POINTWISE or any(key_of(other) not in POINTWISE for other in group.ops):
            return "not all of it is pointwise"
        same = dims_of(operand.type) == dims_of(op.results[0].type)
        if not same or layout_of(operand.type) != layout_of(op.results[0].type):
            return "it is broadcast or laid out differently"
        return CYCLE if self._makes_cycle(op, group) else ""

    def _makes_cycle(self, op: OnnxOp, group: Group) -> bool:
        """Whether an operand from elsewhere is itself computed from the group."""
        for producer in self._producers(op):
            other = self.group_of.get(producer)
            if other is None or other is group:
                continue
            if other.rank > group.rank and group.reaches(other):
                return True
        return False

    def _stays_view(self, op: Operation) -> bool:
        """A view is free, unless fusing it lets a root store in a later transposition's order."""
        users = [use.operation for use in op.results[0].uses]
        if len(users) != 1:
            return True
        user, group = users[0], self._group_computing(op.operands[0])
        if key_of(user) != ("", "Transpose") or is_view(user) or group is None:
            return True
        if op.operands[0] not in group.paths or not op.operands[0].has_one_use():
            return True
        assert isinstance(user, OnnxOp) and group.root is not None
        return not keeps_neighbours(user, group.root)

    # Order ------------------------------------------------------------------------------------

    def order(self) -> list[Group]:
        """Groups so that producers stand before users, otherwise as the model has them."""
        return list(in_order(list(self.groups)))


def _defined(op: Symbols) -> Iterator[str]:
    """The symbols that an operation gives a value: its entries that are nothing but a symbol."""
    for entry in op.symbols:
        dim = parse_dim(entry.data)
        if dim in [symbol(name) for name in symbols_of(dim)]:
            yield from symbols_of(dim)


def _symbols_used(op: Operation) -> set[str]:
    """The symbols that a kernel with an operation needs: of its types, parameters and checks."""
    kinds = [value.type for value in (*op.operands, *op.results) if is_tensor(value.type)]
    dims: list[Dim] = [dim for kind in kinds for dim in dims_of(kind) or ()]
    dims += symbolic_attributes(op)
    for name in ASSUMPTIONS:
        pairs = op.attributes.get(name)
        for pair in pairs if isinstance(pairs, ArrayAttr) else ():
            dims += sizes_of(pair)
    return set[str]().union(*(symbols_of(dim) for dim in dims))


def _label(op: Operation) -> str:
    """An operation for people: its type, and its node's name."""
    names = ", ".join(node_names(op.location))
    kind = key_of(op)
    return (kind[1] if kind else op.name) + (f" '{names}'" if names else "")


def _key(op: OnnxOp) -> tuple[str, str]:
    key = key_of(op)
    assert key is not None
    return key
