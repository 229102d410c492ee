"""`models`: our time and other runtimes' for real models, and whether the results agree.

Each model is measured in fresh processes: one for each number of threads, in which all runtimes
take turns, and three that start it - compiling, from the cache, and with onnxruntime - for the time
that takes and the memory it needs.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import child, peers
from benchmarks.compile_times import start_ours, write_byte_code
from benchmarks.folders import find_models, load_feed, name_of
from benchmarks.options import Options
from benchmarks.results import Results
from benchmarks.sessions import compare_speed
from benchmarks.table import Column, Row, Table, geometric_mean

COLUMNS = [
    Column("name", "model", width=32),
    Column("threads", "threads", width=7),
    Column("ours_median_ms", "ours ms", ".3f"),
    Column("ort_median_ms", "ort ms", ".3f"),
    Column("ratio", "ort/ours", ".2f", 8),
    Column("gflops", "GFLOP/s", ".1f", 8),
    Column("gb_s", "GB/s", ".1f", 6),
    Column("limit_percent", "% of limit", ".0f", 10),
    Column("compile_s", "compile s", ".2f", 9),
    Column("cached_s", "cached s", ".2f", 8),
    Column("peak_mb", "peak MB", ".0f", 7),
    Column("ort_peak_mb", "ort MB", ".0f", 7),
    Column("max_error", "max error", ".1e", 9),
    Column("verdict", "result", width=6),
]


def table() -> Table:
    """The columns, those of the other runtimes that are installed among them."""
    place = [column.key for column in COLUMNS].index("ratio") + 1
    others = [
        column
        for name in peers.installed()
        for column in (
            Column(f"{name}_median_ms", f"{name} ms", ".3f"),
            Column(f"{name}_ratio", f"{name}/ours", ".2f", 9),
        )
    ]
    return Table([*COLUMNS[:place], *others, *COLUMNS[place:]])


def run(options: Options) -> Results:
    """Times every model with every number of threads."""
    models = find_models(options.paths, options.only)
    results = Results("models")
    results.measure_limits(options.threads)
    write_byte_code()
    shown = table()
    shown.print_heading()
    for model in models:
        started = _start(model)
        for threads in options.threads:
            row = _row(model, threads, options.seconds) | started
            _add_rates(row, results)
            results.rows.append(row)
            shown.print_row(row | {"verdict": "WRONG" if "wrong" in row else "right"})
            if "wrong" in row:
                print(f"  {row['wrong']}")
    results.summary = {str(threads): summary(results.rows, threads) for threads in options.threads}
    for threads, numbers in results.summary.items():
        print(f"{threads} thread(s): {describe(numbers)}")
    return results


def _start(model: Path) -> Row:
    """Seconds and peaks of memory of a process that runs the model once.

    ``peak_mb`` is that of a process which finds the program in the cache, as all but the first do;
    ``cold_peak_mb`` that of the one which compiles.
    """
    arguments = {"model": str(model), "begun": time.monotonic()}
    try:
        with tempfile.TemporaryDirectory(prefix="benchmark-cache-") as cache:
            cold, cached = start_ours(model, cache), start_ours(model, cache)
        arguments["begun"] = time.monotonic()
        theirs = child.call("benchmarks.startup:onnxruntime", arguments)
    except child.ChildError:
        # What fails here fails in the measurement too, which says how.
        return {}
    return {
        "compile_s": cold["total_s"],
        "cached_s": cached["total_s"],
        "cold_peak_mb": cold["peak_mb"],
        "peak_mb": cached["peak_mb"],
        "ort_peak_mb": theirs["peak_mb"],
    }


def _row(model: Path, threads: int, seconds: float) -> Row:
    row: Row = {"name": name_of(model), "threads": threads}
    arguments = {"model": str(model), "threads": threads, "seconds": seconds}
    try:
        return row | child.call("benchmarks.models:measure", arguments)
    except child.ChildError as error:
        return row | {"error": str(error)}


def measure(model: str, threads: int, seconds: float) -> Row:
    """One model, in a process of its own; the first of its input sets."""
    feed, slack = load_feed(Path(model))
    row = compare_speed(model, feed, threads, seconds, slack)
    return row | {"work": [[work.flops, work.bytes] for work in _work(model, feed)]}


def _work(model: str, feed: Any) -> list[Any]:
    """Operations and bytes of every kernel that a run calls; empty where nobody can say."""
    from dataclasses import replace

    from compiler.driver import Request, lower_request
    from compiler.pipeline import Pipeline
    from compiler.work import WorkObserver

    shapes = {name: array.shape for name, array in feed.items()}
    request = Request.of(Path(model))
    passes = Pipeline.default(request.target).until("lower-krnl")
    observer = WorkObserver()
    lower_request(replace(request, shapes=shapes, passes=passes), "onnx", [observer])
    return observer.each_call()


def _add_rates(row: Row, results: Results) -> None:
    """Rates, and how much of the time the kernels would take at the machine's limits."""
    work = row.pop("work", [])
    if not work:
        return
    seconds = row["ours_median_ms"] / 1e3
    row["flops"] = sum(flops for flops, _ in work)
    row["bytes"] = sum(nbytes for _, nbytes in work)
    row["gflops"] = row["flops"] / seconds / 1e9
    row["gb_s"] = row["bytes"] / seconds / 1e9
    peak = results.limit(row["threads"], "fma_gflops")
    memory = results.memory_gb_s(row["threads"])
    if peak and memory:
        least = sum(max(flops / peak, nbytes / memory) for flops, nbytes in work) / 1e9
        row["limit_percent"] = 100 * least / seconds


def summary(rows: list[Row], threads: int) -> dict[str, Any]:
    """How many models were measured and right; the ratios' geometric mean and least."""
    all_rows = [row for row in rows if row["threads"] == threads]
    timed = [row for row in all_rows if "ratio" in row]
    worst = min(timed, key=lambda row: row["ratio"], default=None)
    return {
        "models": len(all_rows),
        "timed": len(timed),
        "right": sum("wrong" not in row for row in timed),
        "ratio_geometric_mean": geometric_mean([row["ratio"] for row in timed]),
        "ratio_least": worst and worst["ratio"],
        "ratio_least_model": worst and worst["name"],
    }


def describe(numbers: dict[str, Any]) -> str:
    """A summary as a sentence."""
    counts = f"{numbers['right']} right, {numbers['timed']} timed of {numbers['models']} models"
    if not numbers["timed"]:
        return counts
    return (
        f"geometric mean of ort/ours {numbers['ratio_geometric_mean']:.3f},"
        f" least {numbers['ratio_least']:.3f} ({numbers['ratio_least_model']}); {counts}"
    )
