"""hal-profile: stamps around what takes time, and what the trace says of a run."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import parser

import compiler
from compiler.driver import Request
from compiler.pipeline import Pipeline
from compiler.profiling import chrome_trace, profile, record
from compiler.work import Work
from dialects import hal
from runtime.errors import InputError
from runtime.executable import NativeExecutable
from runtime.trace import Trace

MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
two (float[4, 8] x, float[8, 16] w) => (float[4, 16] z) {
  y = MatMul(x, w)
  z = Softmax(y)
}"""

LOOP = """
<ir_version: 8, opset_import: ["" : 17]>
loop (int64 n, float[4] x) => (float[4] y) {
  y = Loop(n, , x) <body = step (int64 i, bool go, float[4] a) => (bool on, float[4] b) {
    on = Identity(go)
    b = Add(a, a)
  }>
}"""


def pipeline() -> Pipeline:
    return Pipeline.default().until("lower-affine").after("hal-plan-memory", "hal-profile")


def feed() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {"x": (4, 8), "w": (8, 16)}
    return {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}


def test_every_dispatch_is_stamped():
    low = compiler.lower(parser.parse_model(MODEL), to="krnl", passes=pipeline())
    (program,) = (op for op in low.module.ops if isinstance(op, hal.ProgramOp))
    ops = list(program.body.block.ops)
    numbers = [op.event.value.data for op in ops if isinstance(op, hal.StampOp)]
    assert numbers == [0, 2, 3, 4, 5, 1]
    for place, op in enumerate(ops):
        if isinstance(op, hal.DispatchOp):
            assert isinstance(ops[place - 1], hal.StampOp)
            assert isinstance(ops[place + 1], hal.StampOp)


def test_results_and_kernels_stay_the_same():
    model = parser.parse_model(MODEL)
    plain, profiled = compiler.compile(model), compiler.compile(model, passes=pipeline())
    assert profiled.program.manifest["kernels"] == plain.program.manifest["kernels"]
    assert profiled.program.manifest["arena_bytes"] == plain.program.manifest["arena_bytes"]
    assert isinstance(plain.executable, NativeExecutable) and plain.executable.trace is None
    np.testing.assert_array_equal(profiled.run(feed())["z"], plain.run(feed())["z"])


def test_a_profile_names_kernels_nodes_and_work():
    run = profile(Request.of(parser.parse_model(MODEL)), feed())
    product, softmax = run.spans
    assert product.work == Work(2 * 4 * 8 * 16, 4 * (4 * 8 + 8 * 16 + 4 * 16))
    assert softmax.work == Work(5 * 4 * 16, 2 * 4 * 4 * 16)
    assert product.begin_ns >= 0 and softmax.begin_ns >= product.begin_ns + product.duration_ns
    assert 0 < product.least_ns <= product.duration_ns
    assert softmax.begin_ns + softmax.duration_ns <= run.duration_ns and run.lost == 0
    events = chrome_trace(run, "two")["traceEvents"]
    assert [event["name"] for event in events[1:]] == ["run", product.name, softmax.name]
    assert events[2]["args"]["flops"] == 1024 and events[2]["dur"] == product.duration_ns / 1e3


def test_loops_are_recorded_each_time():
    network = compiler.compile(parser.parse_model(LOOP), passes=pipeline())
    x = np.ones(4, np.float32)
    counts = []
    for trips in (1, 5):
        run = record(network, {"n": np.int64(trips), "x": x}, {})
        counts.append(sum(span.name.startswith("add") for span in run.spans))
    assert counts == [1, 5]


def test_a_full_trace_counts_what_it_loses():
    network = compiler.compile(parser.parse_model(MODEL), passes=pipeline())
    executable = network.executable
    assert isinstance(executable, NativeExecutable)
    executable.trace = Trace(capacity=2)
    network.run(feed())
    assert executable.trace.lost == 4
    assert [event for event, _ in executable.trace.events()] == [0, 1]
    executable.trace.clear()
    assert executable.trace.lost == 0 and not list(executable.trace.events())


def test_text_is_not_profiled(tmp_path):
    path = tmp_path / "two.mlir"
    path.write_text(compiler.lower(parser.parse_model(MODEL), to="onnx").as_text())
    with pytest.raises(InputError, match="a profile needs a model"):
        profile(Request.of(path), feed())
