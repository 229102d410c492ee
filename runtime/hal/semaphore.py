"""Semaphores and fences: the order of queued work.

A semaphore is a timeline: an unsigned 64-bit number that only grows. A fence is a set of points on
timelines.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from runtime.errors import InputError

_MAX_VALUE = 2**64 - 1
Callback = Callable[[Exception | None], None]
"""Called once: with None when what was watched is reached, with the error when it never will be."""


class Semaphore:
    """A timeline that starts at ``value`` and may fail, once and for all. Thread-safe."""

    def __init__(self, value: int = 0) -> None:
        self._value = _checked(value)
        self._error: Exception | None = None
        self._changed = threading.Condition()
        self._watchers: list[tuple[int, Callback]] = []

    @property
    def error(self) -> Exception | None:
        """Why it failed, or None."""
        return self._error

    def query(self) -> int:
        """The value it has reached.

        Raises:
            Exception: it failed: the error it failed with.
        """
        with self._changed:
            self._check_alive()
            return self._value

    def signal(self, value: int) -> None:
        """Advances it to ``value``.

        Raises:
            InputError: ``value`` is not beyond the present one.
            Exception: it failed before.
        """
        with self._changed:
            self._check_alive()
            if _checked(value) <= self._value:
                raise InputError(f"a semaphore at {self._value} cannot be signalled to {value}")
            self._value = value
            self._changed.notify_all()
            ready = [watcher for watcher in self._watchers if watcher[0] <= value]
            self._watchers = [watcher for watcher in self._watchers if watcher[0] > value]
        for _, callback in ready:
            callback(None)

    def fail(self, error: Exception) -> None:
        """Fails it: whoever waits, now or later, gets ``error``. Only the first failure counts."""
        with self._changed:
            if self._error is not None:
                return
            self._error = error
            self._changed.notify_all()
            watchers, self._watchers = self._watchers, []
        for _, callback in watchers:
            callback(error)

    def wait(self, value: int, timeout: float | None = None) -> bool:
        """Waits until it reaches ``value``; False if that takes more than ``timeout`` seconds.

        Raises:
            Exception: it failed before reaching ``value``.
        """
        _checked(value)
        with self._changed:
            self._changed.wait_for(lambda: self._value >= value or self._error is not None, timeout)
            if self._value >= value:
                return True
            self._check_alive()
            return False

    def watch(self, value: int, callback: Callback) -> Callable[[], None]:
        """Has ``callback`` called when ``value`` is reached or never will be, at once if that is
        known already.

        It runs on the thread that signals and must neither block nor raise. Calling what is
        returned ends the watch.
        """
        watcher = (_checked(value), callback)
        with self._changed:
            pending = self._value < value and self._error is None
            if pending:
                self._watchers.append(watcher)
            error = self._error if self._value < value else None
        if not pending:
            callback(error)
        return lambda: self._forget(watcher)

    def _forget(self, watcher: tuple[int, Callback]) -> None:
        with self._changed:
            self._watchers = [other for other in self._watchers if other is not watcher]

    def _check_alive(self) -> None:
        if self._error is not None:
            raise self._error


class Fence:
    """A set of points (semaphore, value), reached when all of them are; the empty one always."""

    def __init__(self, points: Iterable[tuple[Semaphore, int]] = ()) -> None:
        self.points = tuple(points)

    def query(self) -> bool:
        """Whether it is reached. Raises the error of a semaphore that failed before its point."""
        return self.wait(timeout=0)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it is reached; False if that takes more than ``timeout`` seconds.

        Raises:
            Exception: a semaphore failed before its point.
        """
        done = threading.Event()
        failures: list[Exception] = []

        def finish(error: Exception | None) -> None:
            if error is not None:
                failures.append(error)
            done.set()

        end_watch = self.watch(finish)
        reached = done.wait(timeout)
        end_watch()
        if failures:
            raise failures[0]
        return reached

    def signal(self) -> None:
        """Advances every semaphore to its point."""
        for semaphore, value in self.points:
            semaphore.signal(value)

    def fail(self, error: Exception) -> None:
        """Fails every semaphore."""
        for semaphore, _ in self.points:
            semaphore.fail(error)

    def watch(self, callback: Callback) -> Callable[[], None]:
        """Has ``callback`` called once, when the fence is reached or a semaphore has failed.

        Calling what is returned ends the watch.
        """
        lock = threading.Lock()
        left = len(self.points)
        if left == 0:
            callback(None)

        def arrive(error: Exception | None) -> None:
            nonlocal left
            with lock:
                before = left
                left = 0 if error is not None else left - 1
                first_end = before > 0 and left == 0
            if first_end:
                callback(error)

        ends = [semaphore.watch(value, arrive) for semaphore, value in self.points]

        def end_watch() -> None:
            for end in ends:
                end()

        return end_watch


def _checked(value: int) -> int:
    if not 0 <= value <= _MAX_VALUE:
        raise InputError(f"{value} is not a point on a timeline of 64 bits")
    return value
