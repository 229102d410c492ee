"""onnx-apply-winograd: what a convolution becomes, and what is printed about its costs."""

from __future__ import annotations

import numpy as np
from onnx_modules import model_of, module_of
from xdsl.context import Context
from xdsl.dialects.builtin import DictionaryAttr, ModuleOp

from dialects.onnx.constants import array_of, pool_of
from dialects.onnx.ops import Const, OnnxOp, WinogradConv
from dialects.onnx.types import dims_of, tensor_type
from passes.onnx.apply_winograd import ApplyWinograd
from passes.onnx.infer_shapes import InferShapes
from passes.winograd.matrices import transformed_weights

W = np.random.default_rng(1).standard_normal((64, 32, 3, 3), np.float32)
LARGE = """
    layers (float[1, 32, h, 40] x) => (y) { y = Conv <auto_pad = "SAME_UPPER"> (x, w) }
"""


def applied(text: str, **options: int) -> tuple[Context, ModuleOp]:
    """The module behind the pass, for a machine with AVX2."""
    ctx, module = module_of(model_of(text, {"w": W}))
    for each in (InferShapes(), ApplyWinograd(vector_bits=256, registers=16, **options)):
        each.apply(ctx, module)
    module.verify()
    return ctx, module


def convolution(module: ModuleOp) -> OnnxOp:
    """The only convolution, of either kind."""
    (found,) = (op for op in module.walk() if isinstance(op, OnnxOp) and "Conv" in op.OP_TYPE)
    return found


def test_a_convolution_becomes_one_with_transformed_weights() -> None:
    ctx, module = applied(LARGE)
    op = convolution(module)
    assert isinstance(op, WinogradConv)
    assert op.get("tile") == 4 and op.get("pads") == (1, 1, 1, 1)
    assert op.y.type == tensor_type(np.float32, dims_of(op.y.type))
    owner = op.weight.owner
    assert isinstance(owner, Const)
    weights = array_of(owner.value, op.weight.type, pool_of(ctx))
    np.testing.assert_array_equal(weights, transformed_weights(W, 4))


def test_costs_are_printed() -> None:
    for text in (LARGE, LARGE.replace("40", "1").replace("h,", "1,")):
        _, module = applied(text)
        cycles = convolution(module).attributes["onnx.cycles"]
        assert isinstance(cycles, DictionaryAttr)
        assert list(cycles.data) == ["direct", "tile2", "tile4"]
        assert "onnx.cycles" in str(module)


def test_a_tile_may_be_chosen() -> None:
    _, module = applied(LARGE, tile=2)
    op = convolution(module)
    assert isinstance(op, WinogradConv) and op.get("tile") == 2
