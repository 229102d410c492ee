"""Products between DequantizeLinear and QuantizeLinear, as onnxruntime's quantizers write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numerics.harness import check, make_model, run_model
from onnx import helper

import compiler

RANDOM = np.random.default_rng(11)
U8, I8 = np.uint8, np.int8


def data(dtype: Any, *shape: int) -> np.ndarray:
    limits = np.iinfo(dtype)
    return RANDOM.integers(limits.min, limits.max + 1, shape).astype(dtype)


def scale(*shape: int) -> np.ndarray:
    return RANDOM.uniform(0.005, 0.05, shape).astype(np.float32)


def float_reference(model: onnx.ModelProto, feed: Mapping[str, np.ndarray]) -> np.ndarray:
    """onnxruntime without optimizations, which computes in float32."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, dict(feed))[0]


def between(
    nodes: Sequence[onnx.NodeProto],
    x: np.ndarray,
    constants: Mapping[str, np.ndarray],
    ends: str,
    dims: Sequence[Any] | None = None,
) -> onnx.ModelProto:
    """`x` quantized and dequantized to `d`, the nodes, and `c` quantized to `y` or given as it is.

    ``ends`` is "float", or the name of what is quantized.
    """
    kind = constants["xz"].dtype
    before = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "xs", "xz"], ["d"]),
    ]
    held = {**constants}
    if ends == "float":
        after = [helper.make_node("Identity", ["c"], ["y"])]
    else:
        held |= {"ys": np.array(0.08, np.float32), "yz": np.array(np.iinfo(kind).min, kind)}
        after = [helper.make_node("QuantizeLinear", [ends, "ys", "yz"], ["y"])]
    made = [*before, *nodes, *after]
    return make_model(made, {"x": (np.float32, dims or x.shape)}, held, opset=13)


def compare(model: onnx.ModelProto, x: np.ndarray) -> None:
    """Floats up to the rounding of sums; integers are one apart where that decides."""
    got, expected = run_model(model, {"x": x})["y"], float_reference(model, {"x": x})
    assert got.dtype == expected.dtype and got.shape == expected.shape
    if got.dtype == np.float32:
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-4)
        return
    apart = np.abs(got.astype(int) - expected.astype(int))
    assert apart.max() <= 1 and np.count_nonzero(apart) <= 1 + apart.size // 500
    assert len(np.unique(got)) > 4


def operands(kind: Any, *columns: int) -> dict[str, np.ndarray]:
    """Scales and zero points of `x` and `w`, the latter by columns."""
    x = {"xs": np.array(0.03, np.float32), "xz": data(kind)}
    return x | {"ws": scale(*columns) / 10, "wz": np.zeros(columns, I8)}


@pytest.mark.parametrize(
    ("kind", "ends", "groups"),
    [(U8, "float", 1), (U8, "c", 8), (U8, "r", 1), (I8, "c", 1), (I8, "r", 8)],
)
def test_conv(kind: Any, ends: str, groups: int) -> None:
    x = RANDOM.standard_normal((2, 8, 9, 7)).astype(np.float32)
    held = operands(kind, 16) | {"w": data(I8, 16, 8 // groups, 3, 3)}
    held |= {"b": data(np.int16, 16).astype(np.int32) // 8, "bs": held["xs"] * held["ws"]}
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "bs"], ["bd"], axis=0),
        helper.make_node("Conv", ["d", "wd", "bd"], ["c"], group=groups, pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["r"]),
    ]
    dims = ["n", 8, "h", "w"] if ends == "r" else None
    compare(between(nodes, x, held, ends, dims), x)


@pytest.mark.parametrize("ends", ["float", "c"])
def test_conv_with_float_bias(ends: str) -> None:
    x = RANDOM.standard_normal((1, 4, 12)).astype(np.float32)
    held = operands(U8) | {"w": data(I8, 6, 4, 3), "b": scale(6)}
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"]),
        helper.make_node("Conv", ["d", "wd", "b"], ["c"], auto_pad="SAME_UPPER", strides=[2]),
    ]
    compare(between(nodes, x, held, ends), x)


@pytest.mark.parametrize("ends", ["float", "c"])
@pytest.mark.parametrize("by_columns", [True, False])
def test_matmul(ends: str, by_columns: bool) -> None:
    x = RANDOM.standard_normal((3, 5, 24)).astype(np.float32)
    held = operands(U8, *[10] * by_columns) | {"w": data(I8, 24, 10)}
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=1),
        helper.make_node("MatMul", ["d", "wd"], ["c"]),
    ]
    compare(between(nodes, x, held, ends, ["n", 5, 24]), x)


