"""hal-plan-memory: no buffer loses what it holds before its last use, whatever way a run takes."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, SSAValue

from compiler.ir_text import new_context, parse_module
from dialects import hal, krnl
from dialects.onnx.dims import parse_dim, substitute
from passes.hal.plan_memory import ALIGNMENT, PlanMemory, byte_size

KERNELS = {
    "plain": "",
    "inplace": " attributes {krnl.inplace = array<i64: 0>}",
    "either": " attributes {krnl.inplace = array<i64: 0, 1>}",
}
INPUTS = """[{name = "x", element = f32, dims = ["n", "m"]}]"""


def module_of(body: str) -> ModuleOp:
    """A host program around some operations, with its kernels."""
    kernels = "\n".join(f"func.func private @{name}(){kind}" for name, kind in KERNELS.items())
    text = f"""builtin.module {{
      "hal.program"() <{{sym_name = "main", inputs = {INPUTS}, outputs = []}}> ({{
        %x = "hal.input"() <{{index = 0 : i64, dims = ["n", "m"]}}> : () -> memref<?x?xf32>
        {body}
      }}) : () -> ()
      {kernels}
    }}"""
    return parse_module(text, new_context())


def planned(body: str) -> ModuleOp:
    """The same with memory planned."""
    module = module_of(body)
    PlanMemory().apply(new_context(), module)
    module.verify()
    return module


def alloc(name: str, size: str) -> str:
    """A buffer of some 64-byte lines (or of `size` lines, of symbols)."""
    if size.isdigit():
        return f'%{name} = "hal.alloc"() <{{dims = []}}> : () -> memref<{int(size) * 16}xf32>'
    return f'%{name} = "hal.alloc"() <{{dims = ["16 * ({size})"]}}> : () -> memref<?xf32>'


def dispatch(kernel: str, reads: list[str], writes: str, types: dict[str, str]) -> str:
    """A call of a kernel that reads some buffers and writes one."""
    operands = ", ".join(f"%{name}" for name in (*reads, writes))
    kinds = ", ".join(types[name] for name in (*reads, writes))
    return (
        f'"hal.dispatch"({operands}) <{{callee = @{kernel}, sizes = [], written = 1 : i64}}>'
        f" : ({kinds}) -> ()"
    )


# A machine whose memory remembers who wrote it ------------------------------------------------


@dataclass
class Machine:
    """Runs a planned program: every line of memory holds the number of the write that filled it.

    ``choices`` decides how often loops run and which branches are taken.
    """

    sizes: dict[str, int]
    inplace: dict[str, tuple[int, ...]]
    choices: random.Random
    arena: int = 0
    memory: dict[int, int] = field(default_factory=dict)
    holds: dict[SSAValue, int] = field(default_factory=dict)
    writes: int = 0

    def value(self, text: str) -> int:
        """A symbolic size as a number."""
        found = substitute(parse_dim(text), self.sizes)
        assert isinstance(found, int)
        return found

    def root(self, buffer: SSAValue) -> SSAValue:
        """The buffer that a view is of."""
        while isinstance(buffer.owner, hal.ViewOp):
            buffer = buffer.owner.source
        return buffer

    def lines(self, buffer: SSAValue) -> range:
        """The 64-byte lines of memory that a buffer lies in."""
        root = self.root(buffer)
        op = root.owner
        assert isinstance(op, hal.AllocOp) and op.offset is not None
        offset = self.value(op.offset.data)
        size = self.value(str(byte_size(root.type, hal.sizes_of(op.dims))))  # type: ignore[arg-type]
        assert offset % ALIGNMENT == 0 and offset + size <= self.arena
        return range(offset // ALIGNMENT, (offset + size) // ALIGNMENT)

    def read(self, buffer: SSAValue) -> None:
        """Everything that was written to the buffer is still there."""
        expected = self.holds[self.root(buffer)]
        for line in self.lines(buffer):
            assert self.memory[line] == expected, "a live buffer was overwritten"

    def write(self, buffer: SSAValue) -> None:
        """Fills a buffer."""
        self.writes += 1
        self.holds[self.root(buffer)] = self.writes
        self.memory.update(dict.fromkeys(self.lines(buffer), self.writes))

    def run(self, block: Block) -> None:
        """Runs the operations of a block."""
        for op in block.ops:
            match op:
                case hal.DispatchOp():
                    self.dispatch(op)
                case hal.CopyOp():
                    self.read(op.source)
                    self.write(op.target)
                case hal.IfOp():
                    self.read(op.condition)
                    self.run(self.choices.choice((op.then, op.otherwise)).block)
                case hal.ForOp():
                    for _ in range(self.choices.randint(0, 3)):
                        self.write(op.counter)
                        self.run(op.body.block)
                        self.read(op.counter)
                case _:
                    assert isinstance(op, hal.AllocOp | hal.ViewOp | hal.InputOp)

    def dispatch(self, op: hal.DispatchOp) -> None:
        """A kernel may write while it reads, but in place only as it says that it can."""
        *reads, written = op.buffers
        allowed = self.inplace.get(op.callee.root_reference.data, ())
        target = self.lines(written)
        for place, buffer in enumerate(reads):
            self.read(buffer)
            lines = self.lines(buffer)
            if set(lines) & set(target) and self.root(buffer) is not self.root(written):
                assert place in allowed and lines == target, "a kernel overwrites what it reads"
                others = [b for n, b in enumerate(reads) if n != place]
                assert not any(set(self.lines(b)) & set(target) for b in others)
        self.write(written)


def run(module: ModuleOp, seed: int = 0, **sizes: int) -> int:
    """Runs a planned module's program; gives the arena's size."""
    program = next(op for op in module.ops if isinstance(op, hal.ProgramOp))
    inplace = {
        op.sym_name.data: krnl.inplace_arguments(op) for op in module.ops if isinstance(op, FuncOp)
    }
    assert program.arena_bytes is not None
    machine = Machine(sizes, inplace, random.Random(seed))
    machine.arena = machine.value(program.arena_bytes.data)
    machine.run(program.body.block)
    return machine.arena


# Random programs -------------------------------------------------------------------------------

SIZES = ["1", "2", "2", "3", "n", "n", "m", "n * m", "n + 1", "2 * n", "m // 2"]


@dataclass
class Writer:
    """Writes random programs in which everything that is read has been written before."""

    source: random.Random
    names: int = 0
    types: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, str] = field(default_factory=dict)
    views: dict[str, str] = field(default_factory=dict)

    def fresh(self, size: str) -> tuple[str, str]:
        """A new buffer's name and its operation."""
        self.names += 1
        name = f"b{self.names}"
        self.types[name] = f"memref<{int(size) * 16}xf32>" if size.isdigit() else "memref<?xf32>"
        self.sizes[name] = size
        return name, alloc(name, size)

    def statements(self, written: list[str], count: int, depth: int) -> list[str]:
        """Statements; ``written`` are the buffers that hold something, at their end too."""
        lines: list[str] = []
        for _ in range(count):
            kind = self.source.choice(["new"] * 6 + ["again", "copy", "view", "if", "for"])
            reads = self.source.sample(written, min(len(written), self.source.randint(1, 2)))
            kernel = self.source.choice(list(KERNELS)[: len(reads) + 1])
            if kind == "new" or not lines:
                # Often of an operand's size, so that it can take over the operand's buffer.
                alike = reads and self.source.random() < 0.6
                size = self.sizes[reads[0]] if alike else self.source.choice(SIZES)
                name, line = self.fresh(size)
                early = self.source.random() < 0.2
                lines.insert(0 if early and not depth else len(lines), line)
                lines.append(dispatch(kernel, reads, name, self.types))
                written.append(name)
            elif kind == "again":
                target = self.source.choice(written)
                others = [name for name in reads if self.root(name) != self.root(target)]
                kernel = self.source.choice(list(KERNELS)[: len(others) + 1])
                lines.append(dispatch(kernel, others, target, self.types))
            elif kind == "copy":
                name, line = self.fresh(self.sizes[reads[0]])
                kinds = f"{self.types[reads[0]]}, {self.types[name]}"
                lines += [line, f'"hal.copy"(%{reads[0]}, %{name}) : ({kinds}) -> ()']
                written.append(name)
            elif kind == "view":
                lines.append(self.view(reads[0]))
                written.append(f"b{self.names}")
            elif depth < 2:
                lines += self.control(kind, written, depth)
        return lines

    def root(self, name: str) -> str:
        """The buffer that a view is of."""
        return self.views.get(name, name)

    def view(self, source: str) -> str:
        """All of a buffer under another name."""
        self.names += 1
        name = f"b{self.names}"
        self.types[name], self.sizes[name] = self.types[source], self.sizes[source]
        self.views[name] = self.root(source)
        dims = "" if self.sizes[name].isdigit() else f'"16 * ({self.sizes[name]})"'
        kind = self.types[name]
        return f'%{name} = "hal.view"(%{source}) <{{dims = [{dims}]}}> : ({kind}) -> {kind}'

    def control(self, kind: str, written: list[str], depth: int) -> list[str]:
        """A branch or a loop; what it writes anew is not seen behind it."""
        bodies = [
            "\n".join(self.statements(list(written), self.source.randint(1, 5), depth + 1))
            for _ in range(2)
        ]
        if kind == "if":
            flag = self.source.choice(written)
            regions = f"({{ {bodies[0]} }}, {{ {bodies[1]} }})"
            return [f'"hal.if"(%{flag}) {regions} : ({self.types[flag]}) -> ()']
        name, line = self.fresh("1")
        trips = '<{trips = "3"}>'
        loop = f'"hal.for"(%{name}) {trips} ({{ {bodies[0]} }}) : ({self.types[name]}) -> ()'
        return [line, loop]


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 5), st.integers(0, 5))
def test_live_buffers_never_overlap(seed: int, n: int, m: int) -> None:
    writer = Writer(random.Random(seed))
    lines = writer.statements([], writer.source.randint(2, 14), 0)
    module = planned("\n".join(lines))
    for way in range(3):
        run(module, way, n=n, m=m)


