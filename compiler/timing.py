"""Times several calls in one interleaved run: A B A B ..., so that all meet the same machine.

Each turn times a block of runs of one call, and begins with a run that is not timed when the block
holds more than one: it brings the call's data back into the caches. With several threads a turn
waits until the process is idle first, because onnxruntime's threads go on spinning for a while
after a run and would take the cores from whoever comes next.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil
from statistics import median

Call = Callable[[], object]

SAMPLE_SECONDS = 2e-4
"""Shorter runs are timed in groups that take this long, to outweigh the clock's own time."""

BLOCK_SECONDS = 0.05
MIN_BLOCKS = 3
_POLL_SECONDS = 0.01
_IDLE_SHARE = 0.1
_IDLE_POLLS = 30


@dataclass(frozen=True)
class Timing:
    """Seconds per run: the median and the least of ``samples`` samples."""

    median_seconds: float
    best_seconds: float
    samples: int


def interleave(calls: Mapping[str, Call], seconds: float, threads: int = 1) -> dict[str, Timing]:
    """Times each call for about ``seconds``, and for at least `MIN_BLOCKS` blocks.

    ``threads`` is how many threads the calls use.
    """
    turns = {name: _Turn.of(call) for name, call in calls.items()}
    blocks = 0
    enabled = gc.isenabled()
    gc.disable()
    try:
        while blocks < MIN_BLOCKS or min(turn.spent for turn in turns.values()) < seconds:
            for turn in turns.values():
                if threads > 1:
                    wait_until_idle()
                turn.run_block()
            blocks += 1
    finally:
        if enabled:
            gc.enable()
    return {name: turn.timing() for name, turn in turns.items()}


@dataclass
class _Turn:
    """One call's samples. A sample is the mean of ``group`` runs, a block ``block`` samples."""

    call: Call
    group: int
    block: int
    samples: list[float] = field(default_factory=list)
    spent: float = 0.0

    @staticmethod
    def of(call: Call) -> _Turn:
        """Runs the call twice to see how long it takes once it is warm."""
        call()
        once = max(_time(call, 1), 1e-9)
        group = max(1, ceil(SAMPLE_SECONDS / once))
        return _Turn(call, group, max(1, ceil(BLOCK_SECONDS / (group * once))))

    def run_block(self) -> None:
        if self.block > 1:
            self.call()
        for _ in range(self.block):
            elapsed = _time(self.call, self.group)
            self.samples.append(elapsed / self.group)
            self.spent += elapsed

    def timing(self) -> Timing:
        return Timing(median(self.samples), min(self.samples), len(self.samples))


def _time(call: Call, count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - start


def wait_until_idle() -> None:
    """Waits until this process's threads use next to no CPU, at most 0.3 s."""
    for _ in range(_IDLE_POLLS):
        start = time.process_time()
        time.sleep(_POLL_SECONDS)
        if time.process_time() - start < _IDLE_SHARE * _POLL_SECONDS:
            return
