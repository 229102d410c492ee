"""What a run needs to know that depends on nothing but the shapes of its inputs."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Sequence
from math import prod

import numpy as np

from runtime import dims
from runtime.dtypes import numpy_dtype
from runtime.errors import InputError, InternalError
from runtime.manifest import TensorSpec
from runtime.program import Program

UNKNOWN = -1
"""A size that only the data tell."""

Shape = tuple[int, ...]
Shapes = tuple[Shape, ...]
NativePlan = Callable[[ctypes.Array, ctypes.Array], int]
"""``terrace_plan``: reads input sizes, writes output sizes, returns the arena's size."""


class Plan:
    """The sizes for one combination of input shapes. Immutable, shared by concurrent runs.

    Attributes:
        input_shapes: the shapes it was made for.
        outputs: per output (shape, dtype, bytes); the shape holds -1, and the bytes are 0, where
            only data tell.
        unknown: positions of the outputs with such a size.
        arena_bytes: size of the arena.
        dims_in, dims_out: the arrays that ``terrace_run`` takes.
    """

    __slots__ = ("arena_bytes", "dims_in", "dims_out", "input_shapes", "outputs", "unknown")

    def __init__(
        self,
        input_shapes: Shapes,
        outputs: Sequence[tuple[Shape, np.dtype]],
        arena_bytes: int,
        dims_in: ctypes.Array,
        dims_out: ctypes.Array,
    ) -> None:
        self.input_shapes = input_shapes
        self.unknown = tuple(i for i, (shape, _) in enumerate(outputs) if UNKNOWN in shape)
        self.outputs = tuple(
            (shape, dtype, 0 if UNKNOWN in shape else prod(shape) * dtype.itemsize)
            for shape, dtype in outputs
        )
        self.arena_bytes = arena_bytes
        self.dims_in = dims_in
        self.dims_out = dims_out


class Planner:
    """Makes plans for a program.

    ``native`` is the program's ``terrace_plan``. Without one the sizes of the outputs come from the
    manifest's expressions, and the arena's from the manifest.
    """

    def __init__(self, program: Program, native: NativePlan | None = None) -> None:
        self._program = program
        self._native = native
        self._signature = [(spec.name, spec.shape) for spec in program.inputs]

    def __call__(self, shapes: Shapes) -> Plan:
        """The plan for inputs of ``shapes``.

        Raises:
            InputError: the shapes contradict the signature or each other.
        """
        symbols = dims.bind(self._signature, shapes)
        dims_in = int64_array(_dynamic_sizes(self._program.inputs, shapes))
        if self._native is None:
            arena_bytes = self._program.signature.arena_bytes or 0
            output_shapes = [self._evaluate(spec, symbols) for spec in self._program.outputs]
        else:
            arena_bytes, output_shapes = self._ask(self._native, shapes, dims_in)
        dtypes = [numpy_dtype(spec.dtype) for spec in self._program.outputs]
        dims_out = int64_array(_dynamic_sizes(self._program.outputs, output_shapes))
        outputs = list(zip(output_shapes, dtypes, strict=True))
        return Plan(shapes, outputs, arena_bytes, dims_in, dims_out)

    def _evaluate(self, spec: TensorSpec, symbols: dict[str, int]) -> Shape:
        sizes = (dims.evaluate(dim, symbols) for dim in spec.shape)
        return tuple(UNKNOWN if size is None else size for size in sizes)

    def _ask(
        self, native: NativePlan, shapes: Shapes, dims_in: ctypes.Array
    ) -> tuple[int, list[Shape]]:
        dynamic = sum(
            not isinstance(dim, int) for spec in self._program.outputs for dim in spec.shape
        )
        dims_out = int64_array([UNKNOWN] * dynamic)
        arena_bytes = native(dims_in, dims_out)
        if arena_bytes < 0:
            raise self._refusal(-1 - arena_bytes, shapes)
        return arena_bytes, fill_in(self._program.outputs, dims_out)

    def _refusal(self, index: int, shapes: Shapes) -> Exception:
        messages = self._program.messages
        if index >= len(messages):
            return InternalError(f"the program's plan failed with the unknown code {index}")
        given = ", ".join(
            f"{spec.name} {dims.show(shape)}"
            for spec, shape in zip(self._program.inputs, shapes, strict=True)
        )
        return messages[index].as_error((0, 0, 0, 0), remark=f" (inputs: {given})")


def int64_array(values: Iterable[int]) -> ctypes.Array:
    """The values as a C array, which ctypes passes as a pointer."""
    sizes = tuple(values)
    return (ctypes.c_int64 * len(sizes))(*sizes)


def fill_in(specs: Sequence[TensorSpec], sizes: ctypes.Array) -> list[Shape]:
    """The shapes of ``specs`` with their dynamic dimensions taken from ``sizes``, in order.

    Raises:
        InternalError: a size is neither possible nor -1.
    """
    rest = iter(sizes)
    shapes = [
        tuple(dim if isinstance(dim, int) else next(rest) for dim in spec.shape) for spec in specs
    ]
    for spec, shape in zip(specs, shapes, strict=True):
        if any(size < UNKNOWN for size in shape):
            raise InternalError(f"the program gives output '{spec.name}' the shape {shape}")
    return shapes


def _dynamic_sizes(specs: Sequence[TensorSpec], shapes: Sequence[Shape]) -> list[int]:
    return [
        size
        for spec, shape in zip(specs, shapes, strict=True)
        for dim, size in zip(spec.shape, shape, strict=True)
        if not isinstance(dim, int)
    ]


def check_known(plan: Plan, program: Program) -> None:
    """Raises InputError if ``plan`` leaves a size open, for callers that bring all memory."""
    if plan.unknown:
        names = ", ".join(f"'{program.outputs[index].name}'" for index in plan.unknown)
        raise InputError(
            f"the size of output {names} depends on the data",
            hint="call the network, which allocates its outputs itself",
        )
