"""onnx-infer-shapes: sets the type of every value and finds what is known of small tensors.

    %s = "onnx.Shape.v15"(%x) : (tensor<?x4xf32, #onnx.tensor<["n"], ...>>) -> !onnx.unknown
    %r = "onnx.Reshape.v14"(%y, %s) : (..., !onnx.unknown) -> !onnx.unknown
  becomes
    %s = "onnx.Shape.v15"(%x) {onnx.content = ["n", "4"]} : (...) -> tensor<2xi64>
    %r = "onnx.Reshape.v14"(%y, %s) : (..., tensor<2xi64>) -> tensor<?x4xf32, ...["n"]...>

Requires: arguments of functions have types; operations stand in topological order; no model-local
functions are called. Every other type is ignored, so the pass may run again at any time.

Ensures:

* Every value has a type: ranked with symbolic sizes where they follow from the model, else
  unranked, else `!onnx.unknown`. Function types follow.
* A small tensor whose content is fully known is an `onnx.Const`; one whose content is symbolic
  carries it as `onnx.content` (of result k > 0: `onnx.content_k`); `content_of` reads it.
  Operations that become unused vanish.
* A size read from data that only a run knows has a symbol: `onnx.Symbols` behind the tensor's
  producer names it. Any other symbol is a size of an argument or is defined by the operation whose
  result type has it first.
* An If whose branch is decided (by a known condition, or because the other branch's shapes
  contradict each other) is replaced by that branch; unless the condition is known, an
  `onnx.CheckCondition` stands in front of it.
* `onnx.assume = [["a", "b"]]`: sizes that must be equal in a run; `onnx.assume_broadcast`: that
  must be equal unless one is 1. They stand on the function where the sizes of its arguments tell,
  else on the operation that needs it.

Raises InvalidModelError where shapes contradict each other for all sizes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import (
    ArrayAttr,
    IntegerAttr,
    IntegerType,
    ModuleOp,
    StringAttr,
    TensorType,
)
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Block, Operation, OpResult, Region, SSAValue
from xdsl.passes import ModulePass

from dialects.onnx.constants import ConstantPool, array_of, make_const, pool_of
from dialects.onnx.dims import (
    SIGNED_PREFIX,
    Dim,
    DimExpr,
    at_most,
    maximum,
    parse_dim,
    symbol,
    symbols_of,
)
from dialects.onnx.locations import place_of
from dialects.onnx.ops import CheckCondition, Const, OnnxOp, Symbols
from dialects.onnx.shape import (
    CONTENT_ELEMENTS,
    NodeShapes,
    ShapeError,
    infer_types,
    propagate_contents,
)
from dialects.onnx.shape.contents import Equality, objects
from dialects.onnx.shape.helpers import must_be_equal
from dialects.onnx.types import UnknownType, dims_of, dtype_of, is_none, tensor_type, unknown
from passes.onnx.editing import erase_dead, replace_value, update_function_type
from runtime.errors import InvalidModelError

CONTENT = "onnx.content"
CONTENT_TYPES = {np.dtype(code) for code in "?bhilqBHILQefd"}
"""Element types of which contents are kept: what numpy has itself."""

_THEN = 1
"""Where an If has its `then_branch`: regions stand in the order of their names."""

NAMED_ELEMENTS = 16
"""Integer vectors of at most this many elements get symbols for their elements."""


@dataclass(frozen=True)
class InferShapes(ModulePass):
    """Sets result types and contents; see the module's docstring."""

    name = "onnx-infer-shapes"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Infers every function that is not a model-local one."""
        for function in op.body.block.ops:
            if isinstance(function, FuncOp) and "onnx.function" not in function.attributes:
                Inference(pool_of(ctx)).run(function)


def content_of(value: SSAValue, pool: ConstantPool | None = None) -> np.ndarray | None:
    """What `onnx-infer-shapes` found of a small integer tensor: ints and `DimExpr`s, in its shape.

    Large constants are read only with their ``pool``. None when nothing is known.
    """
    dims = dims_of(value.type)
    owner = value.owner
    if isinstance(owner, Const):
        if pool is None and not hasattr(owner.value, "data"):
            return None
        array = array_of(owner.value, value.type, pool or ConstantPool())
        small = array.size <= CONTENT_ELEMENTS and array.dtype.kind in "iu"
        return array.astype(object) if small else None
    texts = _content_texts(value)
    if texts is None or dims is None:
        return None
    return objects((parse_dim(text.data) for text in texts), dims)


def _content_texts(value: SSAValue) -> ArrayAttr[StringAttr] | None:
    if isinstance(value, OpResult):
        found = value.op.attributes.get(_content_name(value))
        if isinstance(found, ArrayAttr):
            return found
    for use in value.uses:
        if isinstance(use.operation, Symbols):
            return use.operation.symbols
    return None


def _content_name(value: OpResult) -> str:
    return f"{CONTENT}_{value.index}" if value.index else CONTENT


class Inference:
    """The state of one function's inference; the `Scope` that shape rules see."""

    def __init__(self, pool: ConstantPool) -> None:
        self.pool = pool
        self.contents: dict[SSAValue, np.ndarray] = {}
        self.named: dict[str, SSAValue] = {}
        """Symbols of elements of integer tensors, to the tensor."""
        self.taken: set[str] = set()
        self.born: list[str] = []
        """Symbols made here, in order."""
        self.branches: dict[Operation, tuple[Region, str | None]] = {}
        """The only branch that an If can take; what to tell where a run would take the other."""
        self.op: Operation | None = None
        """The operation whose rule runs."""
        self.assumed: dict[Operation, dict[tuple[Dim, Dim, bool], None]] = {}
        """(lhs, rhs, whether one may be 1) by the operation that needs it."""

    def run(self, function: FuncOp) -> None:
        """Infers a function and writes what was found into the IR."""
        block = function.body.block
        for op in [op for op in function.walk() if isinstance(op, Symbols)]:
            op.detach()
            op.erase()
        for argument in block.args:
            self.taken.update(*map(symbols_of, dims_of(argument.type) or ()))
        for argument in block.args:
            self._name_sizes(argument)
            self._name_elements(argument)
        arguments = set[str]().union(*(_symbols(argument.type) for argument in block.args))
        self.infer_block(block)
        self._inline_branches(block)
        self._write_constants(function)
        erase_dead(block)
        self._write_symbols(function)
        update_function_type(function)
        self._write_assumptions(function, arguments)

    # What shape rules ask.

    def fresh(self, hint: str) -> DimExpr:
        """A new symbol whose name starts with ``hint``."""
        name, number = str(symbol(hint)), 0
        while name in self.taken:
            number += 1
            name = f"{symbol(hint)}_{number}"
        self.taken.add(name)
        self.born.append(name)
        return symbol(name)

    def content(self, value: SSAValue) -> np.ndarray | None:
        """A constant's array, or the content of a small tensor."""
        found = self.contents.get(value)
        if found is None and isinstance(value.owner, Const):
            found = array_of(value.owner.value, value.type, self.pool)
            self.contents[value] = found
        if found is None and 0 in (dims_of(value.type) or ()):
            return np.empty(
                [size if isinstance(size, int) else 0 for size in dims_of(value.type) or ()], object
            )
        return found

    def assume(self, lhs: Dim, rhs: Dim) -> None:
        """Notes that two sizes have to be equal at run time."""
        assert self.op is not None
        self.assumed.setdefault(self.op, {})[lhs, rhs, False] = None

    def assume_broadcast(self, lhs: Dim, rhs: Dim) -> None:
        """Notes that two sizes have to be equal at run time unless one of them is 1."""
        assert self.op is not None
        self.assumed.setdefault(self.op, {})[lhs, rhs, not must_be_equal(lhs, rhs)] = None

    def infer_region(
        self,
        region: Region,
        kinds: Sequence[Attribute],
        contents: Sequence[np.ndarray | None],
    ) -> list[Attribute]:
        """Infers a subgraph with these argument types; gives the types it yields.

        Sizes that depend on symbols made inside get new symbols, for those mean nothing outside.
        """
        mark = len(self.born)
        found = self._infer_region(region, kinds, contents)
        inside = set(self.born[mark:])
        return [self._escape(kind, inside) for kind in found]

    def take_branch(self, region: Region, unless: str | None = None) -> list[Attribute]:
        """Infers the only branch that an If can take, which will stand in its place.

        ``unless``: a run checks that the condition chooses it, or fails with this message.
        """
        owner = region.parent
        assert owner is not None
        self.branches[owner] = region, unless
        return self._infer_region(region, (), ())

    def _infer_region(
        self,
        region: Region,
        kinds: Sequence[Attribute],
        contents: Sequence[np.ndarray | None],
    ) -> list[Attribute]:
        block = region.block
        for argument, kind, content in zip(block.args, kinds, contents, strict=True):
            argument._type = kind
            self.contents.pop(argument, None)
            if content is not None:
                self.contents[argument] = content
            else:
                self._name_elements(argument)
        self.infer_block(block)
        return [operand.type for operand in _last(block).operands]

    def _escape(self, kind: Attribute, inside: set[str]) -> Attribute:
        dims = dims_of(kind)
        if dims is None or not inside or all(symbols_of(dim).isdisjoint(inside) for dim in dims):
            return kind
        sizes = [dim if symbols_of(dim).isdisjoint(inside) else self.fresh("inner") for dim in dims]
        return tensor_type(kind.element_type, sizes)  # type: ignore[attr-defined]

    # One walk forward.

    def infer_block(self, block: Block) -> None:
        """Sets the result types of a block's operations, in order."""
        for op in block.ops:
            if isinstance(op, OnnxOp):
                self._infer_op(op)
            elif isinstance(op, CheckCondition):
                self._infer_check(op)

    def _infer_check(self, op: CheckCondition) -> None:
        """Notes sizes that are equal if and only if the condition is as expected."""
        self.assumed.pop(op, None)
        content = self.content(op.condition)
        entry = None if content is None or content.size != 1 else content.reshape(-1)[0]
        if isinstance(entry, Equality) and entry.negated != bool(op.expected.value.data):
            self.assumed[op] = {(entry.lhs, entry.rhs, False): None}

    def _infer_op(self, op: OnnxOp) -> None:
        self.branches.pop(op, None)
        self.assumed.pop(op, None)
        outer, self.op = self.op, op
        s = NodeShapes(op, self)
        try:
            kinds = self._kinds(s)
            for result, kind in zip(op.results, kinds, strict=False):
                if not is_none(result):
                    result._type = kind
            self._check_sizes(op)
            self._propagate(s)
        except ShapeError as error:
            raise InvalidModelError(str(error), place_of(op.location, "onnx")) from error
        finally:
            self.op = outer

    def _check_sizes(self, op: OnnxOp) -> None:
        """Notes sizes that may come out negative; those of operands were seen before."""
        given = {dim for operand in op.operands for dim in dims_of(operand.type) or ()}
        for result in op.results:
            for dim in dims_of(result.type) or ():
                if isinstance(dim, DimExpr) and dim not in given and not at_most(0, dim):
                    self.assume(maximum(dim, 0), dim)

    def _kinds(self, s: NodeShapes) -> Sequence[Attribute]:
        """Result types by the operator's rule; nothing is known behind an unknown operator."""
        if any(isinstance(operand.type, UnknownType) for operand in s.op.operands):
            return [unknown] * len(s.op.results)
        return infer_types(s)

    def _propagate(self, s: NodeShapes) -> None:
        for result in s.op.results:
            s.op.attributes.pop(_content_name(result), None)
            self.contents.pop(result, None)
        if not any(is_small(result.type) for result in s.op.results):
            return
        for result, content in zip(s.op.results, propagate_contents(s), strict=False):
            if content is not None and is_small(result.type):
                self.contents[result] = content
        for result in s.op.results:
            self._name_elements(result)

    def _name_sizes(self, argument: SSAValue) -> None:
        """Gives dynamic sizes without symbols (of hand-written IR) symbols of their own."""
        kind = argument.type
        if isinstance(kind, TensorType) and -1 in kind.get_shape() and _is_plain(kind):
            hint = argument.name_hint or "size"
            sizes = [
                self.fresh(f"{hint}_{i}") if d < 0 else d for i, d in enumerate(kind.get_shape())
            ]
            argument._type = tensor_type(kind.element_type, sizes)

    def _name_elements(self, value: SSAValue) -> None:
        """Gives elements of a small integer vector or scalar of which nothing is known symbols."""
        count = _nameable(value.type)
        content = self.contents.get(value)
        if count is None or (content is not None and all(e is not None for e in content.flat)):
            return
        hint = SIGNED_PREFIX + (value.name_hint or "element")
        names = [self.fresh(hint if count == 1 else f"{hint}_{i}") for i in range(count)]
        known = [None] * count if content is None else content.reshape(-1).tolist()
        entries = [
            name if entry is None else entry for name, entry in zip(names, known, strict=True)
        ]
        self.contents[value] = objects(entries, dims_of(value.type))
        self.named.update((str(name), value) for name in names)

    # Writing what was found.

    def _inline_branches(self, block: Block) -> None:
        op = block.first_op
        while op is not None:
            region, unless = self.branches.get(op, (None, None))
            if region is None:
                for inner in op.regions:
                    for inner_block in inner.blocks:
                        self._inline_branches(inner_block)
                op = op.next_op
                continue
            if unless is not None:
                self._check_condition(op, region is op.regions[_THEN], unless)
            op = _inline(op, region)

    def _check_condition(self, op: Operation, expected: bool, reason: str) -> None:
        made = CheckCondition.create(
            operands=[op.operands[0]],
            properties={"expected": IntegerAttr(expected, 1), "reason": StringAttr(reason)},
            location=op.location,
        )
        assert op.parent is not None
        op.parent.insert_op_before(made, op)
        self._infer_check(made)

    def _write_constants(self, function: FuncOp) -> None:
        for op in list(function.walk()):
            if isinstance(op, OnnxOp):
                for result in op.results:
                    self._write_constant(op, result)

    def _write_constant(self, op: OnnxOp, result: OpResult) -> None:
        content = self.contents.get(result)
        if content is None or result.first_use is None:
            return
        if not all(isinstance(entry, int | float) for entry in content.flat):
            return
        made = make_const(
            content.astype(dtype_of(result.type)), self.pool, result.name_hint or "constant"
        )
        made.location = op.location
        block = op.parent
        assert block is not None
        block.insert_op_before(made, op)
        replace_value(result, made.result)

    def _write_symbols(self, function: FuncOp) -> None:
        values = list(_values(function))
        used = set[str]().union(*(_symbols(value.type) for value in values))
        behind = {self.named[name]: None for name in used if name in self.named}
        for value in values:
            content = self.contents.get(value)
            if content is None or content.dtype != object or dtype_of(value.type).kind not in "iu":
                continue
            if value in behind:
                _write_symbols_op(value, content)
                used.update(*(symbols_of(entry) for entry in content.flat))
        for value in values:
            content = self.contents.get(value)
            if not isinstance(value, OpResult) or content is None or not _is_symbolic(content):
                continue
            if all(symbols_of(entry) <= used for entry in content.flat):
                value.op.attributes[_content_name(value)] = _texts(content)

    def _write_assumptions(self, function: FuncOp, arguments: set[str]) -> None:
        # What an earlier inference found holds, even if what needed it has been simplified away.
        hoisted = dict.fromkeys(_read_pairs(function))
        for op in function.walk():
            top = op.parent is function.body.block and not isinstance(op, CheckCondition)
            found = self.assumed.get(op, {})
            outer = {key: None for key in found if top and _pair_symbols(key) <= arguments}
            hoisted |= outer
            _write_pairs(op, [key for key in found if key not in outer])
        _write_pairs(function, list(hoisted))


