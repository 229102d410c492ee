"""Integer and quantized operators: exactly the integers of onnx.reference, numpy and onnxruntime.

onnxruntime adds products of ui8 and i8 in 16 bits on machines without VNNI, where they overflow:
weights that are compared with it have 7 bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numerics.harness import check, make_model, node_cases, one_node, run_case, run_model
from onnx import helper

RANDOM = np.random.default_rng(3)
U8, I8 = np.uint8, np.int8
KINDS = ("ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul", "DynamicQuantizeLinear")
MS = "com.microsoft"


def data(dtype: Any, *shape: int) -> np.ndarray:
    limits = np.iinfo(dtype)
    return RANDOM.integers(limits.min, limits.max + 1, shape).astype(dtype)


def weights(dtype: Any, *shape: int) -> np.ndarray:
    return RANDOM.integers(-63, 64, shape).astype(dtype) if dtype is I8 else data(dtype, *shape)


def scale(*shape: int) -> np.ndarray:
    return RANDOM.uniform(0.005, 0.05, shape).astype(np.float32)


def number(value: float) -> np.ndarray:
    return np.array(value, np.float32)


@pytest.mark.parametrize("case", list(node_cases(*KINDS)), ids=lambda case: case.name)
def test_suite(case: Any) -> None:
    run_case(case)


# Sums of products, in full range, against numpy -------------------------------------------------


def product(a: np.ndarray, b: np.ndarray, az: Any, bz: Any) -> np.ndarray:
    """What MatMulInteger is specified to compute."""
    if az is not None and az.ndim == 1 and az.size > 1 and a.ndim > 1:
        az = az[:, None]
    wide = [x.astype(np.int32) for x in (a, b)]
    for n, zero in enumerate((az, bz)):
        wide[n] = wide[n] if zero is None else wide[n] - zero.astype(np.int32)
    return (wide[0] @ wide[1]).astype(np.int32)


MATRICES = {
    "matrices": ((5, 37), (37, 19), False),
    "batches": ((2, 3, 4, 9), (3, 9, 33), False),
    "dynamic": ((2, 4, 9), (9, 8), True),
    "vector": ((9,), (9, 8), False),
    "by vector": ((4, 9), (9,), False),
}


@pytest.mark.parametrize("lhs", [U8, I8])
@pytest.mark.parametrize("rhs", [U8, I8])
@pytest.mark.parametrize("name", MATRICES)
def test_matmul_integer(name: str, lhs: Any, rhs: Any) -> None:
    """Each kind of zero point meets each kind of matrix in one of the types' mixes."""
    rows, columns, dynamic = MATRICES[name]
    a, b = data(lhs, *rows), data(rhs, *columns)
    number = (lhs is I8) + 2 * (rhs is I8)
    az = [None, data(lhs), data(lhs, 1), data(lhs, *rows[-2:-1])][number]
    bz = [data(rhs, *columns[1:][-1:]), None, data(rhs), data(rhs, 1)][number]
    given = {"a": a, "b": b, "az": az, "bz": bz}
    operands = {key: array for key, array in given.items() if array is not None}
    held = [(), ("b", "bz"), ("b", "az", "bz"), ("b",)][number]
    made = one_node(
        "MatMulInteger",
        {key: array for key, array in operands.items() if key not in held},
        opset=10,
        dims={"a": [f"d{n}" for n in range(a.ndim)]} if dynamic else None,
        constants={key: array for key, array in operands.items() if key in held},
        order=["a", "b", "az" if az is not None else "", "bz" if bz is not None else ""],
    )
    feed = {key: array for key, array in operands.items() if key not in held}
    got = run_model(made, feed)["y"]
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, product(a, b, az, bz))


CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "padded": ((1, 3, 9, 8), (8, 3, 3, 3), {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    "groups": ((2, 6, 7, 7), (9, 2, 2, 3), {"group": 3, "dilations": [2, 1], "pads": [1] * 4}),
    "groups that write more": ((2, 16, 6, 7), (32, 1, 3, 3), {"group": 16, "pads": [1] * 4}),
    "depthwise": ((1, 11, 6, 6), (11, 1, 3, 3), {"group": 11, "pads": [1] * 4}),
    "depthwise, long rows": ((1, 3, 6, 41), (3, 1, 3, 3), {"group": 3, "pads": [1] * 4}),
    "depthwise, strides": ((1, 3, 6, 41), (3, 1, 3, 3), {"group": 3, "strides": [2, 2]}),
    "signal": ((1, 4, 20), (5, 4, 4), {"auto_pad": "SAME_LOWER", "strides": [3]}),
    "volume": ((1, 2, 5, 5, 5), (3, 2, 3, 3, 3), {"auto_pad": "SAME_UPPER"}),
}


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_conv_integer(name: str, constant: bool) -> None:
    """Padding counts as zero points; data of any size."""
    image, kernel, attributes = CONVOLUTIONS[name]
    operands = {"x": data(U8, *image), "w": data(I8 if constant else U8, *kernel)}
    operands |= {"xz": data(U8), "wz": data(operands["w"].dtype, *kernel[: 1 - constant])}
    held = ("w", "wz", "xz") if constant and name != "signal" else ("w", "wz") * constant
    feed = {key: array for key, array in operands.items() if key not in held}
    made = one_node(
        "ConvInteger",
        feed,
        opset=10,
        dims={"x": ["n", image[1], *"hwd"[: len(image) - 2]]} if constant else None,
        constants={key: operands[key] for key in held},
        order=list(operands),
        **attributes,
    )
    wide = {key: array.astype(np.float64) for key, array in operands.items()}
    wide["wz"] = wide["wz"].reshape(-1, *[1] * (len(kernel) - 1))
    centred = {"x": wide["x"] - wide["xz"], "w": wide["w"] - wide["wz"]}
    floats = one_node("Conv", centred, opset=11, **attributes)
    expected = run_model(floats, centred)["y"]
    got = run_model(made, feed)["y"]
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, expected)


# Requantization, against onnxruntime ------------------------------------------------------------


@settings(max_examples=5, deadline=None, derandomize=True)
@given(st.data())
def test_qlinear_conv(draws: st.DataObject) -> None:
    name = draws.draw(st.sampled_from(list(CONVOLUTIONS)))
    image, kernel, attributes = CONVOLUTIONS[name]
    kind, rhs = draws.draw(st.sampled_from([(U8, U8), (U8, I8), (I8, I8)]))
    per_channel = draws.draw(st.booleans()) and rhs is I8
    count = kernel[:1] if per_channel else ()
    zero = np.zeros(count, rhs) if per_channel else data(rhs)
    operands = {"x": data(kind, *image), "xs": scale(), "xz": data(kind)}
    operands |= {"w": weights(rhs, *kernel), "ws": scale(*count), "wz": zero}
    operands |= {"ys": number(0.05 * np.sqrt(np.prod(kernel[1:]))), "yz": data(kind)}
    if draws.draw(st.booleans()):
        operands["b"] = RANDOM.integers(-5000, 5000, kernel[0]).astype(np.int32)
    held = ["w", "ws", "wz", "b"]
    held += ["xs", "xz", "ys", "yz"] if draws.draw(st.booleans()) else []
    feed = {key: array for key, array in operands.items() if key not in held}
    dims = {"x": ["n", image[1], *"hwd"[: len(image) - 2]]} if draws.draw(st.booleans()) else None
    constants = {key: array for key, array in operands.items() if key in held}
    made = one_node(
        "QLinearConv",
        feed,
        opset=10,
        dims=dims,
        constants=constants,
        order=list(operands),
        **attributes,
    )
    check(made, feed, reference=False)


@pytest.mark.parametrize(("lhs", "rhs"), [(U8, U8), (U8, I8), (I8, I8)])
@pytest.mark.parametrize("columns", [True, False])
def test_qlinear_matmul(lhs: Any, rhs: Any, columns: bool) -> None:
    count = (21,) if columns else ()
    operands = {"a": data(lhs, 3, 7, 30), "as": scale(), "az": data(lhs)}
    operands |= {"b": weights(rhs, 30, 21), "bs": scale(*count), "bz": data(rhs, *count)}
    operands |= {"ys": number(0.2), "yz": data(lhs)}
    held = ("b", "bs", "bz", "as", "az", "ys", "yz") if columns else ("b", "ys")
    feed = {key: array for key, array in operands.items() if key not in held}
    made = one_node(
        "QLinearMatMul",
        feed,
        opset=10,
        dims={"a": ["batch", "rows", "depth"]} if columns else None,
        constants={key: operands[key] for key in held},
        order=list(operands),
    )
    check(made, feed, reference=False)


