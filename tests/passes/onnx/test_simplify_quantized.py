"""onnx-simplify and onnx-multiply-integers on quantized models: which operators are left."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from onnx_modules import main_of, model_of, module_of, operators
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from dialects.onnx.constants import pool_of
from dialects.onnx.ops import Const, OnnxOp
from dialects.onnx.types import is_none
from passes.onnx.infer_shapes import InferShapes
from passes.onnx.multiply_integers import MultiplyIntegers
from passes.onnx.simplify import Simplify
from passes.onnx.simplify.rewriter import Rewriter

CONSTANTS = {
    "w": np.ones((4, 2, 3, 3), np.int8),
    "m": np.ones((4, 4), np.int8),
    "deep": np.ones((40_000, 1), np.int8),
    "zw": np.zeros((), np.int8),
    "s": np.array(0.5, np.float32),
    "t": np.array(2, np.float32),
    "by_row": np.float32([1, 2, 3, 4]),
    "z": np.array(0, np.uint8),
    "middle": np.array(128, np.uint8),
    "six": np.array(6, np.float32),
    "zero": np.array(0, np.float32),
}

DEQUANTIZED = "d = DequantizeLinear(x, s, z) wd = DequantizeLinear(w, s, zw)"
CONV = f"{DEQUANTIZED} c = Conv(d, wd)"
IMAGE = "g (uint8[n, 2, 8, 8] x) => "
BYTES = f"{IMAGE} (uint8[n, 4, 6, 6] y)"
SCALED = ["ConvInteger", "Cast", "Mul"]

CASES = {
    "QLinearConv": (
        f"{BYTES} {{ y = QLinearConv(x, s, z, w, s, zw, t, z) }}",
        [*SCALED, "QuantizeLinear"],
    ),
    "QLinearMatMul": (
        "g (uint8[n, 4] x) => (uint8[n, 4] y) { y = QLinearMatMul(x, s, z, m, s, zw, t, z) }",
        ["MatMulInteger", "Cast", "Mul", "QuantizeLinear"],
    ),
    "conv": (f"{IMAGE} (float[n, 4, 6, 6] y) {{ {CONV} y = Relu(c) }}", [*SCALED, "Relu"]),
    "quantized conv": (
        f"{BYTES} {{ {CONV} r = Relu(c) y = QuantizeLinear(r, t, z) }}",
        [*SCALED, "QuantizeLinear"],
    ),
    "a bound that matters": (
        f"{BYTES} {{ {CONV} r = Relu(c) y = QuantizeLinear(r, t, middle) }}",
        [*SCALED, "Relu", "QuantizeLinear"],
    ),
    "a bound above the range": (
        f"{BYTES} {{ {CONV} r = Clip(c, zero, six) y = QuantizeLinear(r, t, z) }}",
        [*SCALED, "Clip", "QuantizeLinear"],
    ),
    "scales along the summed axis": (
        "g (uint8[n, 4] x) => (float[n, 4] y)"
        " { d = DequantizeLinear(x, s, z)"
        " e = DequantizeLinear <axis = 0> (m, by_row) y = MatMul(d, e) }",
        ["DequantizeLinear", "DequantizeLinear", "MatMul"],
    ),
    "sums that may overflow": (
        "g (uint8[n, 40000] x) => (float[n, 1] y)"
        " { d = DequantizeLinear(x, s, z) e = DequantizeLinear(deep, s, zw) y = MatMul(d, e) }",
        ["DequantizeLinear", "DequantizeLinear", "MatMul"],
    ),
    "there and back": (
        "g (uint8[n] x) => (uint8[n] y)"
        " { d = DequantizeLinear(x, s, z) q = QuantizeLinear(d, s, z) y = BitwiseNot(q) }",
        ["BitwiseNot"],
    ),
    "there and elsewhere": (
        "g (uint8[n] x) => (uint8[n] y)"
        " { d = DequantizeLinear(x, s, z) y = QuantizeLinear(d, s, middle) }",
        ["DequantizeLinear", "QuantizeLinear"],
    ),
}


def simplified(text: str) -> tuple[Context, ModuleOp]:
    read = str(model_of(text).graph.node)
    constants = {n: array for n, array in CONSTANTS.items() if f'input: "{n}"' in read}
    ctx, module = module_of(model_of(text, constants, opset=18))
    for each in (InferShapes(), Simplify(), MultiplyIntegers()):
        each.apply(ctx, module)
    module.verify()
    return ctx, module


@pytest.mark.parametrize("name", CASES)
def test_operators(name: str) -> None:
    text, wanted = CASES[name]
    _, module = simplified(text)
    found = [n for n in operators(module) if n not in ("Const", "NoValue")]
    assert Counter(found) == Counter(wanted)


def test_scale_of_a_quantized_product() -> None:
    """0.5 * 0.5 / 2, and QuantizeLinear does not divide any more."""
    ctx, module = simplified(CASES["quantized conv"][0])
    rewriter = Rewriter(pool_of(ctx), 18)
    ops = {op.OP_TYPE: op for op in main_of(module).body.block.ops if isinstance(op, OnnxOp)}
    assert isinstance(ops["Mul"].operands[1].owner, Const)
    assert rewriter.scalar(ops["Mul"].operands[1]) == 0.125
    assert rewriter.scalar(ops["QuantizeLinear"].operands[1]) == 1


def test_zero_points_of_zero_are_absent() -> None:
    """But QuantizeLinear's says the element type, where that is not ui8."""
    _, module = simplified(
        "g (float[n] x) => (float[n] y, int8[n] q) { a = Abs(x) q = QuantizeLinear(a, s, zw)"
        " b = QuantizeLinear(a, t, z) y = DequantizeLinear(b, s, z) }"
    )
    ops = [op for op in main_of(module).body.block.ops if isinstance(op, OnnxOp)]
    found = {
        (op.OP_TYPE, str(op.results[0].type.element_type)): is_none(op.operands[2])  # type: ignore
        for op in ops
        if op.OP_TYPE in ("QuantizeLinear", "DequantizeLinear")
    }
    assert found == {
        ("QuantizeLinear", "i8"): False,
        ("QuantizeLinear", "ui8"): True,
        ("DequantizeLinear", "f32"): True,
    }
