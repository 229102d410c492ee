"""`onnx-decompose-rnn`: take the products with the inputs out of RNN, GRU and LSTM.

Requires inferred shapes and bound parameters; runs before layouts are assigned. Ensures that no
RNN, GRU or LSTM with inputs of known rank is left: the share of the gates that the inputs have is
one Gemm over all steps, which is packed and tiled like any other, and `onnx.Recurrence` does what
must be done step by step. Biases that are added outside of the nonlinearities join the Gemm.

    %y, %h, %c = LSTM(%x, %w, %r, %b)   ==>   %2 = Reshape(%x)         [steps * batch, inputs]
                                              %g = Gemm(%2, %w', %b') {transB = 1}
                                              %3 = Reshape(%g)         [steps, batch, 4 * hidden]
                                              %y, %h, %c = Recurrence(%3, %r) {cell = "LSTM"}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import (
    ArrayAttr,
    DictionaryAttr,
    FloatAttr,
    IntegerAttr,
    ModuleOp,
    StringAttr,
    f32,
    i64,
)
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.passes import ModulePass

from dialects.onnx import ops
from dialects.onnx.constants import ConstantPool, constant_of, make_const, pool_of
from dialects.onnx.dims import Dim
from dialects.onnx.locations import place_of
from dialects.onnx.ops import Const, NoValue, OnnxOp, Recurrence
from dialects.onnx.types import dims_of, dtype_of, element_type_of, is_none, none_type, tensor_type
from runtime.errors import InvalidModelError, UnsupportedError

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
"""How many gates a cell has."""

ACTIVATIONS = {
    "RNN": ("Tanh",),
    "GRU": ("Sigmoid", "Tanh"),
    "LSTM": ("Sigmoid", "Tanh", "Tanh"),
}
"""The activation functions of one direction by default."""

ALPHA = {
    "Affine": 1.0,
    "Elu": 1.0,
    "HardSigmoid": 0.2,
    "LeakyRelu": 0.01,
    "ScaledTanh": 1.0,
    "ThresholdedRelu": 1.0,
}
"""Functions with a parameter alpha, and its default."""

BETA = {"Affine": 0.0, "HardSigmoid": 0.5, "ScaledTanh": 1.0}
"""Functions with a parameter beta, and its default."""

PLAIN = ("Relu", "Sigmoid", "Softplus", "Softsign", "Tanh")
"""Functions without parameters."""


@dataclass(frozen=True)
class DecomposeRnn(ModulePass):
    """Splits recurrent operators into a product and `onnx.Recurrence`."""

    name = "onnx-decompose-rnn"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrites the module in place. Raises UnsupportedError for weights of dynamic size."""
        for node in [node for node in op.walk() if isinstance(node, OnnxOp)]:
            if node.DOMAIN == "" and node.OP_TYPE in GATES and dims_of(node.operands[0].type):
                _Decomposition(node, pool_of(ctx)).run()


