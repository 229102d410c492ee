"""onnx-fold: what is computed, with which numbers, and what stays."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator
from onnx_modules import after, main_of, model_of, operators
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from dialects.onnx.constants import constant_of, pool_of
from passes.onnx.fold_constants import FoldConstants
from passes.onnx.infer_shapes import InferShapes


def folded(
    text: str, fold: FoldConstants | None = None, **constants: np.ndarray
) -> tuple[Context, ModuleOp]:
    return after(text, InferShapes(), fold or FoldConstants(), constants=constants)


def values(ctx: Context, module: ModuleOp) -> list[np.ndarray | None]:
    last = main_of(module).body.block.last_op
    assert last is not None
    return [constant_of(value, pool_of(ctx)) for value in last.operands]


A = np.array([[-7, 5, 0], [9, -2, 4]], np.int32)
B = np.array([2, -2, 3], np.int32)
X = np.linspace(-2, 2, 24, dtype=np.float32).reshape(2, 3, 4)
INDEX = np.array([1, -1], np.int64)

EXPRESSIONS = {
    "int32[p, q] y": ["Div(a, b)", "Mod(a, b)", "Max(a, b)", "Where(c, a, b)"],
    "float[p, q, r] y": [
        "Exp(x)",
        "Sqrt(x)",
        "Div(x, x)",
        "Pow(x, two)",
        "Clip(x, low, high)",
        "Softmax(x)",
        "Gather<axis = 1>(x, i)",
        "Slice(x, i, ends)",
        "Transpose<perm = [2, 0, 1]>(x)",
        "ReduceMean<axes = [0, 2]>(x)",
        "ReduceSum(x, i)",
        "Concat<axis = -1>(x, x)",
        "CumSum(x, one)",
        "LayerNormalization(x, scale)",
        "Trilu(x)",
    ],
    "int64[p] y": ["Cast<to = 7>(low)", "Shape(x)", "Range(one, ten, one)"],
    "bool[p] y": ["Less(a, b)", "Not(c)", "IsNaN(x)"],
}
CONSTANTS = {
    "a": A,
    "b": B,
    "c": A > 0,
    "x": X,
    "i": INDEX,
    "ends": np.array([2, 3], np.int64),
    "one": np.array(1, np.int64),
    "ten": np.array(10, np.int64),
    "two": np.array(2, np.float32),
    "low": np.array(-1.5, np.float32),
    "high": np.array(1.25, np.float32),
    "scale": np.array([1, 2, 3, 4], np.float32),
}


@pytest.mark.parametrize(
    ("output", "expression"), [(o, e) for o, several in EXPRESSIONS.items() for e in several]
)
def test_numbers_are_those_of_the_reference(output: str, expression: str) -> None:
    text = f"g () => ({output}) {{ y = {expression} }}"
    ctx, module = folded(text, **CONSTANTS)
    (found,) = values(ctx, module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (wanted,) = ReferenceEvaluator(model_of(text, CONSTANTS)).run(None, {})
    if expression == "Div(a, b)":
        wanted = np.trunc(A / B).astype(np.int32)
    assert found is not None
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_an_integer_division_by_zero_is_left_to_the_run() -> None:
    zero = np.zeros(3, np.int32)
    _, module = folded("g () => (int32[p, q] y) { y = Div(a, zero) }", a=A, zero=zero)
    assert operators(module) == ["Div"]


def test_an_index_out_of_range_is_left_to_the_run() -> None:
    text = "g () => (float[p, q] y) { y = Gather(x, i) }"
    _, module = folded(text, x=np.zeros((5, 40), np.float32), i=np.array([5], np.int64))
    assert operators(module) == ["Gather"]


def test_a_float_beyond_the_integers_is_left_to_the_run() -> None:
    text = "g () => (int32[2] y) { y = Cast<to = 6>(x) }"
    _, module = folded(text, x=np.array([1e20, np.nan], np.float32))
    assert operators(module) == ["Cast"]


def test_random_operators_and_those_to_keep_stay() -> None:
    text = """g () => (float[3] y, float[4] z) {
        y = RandomUniformLike(x)
        z = DequantizeLinear(q, s)
    }"""
    constants = {
        "x": np.zeros(3, np.float32),
        "q": np.arange(4, dtype=np.int8),
        "s": np.array(0.5, np.float32),
    }
    assert operators(folded(text, **constants)[1]) == ["RandomUniformLike", "DequantizeLinear"]
    assert operators(folded(text, FoldConstants(keep=()), **constants)[1]) == ["RandomUniformLike"]


def test_large_results_stay_unless_their_operands_are_larger() -> None:
    row, column = np.ones((1, 600), np.float32), np.ones((600, 1), np.float32)
    outer = "g () => (float[p, q] y) { y = Mul(row, column) }"
    small = FoldConstants(limit=1000)
    assert operators(folded(outer, small, row=row, column=column)[1]) == ["Mul"]
    inner = "g () => (float[p, q] y) { y = ReduceSum(row) }"
    assert operators(folded(inner, small, row=row)[1]) == []


def test_expansions_stay_index_maps_but_are_computed_for_other_folds() -> None:
    text = """g (float[64, 64] x) => (float[64, 64] y, float z) {
        e = Expand(v, shape)
        y = Add(x, e)
        z = ReduceSum<keepdims = 0>(e)
    }"""
    ctx, module = folded(text, v=np.ones((64, 1), np.float32), shape=np.array([64, 64], np.int64))
    assert operators(module) == ["Expand", "Add"]
    found = values(ctx, module)[1]
    assert found is not None and found == 4096


def test_every_element_type_keeps_its_own_arithmetic() -> None:
    for dtype, name in ((np.float16, "float16"), (np.float32, "float"), (np.float64, "double")):
        x = np.array([1, 3], dtype)
        ctx, module = folded(f"g () => ({name}[2] y) {{ y = Reciprocal(x) }}", x=x)
        (found,) = values(ctx, module)
        assert found is not None and found.dtype == dtype
        assert (found == dtype(1) / x).all()


def test_folds_of_data_dependent_size() -> None:
    ctx, module = folded("g () => (int64[1, n] y) { y = NonZero(x) }", x=np.array([0, 2, 3, 0]))
    (found,) = values(ctx, module)
    assert found is not None and found.tolist() == [[1, 2]]
