"""`onnx.Recurrence`: the steps of RNN, GRU and LSTM cells.

    for directions, blocks of sequences:                          independent of each other
      for steps:                                                  in order
        for sequence, gate unit:  sums = state * R^T              a product, tiled like any other
        for sequence, unit:       state = cell(gates + sums, state)      a loop over neighbours

The recurrent weights come packed in panels of gate units (`passes/onnx/assign_layouts/`). States
and sums are small buffers in the accumulator's type, so that short floats are rounded only where
they leave. The formulas are those of the ONNX operator specifications, but that `clip` acts on
the gates alone, as in onnxruntime.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xdsl.dialects import math
from xdsl.ir import SSAValue

from dialects import arith
from dialects.onnx.dims import Dim, ceildiv
from dialects.onnx.ops import OnnxOp, Recurrence
from dialects.onnx.types import is_none
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl.contractions import multiply_add
from passes.lower.onnx_to_krnl.emitter import index
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.pointwise import hard_sigmoid, softplus
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.scalars import Scalar, Scalars, accumulator_type

SCRATCH_BYTES = 1 << 17
"""The most that the buffers of one thread may take on its stack."""

ROWS = 12
"""Sequences that one block runs side by side, where there are as many."""

Function = Callable[[Scalars, Scalar, float, float], Scalar]

FUNCTIONS: dict[str, Function] = {
    "Relu": lambda s, x, a, b: s.max(x, s.like(0, x)),
    "Tanh": lambda s, x, a, b: s.tanh(x),
    "Sigmoid": lambda s, x, a, b: s.sigmoid(x),
    "Softsign": lambda s, x, a, b: s.div(x, s.add(s.like(1, x), s.abs(x))),
    "Softplus": lambda s, x, a, b: softplus(s, x),
    "Affine": lambda s, x, a, b: s.add(s.mul(s.like(a, x), x), s.like(b, x)),
    "ScaledTanh": lambda s, x, a, b: s.mul(s.like(a, x), s.tanh(s.mul(s.like(b, x), x))),
    "HardSigmoid": hard_sigmoid,
    "LeakyRelu": lambda s, x, a, b: _below_zero(s, x, s.mul(s.like(a, x), x)),
    "Elu": lambda s, x, a, b: _below_zero(s, x, s.mul(s.like(a, x), s.unary(math.ExpM1Op, x))),
    "ThresholdedRelu": lambda s, x, a, b: s.select(
        s.compare("gt", x, s.like(a, x)), x, s.like(0, x)
    ),
}
"""The activation functions, by name: (builder, x, alpha, beta) -> f(x)."""


def _below_zero(s: Scalars, x: Scalar, other: Scalar) -> Scalar:
    return s.select(s.compare("lt", x, s.like(0, x)), other, x)


@root("Recurrence", fuses="maps", operands=(5, 6))
def recurrence(k: Kernel, op: OnnxOp) -> None:
    """All steps of all directions."""
    assert isinstance(op, Recurrence)
    CELLS[op.cell.data](k, op).emit()


@dataclass(frozen=True)
class Place:
    """Where a cell stands: its direction, step and sequence, and whether the sequence still runs.

    ``row`` is the sequence's number in its block, ``batch`` in the whole.
    """

    direction: Affine
    step: Affine
    row: Affine
    batch: Affine
    runs: Scalar | None


class Cell:
    """What the three kinds of cells share; each says what one step computes."""

    gates: int

    def __init__(self, k: Kernel, op: Recurrence) -> None:
        self.k = k
        self.op = op
        self.batch_first = bool(op.get("layout"))
        steps, batch, _ = k.dims(op.gates)
        self.steps: Dim
        self.batch: Dim
        self.steps, self.batch = (batch, steps) if self.batch_first else (steps, batch)
        self.directions, self.hidden = _weight_sizes(k, op)
        self.kind = accumulator_type(k.element(op.gates))
        self.names: tuple[str, ...] = op.get("activations")
        self.alpha: tuple[float, ...] = op.get("alpha")
        self.beta: tuple[float, ...] = op.get("beta")
        self.clip: float | None = op.get("clip")

    # Loops ----------------------------------------------------------------------------------

    def emit(self) -> None:
        """Independent directions and blocks of sequences; directions that differ stand apart."""
        rows = self.rows()
        blocks = ceildiv(self.batch, rows)
        count = len(self.names) // self.directions
        if len({self.names[n : n + count] for n in range(0, len(self.names), count)}) == 1:
            self.k.nest([self.directions, blocks], lambda ivs: self.block(ivs[0], 0, ivs[1], rows))
            return
        for number in range(self.directions):
            self.k.nest(
                [blocks],
                lambda ivs, number=number: self.block(affine(number), number, ivs[0], rows),
            )

    def rows(self) -> int:
        """How many sequences run side by side."""
        width = getattr(self.kind, "bitwidth", 64) // 8
        fitting = SCRATCH_BYTES // ((self.gates + 3) * self.hidden * width)
        most = max(1, min(ROWS, fitting))
        return min(most, max(1, self.batch)) if isinstance(self.batch, int) else most

    def block(self, direction: Affine, number: int, block: Affine, rows: int) -> None:
        """All steps of a block of sequences; ``number`` says whose functions the direction has."""
        self.first_function = number * (len(self.names) // self.directions)
        self.buffers(rows)
        first = block * rows
        here = self.rows_of(first, rows)
        self.over_states(here, lambda row, unit: self.start(direction, row, first + row, unit))

        def step(ivs: list[Affine]) -> list[Scalar]:
            self.step(direction, self.time(direction, ivs[0]), first, here)
            return []

        # Steps follow each other: loops that no schedule touches run in order.
        self.k.reduce([self.steps], [], lambda ivs, _: step(ivs))
        self.over_states(here, lambda row, unit: self.finish(direction, row, first + row, unit))

    def rows_of(self, first: Affine, rows: int) -> Affine | int:
        """Sequences of the block that begins with ``first``."""
        if isinstance(self.batch, int) and self.batch % rows == 0:
            return rows
        k = self.k
        left = k.index_value(k.size(self.batch) - first)
        most = k.index_value(affine(rows))
        least = k.add(arith.MinSIOp.create(operands=[left, most], result_types=[index]))
        return k.index_of(least, 0, rows)

    def over_states(self, rows: Affine | int, body: Callable[[Affine, Affine], None]) -> None:
        """Loops over the units of the states of a block."""
        self.k.nest([rows, self.hidden], lambda ivs: body(ivs[0], ivs[1]))

    def time(self, direction: Affine, step: Affine) -> Affine:
        """The step as the inputs and results number it."""
        mode = self.op.get("direction")
        if mode == "forward":
            return step
        last = self.k.size(self.steps) - 1
        if mode == "reverse":
            return last - step
        if not direction.terms:
            return last - step if direction.constant else step
        k = self.k
        forward = k.compare_index("eq", direction, affine(0))
        values = [k.index_value(step), k.index_value(last - step)]
        chosen = arith.SelectOp.create(operands=[forward.value, *values], result_types=[index])
        return k.index_of(k.add(chosen), 0)

    def place(self, direction: Affine, time: Affine, row: Affine, first: Affine) -> Place:
        """Where a row of the block stands at a step."""
        k, lengths = self.k, self.op.sequence_lens
        runs: Scalar | None = None
        if not is_none(lengths):
            length = k.index_of(k.s.to_index(k.read(lengths, [first + row])))
            runs = k.compare_index("lt", time, length)
        return Place(direction, time, row, first + row, runs)

    # Data -----------------------------------------------------------------------------------

    def gate(self, at: Place, number: int, unit: Affine) -> Scalar:
        """The inputs' share of a gate."""
        column = at.direction * (self.gates * self.hidden) + number * self.hidden + unit
        entries = [at.batch, at.step] if self.batch_first else [at.step, at.batch]
        return self.k.s.cast(self.k.read(self.op.gates, [*entries, column]), self.kind)

    def parameter(self, value: SSAValue, at: Place, column: Affine) -> Scalar:
        """An element of a [directions, n] operand."""
        return self.k.s.cast(self.k.read(value, [at.direction, column]), self.kind)

    def activate(self, number: int, x: Scalar) -> Scalar:
        """An activation function."""
        number += self.first_function
        return FUNCTIONS[self.names[number]](self.k.s, x, self.alpha[number], self.beta[number])

    def gated(self, number: int, x: Scalar) -> Scalar:
        """An activation function on a gate, which the cell may clip."""
        if self.clip:
            s = self.k.s
            x = s.min(s.max(x, s.like(-self.clip, x)), s.like(self.clip, x))
        return self.activate(number, x)

    def product(
        self,
        weights: SSAValue,
        direction: Affine,
        rows: Affine | int,
        columns: int,
        state: SSAValue,
        sums: SSAValue,
    ) -> None:
        """sums = state * weights[direction]^T for all rows of a block."""
        k = self.k

        def body(ivs: list[Affine]) -> None:
            row, column = ivs

            def tap(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
                a = k.load(state, [row, taps[0]], self.kind)
                b = k.read(weights, [direction, column, taps[0]])
                return [multiply_add(k, carried[0], a, b)]

            (total,) = k.reduce([self.hidden], [k.s.const(0, self.kind)], tap)
            k.store(total, sums, [row, column])

        k.nest([rows, columns], body, contraction=(0, 1))

    def initial(self, value: SSAValue, direction: Affine, batch: Affine, unit: Affine) -> Scalar:
        """An initial state, zero if none is given."""
        if is_none(value):
            return self.k.s.const(0, self.kind)
        entries = [batch, direction] if self.batch_first else [direction, batch]
        return self.k.s.cast(self.k.read(value, [*entries, unit]), self.kind)

    def give_state(
        self, result: SSAValue, direction: Affine, batch: Affine, unit: Affine, value: Scalar
    ) -> None:
        """One element of a last state."""
        if is_none(result):
            return
        entries = [batch, direction] if self.batch_first else [direction, batch]
        self.k.give(result, [*entries, unit], self.k.s.cast(value, self.k.element(result)))

    def advance(self, at: Place, unit: Affine, state: Scalar) -> None:
        """Gives an element of Y and keeps the new state; a sequence that has ended does neither."""
        k, y = self.k, self.op.y
        shown = state
        if at.runs is not None:
            shown = k.s.select(at.runs, state, k.s.const(0, self.kind))
            state = k.s.select(at.runs, state, k.load(self.state, [at.row, unit], self.kind))
        k.store(state, self.state, [at.row, unit])
        if is_none(y):
            return
        entries = (
            [at.batch, at.step, at.direction]
            if self.batch_first
            else [at.step, at.direction, at.batch]
        )
        k.give(y, [*entries, unit], k.s.cast(shown, k.element(y)))

    # What kinds of cells say ----------------------------------------------------------------

    def buffers(self, rows: int) -> None:
        """Makes the buffers of a block."""
        self.state = self.k.scratch([rows, self.hidden], self.kind)
        self.sums = self.k.scratch([rows, self.gates * self.hidden], self.kind)

    def start(self, direction: Affine, row: Affine, batch: Affine, unit: Affine) -> None:
        """Sets a unit's initial state."""
        initial = self.initial(self.op.initial_h, direction, batch, unit)
        self.k.store(initial, self.state, [row, unit])

    def step(self, direction: Affine, time: Affine, first: Affine, rows: Affine | int) -> None:
        """One step of all sequences of a block."""
        columns = self.gates * self.hidden
        self.product(self.op.recurrent, direction, rows, columns, self.state, self.sums)
        self.over_units(direction, time, first, rows, self.unit)

    def over_units(
        self,
        direction: Affine,
        time: Affine,
        first: Affine,
        rows: Affine | int,
        body: Callable[[Place, Affine], None],
    ) -> None:
        """Loops over the units of every sequence at a step."""

        def row(ivs: list[Affine]) -> None:
            at = self.place(direction, time, ivs[0], first)
            self.k.nest([self.hidden], lambda units: body(at, units[0]))

        self.k.nest([rows], row)

    def unit(self, at: Place, unit: Affine) -> None:
        """The new state of one unit."""
        raise NotImplementedError

    def finish(self, direction: Affine, row: Affine, batch: Affine, unit: Affine) -> None:
        """Gives a unit's last state."""
        state = self.k.load(self.state, [row, unit], self.kind)
        self.give_state(self.op.y_h, direction, batch, unit, state)

    def summed(self, at: Place, number: int, unit: Affine) -> Scalar:
        """A gate before its activation: the inputs' share and the state's."""
        column = unit + number * self.hidden
        state = self.k.load(self.sums, [at.row, column], self.kind)
        return self.k.s.add(self.gate(at, number, unit), state)


def _weight_sizes(k: Kernel, op: Recurrence) -> tuple[int, int]:
    """Directions and hidden units."""
    directions, _, hidden = k.dims(op.recurrent)
    assert isinstance(directions, int) and isinstance(hidden, int)
    return directions, hidden


class Rnn(Cell):
    """H = f(X W^T + H R^T + b)"""

    gates = 1

    def unit(self, at: Place, unit: Affine) -> None:
        self.advance(at, unit, self.gated(0, self.summed(at, 0, unit)))


class Gru(Cell):
    """z, r = f(...); h = g(... r ...); H = (1 - z) h + z H

    The reset gate r acts on the state before its product with R, or with `linear_before_reset`
    after it.
    """

    gates = 3

    @property
    def resets_last(self) -> bool:
        """Whether r acts on the product."""
        return is_none(self.op.recurrent_hidden)

    def buffers(self, rows: int) -> None:
        super().buffers(rows)
        if not self.resets_last:
            self.reset = self.k.scratch([rows, self.hidden], self.kind)
            self.candidate = self.k.scratch([rows, self.hidden], self.kind)

    def step(self, direction: Affine, time: Affine, first: Affine, rows: Affine | int) -> None:
        if self.resets_last:
            super().step(direction, time, first, rows)
            return
        hidden = self.hidden
        self.product(self.op.recurrent, direction, rows, 2 * hidden, self.state, self.sums)
        self.over_units(direction, time, first, rows, self.apply_reset)
        weights = self.op.recurrent_hidden
        self.product(weights, direction, rows, hidden, self.reset, self.candidate)
        self.over_units(direction, time, first, rows, self.unit)

    def apply_reset(self, at: Place, unit: Affine) -> None:
        """r * H, for the product of the hidden gate."""
        k = self.k
        reset = self.gated(0, self.summed(at, 1, unit))
        state = k.load(self.state, [at.row, unit], self.kind)
        k.store(k.s.mul(reset, state), self.reset, [at.row, unit])

    def unit(self, at: Place, unit: Affine) -> None:
        k, s = self.k, self.k.s
        update = self.gated(0, self.summed(at, 0, unit))
        hidden = self.gated(1, self.hidden_gate(at, unit))
        state = k.load(self.state, [at.row, unit], self.kind)
        kept = s.mul(s.sub(s.like(1, update), update), hidden)
        self.advance(at, unit, s.add(kept, s.mul(update, state)))

    def hidden_gate(self, at: Place, unit: Affine) -> Scalar:
        """The hidden gate before its activation."""
        k, s = self.k, self.k.s
        if not self.resets_last:
            product = k.load(self.candidate, [at.row, unit], self.kind)
            return s.add(self.gate(at, 2, unit), product)
        product = k.load(self.sums, [at.row, unit + 2 * self.hidden], self.kind)
        if not is_none(self.op.recurrent_bias):
            product = s.add(product, self.parameter(self.op.recurrent_bias, at, unit))
        reset = self.gated(0, self.summed(at, 1, unit))
        return s.add(self.gate(at, 2, unit), s.mul(reset, product))


class Lstm(Cell):
    """i, f = f(...); c = g(...); C = f C + i c; o = f(...); H = o h(C)

    Peepholes add P C to the gates before f: the old C to i and f, the new one to o.
    """

    gates = 4

    def buffers(self, rows: int) -> None:
        super().buffers(rows)
        self.cell = self.k.scratch([rows, self.hidden], self.kind)

    def start(self, direction: Affine, row: Affine, batch: Affine, unit: Affine) -> None:
        super().start(direction, row, batch, unit)
        initial = self.initial(self.op.initial_c, direction, batch, unit)
        self.k.store(initial, self.cell, [row, unit])

    def unit(self, at: Place, unit: Affine) -> None:
        k, s = self.k, self.k.s
        old = k.load(self.cell, [at.row, unit], self.kind)
        take = self.gated(0, self.peeped(at, 0, 0, unit, old))
        if self.op.get("input_forget"):
            keep = s.sub(s.like(1, take), take)
        else:
            keep = self.gated(0, self.peeped(at, 2, 2, unit, old))
        candidate = self.gated(1, self.summed(at, 3, unit))
        cell = s.add(s.mul(keep, old), s.mul(take, candidate))
        show = self.gated(0, self.peeped(at, 1, 1, unit, cell))
        state = s.mul(show, self.activate(2, cell))
        if at.runs is not None:
            cell = s.select(at.runs, cell, old)
        k.store(cell, self.cell, [at.row, unit])
        self.advance(at, unit, state)

    def peeped(self, at: Place, gate: int, hole: int, unit: Affine, cell: Scalar) -> Scalar:
        """A gate with what it sees of the cell."""
        total = self.summed(at, gate, unit)
        if is_none(self.op.peepholes):
            return total
        weight = self.parameter(self.op.peepholes, at, unit + hole * self.hidden)
        return self.k.s.add(total, self.k.s.mul(weight, cell))

    def finish(self, direction: Affine, row: Affine, batch: Affine, unit: Affine) -> None:
        super().finish(direction, row, batch, unit)
        cell = self.k.load(self.cell, [row, unit], self.kind)
        self.give_state(self.op.y_c, direction, batch, unit, cell)


CELLS: dict[str, Callable[[Kernel, Recurrence], Cell]] = {"RNN": Rnn, "GRU": Gru, "LSTM": Lstm}
