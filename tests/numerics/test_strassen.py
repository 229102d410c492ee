"""Products of matrices by Strassen's seven products of blocks, beside float64 and plain ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numerics.harness import make_model
from onnx import helper

import compiler
from compiler.pipeline import Pipeline

AVX2 = "vector-bits=256 registers=16"
AVX512 = "vector-bits=512 registers=32"
UNITS = (AVX2, AVX512)

BOUND = 3e-6
"""Of the largest result: the products of up to 1024 terms here."""


def pipeline_of(unit: str, always: bool = True) -> Pipeline:
    """All products by blocks that can be, for a vector unit."""
    chosen = f"onnx-apply-strassen{{{unit} always={str(always).lower()}}}"
    pipeline = Pipeline.default().replace("onnx-apply-strassen", chosen)
    for name in ("onnx-assign-layouts", "krnl-schedule"):
        pipeline = pipeline.replace(name, f"{name}{{{unit}}}")
    return pipeline


def products_in(model: onnx.ModelProto, passes: Pipeline) -> int:
    """How many products are done by blocks."""
    text = compiler.lower(model, to="onnx", passes=passes.until("onnx-assign-layouts")).as_text()
    return text.count("onnx.StrassenMatMul")


def matrices(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Normally distributed numbers."""
    rng = np.random.default_rng(len(shapes) + sum(map(sum, shapes)))
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def run(model: onnx.ModelProto, feed: dict[str, np.ndarray], passes: Pipeline) -> np.ndarray:
    """The only result of a model."""
    (y,) = compiler.compile(model, passes=passes, cache=False).run(feed).values()
    return y


def assert_near(y: np.ndarray, expected: np.ndarray, bound: float = BOUND) -> None:
    """Errors are bounded relative to the largest result."""
    assert y.shape == expected.shape
    assert np.abs(y - expected).max() <= bound * np.abs(expected).max()


def check(nodes: Any, x: np.ndarray, weights: dict[str, np.ndarray], expected: np.ndarray) -> None:
    """Both vector units, one product each."""
    model = make_model(nodes, {"x": (np.float32, list(x.shape))}, weights)
    for unit in UNITS:
        passes = pipeline_of(unit)
        assert products_in(model, passes) == 1
        assert_near(run(model, {"x": x}, passes), expected)


@pytest.mark.parametrize(
    ("shape", "depth", "columns"),
    [
        ((128,), 64, 128),
        ((127,), 64, 128),
        ((129,), 66, 256),
        ((2, 67), 2, 128),
        ((3, 1, 50), 130, 384),
        ((700,), 32, 128),
        ((331, 1), 8, 128),
        ((128,), 16, 125),
        ((128,), 16, 120),
        # Several blocks of the depth.
        ((128,), 256, 128),
        ((131,), 1024, 250),
    ],
)
def test_matmul(shape: tuple[int, ...], depth: int, columns: int) -> None:
    x, w = matrices((*shape, depth), (depth, columns))
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    check([node], x, {"w": w}, x.astype(np.float64) @ w.astype(np.float64))


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("rows", [120, 121])
def test_gemm_with_bias_and_what_follows(transposed: int, rows: int) -> None:
    x, w, b = matrices((rows, 48), (48, 128), (128,))
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["p"], transB=transposed),
        helper.make_node("Relu", ["p"], ["r"]),
        helper.make_node("Add", ["r", "s"], ["y"]),
    ]
    (s,) = matrices((rows, 128))
    expected = np.maximum(x.astype(np.float64) @ w + b, 0) + s
    check(nodes, x, {"w": w.T.copy() if transposed else w, "b": b, "s": s}, expected)


@pytest.mark.parametrize(("images", "size"), [(1, (11, 13)), (3, (9, 7))])
@pytest.mark.parametrize("has_bias", [True, False])
def test_convolution_with_a_kernel_of_one(
    images: int, size: tuple[int, int], has_bias: bool
) -> None:
    x, w, b, s = matrices((images, 48, *size), (128, 48, 1, 1), (128,), (images, 128, *size))
    operands = ["x", "w", "b"] if has_bias else ["x", "w"]
    nodes = [
        helper.make_node("Conv", operands, ["c"], kernel_shape=[1, 1]),
        helper.make_node("Add", ["c", "s"], ["y"]),
    ]
    expected = np.einsum("ncij,kc->nkij", x.astype(np.float64), w[:, :, 0, 0]) + s
    expected += b[:, None, None] if has_bias else 0
    check(nodes, x, {"w": w, "s": s} | ({"b": b} if has_bias else {}), expected)


