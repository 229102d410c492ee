"""The limits that programs meet on a machine, measured: float32 arithmetic and memory."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from threading import Barrier, Thread
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.machine import memory_bytes
from compiler.codegen import compile_text
from compiler.target import Target
from runtime.jit import Library, load_objects

ACCUMULATORS = 12
"""Independent chains: enough for two units of latency 5, and within 16 registers."""

FMA_ITERATIONS = 2_000_000
REPEATS = 5
_POINTER = ctypes.c_void_p


def measure(threads: int) -> dict[str, Any]:
    """The machine's limits with so many threads, as the best of several tries.

    ``fma_gflops`` counts a float32 fused multiply-add as two operations; ``copy_gb_s`` counts the
    bytes read and the bytes written, ``read_gb_s`` the bytes read.
    """
    library = _kernels()
    copied, read = _bandwidths(library, threads)
    return {
        "threads": threads,
        "fma_gflops": round(_fma_gflops(library, threads), 1),
        "copy_gb_s": round(copied, 2),
        "read_gb_s": round(read, 2),
    }


def _fma_gflops(library: Library, threads: int) -> float:
    prototype = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_float, ctypes.c_float, _POINTER)
    loop = prototype(library.addresses["fma_loop"])
    sinks = np.zeros((threads, _lanes()), np.float32)

    def work(thread: int) -> None:
        loop(FMA_ITERATIONS, 0.5, 1.0, sinks[thread].ctypes.data)

    operations = 2 * _lanes() * ACCUMULATORS * FMA_ITERATIONS * threads
    return operations / _best_seconds(work, threads) / 1e9


def _bandwidths(library: Library, threads: int) -> tuple[float, float]:
    """GB/s of copying and of reading. The arrays are larger than the caches."""
    prototype = ctypes.CFUNCTYPE(None, _POINTER, ctypes.c_int64, _POINTER)
    read = prototype(library.addresses["read_loop"])
    step = 4 * _lanes() * ACCUMULATORS
    share = _array_bytes() // threads // step * step
    sources = [np.ones(share, np.uint8) for _ in range(threads)]
    targets = [np.ones(share, np.uint8) for _ in range(threads)]
    sinks = np.zeros((threads, _lanes()), np.float32)

    def copy_one(thread: int) -> None:
        # Unlike numpy's, this copy leaves Python's lock to the other threads.
        ctypes.memmove(targets[thread].ctypes.data, sources[thread].ctypes.data, share)

    def read_one(thread: int) -> None:
        read(sources[thread].ctypes.data, share // step, sinks[thread].ctypes.data)

    nbytes = share * threads / 1e9
    return (
        2 * nbytes / _best_seconds(copy_one, threads),
        nbytes / _best_seconds(read_one, threads),
    )


def _array_bytes() -> int:
    wanted = max(256 << 20, 2 * Target.host().l3_bytes)
    return min(wanted, 512 << 20, memory_bytes() // 8)


def _best_seconds(work: Callable[[int], None], threads: int) -> float:
    return min(_seconds(work, threads) for _ in range(REPEATS))


def _seconds(work: Callable[[int], None], threads: int) -> float:
    """From the first thread's start to the last one's end."""
    barrier = Barrier(threads)
    spans: list[tuple[float, float]] = []

    def run(thread: int) -> None:
        barrier.wait()
        start = perf_counter()
        work(thread)
        spans.append((start, perf_counter()))

    workers = [Thread(target=run, args=(thread,)) for thread in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return max(end for _, end in spans) - min(start for start, _ in spans)


def _lanes() -> int:
    return Target.host().lanes(32)


def _kernels() -> Library:
    target = Target.host()
    text = kernels_text(_lanes(), target.function_attributes)
    return load_objects([compile_text(text, target)], ["fma_loop", "read_loop"])


def kernels_text(lanes: int, attributes: str = "") -> str:
    """LLVM IR of two loops over `ACCUMULATORS` vectors of ``lanes`` floats.

    `fma_loop(n, m, c, sink)` computes a = a * m + c in each of them, n times; `read_loop(data, n,
    sink)` adds n groups of so many vectors. What they add up to is stored in ``sink``.
    """
    kind = f"<{lanes} x float>"
    fma = f"@llvm.fmuladd.v{lanes}f32"
    multiply = [f"  %b{{k}} = call {kind} {fma}({kind} %a{{k}}, {kind} %m, {kind} %c)"]
    add = [
        f"  %first{{k}} = mul i64 %i, {ACCUMULATORS}",
        "  %at{k} = add i64 %first{k}, {k}",
        f"  %p{{k}} = getelementptr {kind}, ptr %data, i64 %at{{k}}",
        f"  %v{{k}} = load {kind}, ptr %p{{k}}, align 4",
        f"  %b{{k}} = fadd {kind} %a{{k}}, %v{{k}}",
    ]
    lines = [
        f"declare {kind} {fma}({kind}, {kind}, {kind})",
        f"define void @fma_loop(i64 %n, float %ms, float %cs, ptr %sink){attributes} {{",
        "entry:",
        *_splat(kind, lanes, "m"),
        *_splat(kind, lanes, "c"),
        *_loop(kind, lanes, multiply),
        f"define void @read_loop(ptr %data, i64 %n, ptr %sink){attributes} {{",
        "entry:",
        *_loop(kind, lanes, add),
    ]
    return "\n".join(lines)


def _splat(kind: str, lanes: int, name: str) -> list[str]:
    first = f"<{lanes} x i32> zeroinitializer"
    return [
        f"  %{name}0 = insertelement {kind} poison, float %{name}s, i32 0",
        f"  %{name} = shufflevector {kind} %{name}0, {kind} poison, {first}",
    ]


def _loop(kind: str, lanes: int, body: list[str]) -> list[str]:
    """n rounds of ``body``, which makes vector %b{k} of %a{k}; then the vectors' sum is stored."""
    chains = range(ACCUMULATORS)
    # Different first values: LLVM would merge equal chains.
    firsts = ["<" + ", ".join([f"float {k}.0"] * lanes) + ">" for k in chains]
    sums = [f"  %s{k} = fadd {kind} %s{k - 1}, %b{k}" for k in chains[1:]]
    return [
        "  br label %loop",
        "loop:",
        "  %i = phi i64 [0, %entry], [%next, %loop]",
        *(f"  %a{k} = phi {kind} [{firsts[k]}, %entry], [%b{k}, %loop]" for k in chains),
        *(line.format(k=k) for k in chains for line in body),
        "  %next = add i64 %i, 1",
        "  %more = icmp slt i64 %next, %n",
        "  br i1 %more, label %loop, label %done",
        "done:",
        f"  %s0 = fadd {kind} %b0, zeroinitializer",
        *sums,
        f"  store {kind} %s{ACCUMULATORS - 1}, ptr %sink, align 4",
        "  ret void",
        "}",
    ]
