"""Both sides of a comparison: sessions with the same threads, timed in turn, results compared."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.table import Row
from compiler.cli.compare import Tolerance, difference
from compiler.timing import interleave

Feed = Mapping[str, np.ndarray]
Model = str | bytes


def open_ours(model: Model, threads: int) -> Any:
    """Our session. Raises what compiling raises."""
    import compiler

    options = compiler.SessionOptions(intra_op_num_threads=threads)
    return compiler.InferenceSession(model, options)


def open_onnxruntime(model: Model, threads: int) -> Any:
    """onnxruntime's session, with its default settings but for the threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def token_feed(session: Any, batch: int, length: int) -> dict[str, np.ndarray]:
    """Seeded token ids for a language model with one input and logits as its first output."""
    vocabulary = session.get_outputs()[0].shape[-1]
    tokens = np.random.default_rng(0).integers(0, vocabulary, (batch, length), np.int64)
    return {session.get_inputs()[0].name: tokens}


def compare_speed(
    model: Model, feed: Feed, threads: int, seconds: float, slack: float = 0.0
) -> Row:
    """Opens both sessions, compares what they compute (`compare_results`), and times them."""
    ours, theirs = open_ours(model, threads), open_onnxruntime(model, threads)
    names = [entry.name for entry in theirs.get_outputs()]
    row = compare_results(names, ours.run(names, feed), theirs.run(names, feed), slack)
    others: dict[str, Any] = {}
    if "iree" in peers.installed() and isinstance(model, str):
        try:
            others["iree"] = peers.open_iree(model, threads, feed)
        except Exception as error:
            # Whatever keeps another runtime from a model is a result, not an end.
            row["iree_error"] = " ".join(str(error).split())[:300]
    return row | time_sessions(ours, theirs, feed, threads, seconds, others)


def time_sessions(
    ours: Any,
    theirs: Any,
    feed: Feed,
    threads: int,
    seconds: float,
    others: Mapping[str, Any] = MappingProxyType({}),
) -> Row:
    """Times `run` of both sessions, and calls of ``others``, in turn.

    The row has ``ours_median_ms``, ``ours_best_ms``, ``ours_samples``, the same for ``ort`` and the
    others; ``ratio`` is onnxruntime's median over ours, above 1 is better, as are ``NAME_ratio``.
    """
    calls: dict[str, Any] = {
        "ours": lambda: ours.run(None, feed),
        "ort": lambda: theirs.run(None, feed),
        **others,
    }
    timings = interleave(calls, seconds, threads)
    row: Row = {}
    for name, timing in timings.items():
        row[f"{name}_median_ms"] = round(timing.median_seconds * 1e3, 6)
        row[f"{name}_best_ms"] = round(timing.best_seconds * 1e3, 6)
        row[f"{name}_samples"] = timing.samples
    least = timings["ours"].median_seconds
    ratios = {f"{name}_ratio": timings[name].median_seconds / least for name in others}
    return row | {"ratio": timings["ort"].median_seconds / least, **ratios}


def compare_results(
    names: Sequence[str], got: Sequence[Any], want: Sequence[Any], slack: float = 0.0
) -> Row:
    """``max_error`` over all outputs, and ``wrong``: the first output that differs too much.

    Floats may differ by 1e-4 of the output's scale plus 1e-3 of the value, half precision by 5e-3
    and 2e-2. ``slack`` is how far onnxruntime with and without its optimizations disagree, as part
    of the scale: three times as much is allowed, for quantized models.
    """
    row: Row = {"max_error": 0.0}
    for name, ours, theirs in zip(names, got, want, strict=True):
        for left, right in zip(_tensors(ours), _tensors(theirs), strict=True):
            found = difference(left, right, _tolerance(right.dtype, slack))
            row["max_error"] = max(row["max_error"], min(float(found.largest), 1e300))
            if found.reason:
                row.setdefault("wrong", f"output {name}: {found.reason}")
    return row


def _tensors(value: Any) -> list[np.ndarray]:
    """One output as tensors: a sequence of maps as its keys and its values, a row a map."""
    if not isinstance(value, list | tuple):
        return [np.asarray(value)]
    if value and isinstance(value[0], dict):
        return [np.asarray(list(value[0])), np.asarray([list(row.values()) for row in value])]
    return [np.asarray(part) for part in value]


def _tolerance(dtype: np.dtype, slack: float) -> Tolerance:
    half = dtype.kind == "f" and dtype.itemsize < 4
    return Tolerance(2e-2 if half else 1e-3, max(5e-3 if half else 1e-4, 3 * slack))


def file_bytes(path: str) -> int:
    """The size of a model with its external data."""
    import onnx

    folder = os.path.dirname(path)
    graph = onnx.load(path, load_external_data=False).graph
    files = {
        entry.value
        for tensor in graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return sum(map(os.path.getsize, [path, *(os.path.join(folder, name) for name in files)]))
