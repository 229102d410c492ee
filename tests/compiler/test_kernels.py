"""Kernels that go down the last stages alone make the program that the whole module makes."""

from __future__ import annotations

import pytest
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
    from onnx import helper

    model = graph_model("exp", [helper.make_node("Exp", ["x"], ["y"])], {"x": [2, 3]}, ["y"])
    low = compiler.lower(model, "affine")
    assert not independent_kernels(low.module)
    assert independent_kernels(compiler.lower(model, "krnl").module)
    assert_equal(low.program(), build(Request.of(model), cache=False).program)


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
