"""Command buffers: work recorded once, run any number of times.

Everything is checked while it is recorded, so that a replay only does the work. A command refers to
memory by address: what lies there at the time of the replay is what it works on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.arguments import check_shape
from runtime.errors import InputError
from runtime.executable import Executable
from runtime.hal.buffer import Buffer, BufferView
from runtime.manifest import TensorSpec
from runtime.memory import Span, check_disjoint
from runtime.plan import Plan, check_known

if TYPE_CHECKING:
    from runtime.hal.device import Device


@dataclass(frozen=True, slots=True)
class Copy:
    """Copies all bytes of ``source`` to ``target``; the two do not overlap."""

    source: Buffer
    target: Buffer


@dataclass(frozen=True, slots=True)
class Fill:
    """Fills ``target`` with repetitions of ``pattern``."""

    target: Buffer
    pattern: bytes


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Runs a program on ``inputs``, into ``outputs``."""

    executable: Executable
    plan: Plan
    inputs: tuple[BufferView, ...]
    outputs: tuple[BufferView, ...]


@dataclass(frozen=True, slots=True)
class Barrier:
    """Commands after it see what commands before it wrote."""


Command = Copy | Fill | Dispatch | Barrier


class CommandBuffer:
    """A sequence of commands for ``device``. Without a ``barrier`` between them commands may
    overlap in time.

    Every method raises InputError if the command buffer is finished, or if a buffer is on another
    kind of device, read-only where it would be written, or too small.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self._commands: list[Command] = []
        self._finished = False

    @property
    def commands(self) -> tuple[Command, ...]:
        return tuple(self._commands)

    @property
    def is_finished(self) -> bool:
        return self._finished

    def copy(
        self,
        source: Buffer,
        target: Buffer,
        source_offset: int = 0,
        target_offset: int = 0,
        nbytes: int | None = None,
    ) -> None:
        """Records a copy of ``nbytes`` bytes, or of all from ``source_offset`` on."""
        nbytes = source.nbytes - source_offset if nbytes is None else nbytes
        self._check_reachable(source)
        self._check_written(target)
        part = source.slice(source_offset, nbytes)
        goal = target.slice(target_offset, nbytes)
        check_disjoint(
            [("the source", part.address, nbytes)], [("the target", goal.address, nbytes)]
        )
        self._record(Copy(part, goal))

    def fill(
        self, target: Buffer, pattern: bytes, offset: int = 0, nbytes: int | None = None
    ) -> None:
        """Records a fill with a pattern of 1, 2, 4 or 8 bytes, whose size divides ``nbytes``."""
        nbytes = target.nbytes - offset if nbytes is None else nbytes
        if len(pattern) not in (1, 2, 4, 8) or nbytes % len(pattern):
            raise InputError(f"{len(pattern)} bytes are no pattern for a fill of {nbytes} bytes")
        self._check_written(target)
        self._record(Fill(target.slice(offset, nbytes), bytes(pattern)))

    def dispatch(
        self, executable: Executable, inputs: Sequence[BufferView], outputs: Sequence[BufferView]
    ) -> None:
        """Records a run of a program. Shapes and dtypes must be those of its signature.

        Raises:
            InputError: also if the size of an output depends on the data.
        """
        program = executable.program
        for view in inputs:
            self._check_reachable(view.buffer)
        for view in outputs:
            self._check_written(view.buffer)
        _check_views("input", program.inputs, inputs)
        _check_views("output", program.outputs, outputs)
        plan = executable.plan(tuple(view.shape for view in inputs))
        check_known(plan, program)
        for spec, (shape, _, _), view in zip(program.outputs, plan.outputs, outputs, strict=True):
            check_shape(spec, shape, view.shape)
        check_disjoint(
            _spans("input", program.inputs, inputs), _spans("output", program.outputs, outputs)
        )
        self._record(Dispatch(executable, plan, tuple(inputs), tuple(outputs)))

    def barrier(self) -> None:
        """Records that later commands depend on earlier ones."""
        self._record(Barrier())

    def finish(self) -> CommandBuffer:
        """Ends the recording; only then can it be submitted."""
        self._finished = True
        return self

    def _record(self, command: Command) -> None:
        if self._finished:
            raise InputError("the command buffer is finished: nothing more can be recorded")
        self._commands.append(command)

    def _check_reachable(self, buffer: Buffer) -> None:
        if not self.device.can_access(buffer):
            raise InputError(f"{self.device.uri} cannot reach a buffer on {buffer.device.uri}")

    def _check_written(self, buffer: Buffer) -> None:
        self._check_reachable(buffer)
        buffer.check_writeable()


def _check_views(kind: str, specs: Sequence[TensorSpec], views: Sequence[BufferView]) -> None:
    if len(specs) != len(views):
        raise InputError(f"{len(views)} {kind}s are given, the program has {len(specs)}")
    for spec, view in zip(specs, views, strict=True):
        if view.dtype.name != spec.dtype:
            raise InputError(f"{kind} '{spec.name}' has dtype {view.dtype}, expected {spec.dtype}")


def _spans(kind: str, specs: Sequence[TensorSpec], views: Sequence[BufferView]) -> list[Span]:
    return [
        (f"{kind} '{spec.name}'", view.address, view.nbytes)
        for spec, view in zip(specs, views, strict=True)
    ]
