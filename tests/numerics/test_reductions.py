"""Reductions, selections and Softmax against onnx.reference and onnxruntime."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numerics.harness import (
    check,
    compile_model,
    make_model,
    node_cases,
    one_node,
    run_case,
    run_model,
)
from onnx import helper

import compiler

KINDS = (
    *("ReduceSum", "ReduceMean", "ReduceProd", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2"),
    *("ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"),
)
SELECTIONS = ("ArgMax", "ArgMin", "TopK")
SOFTMAX = ("Softmax", "LogSoftmax", "Hardmax")

FLOATS = [np.float32, np.float64, np.float16]
INTEGERS = [np.int8, np.uint8, np.int32, np.int64, np.uint32, np.uint64]


def numbers(*shape: int, dtype: Any = np.float32, seed: int = 0) -> np.ndarray:
    """Random numbers, none close to zero, integers small enough not to overflow."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind in "iu":
        low = 1 if np.dtype(dtype).kind == "u" else -4
        return rng.integers(low, 5, shape).astype(dtype)
    return (rng.uniform(0.5, 1.5, shape) * rng.choice([-1, 1], shape)).astype(dtype)


@pytest.mark.parametrize(
    "case", list(node_cases(*KINDS, *SELECTIONS, *SOFTMAX, "Einsum")), ids=lambda case: case.name
)
def test_suite(case: Any) -> None:
    run_case(case)


# Reductions -------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.data())
def test_axes(data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, 4))
    shape = data.draw(st.lists(st.integers(1, 5), min_size=rank, max_size=rank))
    kind = data.draw(st.sampled_from(KINDS))
    axes = data.draw(st.sets(st.integers(0, rank - 1), min_size=1))
    axes = [axis - rank if data.draw(st.booleans()) else axis for axis in sorted(axes)]
    keepdims = data.draw(st.integers(0, 1))
    x = np.abs(numbers(*shape)) if kind == "ReduceLogSum" else numbers(*shape)
    dims = {"x": list("abcd"[:rank])} if data.draw(st.booleans()) else None
    form = data.draw(st.sampled_from(["attribute", "constant", "run"]))
    if form == "attribute":
        made = one_node(kind, {"x": x}, opset=11, dims=dims, axes=axes, keepdims=keepdims)
        check(made, {"x": x}, rtol=1e-4, atol=1e-5)
        return
    feed = {"x": x}
    constants = {"a": np.array(axes)} if form == "constant" else {}
    if form == "run":
        feed["a"] = np.array(axes)
    made = one_node(
        kind, feed, opset=18, dims=dims, constants=constants, order=["x", "a"], keepdims=keepdims
    )
    check(made, feed, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_no_axes(kind: str) -> None:
    x = np.abs(numbers(3, 4))
    check(one_node(kind, {"x": x}, opset=13 if kind == "ReduceSum" else 11), {"x": x}, rtol=1e-4)
    made = one_node(kind, {"x": x}, opset=18, noop_with_empty_axes=1)
    check(made, {"x": x}, onnxruntime=False, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [*FLOATS, np.int32, np.int64])
@pytest.mark.parametrize("kind", KINDS)
def test_element_types(kind: str, dtype: Any) -> None:
    x = np.abs(numbers(4, 9, dtype=dtype))
    made = one_node(kind, {"x": x}, opset=18, constants={"a": np.array([1])})
    if kind == "ReduceLogSumExp" and x.dtype.kind == "i":
        # onnxruntime takes exponentials of integers as integers.
        want = np.log(np.exp(x.astype(float)).sum(1, keepdims=True)).astype(dtype)
        np.testing.assert_array_equal(run_model(made, {"x": x})["y"], want)
        return
    rtol = {np.float16: 4e-3, np.float64: 1e-12}.get(dtype, 1e-5)
    check(made, {"x": x}, reference=x.dtype.kind == "f", rtol=rtol, atol=1e-6)


@pytest.mark.parametrize("kind", ["ReduceMax", "ReduceMin"])
def test_extremes_of_bytes_booleans_and_nan(kind: str) -> None:
    for dtype in (np.int8, np.uint8):
        x = numbers(3, 5, dtype=dtype)
        check(one_node(kind, {"x": x}, opset=20, constants={"a": np.array([0])}), {"x": x})
    x = np.array([[True, False], [True, True], [False, False]])
    made = one_node(kind, {"x": x}, opset=20, constants={"a": np.array([1])})
    check(made, {"x": x}, onnxruntime=False)
    x = numbers(4, 40)
    x[0, 3] = x[1, 39] = np.nan
    x[2, 5], x[3, 6] = np.inf, -np.inf
    made = one_node(kind, {"x": x}, opset=18, constants={"a": np.array([1])})
    check(made, {"x": x}, onnxruntime=False)


def test_bfloat16_sums_in_float32() -> None:
    x = np.full((2, 1024), 1.0, ml_dtypes.bfloat16)
    node = helper.make_node("ReduceSum", ["x", "a"], ["y"])
    made = make_model([node], {"x": (16, [2, 1024])}, {"a": np.array([1])}, opset=18)
    assert run_model(made, {"x": x})["y"].astype(np.float32).ravel().tolist() == [1024, 1024]


def test_log_sum_exp_of_large_and_infinite_numbers() -> None:
    x = np.array([[1e4, 1e4 + 1], [-1e4, -1e4], [-np.inf, -np.inf], [np.inf, 1]], np.float32)
    made = one_node("ReduceLogSumExp", {"x": x}, opset=18, constants={"a": np.array([1])})
    got = run_model(made, {"x": x})["y"].ravel()
    want = [1e4 + np.log1p(np.e), -1e4 + np.log(2), -np.inf, np.inf]
    np.testing.assert_allclose(got, np.array(want, np.float32), rtol=1e-6)


def test_reductions_fuse_with_what_stands_around_them() -> None:
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["a"]),
        helper.make_node("ReduceSum", ["a", "axes"], ["b"], keepdims=1),
        helper.make_node("Sqrt", ["b"], ["c"]),
        helper.make_node("Div", ["x", "c"], ["y"]),
    ]
    x = numbers(5, 33)
    made = make_model(nodes, {"x": (np.float32, ["n", 33])}, {"axes": np.array([-1])}, opset=18)
    check(made, {"x": x})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("shape", "axes"),
    [((37, 1024), (0,)), ((2, 8, 600), (1,)), ((3, 5, 9, 512), (1, 2)), ((9, 2, 1100), (0, 1))],
)
def test_long_rows_combined_to_one(
    kind: str, shape: tuple[int, ...], axes: tuple[int, ...]
) -> None:
    """In pieces of a row, a few rows at a time, and the rest of them."""
    x = np.abs(numbers(*shape))
    made = one_node(kind, {"x": x}, opset=11, dims={"x": ["n", *shape[1:]]}, axes=axes)
    check(made, {"x": x}, rtol=1e-4, atol=1e-5)
    made = one_node(kind, {"x": x}, opset=11, axes=axes, keepdims=0)
    check(made, {"x": x}, rtol=1e-4, atol=1e-5)


