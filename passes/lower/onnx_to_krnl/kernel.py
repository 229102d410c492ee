"""Emission of one dispatch as one kernel: from its outputs inwards, index by index.

A `Kernel` holds everything that rules need: nests of loops, reads of any value of the dispatch at
any index (which emits whatever computes that element, once in a scope), and the place where a root
gives its elements, from which the operators behind it are computed and stored.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects import func
from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    ArrayAttr,
    FunctionType,
    MemRefType,
    StringAttr,
    UnitAttr,
)
from xdsl.ir import Attribute, Operation, Region, SSAValue

from dialects import arith
from dialects.onnx.constants import single_element
from dialects.onnx.dims import SIGNED_PREFIX, Dim
from dialects.onnx.locations import fuse_locations, place_of
from dialects.onnx.ops import Const, OnnxOp
from dialects.onnx.types import dims_of, element_type_of, is_none, layout_of, panel_of
from passes.lower.index import Affine, Var, affine
from passes.lower.onnx_to_krnl.emitter import Emitter, index
from passes.lower.onnx_to_krnl.layout import Layout
from passes.lower.onnx_to_krnl.registry import CHAINS, FRAMES, MAPS, POINTWISE, ROOTS, key_of
from passes.lower.onnx_to_krnl.scalars import (
    Scalar,
    storage_type,
)
from passes.lower.onnx_to_krnl.views import SHAPES
from runtime.errors import InternalError, UnsupportedError


def layout_of_value(value: SSAValue) -> Layout:
    """The layout of a tensor's buffer, from its type."""
    dims = dims_of(value.type)
    assert dims is not None
    order = layout_of(value.type)
    return Layout.row_major(len(dims)) if order is None else Layout(order, panel_of(value.type))


