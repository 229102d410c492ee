"""What may not stand on a stage is found at its border."""

from __future__ import annotations

import pytest
from sample_models import small_relu

import compiler
from compiler import stages
from compiler.ir_text import new_context, parse_module
from passes.borders import ALLOWED, VerifyStage, check_border
from runtime.errors import InputError, InternalError


@pytest.mark.parametrize("stage", stages.NAMES)
def test_every_stage_passes_its_own_border_only(stage: str) -> None:
    low = compiler.lower(small_relu(), to=stage)
    for other in stages.NAMES:
        if other == stage:
            low.run(f"verify-stage{{stage={other}}}")
            continue
        with pytest.raises(InternalError, match=f"may not stand on the {other} stage"):
            VerifyStage(other).apply(low.ctx, low.module)


def test_a_leftover_is_named_with_its_node() -> None:
    low = compiler.lower(small_relu(), to="onnx")
    with pytest.raises(InternalError, match=r"onnx\.Relu.* may not stand") as caught:
        check_border(low.module, "krnl")
    assert caught.value.place.node == "relu" or "builtin" not in str(caught.value)


def test_tensors_end_above_krnl() -> None:
    text = "func.func @f(%x: tensor<4xf32>) { func.return }"
    with pytest.raises(InternalError, match="takes tensors"):
        check_border(parse_module(text, new_context()), "affine")


def test_a_lowering_that_leaks_fails_at_its_border(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ALLOWED, "affine", ALLOWED["affine"] - {"arith"})
    with pytest.raises(InternalError, match=r"arith\..* may not stand on the affine stage"):
        compiler.lower(small_relu(), to="affine")


def test_stages_and_borders_are_the_same() -> None:
    assert tuple(ALLOWED) == stages.NAMES
    with pytest.raises(InputError, match="no stage 'cuda'"):
        check_border(compiler.lower(small_relu()).module, "cuda")