def _pair_symbols(key: tuple[Dim, Dim, bool]) -> frozenset[str]:
    return symbols_of(key[0]) | symbols_of(key[1])


def _read_pairs(op: Operation) -> Iterator[tuple[Dim, Dim, bool]]:
    for name, broadcast in (("onnx.assume", False), ("onnx.assume_broadcast", True)):
        pairs = op.attributes.get(name)
        for pair in pairs if isinstance(pairs, ArrayAttr) else ():
            lhs, rhs = (parse_dim(text.data) for text in pair)  # type: ignore[union-attr]
            yield lhs, rhs, broadcast


def _write_pairs(op: Operation, keys: Sequence[tuple[Dim, Dim, bool]]) -> None:
    for name, broadcast in (("onnx.assume", False), ("onnx.assume_broadcast", True)):
        op.attributes.pop(name, None)
        pairs = [
            ArrayAttr([StringAttr(str(lhs)), StringAttr(str(rhs))])
            for lhs, rhs, one in keys
            if one is broadcast
        ]
        if pairs:
            op.attributes[name] = ArrayAttr(pairs)


def _last(block: Block) -> Operation:
    assert block.last_op is not None
    return block.last_op


def _symbols(kind: Attribute) -> set[str]:
    return set[str]().union(*map(symbols_of, dims_of(kind) or ()))


