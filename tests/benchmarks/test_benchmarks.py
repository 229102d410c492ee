"""The benchmarks measure what they say. Nothing here asserts how long something takes."""

from __future__ import annotations

import ctypes
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from benchmarks import (
    baseline,
    child,
    gpt2,
    limits,
    models,
    overhead,
    plot,
    reasons,
)
from benchmarks.__main__ import main
from benchmarks.folders import find_models, load_feed
from benchmarks.options import Options
from benchmarks.results import Results
from benchmarks.sessions import compare_results
from benchmarks.table import Column, Table, geometric_mean
from compiler.codegen import compile_text
from compiler.target import Target
from compiler.timing import interleave
from runtime.jit import load_objects


def test_calls_take_turns():
    order: list[str] = []
    calls = {name: lambda name=name: order.append(name) for name in "ab"}
    timings = interleave(calls, seconds=0.0)
    assert all(timing.samples > 0 for timing in timings.values())
    assert all(timing.best_seconds <= timing.median_seconds for timing in timings.values())
    switches = sum(left != right for left, right in pairwise(order))
    # Warming up a and b, then at least three turns of each.
    assert switches >= 7


def test_child_gives_results_and_reasons():
    assert abs(child.call("benchmarks.table:geometric_mean", {"values": [2.0, 8.0]}) - 4) < 1e-9
    with pytest.raises(child.ChildError, match="TypeError: 'int' object is not iterable"):
        child.call("benchmarks.folders:find_models", {"places": 1})


def test_a_crash_is_a_reason():
    with pytest.raises(child.ChildError, match="SIGABRT"):
        child.call("os:abort", {})


def test_results_are_compared_by_scale():
    want = np.array([1000.0, 1.0], np.float32)
    assert "wrong" not in compare_results(["y"], [want + 0.05], [want])
    assert compare_results(["y"], [want + 0.5], [want])["wrong"] == "output y: differs by 0.5"
    assert "wrong" not in compare_results(["y"], [want + 0.5], [want], slack=1e-3)
    assert "wrong" in compare_results(["y"], [np.full(2, np.nan, np.float32)], [want])
    assert "shape" in compare_results(["y"], [want[:1]], [want])["wrong"]
    maps = [{"cat": 0.25, "dog": 0.75}]
    assert "wrong" not in compare_results(["y"], [maps], [maps])
    assert "wrong" in compare_results(["y"], [[{"cat": 0.5, "dog": 0.5}]], [maps])


def results(**row: object) -> Results:
    return Results("models", {"cpu": "any"}, rows=[{"name": "m", "threads": 1, **row}])


def test_baseline_shows_our_times_only():
    old = results(ours_median_ms=1.0, ours_best_ms=1.0, ort_median_ms=1.0, ours_gb_s=1.0)
    new = results(ours_median_ms=1.5, ours_best_ms=9.0, ort_median_ms=2.0, ours_gb_s=9.0)
    (change,) = baseline.changes(old, new)
    assert str(change) == (
        "m (1 threads): ours_median 1 -> 1.5 ms, 1.50 x slower (onnxruntime's time x 2.00)"
    )
    assert "1.50 x faster" in str(baseline.changes(new, old)[0])
    assert baseline.changes(old, results(ours_median_ms=1.03)) == []


def test_baseline_shows_new_failures():
    fine, wrong = results(ours_median_ms=1.0), results(ours_median_ms=1.0, wrong="output y")
    assert baseline.newly_failed(fine, wrong) == ["m: output y"]
    assert baseline.newly_failed(wrong, wrong) == []


def test_results_survive_a_file(tmp_path: Path):
    path = tmp_path / "out.json"
    kept = Results("models", rows=[{"name": "1x1x1"}])
    kept.save(path)
    assert Results.load(path) == kept
    path.write_text('{"format": 99}')
    with pytest.raises(ValueError, match="no results file"):
        Results.load(path)


def test_tables_align(capsys: pytest.CaptureFixture[str]):
    table = Table([Column("name", "model", width=6), Column("ms", "ms", ".1f", 5)])
    table.print_heading()
    table.print_row({"name": "a", "ms": 1.25})
    table.print_row({"name": "b", "ms": None})
    table.print_row({"name": "c", "threads": 2, "error": "crashed"})
    assert capsys.readouterr().out.splitlines() == [
        "model     ms",
        "a        1.2",
        "b          -",
        "c (2 threads): crashed",
    ]
    assert geometric_mean([]) is None


