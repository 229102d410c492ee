"""The host program: what stands around the dispatches of `@main`.

One walk over the function: constants, views, dispatches and control flow become `hal` operations on
buffers. Results that are computed go straight into the caller's memory where their sizes are known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from xdsl.dialects import func
from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    ArrayAttr,
    DictionaryAttr,
    IntegerAttr,
    MemRefType,
    StringAttr,
    UnitAttr,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from dialects import hal
from dialects.hal import size_strings
from dialects.onnx import ops
from dialects.onnx.constants import ConstantPool, array_of, dense_attribute, release_pages
from dialects.onnx.dims import Dim, maximum, parse_dim, substitute, symbols_of
from dialects.onnx.locations import place_of
from dialects.onnx.ops import Const, NoValue, OnnxOp
from dialects.onnx.types import dims_of, element_type_of, is_none, is_tensor
from passes.lower.onnx_to_krnl.collapse import collapsed_dims
from passes.lower.onnx_to_krnl.kernel import layout_of_value
from passes.lower.onnx_to_krnl.registry import HOST, key_of
from passes.lower.onnx_to_krnl.scalars import storage_type
from passes.lower.onnx_to_krnl.views import is_view
from passes.onnx.selections import selections_of
from runtime.errors import UnsupportedError


@dataclass(frozen=True)
class Place:
    """Memory that control flow keeps for a result; ``later``: of a size that is not known yet."""

    buffer: SSAValue
    later: bool


class ProgramBuilder:
    """Builds the host program of a function."""

    def __init__(
        self, main: func.FuncOp, pool: ConstantPool, dispatches: Mapping[str, func.FuncOp]
    ) -> None:
        self.main = main
        self.pool = pool
        self.dispatches = dispatches
        self.block = self.top = Block()
        self.buffers: dict[SSAValue, SSAValue] = {}
        self.known: set[str] = set()
        self.early: set[str] = set()
        self.destinations: dict[SSAValue, tuple[int, SSAValue]] = {}
        self.places: dict[SSAValue, Place] = {}
        self.symbols_made = 0
        self.constants: dict[tuple[Attribute, Attribute], SSAValue] = {}

    def build(self) -> hal.ProgramOp:
        """The program, in place of the function."""
        body = self.main.body.block
        program = self.top
        self._inputs()
        self.assume(self.main)
        self._plan_outputs(body)
        self.run(body)
        self._finish(body)
        made = hal.ProgramOp(
            self._signature(body.args, self._names("arg_attrs", len(body.args))),
            self._signature(
                body.last_op.operands,  # type: ignore[union-attr]
                self._names("res_attrs", len(body.last_op.operands)),  # type: ignore[union-attr]
            ),
            Region(program),
        )
        made.location = self.main.location
        return made

    def _names(self, key: str, count: int) -> list[str]:
        entries = self.main.properties.get(key)
        names: list[str] = []
        for number in range(count):
            entry = entries.data[number] if isinstance(entries, ArrayAttr) else None
            name = entry.data.get("onnx.name") if isinstance(entry, DictionaryAttr) else None
            names.append(name.data if isinstance(name, StringAttr) else f"{key[:3]}{number}")
        return names

    def _signature(self, values: Sequence[SSAValue], names: list[str]) -> ArrayAttr:
        return ArrayAttr(
            [
                DictionaryAttr(
                    {
                        "name": StringAttr(name),
                        "element": element_type_of(value.type),
                        "dims": size_strings(dims_of(value.type) or ()),
                    }
                )
                for value, name in zip(values, names, strict=True)
            ]
        )

    # Buffers --------------------------------------------------------------------------------

    def add(self, op: Operation) -> SSAValue | None:
        """Appends an operation of the program."""
        self.block.add_op(op)
        return op.results[0] if op.results else None

    def memref_type(self, value: SSAValue) -> tuple[MemRefType, list[Dim]]:
        """The buffer type of a tensor, and the sizes of its dynamic dimensions."""
        dims = dims_of(value.type)
        if dims is None:
            raise self.unsupported(value, "a tensor of unknown rank cannot be lowered")
        physical = layout_of_value(value).buffer_dims(dims)
        shape = [d if isinstance(d, int) else DYNAMIC_INDEX for d in physical]
        element = storage_type(element_type_of(value.type))
        return MemRefType(element, shape), [d for d in physical if not isinstance(d, int)]

    def unsupported(self, value: SSAValue, message: str) -> UnsupportedError:
        """An error about a value's producer."""
        owner = value.owner
        place = place_of(owner.location, "krnl") if isinstance(owner, Operation) else None
        return UnsupportedError(message, place, "give fixed sizes with --dim, or check the model")

    def _inputs(self) -> None:
        for number, argument in enumerate(self.main.body.block.args):
            kind, dims = self.memref_type(argument)
            for dim in dims:
                self.known |= symbols_of(dim)
            op = hal.InputOp.create(
                properties={"index": hal.number(number), "dims": size_strings(dims)},
                result_types=[kind],
            )
            self.bind(argument, self.add(op))
            op.results[0].name_hint = argument.name_hint
        self.early = set(self.known)

    def bind(self, value: SSAValue, buffer: SSAValue | None) -> None:
        """Makes a buffer stand for a tensor."""
        assert buffer is not None
        self.buffers[value] = buffer

    def alloc(self, value: SSAValue) -> SSAValue:
        """A buffer for a tensor that is about to be computed."""
        if (place := self.places.pop(value, None)) is not None:
            return self.enter(value, place)
        kind, dims = self.memref_type(value)
        number, result = self.destinations.get(value, (None, value))
        seen, sizes = self.memref_type(result)
        if number is not None and self.is_early(dims) and self.is_early(sizes):
            del self.destinations[value]
            buffer = self.output(number, seen, sizes)
            buffer.name_hint = result.name_hint
            buffer = self.as_type(buffer, kind, dims)
        else:
            op = hal.AllocOp.create(properties={"dims": size_strings(dims)}, result_types=[kind])
            self.add(op)
            buffer = op.result
            buffer.name_hint = value.name_hint
        self.bind(value, buffer)
        return buffer

    def output(self, number: int, kind: MemRefType, dims: list[Dim]) -> SSAValue:
        """The caller's memory for a result."""
        op = hal.OutputOp.create(
            properties={"index": hal.number(number), "dims": size_strings(dims)},
            result_types=[kind],
        )
        self.add(op)
        return op.result

    def enter(self, value: SSAValue, place: Place) -> SSAValue:
        """Makes a place that control flow keeps the buffer of a tensor."""
        kind, dims = self.memref_type(value)
        if place.later:
            self.add(hal.ReserveOp(place.buffer, dims_of(value.type) or ()))
        buffer = self.as_type(place.buffer, kind, dims)
        self.bind(value, buffer)
        return buffer

    def is_early(self, dims: list[Dim]) -> bool:
        """Whether sizes follow from the inputs' sizes alone."""
        return all(symbols_of(dim) <= self.early for dim in dims)

    def buffer(self, value: SSAValue) -> SSAValue:
        """The buffer of a tensor; constants come in when they are first needed."""
        if value not in self.buffers:
            owner = value.owner
            assert isinstance(owner, Const), owner
            return self._constant(owner)
        return self.buffers[value]

    def _constant(self, op: Const) -> SSAValue:
        layout = layout_of_value(op.result)
        kind, _ = self.memref_type(op.result)
        key = (op.value, op.result.type)
        if key in self.constants:
            return self.constants[key]
        value = op.value
        if not layout.is_row_major:
            array = array_of(op.value, _row_major_type(op.result), self.pool)
            value = dense_attribute(layout.arrange(array), self.pool, "packed")
            release_pages(array)
        properties = {"value": value}
        if self._is_selected_from(op.result):
            properties["selected"] = UnitAttr()
        constant = hal.ConstantOp.create(properties=properties, result_types=[kind])
        constant.location = op.location
        first = self.top.first_op
        if first is None:
            self.top.add_op(constant)
        else:
            self.top.insert_op_before(constant, first)
        self.constants[key] = constant.result
        return constant.result

    def _is_selected_from(self, value: SSAValue) -> bool:
        """Whether dispatches read parts of a tensor alone."""
        for use in value.uses:
            if not isinstance(use.operation, ops.Dispatch):
                return False
            function = self.dispatches[use.operation.callee.string_value()]
            if not selections_of(function.body.block.args[use.index]):
                return False
        return True

    def view(self, value: SSAValue, source: SSAValue) -> None:
        """Makes a tensor the bytes of another buffer."""
        kind, dims = self.memref_type(value)
        self.bind(value, self.as_type(self.buffer(source), kind, dims))

    def as_type(self, buffer: SSAValue, kind: MemRefType, dims: list[Dim]) -> SSAValue:
        """A buffer under another type and other sizes, if it has not these."""
        if buffer.type == kind and hal.buffer_sizes(buffer) == dims:
            return buffer
        return self.view_of(buffer, kind, dims)

    def view_of(
        self, buffer: SSAValue, kind: MemRefType, dims: list[Dim], offset: Dim = 0
    ) -> SSAValue:
        """The bytes of a buffer, from ``offset`` on, under another type."""
        properties: dict[str, Attribute] = {"dims": size_strings(dims)}
        if offset != 0:
            properties["offset"] = StringAttr(str(offset))
        op = hal.ViewOp.create(operands=[buffer], properties=properties, result_types=[kind])
        self.add(op)
        return op.result

    # Results --------------------------------------------------------------------------------

    def _plan_outputs(self, body: Block) -> None:
        """Which values are computed straight into the caller's memory."""
        assert body.last_op is not None
        for number, value in enumerate(body.last_op.operands):
            source = value
            while isinstance(source.owner, Operation) and is_view(source.owner):
                source = source.owner.operands[0]
            owner = source.owner
            computed = isinstance(owner, ops.Dispatch) or (
                isinstance(owner, Operation) and key_of(owner) in HOST and source is value
            )
            if computed and source not in self.destinations:
                self.destinations[source] = number, value

    def _finish(self, body: Block) -> None:
        """Copies or hands over the results that are not where the caller wants them."""
        assert body.last_op is not None
        for number, value in enumerate(body.last_op.operands):
            buffer = self.buffer(value)
            owner = hal.whole_of(buffer).owner
            if isinstance(owner, hal.OutputOp) and owner.index.value.data == number:
                continue
            kind, dims = self.memref_type(value)
            if self.is_early(dims):
                self.add(hal.CopyOp(buffer, self.output(number, kind, dims)))
            else:
                self.add(hal.GiveOp(buffer, number, size_strings(dims)))

    # The walk -------------------------------------------------------------------------------

    def run(self, body: Block) -> None:
        """Lowers the operations of a block."""
        for op in body.ops:
            if isinstance(op, Const | NoValue | func.ReturnOp | ops.Yield):
                continue
            # No kernel may run on sizes that do not fit each other.
            later = self.assume(op)
            if isinstance(op, ops.Dispatch):
                self._dispatch(op)
            elif isinstance(op, ops.Symbols):
                self._symbols(op)
            elif isinstance(op, ops.CheckRange):
                check = hal.CheckRangeOp(self.buffer(op.range), op.sizes)
                check.location = op.location
                self.add(check)
            elif isinstance(op, ops.CheckCondition):
                self._check_condition(op)
            elif isinstance(op, OnnxOp) and (key := key_of(op)) is not None and key in HOST:
                HOST[key](self, op)
            elif isinstance(op, OnnxOp) and is_view(op):
                self.view(op.results[0], op.operands[0])
            else:
                raise UnsupportedError(
                    "this operator has no lowering", place_of(op.location, "krnl")
                )
            for check in later:
                self.add(check)

    def _dispatch(self, op: ops.Dispatch) -> None:
        reads = [self.buffer(v) for v in op.inputs if is_tensor(v.type)]
        writes = [self.alloc(result) for result in op.results]
        sizes = hal.sizes_of(op.symbols)
        callee = op.callee.root_reference.data
        reads, writes = self._as_kernel_sees(self.dispatches[callee], sizes, reads, writes)
        made = hal.DispatchOp(callee, reads, writes, sizes)
        made.location = op.location
        self.add(made)

    def _as_kernel_sees(
        self,
        dispatch: func.FuncOp,
        sizes: list[Dim],
        reads: list[SSAValue],
        writes: list[SSAValue],
    ) -> tuple[list[SSAValue], list[SSAValue]]:
        """Buffers whose axes the kernel joins, in the shape that it gives them."""
        joined = collapsed_dims(dispatch)
        if not joined:
            return reads, writes
        names = hal.sizes_of(dispatch.attributes.get("onnx.symbols"))
        values = {str(name): size for name, size in zip(names, sizes, strict=True)}
        block = dispatch.body.block
        assert block.last_op is not None
        tensors = [value for value in block.args if is_tensor(value.type)]

        def seen(value: SSAValue, buffer: SSAValue) -> SSAValue:
            if value not in joined:
                return buffer
            dims = [substitute(dim, values) for dim in joined[value] if dim != 1]
            shape = [dim if isinstance(dim, int) else DYNAMIC_INDEX for dim in dims]
            kind = MemRefType(storage_type(element_type_of(value.type)), shape)
            return self.as_type(buffer, kind, [dim for dim in dims if not isinstance(dim, int)])

        return (
            [seen(*pair) for pair in zip(tensors, reads, strict=True)],
            [seen(*pair) for pair in zip(block.last_op.operands, writes, strict=True)],
        )

    def _symbols(self, op: ops.Symbols) -> None:
        names = [entry.data for entry in op.symbols]
        made = hal.SymbolsOp(self.buffer(op.tensor), op.symbols)
        made.location = op.location
        self.add(made)
        self.known |= set(names)

    def _check_condition(self, op: ops.CheckCondition) -> None:
        """A check of a boolean, unless it is one of sizes that `assume` has made."""
        if is_none(op.condition):
            return
        self.symbols_made += 1
        name = f"condition__{self.symbols_made}"
        self.add(hal.SymbolsOp(self.buffer(op.condition), ArrayAttr([StringAttr(name)])))
        self.known.add(name)
        properties = {
            "lhs": StringAttr(name),
            "rhs": StringAttr(str(op.expected.value.data & 1)),
            "message": op.reason,
        }
        self.add(hal.CheckOp.create(properties=properties, location=op.location))

    def assume(self, op: Operation) -> list[hal.CheckOp]:
        """Checks of sizes that must agree, where shape inference could not prove it.

        Gives the checks of sizes that the operation itself defines.
        """
        later: list[hal.CheckOp] = []
        for key, broadcast in (("onnx.assume", False), ("onnx.assume_broadcast", True)):
            pairs = op.attributes.get(key)
            for pair in pairs if isinstance(pairs, ArrayAttr) else ():
                assert isinstance(pair, ArrayAttr)
                check = _check(pair, broadcast, op)
                if all(symbols_of(dim) <= self.known for dim in hal.sizes_of(pair)):
                    self.add(check)
                else:
                    later.append(check)
        return later

    @contextmanager
    def region(self) -> Iterator[Region]:
        """Operations go into a region; what sizes it defines is forgotten behind it."""
        outside, known = self.block, set(self.known)
        self.block = Block()
        yield Region(self.block)
        self.block, self.known = outside, known


def _check(pair: ArrayAttr, broadcast: bool, op: Operation) -> hal.CheckOp:
    lhs, rhs = (entry.data for entry in pair)  # type: ignore[attr-defined]
    text = f"sizes {lhs} = {{0}} and {rhs} = {{1}} must be equal"
    if lhs == str(maximum(parse_dim(rhs), 0)):
        text = f"the size {rhs} = {{1}} is negative"
    properties: dict[str, Attribute] = {
        "lhs": StringAttr(lhs),
        "rhs": StringAttr(rhs),
        "message": StringAttr(text),
    }
    if broadcast:
        properties["broadcast"] = IntegerAttr(1, 1)
    return hal.CheckOp.create(properties=properties, location=op.location)


def _row_major_type(value: SSAValue) -> Attribute:
    from dialects.onnx.types import tensor_type

    return tensor_type(element_type_of(value.type), dims_of(value.type))
