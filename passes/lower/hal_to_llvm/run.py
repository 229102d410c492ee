"""`@terrace_run`: buffers, kernels, checks and control flow of the host program."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    IntegerAttr,
    IntegerType,
    MemRefType,
    StringAttr,
    i1,
    i8,
    i32,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, SSAValue

from dialects import hal, llvm
from dialects.hal import sizes_of
from dialects.onnx.dims import Dim, parse_dim, product, symbols_of
from passes.hal.plan_memory import ALIGNMENT, byte_size
from passes.lower.affine_to_llvm.builder import new_block
from passes.lower.affine_to_llvm.index import Index
from passes.lower.affine_to_llvm.memory import access_properties
from passes.lower.affine_to_llvm.module import (
    ModuleLowering,
    call,
    llvm_function,
)
from passes.lower.affine_to_llvm.types import PTR
from passes.lower.hal_to_llvm.sizes import Sizes, message, plain_symbol
from runtime.errors import InternalError

DETAILS_OFFSET, TRACE_OFFSET, HEAP_OFFSET = 24, 72, 80
"""Bytes before `details`, `trace` and `heap` in the run's context."""

TRACE_CLOCK, TRACE_EVENTS, EVENT_BYTES = 16, 24, 24
"""Bytes before the clock and the first event of a trace; bytes of an event."""


