"""`--autotune`: schedules that are measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from numerics.harness import make_model
from onnx import ModelProto, helper

import compiler
from compiler import autotune
from compiler.cli import main
from compiler.lowered import Lowered
from compiler.timing import Call, Timing

ROWS, DEPTH, COLUMNS = 60, 96, 128


def product(rows: int | str = ROWS) -> ModelProto:
    """A product that is large enough to be measured, and a sum that is not."""
    weights = np.random.default_rng(0).standard_normal((DEPTH, COLUMNS), np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"]),
        helper.make_node("Softmax", ["p"], ["s"]),
        helper.make_node("ReduceSum", ["s", "axes"], ["y"], keepdims=0),
    ]
    constants = {"w": weights, "axes": np.array([1])}
    return make_model(nodes, {"x": (np.float32, [rows, DEPTH])}, constants)


class Clock:
    """Times as a test wants them, in the order of the candidates; counts what is measured."""

    def __init__(self, seconds: list[float]) -> None:
        self.seconds = seconds
        self.measured: list[int] = []

    def __call__(self, calls: Mapping[str, Call], seconds: float) -> dict[str, Timing]:
        self.measured.append(len(calls))
        for call in calls.values():
            call()
        times = [*self.seconds, *[self.seconds[-1]] * len(calls)]
        return {name: Timing(time, time, 1) for name, time in zip(calls, times, strict=False)}


def tuned(low: Lowered) -> list[dict[str, int]]:
    """The choices that stand on a module's kernels."""
    found = [op.attributes.get("krnl.tuned") for op in low.module.ops]
    return [{k: v.value.data for k, v in entry.data.items()} for entry in found if entry]  # type: ignore[union-attr]


def lowered(model: ModelProto) -> Lowered:
    request = compiler.driver.Request.of(model, autotune=True)
    return compiler.driver.lower_request(request, "krnl")


@pytest.mark.usefixtures("fresh_cache")
def test_the_fastest_schedule_is_taken_and_right(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock([1.0, 0.5, 0.7])
    monkeypatch.setattr(autotune, "interleave", clock)
    x = np.random.default_rng(1).standard_normal((ROWS, DEPTH), np.float32)
    want = compiler.compile(product(), cache=False)(x)
    low = lowered(product())
    assert len(clock.measured) == 1, "what else there is has one schedule, or does too little"
    (schedule,) = {tuple(choice) for choice in tuned(low)} or {()}
    assert schedule, "not the usual one"
    np.testing.assert_allclose(low.compile()(x), want, rtol=1e-5)


@pytest.mark.usefixtures("fresh_cache")
def test_a_schedule_that_is_hardly_faster_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autotune, "interleave", Clock([1.0, 0.98]))
    assert tuned(lowered(product())) == []


@pytest.mark.usefixtures("fresh_cache")
def test_a_kernel_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock([1.0, 0.5])
    monkeypatch.setattr(autotune, "interleave", clock)
    first = tuned(lowered(product()))
    count = len(clock.measured)
    assert tuned(lowered(product())) == first and first
    assert len(clock.measured) == count
    lowered(product(ROWS + 6))
    assert len(clock.measured) > count, "other sizes are another kernel"


@pytest.mark.usefixtures("fresh_cache")
def test_unknown_sizes_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock([1.0, 0.5])
    monkeypatch.setattr(autotune, "interleave", clock)
    assert tuned(lowered(product("n"))) == [] and clock.measured == []


@pytest.mark.usefixtures("fresh_cache")
def test_measured_in_earnest() -> None:
    x = np.random.default_rng(1).standard_normal((ROWS, DEPTH), np.float32)
    want = compiler.compile(product(), cache=False)(x)
    session = compiler.InferenceSession(product().SerializeToString(), autotune=True)
    np.testing.assert_allclose(session.run(None, {"x": x})[0], want, rtol=1e-5)


def test_integers_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock([1.0, 0.5])
    monkeypatch.setattr(autotune, "interleave", clock)
    weights = np.random.default_rng(0).integers(-128, 128, (DEPTH, COLUMNS), np.int8)
    node = helper.make_node("MatMulInteger", ["x", "w"], ["y"])
    model = make_model([node], {"x": (np.uint8, [ROWS, DEPTH])}, {"w": weights})
    x = np.random.default_rng(1).integers(0, 256, (ROWS, DEPTH), np.uint8)
    got = compiler.compile(model, cache=False, autotune=True)(x)
    assert clock.measured
    np.testing.assert_array_equal(got, x.astype(np.int32) @ weights.astype(np.int32))


def test_short_floats_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock([1.0, 0.5])
    monkeypatch.setattr(autotune, "interleave", clock)
    weights = np.ones((DEPTH, COLUMNS), ml_dtypes.bfloat16)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    model = make_model([node], {"x": (ml_dtypes.bfloat16, [ROWS, DEPTH])}, {"w": weights})
    x = np.ones((ROWS, DEPTH), ml_dtypes.bfloat16)
    got = compiler.compile(model, cache=False, autotune=True)(x)
    assert clock.measured
    assert (got.astype(np.float32) == DEPTH).all()


def test_a_module_with_schedules_cannot_be_tuned(tmp_path: Path) -> None:
    path = tmp_path / "m.mlir"
    path.write_text(compiler.lower(product(), to="krnl").as_text())
    with pytest.raises(compiler.InputError, match="no schedules to choose"):
        compiler.compile(path, autotune=True)


@pytest.mark.usefixtures("fresh_cache")
def test_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(autotune, "interleave", Clock([1.0, 0.5]))
    onnx.save(product(), tmp_path / "m.onnx")
    out = tmp_path / "m.mlir"
    assert main([str(tmp_path / "m.onnx"), "--autotune", "--emit=krnl", "-o", str(out)]) == 0
    assert "krnl.tuned = {registers = " in out.read_text()
    assert main([str(tmp_path / "m.onnx"), "--autotune", "--explain"]) == 1
    assert "--emit=krnl shows" in capsys.readouterr().err
