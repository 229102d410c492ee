"""Products of bytes whose weights are split, so that pairs of products fit 16 bits: exact."""

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
from compiler.target import Target
from passes.onnx.pack_integers import LONGEST_PAIR, Split, split_weights

pytestmark = pytest.mark.skipif(
    Target.host().architecture != "x86_64", reason="the instruction is one of x86"
)

RANDOM = np.random.default_rng(5)


def pipeline_of() -> Pipeline:
    """The pipeline of an x86-64 target with AVX2, which multiplies pairs of words."""
    unit = "vector-bits=256 registers=16"
    pipeline = Pipeline.default().replace(
        "onnx-decompose-integers", "onnx-decompose-integers{unsigned-data=false}"
    )
    pipeline = pipeline.replace("onnx-pack-integers", f"onnx-pack-integers{{group=2 {unit}}}")
    for name in ("onnx-assign-layouts", "krnl-schedule"):
        pipeline = pipeline.replace(name, f"{name}{{{unit}}}")
    return pipeline.replace("lower-llvm", "lower-llvm{dot-products=pmaddwd}")


def weights_of(depth: int, columns: int, long: float) -> np.ndarray:
    """Small weights, some of them as large as they can be."""
    weights = RANDOM.integers(-64, 65, (depth, columns))
    large = RANDOM.choice([-128, -127, 127], (depth, columns))
    return np.where(RANDOM.random((depth, columns)) < long, large, weights).astype(np.int8)


def lengthen(weights: np.ndarray) -> None:
    """Makes a pair of the first fours long, in some panels."""
    weights[2, 5::48] = 127
    weights[3, 5::48] = -128


