"""What keeps a kernel from its limit, told from its operators and how long it takes."""

from __future__ import annotations

import re

from benchmarks.table import Row

OVERHEAD_US = 3.0
"""A kernel that takes less per call spends most of it on starting: loops, threads, first misses."""

REASONS = (
    (r"softmax", "exp: some 20 operations an element, counted as few; three passes in the caches"),
    (r"gelu|erf|tanh|sigmoid|exp\b|silu|swish", "a polynomial or a division for each element"),
    (
        r"layernormalization|rmsnorm",
        "passes over a row for its mean and its variance",
    ),
    (r"recurrence", "each step waits for the one before it; gates' exponentials"),
    (r"attention", "exponentials of the scores between two products"),
    (r"gather|scatter", "addresses known at run time, row by row"),
    (r"resize|maxpool|averagepool", "windows: several loads for each result"),
    (r"transpose|concat|split|slice|pad|reshape", "strided stores; lines are read to be written"),
    (r"conv|gemm|matmul", "loads of panels from L2 between products, borders of tiles"),
    (r"reduce", "one chain of additions for each vector of results"),
)
"""Patterns of kernels' names, the first that fits counts."""


def what_limits(row: Row) -> str:
    """A phrase for a row of `roofline`."""
    microseconds = 1e3 * row["ours_median_ms"] / max(row["calls"], 1)
    if microseconds < OVERHEAD_US:
        return f"{microseconds:.1f} us a call: its start"
    name = row["name"].partition(": ")[2].lower()
    for pattern, reason in REASONS:
        if re.search(pattern, name):
            return reason
    return "operations that are not multiply-adds" if row["flops"] else "moves data in the caches"
