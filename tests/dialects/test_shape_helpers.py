"""Arithmetic of shapes that inference and lowering share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects.onnx.dims import Dim, parse_dim, substitute, symbol
from dialects.onnx.shape import (
    ShapeError,
    broadcast,
    broadcast_dim,
    concat_dims,
    conv_output,
    matmul_dims,
    normalize_axes,
    reshape_target,
    resolve_pads,
    slice_bounds,
    slice_of,
    split_sizes,
    unify,
)

h, w = symbol("h"), symbol("w")


def dims(*texts: str) -> tuple[Dim, ...]:
    return tuple(map(parse_dim, texts))


def test_broadcast_of_numbers_and_symbols() -> None:
    assert broadcast((3, 1), (4,)) == (3, 4)
    assert broadcast((h, 1), (1, w), (1,)) == (h, w)
    assert broadcast_dim(h, 5) == 5
    assert broadcast_dim(h, w) == parse_dim("max(h, w)")


def test_two_expressions_of_one_size_count_as_equal() -> None:
    assumed: list[tuple[Dim, Dim]] = []
    half = parse_dim("2*(h // 2)")
    assert broadcast_dim(half, h, lambda a, b: assumed.append((a, b))) == h
    assert assumed == [(half, h)]


def test_broadcast_of_what_does_not_fit_names_both_shapes() -> None:
    with pytest.raises(ShapeError, match=r"\[2, 3\] and \[4\] do not broadcast"):
        broadcast((2, 3), (4,))


def test_unify_prefers_numbers_and_hears_of_assumptions() -> None:
    assumed: list[tuple[Dim, Dim]] = []
    assert unify(h, 3, "sizes", lambda a, b: assumed.append((a, b))) == 3
    assert unify(h, h, "sizes", lambda a, b: assumed.append((a, b))) == h
    assert assumed == [(h, 3)]
    with pytest.raises(ShapeError, match="sizes must be equal, but are h and h \\+ 1"):
        unify(h, h + 1, "sizes")


@pytest.mark.parametrize(
    ("a", "b", "result"),
    [((2, 3), (3, 4), (2, 4)), ((3,), (3, 4), (4,)), ((5, 2, 3), (3,), (5, 2)), ((3,), (3,), ())],
)
def test_matmul(a: tuple[int, ...], b: tuple[int, ...], result: tuple[int, ...]) -> None:
    assert matmul_dims(a, b) == result == np.matmul(np.zeros(a), np.zeros(b)).shape


@settings(max_examples=300, deadline=None)
@given(
    st.integers(1, 30), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.integers(0, 3)
)
def test_windows_of_symbolic_and_known_sizes_agree(
    size: int, kernel: int, stride: int, dilation: int, pad: int
) -> None:
    for ceil_mode in (False, True):
        known = conv_output(size, kernel, stride, dilation, pad, pad, ceil_mode)
        symbolic = conv_output(h, kernel, stride, dilation, pad, pad, ceil_mode)
        assert substitute(symbolic, {"h": size}) == known


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 4), st.booleans())
def test_same_padding_keeps_the_size_divided_by_the_stride(
    size: int, kernel: int, stride: int, upper: bool
) -> None:
    auto_pad = "SAME_UPPER" if upper else "SAME_LOWER"
    (begin,), (end,) = resolve_pads(auto_pad, [h], [kernel], [stride], [1], None)
    a, b = (substitute(pad, {"h": size}) for pad in (begin, end))
    assert isinstance(a, int) and isinstance(b, int)
    assert conv_output(size, kernel, stride, 1, a, b) == -(-size // stride)
    assert (b - a if upper else a - b) in (0, 1)


BOUNDS = st.one_of(st.integers(-12, 12), st.sampled_from([2**63 - 1, -(2**63), 2**31 - 1]))


def onnx_range(start: int, end: int, step: int, size: int) -> range:
    """Indices that a Slice takes, in the words of ONNX's documentation."""
    start, end = (bound + size if bound < 0 else bound for bound in (start, end))
    if step > 0:
        return range(min(max(start, 0), size), min(max(end, 0), size), step)
    return range(min(max(start, 0), size - 1), min(max(end, -1), size - 1), step)


@settings(max_examples=500, deadline=None)
@given(BOUNDS, BOUNDS, st.sampled_from([-3, -2, -1, 1, 2, 3]), st.integers(0, 9))
def test_slice_bounds_are_those_of_the_specification(
    start: int, end: int, step: int, size: int
) -> None:
    wanted = onnx_range(start, end, step, size)
    assert list(range(size)[slice_of(start, end, step, size)]) == list(wanted)
    first, count = slice_bounds(start, end, step, size)
    assert count == len(wanted)
    assert not wanted or first == wanted[0]
    count = slice_bounds(start, end, step, symbol("n"))[1]
    assert substitute(count, {"n": size}) == len(wanted)
    if abs(start) < 20 and abs(end) < 20:
        bounds = symbol("signed_a"), symbol("signed_b")
        count = slice_bounds(*bounds, step, symbol("n"))[1]
        assert substitute(count, {"n": size, "signed_a": start, "signed_b": end}) == len(wanted)


def test_reshape_copies_infers_and_cancels() -> None:
    assert reshape_target((2, 3, 4), (0, -1), False) == [2, 12]
    assert reshape_target((h, w, 4), (0, -1), False) == [h, 4 * w]
    assert reshape_target(dims("h + 1", "w"), (-1, w), False) == [h + 1, w]
    assert reshape_target(dims("b", "4*h"), (-1, h, 2), False) == [2 * symbol("b"), h, 2]
    assumed: list[tuple[Dim, Dim]] = []
    halves = dims("4*(n // 2)", "b")
    note = lambda lhs, rhs: assumed.append((lhs, rhs))  # noqa: E731
    assert reshape_target(halves, dims("-1", "n", "2"), False, note) == [
        symbol("b"),
        symbol("n"),
        2,
    ]
    assert assumed == [dims("4*(n // 2)*b", "2*n*b")]
    with pytest.raises(ShapeError, match=r"\[2, 3\] cannot be reshaped to \[4, -1\]"):
        reshape_target((2, 3), (4, -1), False)
    with pytest.raises(ShapeError, match=r"\[2, h\] cannot be reshaped to \[3, h\]"):
        reshape_target((2, h), (3, h), False)


def test_concat_and_split() -> None:
    assert concat_dims([(2, h), (2, 3)], 1) == [2, h + 3]
    with pytest.raises(ShapeError, match="ranks differ"):
        concat_dims([(2,), (2, 3)], 0)
    assert split_sizes(7, 3, rounded_up=True) == [3, 3, 1]
    assert split_sizes(4 * h, 2, rounded_up=False) == [2 * h, 2 * h]
    with pytest.raises(ShapeError, match="7 does not split into 2"):
        split_sizes(7, 2, rounded_up=False)


def test_axes() -> None:
    assert normalize_axes([-1, 0], 3) == [2, 0]
    with pytest.raises(ShapeError, match="axis 3 does not exist"):
        normalize_axes([3], 3)
    with pytest.raises(ShapeError, match="twice"):
        normalize_axes([1, -2], 3)