def test_limit_loops_compute():
    lanes, chains = 4, limits.ACCUMULATORS
    target = Target.host()
    code = compile_text(limits.kernels_text(lanes, target.function_attributes), target)
    library = load_objects([code], ["fma_loop", "read_loop"])
    sink = np.zeros(lanes, np.float32)
    pointer, count, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
    fma = ctypes.CFUNCTYPE(None, count, number, number, pointer)(library.addresses["fma_loop"])
    fma(2, 0.5, 1.0, sink.ctypes.data)
    # a -> a / 2 + 1, twice, from 0, 1, 2, ...
    np.testing.assert_allclose(sink, sum(k / 4 + 1.5 for k in range(chains)))
    read = ctypes.CFUNCTYPE(None, pointer, count, pointer)(library.addresses["read_loop"])
    data = np.arange(3 * chains * lanes, dtype=np.float32)
    read(data.ctypes.data, 3, sink.ctypes.data)
    # The chains begin with 0, 1, 2, ...
    want = data.reshape(-1, lanes).sum(0) + sum(range(chains))
    np.testing.assert_allclose(sink, want)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of one real model's folder: one addition."""
    place = tmp_path / "set" / "tiny"
    place.mkdir(parents=True)
    (place / "model.onnx").write_bytes(overhead.tiny_model())
    arrays: dict[str, Any] = {"s0.i0": np.ones((1, overhead.ELEMENTS), np.float32)}
    np.savez(place / "inputs.npz", **arrays)
    entry = {"inputs": {"x": {"key": "s0.i0"}}, "outputs": {"y": [{"key": "s0.o0"}]}}
    (place / "meta.json").write_text(json.dumps({"sets": [entry]}))
    return place.parent


def test_models_are_found(folder: Path):
    model = folder / "tiny" / "model.onnx"
    assert find_models([folder]) == find_models([folder / "tiny"]) == find_models([model])
    assert load_feed(model)[0]["x"].shape == (1, overhead.ELEMENTS)
    with pytest.raises(ValueError, match="no such model: other"):
        find_models([folder], ["other"])


def test_a_model_is_timed_on_both_sides(folder: Path):
    row = models.measure(str(folder / "tiny" / "model.onnx"), threads=1, seconds=0.0)
    assert row["ours_samples"] and row["ort_samples"] and row["max_error"] == 0.0
    assert row["ratio"] == pytest.approx(row["ort_median_ms"] / row["ours_median_ms"], rel=1e-2)
    named = {"name": "tiny", "threads": 1} | row
    numbers = models.summary([named, {"name": "bad", "threads": 1, "error": "x"}], 1)
    assert (numbers["models"], numbers["timed"], numbers["right"]) == (2, 1, 1)
    assert numbers["ratio_geometric_mean"] == pytest.approx(row["ratio"])


def test_models_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out, page = tmp_path / "models.json", tmp_path / "page.md"
    arguments = ["models", str(folder), "--threads", "1", "--seconds", "0", "--json", str(out)]
    assert main(arguments) == 0
    (row,) = Results.load(out).rows
    assert (row["flops"], row["bytes"]) == (overhead.ELEMENTS, 12 * overhead.ELEMENTS)
    assert row["gflops"] == pytest.approx(row["flops"] / row["ours_median_ms"] / 1e6)
    assert row["compile_s"] > row["cached_s"] > 0
    assert row["cold_peak_mb"] > row["peak_mb"] > 1 and row["ort_peak_mb"] > 1
    assert row["limit_percent"] > 0
    assert "right" in capsys.readouterr().out
    assert main(["report", f"Small ones={out}", "--to", str(page)]) == 0
    text = page.read_text()
    assert "## Small ones" in text and "| tiny |" in text and "geometric mean" in text


def test_roofline_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "roofline.json"
    assert main(["roofline", str(folder), "--threads", "1", "--json", str(out)]) == 0
    found = Results.load(out)
    (row,) = found.rows
    assert row["name"].startswith("tiny: add") and row["calls"] == 1
    assert (row["flops"], row["bytes"]) == (overhead.ELEMENTS, 12 * overhead.ELEMENTS)
    assert row["limited_by"] == "memory"
    nanoseconds = row["bytes"] / found.memory_gb_s(1)
    assert row["limit_percent"] == pytest.approx(1e-4 * nanoseconds / row["ours_median_ms"])
    assert "% of limit" in capsys.readouterr().out


