"""Executables: a program's native code, loaded on the CPU and ready to be called.

A run is one foreign call. What it writes besides its outputs - arena, context, pointer tables - is
a ``_Frame``; concurrent runs have different frames, and frames are used again.
"""

from __future__ import annotations

import ctypes
import functools
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np

from runtime import memory
from runtime.cpus import available_cpus
from runtime.errors import InternalError, InvalidModelError, TerraceError
from runtime.jit import Library, load_objects
from runtime.plan import UNKNOWN, Plan, Planner, Shapes, fill_in, int64_array
from runtime.pool import OBJECT as POOL_OBJECT
from runtime.pool import ParallelFor, parallel_for
from runtime.program import Program
from runtime.target import check_target
from runtime.trace import Trace

_PLANS = 64
_IDLE_FRAMES = 8
_BYTE = np.dtype(np.uint8)
# Argument types are not declared: ctypes then passes arrays and pointers in a third of the time.
_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int64)

DataDependent = list[tuple[int, np.ndarray]]
"""Outputs that the run itself allocated: (position, array)."""


class Executable(ABC):
    """A program loaded on a device.

    Attributes:
        program: the program.
        plan: ``plan(input_shapes) -> Plan``, memoised for the most recent shapes. Raises InputError
            for shapes that contradict the signature.
    """

    def __init__(self, program: Program, planner: Planner) -> None:
        self.program = program
        self.plan: Callable[[Shapes], Plan] = functools.lru_cache(maxsize=_PLANS)(planner)

    @abstractmethod
    def invoke(
        self, plan: Plan, inputs: Sequence[int], outputs: Sequence[int]
    ) -> DataDependent | None:
        """Runs the program and returns when it is done.

        ``inputs`` and ``outputs`` are device addresses of C-contiguous tensors with the shapes of
        ``plan``; 0 for the outputs in ``plan.unknown``, which come back as arrays. Outputs must not
        overlap each other or an input. Any number of threads may call at a time.

        Raises:
            InputError, DeviceError, InternalError: the program reported a failure; the message
                names the node.
        """


class _Context(ctypes.Structure):
    """The ``context`` of docs/architecture.md."""

    _fields_ = [
        ("parallel_for", ctypes.c_void_p),
        ("pool", ctypes.c_void_p),
        ("threads", ctypes.c_int64),
        ("details", ctypes.c_int64 * 4),
        ("host_call", ctypes.c_void_p),
        ("host_data", ctypes.c_void_p),
        ("trace", ctypes.c_void_p),
        ("heap", ctypes.c_void_p),
    ]


class _Frame:
    """The memory of one run besides its inputs and outputs."""

    __slots__ = (
        "__weakref__",
        "_arena",
        "arena",
        "arena_bytes",
        "context",
        "context_pointer",
        "inputs",
        "outputs",
    )

    def __init__(
        self, program: Program, helpers: ParallelFor, threads: int, trace: Trace | None
    ) -> None:
        self.inputs = (ctypes.c_void_p * len(program.inputs))()
        self.outputs = (ctypes.c_void_p * len(program.outputs))()
        self.context = _Context(helpers.function, helpers.pool, threads)
        self.context.trace = None if trace is None else trace.address
        self.context_pointer = ctypes.byref(self.context)
        if count := program.signature.heap_buffers:
            # Address and size of each: a run takes what the one before it has left.
            table = (ctypes.c_int64 * (2 * count))()
            self.context.heap = ctypes.addressof(table)
            weakref.finalize(self, _free_heap, table).atexit = False
        self.reserve(0)

    def reserve(self, nbytes: int) -> None:
        """Replaces the arena by one of ``nbytes``."""
        self._arena, address = memory.aligned_block((nbytes,), _BYTE, nbytes)
        self.arena = ctypes.c_void_p(address)
        self.arena_bytes = nbytes


def _free_heap(table: ctypes.Array) -> None:
    """Frees the buffers that runs have left."""
    for address in table[::2]:
        memory.free(address)


