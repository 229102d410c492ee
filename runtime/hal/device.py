"""Devices: memory, programs and work on one piece of hardware."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from runtime.arguments import as_array
from runtime.executable import Executable
from runtime.hal.buffer import Buffer, BufferView
from runtime.hal.command_buffer import CommandBuffer
from runtime.hal.semaphore import Fence, Semaphore
from runtime.program import Program


class Device(ABC):
    """An allocator, a loader and a queue.

    Attributes:
        uri: opens this device again.
        host_visible: its memory is the host's: buffers can be mapped, arrays wrapped, and addresses
            are pointers.
    """

    uri: str
    host_visible: bool

    @abstractmethod
    def allocate(self, nbytes: int) -> Buffer:
        """A new buffer with undefined content on a 64-byte boundary.

        Raises:
            DeviceError: out of memory.
        """

    @abstractmethod
    def wrap(self, array: np.ndarray) -> Buffer:
        """A buffer over the memory of a C-contiguous array, which it keeps alive.

        Raises:
            InputError: the array is not contiguous.
            DeviceError: the device cannot reach host memory.
        """

    @abstractmethod
    def can_access(self, buffer: Buffer) -> bool:
        """Whether this device's commands may use ``buffer``."""

    @abstractmethod
    def load(self, program: Program) -> Executable:
        """Loads a program.

        Raises:
            DeviceError: it is compiled for another machine.
            InvalidModelError: it lacks what a program needs.
        """

    @abstractmethod
    def submit(
        self,
        commands: Sequence[CommandBuffer],
        wait: Fence | None = None,
        signal: Fence | None = None,
    ) -> None:
        """Queues command buffers and returns at once.

        They start when all points of ``wait`` are reached, run in order, then reach the points of
        ``signal``. Between submissions only fences order. A failure, of a waited-for semaphore or
        of a command, fails ``signal``.
        """

    def execute(self, *commands: CommandBuffer) -> None:
        """Runs command buffers and returns when they are done.

        Raises:
            TerraceError: what a command raised.
        """
        done = Semaphore()
        self.submit(commands, signal=Fence([(done, 1)]))
        done.wait(1)

    def allocate_view(self, shape: Sequence[int], dtype: np.dtype | type | str) -> BufferView:
        """A view of a new buffer with undefined content."""
        nbytes = BufferView.nbytes_of(shape, np.dtype(dtype))
        return BufferView(self.allocate(nbytes), tuple(shape), np.dtype(dtype))

    def view(self, source: Any) -> BufferView:
        """``source`` (an array, or an object with ``__dlpack__`` or ``__array_interface__``) as a
        view on this device, without a copy.

        Raises:
            InputError: no array, or not contiguous.
            DeviceError: the device cannot reach its memory; ``upload`` copies.
        """
        array = as_array(source, "the source")
        return BufferView(self.wrap(array), array.shape, array.dtype)

    def upload(self, source: Any) -> BufferView:
        """A view of a new buffer with the content of ``source``."""
        array = as_array(source, "the source")
        view = self.allocate_view(array.shape, array.dtype)
        view.buffer.write(array)
        return view

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.uri}>"