def test_roofline_is_drawn(tmp_path: Path):
    pytest.importorskip("matplotlib")
    kernel = {"flops": 8, "bytes": 4, "gflops": 2.0, "share_percent": 50.0}
    limits = [{"threads": 1, "fma_gflops": 90.0, "copy_gb_s": 12.0, "read_gb_s": 10.0}]
    rows = [{"name": "tiny: add", "threads": 1, **kernel}]
    plot.draw_roofline(Results("roofline", limits=limits, rows=rows), tmp_path / "roof.svg")
    assert "<svg" in (tmp_path / "roof.svg").read_text()


def test_a_page_explains_slow_kernels(tmp_path: Path):
    pytest.importorskip("matplotlib")
    kernel = {"flops": 8, "bytes": 4, "gflops": 2.0, "gb_s": 1.0, "threads": 1, "calls": 1}
    kernel |= {"share_percent": 50.0, "ours_median_ms": 1.0, "limited_by": "memory"}
    slow = {"name": "m: softmax_12x12", "limit_percent": 10.0}
    fast = {"name": "m: gemm_8x8", "limit_percent": 90.0}
    limits = [{"threads": 1, "fma_gflops": 90.0, "copy_gb_s": 12.0, "read_gb_s": 10.0}]
    found = Results("roofline", limits=limits, rows=[kernel | slow, kernel | fast])
    found.save(tmp_path / "r.json")
    page = tmp_path / "docs" / "performance.md"
    assert main(["report", f"Kernels={tmp_path / 'r.json'}", "--to", str(page)]) == 0
    assert "softmax_12x12" in page.read_text() and "gemm_8x8" not in page.read_text()
    assert "<svg" in (tmp_path / "docs" / "roofline.svg").read_text()
    assert reasons.what_limits(kernel | slow).startswith("exp")
    assert (
        reasons.what_limits(kernel | slow | {"ours_median_ms": 1e-3}) == "1.0 us a call: its start"
    )


def test_compile_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "compile.json"
    assert main(["compile", str(folder), "--passes", "--json", str(out)]) == 0
    (row,) = Results.load(out).rows
    assert row["dispatches"] == row["kernels"] == 1
    assert {"to_onnx_s", "to_krnl_s", "to_affine_s", "to_llvm_s", "code_s"} <= row.keys()
    parts = ("start_s", "import_compiler_s", "model_import_s", "passes_s", "code_s", "other_s")
    assert row["total_s"] == pytest.approx(sum(row[key] for key in parts), abs=1e-3)
    assert row["cached_total_s"] > 0 and row["cached_peak_mb"] > 1
    assert "lower-krnl" in capsys.readouterr().out


def test_overhead_command(tmp_path: Path):
    out = tmp_path / "overhead.json"
    arguments = ["overhead", "--threads", "1", "--seconds", "0", "--json", str(out)]
    assert main([*arguments]) == 0
    assert main([*arguments, "--baseline", str(out)]) == 0
    assert [row["name"] for row in Results.load(out).rows] == [
        "net(x)",
        "session.run(None, feed)",
        "net.run_into(feed, outputs)",
        "onnxruntime run(None, feed)",
    ]


def language_model(batch: int | str, length: int | str) -> onnx.ModelProto:
    """Token ids that pick rows of a table: logits over 8 tokens."""
    table = helper.make_tensor("table", TensorProto.FLOAT, [8, 8], np.eye(8).ravel())
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, [batch, length])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, length, 8])
    nodes = [helper.make_node("Gather", ["table", "ids"], ["logits"])]
    graph = helper.make_graph(nodes, "language", [ids], [logits], [table])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_language_models_run_at_every_length(tmp_path: Path):
    path = tmp_path / "language.onnx"
    onnx.save(language_model("batch", "sequence"), path)
    shapes = gpt2.token_shapes(path, Options(lengths=[4, 2]))
    assert shapes == [(1, 1), (1, 2), (1, 4)]
    rows = gpt2.measure(str(path), 1, 0.0, shapes)["rows"]
    assert [row["tokens"] for row in rows] == [1, 2, 4]
    assert all("wrong" not in row and row["max_error"] == 0 for row in rows)
    onnx.save(language_model(2, 3), path)
    assert gpt2.token_shapes(path, Options(lengths=[4])) == [(2, 3)]


def test_other_models_are_no_language_models(tmp_path: Path):
    path = tmp_path / "tiny.onnx"
    path.write_bytes(overhead.tiny_model())
    with pytest.raises(ValueError, match="does not take int64 token ids"):
        gpt2.token_shapes(path, Options())
