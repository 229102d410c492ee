"""A line on the terminal that says what takes so long, from the first second on."""

from __future__ import annotations

import sys
from threading import Event, Thread
from time import perf_counter
from types import TracebackType

DELAY_SECONDS = 1.0
_PERIOD_SECONDS = 0.25


class Progress:
    """Shows the latest note on standard error, if that is a terminal, while the block runs."""

    def __init__(self) -> None:
        self.note = "starting"
        self._stop = Event()
        self._thread = Thread(target=self._show, daemon=True) if sys.stderr.isatty() else None

    def __call__(self, note: str) -> None:
        """Says what is going on now."""
        self.note = note

    def __enter__(self) -> Progress:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _show(self) -> None:
        start = perf_counter()
        if self._stop.wait(DELAY_SECONDS):
            return
        while not self._stop.wait(_PERIOD_SECONDS):
            seconds = perf_counter() - start
            print(f"\r\033[K{seconds:5.1f} s  {self.note}", end="", file=sys.stderr, flush=True)
        print("\r\033[K", end="", file=sys.stderr, flush=True)
