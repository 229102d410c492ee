"""``context.parallel_for``: the fork-join pool, whose code comes with programs.

The compiler translates pool.ll (`source`) for a program's target and puts the object beside the
kernels. All networks of a process share one pool, that of the first program that needs it. It has
as many workers as the widest run so far asked for; they are started by the first parallel loop and
never end. Idle workers sleep. A run that finds the pool taken by another one, or is inside a
parallel loop already, does all its work itself.
"""

from __future__ import annotations

import ctypes
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from runtime.jit import load_objects
from runtime.program import Program

OBJECT = "terrace_pool"
"""The name of the pool's object code among a program's objects."""

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
_pools: list[ParallelFor] = []


def source(architecture: str) -> str:
    """The pool as LLVM IR text for an architecture, the first part of a triple."""
    call, declaration = _PAUSES.get(architecture, ("", ""))
    pause = f"define internal void @pause() {{\n  {call}\n  ret void\n}}\n{declaration}\n"
    return Path(__file__).with_name("pool.ll").read_text(encoding="utf-8") + pause


def parallel_for(program: Program) -> ParallelFor:
    """The ``parallel_for`` for runs of a program: none if it comes without, having no parallel
    loops.

    Raises:
        DeviceError: the program's pool cannot be loaded on this machine.
    """
    if OBJECT not in program.objects:
        return ParallelFor(0, 0)
    with _lock:
        if not _pools:
            _pools.append(_load(program.objects[OBJECT]))
        return _pools[0]


def _load(image: bytes) -> ParallelFor:
    library = load_objects([image], ["terrace_parallel_for", "terrace_pool"])
    library.keep_forever()
    pool = library.addresses["terrace_pool"]
    settings = _Settings.from_address(pool)
    settings.spin_ns = SPIN_NS
    settings.clock = time.CLOCK_MONOTONIC
    return ParallelFor(library.addresses["terrace_parallel_for"], pool)