class Run(Sizes):
    """`@terrace_run`: the host program itself."""

    def __init__(
        self, module: ModuleLowering, program: hal.ProgramOp, messages: list[Attribute]
    ) -> None:
        super().__init__(module, program, "terrace_run")
        self.messages = messages
        self.constants: list[hal.ConstantOp] = []
        self.pointers: dict[SSAValue, SSAValue] = {}
        self.dims: dict[SSAValue, list[Dim]] = {}
        self.heap: dict[SSAValue, tuple[SSAValue, SSAValue]] = {}
        """Of buffers on the heap: where their address and their size in bytes stand."""
        self.externals: set[str] = set()
        self.exit = new_block([i64])
        self.has_plan = False

    def lower(self) -> llvm.FuncOp:
        """The function."""
        names = ("inputs", "outputs", "constants", "arena", "dims_in", "dims_out", "context")
        arguments = {name: self.argument(PTR) for name in names}
        for name, argument in arguments.items():
            argument.name_hint = name
        self.arguments = arguments
        self.low.context = arguments["context"]
        self.bind_inputs(arguments["dims_in"])
        self.has_plan = self.is_dynamic or any(
            symbols_of(dim)
            for entry in self.program.outputs
            for dim in sizes_of(entry.data["dims"])  # type: ignore[attr-defined]
        )
        self._cells(self.program.body.block)
        self.body(self.program.body.block)
        self.b.branch(self.exit, (self.b.integer(0),))
        self._leave()
        self.b.finish()
        kind = llvm.LLVMFunctionType([PTR] * len(names), i64)
        return llvm_function("terrace_run", kind, self.low.region, scalar=True)

    def _leave(self) -> None:
        """Returns the status. What is on the heap stays there, for the next run."""
        self.b.start(self.exit)
        self.b.emit(llvm.ReturnOp, (self.exit.args[0],))

    def _free(self, cell: SSAValue) -> None:
        self.externals.add("free")
        old = self.b.value(llvm.LoadOp, (cell,), PTR, access_properties(i64))
        call(self.low, "free", [old], [])

    def _cells(self, block: Block) -> None:
        """Memory for symbols and heap buffers, which control flow may set in several places."""
        table = None
        for op in block.walk():
            names: Sequence[StringAttr] = ()
            if isinstance(op, hal.SymbolsOp | hal.BindOp):
                names = list(op.symbols)
            for entry in names:
                name = plain_symbol(parse_dim(entry.data))
                if name is not None and name not in self.symbols and name not in self.cells:
                    self.cells[name] = self._cell()
            if isinstance(op, hal.AllocOp) and op.offset is None:
                if table is None:
                    table = self.load_slot(self.arguments["context"], HEAP_OFFSET // 8, PTR)
                slot = 2 * len(self.heap)
                cells = [self.b.address(table, place, i64) for place in (slot, slot + 1)]
                self.heap[op.result] = cells[0], cells[1]

    def _cell(self) -> SSAValue:
        made = llvm.AllocaOp(self.b.integer(1), i64, 8)
        self.b.block.add_op(made)
        zero = self.b.integer(0)
        self.b.emit(llvm.StoreOp, (zero, made.results[0]), (), access_properties(i64))
        return made.results[0]

    def body(self, block: Block) -> None:
        """Lowers the operations of a block."""
        for op in block.ops:
            self.b.location = op.location
            rule = _RULES.get(type(op))
            if rule is None:
                raise InternalError(f"{op.name} cannot stand in a host program")
            rule(self, op)

    # Buffers --------------------------------------------------------------------------------

    def _define(self, buffer: SSAValue, pointer: SSAValue, dims: list[Dim]) -> None:
        self.pointers[buffer] = pointer
        self.dims[buffer] = dims

    def pointer(self, buffer: SSAValue) -> SSAValue:
        """The address of a buffer."""
        if buffer in self.heap:
            return self.b.value(llvm.LoadOp, (self.heap[buffer][0],), PTR, access_properties(i64))
        owner = buffer.owner
        if isinstance(owner, hal.ViewOp):
            base = self.pointer(owner.source)
            if owner.offset is None:
                return base
            return self.b.address(base, self.size(parse_dim(owner.offset.data)), i8)
        return self.pointers[buffer]

    def bytes(self, buffer: SSAValue) -> Index:
        """The size of a buffer in bytes, rounded up to the alignment."""
        kind = buffer.type
        assert isinstance(kind, MemRefType)
        return self.size(byte_size(kind, self.dims[buffer]))

    def input(self, op: hal.InputOp) -> None:
        """The address of an argument."""
        pointer = self.load_slot(self.arguments["inputs"], op.index.value.data, PTR)
        self._define(op.result, pointer, sizes_of(op.dims))

    def output(self, op: hal.OutputOp) -> None:
        """The address of a result."""
        pointer = self.load_slot(self.arguments["outputs"], op.index.value.data, PTR)
        self._define(op.result, pointer, sizes_of(op.dims))

    def constant(self, op: hal.ConstantOp) -> None:
        """The address of a constant."""
        pointer = self.load_slot(self.arguments["constants"], len(self.constants), PTR)
        self.constants.append(op)
        self._define(op.result, pointer, [])

    def alloc(self, op: hal.AllocOp) -> None:
        """A place in the arena, or memory from the heap in place of what was there before."""
        dims = sizes_of(op.dims)
        self.dims[op.result] = dims
        if op.offset is not None:
            offset = self.size(parse_dim(op.offset.data))
            self.pointers[op.result] = self.b.address(self.arguments["arena"], offset, i8)
            return
        if op.later is None:
            self._renew(op.result, self.bytes(op.result))

    def _renew(self, buffer: SSAValue, amount: Index) -> None:
        """Gives a buffer on the heap other memory, if what it has is too small."""
        needed = self.b.index(self.b.maximum(amount, 1))
        cell, size = self.heap[buffer]
        held = self.b.value(llvm.LoadOp, (size,), i64, access_properties(i64))
        grow, after = new_block(), new_block()
        self.b.branch_if(self.b.compare("slt", held, needed), (grow, ()), (after, ()))
        self.b.start(grow)
        self.b.open_scope()
        self._free(cell)
        self._hold(buffer, self._malloc(needed), needed)
        self.b.close_scope()
        self.b.branch(after)
        self.b.start(after)

    def _malloc(self, amount: Index) -> SSAValue:
        """Fresh memory, not nothing for no bytes, where vectors do not lie across cache lines."""
        self.externals.add("aligned_alloc")
        lines = self.b.ceildiv(self.b.maximum(amount, 1), ALIGNMENT)
        needed = self.b.index(self.b.mul(lines, ALIGNMENT))
        return call(self.low, "aligned_alloc", [self.b.integer(ALIGNMENT), needed], [PTR])[0]

    def _hold(self, buffer: SSAValue, memory: SSAValue, size: SSAValue) -> None:
        """Makes some memory that of a buffer on the heap."""
        for cell, value in zip(self.heap[buffer], (memory, size), strict=True):
            self._fill(cell, value)

    def _fill(self, cell: SSAValue, value: SSAValue) -> None:
        self.b.emit(llvm.StoreOp, (value, cell), (), access_properties(i64))

    def reserve(self, op: hal.ReserveOp) -> None:
        """Memory for a buffer that was only declared."""
        kind = op.buffer.type
        assert isinstance(kind, MemRefType)
        self._renew(op.buffer, self.size(product(sizes_of(op.dims)) * _element_bytes(kind)))

    def append(self, op: hal.AppendOp) -> None:
        """Copies a slice to the end; at every power of two the room doubles."""
        self.externals.add("memcpy")
        count, amount = self.size(parse_dim(op.count.data)), self._exact_bytes(op.slice)
        filled = self.b.mul(count, amount)
        less = self.b.value(
            llvm.AndOp, (self.b.index(count), self.b.index(self.b.sub(count, 1))), i64
        )
        grow, after = new_block(), new_block()
        self.b.branch_if(self.b.compare("eq", less, 0), (grow, ()), (after, ()))
        self.b.start(grow)
        self.b.open_scope()
        room = self.b.mul(self.b.maximum(self.b.mul(count, 2), 1), amount)
        fresh = self._malloc(room)
        call(self.low, "memcpy", [fresh, self.pointer(op.buffer), self.b.index(filled)], [PTR])
        self._free(self.heap[op.buffer][0])
        self._hold(op.buffer, fresh, self.b.index(room))
        self.b.close_scope()
        self.b.branch(after)
        self.b.start(after)
        target = self.b.address(self.pointer(op.buffer), filled, i8)
        call(self.low, "memcpy", [target, self.pointer(op.slice), self.b.index(amount)], [PTR])

    def swap(self, op: hal.SwapOp) -> None:
        """Exchanges two addresses, and how much room is there."""
        pairs = zip(self.heap[op.lhs], self.heap[op.rhs], (PTR, i64), strict=True)
        for lhs, rhs, kind in pairs:
            one, other = (
                self.b.value(llvm.LoadOp, (cell,), kind, access_properties(i64))
                for cell in (lhs, rhs)
            )
            self._fill(lhs, other)
            self._fill(rhs, one)

    def view(self, op: hal.ViewOp) -> None:
        """Another shape of the same address."""
        self.dims[op.result] = sizes_of(op.dims)

    def dispatch(self, op: hal.DispatchOp) -> None:
        """Calls a kernel."""
        name = op.callee.root_reference.data
        signature = self.low.module.signatures[name]
        arguments: list[SSAValue] = []
        if signature.takes_context:
            arguments.append(self.arguments["context"])
        for buffer in op.buffers:
            arguments.append(self.pointer(buffer))
            arguments += [self.b.index(self.size(dim)) for dim in self.dims[buffer]]
        arguments += [self.b.index(self.size(dim)) for dim in sizes_of(op.sizes)]
        call(self.low, name, arguments, [])

    def copy(self, op: hal.CopyOp) -> None:
        """Copies a buffer; sizes are exact, without the rounding of places."""
        self.externals.add("memcpy")
        amount = self._exact_bytes(op.source)
        addresses = [self.pointer(op.target), self.pointer(op.source)]
        call(self.low, "memcpy", [*addresses, self.b.index(amount)], [PTR])

    def clear(self, op: hal.ClearOp) -> None:
        """Zeroes a buffer."""
        self.externals.add("memset")
        amount = self.b.index(self._exact_bytes(op.buffer))
        zero = self.b.integer(0, i32)
        call(self.low, "memset", [self.pointer(op.buffer), zero, amount], [PTR])

    def _exact_bytes(self, buffer: SSAValue) -> Index:
        kind = buffer.type
        assert isinstance(kind, MemRefType)
        sizes = iter(self.dims[buffer])
        total: Index = _element_bytes(kind)
        for size in kind.get_shape():
            factor = self.size(next(sizes)) if size == DYNAMIC_INDEX else size
            total = self.b.mul(total, factor)
        return total

    # Symbols and checks ---------------------------------------------------------------------

    def define_symbols(self, op: hal.SymbolsOp) -> None:
        """Reads integers from memory."""
        kind = op.source.type
        assert isinstance(kind, MemRefType)
        element = kind.element_type
        base = self.pointer(op.source)
        for place, entry in enumerate(op.symbols):
            name = plain_symbol(parse_dim(entry.data))
            if name is None or name not in self.cells:
                continue
            address = self.b.address(base, place, element)
            value = self.b.value(llvm.LoadOp, (address,), element, access_properties(element))
            if element != i64:
                extend = llvm.ZExtOp if op.unsigned is not None else llvm.SExtOp
                value = self.b.value(extend, (value,), i64, _no_flags(extend))
            self._set(name, value)

    def bind(self, op: hal.BindOp) -> None:
        """Gives symbols computed values."""
        values = [self.b.index(self.size(dim)) for dim in sizes_of(op.values)]
        for entry, value in zip(op.symbols, values, strict=True):
            self._set(entry.data, value)

    def _set(self, name: str, value: SSAValue) -> None:
        self.b.emit(llvm.StoreOp, (value, self.cells[name]), (), access_properties(i64))

    def check(self, op: hal.CheckOp) -> None:
        """Leaves with a message unless two sizes agree."""
        lhs, rhs = (self.size(parse_dim(text.data)) for text in (op.lhs, op.rhs))
        agree = self.b.compare("eq", lhs, rhs)
        if op.broadcast is not None:
            for side in (lhs, rhs):
                one = self.b.compare("eq", side, 1)
                agree = self.b.value(llvm.OrOp, (agree, one), i1, _no_flags(llvm.OrOp))
        self.fail_unless(agree, op.message.data, op, (lhs, rhs))

    def check_range(self, op: hal.CheckRangeOp) -> None:
        """Leaves with a message unless all indices are inside."""
        base = self.pointer(op.source)
        sizes = [self.size(dim) for dim in sizes_of(op.sizes)]
        for place, size in enumerate(sizes):
            low, high = (self.load_slot(base, row * len(sizes) + place) for row in (0, 1))
            above = self.b.compare("sge", low, self.b.sub(0, size))
            below = self.b.compare("slt", high, size)
            inside = self.b.value(llvm.AndOp, (above, below), i1, _no_flags(llvm.AndOp))
            text = "indices from {0} to {1} leave the {2} elements that they select from"
            self.fail_unless(inside, text, op, (low, high, size))

    def fail_unless(
        self, condition: SSAValue, text: str, op: Operation, details: Sequence[Index]
    ) -> None:
        """Leaves the run with a message unless a condition holds."""
        self.messages.append(message(text, op))
        code = len(self.messages)
        good, bad = new_block(), new_block()
        self.b.branch_if(condition, (good, ()), (bad, ()))
        self.b.start(bad)
        table = self.b.address(self.arguments["context"], DETAILS_OFFSET, i8)
        for place, value in enumerate(details):
            self.store_slot(table, place, value)
        self.b.branch(self.exit, (self.b.integer(code),))
        self.b.start(good)

    def give(self, op: hal.GiveOp) -> None:
        """Hands a buffer to the caller: ownership of a heap buffer, else a copy."""
        index = op.index.value.data
        kind = op.source.type
        assert isinstance(kind, MemRefType)
        self.externals.add("memcpy")
        fresh = self._malloc(self.bytes(op.source))
        amount = self._exact_bytes(op.source)
        call(self.low, "memcpy", [fresh, self.pointer(op.source), self.b.index(amount)], [PTR])
        slot = self.b.address(self.arguments["outputs"], index, i64)
        self.b.emit(llvm.StoreOp, (fresh, slot), (), access_properties(i64))
        first = self._first_slot(index)
        for place, dim in enumerate(sizes_of(op.dims)):
            self.store_slot(self.arguments["dims_out"], first + place, self.size(dim))

    def _first_slot(self, index: int) -> int:
        """Where the sizes of an output stand in ``dims_out``."""
        slot = 0
        for number, entry in enumerate(self.program.outputs):
            if number == index:
                break
            slot += sum(not isinstance(d, int) for d in sizes_of(entry.data["dims"]))  # type: ignore
        return slot

    # Control flow ---------------------------------------------------------------------------

    def flag(self, buffer: SSAValue) -> SSAValue:
        """A boolean in memory."""
        byte = self.b.value(llvm.LoadOp, (self.pointer(buffer),), i8, access_properties(i8))
        return self.b.value(
            llvm.ICmpOp,
            (byte, self.b.integer(0, i8)),
            i1,
            {"predicate": IntegerAttr(1, i64)},
        )

    def branch(self, op: hal.IfOp) -> None:
        """One of two regions."""
        blocks = (new_block(), new_block())
        after = new_block()
        self.b.branch_if(self.flag(op.condition), (blocks[0], ()), (blocks[1], ()))
        for block, region in zip(blocks, (op.then, op.otherwise), strict=True):
            self.b.start(block)
            self.b.open_scope()
            self.body(region.block)
            self.b.close_scope()
            self.b.branch(after)
        self.b.start(after)

    def repeat(self, op: hal.ForOp) -> None:
        """A region while the trip count and the condition hold."""
        head, inside, after = new_block([i64]), new_block(), new_block()
        trips = self.size(parse_dim(op.trips.data))
        self.b.branch(head, (self.b.integer(0),))
        self.b.start(head)
        counter = head.args[0]
        address = self.pointer(op.counter)
        self.b.emit(llvm.StoreOp, (counter, address), (), access_properties(i64))
        go_on = self.b.compare("slt", counter, trips)
        if op.condition is not None:
            go_on = self.b.value(
                llvm.AndOp, (go_on, self.flag(op.condition)), i1, _no_flags(llvm.AndOp)
            )
        self.b.branch_if(go_on, (inside, ()), (after, ()))
        self.b.start(inside)
        self.b.open_scope()
        self.body(op.body.block)
        self.b.close_scope()
        one = self.b.value(
            llvm.AddOp, (counter, self.b.integer(1)), i64, {"overflowFlags": IntegerAttr(0, 32)}
        )
        self.b.branch(head, (one,))
        self.b.start(after)

    def stamp(self, op: hal.StampOp) -> None:
        """Notes the time. When the trace is full its last event is overwritten, and counted on."""
        self.externals.add("clock_gettime")
        trace = self.load_slot(self.arguments["context"], TRACE_OFFSET // 8, PTR)
        count, capacity = (self.load_slot(trace, slot) for slot in (0, 1))
        place = self.b.mul(self.b.minimum(count, self.b.sub(capacity, 1)), EVENT_BYTES)
        event = self.b.address(trace, self.b.add(place, TRACE_EVENTS), i8)
        self.store_slot(event, 0, op.event.value.data)
        clock = self.b.address(trace, TRACE_CLOCK, i8)
        clock = self.b.value(llvm.LoadOp, (clock,), i32, access_properties(i32))
        call(self.low, "clock_gettime", [clock, self.b.address(event, 8, i8)], [i32])
        self.store_slot(trace, 0, self.b.add(count, 1))


def _no_flags(kind: type[Operation]) -> dict[str, Attribute]:
    return {}


def _element_bytes(kind: MemRefType) -> int:
    element = kind.element_type
    if isinstance(element, IntegerType):
        return max(1, element.width.data // 8)
    return element.bitwidth // 8  # type: ignore[attr-defined]


_RULES: dict[type[Operation], Callable] = {
    hal.InputOp: Run.input,
    hal.OutputOp: Run.output,
    hal.ConstantOp: Run.constant,
    hal.AllocOp: Run.alloc,
    hal.ReserveOp: Run.reserve,
    hal.AppendOp: Run.append,
    hal.SwapOp: Run.swap,
    hal.ViewOp: Run.view,
    hal.DispatchOp: Run.dispatch,
    hal.CopyOp: Run.copy,
    hal.ClearOp: Run.clear,
    hal.SymbolsOp: Run.define_symbols,
    hal.BindOp: Run.bind,
    hal.CheckOp: Run.check,
    hal.CheckRangeOp: Run.check_range,
    hal.GiveOp: Run.give,
    hal.IfOp: Run.branch,
    hal.ForOp: Run.repeat,
    hal.StampOp: Run.stamp,
}
