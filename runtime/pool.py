"""``context.parallel_for``: the fork-join pool of pool.ll, compiled by LLVM at first need.

All networks of a process share one pool. It has as many workers as the widest run so far asked for;
they are started by the first parallel loop and never end. Idle workers sleep. A run that finds the
pool taken by another one, or is inside a parallel loop already, does all its work itself.
"""

from __future__ import annotations

import ctypes
import functools
import platform
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from runtime.cpus import available_cpus, default_threads
from runtime.jit import load_ir

__all__ = ["ParallelFor", "available_cpus", "default_threads", "parallel_for"]

SPIN_NS = 200_000
"""How long a thread without work looks for some before it sleeps.

Longer than most kernels that run on one thread in between: waking a thread costs 50 us and more.
"""

# What a spinning thread tells its core, so that its hyper-thread sibling gets on.
_PAUSES = {
    "x86_64": ("call void @llvm.x86.sse2.pause()", "declare void @llvm.x86.sse2.pause()"),
    "aarch64": ("call void @llvm.aarch64.hint(i32 1)", "declare void @llvm.aarch64.hint(i32)"),
    "arm64": ("call void @llvm.aarch64.hint(i32 1)", "declare void @llvm.aarch64.hint(i32)"),
}

_SERIAL = """
define void @terrace_parallel_for(ptr %context, ptr %body, ptr %closure, i64 %n, i64 %grain) {
  call void %body(ptr %closure, i64 0, i64 %n)
  ret void
}
"""


class _Settings(ctypes.Structure):
    """The fields of pool.ll's %pool that are set from here."""

    _fields_ = [
        ("locks", ctypes.c_byte * 192),
        ("spin_ns", ctypes.c_int64),
        ("clock", ctypes.c_int32),
    ]


@dataclass(frozen=True, slots=True)
class ParallelFor:
    """Addresses for a run's context: ``parallel_for`` and the pool it works with; 0 is none."""

    function: int
    pool: int


_lock = threading.Lock()


def parallel_for(threads: int) -> ParallelFor:
    """The ``parallel_for`` for runs on up to ``threads`` threads.

    Raises:
        DeviceError: the pool cannot be compiled on this machine.
    """
    with _lock:
        return _serial() if threads == 1 else _forking()


@functools.cache
def _serial() -> ParallelFor:
    library = load_ir(_SERIAL, ["terrace_parallel_for"])
    library.keep_forever()
    return ParallelFor(library.addresses["terrace_parallel_for"], 0)


@functools.cache
def _forking() -> ParallelFor:
    call, declaration = _PAUSES.get(platform.machine(), ("", ""))
    pause = f"define internal void @pause() {{\n  {call}\n  ret void\n}}\n{declaration}\n"
    text = Path(__file__).with_name("pool.ll").read_text(encoding="utf-8")
    library = load_ir(text + pause, ["terrace_parallel_for", "terrace_pool"])
    library.keep_forever()
    pool = library.addresses["terrace_pool"]
    settings = _Settings.from_address(pool)
    settings.spin_ns = SPIN_NS
    settings.clock = time.CLOCK_MONOTONIC
    return ParallelFor(library.addresses["terrace_parallel_for"], pool)