# Decisions -------------------------------------------------------------------------------------

A, B, C, D = (alloc(name, "2") for name in "abcd")
TYPES = dict.fromkeys("abcd", "memref<32xf32>") | {"v": "memref<32xf32>"}


def offsets(body: str) -> list[str | None]:
    """Where every buffer lies, in order; None on the heap."""
    found = [op for op in planned(body).walk() if isinstance(op, hal.AllocOp)]
    return [None if op.offset is None else op.offset.data for op in found]


def chain(*kernels: str) -> str:
    """Buffers a, b, ..., each computed from the one in front of it."""
    lines = [A, dispatch("plain", [], "a", TYPES)]
    for kernel, source, target in zip(kernels, "abc", "bcd", strict=False):
        lines += [alloc(target, "2"), dispatch(kernel, [source], target, TYPES)]
    return "\n".join(lines)


def arena(body: str, **sizes: int) -> int:
    """Bytes of the arena."""
    return run(planned(body), **sizes)


def test_a_chain_needs_two_buffers() -> None:
    assert offsets(chain("plain", "plain", "plain")) == ["0", "128", "0", "128"]
    assert arena(chain("plain", "plain", "plain")) == 256


def test_kernels_that_can_work_in_place() -> None:
    assert offsets(chain("inplace", "inplace", "inplace")) == ["0"] * 4
    assert arena(chain("inplace", "plain", "inplace")) == 256