def bytes_of(*shape: int) -> np.ndarray:
    """Bytes, many of them 0 or 255."""
    data = RANDOM.integers(0, 256, shape)
    return np.where(RANDOM.random(shape) < 0.5, data, data // 128 * 255).astype(np.uint8)


def check(
    nodes: Any, x: np.ndarray, constants: dict[str, np.ndarray], expected: np.ndarray, kind: str
) -> None:
    """Exact results, by a kind of operation or attribute."""
    model = make_model(nodes, {"x": (np.uint8, list(x.shape))}, constants)
    passes = pipeline_of()
    text = compiler.lower(model, to="onnx", passes=passes.until("onnx-assign-layouts")).as_text()
    assert kind in text
    (y,) = compiler.compile(model, passes=passes, cache=False).run({"x": x}).values()
    np.testing.assert_array_equal(y, expected.astype(np.int32))


@pytest.mark.parametrize(
    ("shape", "depth", "columns"),
    [((128,), 96, 192), ((7,), 30, 96), ((1,), 64, 384), ((2, 3, 5), 33, 192), ((600,), 12, 192)],
)
@pytest.mark.parametrize("zero", [0, 131])
def test_a_matrix_with_few_long_pairs(
    shape: tuple[int, ...], depth: int, columns: int, zero: int
) -> None:
    x, w = bytes_of(*shape, depth), weights_of(depth, columns, 0)
    lengthen(w)
    node = helper.make_node("MatMulInteger", ["x", "w", "z"], ["y"])
    expected = (x.astype(np.int64) - zero) @ w.astype(np.int64)
    kind = "onnx.SplitMatMul" if depth >= 33 else "onnx.MatMulInteger"
    check([node], x, {"w": w, "z": np.array(zero, np.uint8)}, expected, kind)


def test_what_stands_behind_such_a_product() -> None:
    x, w = bytes_of(40, 128), weights_of(128, 96, 0)
    lengthen(w)
    nodes = [
        helper.make_node("MatMulInteger", ["x", "w"], ["p"]),
        helper.make_node("Add", ["p", "c"], ["y"]),
    ]
    c = RANDOM.integers(-1000, 1000, 96).astype(np.int32)
    check(nodes, x, {"w": w, "c": c}, x.astype(np.int64) @ w.astype(np.int64) + c, "SplitMatMul")


def test_a_matrix_of_short_pairs_is_left_whole() -> None:
    x, w = bytes_of(50, 64), weights_of(64, 72, 0)
    w[::2], w[1::2] = 64, -64
    w[0], w[1] = -128, 0
    node = helper.make_node("MatMulInteger", ["x", "w"], ["y"])
    check([node], x, {"w": w}, x.astype(np.int64) @ w.astype(np.int64), "onnx.short_pairs")


def test_a_convolution_of_short_pairs() -> None:
    x, w = bytes_of(2, 12, 9, 9), weights_of(32, 12, 0).reshape(32, 12, 1, 1)
    node = helper.make_node("ConvInteger", ["x", "w"], ["y"])
    expected = np.einsum("ncij,kc->nkij", x.astype(np.int64), w[:, :, 0, 0].astype(np.int64))
    check([node], x, {"w": w}, expected, "onnx.short_pairs")


@pytest.mark.parametrize(
    ("weights", "why"),
    [
        (np.full((64, 96), 127, np.int8), "all pairs are long"),
        (weights_of(64, 100, 0.002), "the last panel is not whole"),
        (weights_of(64, 96, 0.2), "the rest is too large"),
    ],
)
def test_what_stays_pairs_of_words(weights: np.ndarray, why: str) -> None:
    x = bytes_of(30, len(weights))
    node = helper.make_node("MatMulInteger", ["x", "w"], ["y"])
    model = make_model([node], {"x": (np.uint8, list(x.shape))}, {"w": weights})
    passes = pipeline_of()
    text = compiler.lower(model, to="onnx", passes=passes.until("onnx-assign-layouts")).as_text()
    assert "[i16, i8]" in text, why
    (y,) = compiler.compile(model, passes=passes, cache=False).run({"x": x}).values()
    np.testing.assert_array_equal(y, x.astype(np.int64) @ weights.astype(np.int64))


@settings(max_examples=60, deadline=None)
@given(
    depth=st.integers(2, 90),
    panels=st.integers(1, 4),
    long=st.sampled_from([0, 0.001, 0.01]),
    seed=st.integers(0, 999),
)
def test_the_parts_are_short_and_add_up(depth: int, panels: int, long: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(-64, 65, (depth, 16 * panels)).astype(np.int8)
    weights[rng.random(weights.shape) < long] = -128
    split = split_weights(weights, 16)
    if split is None:
        return
    whole = split.dense.astype(np.int64)
    assert_short(whole)
    if split.rest is not None:
        whole = whole + spread(split, whole.shape)
        assert_short(split.rest)
    np.testing.assert_array_equal(whole[:depth], weights)
    assert not whole[depth:].any()


def assert_short(weights: np.ndarray) -> None:
    sizes = np.abs(np.pad(weights.astype(np.int64), [(0, len(weights) % 2), (0, 0)]))
    assert (sizes[::2] + sizes[1::2]).max(initial=0) <= LONGEST_PAIR


def spread(split: Split, shape: tuple[int, ...]) -> np.ndarray:
    """The rest where it belongs."""
    assert split.rest is not None
    whole = np.zeros(shape, np.int64)
    for panel, places in enumerate(split.places):
        columns = slice(panel * split.panel, (panel + 1) * split.panel)
        for number, place in enumerate(places):
            part = split.rest[4 * number : 4 * number + 4, columns]
            whole[4 * place : 4 * place + 4, columns] += part
    return whole


def test_a_model_quantized_to_seven_bits_has_short_pairs(tmp_path: Any) -> None:
    quantization = pytest.importorskip("onnxruntime.quantization")
    w = RANDOM.standard_normal((64, 48)).astype(np.float32)
    model = make_model(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": (np.float32, [20, 64])}, {"w": w}
    )
    onnx.save(model, tmp_path / "f.onnx")
    quantization.quantize_dynamic(
        tmp_path / "f.onnx",
        tmp_path / "q.onnx",
        weight_type=quantization.QuantType.QInt8,
        reduce_range=True,
    )
    passes = pipeline_of()
    low = compiler.lower(
        str(tmp_path / "q.onnx"), to="onnx", passes=passes.until("onnx-assign-layouts")
    )
    assert "onnx.short_pairs" in low.as_text()
    x = RANDOM.standard_normal((20, 64)).astype(np.float32)
    (y,) = (
        compiler.compile(str(tmp_path / "q.onnx"), passes=passes, cache=False)
        .run({"x": x})
        .values()
    )
    assert np.abs(y - x @ w).max() < 0.05 * np.abs(x @ w).max()
