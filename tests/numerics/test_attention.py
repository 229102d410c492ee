"""Attention as one kernel: products around a Softmax, with every mask, size and type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from numerics.harness import check, make_model, node_cases, run_case, run_model
from numerics.test_tiles import VECTOR_UNITS, compile_for
from onnx import helper

import compiler


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    """Seeded numbers."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def attention(
    shapes: Mapping[str, Sequence[Any]],
    between: Sequence[onnx.NodeProto] = (),
    scores: str = "s",
    constants: Mapping[str, Any] | None = None,
    dtype: Any = np.float32,
) -> onnx.ModelProto:
    """softmax(f(q k^T)) v with keys [..., keys, depth]; ``between`` are the nodes of f."""
    rank = len(shapes["k"])
    perm = [*range(rank - 2), rank - 1, rank - 2]
    nodes = [
        helper.make_node("Transpose", ["k"], ["t"], perm=perm),
        helper.make_node("MatMul", ["q", "t"], ["s"]),
        *between,
        helper.make_node("Softmax", [scores], ["p"], axis=-1),
        helper.make_node("MatMul", ["p", "v"], ["y"]),
    ]
    return make_model(nodes, {n: (dtype, list(d)) for n, d in shapes.items()}, constants)


def kernels(model: onnx.ModelProto) -> list[str]:
    """The names of a model's kernels."""
    manifest = compiler.compile(model, cache=False).program.manifest
    return [kernel["name"] for kernel in manifest["kernels"]]


def exact(q: np.ndarray, k: np.ndarray, v: np.ndarray, bias: Any = 0.0) -> np.ndarray:
    """The same in float64."""
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    scores = q @ k.swapaxes(-1, -2) + bias
    with np.errstate(invalid="ignore"):
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return (powers / powers.sum(axis=-1, keepdims=True)) @ v


