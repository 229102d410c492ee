"""onnx-simplify: sums of products by labels are products of matrices or of elements."""

from __future__ import annotations

import pytest
from onnx_modules import check_simplified as check
from onnx_modules import floats


@pytest.mark.parametrize(
    ("types", "equation", "wanted"),
    [
        ("float[2, 3] x, float[3, 4] z", "ij,jk->ik", ["MatMul"]),
        ("float[2, 3] x, float[3, 4] z", "ij,jk->ki", ["Transpose", "Transpose", "MatMul"]),
        ("float[2, h, i, 8] x, float[2, h, j, 8] z", "bhid,bhjd->bhij", ["Transpose", "MatMul"]),
        (
            "float[2, i, h, 8] x, float[2, j, h, 8] z",
            "bihd,bjhd->bhij",
            ["Transpose", "Transpose", "MatMul"],
        ),
        ("float[2, s, 6] x, float[6, 3, 4] z", "bsd,dhk->bshk", ["Reshape", "MatMul", "Reshape"]),
        ("float[3] x, float[4] z", "i,j->ij", ["Reshape", "Mul"]),
        ("float[3, 4] x, float[3, 4] z", "ij,ij->ij", ["Mul"]),
        ("float[3, 4] x, float[3, 5] z", "ij,ik->i", ["ReduceSum", "ReduceSum", "Mul"]),
        ("float[3, 3] x, float[3, 5] z", "ii,ik->ik", ["Einsum"]),
        ("float[1, 4] x, float[3, 4] z", "ij,ij->ij", ["Einsum"]),
    ],
)
def test_of_two(types: str, equation: str, wanted: list[str]) -> None:
    check(f'g ({types}) => (y) {{ y = Einsum <equation = "{equation}"> (x, z) }}', wanted, {})


def test_of_one() -> None:
    text = 'g (float[2, 3, 4] x) => (y) { y = Einsum <equation = "ijk->ki"> (x) }'
    check(text, ["ReduceSum", "Transpose"], {})


def test_weights_are_one_matrix() -> None:
    text = """g (float[2, s, 6] x) => (y) { y = Einsum <equation = "bsd,dhk->bshk"> (x, w) }"""
    check(text, ["MatMul", "Reshape"], {"w": floats(6, 3, 4)})
