"""onnx-simplify: each rule's result in operators, and the same numbers as before."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_modules import (
    after,
    check_simplified,
    floats,
    ints,
    main_of,
    operators,
    scalar,
)

from dialects.onnx.constants import pool_of
from dialects.onnx.ops import Const, OnnxOp
from dialects.onnx.types import dims_of
from passes.onnx.fold_constants import FoldConstants
from passes.onnx.infer_shapes import InferShapes
from passes.onnx.simplify import Simplify

W = floats(4, 3, 3, 3)
IMAGE = "float[1, 3, 8, 8] x"

CASES: dict[str, tuple[str, list[str], dict[str, np.ndarray]]] = {
    "identity": (
        "g (float[2, 3] x) => (float[2, 3] y) { a = Identity(x) b = Dropout(a) y = Relu(b) }",
        ["Relu"],
        {},
    ),
    "cast": (
        "g (int32[3] x) => (int64[3] y) { a = Cast<to = 7>(x) b = Cast<to = 7>(a) y = Neg(b) }",
        ["Cast", "Neg"],
        {},
    ),
    "cast through a wider type": (
        "g (int32[3] x) => (float[3] y) { a = Cast<to = 7>(x) y = Cast<to = 1>(a) }",
        ["Cast"],
        {},
    ),
    "views": (
        """g (float[N, 6] x) => (float[N, 6] y) {
            a = Unsqueeze(x, axis) b = Reshape(a, shape) c = Flatten(b) d = Relu(c)
            e = Reshape(d, two) f = Unsqueeze(e, axis) y = Squeeze(f, axis)
        }""",
        ["Reshape", "Relu", "Reshape"],
        {"axis": ints(0), "shape": ints(0, -1, 2, 3), "two": ints(-1, 6)},
    ),
    "behind a product": (
        """g (float[4, 6] x) => (float[2, 2, 8] y) {
            a = MatMul(x, w) b = Reshape(a, shape) c = Relu(b) y = Tanh(c)
        }""",
        ["MatMul", "Relu", "Tanh", "Reshape"],
        {"w": floats(6, 8), "shape": ints(2, 2, 8)},
    ),
    "transposes": (
        """g (float[2, 3, 4] x) => (float[4, 2, 3] y) {
            a = Transpose<perm = [0, 2, 1]>(x) y = Transpose<perm = [1, 0, 2]>(a)
        }""",
        ["Transpose"],
        {},
    ),
    "transposes that cancel": (
        """g (float[2, 3, 4] x) => (float[2, 3, 4] y) {
            a = Transpose<perm = [0, 2, 1]>(x) b = Transpose<perm = [0, 2, 1]>(a) y = Relu(b)
        }""",
        ["Relu"],
        {},
    ),
    "scales of both factors": (
        """g (float[2, 3] x, float[2, 3] w) => (float[2, 2] y) {
            t = Transpose<perm = [1, 0]>(w) a = Mul(x, c) b = Mul(d, t) y = MatMul(a, b)
        }""",
        ["Transpose", "Mul", "MatMul"],
        {"c": scalar(0.5), "d": scalar(3)},
    ),
    "a transpose of sizes of 1": (
        "g (float[1, 3, 4] x) => (float[3, 1, 4] y) { y = Transpose<perm = [1, 0, 2]>(x) }",
        ["Reshape"],
        {},
    ),
    "operations without effect": (
        """g (float[2, 3] x) => (float[2, 3] y) {
            a = Slice(x, zero, large, axis) b = Expand(a, shape) c = Pad(b, pads)
            d = Concat<axis = 0>(c) e = Tile(d, once) f = Add(e, nothing) h = Mul(f, one)
            y = Tanh(h)
        }""",
        ["Tanh"],
        {
            "zero": ints(0),
            "large": ints(2**62),
            "axis": ints(1),
            "shape": ints(1, 3),
            "pads": ints(0, 0, 0, 0),
            "once": ints(1, 1),
            "nothing": scalar(0),
            "one": np.ones((1, 3), np.float32),
        },
    ),
    "powers": (
        "g (float[3] x) => (float[3] y) { s = Abs(x) a = Pow(s, two) y = Pow(a, half) }",
        ["Abs", "Mul", "Sqrt"],
        {"two": scalar(2), "half": scalar(0.5)},
    ),
    "exact division": (
        "g (float[3] x) => (float[3] y, float[3] z) { y = Div(x, eight) z = Div(x, three) }",
        ["Mul", "Div"],
        {"eight": scalar(8), "three": scalar(3)},
    ),
    "an expanded operand": (
        "g (float[2, 3] x, float[3] b) => (float[2, 3] y) { e = Expand(b, shape) y = Mul(x, e) }",
        ["Mul"],
        {"shape": ints(2, 3)},
    ),
    "common subexpressions": (
        "g (float[3] x) => (float[3] y) { a = Exp(x) b = Exp(x) y = Mul(a, b) }",
        ["Exp", "Mul"],
        {},
    ),
    "batch normalization after a convolution": (
        f"""g ({IMAGE}) => (float[1, 4, 6, 6] y) {{
            a = Conv(x, w) y = BatchNormalization(a, s, b, m, v)
        }}""",
        ["Conv"],
        {"w": W, "s": floats(4), "b": floats(4), "m": floats(4), "v": np.abs(floats(4))},
    ),
    "batch normalization alone": (
        f"g ({IMAGE}) => (float[1, 3, 8, 8] y) {{ y = BatchNormalization(x, s, b, m, v) }}",
        ["Mul", "Add"],
        {"s": floats(3), "b": floats(3), "m": floats(3), "v": np.abs(floats(3))},
    ),
    "bias and scale after a convolution": (
        f"""g ({IMAGE}) => (float[1, 4, 6, 6] y) {{
            a = Conv(x, w) b = Add(a, bias) c = Mul(scale, b) y = Sub(c, one)
        }}""",
        ["Conv"],
        {"w": W, "bias": floats(4, 1, 1), "scale": floats(1, 4, 1, 1), "one": scalar(1)},
    ),
    "what is not per channel stays": (
        f"g ({IMAGE}) => (float[1, 4, 6, 6] y) {{ a = Conv(x, w) y = Add(a, row) }}",
        ["Conv", "Add"],
        {"w": W, "row": floats(1, 1, 1, 6)},
    ),
    "a convolution that is used twice stays": (
        f"""g ({IMAGE}) => (float[1, 4, 6, 6] y) {{
            a = Conv(x, w) b = Add(a, bias) y = Mul(a, b)
        }}""",
        ["Conv", "Add", "Mul"],
        {"w": W, "bias": floats(4, 1, 1)},
    ),
    "a grouped transposed convolution": (
        """g (float[1, 4, 5, 5] x) => (float[1, 6, 7, 7] y) {
            a = ConvTranspose<group = 2>(x, w) b = Mul(a, scale) y = Add(b, bias)
        }""",
        ["ConvTranspose"],
        {"w": floats(4, 3, 3, 3), "scale": floats(6, 1, 1), "bias": floats(6, 1, 1)},
    ),
    "a gemm": (
        """g (float[2, 3] x) => (float[2, 4] y) {
            a = Gemm<transB = 1, alpha = 0.5, beta = 2.0>(x, w, c) y = Mul(a, scale)
        }""",
        ["Gemm"],
        {"w": floats(4, 3), "c": floats(4), "scale": floats(4)},
    ),
    "a gemm whose bias is a column stays": (
        "g (float[4, 3] x) => (float[4, 4] y) { a = Gemm(x, w, c) y = Mul(a, scale) }",
        ["Gemm", "Mul"],
        {"w": floats(3, 4), "c": floats(4, 1), "scale": floats(4)},
    ),
    "taps of a dilated kernel that only see padding": (
        """f (float[1, 3, 6, 9] x) => (float[1, 4, 6, 9] y) {
            y = Conv<pads = [8, 6, 8, 6], dilations = [8, 6]>(x, w)
        }""",
        ["Conv"],
        {"w": W},
    ),
    "padding before a convolution": (
        f"""g ({IMAGE}) => (float[1, 4, 9, 10] y) {{
            a = Pad(x, pads) y = Conv<pads = [0, 1, 1, 0]>(a, w)
        }}""",
        ["Conv"],
        {"w": W, "pads": ints(0, 0, 1, 2, 0, 0, 1, 1)},
    ),
    "zeros before a maximum of what is not negative": (
        f"""g ({IMAGE}) => (float[1, 3, 4, 4] y) {{
            r = Relu(x) a = Pad(r, pads) y = MaxPool<kernel_shape = [3, 3], strides = [2, 2]>(a)
        }}""",
        ["Relu", "MaxPool"],
        {"pads": ints(0, 0, 0, 0, 0, 0, 1, 1)},
    ),
    "zeros before a maximum of anything": (
        f"""g ({IMAGE}) => (float[1, 3, 4, 4] y) {{
            a = Pad(x, pads) y = MaxPool<kernel_shape = [3, 3], strides = [2, 2]>(a)
        }}""",
        ["Pad", "MaxPool"],
        {"pads": ints(0, 0, 0, 0, 0, 0, 1, 1)},
    ),
    "zeros before an average": (
        f"""g ({IMAGE}) => (float[1, 3, 8, 8] y) {{
            a = Pad(x, pads) y = AveragePool<kernel_shape = [3, 3]>(a)
        }}""",
        ["AveragePool"],
        {"pads": ints(0, 0, 1, 1, 0, 0, 1, 1)},
    ),
    "upsampling": (
        f'g ({IMAGE}) => (float[1, 3, 16, 16] y) {{ y = Resize<mode = "nearest">(x, , s) }}',
        ["Resize"],
        {"s": np.array([1, 1, 2, 2], np.float32)},
    ),
    "a global average": (
        f"g ({IMAGE}) => (float[1, 3, 1, 1] y) {{ y = GlobalAveragePool(x) }}",
        ["ReduceMean"],
        {},
    ),
    "a row and keys scaled": (
        """g (float[2, 1, 4] x, float[2, 8, 4] k) => (float[2, 1, 8] y) {
            a = Mul(x, c) t = Transpose<perm = [0, 2, 1]>(k) b = Mul(t, d) y = MatMul(a, b)
        }""",
        ["Transpose", "Mul", "MatMul"],
        {"c": scalar(0.5), "d": scalar(0.25)},
    ),
    "keys scaled for a row": (
        """g (float[4] x, float[2, 4, 8] k) => (float[2, 8] y) {
            b = Mul(k, d) y = MatMul(x, b)
        }""",
        ["Mul", "MatMul"],
        {"d": scalar(0.25)},
    ),
    "a sum of several": (
        "g (float[3] x, float[3] y) => (float[3] z) { z = Sum(x, y, x) }",
        ["Add", "Add"],
        {},
    ),
    "a clip that is a relu": (
        "g (float[3] x) => (float[3] y) { y = Clip(x, zero) }",
        ["Relu"],
        {"zero": scalar(0)},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rule(name: str) -> None:
    check_simplified(*CASES[name])


GELU = [
    "a = Div(x, s2) b = Erf(a) c = Add(b, one) d = Mul(x, c) y = Mul(d, half)",
    "a = Mul(x, r2) b = Erf(a) c = Add(one, b) d = Mul(half, x) y = Mul(d, c)",
    "a = Mul(x, r2) b = Erf(a) c = Add(one, b) d = Mul(c, half) y = Mul(x, d)",
]
TANH_GELU = [
    """a = Pow(x, three) b = Mul(a, k) c = Add(x, b) d = Mul(c, p) e = Tanh(d) f = Add(e, one)
       h = Mul(x, half) y = Mul(h, f)""",
    """a = Mul(x, x) b = Mul(a, x) c = Mul(k, b) d = Add(x, c) e = Mul(p, d) f = Tanh(e)
       h = Add(one, f) i = Mul(half, h) y = Mul(x, i)""",
    """a = Mul(k, x) b = Mul(x, a) c = Mul(x, b) d = Add(x, c) e = Mul(p, d) f = Tanh(e)
       h = Add(one, f) i = Mul(x, h) y = Mul(half, i)""",
]
HARD_SWISH = [
    "a = Add(x, three) b = Clip(a, zero, six) c = Div(b, six) y = Mul(x, c)",
    "a = Add(x, three) b = Clip(a, zero, six) c = Mul(x, b) y = Div(c, six)",
    "a = Add(x, three) b = Clip(a, zero, six) c = Mul(b, sixth) y = Mul(c, x)",
    "a = HardSigmoid<alpha = 0.16666667, beta = 0.5>(x) y = Mul(x, a)",
]
SWISH = [
    "a = Sigmoid(x) y = Mul(x, a)",
    "a = Sigmoid(x) y = Mul(a, x)",
    "a = Mul(half, x) b = Mul(a, three) c = Sigmoid(b) y = Mul(x, c)",
]
NUMBERS = {
    "s2": scalar(2**0.5),
    "r2": scalar(0.5**0.5),
    "one": scalar(1),
    "half": scalar(0.5),
    "three": scalar(3),
    "six": scalar(6),
    "sixth": scalar(1 / 6),
    "zero": scalar(0),
    "k": scalar(0.044715),
    "p": scalar((2 / np.pi) ** 0.5),
}


@pytest.mark.parametrize(
    ("body", "operator"),
    [(body, "Gelu") for body in GELU + TANH_GELU]
    + [(body, "Swish") for body in SWISH]
    + [(body, "HardSwish") for body in HARD_SWISH],
)
def test_activation_formulas(body: str, operator: str) -> None:
    check_simplified(f"g (float[2, 5] x) => (float[2, 5] y) {{ {body} }}", [operator], NUMBERS)


@pytest.mark.parametrize(
    ("body", "operators"),
    [
        ("a = Sigmoid(x) y = Mul(z, a)", ["Sigmoid", "Mul"]),
        ("a = Sigmoid(x) b = Mul(x, a) y = Add(a, b)", ["Sigmoid", "Mul", "Add"]),
        ("a = Add(x, one) b = Sigmoid(a) y = Mul(x, b)", ["Add", "Sigmoid", "Mul"]),
        ("a = Sigmoid(x) b = Mul(x, a) y = Mul(b, half)", ["Swish", "Mul"]),
        ("a = Neg(x) b = Sigmoid(a) y = Mul(x, b)", ["Swish"]),
        (
            "a = ReduceMax<axes = [1]>(x) b = Sigmoid(a) y = Mul(x, b)",
            ["ReduceMax", "Sigmoid", "Mul"],
        ),
    ],
)
def test_a_sigmoid_of_something_else_or_used_twice_is_no_swish(
    body: str, operators: list[str]
) -> None:
    text = f"g (float[2, 5] x, float[2, 5] z) => (float[2, 5] y) {{ {body} }}"
    check_simplified(text, operators, NUMBERS)


GATED = """g (float[{images}, 6, 8, 8] x, float[{images}, 6, {lines}, 1] s)
    => (float[{images}, 5, 8, 8] y) {{ a = Sigmoid(s) t = Mul({order}) y = Conv(t, w, b) }}"""


@pytest.mark.parametrize("order", ["x, a", "a, x"])
def test_a_gate_scales_weights_of_an_image_of_many_places(order: str) -> None:
    constants = {"w": floats(5, 6, 1, 1), "b": floats(5)}
    text = GATED.format(images=1, lines=1, order=order)
    check_simplified(text, ["Sigmoid", "Mul", "Conv"], constants)
    _, module = after(text, InferShapes(), Simplify(), constants=constants)
    (product,) = (op for op in module.walk() if isinstance(op, OnnxOp) and op.OP_TYPE == "Mul")
    assert dims_of(product.results[0].type) == (5, 6, 1, 1)


@pytest.mark.parametrize(
    ("images", "lines", "weights"),
    [
        pytest.param(2, 1, (5, 6, 1, 1), id="each image has its own gate"),
        pytest.param(1, 8, (5, 6, 1, 1), id="each line has its own gate"),
        pytest.param(1, 1, (5, 6, 3, 3), id="weights of several taps"),
        pytest.param(1, 1, (9, 6, 1, 1), id="as much work for the weights"),
    ],
)
def test_other_gates_scale_images(images: int, lines: int, weights: tuple[int, ...]) -> None:
    constants = {"w": floats(*weights), "b": floats(weights[0])}
    text = GATED.format(images=images, lines=lines, order="x, a")
    text = text.replace("5, 8, 8] y", f"{weights[0]}, {9 - weights[2]}, {9 - weights[2]}] y")
    _, module = after(text, InferShapes(), Simplify(), constants=constants)
    (product,) = (op for op in module.walk() if isinstance(op, OnnxOp) and op.OP_TYPE == "Mul")
    assert dims_of(product.results[0].type) == (images, 6, 8, 8)


def test_a_gate_is_a_hard_sigmoid() -> None:
    body = "a = Add(x, three) b = Clip(a, zero, six) c = Div(b, six) y = Mul(z, c)"
    text = f"g (float[2, 5] x, float[2, 5] z) => (float[2, 5] y) {{ {body} }}"
    check_simplified(text, ["HardSigmoid", "Mul"], NUMBERS)


CENTERED = "m = ReduceMean<axes = [-1]>(x) d = Sub(x, m) "
LAYER_NORMS = [
    "q = Pow(d, two) v = ReduceMean<axes = [-1]>(q) e = Add(v, eps) s = Sqrt(e) n = Div(d, s)",
    "q = Mul(d, d) v = ReduceMean<axes = [2]>(q) e = Add(eps, v) s = Sqrt(e) n = Div(d, s)",
    """q = Mul(d, d) v = ReduceMean<axes = [-1]>(q) e = Add(v, eps) s = Sqrt(e) r = Reciprocal(s)
       n = Mul(d, r)""",
    """d2 = Sub(x, m) q = Pow(d2, two) v = ReduceMean<axes = [-1]>(q) e = Add(v, eps)
       r = Pow(e, minus) n = Mul(d, r)""",
]


@pytest.mark.parametrize("body", LAYER_NORMS)
def test_layer_normalization_of_every_exporter(body: str) -> None:
    constants = {"two": scalar(2), "eps": scalar(1e-5), "minus": scalar(-0.5)}
    constants |= {"g": floats(6), "b": floats(6)}
    text = f"""g (float[N, 4, 6] x) => (float[N, 4, 6] y) {{
        {CENTERED} {body} t = Mul(n, g) y = Add(t, b)
    }}"""
    check_simplified(text, ["LayerNormalization"], constants)


GROUP_NORM = """g (float[N, 6, 4, 5] x) => (float[N, 6, 4, 5] y) {
    r = Reshape(x, split) i = InstanceNormalization<epsilon = 0.001>(r, s, b)
    n = Reshape(i, whole) m = Mul(n, g) y = Add(m, h)
}"""


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_group_normalization(groups: int) -> None:
    constants = {
        "split": np.array([0, groups, -1]),
        "whole": np.array([-1, 6, 4, 5]),
        "s": floats(groups),
        "b": floats(groups),
        "g": floats(6, 1, 1),
        "h": floats(6, 1, 1),
    }
    check_simplified(GROUP_NORM, ["GroupNormalization", "Mul", "Add"], constants)


@pytest.mark.parametrize("split", [[1, 2, -1], [0, 4, -1]])
def test_other_groups_are_no_group_normalization(split: list[int]) -> None:
    constants = {
        "split": np.array(split),
        "whole": np.array([-1, 6, 4, 5]),
        "s": floats(split[1]),
        "b": floats(split[1]),
        "g": floats(6, 1, 1),
        "h": floats(6, 1, 1),
    }
    _, module = after(GROUP_NORM, InferShapes(), Simplify(), constants=constants)
    assert "GroupNormalization" not in operators(module)


def test_rms_normalization() -> None:
    text = """g (float[2, 6] x) => (float[2, 6] y) {
        q = Pow(x, two) v = ReduceMean<axes = [-1]>(q) e = Add(v, eps) s = Sqrt(e) n = Div(x, s)
        y = Mul(g, n)
    }"""
    constants = {"two": scalar(2), "eps": scalar(1e-6), "g": floats(6)}
    check_simplified(text, ["RMSNormalization"], constants)


def test_a_mean_over_other_axes_is_no_layer_normalization() -> None:
    text = """g (float[2, 4, 6] x) => (float[2, 4, 6] y) {
        m = ReduceMean<axes = [1]>(x) d = Sub(x, m) q = Mul(d, d) v = ReduceMean<axes = [1]>(q)
        e = Add(v, eps) s = Sqrt(e) y = Div(d, s)
    }"""
    _, module = after(text, InferShapes(), Simplify(), constants={"eps": scalar(1e-5)})
    assert "LayerNormalization" not in operators(module)


MICROSOFT: dict[str, tuple[str, list[str], dict[str, np.ndarray]]] = {
    "FusedConv": (
        f"""g ({IMAGE}) => (float[1, 4, 8, 8] y) {{
            y = com.microsoft.FusedConv<activation = "HardSigmoid", activation_params = [0.3, 0.4],
                                        pads = [1, 1, 1, 1]>(x, w, b)
        }}""",
        ["Conv", "HardSigmoid"],
        {"w": W, "b": floats(4)},
    ),
    "FusedConv with a sum": (
        f"""g ({IMAGE}, float[1, 4, 6, 6] z) => (float[1, 4, 6, 6] y) {{
            y = com.microsoft.FusedConv<activation = "Relu">(x, w, b, z)
        }}""",
        ["Conv", "Add", "Relu"],
        {"w": W, "b": floats(4)},
    ),
    "FusedGemm": (
        """g (float[2, 3] x) => (float[2, 4] y) {
            y = com.microsoft.FusedGemm<activation = "LeakyRelu", activation_alpha = 0.2>(x, w, c)
        }""",
        ["Gemm", "LeakyRelu"],
        {"w": floats(3, 4), "c": floats(4)},
    ),
    "FusedMatMul": (
        """g (float[2, 3] x, float[4, 3] z) => (float[2, 4] y) {
            y = com.microsoft.FusedMatMul<transB = 1, alpha = 0.25>(x, z)
        }""",
        ["Transpose", "MatMul", "Mul"],
        {},
    ),
    "Gelu": ("g (float[6] x) => (float[6] y) { y = com.microsoft.Gelu(x) }", ["Gelu"], {}),
    "FastGelu": (
        "g (float[6] x) => (float[6] y) { y = com.microsoft.FastGelu(x, b) }",
        ["Add", "Gelu"],
        {"b": floats(6)},
    ),
    "BiasGelu": (
        "g (float[6] x) => (float[6] y) { y = com.microsoft.BiasGelu(x, b) }",
        ["Add", "Gelu"],
        {"b": floats(6)},
    ),
    "QuickGelu": (
        "g (float[6] x) => (float[6] y) { y = com.microsoft.QuickGelu(x) }",
        ["Swish"],
        {},
    ),
    "SkipLayerNormalization": (
        """g (float[1, 2, 6] x, float[1, 2, 6] z) => (float[1, 2, 6] y, float[1, 2, 6] s) {
            y, , , s = com.microsoft.SkipLayerNormalization<epsilon = 0.001>(x, z, g, b, c)
        }""",
        ["Add", "Add", "LayerNormalization"],
        {"g": floats(6), "b": floats(6), "c": floats(6)},
    ),
    "SkipSimplifiedLayerNormalization": (
        """g (float[1, 2, 6] x, float[1, 2, 6] z) => (float[1, 2, 6] y) {
            y = com.microsoft.SkipSimplifiedLayerNormalization<epsilon = 0.001>(x, z, g)
        }""",
        ["Add", "RMSNormalization"],
        {"g": floats(6)},
    ),
    "EmbedLayerNormalization": (
        """g (int32[1, 3] ids) => (float[1, 3, 4] y) {
            y, m = com.microsoft.EmbedLayerNormalization(ids, segments, words, places, kinds, g, b)
        }""",
        ["Gather", "Add", "Add", "LayerNormalization"],
        {
            "segments": np.array([[0, 1, 1]], np.int32),
            "words": floats(9, 4),
            "places": floats(8, 4),
            "kinds": floats(2, 4),
            "g": floats(4),
            "b": floats(4),
        },
    ),
}


@pytest.mark.parametrize("name", MICROSOFT)
def test_fused_operators_of_onnx_runtime(name: str) -> None:
    check_simplified(*MICROSOFT[name])


def test_equal_constants_are_one() -> None:
    text = "g (float[2] x) => (float[2] y) { a = Add(x, c) b = Mul(a, d) y = Add(b, c) }"
    c = np.array([1.5, 2.5], np.float32)
    _, module = after(text, InferShapes(), Simplify(), constants={"c": c, "d": c.copy()})
    assert sum(isinstance(op, Const) for op in module.walk()) == 1


def test_a_computed_reshape_target_becomes_constant() -> None:
    text = """g (float[N, 4, 6] x) => (float[N, 24] y) {
        s = Shape(x) n = Gather(s, zero) t = Concat<axis = 0>(n, rest) y = Reshape(x, t)
    }"""
    constants = {"zero": ints(0), "rest": ints(-1)}
    _, module = after(text, InferShapes(), Simplify(), constants=constants)
    assert operators(module) == ["Reshape"]


def test_a_loop_that_runs_once_is_its_body() -> None:
    text = """g (float[3] x) => (float[3] y) {
        y = Loop(n, , x) <
            body = b (int64 i, bool d, float[3] u) => (bool e, float[3] v) {
                e = Identity(d) v = Exp(u)
            }
        >
    }"""
    _, module = after(text, InferShapes(), Simplify(), constants={"n": np.array(1, np.int64)})
    assert operators(module) == ["Exp"]
    _, module = after(text, InferShapes(), Simplify(), constants={"n": np.array(0, np.int64)})
    assert operators(module) == []


def test_a_loop_does_not_repeat_what_stood_before_it() -> None:
    text = """g (int64 n, float[1, 3, 8, 8] x, float[1, 4, 6, 6] z) => (float[1, 4, 6, 6] y) {
        a = Conv(x, w)
        y = Loop(n, , z) <
            body = b (int64 i, bool d, float[1, 4, 6, 6] u) => (bool e, float[1, 4, 6, 6] v) {
                e = Identity(d) s = Mul(a, scale) v = Add(u, s)
            }
        >
    }"""
    constants = {"w": W, "scale": floats(4, 1, 1)}
    _, module = after(text, InferShapes(), Simplify(), constants=constants)
    top = [op.OP_TYPE for op in main_of(module).body.block.ops if isinstance(op, OnnxOp)]
    assert top == ["Conv", "Loop"]


def test_the_pass_changes_nothing_the_second_time() -> None:
    for text, _, constants in [*CASES.values(), *MICROSOFT.values()]:
        passes = [InferShapes(), FoldConstants(), Simplify(), InferShapes(), Simplify()]
        ctx, module = after(text, *passes, constants=constants)
        once = str(module)
        Simplify().apply(ctx, module)
        assert str(module) == once
        assert pool_of(ctx) is not None


@pytest.mark.parametrize(
    ("pads", "weight", "kept"),
    [
        ([8, 6, 8, 6], 1.0, (4, 3, 1, 3)),
        # The last output row sees what the first tap stands on.
        ([8, 6, 11, 6], 1.0, (4, 3, 2, 3)),
        # Infinity times the zeros of the padding is no number.
        ([8, 6, 8, 6], np.inf, (4, 3, 3, 3)),
        ([30, 0, 0, 0], 1.0, (4, 3, 1, 3)),
    ],
)
def test_taps_in_padding(pads: list[int], weight: float, kept: tuple[int, ...]) -> None:
    _, module = after(
        f"""f (float[1, 3, 6, 15] x) => (float[1, 4, h, v] y) {{
            y = Conv<pads = {pads}, dilations = [8, 6], strides = [1, 1]>(x, w)
        }}""",
        InferShapes(),
        Simplify(),
        constants={"w": np.full((4, 3, 3, 3), weight, np.float32)},
    )
    (conv,) = (op for op in main_of(module).body.block.ops if getattr(op, "OP_TYPE", "") == "Conv")
    assert conv.operands[1].type.get_shape() == kept


def test_a_constant_that_a_branch_has_after_the_function_has_lost_it() -> None:
    """What vanished outside of a block is no duplicate inside of it."""
    _, module = after(
        """g (float[2] x, bool c) => (float[2] y) {
            a = Mul(x, one)
            y = If(c) <
                then_branch = t () => (float[2] u) {
                    k = Constant<value_float = 1.0>()
                    u = Div(k, a)
                },
                else_branch = e () => (float[2] v) { v = Neg(a) }
            >
        }""",
        InferShapes(),
        Simplify(),
        constants={"one": np.array(1, np.float32)},
    )
    assert operators(module) == ["If", "Neg", "Reciprocal"]