class _Decomposition:
    """The rewriting of one operation."""

    def __init__(self, op: OnnxOp, pool: ConstantPool) -> None:
        self.op = op
        self.pool = pool
        self.absent: SSAValue | None = None
        self.directions = 2 if op.get("direction") == "bidirectional" else 1
        self.gates = GATES[op.OP_TYPE]
        self.hidden = self._hidden_size()
        self.resets_last = bool(op.get("linear_before_reset"))

    def _hidden_size(self) -> int:
        dims = dims_of(self.op.operands[2].type)
        if dims is None or not all(isinstance(dim, int) for dim in dims):
            raise UnsupportedError(
                "the sizes of recurrent weights are only known at run time",
                place_of(self.op.location, "onnx"),
                "give fixed sizes with --dim",
            )
        hidden = dims[2]
        assert isinstance(hidden, int)
        if dims != (self.directions, self.gates * hidden, hidden):
            raise InvalidModelError(
                f"recurrent weights of shape {list(dims)} do not fit "
                f"{self.directions} direction(s) of {self.gates} gate(s)",
                place_of(self.op.location, "onnx"),
            )
        return hidden

    def run(self) -> None:
        """Replaces the operation."""
        gates = self.input_gates()
        recurrent, recurrent_hidden = self.recurrent_weights()
        made = Recurrence.create(
            operands=[
                gates,
                recurrent,
                recurrent_hidden,
                self.recurrent_bias(),
                *(self.operand(name) for name in ("sequence_lens", "initial_h", "initial_c", "P")),
            ],
            result_types=[
                self.op.results[n].type if n < len(self.op.results) else none_type for n in range(3)
            ],
            properties=self.properties(),
            location=self.op.location,
        )
        for name in ("onnx.assume", "onnx.assume_broadcast"):
            if name in self.op.attributes:
                made.attributes[name] = self.op.attributes[name]
        self.insert(made)
        for old, new in zip(self.op.results, made.results, strict=False):
            new.name_hint = old.name_hint
            old.replace_all_uses_with(new)
        operands = list(self.op.operands)
        self.op.detach()
        self.op.erase()
        for owner in {value.owner for value in operands}:
            if isinstance(owner, Const | NoValue) and not list(owner.results[0].uses):
                owner.detach()
                owner.erase()

    # Operands -------------------------------------------------------------------------------

    def input_gates(self) -> SSAValue:
        """X * W^T + bias, for all steps and directions at once."""
        data, weight = self.op.operands[:2]
        dims = dims_of(data.type)
        weight_dims = dims_of(weight.type)
        assert dims is not None and weight_dims is not None
        columns = self.directions * self.gates * self.hidden
        rows = self.reshape(data, [dims[0] * dims[1], dims[2]])
        flat = self.reshape(weight, [columns, weight_dims[2]])
        product = self.node(
            ("Gemm", 13),
            [rows, flat, self.input_bias()],
            [dims[0] * dims[1], columns],
            properties={"transB": IntegerAttr(1, i64)},
        )
        return self.reshape(product, [dims[0], dims[1], columns])

    def input_bias(self) -> SSAValue:
        """[directions * gates * hidden]: what is added to X * W^T."""
        bias = self.operand("B")
        if is_none(bias):
            return bias
        width = self.gates * self.hidden
        added = self.slice(bias, 0, width)
        own = self.slice(bias, width, 2 * width)
        if self.op.OP_TYPE == "GRU" and self.resets_last:
            # The bias of the hidden gate belongs inside the product with the reset gate.
            own = self.concat(self.slice(own, 0, 2 * self.hidden), self.zeros())
        return self.reshape(self.plus(added, own), [self.directions * width])

    def recurrent_bias(self) -> SSAValue:
        """[directions, hidden]: the recurrent bias of a GRU's hidden gate, if it is kept apart."""
        bias = self.operand("B")
        if self.op.OP_TYPE != "GRU" or not self.resets_last or is_none(bias):
            return self.none()
        return self.slice(bias, 5 * self.hidden, 6 * self.hidden)

    def recurrent_weights(self) -> tuple[SSAValue, SSAValue]:
        """R; of a GRU that resets first, the gates z and r, then the hidden gate."""
        recurrent = self.op.operands[2]
        if self.op.OP_TYPE != "GRU" or self.resets_last:
            return recurrent, self.none()
        first, last = 2 * self.hidden, 3 * self.hidden
        return self.slice(recurrent, 0, first), self.slice(recurrent, first, last)

    def operand(self, name: str) -> SSAValue:
        """An operand by its ONNX name, absent where this cell has none of the name."""
        names = self.op.INPUTS
        present = name in names and names.index(name) < len(self.op.operands)
        return self.op.operands[names.index(name)] if present else self.none()

    # Attributes -----------------------------------------------------------------------------

    def properties(self) -> dict[str, Attribute]:
        """The properties of the Recurrence."""
        names, alpha, beta = self.activations()
        kept = {
            name: self.op.properties[name]
            for name in ("clip", "layout", "input_forget")
            if name in self.op.properties
        }
        return {
            "cell": StringAttr(self.op.OP_TYPE),
            "direction": StringAttr(self.op.get("direction")),
            "activations": ArrayAttr([StringAttr(name) for name in names]),
            "alpha": ArrayAttr([FloatAttr(value, f32) for value in alpha]),
            "beta": ArrayAttr([FloatAttr(value, f32) for value in beta]),
            **kept,
        }

    def activations(self) -> tuple[list[str], list[float], list[float]]:
        """The functions of all directions with their alphas and betas, 0 where they have none.

        Each list of parameters goes, in order, to the functions that have that parameter.
        """
        default = ACTIVATIONS[self.op.OP_TYPE] * self.directions
        # RNN's default in the schema is for two directions.
        given = self.op.get("activations") if "activations" in self.op.properties else default
        names = [self.function(name) for name in given]
        if len(names) != len(default):
            raise InvalidModelError(
                f"{len(names)} activations are given, {len(default)} are needed",
                place_of(self.op.location, "onnx"),
            )
        alpha = iter(self.op.get("activation_alpha") or ())
        beta = iter(self.op.get("activation_beta") or ())
        return (
            names,
            [next(alpha, ALPHA[name]) if name in ALPHA else 0.0 for name in names],
            [next(beta, BETA[name]) if name in BETA else 0.0 for name in names],
        )

    def function(self, name: str) -> str:
        """ONNX's spelling of an activation function; models differ in their capitals."""
        for known in (*PLAIN, *ALPHA):
            if known.lower() == name.lower():
                return known
        raise InvalidModelError(
            f"'{name}' is no activation function", place_of(self.op.location, "onnx")
        )

    # Building -------------------------------------------------------------------------------

    def insert(self, op: Operation) -> None:
        """Puts an operation in front of the one that is rewritten."""
        assert self.op.parent is not None
        self.op.parent.insert_op_before(op, self.op)

    def none(self) -> SSAValue:
        """An absent value."""
        if self.absent is None:
            made = NoValue.create(result_types=[none_type])
            self.insert(made)
            self.absent = made.result
        return self.absent

    def constant(self, array: np.ndarray) -> SSAValue:
        """A constant."""
        made = make_const(array, self.pool, self.op.OP_TYPE.lower())
        made.location = self.op.location
        self.insert(made)
        return made.result

    def zeros(self) -> SSAValue:
        """[directions, hidden] zeros."""
        dtype = dtype_of(element_type_of(self.op.operands[0].type))
        return self.constant(np.zeros((self.directions, self.hidden), dtype))

    def node(
        self,
        version: tuple[str, int],
        operands: Sequence[SSAValue],
        dims: Sequence[Dim],
        parameters: Mapping[str, Sequence[Dim]] | None = None,
        properties: Mapping[str, Attribute] | None = None,
    ) -> SSAValue:
        """The result of a new operation, with bound parameters."""
        bound = {
            number: ArrayAttr([StringAttr(str(entry)) for entry in entries])
            for number, entries in (parameters or {}).items()
        }
        made = ops.class_of_schema_version("", *version).create(
            operands=operands,
            result_types=[tensor_type(element_type_of(operands[0].type), dims)],
            properties=dict(properties or {}),
            attributes={"onnx.parameters": DictionaryAttr(bound)} if bound else {},
            location=self.op.location,
        )
        self.insert(made)
        return made.results[0]

    def reshape(self, value: SSAValue, dims: Sequence[Dim]) -> SSAValue:
        """The same elements under another shape."""
        array = constant_of(value, self.pool)
        if array is not None:
            return self.constant(array.reshape([int(dim) for dim in dims]))  # type: ignore[arg-type]
        return self.node(("Reshape", 14), [value, self.none()], dims, {"1": dims})

    def slice(self, value: SSAValue, start: int, end: int) -> SSAValue:
        """A part of axis 1."""
        array = constant_of(value, self.pool)
        if array is not None:
            return self.constant(np.ascontiguousarray(array[:, start:end]))
        dims = dims_of(value.type)
        assert dims is not None
        none = self.none()
        return self.node(
            ("Slice", 13),
            [value, none, none, none, none],
            [dims[0], end - start, *dims[2:]],
            {"1": [start], "2": [end], "3": [1]},
        )

    def plus(self, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
        """The sum of two [directions, n]."""
        arrays = [constant_of(value, self.pool) for value in (lhs, rhs)]
        if arrays[0] is not None and arrays[1] is not None:
            return self.constant(arrays[0] + arrays[1])
        dims = dims_of(lhs.type)
        assert dims is not None
        return self.node(("Add", 14), [lhs, rhs], dims)

    def concat(self, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
        """One behind the other along axis 1."""
        arrays = [constant_of(value, self.pool) for value in (lhs, rhs)]
        if arrays[0] is not None and arrays[1] is not None:
            return self.constant(np.concatenate([arrays[0], arrays[1]], 1))
        left, right = dims_of(lhs.type), dims_of(rhs.type)
        assert left is not None and right is not None
        axis = {"axis": IntegerAttr(1, i64)}
        return self.node(("Concat", 13), [lhs, rhs], [left[0], left[1] + right[1]], properties=axis)
