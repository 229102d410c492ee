"""What devices whose memory is the host's have in common."""

from __future__ import annotations

import os
import queue
import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence

import numpy as np

from runtime import memory
from runtime.errors import InputError
from runtime.executable import Executable
from runtime.hal.buffer import Buffer, HostBuffer
from runtime.hal.command_buffer import Barrier, Command, CommandBuffer, Copy, Dispatch, Fill
from runtime.hal.device import Device
from runtime.hal.semaphore import Fence
from runtime.program import Program


class HostDevice(Device):
    """Host memory, and a queue on a thread of its own. A driver adds how programs are loaded."""

    host_visible = True

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._queue = _Queue(f"terrace {uri}")

    def allocate(self, nbytes: int) -> HostBuffer:
        if nbytes < 0:
            raise InputError(f"a buffer cannot have {nbytes} bytes")
        return HostBuffer(self, memory.aligned_empty((nbytes,), np.uint8))

    def wrap(self, array: np.ndarray) -> HostBuffer:
        if not array.flags.c_contiguous:
            raise InputError("the array is not C-contiguous, so a buffer cannot be its memory")
        return HostBuffer(self, memory.as_bytes(array))

    def can_access(self, buffer: Buffer) -> bool:
        return buffer.device.host_visible

    @abstractmethod
    def load(self, program: Program) -> Executable: ...

    def submit(
        self,
        commands: Sequence[CommandBuffer],
        wait: Fence | None = None,
        signal: Fence | None = None,
    ) -> None:
        recorded: list[Command] = []
        for buffer in commands:
            if not buffer.is_finished or buffer.device is not self:
                raise InputError(
                    "a command buffer is not finished, or was recorded for another device"
                )
            recorded.extend(buffer.commands)
        self._queue.submit(lambda: _replay(recorded), wait or Fence(), signal or Fence())


def _replay(commands: Sequence[Command]) -> None:
    for command in commands:
        _ACTIONS[type(command)](command)


def _copy(command: Copy) -> None:
    command.target.map()[:] = command.source.map()


def _fill(command: Fill) -> None:
    command.target.map().view(f"V{len(command.pattern)}")[:] = np.void(command.pattern)


def _dispatch(command: Dispatch) -> None:
    inputs = [view.address for view in command.inputs]
    command.executable.invoke(command.plan, inputs, [view.address for view in command.outputs])


def _no_action(command: Barrier) -> None:
    """Commands run one after the other anyway."""


_ACTIONS: dict[type, Callable] = {
    Copy: _copy,
    Fill: _fill,
    Dispatch: _dispatch,
    Barrier: _no_action,
}


class _Queue:
    """A thread that does submitted work, in the order in which it becomes ready."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._pid = 0
        self._ready: queue.SimpleQueue[tuple[Callable[[], None], Fence]] = queue.SimpleQueue()

    def submit(self, work: Callable[[], None], wait: Fence, signal: Fence) -> None:
        self._ensure_thread()
        ready = self._ready

        def release(error: Exception | None) -> None:
            if error is None:
                ready.put((work, signal))
            else:
                signal.fail(error)

        wait.watch(release)

    def _ensure_thread(self) -> None:
        """Starts the thread at first use, and again in a child process, which inherits none."""
        with self._lock:
            if self._pid == os.getpid():
                return
            self._pid = os.getpid()
            self._ready = queue.SimpleQueue()
            threading.Thread(
                target=_serve, args=(self._ready,), name=self._name, daemon=True
            ).start()


def _serve(ready: queue.SimpleQueue[tuple[Callable[[], None], Fence]]) -> None:
    while True:
        work, signal = ready.get()
        try:
            work()
        # The error belongs to whoever waits on the fence, whatever its class.
        except Exception as error:
            signal.fail(error)
        else:
            signal.signal()
        # Idle, the thread must not keep the buffers of its last work alive.
        del work, signal
