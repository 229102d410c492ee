"""`compile`: where compile time goes, cold and from the cache, each in a fresh process."""

from __future__ import annotations

import compileall
import importlib
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import child
from benchmarks.folders import find_models, name_of
from benchmarks.options import Options
from benchmarks.results import Results
from benchmarks.table import Column, Row, Table

TABLE = Table(
    [
        Column("name", "model", width=30),
        Column("total_s", "total s", ".2f", 7),
        Column("cached_total_s", "cached s", ".2f", 8),
        Column("start_s", "process", ".2f", 7),
        Column("import_compiler_s", "import", ".2f", 6),
        Column("model_import_s", "read", ".3f", 6),
        Column("to_onnx_s", "onnx", ".3f", 6),
        Column("to_krnl_s", "krnl", ".3f", 6),
        Column("to_affine_s", "affine", ".3f", 6),
        Column("to_llvm_s", "llvm", ".3f", 6),
        Column("code_s", "LLVM", ".3f", 6),
        Column("other_s", "other", ".3f", 6),
        Column("nodes", "nodes", width=6),
        Column("dispatches", "calls", width=6),
        Column("kernels", "kernels", width=7),
        Column("deduplicated_percent", "shared %", ".0f", 8),
        Column("peak_mb", "peak MB", ".0f", 7),
        Column("cached_peak_mb", "cached", ".0f", 6),
    ]
)

SLOWEST_PASSES = 12


def run(options: Options) -> Results:
    """Compiles every model twice: into an empty cache, and from it."""
    models = find_models(options.paths, options.only)
    results = Results("compile")
    write_byte_code()
    TABLE.print_heading()
    for model in models:
        row = _row(model)
        results.rows.append(row)
        TABLE.print_row(row)
    if options.passes:
        _print_passes(results.rows)
    results.summary = _summary(results.rows)
    print(
        f"{len(models)} models, {results.summary['compiled']} compiled:"
        f" {results.summary['total_s']:.1f} s, from the cache"
        f" {results.summary['cached_total_s']:.1f} s"
    )
    return results


def write_byte_code() -> None:
    """Gives our packages byte code, as installing them does.

    A checkout has none at first, or never where PYTHONDONTWRITEBYTECODE is set: parsing 250 files
    in each process takes 0.7 s more.
    """
    for name in ("compiler", "dialects", "passes", "runtime"):
        home = importlib.import_module(name).__file__
        assert home is not None
        compileall.compile_dir(Path(home).parent, quiet=2)


def _row(model: Path) -> Row:
    row: Row = {"name": name_of(model)}
    try:
        with tempfile.TemporaryDirectory(prefix="benchmark-cache-") as cache:
            row |= start_ours(model, cache)
            again = start_ours(model, cache)
    except child.ChildError as error:
        return row | {"error": str(error)}
    kept = ("total_s", "session_s", "first_run_s", "ready_peak_mb", "peak_mb")
    return row | {f"cached_{key}": again[key] for key in kept if key in again}


def start_ours(
    model: Path, cache: str, threads: int = 0, tokens: Sequence[int] | None = None
) -> Row:
    """A new process makes our session with the cache in this folder; see `startup.ours`."""
    arguments = {"model": str(model), "threads": threads, "tokens": tokens}
    arguments["begun"] = time.monotonic()
    environment = {"TERRACE_CACHE_DIR": cache, "TERRACE_CACHE": "1"}
    return child.call("benchmarks.startup:ours", arguments, environment)


def _print_passes(rows: Sequence[Row]) -> None:
    """The passes that take longest, over all models."""
    print("passes, seconds over all models:")
    for (stage, name), seconds in list(pass_seconds(rows).items())[:SLOWEST_PASSES]:
        print(f"  {seconds:8.3f}  {stage:8} {name}")


def pass_seconds(rows: Sequence[Row]) -> Mapping[tuple[str, str], float]:
    """Seconds by stage and pass, the longest first."""
    total: dict[tuple[str, str], float] = defaultdict(float)
    for row in rows:
        for stage, name, seconds in row.get("passes", ()):
            total[stage, name] += seconds
    return dict(sorted(total.items(), key=lambda entry: -entry[1]))


def _summary(rows: Sequence[Row]) -> Row:
    compiled = [row for row in rows if "error" not in row]
    return {
        "models": len(rows),
        "compiled": len(compiled),
        "total_s": sum(row["total_s"] for row in compiled),
        "cached_total_s": sum(row["cached_total_s"] for row in compiled),
    }