_running: list[NativeExecutable] = []
"""One entry for each run of the process that goes on. What is done to it is atomic."""


class NativeExecutable(Executable):
    """A program's object code in this process, running on up to ``threads`` threads.

    Runs that go on at the same time share the CPUs: each takes fewer threads then, down to its
    own, as threads that wait for each other's CPU cost more than they do.

    ``trace`` is where a program that is compiled for it notes times, None for all others; only one
    thread at a time can run such a program to some purpose.

    Raises:
        DeviceError: the code is for another machine, or cannot be linked.
        InvalidModelError: the program lacks an entry point.
    """

    def __init__(self, program: Program, threads: int) -> None:
        check_target(program.target)
        self._library = _load(program)
        addresses = self._library.addresses
        plan = addresses.get("terrace_plan")
        super().__init__(program, Planner(program, _FUNCTION(plan) if plan else None))
        self._entry = _FUNCTION(addresses["terrace_run"])
        self._threads = threads
        self._cpus = available_cpus()
        self._helpers = parallel_for(program)
        self._constants = _constant_table(program)
        self._frames: list[_Frame] = []
        self.trace = Trace() if program.signature.spans else None

    def invoke(
        self, plan: Plan, inputs: Sequence[int], outputs: Sequence[int]
    ) -> DataDependent | None:
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = _Frame(self.program, self._helpers, self._threads, self.trace)
        if plan.arena_bytes > frame.arena_bytes:
            frame.reserve(plan.arena_bytes)
        frame.inputs[:] = inputs
        frame.outputs[:] = outputs
        dims_out = int64_array(plan.dims_out) if plan.unknown else plan.dims_out
        _running.append(self)
        try:
            frame.context.threads = self._share(len(_running))
            status = self._entry(
                frame.inputs,
                frame.outputs,
                self._constants,
                frame.arena,
                plan.dims_in,
                dims_out,
                frame.context_pointer,
            )
        finally:
            _running.pop()
        created = self._adopt(plan, frame, dims_out, status) if plan.unknown else None
        if status:
            raise self._failure(status, frame.context.details)
        if len(self._frames) < _IDLE_FRAMES:
            self._frames.append(frame)
        return created

    def _share(self, runs: int) -> int:
        """The threads of a run beside which others go on."""
        return self._threads if runs < 2 else max(1, min(self._threads, self._cpus // runs))

    def _adopt(
        self, plan: Plan, frame: _Frame, dims_out: ctypes.Array, status: int
    ) -> DataDependent | None:
        """Takes over the blocks that the run allocated; after a failure only to free them."""
        blocks = [(index, frame.outputs[index] or 0) for index in plan.unknown]
        if status:
            for _, address in blocks:
                memory.free(address)
            return None
        shapes = fill_in(self.program.outputs, dims_out)
        if any(UNKNOWN in shapes[index] for index in plan.unknown):
            raise InternalError("the program left the size of an output open")
        return [
            (index, memory.adopt(address, shapes[index], plan.outputs[index][1]))
            for index, address in blocks
        ]

    def _failure(self, status: int, details: Sequence[int]) -> TerraceError:
        messages = self.program.messages
        if not 1 <= status <= len(messages):
            return InternalError(f"the program failed with the unknown code {status}")
        return messages[status - 1].as_error(details)


def _load(program: Program) -> Library:
    symbols = ["terrace_run"]
    if program.signature.arena_bytes is None:
        symbols.append("terrace_plan")
    images = [image for name, image in program.objects.items() if name != POOL_OBJECT]
    if not images:
        raise InvalidModelError("the program has no object code")
    return load_objects(images, symbols)


def _constant_table(program: Program) -> ctypes.Array:
    """The pointers to the constants. A misaligned one is replaced in the program by its copy."""
    table = (ctypes.c_void_p * len(program.signature.constants))()
    for index, name in enumerate(program.signature.constants):
        program.constants[name] = memory.aligned(program.constants[name])
        table[index] = memory.address_of(program.constants[name])
    return table