def test_an_operand_that_is_needed_later_keeps_its_place() -> None:
    body = chain("inplace") + C + dispatch("plain", ["a", "b"], "c", TYPES)
    assert len(set(offsets(body))) == 3


def test_the_second_operand_gives_its_place_if_the_first_is_needed() -> None:
    text = [A, B, C, D, dispatch("plain", [], "a", TYPES), dispatch("plain", [], "b", TYPES)]
    text += [dispatch("either", ["a", "b"], "c", TYPES), dispatch("plain", ["a", "c"], "d", TYPES)]
    a, b, c, d = offsets("\n".join(text))
    assert c == b != a and len({a, b, d}) == 3


def test_an_operand_that_is_read_twice_is_not_overwritten() -> None:
    view = f'%v = "hal.view"(%a) <{{dims = []}}> : ({TYPES["a"]}) -> {TYPES["v"]}'
    written = [A, B, dispatch("plain", [], "a", TYPES)]
    for lines in (
        [dispatch("either", ["a", "a"], "b", TYPES)],
        [view, dispatch("either", ["a", "v"], "b", TYPES)],
    ):
        assert len(set(offsets("\n".join([*written, *lines])))) == 2


def test_a_view_of_a_whole_buffer_may_be_overwritten() -> None:
    view = f'%v = "hal.view"(%a) <{{dims = []}}> : ({TYPES["a"]}) -> {TYPES["v"]}'
    part = view.replace("dims = []", 'dims = [], offset = "64"')
    lines = [A, B, dispatch("plain", [], "a", TYPES), view, dispatch("inplace", ["v"], "b", TYPES)]
    assert len(set(offsets("\n".join(lines)))) == 1
    lines[3] = part
    assert len(set(offsets("\n".join(lines)))) == 2


