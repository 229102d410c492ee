"""What a program compiled with `hal-profile` notes while it runs: events and their times."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

CAPACITY = 1 << 16
"""Events of one run that are kept: 1.5 MiB. A loop may have more; the last ones are then lost."""

_HEADER = 3
_FIELDS = 3


class Trace:
    """The events of the runs since the last `clear`, in the layout of docs/architecture.md."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._words = np.zeros(_HEADER + _FIELDS * capacity, np.int64)
        self._words[1] = capacity
        self._words[2:3].view(np.int32)[0] = time.CLOCK_MONOTONIC

    @property
    def address(self) -> int:
        """Where the program finds it."""
        return self._words.ctypes.data

    def clear(self) -> None:
        """Forgets all events."""
        self._words[0] = 0

    @property
    def lost(self) -> int:
        """How many events had no place."""
        return max(0, int(self._words[0] - self._words[1]))

    def events(self) -> Iterator[tuple[int, int]]:
        """Number and time in nanoseconds of every event, in order."""
        count = int(min(self._words[0], self._words[1]))
        rows = self._words[_HEADER : _HEADER + _FIELDS * count].reshape(count, _FIELDS)
        for event, seconds, nanoseconds in rows.tolist():
            yield event, seconds * 1_000_000_000 + nanoseconds