def test_long_rows_with_nan_and_in_other_types() -> None:
    for dtype in (np.int32, np.float16):
        x = np.abs(numbers(20, 520, dtype=dtype))
        made = one_node("ReduceSum", {"x": x}, opset=11, axes=[0])
        check(made, {"x": x}, rtol=1e-2)
    x = numbers(20, 520)
    x[17, 3] = np.nan
    made = one_node("ReduceMax", {"x": x}, opset=11, axes=[0])
    np.testing.assert_array_equal(run_model(made, {"x": x})["y"], x.max(0, keepdims=True))


# Selections -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("last", [0, 1])
def test_places_of_extremes(kind: str, axis: int, last: int) -> None:
    x = np.random.default_rng(1).integers(0, 4, (7, 5, 21)).astype(np.float32)
    for dims, keepdims in ((None, 1), ({"x": ["a", "b", "c"]}, 0)):
        made = one_node(
            kind,
            {"x": x},
            opset=13,
            dims=dims,
            axis=axis,
            select_last_index=last,
            keepdims=keepdims,
        )
        check(made, {"x": x})


@pytest.mark.parametrize("dtype", [*INTEGERS, np.float16, np.float64])
def test_places_in_other_element_types(dtype: Any) -> None:
    x = numbers(3, 40, dtype=dtype)
    check(one_node("ArgMax", {"x": x}, opset=13, axis=1), {"x": x}, onnxruntime=False)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.data())
def test_top_k(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=3))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    count = data.draw(st.integers(1, shape[axis]))
    dtype = data.draw(st.sampled_from([np.float32, np.int64, np.int32]))
    x = np.random.default_rng(count).integers(-3, 3, shape).astype(dtype)
    feed = {"x": x}
    dims = {"x": list("abc"[: len(shape)])} if data.draw(st.booleans()) else None
    constants = {"k": np.array([count])}
    if data.draw(st.booleans()):
        feed["k"], constants = constants["k"], {}
    made = one_node(
        "TopK",
        feed,
        opset=11,
        dims=dims,
        constants=constants,
        order=["x", "k"],
        outputs=["y", "z"],
        axis=axis,
        largest=data.draw(st.integers(0, 1)),
    )
    check(made, feed, reference=False)


def test_top_k_of_old_versions_and_of_one_output() -> None:
    x = numbers(4, 50)
    check(one_node("TopK", {"x": x}, opset=9, outputs=["y", "z"], k=7), {"x": x}, reference=False)
    node = helper.make_node("TopK", ["x", "k"], ["y", "z"])
    for output in ("y", "z"):
        made = make_model(
            [node], {"x": (np.float32, ["n", 50])}, {"k": np.array([50])}, [output], opset=11
        )
        check(made, {"x": x}, reference=False)


