"""`overhead`: what one call costs when there is next to nothing to compute."""

from __future__ import annotations

import numpy as np

from benchmarks import child
from benchmarks.options import Options
from benchmarks.results import Results
from benchmarks.table import Column, Row, Table
from compiler.timing import interleave

TABLE = Table(
    [
        Column("name", "call", width=26),
        Column("threads", "threads", width=7),
        Column("median_us", "median us", ".2f"),
        Column("best_us", "best us", ".2f"),
        Column("samples", "samples"),
    ]
)

ELEMENTS = 16


def run(options: Options) -> Results:
    """Times the calls with every number of threads."""
    results = Results("overhead")
    TABLE.print_heading()
    for threads in options.threads:
        for row in _rows(threads, options.seconds):
            if not options.only or row["name"] in options.only:
                results.rows.append(row)
                TABLE.print_row(row)
    return results


def _rows(threads: int, seconds: float) -> list[Row]:
    arguments = {"threads": threads, "seconds": seconds}
    try:
        return child.call("benchmarks.overhead:measure", arguments)["rows"]
    except child.ChildError as error:
        return [{"name": "all", "threads": threads, "error": str(error)}]


def measure(threads: int, seconds: float) -> dict[str, list[Row]]:
    """Calls of y = x + b of `ELEMENTS` floats, in a process of its own."""
    import compiler
    from benchmarks.sessions import open_onnxruntime, open_ours

    model = tiny_model()
    net = compiler.compile(model, device=f"cpu:threads={threads}")
    session, other = open_ours(model, threads), open_onnxruntime(model, threads)
    x, y = np.ones((1, ELEMENTS), np.float32), np.empty((1, ELEMENTS), np.float32)
    feed, outputs = {"x": x}, {"y": y}
    calls = {
        "net(x)": lambda: net(x),
        "session.run(None, feed)": lambda: session.run(None, feed),
        "net.run_into(feed, outputs)": lambda: net.run_into(feed, outputs),
        "onnxruntime run(None, feed)": lambda: other.run(None, feed),
    }
    timings = interleave(calls, seconds, threads)
    rows = [
        {
            "name": name,
            "threads": threads,
            "median_us": round(timing.median_seconds * 1e6, 3),
            "best_us": round(timing.best_seconds * 1e6, 3),
            "samples": timing.samples,
        }
        for name, timing in timings.items()
    ]
    return {"rows": rows}


def tiny_model() -> bytes:
    """One addition of a constant, all sizes known."""
    from onnx import TensorProto, helper, numpy_helper

    shape = (1, ELEMENTS)
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "b"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.ones(shape, np.float32), "b")],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