@pytest.mark.parametrize("unit", VECTOR_UNITS)
@pytest.mark.parametrize(("rows", "keys"), [(1, 50), (5, 600), (85, 1030), (130, 256)])
def test_any_number_of_queries_and_keys(unit: str, rows: int, keys: int) -> None:
    q, k, v = floats(2, rows, 24), floats(2, keys, 24, seed=1), floats(2, keys, 40, seed=2)
    model = attention({"q": q.shape, "k": k.shape, "v": v.shape})
    y = compile_for(model, unit).run({"q": q, "k": k, "v": v})["y"]
    np.testing.assert_allclose(y, exact(q, k, v), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("unit", VECTOR_UNITS)
def test_sizes_that_only_a_run_knows(unit: str) -> None:
    shapes = {"q": ["b", 3, "n", 16], "k": ["b", 3, "m", 16], "v": ["b", 3, "m", 20]}
    network = compile_for(attention(shapes), unit)
    for b, n, m in [(1, 1, 1), (2, 7, 3), (1, 84, 512), (1, 100, 513), (2, 200, 1100), (1, 0, 5)]:
        feed = {"q": floats(b, 3, n, 16), "k": floats(b, 3, m, 16), "v": floats(b, 3, m, 20)}
        y = network.run(feed)["y"]
        np.testing.assert_allclose(y, exact(**feed), rtol=1e-4, atol=1e-5)
    none = {"q": floats(1, 3, 4, 16), "k": floats(1, 3, 0, 16), "v": floats(1, 3, 0, 20)}
    assert not network.run(none)["y"].any()


MASKS = {
    "rows": [1, 1, 40, 1],
    "causal": [40, 700],
    "heads of a batch": [2, 3, 40, 700],
}


@pytest.mark.parametrize("name", MASKS)
def test_scale_and_mask_are_part_of_the_kernel(name: str) -> None:
    nodes = [
        helper.make_node("Div", ["s", "root"], ["d"]),
        helper.make_node("Add", ["d", "m"], ["a"]),
    ]
    q, k, v = floats(2, 3, 40, 16), floats(2, 3, 700, 16, seed=1), floats(2, 3, 700, 16, seed=2)
    m = np.where(floats(*MASKS[name], seed=3) > 0, np.float32(0), np.finfo(np.float32).min)
    shapes = {"q": q.shape, "k": k.shape, "v": v.shape, "m": m.shape}
    model = attention(shapes, nodes, "a", {"root": np.float32(4)})
    assert len(kernels(model)) == 2  # with the transposition of keys
    feed = {"q": q, "k": k, "v": v, "m": m}
    np.testing.assert_allclose(
        run_model(model, feed)["y"], exact(q / 4, k, v, m), rtol=1e-4, atol=1e-5
    )


def test_masks_of_infinity() -> None:
    """Blocks of keys that are all masked count as nothing; a row that is all masked is NaN."""
    q, k, v = floats(5, 16), floats(900, 16, seed=1), floats(900, 8, seed=2)
    m = np.zeros((5, 900), np.float32)
    m[0, :600] = m[1, 300:] = m[2, 1:] = m[3] = -np.inf
    shapes = {"q": q.shape, "k": k.shape, "v": v.shape, "m": m.shape}
    model = attention(shapes, [helper.make_node("Add", ["s", "m"], ["a"])], "a")
    y = run_model(model, {"q": q, "k": k, "v": v, "m": m})["y"]
    assert np.isnan(y[3]).all()
    rows = [0, 1, 2, 4]
    np.testing.assert_allclose(y[rows], exact(q[rows], k, v, m[rows]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("keys", [40, 900])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_stays_so(keys: int, value: float) -> None:
    q, k, v = floats(6, 16), floats(keys, 16, seed=1), floats(keys, 8, seed=2)
    bias = np.zeros((6, keys), np.float32)
    bias[2, keys - 3] = bias[4, 1] = value
    shapes = {"q": q.shape, "k": k.shape, "v": v.shape, "m": bias.shape}
    model = attention(shapes, [helper.make_node("Add", ["s", "m"], ["a"])], "a")
    y = run_model(model, {"q": q, "k": k, "v": v, "m": bias})["y"]
    assert np.isnan(y[[2, 4]]).all()
    rows = [0, 1, 3, 5]
    np.testing.assert_allclose(y[rows], exact(q[rows], k, v), rtol=1e-4, atol=1e-5)


def test_large_scores() -> None:
    """The largest score comes late: what was summed before is corrected to nothing."""
    q, k, v = floats(7, 16), floats(1000, 16, seed=1), floats(1000, 8, seed=2)
    k[-5:] *= 400
    model = attention({"q": q.shape, "k": k.shape, "v": v.shape})
    y = run_model(model, {"q": q, "k": k, "v": v})["y"]
    np.testing.assert_allclose(y, exact(q, k, v), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_floats(dtype: str) -> None:
    feed = {
        name: floats(2, size, 16, seed=size).astype(dtype)
        for name, size in (("q", 30), ("k", 700), ("v", 700))
    }
    shapes = {name: array.shape for name, array in feed.items()}
    y = run_model(attention(shapes, dtype=np.dtype(dtype)), feed)["y"]
    assert y.dtype == dtype
    tolerance = 5e-3 if dtype == "float16" else 1e-12
    np.testing.assert_allclose(y, exact(**feed), rtol=tolerance, atol=tolerance)


def test_queries_that_share_keys_and_a_choice_between() -> None:
    """Grouped heads, scores chosen by a condition, and heads joined behind."""
    nodes = [
        helper.make_node("Unsqueeze", ["k", "two"], ["k5"]),
        helper.make_node("Unsqueeze", ["v", "two"], ["v5"]),
        helper.make_node("Expand", ["k5", "size"], ["ke"]),
        helper.make_node("Expand", ["v5", "size"], ["ve"]),
        helper.make_node("Reshape", ["ke", "heads"], ["kh"]),
        helper.make_node("Reshape", ["ve", "heads"], ["vh"]),
        helper.make_node("Transpose", ["kh"], ["t"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["q", "t"], ["s"]),
        helper.make_node("Mul", ["s", "scale"], ["m"]),
        helper.make_node("Where", ["seen", "m", "hidden"], ["w"]),
        helper.make_node("Softmax", ["w"], ["p"], axis=-1),
        helper.make_node("MatMul", ["p", "vh"], ["o"]),
        helper.make_node("Transpose", ["o"], ["r"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["r", "flat"], ["y"]),
    ]
    constants: dict[str, Any] = {
        "two": np.array([2]),
        "size": np.array([1, 2, 3, 20, 8]),
        "heads": np.array([1, 6, 20, 8]),
        "scale": np.float32(0.5),
        "seen": np.tri(10, 20, 10, dtype=bool),
        "hidden": np.float32(-np.inf),
        "flat": np.array([1, 10, 48]),
    }
    shapes = {"q": [1, 6, 10, 8], "k": [1, 2, 20, 8], "v": [1, 2, 20, 8]}
    model = make_model(nodes, {n: (np.float32, d) for n, d in shapes.items()}, constants)
    assert any("softmax_matmul_transpose" in name for name in kernels(model))
    check(model, {n: floats(*d, seed=d[2]) for n, d in shapes.items()}, rtol=1e-4, atol=1e-5)


def test_scores_that_others_read_are_stored() -> None:
    """Not one kernel: the probabilities are a result of their own."""
    nodes = [
        helper.make_node("MatMul", ["q", "k"], ["s"]),
        helper.make_node("Softmax", ["s"], ["p"], axis=-1),
        helper.make_node("MatMul", ["p", "v"], ["y"]),
    ]
    shapes = {"q": [9, 8], "k": [8, 11], "v": [11, 5]}
    inputs = {n: (np.float32, d) for n, d in shapes.items()}
    for outputs in (["y", "p"], ["y", "s"]):
        model = make_model(nodes, inputs, outputs=outputs)
        assert not any("softmax_matmul" in name for name in kernels(model))
        check(model, {n: floats(*d) for n, d in shapes.items()}, rtol=1e-4, atol=1e-5)


SKIPPED = ("bf16", "3d", "qk_matmul", "scaled", "sizes")
"""What is compared too closely for 8 bits, or is the like of a case that is not skipped."""

CASES = {
    case.name: case
    for case in node_cases("Attention")
    if not any(part in case.name for part in SKIPPED)
}


@pytest.mark.parametrize("name", CASES)
def test_the_operator(name: str) -> None:
    run_case(CASES[name])