def test_matmul_of_data() -> None:
    """Scores of attention: neither operand is constant."""
    x = RANDOM.standard_normal((2, 6, 16)).astype(np.float32)
    nodes = [
        helper.make_node("Transpose", ["q"], ["t"], perm=[0, 2, 1]),
        helper.make_node("DequantizeLinear", ["t", "xs", "xz"], ["td"]),
        helper.make_node("MatMul", ["d", "td"], ["c"]),
    ]
    held = {"xs": np.array(0.03, np.float32), "xz": data(U8)}
    compare(between(nodes, x, held, "float"), x)


@pytest.mark.parametrize("ends", ["float", "c"])
@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(ends: str, transposed: int) -> None:
    x = RANDOM.standard_normal((5, 24)).astype(np.float32)
    held = operands(I8, 10) | {"w": data(I8, *([10, 24] if transposed else [24, 10]))}
    held |= {"b": data(np.int16, 10).astype(np.int32) // 8, "bs": held["xs"] * held["ws"]}
    whole = ends == "c"
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=1 - transposed),
        helper.make_node("DequantizeLinear", ["b", "bs"], ["bd"], axis=0),
        helper.make_node(
            "Gemm",
            ["d", "wd", "bd"],
            ["c"],
            transB=transposed,
            alpha=1.0 if whole else 0.5,
            beta=1.0 if whole else 2.0,
        ),
    ]
    compare(between(nodes, x, held, ends), x)


@pytest.mark.parametrize("kind", [U8, I8])
def test_dynamic_quantization(kind: Any) -> None:
    """A layer of a model that onnxruntime's `quantize_dynamic` made."""
    weight = RANDOM.integers(-63, 64, (24, 10)).astype(I8) if kind is I8 else data(kind, 24, 10)
    held = {"w": weight, "ws": scale(), "wz": data(kind), "b": scale(10)}
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("MatMulInteger", ["q", "w", "z", "wz"], ["p"]),
        helper.make_node("Cast", ["p"], ["f"], to=1),
        helper.make_node("Mul", ["s", "ws"], ["sw"]),
        helper.make_node("Mul", ["f", "sw"], ["m"]),
        helper.make_node("Add", ["m", "b"], ["y"]),
    ]
    model = make_model(nodes, {"x": (np.float32, ["n", 5, 24])}, held, opset=13)
    check(model, {"x": RANDOM.standard_normal((3, 5, 24)).astype(np.float32)})


def residual_block() -> tuple[onnx.ModelProto, np.ndarray]:
    """MaxPool, two convolutions, a sum of their results, all quantized in between."""
    held = {"xs": np.array(0.03, np.float32), "xz": data(U8), "w": data(I8, 8, 8, 1, 1)}
    held |= {"ws": np.array(0.003, np.float32), "wz": np.array(0, I8), "v": held["w"][::-1].copy()}
    held |= {"ys": np.array(0.05, np.float32), "yz": np.array(100, U8)}

    def quantized(source: str, to: str, name: str = "y") -> list[onnx.NodeProto]:
        scales = [name + "s", name + "z"]
        return [
            helper.make_node("QuantizeLinear", [source, *scales], [f"q{to}"]),
            helper.make_node("DequantizeLinear", [f"q{to}", *scales], [to]),
        ]

    nodes = [
        *quantized("x", "d", "x"),
        helper.make_node("MaxPool", ["d"], ["m"], kernel_shape=[3, 3], pads=[1] * 4),
        *quantized("m", "p", "x"),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["dw"]),
        helper.make_node("Conv", ["p", "dw"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        *quantized("r", "e"),
        helper.make_node("DequantizeLinear", ["v", "ws", "wz"], ["dv"]),
        helper.make_node("Conv", ["e", "dv"], ["f"]),
        *quantized("f", "g"),
        helper.make_node("Add", ["g", "e"], ["s"]),
        helper.make_node("QuantizeLinear", ["s", "ys", "yz"], ["y"]),
    ]
    x = RANDOM.standard_normal((2, 8, 9, 7)).astype(np.float32)
    return make_model(nodes, {"x": (np.float32, x.shape)}, held, opset=13), x


def test_residual_block() -> None:
    compare(*residual_block())


def test_bytes_are_what_is_stored() -> None:
    """Between the kernels of quantized operators there is no float."""
    model, _ = residual_block()
    buffers = [
        line.rpartition("->")[2].strip()
        for line in compiler.lower(model, to="krnl").as_text(elide=64).splitlines()
        if '"hal.alloc"' in line
    ]
    assert buffers and not [kind for kind in buffers if "f32" in kind]


@pytest.mark.parametrize(("kind", "zero"), [(np.uint8, 0), (np.uint8, 200), (np.int8, -128)])
def test_numbers_that_are_dequantized_at_once(kind: Any, zero: int) -> None:
    """Ties, zeros of both signs and numbers far out of range, through bytes that nobody stores."""
    special = np.float32([0, -0.0, 0.2, -0.2, 0.5, 1.5, -0.5, 1e9, -1e9, 3e38, np.inf, -np.inf])
    x = np.concatenate([special, np.arange(-300, 300, dtype=np.float32) * 0.5])
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("Reciprocal", ["d"], ["y"]),
    ]
    constants = {"s": np.float32(0.5), "z": np.array(zero, kind)}
    model = make_model(nodes, {"x": (np.float32, x.shape)}, constants, ["y", "q"])
    network = compiler.compile(model, cache=False)
    assert len(network.program.manifest["kernels"]) == 1
    limits = np.iinfo(kind)
    q = np.clip(np.rint(x.astype(np.float64) * 2) + zero, limits.min, limits.max)
    with np.errstate(divide="ignore"):
        y = np.float32(1) / ((q.astype(np.int32) - zero).astype(np.float32) * np.float32(0.5))
    got = network.run({"x": x})
    np.testing.assert_array_equal(got["q"], q.astype(kind))
    np.testing.assert_array_equal(got["y"], y)
    lowest = network.run({"x": np.full_like(x, np.nan)})["q"]
    assert (lowest == limits.min).all()