def test_products_of_the_same_data_share_their_sums() -> None:
    x, v, w = matrices((128, 64), (64, 128), (64, 256))
    nodes = [
        helper.make_node("MatMul", ["x", "v"], ["a"]),
        helper.make_node("MatMul", ["x", "w"], ["b"]),
        helper.make_node("Concat", ["a", "b"], ["y"], axis=1),
    ]
    model = make_model(nodes, {"x": (np.float32, [128, 64])}, {"v": v, "w": w})
    passes = pipeline_of(AVX2)
    text = compiler.lower(model, to="onnx", passes=passes.until("onnx-assign-layouts")).as_text()
    assert (text.count("onnx.StrassenSums"), text.count("onnx.StrassenMatMul")) == (1, 2)
    assert_near(run(model, {"x": x}, passes), x.astype(np.float64) @ np.hstack([v, w]))


@settings(max_examples=15, deadline=None)
@given(
    rows=st.integers(100, 420),
    depth=st.integers(1, 40),
    pairs=st.integers(1, 3),
    missing=st.integers(0, 15),
    unit=st.sampled_from(UNITS),
)
def test_any_shape(rows: int, depth: int, pairs: int, missing: int, unit: str) -> None:
    x, w = matrices((rows, 2 * depth), (2 * depth, 128 * pairs - missing))
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    model = make_model([node], {"x": (np.float32, list(x.shape))}, {"w": w})
    assert products_in(model, pipeline_of(unit)) == 1
    assert_near(run(model, {"x": x}, pipeline_of(unit)), x.astype(np.float64) @ w)


@pytest.mark.parametrize("depth", [768, 3072])
def test_errors_stay_near_those_of_the_plain_product(depth: int) -> None:
    x, w = matrices((128, depth), (depth, 128))
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    model = make_model([node], {"x": (np.float32, [128, depth])}, {"w": w})
    exact = x.astype(np.float64) @ w.astype(np.float64)
    plain = Pipeline.default().without("onnx-apply-strassen")
    errors = [np.abs(run(model, {"x": x}, p) - exact).max() for p in (plain, pipeline_of(AVX2))]
    assert errors[1] <= 4 * errors[0]
    assert_near(run(model, {"x": x}, pipeline_of(AVX2)), exact, 4e-6)


@pytest.mark.parametrize(
    ("shape", "weight", "why"),
    [
        ([40, 768], (768, 768), "few rows"),
        ([128, 767], (767, 768), "an odd depth"),
        ([128, 768], (768, 100), "an odd number of panels"),
        ([128, 96], (96, 96), "sums cost more than they save"),
        (["n", 768], (768, 768), "rows that only a run knows"),
    ],
)
def test_what_stays_a_plain_product(shape: list[Any], weight: tuple[int, int], why: str) -> None:
    (w,) = matrices(weight)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    model = make_model([node], {"x": (np.float32, shape)}, {"w": w})
    assert products_in(model, pipeline_of(AVX2, always=False)) == 0, why


def test_an_infinite_weight_stays_in_its_column() -> None:
    x, w = matrices((128, 768), (768, 768))
    w[5, 7] = np.inf
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    model = make_model([node], {"x": (np.float32, [128, 768])}, {"w": w})
    y = run(model, {"x": x}, pipeline_of(AVX2))
    assert np.isfinite(np.delete(y, 7, axis=1)).all()
    assert np.isinf(y[:, 7]).all()


def test_a_large_product_is_done_by_blocks() -> None:
    (w,) = matrices((768, 768))
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    model = make_model([node], {"x": (np.float32, [1, 128, 768])}, {"w": w})
    assert products_in(model, pipeline_of(AVX2, always=False)) == 1
