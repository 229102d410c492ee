"""`roofline`: every kernel of a model beside what the machine could do.

A kernel can compute no faster than its arithmetic allows and no faster than its operands pass: its
limit is the lesser of the peak and of its operations per byte times the memory's rate. Data that
stay in the caches pass faster, so that small kernels may be above 100 %.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks import child
from benchmarks.folders import find_models, load_feed, name_of
from benchmarks.options import Options
from benchmarks.results import Results
from benchmarks.table import Column, Row, Table

LEAST_SHARE = 1.0
"""Kernels that take less of a run than this, in percent, are left out of the table."""

TABLE = Table(
    [
        Column("name", "model: kernel", width=64),
        Column("threads", "threads", width=7),
        Column("calls", "calls", width=5),
        Column("ours_median_ms", "ms", ".3f", 9),
        Column("share_percent", "share %", ".1f", 7),
        Column("gflops", "GFLOP/s", ".1f", 8),
        Column("gb_s", "GB/s", ".1f", 6),
        Column("limit_percent", "% of limit", ".0f", 10),
        Column("limited_by", "limit", width=10),
    ]
)


def run(options: Options) -> Results:
    """Profiles every model with every number of threads."""
    models = find_models(options.paths, options.only)
    results = Results("roofline")
    results.measure_limits(options.threads)
    TABLE.print_heading()
    for model in models:
        for threads in options.threads:
            for row in _rows(model, threads):
                _add_limit(row, results)
                results.rows.append(row)
                if row.get("share_percent", 100.0) >= LEAST_SHARE:
                    TABLE.print_row(row)
    if options.plot is not None:
        from benchmarks.plot import draw_roofline

        draw_roofline(results, options.plot)
    return results


def _rows(model: Path, threads: int) -> list[Row]:
    arguments = {"model": str(model), "threads": threads}
    try:
        rows = child.call("benchmarks.roofline:measure", arguments)["rows"]
    except child.ChildError as error:
        rows = [{"name": "all", "error": str(error)}]
    return [{**row, "name": f"{name_of(model)}: {row['name']}", "threads": threads} for row in rows]


def measure(model: str, threads: int) -> dict[str, list[Row]]:
    """A row for each kernel of one model, in a process of its own."""
    from compiler.driver import Request
    from compiler.profiling import profile

    feed, _ = load_feed(Path(model))
    found = profile(Request.of(Path(model)), feed, f"cpu:threads={threads}")
    rows: list[Row] = []
    total = max(1, sum(span.least_ns for span in found.spans))
    for name, spans in found.by_kernel():
        nanoseconds = max(1, sum(span.least_ns for span in spans))
        row: Row = {
            "name": name,
            "nodes": [node for span in spans for node in span.nodes],
            "calls": len(spans),
            "ours_median_ms": nanoseconds / 1e6,
            "share_percent": 100 * nanoseconds / total,
        }
        works = [span.work for span in spans if span.work is not None]
        if len(works) == len(spans):
            row["flops"] = sum(work.flops for work in works)
            row["bytes"] = sum(work.bytes for work in works)
            row["gflops"] = row["flops"] / nanoseconds
            row["gb_s"] = row["bytes"] / nanoseconds
        rows.append(row)
    return {"rows": rows}


def _add_limit(row: Row, results: Results) -> None:
    """How long the kernel must take at least, over how long it takes."""
    peak = results.limit(row["threads"], "fma_gflops")
    memory = results.memory_gb_s(row["threads"])
    if "flops" not in row or not peak or not memory:
        return
    computing, moving = row["flops"] / peak, row["bytes"] / memory
    row["limited_by"] = "arithmetic" if computing > moving else "memory"
    row["limit_percent"] = 100 * max(computing, moving) / (row["ours_median_ms"] * 1e6)