def test_qlinear_matmul_by_rows() -> None:
    """Scales and zero points of the rows, of the result too: onnxruntime has none of those."""
    a, b = data(I8, 2, 4, 12), data(I8, 2, 12, 5)
    row, column = (2, 4, 1), (2, 1, 5)
    scales = {"as": scale(*row), "bs": scale(*column), "ys": np.float32(10) * scale(*row)}
    zeros = {"az": data(I8, *row), "bz": data(I8, *column), "yz": data(I8, *row)}
    operands = {"a": a, "b": b, **scales, **zeros}
    order = ["a", "as", "az", "b", "bs", "bz", "ys", "yz"]
    got = run_model(one_node("QLinearMatMul", operands, order=order), operands)["y"]
    total = product(a, b, zeros["az"], zeros["bz"]).astype(np.float32)
    scaled = total * (scales["as"] * scales["bs"] / scales["ys"])
    expected = np.clip(np.rint(scaled) + zeros["yz"], -128, 127)
    np.testing.assert_array_equal(got, expected.astype(I8))


def test_ties() -> None:
    """Halves go to the even neighbour before the zero point is added."""
    a = np.arange(-6, 7, dtype=I8).reshape(-1, 1)
    zero = {"az": np.array(0, I8), "bz": np.array(0, I8), "yz": np.array(3, I8)}
    ones = {"as": number(1), "bs": number(1), "ys": number(2)}
    order = ["a", "as", "az", "b", "bs", "bz", "ys", "yz"]
    constants = {"b": np.array([[1]], I8), **zero, **ones}
    made = one_node("QLinearMatMul", {"a": a}, constants=constants, order=order)
    expected = [0, 1, 1, 1, 2, 3, 3, 3, 4, 5, 5, 5, 6]
    assert run_model(made, {"a": a})["y"].ravel().tolist() == expected


@pytest.mark.parametrize("kind", [U8, I8])
def test_quantized_numbers_out_of_range(kind: Any) -> None:
    """NaN becomes the lowest number, infinities the ends of the range."""
    x = np.tile(np.float32([np.nan, np.inf, -np.inf, 1e30, -0.0, 0.5]), 8)
    constants = {"s": number(0.1), "z": np.array(3, kind)}
    made = one_node("QuantizeLinear", {"x": x}, constants=constants)
    check(made, {"x": x}, reference=False)


# onnxruntime's own operators --------------------------------------------------------------------


def check_contrib(
    op_type: str,
    operands: Mapping[str, np.ndarray],
    *inputs: str,
    dims: Mapping[str, list[Any]] | None = None,
    **attributes: Any,
) -> None:
    """Compares with onnxruntime; ``inputs`` are what the model does not hold."""
    node = helper.make_node(op_type, list(operands), ["y"], domain=MS, **attributes)
    kinds = {n: (operands[n].dtype, (dims or {}).get(n, operands[n].shape)) for n in inputs}
    constants = {name: array for name, array in operands.items() if name not in inputs}
    made = make_model([node], kinds, constants)
    made.opset_import.append(helper.make_opsetid(MS, 1))
    check(made, {name: operands[name] for name in inputs}, reference=False)


def quantized(name: str, dtype: Any, *shape: int) -> dict[str, np.ndarray]:
    return {name: data(dtype, *shape), f"{name}s": scale(), f"{name}z": data(dtype)}


def parameters(dtype: Any, size: float = 0.03) -> dict[str, np.ndarray]:
    return {"ys": number(size), "yz": data(dtype)}


