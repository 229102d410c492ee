"""Models of one operator: our arithmetic rate, onnxruntime's, and shares of the machine's peak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks import child
from benchmarks.options import Options
from benchmarks.results import Results
from benchmarks.sessions import compare_speed
from benchmarks.table import Column, Row, Table

OPSET = 17

TABLE = Table(
    [
        Column("name", "case", width=30),
        Column("threads", "threads", width=7),
        Column("ours_median_ms", "ours ms", ".4f"),
        Column("ort_median_ms", "ort ms", ".4f"),
        Column("ratio", "ort/ours", ".2f", 8),
        Column("ours_gflops", "GFLOP/s", ".1f"),
        Column("ours_peak_percent", "% of peak", ".0f", 9),
        Column("ort_gflops", "ort", ".1f", 7),
        Column("ort_peak_percent", "%", ".0f", 4),
        Column("ours_gb_s", "GB/s", ".1f", 6),
        Column("max_error", "max error", ".1e", 9),
    ]
)


@dataclass(frozen=True)
class Case:
    """An operator on an input and a constant weight, both float32.

    ``flops`` counts multiplications and additions of one run. ``attributes`` are the operator's.
    """

    name: str
    operator: str
    input_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    flops: int
    attributes: dict[str, Any]

    @property
    def nbytes(self) -> int:
        """The least memory traffic: each operand once."""
        shapes = (self.input_shape, self.weight_shape, self.output_shape)
        return 4 * sum(int(np.prod(shape)) for shape in shapes)


def run(command: str, cases: Sequence[Case], options: Options) -> Results:
    """Times every case with every number of threads."""
    results = Results(command)
    results.measure_limits(options.threads)
    TABLE.print_heading()
    for case in cases:
        if options.only and case.name not in options.only:
            continue
        for threads in options.threads:
            row = _row(case, threads, options.seconds)
            _add_rates(row, case, results.limit(threads, "fma_gflops"))
            results.rows.append(row)
            TABLE.print_row(row)
            if "wrong" in row:
                print(f"  WRONG: {row['wrong']}")
    return results


def _row(case: Case, threads: int, seconds: float) -> Row:
    row: Row = {"name": case.name, "threads": threads}
    arguments = {"case": asdict(case), "threads": threads, "seconds": seconds}
    try:
        return row | child.call("benchmarks.kernels:measure", arguments)
    except child.ChildError as error:
        return row | {"error": str(error)}


def _add_rates(row: Row, case: Case, peak: float | None) -> None:
    for side in ("ours", "ort"):
        if f"{side}_median_ms" in row:
            seconds = row[f"{side}_median_ms"] / 1e3
            row[f"{side}_gflops"] = case.flops / seconds / 1e9
            row[f"{side}_gb_s"] = case.nbytes / seconds / 1e9
            row[f"{side}_peak_percent"] = peak and 100 * row[f"{side}_gflops"] / peak


def measure(case: dict[str, Any], threads: int, seconds: float) -> Row:
    """One case, in a process of its own."""
    built = Case(**case)
    rng = np.random.default_rng(0)
    weight = rng.standard_normal(built.weight_shape, np.float32)
    feed = {"x": rng.standard_normal(built.input_shape, np.float32)}
    return compare_speed(model_of(built, weight), feed, threads, seconds)


def model_of(case: Case, weight: np.ndarray) -> bytes:
    """The ONNX model of a case."""
    from onnx import TensorProto, helper, numpy_helper

    node = helper.make_node(case.operator, ["x", "w"], ["y"], name=case.name, **case.attributes)
    graph = helper.make_graph(
        [node],
        case.operator,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, case.input_shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, case.output_shape)],
        [numpy_helper.from_array(weight, "w")],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
