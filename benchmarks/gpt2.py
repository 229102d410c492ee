"""`gpt2`: a language model without a key/value cache, static or dynamic.

Its only input is int64 token ids [batch, sequence], its first output the logits. Prefill is a run
of many tokens. A run of one token reads every weight once, as decoding with a key/value cache
does, so its rate says how close we are to the memory's.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import child
from benchmarks.compile_times import start_ours
from benchmarks.folders import find_models, name_of
from benchmarks.options import Options
from benchmarks.results import Results
from benchmarks.sessions import (
    compare_results,
    file_bytes,
    open_onnxruntime,
    open_ours,
    time_sessions,
    token_feed,
)
from benchmarks.table import Column, Row, Table

TOLERANCE = 1e-3
"""How far logits may differ."""

READY = Table(
    [
        Column("name", "session", width=34),
        Column("total_s", "total s", ".2f", 8),
        Column("first_run_s", "1st run s", ".3f", 9),
        Column("ready_peak_mb", "ready MB", ".0f", 9),
        Column("peak_mb", "peak MB", ".0f", 8),
        Column("ready_per_weights", "ready/weights", ".2f", 13),
        Column("peak_per_weights", "peak/weights", ".2f", 12),
    ]
)

SPEED = Table(
    [
        Column("name", "run", width=34),
        Column("threads", "threads", width=7),
        Column("ours_median_ms", "ours ms", ".2f"),
        Column("ort_median_ms", "ort ms", ".2f"),
        Column("ratio", "ort/ours", ".2f", 8),
        Column("ours_tokens_per_second", "tokens/s", ".1f"),
        Column("ours_gb_s", "weights GB/s", ".1f", 12),
        Column("ours_read_percent", "% of read", ".0f", 9),
        Column("max_error", "max error", ".1e"),
    ]
)


def run(options: Options) -> Results:
    """Measures every model's start, then its speed at each length."""
    results = Results("gpt2")
    results.measure_limits(options.threads)
    for model in find_models(options.paths, options.only):
        _measure_start(model, options, results)
        SPEED.print_heading()
        for threads in options.threads:
            for row in _speed(model, threads, options):
                _add_rates(row, file_bytes(str(model)), results.limit(threads, "read_gb_s"))
                results.rows.append(row)
                SPEED.print_row(row)
                if "wrong" in row:
                    print(f"  WRONG: {row['wrong']}")
    return results


def _measure_start(model: Path, options: Options, results: Results) -> None:
    """Compile time and memory: of us, cold and cached, and of onnxruntime."""
    weights = file_bytes(str(model))
    print(f"{name_of(model)}: {weights / 1e6:.1f} MB of weights, file included")
    READY.print_heading()
    with tempfile.TemporaryDirectory(prefix="benchmark-cache-") as cache:
        for what in ("cold", "cached", "onnxruntime"):
            row: Row = {"name": f"{name_of(model)} {what}"}
            try:
                row |= _start(what, model, cache, token_shapes(model, options)[-1])
            except child.ChildError as error:
                row["error"] = str(error)
            else:
                row["ready_per_weights"] = row["ready_peak_mb"] * 1e6 / weights
                row["peak_per_weights"] = row["peak_mb"] * 1e6 / weights
            results.rows.append(row)
            READY.print_row(row)


def _start(what: str, model: Path, cache: str, tokens: Sequence[int]) -> Row:
    if what != "onnxruntime":
        return start_ours(model, cache, tokens=tokens)
    arguments = {"model": str(model), "begun": time.monotonic(), "tokens": tokens}
    return child.call("benchmarks.startup:onnxruntime", arguments)


def input_shape(model: Path) -> list[int | None]:
    """Batch and sequence of a model's only input; None where they are open.

    Raises ValueError for a model with other inputs.
    """
    import onnx

    graph = onnx.load(model, load_external_data=False).graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [entry for entry in graph.input if entry.name not in constants]
    kind = inputs[0].type.tensor_type
    if len(inputs) != 1 or kind.elem_type != onnx.TensorProto.INT64 or len(kind.shape.dim) != 2:
        raise ValueError(f"{model} does not take int64 token ids [batch, sequence] only")
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]


def token_shapes(model: Path, options: Options) -> list[tuple[int, int]]:
    """Batch and length of every run: one token and those asked for, or the static shape."""
    batch, length = input_shape(model)
    lengths = [length] if length else sorted({1, *options.lengths})
    return [(batch or options.batch, size) for size in lengths]


def _speed(model: Path, threads: int, options: Options) -> list[Row]:
    """A row for each length; one process compiles for all of them."""
    arguments: dict[str, Any] = {
        "model": str(model),
        "threads": threads,
        "seconds": options.seconds,
        "shapes": token_shapes(model, options),
    }
    try:
        rows = child.call("benchmarks.gpt2:measure", arguments)["rows"]
    except child.ChildError as error:
        rows = [{"error": str(error), "name": "all lengths"}]
    return [{**row, "name": f"{name_of(model)} {row['name']}", "threads": threads} for row in rows]


def measure(
    model: str, threads: int, seconds: float, shapes: Sequence[tuple[int, int]]
) -> dict[str, list[Row]]:
    """All lengths of one model, in a process of its own."""
    ours, theirs = open_ours(model, threads), open_onnxruntime(model, threads)
    rows: list[Row] = []
    for batch, length in shapes:
        feed = token_feed(theirs, batch, length)
        row = compare_results(["logits"], ours.run(None, feed)[:1], theirs.run(None, feed)[:1])
        # The bound on logits is absolute; written so that a NaN fails.
        if "wrong" not in row and not row["max_error"] <= TOLERANCE:
            row["wrong"] = f"logits differ by {row['max_error']:.3g}"
        row |= time_sessions(ours, theirs, feed, threads, seconds)
        row |= {"name": f"{batch}x{length}", "tokens": batch * length}
        rows.append(row)
    return {"rows": rows}


def _add_rates(row: Row, weight_bytes: int, read_gb_s: float | None) -> None:
    """Tokens per second, and how fast the weights pass if each is read once."""
    for side in ("ours", "ort"):
        if f"{side}_median_ms" in row:
            seconds = row[f"{side}_median_ms"] / 1e3
            row[f"{side}_tokens_per_second"] = row["tokens"] / seconds
            row[f"{side}_gb_s"] = weight_bytes / seconds / 1e9
            row[f"{side}_read_percent"] = read_gb_s and 100 * row[f"{side}_gb_s"] / read_gb_s
