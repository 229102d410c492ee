"""onnx-decompose-integers: where zero points go, by the operators and constants that are left."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_modules import main_of, model_of, module_of, operators
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from dialects.onnx.constants import array_of, pool_of
from dialects.onnx.ops import Const
from dialects.onnx.types import dtype_of
from passes.onnx.decompose_integers import DecomposeIntegers
from passes.onnx.infer_shapes import InferShapes
from passes.onnx.simplify import Simplify

B = np.random.default_rng(5).integers(0, 256, (4, 3)).astype(np.uint8)
W = np.random.default_rng(6).integers(-128, 128, (5, 2, 3, 3)).astype(np.int8)
CONSTANTS = {
    "b": B,
    "narrow": np.uint8([[128, 127], [130, 125]]),
    "w": W,
    "z": np.array(3, np.uint8),
    "middle": np.array(128, np.uint8),
    "signed": np.array(2, np.int8),
    "none": np.array(0, np.uint8),
}


def decomposed(text: str) -> tuple[Context, ModuleOp]:
    read = str(model_of(text).graph.node)
    ctx, module = module_of(
        model_of(text, {n: array for n, array in CONSTANTS.items() if f'input: "{n}"' in read})
    )
    for each in (InferShapes(), Simplify(), DecomposeIntegers()):
        each.apply(ctx, module)
    module.verify()
    return ctx, module


def computing(module: ModuleOp) -> list[str]:
    return [name for name in operators(module) if name not in ("Const", "NoValue")]


def constants(ctx: Context, module: ModuleOp) -> list[np.ndarray]:
    pool = pool_of(ctx)
    consts = [op for op in main_of(module).body.block.ops if isinstance(op, Const)]
    return [array_of(op.value, op.result.type, pool) for op in consts]


CASES = {
    "none": ("uint8[n, 4] a", "int32[n, 3] y", "MatMulInteger(a, b)", ["MatMulInteger"]),
    "zeros": (
        "uint8[n, 4] a",
        "int32[n, 3] y",
        "MatMulInteger(a, b, none, none)",
        ["MatMulInteger"],
    ),
    "of constant weights": (
        "uint8[n, 4] a",
        "int32[n, 3] y",
        "MatMulInteger(a, b, none, z)",
        ["MatMulInteger"],
    ),
    "of the data": (
        "uint8[n, 4] a",
        "int32[n, 3] y",
        "MatMulInteger(a, b, z, z)",
        ["MatMulInteger", "Sub"],
    ),
    "known at run time": (
        "uint8[n, 4] a, uint8 v",
        "int32[n, 3] y",
        "MatMulInteger(a, b, v)",
        ["MatMulInteger", "Cast", "Mul", "Sub"],
    ),
    "of rows": (
        "uint8[n, 4] a, uint8[n] v",
        "int32[n, 3] y",
        "MatMulInteger(a, b, v)",
        ["Reshape", "MatMulInteger", "Cast", "Mul", "Sub"],
    ),
    "of weights from elsewhere": (
        "uint8[n, 4] a, int8[4, 3] c",
        "int32[n, 3] y",
        "MatMulInteger(a, c, z, signed)",
        ["Cast", "Cast", "Sub", "Cast", "Cast", "Sub", "MatMulInteger"],
    ),
    "without padding": (
        "uint8[n, 2, 8, 8] x",
        "int32[n, 5, 6, 6] y",
        "ConvInteger(x, w, z)",
        ["ConvInteger", "Sub"],
    ),
    "around the data": (
        "uint8[n, 2, 8, 8] x",
        "int32[n, 5, 8, 8] y",
        "ConvInteger <pads = [1, 1, 1, 1]> (x, w, z)",
        ["Pad", "ConvInteger", "Sub"],
    ),
    "around data of any size": (
        "uint8[1, 2, h, w0] x",
        "int32[1, 5, a, b0] y",
        'ConvInteger <auto_pad = "SAME_UPPER", strides = [2, 2]> (x, w, z)',
        ["Content", "Pad", "ConvInteger", "Sub"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_operators(name: str) -> None:
    inputs, result, call, wanted = CASES[name]
    _, module = decomposed(f"g ({inputs}) => ({result}) {{ y = {call} }}")
    assert computing(module) == wanted


def test_weights_become_signed_bytes() -> None:
    """Weights around 128 are i8 without their zero point, others i16."""
    call = "g (uint8[n, {0}] a) => (int32[n, {1}] y) {{ y = MatMulInteger(a, {2}, none, {3}) }}"
    ctx, module = decomposed(call.format(2, 2, "narrow", "middle"))
    (found,) = constants(ctx, module)
    assert found.dtype == np.int8 and found.tolist() == [[0, -1], [2, -3]]
    ctx, module = decomposed(call.format(4, 3, "b", "z"))
    (found,) = constants(ctx, module)
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, B.astype(np.int16) - 3)


def test_offset_is_the_sum_of_the_weights() -> None:
    ctx, module = decomposed(
        "g (uint8[n, 2, 8, 8] x) => (int32[n, 5, 6, 6] y) { y = ConvInteger(x, w, z) }"
    )
    _, offset = constants(ctx, module)
    assert offset.dtype == np.int32 and offset.shape == (5, 1, 1)
    np.testing.assert_array_equal(offset.ravel(), 3 * W.astype(int).sum((1, 2, 3)))


def test_padding_is_the_zero_point() -> None:
    _, module = decomposed(
        "g (uint8[n, 2, 8, 8] x) => (int32[n, 5, 8, 8] y)"
        " { y = ConvInteger <pads = [1, 0, 1, 2]> (x, w, z) }"
    )
    block = main_of(module).body.block
    (pad,) = (op for op in block.ops if op.name.startswith("onnx.Pad"))
    (conv,) = (op for op in block.ops if op.name.startswith("onnx.ConvInteger"))
    filler = pad.operands[2]
    assert isinstance(filler.owner, Const) and dtype_of(filler.type) == np.uint8
    assert conv.get("pads") == (0, 0, 0, 0)  # type: ignore[attr-defined]