def dequantized(x: np.ndarray, s: np.ndarray, z: np.ndarray | None, axis: int, block: int) -> Any:
    """What DequantizeLinear is specified to compute."""
    wide = [np.zeros((), np.int32) if z is None else z.astype(np.int32), s]
    for n, held in enumerate(wide):
        if block:
            wide[n] = np.repeat(held, block, axis) if held.ndim else held
        elif held.ndim == 1 and held.size > 1:
            wide[n] = held.reshape([-1 if a == axis else 1 for a in range(x.ndim)])
    return ((x.astype(np.int32) - wide[0]).astype(np.float32) * wide[1]).astype(np.float32)


@pytest.mark.parametrize("kind", [U8, I8])
@pytest.mark.parametrize("indices", [(), (5,), (2, 3), "dynamic"])
@pytest.mark.parametrize(
    ("scales", "axis", "block", "gathered"),
    [
        ((), 1, 0, 0),
        ((1,), 0, 0, 0),
        ((7,), 0, 0, 0),
        ((6,), 1, 0, 0),
        ((4,), -1, 0, 0),
        ((6,), 1, 0, 1),
        ((7,), 0, 0, -2),
        ((4,), 2, 0, 1),
        ((7, 3, 4), 1, 2, 0),
        ((7, 6, 2), 2, 2, 1),
        ((7, 3, 4), 1, 2, 1),
    ],
)
@pytest.mark.parametrize("has_zero", [True, False])
def test_what_is_gathered_is_dequantized(
    kind: Any, indices: Any, scales: Any, axis: int, block: int, gathered: int, has_zero: bool
) -> None:
    """Of a quantized table, as of embeddings, a run dequantizes what it takes."""
    table, factors = data(kind, 7, 6, 4), scale(*scales)
    zeros = data(kind, *scales) if has_zero else None
    shape = (2, 3) if indices == "dynamic" else indices
    size = table.shape[gathered]
    places = RANDOM.integers(-size, size, shape).astype(np.int64)
    constants = {"w": table, "s": factors} | ({} if zeros is None else {"z": zeros})
    blocks = {"block_size": block} if block else {}
    nodes = [
        helper.make_node("DequantizeLinear", list(constants), ["d"], axis=axis, **blocks),
        helper.make_node("Gather", ["d", "i"], ["y"], axis=gathered),
    ]
    inputs = {"i": (np.int64, ["batch", "length"] if indices == "dynamic" else shape)}
    model = make_model(nodes, inputs, constants, opset=21)
    network = compiler.compile(model, cache=False)
    got = network.run({"i": places})["y"]
    whole = dequantized(table, factors, zeros, axis % 3, block)
    np.testing.assert_array_equal(got, np.take(whole, places, gathered))
    names = [entry["name"] for entry in network.program.manifest["kernels"]]
    is_whole = any(name.endswith("_7x6x4") for name in names)
    assert is_whole == (bool(block) and axis == gathered)