# Softmax ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SOFTMAX)
@pytest.mark.parametrize("opset", [9, 13])
def test_softmax(kind: str, opset: int) -> None:
    x = numbers(3, 4, 37) * 5
    for axis in (0, 1, 2):
        for dims in (None, {"x": ["a", "b", "c"]}):
            made = one_node(kind, {"x": x}, opset=opset, dims=dims, axis=axis)
            check(made, {"x": x}, reference=opset >= 13, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
def test_softmax_of_other_floats_and_long_rows(kind: str) -> None:
    for dtype, tolerance in ((np.float64, 1e-12), (np.float16, 2e-3)):
        x = numbers(3, 20, dtype=dtype)
        made = one_node(kind, {"x": x}, opset=13)
        check(made, {"x": x}, onnxruntime=dtype is np.float64, rtol=tolerance, atol=tolerance)
    # Rows of up to 65,536 elements keep their exponentials.
    for size in (5000, 70_000):
        x = numbers(2, size)
        check(one_node(kind, {"x": x}, opset=13), {"x": x}, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", [5, 37, 128, 5000, 70_000])
@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
def test_softmax_of_nan(kind: str, size: int) -> None:
    """NaN anywhere in a row, alone or among infinities, makes the row NaN and no other one."""
    x = numbers(6, size)
    x[0, 0] = x[1, -1] = x[2, size // 2] = np.nan
    x[3] = np.nan
    x[4, 1:3] = -np.inf, np.nan
    y = run_model(one_node(kind, {"x": x}, opset=13, axis=-1), {"x": x})["y"]
    assert np.isnan(y[:5]).all() and np.isfinite(y[5]).all()


def test_softmax_of_large_numbers_and_masks() -> None:
    x = np.array([[1e4, 1e4 + 1, -np.inf], [-1e30, 0, 1]], np.float32)
    got = compile_model(one_node("Softmax", {"x": x}, opset=13)).run({"x": x})["y"]
    want = [[1 / (1 + np.e), np.e / (1 + np.e), 0], [0, 1 / (1 + np.e), np.e / (1 + np.e)]]
    np.testing.assert_allclose(got, np.array(want, np.float32), rtol=1e-5)


# Einsum -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", [(5, 6), (6, 37)]),
        ("bhid,bhjd->bhij", [(2, 3, 7, 8), (2, 3, 9, 8)]),
        ("...ij,...jk->...ik", [(2, 1, 5, 6), (3, 6, 7)]),
        ("ii->i", [(5, 5)]),
        ("ba", [(3, 4)]),
        ("i,j->ij", [(5,), (6,)]),
        ("ij,ij->", [(4, 5), (4, 5)]),
        ("abc,cd,de->abe", [(2, 3, 4), (4, 5), (5, 6)]),
        ("i...->...i", [(3, 4, 5)]),
        ("b...d,d->b...", [(2, 3, 4), (4,)]),
    ],
)
def test_einsum(equation: str, shapes: list[tuple[int, ...]]) -> None:
    feed = {f"x{n}": numbers(*shape, seed=n) for n, shape in enumerate(shapes)}
    check(one_node("Einsum", feed, opset=12, equation=equation), feed, rtol=1e-4, atol=1e-5)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.data())
def test_any_einsum_of_two(data: st.DataObject) -> None:
    """Batches, sums, rows and columns in any order; labels that one operand alone sums."""
    letters = "abcdefg"[: data.draw(st.integers(1, 6))]
    terms = [data.draw(st.permutations(letters)) for _ in range(2)]
    terms = [term[: data.draw(st.integers(0, len(letters)))] for term in terms]
    used = sorted({*terms[0], *terms[1]})
    result = data.draw(st.permutations(used))[: data.draw(st.integers(0, len(used)))]
    sizes = {letter: data.draw(st.integers(1, 4)) for letter in letters}
    shapes = [tuple(sizes[letter] for letter in term) for term in terms]
    feed = {f"x{n}": numbers(*shape, seed=n) for n, shape in enumerate(shapes)}
    is_open = data.draw(st.booleans())
    dims = {f"x{n}": list(term) for n, term in enumerate(terms)} if is_open else None
    equation = f"{''.join(terms[0])},{''.join(terms[1])}->{''.join(result)}"
    made = one_node("Einsum", feed, opset=12, dims=dims, equation=equation)
    check(made, feed, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("equation", "problem"),
    [
        ("ij->ik", "no term with 'k'"),
        ("ij->ii", "repeats a label"),
        ("iji->j", "does not fit 2 dimensions"),
        ("i1->i", "not made of letters"),
        ("ij,jk->ik", "2 terms for 1 operands"),
        ("ij->i->j", "not made of letters"),
    ],
)
def test_malformed_equations_are_told(equation: str, problem: str) -> None:
    made = one_node("Einsum", {"x": numbers(3, 3)}, opset=12, equation=equation)
    with pytest.raises(compiler.InvalidModelError, match=problem):
        compiler.compile(made)
