"""`report`: results as a page, `docs/performance.md`, with the roofline plot beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import models, reasons
from benchmarks.results import Results
from benchmarks.table import Row

GOOD_PERCENT = 60
"""Kernels above this share of their limit need no explanation."""

LEAST_SHARE = 2.0
"""Kernels that take less of a run than this, in percent, are not listed."""


def write(titled: Sequence[tuple[str, Path]], to: Path) -> None:
    """Writes a page of the results in files, each under its title.

    Raises OSError and ValueError for files that cannot be read, ImportError without matplotlib.
    """
    sections = [(title, Results.load(path)) for title, path in titled]
    to.parent.mkdir(parents=True, exist_ok=True)
    lines = [*_head(sections[0][1])]
    for title, results in sections:
        lines += ["", f"## {title}", ""]
        if results.command == "roofline":
            lines += _roofline(results, to)
        else:
            lines += _models(results)
    to.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _head(results: Results) -> Iterator[str]:
    machine = results.machine
    packages = machine["packages"]
    yield "# Performance"
    yield ""
    yield (
        "Written by `python -m benchmarks report` from the results of `models` and `roofline`; what"
        " the figures mean is in [benchmarks.md](benchmarks.md)."
    )
    yield ""
    yield (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['vector_bits']}-bit vectors"
        f" (`{machine['llvm_cpu']}`); onnxruntime {packages['onnxruntime']},"
        f" Python {machine['python']}. Load average at the start"
        f" {machine['load_average_1_min']}."
    )
    yield ""
    yield "| threads | GFLOP/s float32 | GB/s copied | GB/s read |"
    yield "|--:|--:|--:|--:|"
    for limit in results.limits:
        yield (
            f"| {limit['threads']} | {limit['fma_gflops']:.0f} | {limit['copy_gb_s']:.1f} |"
            f" {limit['read_gb_s']:.1f} |"
        )


def _models(results: Results) -> Iterator[str]:
    threads = sorted({row["threads"] for row in results.rows})
    others = sorted({key for row in results.rows for key in row if key.endswith("_ratio")})
    heads = ["model"]
    for count in threads:
        heads += [f"ms, {count} T", "onnxruntime", "ratio"]
        heads += [f"{key.removesuffix('_ratio')} ratio" for key in others]
    heads += ["GFLOP/s", "GB/s", "% of limit", "compile s", "cached s", "peak MB", "onnxruntime MB"]
    yield "| " + " | ".join(heads) + " |"
    yield "|---|" + "--:|" * (len(heads) - 1)
    by_name: dict[str, dict[int, Row]] = {}
    for row in results.rows:
        by_name.setdefault(row["name"], {})[row["threads"]] = row
    for name, rows in by_name.items():
        cells = [name]
        for count in threads:
            cells += _times(rows.get(count, {}), others)
        first = rows[threads[0]]
        styles = {"gflops": ".1f", "gb_s": ".1f", "limit_percent": ".0f"}
        styles |= {"compile_s": ".1f", "cached_s": ".2f", "peak_mb": ".0f", "ort_peak_mb": ".0f"}
        cells += [_cell(first, key, style) for key, style in styles.items()]
        yield "| " + " | ".join(cells) + " |"
    yield ""
    yield (
        "Ratios are the other's median time over ours, above 1 we are faster. Rates and `% of"
        f" limit` are those of {threads[0]} thread(s)."
    )
    for count in threads:
        yield ""
        yield f"{count} thread(s): {models.describe(models.summary(results.rows, count))}."


def _times(row: Row, others: Sequence[str]) -> list[str]:
    if "error" in row:
        return ["failed", "", "", *[""] * len(others)]
    ratio = _cell(row, "ratio", ".2f") + (" wrong" if "wrong" in row else "")
    times = [_cell(row, f"{side}_median_ms", ".3g") for side in ("ours", "ort")]
    return [*times, ratio, *(_cell(row, key, ".2f") for key in others)]


def _cell(row: Row, key: str, style: str) -> str:
    value = row.get(key)
    return "" if value is None else format(value, style)


def _roofline(results: Results, to: Path) -> Iterator[str]:
    from benchmarks.plot import draw_roofline

    plot = to.with_name("roofline.svg")
    draw_roofline(results, plot)
    yield f"![roofline]({os.path.relpath(plot, to.parent)})"
    yield ""
    yield (
        "One point per kernel, its area the share of the run. Kernels that reach less than"
        f" {GOOD_PERCENT} % of their limit and take more than {LEAST_SHARE:.0f} % of a run:"
    )
    yield ""
    heads = ["model: kernel", "threads", "ms", "share %", "GFLOP/s", "GB/s", "% of limit"]
    yield "| " + " | ".join([*heads, "what limits it"]) + " |"
    yield "|---|--:|--:|--:|--:|--:|--:|---|"
    for row in results.rows:
        percent = row.get("limit_percent")
        if percent is None or percent >= GOOD_PERCENT or row["share_percent"] < LEAST_SHARE:
            continue
        yield (
            f"| {row['name']} | {row['threads']} | {row['ours_median_ms']:.3f} |"
            f" {row['share_percent']:.1f} | {row['gflops']:.1f} | {row['gb_s']:.1f} |"
            f" {percent:.0f} | {reasons.what_limits(row)} |"
        )
