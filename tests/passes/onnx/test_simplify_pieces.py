"""onnx-simplify: what is cut out of a product with constant weights is computed by itself."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_modules import check_simplified as check
from onnx_modules import floats, ints

THREE = {"w": floats(6, 24), "b": floats(24), "sizes": ints(8, 8, 8)}
QKV = {
    "w": floats(6, 24),
    "b": floats(24),
    "shape": ints(2, 5, 3, 2, 4),
    "q": np.array(0),
    "k": np.array(1),
    "v": np.array(-1),
}


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("p = MatMul(x, w) s = Add(p, b)", ["MatMul", "Add"] * 3),
        ("p = MatMul(x, w) s = Add(b, p)", ["MatMul", "Add"] * 3),
        ("s = MatMul(x, w)", ["MatMul"] * 3),
    ],
)
def test_a_split_product_is_three(body: str, wanted: list[str]) -> None:
    text = f"""g (float[2, 5, 6] x) => (y0, y1, y2) {{
        {body} y0, y1, y2 = Split <axis = -1> (s, sizes) }}"""
    check(text, wanted, THREE)


@pytest.mark.parametrize("transposed", [0, 1])
def test_a_gemm_is_cut_behind_a_reshape(transposed: int) -> None:
    constants = dict(THREE, w=floats(24, 6) if transposed else floats(6, 24), shape=ints(2, 5, 24))
    text = f"""g (float[10, 6] x) => (y0, y1, y2) {{
        p = Gemm <transB = {transposed}> (x, w, b)
        r = Reshape(p, shape)
        y0, y1, y2 = Split <axis = 2> (r, sizes) }}"""
    check(text, ["Gemm", "Reshape"] * 3, constants)


def test_elements_of_a_transposition_are_columns() -> None:
    """How exporters write the queries, keys and values of attention."""
    text = """g (float[2, 5, 6] x) => (a, c, d) {
        p = MatMul(x, w)
        s = Add(p, b)
        r = Reshape(s, shape)
        t = Transpose <perm = [2, 0, 3, 1, 4]> (r)
        a = Gather <axis = 0> (t, q)
        c = Gather <axis = 0> (t, k)
        d = Gather <axis = 0> (t, v) }"""
    check(text, ["MatMul", "Add", "Reshape", "Transpose"] * 3, QKV)


def test_an_element_of_a_view_is_taken_in_front_of_it() -> None:
    text = """g (float[2, 5, 6] x) => (y) {
        t = Transpose <perm = [2, 0, 1]> (x) y = Gather <axis = 0> (t, k) }"""
    check(text, ["Gather"], QKV)
    text = """g (float[6, 5] x) => (y) {
        r = Reshape(x, six) g = Gather <axis = 0> (r, k) y = Relu(g) }"""
    check(text, ["Slice", "Relu"], QKV | {"six": ints(2, 3, 5)})


@pytest.mark.parametrize(
    "body",
    [
        # All columns are taken as well, some are taken twice, rows are cut, or every second column.
        "y0, y1, y2 = Split <axis = 2> (s, sizes) y = Relu(s)",
        "y0 = Slice(s, zero, eight, last) y = Slice(s, four, eight, last)",
        "y0 = Slice(s, zero, four, first) y = Slice(s, four, eight, last)",
        "y0 = Slice(s, zero, eight, last, two) y = Slice(s, eight, sixteen, last)",
    ],
)
def test_other_pieces_are_cut_out_of_the_product(body: str) -> None:
    text = f"g (float[2, 5, 6] x) => (y0, y) {{ s = MatMul(x, w) {body} }}"
    bounds = {"zero": 0, "two": 2, "four": 4, "eight": 8, "sixteen": 16, "first": 1, "last": 2}
    constants = dict(THREE, **{name: ints(n) for name, n in bounds.items()})
    split = body.startswith("y0, y1")
    check(text, ["MatMul", *(["Split", "Relu"] if split else ["Slice"] * 2)], constants)