class Kernel(Emitter):
    """The kernel of a dispatch, while it is being emitted."""

    def __init__(
        self,
        dispatch: func.FuncOp,
        dims: dict[SSAValue, tuple[Dim, ...]] | None = None,
        cache_bytes: int = 524_288,
    ) -> None:
        super().__init__()
        body = dispatch.body.block
        returned = body.last_op
        assert isinstance(returned, func.ReturnOp)
        self.dispatch = dispatch
        self.inputs = tuple(body.args)
        self.outputs = tuple(returned.arguments)
        self.ops = [op for op in body.ops if isinstance(op, OnnxOp)]
        self.dims_override = dims or {}
        self.cache_bytes = cache_bytes
        self.root: OnnxOp | None = None
        self.bound: dict[SSAValue, Scalar] = {}
        self.buffers: dict[SSAValue, SSAValue] = {}
        self._arguments()

    # Setting up -----------------------------------------------------------------------------

    def _arguments(self) -> None:
        for number, value in enumerate(self.inputs):
            self._buffer(value, value.name_hint or f"in{number}")
        self.output_buffers = [
            self._buffer_argument(value, f"out{number}")
            for number, value in enumerate(self.outputs)
        ]
        for name in self._symbol_names():
            argument = self.top.insert_arg(index, len(self.top.args))
            argument.name_hint = name
            lowest = None if name.startswith(SIGNED_PREFIX) else 0
            self.symbols[name] = affine(Var(argument, lowest))

    def _symbol_names(self) -> list[str]:
        names = self.dispatch.attributes.get("onnx.symbols")
        return [entry.data for entry in names] if isinstance(names, ArrayAttr) else []

    def _buffer(self, value: SSAValue, name: str) -> None:
        self.buffers[value] = self._buffer_argument(value, name)

    def _buffer_argument(self, value: SSAValue, name: str) -> SSAValue:
        argument = self.top.insert_arg(self.memref_type(value), len(self.top.args))
        argument.name_hint = name
        return argument

    def memref_type(self, value: SSAValue) -> MemRefType:
        """The buffer type of a tensor."""
        dims = self.layout(value).buffer_dims(self.dims(value))
        shape = [dim if isinstance(dim, int) else DYNAMIC_INDEX for dim in dims]
        return MemRefType(storage_type(self.element(value)), shape)

    def finish(self, name: str) -> func.FuncOp:
        """The finished kernel."""
        self.block = self.top
        self.top.add_op(func.ReturnOp())
        location = fuse_locations([op.location for op in self.ops])
        return func.FuncOp.create(
            properties={
                "sym_name": StringAttr(name),
                "function_type": FunctionType.from_lists([a.type for a in self.top.args], []),
            },
            attributes={"krnl.kernel": UnitAttr()},
            regions=[Region(self.top)],
            location=location,
        )

    # What is known of values ----------------------------------------------------------------

    def dims(self, value: SSAValue) -> tuple[Dim, ...]:
        """Sizes of a tensor."""
        found = self.dims_override.get(value)
        if found is None:
            found = dims_of(value.type)
        if found is None:
            raise InternalError("a tensor of unknown rank reached emission")
        return found

    def element(self, value: SSAValue) -> Attribute:
        """ONNX element type of a tensor."""
        return element_type_of(value.type)

    def layout(self, value: SSAValue) -> Layout:
        """Layout of a tensor's buffer."""
        if value in self.dims_override:
            return Layout.row_major(len(self.dims_override[value]))
        return layout_of_value(value)

    def result_layout(self, result: SSAValue) -> Layout:
        """The layout in which a root's result is stored: an output's, where one takes each element.

        Behind a root that computes elements one by one, loops best go in that order. Elements of
        one in order of rows stand in that order under another shape, too.
        """
        dims = self.dims(result)
        for output in self.outputs:
            layout = self.layout(output)
            if not layout.panel and self.dims(output) == dims:
                return layout
            if layout == Layout.row_major(len(layout.order)) and self._is_reshaped(output, result):
                return Layout.row_major(len(dims))
        return self.layout(result)

    def _is_reshaped(self, output: SSAValue, result: SSAValue) -> bool:
        """Whether an output is a root's result under another shape."""
        while output is not result:
            op = output.owner
            if not isinstance(op, OnnxOp) or op.DOMAIN or op.OP_TYPE not in SHAPES:
                return False
            output = op.operands[0]
        return True

    def place(self, value: SSAValue, entries: Sequence[Affine]) -> list[Affine]:
        """Where an element of a tensor stands in its buffer."""
        return self.layout(value).place(entries, self.dims(value))

    # Values of the dispatch -----------------------------------------------------------------

    def read(self, value: SSAValue, entries: Sequence[Affine]) -> Scalar:
        """An element of any value of the dispatch; computed where it is not stored."""
        if value in self.bound:
            return self.bound[value]
        key = (value, tuple(entries))
        for scope in reversed(self.scopes):
            if key in scope:
                return scope[key]
        if value in self.buffers:
            at = self.place(value, entries)
            scalar = self.load(self.buffers[value], at, self.element(value))
        else:
            scalar = self._compute(value, entries)
        self.scopes[-1][key] = scalar
        return scalar

    def _compute(self, value: SSAValue, entries: Sequence[Affine]) -> Scalar:
        op = value.owner
        assert isinstance(op, Operation)
        if isinstance(op, Const):
            return self._constant(op)
        assert isinstance(op, OnnxOp)
        before, self.location = self.location, op.location
        key = key_of(op)
        if key in POINTWISE:
            result = POINTWISE[key](self.s, op, self._operands_at(op, entries))
        elif key in MAPS:
            result = MAPS[key].read(self, op, op.results.index(value), entries)
        else:
            raise InternalError(f"{op.name} cannot be read element by element")
        self.location = before
        return result

    def _operands_at(self, op: OnnxOp, entries: Sequence[Affine]) -> list[Scalar | None]:
        return [
            None if is_none(operand) else self.read(operand, self.broadcast(operand, op, entries))
            for operand in op.operands
        ]

    def broadcast(self, operand: SSAValue, op: OnnxOp, entries: Sequence[Affine]) -> list[Affine]:
        """Indices of the operand's element that meets the result's element at ``entries``."""
        dims, result = self.dims(operand), self.dims(op.results[0])
        skipped = len(result) - len(dims)
        return [
            self._broadcast_entry(entries[skipped + axis], dim, result[skipped + axis])
            for axis, dim in enumerate(dims)
        ]

    def _broadcast_entry(self, entry: Affine, dim: Dim, result: Dim) -> Affine:
        if dim == 1:
            return affine(0)
        if dim == result or isinstance(dim, int):
            return entry
        # Which of two unlike symbolic sizes is the 1 shows at run time only.
        single = self.compare_index("eq", self.size(dim), affine(1))
        values = [self.index_value(affine(0)), self.index_value(entry)]
        made = arith.SelectOp.create(operands=[single.value, *values], result_types=[index])
        return affine(Var(self.add(made), *entry.range))

    def _constant(self, op: Const) -> Scalar:
        return self.s.const(single_element(op), self.element(op.result))

    # Results --------------------------------------------------------------------------------

    def emit(self) -> None:
        """Emits the whole dispatch."""
        roots: list[OnnxOp] = []
        for op in self.ops:
            key = key_of(op)
            if key in ROOTS and not (roots and key in FRAMES):
                roots.append(op)
        if not roots:
            self._emit_pure()
            return
        self.root = roots[-1]
        self.location = self.root.location
        if len(roots) == 1:
            ROOTS[_key(self.root)].emit(self, self.root)
        else:
            CHAINS[tuple(op.OP_TYPE for op in roots)](self, *roots)
        self._emit_frames()

    def _emit_frames(self) -> None:
        """Fills what stands around the root's results in outputs that frame them."""
        for output in self.outputs:
            frame = self._frame(output)
            if frame is not None:
                self.location = frame.location
                FRAMES[_key(frame)].surround(self, frame)

    def _frame(self, output: SSAValue) -> OnnxOp | None:
        """The operation that frames an output behind the root."""
        op = output.owner
        if isinstance(op, OnnxOp) and op is not self.root and key_of(op) in FRAMES:
            return op
        return None

    def _emit_pure(self) -> None:
        """Without a root: a nest over all outputs of one shape, in the order of their buffers."""
        alike: dict[tuple[tuple[Dim, ...], Layout], list[tuple[SSAValue, SSAValue]]] = {}
        for output, buffer in zip(self.outputs, self.output_buffers, strict=True):
            shape = (self.dims(output), self.layout(output))
            alike.setdefault(shape, []).append((output, buffer))
        for (dims, layout), pairs in alike.items():
            first = pairs[0][0].owner
            assert isinstance(first, Operation)
            self.location = first.location

            def body(
                ivs: list[Affine],
                pairs: list[tuple[SSAValue, SSAValue]] = pairs,
                layout: Layout = layout,
            ) -> None:
                entries = self.logical(layout, ivs)
                for output, buffer in pairs:
                    self._store_output(output, buffer, entries)

            self.nest([dims[axis] for axis in layout.loop_order], body)

    def logical(self, layout: Layout, ivs: Sequence[Affine]) -> list[Affine]:
        """Loop variables in a buffer's order as logical indices."""
        entries = [affine(0)] * len(ivs)
        for axis, iv in zip(layout.loop_order, ivs, strict=True):
            entries[axis] = iv
        return entries

    def give(self, result: SSAValue, entries: Sequence[Affine], scalar: Scalar) -> None:
        """A root's element: computes what is fused behind it and stores the outputs."""
        self.scopes.append({})
        self.bound[result] = scalar
        for output, buffer in zip(self.outputs, self.output_buffers, strict=True):
            frame = self._frame(output)
            value = output if frame is None else frame.operands[0]
            at = self.forward(value, result, entries)
            if at is not None:
                self._store_output(value, buffer, at, frame)
        del self.bound[result]
        self.scopes.pop()

    def _store_output(
        self, value: SSAValue, buffer: SSAValue, entries: list[Affine], frame: OnnxOp | None = None
    ) -> None:
        """Stores an element of an output, or of a value that ``frame`` puts something around."""
        scalar, place = self.read(value, entries), self.place(value, entries)
        if frame is not None:
            inside = FRAMES[_key(frame)].place(self, frame, self.separate(value, entries))
            place = self.place(frame.results[0], inside)
        self.store(scalar, buffer, place)

    def separate(self, value: SSAValue, entries: Sequence[Affine]) -> list[Affine]:
        """Indices along a tensor's own axes where its outer ones are joined (`collapse.py`)."""
        if value not in self.dims_override:
            return list(entries)
        return self.row_entries(value, *entries)

    def row_entries(self, value: SSAValue, row: Affine, column: Affine) -> list[Affine]:
        """Where a column of a row stands, rows being counted as they lie in memory.

        Columns lie along the innermost axis of the tensor's layout.
        """
        dims = dims_of(value.type) or ()
        *outer, innermost = layout_of_value(value).order
        own = [affine(0)] * len(dims)
        own[innermost] = column
        long = [axis for axis in outer if dims[axis] != 1]
        entries = self.divide_along(row, [dims[axis] for axis in long])
        for axis, entry in zip(long, entries, strict=True):
            own[axis] = entry
        return own

    def read_output(self, output: SSAValue, entries: Sequence[Affine]) -> Scalar:
        """An element that this kernel wrote into one of its outputs."""
        buffer = self.output_buffers[self.outputs.index(output)]
        return self.load(buffer, self.place(output, entries), self.element(output))

    def write_output(self, output: SSAValue, entries: Sequence[Affine], scalar: Scalar) -> None:
        """Writes an element of an output, nothing being fused behind it."""
        buffer = self.output_buffers[self.outputs.index(output)]
        self.store(scalar, buffer, self.place(output, entries))

    def forward(
        self, output: SSAValue, result: SSAValue, entries: Sequence[Affine]
    ) -> list[Affine] | None:
        """Where in an output the element of a root's result ends up; None if it does not."""
        if output is result:
            return list(entries)
        op = output.owner
        if not isinstance(op, OnnxOp) or output in self.buffers:
            return None
        key = key_of(op)
        if key in MAPS:
            before = self.forward(op.operands[0], result, entries)
            rule = MAPS[key].forward
            if before is None:
                return None
            if rule is None:
                raise InternalError(f"{op.name} is fused behind a root but is no bijection")
            return rule(self, op, before)
        if key not in POINTWISE:
            return None
        for operand in op.operands:
            found = None if is_none(operand) else self.forward(operand, result, entries)
            if found is not None:
                missing = len(self.dims(output)) - len(found)
                return [affine(0)] * missing + found
        return None

    def unsupported(self, op: OnnxOp, reason: str, hint: str = "") -> UnsupportedError:
        """An error about an operation, to be raised by its rule."""
        return UnsupportedError(reason, place_of(op.location, "krnl"), hint)


def _key(op: OnnxOp) -> tuple[str, str]:
    key = key_of(op)
    assert key is not None
    return key
