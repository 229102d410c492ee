"""`models`: our time and onnxruntime's for real models, and whether the results agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import child
from benchmarks.folders import find_models, load_feed, name_of
from benchmarks.options import Options
from benchmarks.results import Results
from benchmarks.sessions import compare_speed
from benchmarks.table import Column, Row, Table, geometric_mean

TABLE = Table(
    [
        Column("name", "model", width=32),
        Column("threads", "threads", width=7),
        Column("ours_median_ms", "ours ms", ".3f"),
        Column("ort_median_ms", "ort ms", ".3f"),
        Column("ratio", "ort/ours", ".2f", 8),
        Column("ours_samples", "samples", width=8),
        Column("max_error", "max error", ".1e"),
        Column("verdict", "result", width=6),
    ]
)


def run(options: Options) -> Results:
    """Times every model with every number of threads."""
    models = find_models(options.paths, options.only)
    results = Results("models")
    results.measure_limits(options.threads)
    TABLE.print_heading()
    for model in models:
        for threads in options.threads:
            row = _row(model, threads, options.seconds)
            results.rows.append(row)
            TABLE.print_row(row | {"verdict": "WRONG" if "wrong" in row else "right"})
            if "wrong" in row:
                print(f"  {row['wrong']}")
    results.summary = {str(threads): summary(results.rows, threads) for threads in options.threads}
    for threads, numbers in results.summary.items():
        print(f"{threads} thread(s): {describe(numbers)}")
    return results


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
    return compare_speed(model, feed, threads, seconds, slack)


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