def _is_plain(kind: TensorType) -> bool:
    return not hasattr(kind.encoding, "dims")


def is_small(kind: Attribute) -> bool:
    """Whether contents are kept of tensors of this type."""
    if not isinstance(kind, TensorType):
        return False
    count = 1
    for size in kind.get_shape():
        count *= size
        if size < 0 or count > CONTENT_ELEMENTS:
            return False
    return dtype_of(kind) in CONTENT_TYPES


def _nameable(kind: Attribute) -> int | None:
    """How many elements a 32- or 64-bit integer scalar or short vector has, else None."""
    if not isinstance(kind, TensorType) or not isinstance(kind.element_type, IntegerType):
        return None
    shape = kind.get_shape()
    count = shape[0] if shape else 1
    wide = kind.element_type.width.data >= 32
    return count if wide and len(shape) <= 1 and 0 < count <= NAMED_ELEMENTS else None


def _is_symbolic(content: np.ndarray) -> bool:
    """Whether all elements are integers, and at least one is symbolic."""
    if content.dtype != object or not all(isinstance(e, int | DimExpr) for e in content.flat):
        return False
    return any(isinstance(entry, DimExpr) for entry in content.flat)


def _texts(content: np.ndarray) -> ArrayAttr[StringAttr]:
    return ArrayAttr([StringAttr(str(entry)) for entry in content.flat])


def _values(function: FuncOp) -> Iterator[SSAValue]:
    """Every argument and result within a function."""
    for op in function.walk():
        for region in op.regions:
            for block in region.blocks:
                yield from block.args
        yield from op.results


def _inline(op: Operation, region: Region) -> Operation | None:
    """Puts a region's operations in the place of ``op``; gives the first of them."""
    block, outer = region.block, op.parent
    assert outer is not None
    last = _last(block)
    yielded = list(last.operands)
    block.erase_op(last)
    moved = list(block.ops)
    for inner in moved:
        inner.detach()
        outer.insert_op_before(inner, op)
    for result, value in zip(op.results, yielded, strict=True):
        replace_value(result, value)
    following = op.next_op
    outer.erase_op(op)
    return moved[0] if moved else following


def _write_symbols_op(value: SSAValue, content: np.ndarray) -> None:
    made = Symbols.create(operands=[value], properties={"symbols": _texts(content)})
    owner = value.owner
    if isinstance(owner, Block):
        first = owner.first_op
        assert first is not None
        owner.insert_op_before(made, first)
        return
    made.location = owner.location
    assert owner.parent is not None
    owner.parent.insert_op_after(made, owner)