@pytest.mark.parametrize("kind", [U8, I8])
class TestContrib:
    @pytest.mark.parametrize(("op_type", "size"), [("QLinearAdd", 0.05), ("QLinearMul", 0.2)])
    def test_binary(self, kind: Any, op_type: str, size: float) -> None:
        operands = quantized("a", kind, 3, 4, 5) | quantized("b", kind, 4, 1)
        check_contrib(op_type, operands | parameters(kind, size), "a", "b")

    @pytest.mark.parametrize("op_type", ["QLinearSigmoid", "QLinearLeakyRelu"])
    def test_unary(self, kind: Any, op_type: str) -> None:
        check_contrib(op_type, quantized("x", kind, 6, 50) | parameters(kind, 0.01), "x", "xs")

    def test_softmax(self, kind: Any) -> None:
        end = {"ys": number(1 / 256), "yz": np.array(np.iinfo(kind).min, kind)}
        for opset in (11, 13):
            operands = quantized("x", kind, 3, 4, 7) | end
            check_contrib("QLinearSoftmax", operands, "x", axis=1, opset=opset)

    @pytest.mark.parametrize("last", [0, 1])
    def test_pools(self, kind: Any, last: int) -> None:
        operands = quantized("x", kind, 2, 6, 7, 5) | parameters(kind)
        check_contrib("QLinearGlobalAveragePool", operands, "x", channels_last=last)
        window: dict[str, Any] = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}
        check_contrib("QLinearAveragePool", operands, "x", channels_last=last, **window)

    def test_global_pool_of_any_size(self, kind: Any) -> None:
        operands = quantized("x", kind, 2, 6, 7, 5) | parameters(kind)
        dims = {"x": ["n", 6, "h", "w"]}
        check_contrib("QLinearGlobalAveragePool", operands, "x", dims=dims)

    def test_concat(self, kind: Any) -> None:
        operands = parameters(kind) | quantized("a", kind, 2, 3) | quantized("b", kind, 2, 4)
        check_contrib("QLinearConcat", operands, "a", "b", axis=1)

    def test_where(self, kind: Any) -> None:
        condition = {"c": np.array([[True], [False], [True]])}
        operands = condition | quantized("a", kind, 3, 4) | quantized("b", kind, 4)
        check_contrib("QLinearWhere", operands | parameters(kind), "c", "a", "b")

    @pytest.mark.parametrize("ends_in_float", [True, False])
    def test_gemm(self, kind: Any, ends_in_float: bool) -> None:
        a = {"a": data(kind, 6, 20), "as": scale(), "az": data(kind)}
        b = {"b": weights(I8, 9, 20), "bs": scale(9), "bz": np.zeros(9, I8)}
        bias = {"c": RANDOM.integers(-3000, 3000, 9).astype(np.int32)}
        end = {} if ends_in_float else parameters(kind, 0.2)
        check_contrib("QGemm", a | b | bias | end, "a", transB=1, alpha=0.7)

    def test_to_float(self, kind: Any) -> None:
        operands = {"a": data(kind, 6, 20), "b": weights(I8, 20, 9), "as": scale(), "bs": scale(9)}
        operands |= {"az": data(kind), "bz": data(I8, 9), "bias": scale(9)}
        check_contrib("MatMulIntegerToFloat", operands, "a", "as", "az")

    def test_dynamic(self, kind: Any) -> None:
        operands = {"a": RANDOM.standard_normal((2, 6, 20)).astype(np.float32)}
        operands |= {"b": weights(kind, 20, 9), "bs": scale(), "bz": data(kind), "bias": scale(9)}
        check_contrib("DynamicQuantizeMatMul", operands, "a", dims={"a": ["n", "m", 20]})

    def test_pairs_of_bytes(self, kind: Any) -> None:
        a, b = (data(kind, 5, 5).astype(np.int16) * 100 for _ in range(2))
        node = helper.make_node("MatMulInteger16", ["a", "b"], ["y"], domain=MS)
        made = make_model([node], {"a": (np.int16, [5, 5])}, {"b": b})
        made.opset_import.append(helper.make_opsetid(MS, 1))
        expected = product(a, b, None, None)
        np.testing.assert_array_equal(run_model(made, {"a": a})["y"], expected)

    @pytest.mark.parametrize("count", [(), (4,)])
    def test_linear(self, kind: Any, count: tuple[int, ...]) -> None:
        axis: dict[str, Any] = {"axis": 1} if count else {}
        held = {"s": scale(*count), "z": data(kind, *count)}
        floats = {"x": RANDOM.standard_normal((3, 4, 5)).astype(np.float32)}
        check_contrib("QuantizeLinear", floats | held, "x", **axis)
        check_contrib("DequantizeLinear", {"x": data(kind, 3, 4, 5)} | held, "x", **axis)


@pytest.mark.parametrize("shape", [(), (5,), (3, 700), (2, 3, 9, 8)], ids=str)
def test_dynamic_quantize_linear(shape: tuple[int, ...]) -> None:
    """Two passes over the data, whatever their shape; 0 is in range even where no element is."""
    for low, high in ((-1.0, 2.0), (0.5, 3.0), (-3.0, -0.5)):
        x = RANDOM.uniform(low, high, shape).astype(np.float32)
        model = one_node("DynamicQuantizeLinear", {"x": x}, opset=11, outputs=["y", "s", "z"])
        check(model, {"x": x})
