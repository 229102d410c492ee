"""From a new process to a session: the children of `compile` and `gpt2`.

Only the standard library is imported before the clock is read.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.child import peak_megabytes, seconds_since

if TYPE_CHECKING:
    import numpy as np

    from compiler.report import Report


def ours(
    model: str, begun: float, threads: int = 0, tokens: tuple[int, int] | None = None
) -> dict[str, Any]:
    """Makes our session and runs it once, if there are inputs: those of the model's folder, or
    ``tokens`` of this batch and length.

    ``begun`` is the parent's `time.monotonic()` when it started this process. Seconds:
    ``start_s`` until Python runs us, ``import_compiler_s``, ``session_s``, ``first_run_s``, and
    ``total_s``, which is all of it but the first run: that counts only for a model which is
    compiled for the shapes of its inputs, and then (``specialized``) belongs to compiling.
    """
    row: dict[str, Any] = {"start_s": seconds_since(begun)}
    clock = time.monotonic()
    from compiler import InferenceSession, SessionOptions

    row["import_compiler_s"] = seconds_since(clock)
    clock = time.monotonic()
    session = InferenceSession(model, SessionOptions(intra_op_num_threads=threads))
    row["session_s"] = seconds_since(clock)
    row["total_s"] = seconds_since(begun)
    row["specialized"] = session.specialized is not None
    feed = _run_once(session, model, tokens, row)
    if row["specialized"]:
        row["total_s"] += row.get("first_run_s", 0.0)
    return _rounded(row) | _phases(_report(session, model, feed), row)


def onnxruntime(
    model: str, begun: float, threads: int = 0, tokens: tuple[int, int] | None = None
) -> dict[str, Any]:
    """The same for onnxruntime's session: ``total_s``, ``first_run_s`` and the peaks."""
    from benchmarks.sessions import open_onnxruntime

    session = open_onnxruntime(model, threads)
    row: dict[str, Any] = {"total_s": seconds_since(begun)}
    _run_once(session, model, tokens, row)
    return _rounded(row)


def _run_once(
    session: Any, model: str, tokens: tuple[int, int] | None, row: dict[str, Any]
) -> dict[str, np.ndarray] | None:
    """Notes the peaks of memory before and after a run, and how long it takes."""
    row["ready_peak_mb"] = peak_megabytes()
    feed = _feed(session, model, tokens)
    if feed is not None:
        clock = time.monotonic()
        session.run(None, feed)
        row["first_run_s"] = seconds_since(clock)
    row["peak_mb"] = peak_megabytes()
    return feed


def _feed(session: Any, model: str, tokens: tuple[int, int] | None) -> dict[str, np.ndarray] | None:
    from benchmarks.folders import load_feed
    from benchmarks.sessions import token_feed

    if tokens is not None:
        return token_feed(session, *tokens)
    path = Path(model)
    return load_feed(path)[0] if (path.parent / "inputs.npz").exists() else None


def _report(session: Any, model: str, feed: dict[str, np.ndarray] | None) -> Report | None:
    """What the compiler noted, as the program keeps it."""
    from compiler.report import Report

    if session.network is not None:
        return Report.from_json(session.network.program.manifest["report"])
    if feed is None:
        return None
    # The program for these shapes comes from the cache: it was just made.
    from compiler.driver import Request, build
    from compiler.source import Source
    from compiler.target import Target

    shapes = {name: array.shape for name, array in feed.items()}
    return build(Request(Source.of(Path(model)), Target.host(), shapes=shapes)).report


def _phases(report: Report | None, row: dict[str, Any]) -> dict[str, Any]:
    """A report's entries of a row."""
    if report is None:
        return {}
    stages = {f"to_{stage}_s": seconds for stage, seconds in report.stage_seconds().items()}
    found = {
        **stages,
        "model_import_s": report.import_seconds,
        "passes_s": sum(stages.values()),
        "code_s": report.code_seconds,
        "other_s": row["total_s"] - row["start_s"] - row["import_compiler_s"] - report.seconds,
        "deduplicated_percent": 100 * report.shared,
        "object_kb": report.object_bytes / 1e3,
        "constant_mb": report.constant_bytes / 1e6,
    }
    return _rounded(found) | {
        "nodes": report.nodes,
        "dispatches": report.dispatches,
        "kernels": report.kernels,
        "passes": report.as_json()["passes"],
    }


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {key: round(v, 5) if isinstance(v, float) else v for key, v in row.items()}