def test_buffers_of_other_sizes_are_not_taken_over() -> None:
    types = TYPES | {"b": "memref<48xf32>"}
    lines = [A, dispatch("plain", [], "a", types), alloc("b", "3")]
    lines.append(dispatch("inplace", ["a"], "b", types))
    assert arena("\n".join(lines)) == 5 * ALIGNMENT


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("n", "n", True),
        ("n", "n + 1", True),
        ("n + m", "n", True),
        ("n", "m", False),
        ("n * m", "n", False),
    ],
)
def test_symbolic_buffers_share_what_is_provably_enough(
    first: str, second: str, shared: bool
) -> None:
    types = dict.fromkeys("abc", "memref<?xf32>")
    lines = [alloc("a", first), dispatch("plain", [], "a", types)]
    lines += [alloc("b", "7 * n"), dispatch("plain", ["a"], "b", types)]
    lines += [alloc("c", second), dispatch("plain", ["b"], "c", types)]
    body = "\n".join(lines)
    a, b, c = offsets(body)
    assert (a == c) == shared and a != b
    for n, m in ((3, 2), (0, 4), (4, 0), (1, 1)):
        run(planned(body), n=n, m=m)


def test_sizes_that_only_data_tell_stay_on_the_heap() -> None:
    body = f"""
      %s = "hal.alloc"() <{{dims = []}}> : () -> memref<1xi64>
      "hal.symbols"(%s) <{{symbols = ["k"]}}> : (memref<1xi64>) -> ()
      {alloc("a", "k")}
      {alloc("b", "n")}
      %c = "hal.alloc"() <{{dims = ["n"], later}}> : () -> memref<?xf32>
    """
    assert offsets(body) == ["0", None, "64", None]
    program = next(op for op in planned(body).ops if isinstance(op, hal.ProgramOp))
    assert program.arena_bytes is not None and program.arena_bytes.data == "64*n + 64"


def test_elements_narrower_than_a_byte_take_one() -> None:
    body = '%a = "hal.alloc"() <{dims = []}> : () -> memref<65xi1>'
    assert arena(body) == 128
    assert arena('%a = "hal.alloc"() <{dims = []}> : () -> memref<f64>') == 64
    assert arena('%a = "hal.alloc"() <{dims = []}> : () -> memref<0xf32>') == 0


def test_a_buffer_from_outside_lives_through_the_loop_that_reads_it() -> None:
    body = f"""
      {A}
      {dispatch("plain", [], "a", TYPES)}
      {alloc("t", "1")}
      "hal.for"(%t) <{{trips = "3"}}> ({{
        {B}
        {dispatch("plain", ["a"], "b", TYPES)}
        {C}
        {dispatch("plain", ["b"], "c", TYPES)}
      }}) : (memref<16xf32>) -> ()
    """
    a, _, b, c = offsets(body)
    assert len({a, b, c}) == 3
    run(planned(body), 5, n=1, m=1)
