"""Kernels that go down the last stages alone make the program that the whole module makes."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper
from sample_models import MODELS, graph_model

import compiler
from compiler import linking
from compiler.driver import Request, build
from compiler.kernels import independent_kernels
from compiler.linking import link
from runtime.errors import InternalError
from runtime.program import Program


def assert_equal(one: Program, other: Program) -> None:
    for part in ("kernels", "inputs", "outputs", "constants", "arena_bytes", "messages"):
        assert one.manifest[part] == other.manifest[part], part
    assert one.objects == other.objects


@pytest.mark.parametrize("name", sorted(MODELS))
def test_programs_are_the_same_as_of_a_whole_module(name: str) -> None:
    model, _ = MODELS[name]
    low = compiler.lower(model(), "llvm")
    assert_equal(
        build(Request.of(model()), cache=False).program, link(low.module, low.ctx, low.target)
    )


def test_kernels_that_call_functions_stay_together() -> None:
    model = graph_model("exp", [helper.make_node("Exp", ["x"], ["y"])], {"x": [2, 3]}, ["y"])
    low = compiler.lower(model, "affine")
    assert not independent_kernels(low.module)
    assert independent_kernels(compiler.lower(model, "krnl").module)
    assert_equal(low.program(), build(Request.of(model), cache=False).program)


def test_constants_that_a_run_reads_parts_of_are_named() -> None:
    rng = np.random.default_rng(1)
    shapes = {"table": (500, 8), "both": (300, 8), "weight": (8, 200)}
    constants = {name: rng.random(shape, np.float32) for name, shape in shapes.items()}
    nodes = [
        helper.make_node("Cast", ["x"], ["rows"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "rows"], ["a"]),
        helper.make_node("Gather", ["both", "rows"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["c"]),
        helper.make_node("MatMul", ["c", "weight"], ["y"]),
        helper.make_node("ReduceMax", ["x", "axis"], ["largest"]),
        helper.make_node("Mul", ["both", "largest"], ["z"]),
    ]
    constants["axis"] = np.array([0])
    model = graph_model("tables", nodes, {"x": [4]}, ["y", "z"], constants)
    manifest = build(Request.of(model), cache=False).program.manifest
    assert [name.split("_", 1)[1] for name in manifest["selected"]] == ["table"]


def test_processes_end_when_a_kernel_cannot_be_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[object] = []
    leave = linking.Linker.__exit__

    def watched(self: linking.Linker, *exception: object) -> None:
        closed.append(exception[0])
        leave(self, *exception)

    monkeypatch.setattr(linking.Linker, "__exit__", watched)
    monkeypatch.setattr("passes.lower.krnl_to_affine.kernel.KernelLowering.run", lambda self: 1 / 0)
    with pytest.raises(InternalError, match="pass 'lower-affine' failed: ZeroDivisionError"):
        build(Request.of(MODELS["digits"][0]()), cache=False)
    assert closed == [InternalError]
