"""Plots; needs matplotlib (`pip install 'onnx-terrace[bench]'`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.results import Results
from benchmarks.table import Row

LARGEST_POINT = 300.0
"""The area, in points, of a kernel that takes a whole run."""


def draw_roofline(results: Results, path: Path) -> None:
    """One point per kernel: operations per byte against GFLOP/s, its area its share of the run.

    A figure for each number of threads, side by side. Raises ImportError without matplotlib.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    counts = [entry["threads"] for entry in results.limits]
    size = (8 * len(counts), 6)
    figure, axes = pyplot.subplots(1, len(counts), figsize=size, squeeze=False)
    for axis, threads in zip(axes[0], counts, strict=True):
        rows = [row for row in results.rows if row["threads"] == threads and row.get("flops")]
        _draw(axis, rows, results.limit(threads, "fma_gflops"), results.memory_gb_s(threads))
        axis.set_title(f"{results.machine['cpu']}, {threads} thread(s)")
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def _draw(axis: Any, rows: list[Row], peak: float | None, memory: float) -> None:
    models: dict[str, list[Row]] = {}
    for row in rows:
        models.setdefault(row["name"].partition(":")[0], []).append(row)
    for model, kernels in models.items():
        axis.scatter(
            [row["flops"] / row["bytes"] for row in kernels],
            [row["gflops"] for row in kernels],
            s=[4 + LARGEST_POINT * row["share_percent"] / 100 for row in kernels],
            alpha=0.6,
            label=model,
        )
    if peak:
        ridge = peak / memory
        axis.plot([0.01, ridge, 10_000], [0.01 * memory, peak, peak], color="black", linewidth=1)
    axis.set(xscale="log", yscale="log", xlabel="operations per byte", ylabel="GFLOP/s")
    axis.legend(fontsize="small")
