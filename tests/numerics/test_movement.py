"""Operators that move, pick, place or make elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from harness import check, compile_model, make_model, node_cases, one_node, run_case, run_model
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import compiler
from runtime.network import Network

DTYPES = [np.dtype(t) for t in ("float32", "float64", "float16", "int8", "uint16", "int64", "bool")]
DTYPES.append(np.dtype(ml_dtypes.bfloat16))
F32 = np.dtype(np.float32)
I64 = np.dtype(np.int64)


def sample(shape: Sequence[int], dtype: Any = F32, seed: int = 0) -> np.ndarray:
    """Small numbers of a type."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        return rng.integers(0 if dtype.kind == "u" else -100, 101, shape).astype(dtype)
    return rng.normal(0, 3, shape).astype(dtype)


def ints(*values: int) -> np.ndarray:
    """An int64 vector."""
    return np.array(values, I64)


def run_one(op_type: str, arrays: Mapping[str, np.ndarray], **options: Any) -> np.ndarray:
    """The result of one node."""
    return run_model(one_node(op_type, arrays, **options), arrays)["y"]


OPERATORS = [
    *["AffineGrid", "CenterCropPad", "Col2Im", "Compress", "Concat", "ConstantOfShape", "CumProd"],
    *["CumSum", "DepthToSpace", "Expand", "EyeLike", "Flatten", "Gather", "GatherElements"],
    *["GatherND", "NonZero", "OneHot", "Pad", "Range", "Reshape", "ReverseSequence", "Scatter"],
    *["ScatterElements", "ScatterND", "Shape", "Size", "Slice", "SpaceToDepth", "Split"],
    *["Squeeze", "TensorScatter", "Tile", "Transpose", "Trilu", "Unique", "Unsqueeze"],
]
NODE_CASES = list(node_cases(*OPERATORS))


@pytest.mark.parametrize("case", NODE_CASES, ids=lambda case: case.name)
def test_backend_case(case: Any) -> None:
    run_case(case)


# Slice ------------------------------------------------------------------------------------------


@cache
def slicing(steps: bool) -> Network:
    """A Slice of a symbolic cube; bounds, and with ``steps`` axes and steps too, come in a run."""
    names = ["x", "starts", "ends", *(["axes", "steps"] if steps else [])]
    kinds = {"x": (F32, ["a", "b", "c"]), **{n: (I64, [2]) for n in names[1:]}}
    constants = {} if steps else {"axes": ints(2, 0), "steps": ints(1, -2)}
    node = helper.make_node("Slice", ["x", "starts", "ends", "axes", "steps"], ["y"])
    return compile_model(make_model([node], kinds, constants))


bound = st.integers(-9, 9) | st.sampled_from([2**31 - 1, 2**63 - 1, -(2**63)])
pair = st.tuples(bound, bound)
step = st.integers(-4, 4).filter(bool)
sizes = st.tuples(*[st.integers(0, 6)] * 3)


@settings(max_examples=120, deadline=None)
@given(sizes, pair, pair, st.permutations(range(3)), st.tuples(step, step), st.booleans())
def test_slices_with_bounds_of_the_run(
    shape: tuple[int, ...],
    starts: tuple[int, int],
    ends: tuple[int, int],
    axes: list[int],
    steps: tuple[int, int],
    negative: bool,
) -> None:
    x = np.arange(np.prod(shape), dtype=F32).reshape(shape)
    used = [axis - 3 if negative else axis for axis in axes[:2]]
    feed = {"x": x, "starts": ints(*starts), "ends": ints(*ends)}
    feed |= {"axes": ints(*used), "steps": ints(*steps)}
    expected = sliced(x, starts, ends, used, steps)
    np.testing.assert_array_equal(slicing(True).run(feed)["y"], expected)
    feed = {n: feed[n] for n in ("x", "starts", "ends")}
    expected = sliced(x, starts, ends, (2, 0), (1, -2))
    np.testing.assert_array_equal(slicing(False).run(feed)["y"], expected)


def sliced(
    x: np.ndarray,
    starts: Sequence[int],
    ends: Sequence[int],
    axes: Sequence[int],
    steps: Sequence[int],
) -> np.ndarray:
    """ONNX's Slice: bounds count from the end when negative, and are clamped."""
    places = [slice(None)] * x.ndim
    for start, end, axis, jump in zip(starts, ends, axes, steps, strict=True):
        size = x.shape[axis]
        low, high = (0, size) if jump > 0 else (-1, size - 1)
        start, end = (b + size if b < 0 else b for b in (start, end))
        start = min(max(start, 0), size if jump > 0 else size - 1)
        end = min(max(end, low), high)
        places[axis] = slice(start, None if end < 0 else end, jump)
        if size == 0:
            places[axis] = slice(0, 0)
    return x[tuple(places)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_fixed_slices_of_every_type(dtype: np.dtype) -> None:
    x = sample((4, 5, 6), dtype)
    constants = {"s": ints(3, 1), "e": ints(-99, 5), "a": ints(0, -1), "t": ints(-1, 2)}
    np.testing.assert_array_equal(
        run_one("Slice", {"x": x}, constants=constants), x[::-1, :, 1:5:2]
    )


def test_the_first_slices_have_attributes() -> None:
    x = sample((4, 5))
    got = run_one("Slice", {"x": x}, opset=1, starts=[1, -3], ends=[3, 99], axes=[0, 1])
    np.testing.assert_array_equal(got, x[1:3, -3:])


# Split, Concat ------------------------------------------------------------------------------------


@pytest.mark.parametrize("opset", [1, 2, 11, 13, 18])
def test_splits_of_every_version(opset: int) -> None:
    x = sample((2, 7, 3))
    outputs = ("a", "b", "c")
    constants = {"s": ints(2, 4, 1)} if opset >= 13 else {}
    attributes: dict[str, Any] = {} if opset >= 13 else {"split": [2, 4, 1]}
    model = one_node(
        "Split", {"x": x}, opset=opset, constants=constants, outputs=outputs, axis=1, **attributes
    )
    got = run_model(model, {"x": x})
    for name, part in zip(outputs, np.split(x, [2, 6], 1), strict=True):
        np.testing.assert_array_equal(got[name], part)


def test_splits_into_equal_parts_of_symbolic_sizes_or_of_the_run() -> None:
    x = sample((7, 6))
    nodes = [
        helper.make_node("Split", ["x"], ["a", "b"], axis=1, num_outputs=2),
        helper.make_node("Split", ["x"], ["c", "d"], num_outputs=2),
        helper.make_node("Split", ["x", "s"], ["e", "", "f"]),
    ]
    kinds = {"x": (F32, ["n", "m"]), "s": (I64, [3])}
    model = make_model(nodes, kinds, {}, list("abcdef"))
    check(model, {"x": x, "s": ints(1, 2, 4)}, {"x": x, "s": ints(3, 0, 4)}, onnxruntime=False)


def test_concatenation_of_empty_and_symbolic_parts() -> None:
    node = helper.make_node("Concat", ["x", "e", "z", "x"], ["y"], axis=-1)
    kinds = {"x": (F32, [2, "n"]), "e": (F32, [2, 0]), "z": (F32, [2, "m"])}
    feeds = [
        {"x": sample((2, n)), "e": np.zeros((2, 0), F32), "z": sample((2, m), seed=1)}
        for n, m in ((3, 4), (0, 5), (1, 0))
    ]
    check(make_model([node], kinds), *feeds)


def test_concatenation_of_many_parts_whose_sizes_only_a_run_knows() -> None:
    """LLVM took a minute for the sums of 90 sizes before they were kept from it."""
    names = [f"x{number}" for number in range(30)]
    node = helper.make_node("Concat", names, ["y"], axis=0)
    feeds = [{n: sample((i * step % 5,), seed=i) for i, n in enumerate(names)} for step in (1, 2)]
    kinds = {name: (F32, [f"n{name}"]) for name in names}
    check(make_model([node], kinds), *feeds)


# Gather and Scatter -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("index_type", [np.int32, np.int64])
def test_gathers_of_every_type(dtype: np.dtype, index_type: Any) -> None:
    x = sample((4, 5, 3), dtype)
    flat = np.array([[0, -1], [3, -4]], index_type)
    along = np.array([[[1, -5, 4]], [[0, 0, -1]]], index_type)
    nodes = [
        helper.make_node("Gather", ["x", "flat"], ["first"]),
        helper.make_node("Gather", ["x", "flat"], ["last"], axis=1),
        helper.make_node("GatherElements", ["x", "along"], ["elements"], axis=1),
    ]
    kinds = {
        "x": (dtype, ["a", "b", 3]),
        "flat": (index_type, [2, "k"]),
        "along": (index_type, along.shape),
    }
    got = compile_model(make_model(nodes, kinds, {}, ("first", "last", "elements"))).run(
        {"x": x, "flat": flat, "along": along}
    )
    np.testing.assert_array_equal(got["first"], np.take(x, flat, 0))
    np.testing.assert_array_equal(got["last"], np.take(x, flat, 1))
    expected = np.take_along_axis(x[:2], np.where(along < 0, along + 5, along), 1)
    np.testing.assert_array_equal(got["elements"], expected)


@pytest.mark.parametrize("shape", [(2, 40, 64), (1, 33, 35)])
def test_elements_gathered_into_a_transposed_result(shape: tuple[int, ...]) -> None:
    """A nest that reads along one loop and writes along another, at places that data give."""
    n, rows, columns = shape
    x, other = sample((n, rows, 50)), sample((n, columns, rows), seed=1)
    along = np.random.default_rng(2).integers(-50, 50, shape)
    nodes = [
        helper.make_node("GatherElements", ["x", "along"], ["elements"], axis=2),
        helper.make_node("Transpose", ["elements"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("Add", ["turned", "other"], ["y"]),
    ]
    feed = {"x": x, "along": along, "other": other}
    kinds = {name: (value.dtype, value.shape) for name, value in feed.items()}
    check(make_model(nodes, kinds), feed)


@pytest.mark.parametrize("index", [2, -1])
def test_gather_of_a_known_place(index: int) -> None:
    x = sample((4, 5))
    constants = {"i": np.array(index, I64)}
    np.testing.assert_array_equal(
        run_one("Gather", {"x": x}, constants=constants, axis=1, dims={"x": ["n", "m"]}),
        x[:, index],
    )


@pytest.mark.parametrize("batch", [0, 1])
def test_gathers_at_tuples(batch: int) -> None:
    x, indices = sample((2, 3, 4)), np.array([[[0, 1], [1, -2]], [[-1, 0], [1, 1]]], I64)
    model = one_node(
        "GatherND", {"x": x, "i": indices}, dims={"x": ["a", "b", "c"]}, batch_dims=batch, opset=13
    )
    check(model, {"x": x, "i": indices})


REDUCTIONS = ["none", "add", "mul", "max", "min"]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("axis", [0, -1])
def test_scattered_elements_meet(reduction: str, axis: int) -> None:
    x, updates = sample((4, 5)), sample((3, 4), seed=1)
    indices = np.array([[0, -1, 2, 0], [1, 3, -4, 0], [2, 2, 3, 1]], I64)
    if reduction == "none":
        indices = np.argsort(sample((3, 4), seed=2), axis).astype(I64)
    arrays = {"x": x, "i": indices, "u": updates}
    model = one_node(
        "ScatterElements", arrays, opset=18, axis=axis, reduction=reduction, dims={"x": ["n", "m"]}
    )
    check(model, arrays)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_scattered_slices_meet(reduction: str) -> None:
    x, updates = sample((4, 3, 5)), sample((3, 5), seed=1)
    indices = np.array([[0, 1], [-1, 2], [0, 1] if reduction != "none" else [2, 0]], I64)
    arrays = {"x": x, "i": indices, "u": updates}
    dims = {"x": ["n", 3, "m"], "u": [3, "m"]}
    check(one_node("ScatterND", arrays, opset=18, reduction=reduction, dims=dims), arrays)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_scatters_of_every_type(dtype: np.dtype) -> None:
    x, updates = sample((5, 2), dtype), sample((2, 2), dtype, 1)
    arrays = {"x": x, "i": np.array([[4], [1]], I64), "u": updates}
    expected = x.copy()
    expected[[4, 1]] = updates
    np.testing.assert_array_equal(run_one("ScatterND", arrays, opset=16), expected)


def test_a_scatter_between_pointwise_operators() -> None:
    x, updates = sample((6, 4)), sample((2, 4), seed=1)
    nodes = [
        helper.make_node("Neg", ["x"], ["n"]),
        helper.make_node("Abs", ["u"], ["a"]),
        helper.make_node("ScatterND", ["n", "i", "a"], ["s"]),
        helper.make_node("Relu", ["s"], ["y"]),
    ]
    kinds = {"x": (F32, ["b", 4]), "u": (F32, [2, 4]), "i": (I64, [2, 1])}
    check(make_model(nodes, kinds), {"x": x, "u": updates, "i": np.array([[3], [0]], I64)})


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.float32])
def test_one_hot_with_a_depth_of_the_run(axis: int, dtype: Any) -> None:
    indices = np.array([[0, 2, -1], [3, 9, -9]], dtype)
    arrays = {"i": indices, "d": np.array(4, I64), "v": np.array([-1.5, 2.5], F32)}
    got = run_one("OneHot", arrays, axis=axis)
    wrapped = np.where(indices < 0, indices + 4, indices)
    hot = np.where(wrapped[..., None] == np.arange(4), 2.5, -1.5).astype(F32)
    np.testing.assert_array_equal(got, np.moveaxis(hot, -1, axis))


# Pad ----------------------------------------------------------------------------------------------

MODES = ["constant", "edge", "reflect", "wrap"]


@cache
def padding(mode: str) -> Network:
    """A Pad of a symbolic matrix by amounts of the run."""
    node = helper.make_node("Pad", ["x", "p", "v"], ["y"], mode=mode)
    kinds = {"x": (F32, ["a", "b"]), "p": (I64, [4]), "v": (F32, [])}
    return compile_model(make_model([node], kinds))


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(MODES),
    st.tuples(st.integers(2, 6), st.integers(2, 6)),
    st.tuples(*[st.integers(-2, 4)] * 4),
)
def test_padding_by_amounts_of_the_run(
    mode: str, shape: tuple[int, int], amounts: tuple[int, ...]
) -> None:
    x = np.arange(np.prod(shape), dtype=F32).reshape(shape)
    before, after = amounts[:2], amounts[2:]
    feed = {"x": x, "p": ints(*amounts), "v": np.array(-7, F32)}
    if any(size + a + b < 0 for size, a, b in zip(shape, before, after, strict=True)):
        return
    np.testing.assert_array_equal(padding(mode).run(feed)["y"], padded(x, before, after, mode))


def padded(x: np.ndarray, before: Sequence[int], after: Sequence[int], mode: str) -> np.ndarray:
    """Index by index: numpy knows no negative amounts."""
    for axis, (a, b) in enumerate(zip(before, after, strict=True)):
        size = x.shape[axis]
        places = np.arange(-a, size + b)
        inside = (places >= 0) & (places < size)
        if mode == "wrap":
            mapped = places % size
        elif mode == "reflect":
            period = max(2 * (size - 1), 1)
            mapped = np.abs(places) % period
            mapped = np.minimum(mapped, 2 * (size - 1) - mapped)
        else:
            mapped = np.clip(places, 0, size - 1)
        x = np.take(x, mapped, axis)
        if mode == "constant":
            shape = [1] * x.ndim
            shape[axis] = -1
            x = np.where(inside.reshape(shape), x, np.float32(-7))
    return x


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.float16, np.uint8])
def test_fixed_padding_of_inner_and_outer_axes(mode: str, dtype: Any) -> None:
    x = sample((2, 3, 4, 5), dtype)
    constants = {"p": ints(0, 1, 0, 2, 1, 0, 0, 3)}
    model = one_node("Pad", {"x": x}, constants=constants, mode=mode, opset=19)
    check(model, {"x": x})


def test_padding_of_some_axes_and_of_old_versions() -> None:
    x = sample((3, 4))
    constants = {"p": ints(1, 2), "v": np.array(5, F32), "a": ints(-2)}
    check(one_node("Pad", {"x": x}, constants=constants), {"x": x})
    for opset, name in ((1, "paddings"), (2, "pads")):
        got = run_one("Pad", {"x": x}, opset=opset, **{name: [0, 1, 2, 0]}, value=2.0)
        np.testing.assert_array_equal(got, np.pad(x, ((0, 2), (1, 0)), constant_values=2))


def test_padding_of_axes_of_the_run() -> None:
    x = sample((3, 4, 2))
    arrays = {"x": x, "p": ints(1, 0, 2, 3), "v": np.array(1, F32), "a": ints(-1, 0)}
    np.testing.assert_array_equal(
        run_one("Pad", arrays), np.pad(x, ((0, 3), (0, 0), (1, 2)), constant_values=1)
    )


def test_padding_between_pointwise_operators_with_symbolic_amounts() -> None:
    nodes = [
        helper.make_node("Shape", ["z"], ["amounts"]),
        helper.make_node("Concat", ["amounts", "amounts"], ["p"], axis=0),
        helper.make_node("Neg", ["x"], ["n"]),
        helper.make_node("Pad", ["n", "p"], ["d"]),
        helper.make_node("Exp", ["d"], ["y"]),
    ]
    kinds = {"x": (F32, ["a", "b"]), "z": (F32, ["c", "d"])}
    feeds = [{"x": sample((2, 3)), "z": sample(s)} for s in ((1, 2), (3, 1))]
    check(make_model(nodes, kinds), *feeds)


# Repeating and rearranging ------------------------------------------------------------------------


@pytest.mark.parametrize("repeats", [(1, 1, 1), (2, 1, 3), (1, 4, 0)])
def test_tiles(repeats: tuple[int, ...]) -> None:
    x = sample((2, 1, 3))
    for network in (
        one_node("Tile", {"x": x}, constants={"r": ints(*repeats)}),
        one_node("Tile", {"x": x, "r": ints(*repeats)}, dims={"x": ["a", "b", "c"]}),
    ):
        feed = {"x": x, "r": ints(*repeats)}
        got = run_model(network, {n.name: feed[n.name] for n in network.graph.input})["y"]
        np.testing.assert_array_equal(got, np.tile(x, repeats))


def test_the_first_tile_repeats_one_axis() -> None:
    x = sample((2, 3))
    arrays = {"x": x, "t": np.array(3, F32), "a": np.array(1, F32)}
    np.testing.assert_array_equal(run_one("Tile", arrays, opset=1), np.tile(x, (1, 3)))
    constants = {name: arrays.pop(name) for name in "ta"}
    got = run_one("Tile", arrays, opset=1, constants=constants)
    np.testing.assert_array_equal(got, np.tile(x, (1, 3)))


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
@pytest.mark.parametrize("symbolic", [False, True])
def test_depth_and_space_exchange_between_pointwise_operators(mode: str, symbolic: bool) -> None:
    x = sample((2, 8, 3, 5))
    nodes = [
        helper.make_node("Neg", ["x"], ["n"]),
        helper.make_node("DepthToSpace", ["n"], ["d"], blocksize=2, mode=mode),
        helper.make_node("Relu", ["d"], ["y"]),
        helper.make_node("SpaceToDepth", ["y"], ["z"], blocksize=2),
    ]
    dims = ["n", "c", "h", "w"] if symbolic else x.shape
    check(make_model(nodes, {"x": (F32, dims)}, {}, ("y", "z")), {"x": x})


@pytest.mark.parametrize(("time", "batch"), [(0, 1), (1, 0)])
def test_reversed_sequences(time: int, batch: int) -> None:
    x = sample((4, 4, 2))
    arrays = {"x": x, "l": ints(4, 1, 0, 3)}
    model = one_node(
        "ReverseSequence", arrays, time_axis=time, batch_axis=batch, dims={"x": ["a", "b", 2]}
    )
    got = run_model(model, arrays)["y"]
    expected = x.copy()
    for b, length in enumerate(arrays["l"]):
        line = np.moveaxis(expected, batch, 0)[b]
        line[:length] = line[:length][::-1].copy()
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
def test_triangles(upper: int, dtype: Any) -> None:
    x = sample((2, 4, 5), dtype)
    arrays = {"x": x, "k": np.array(-1, I64)}
    got = run_one("Trilu", arrays, upper=upper, dims={"x": ["b", "n", "m"]})
    np.testing.assert_array_equal(got, (np.triu if upper else np.tril)(x, -1))


# Running along elements ---------------------------------------------------------------------------


@pytest.mark.parametrize("op_type", ["CumSum", "CumProd"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
def test_running_sums_and_products(op_type: str, dtype: Any) -> None:
    x = sample((3, 4, 5), dtype) if dtype != np.float32 else sample((3, 4, 5)) / 3
    nodes, names = [], []
    for exclusive in (0, 1):
        for reverse in (0, 1):
            names.append(f"y{exclusive}{reverse}")
            flags: dict[str, Any] = {"exclusive": exclusive, "reverse": reverse}
            nodes.append(helper.make_node(op_type, ["x", "a"], names[-1:], **flags))
    kinds = {"x": (dtype, ["a", 4, "c"]), "a": (I64, [])}
    network = compile_model(make_model(nodes, kinds, {}, names, 26))
    function = np.cumsum if op_type == "CumSum" else np.cumprod
    for axis in (0, 1, -1):
        got = network.run({"x": x, "a": np.array(axis, I64)})
        for name in names:
            exclusive, reverse = (int(flag) for flag in name[1:])
            expected = running(function, x, axis, exclusive, reverse)
            np.testing.assert_allclose(got[name], expected, rtol=2e-5, atol=1e-5)


def running(function: Any, x: np.ndarray, axis: int, exclusive: int, reverse: int) -> np.ndarray:
    """A running sum or product from either end, with or without the element itself."""
    x = np.flip(x, axis) if reverse else x
    whole = function(x, axis, dtype=x.dtype)
    if exclusive:
        first = np.full_like(np.take(whole, [0], axis), function is np.cumprod)
        rest = np.take(whole, range(x.shape[axis] - 1), axis)
        whole = np.concatenate([first, rest], axis)
    return np.flip(whole, axis) if reverse else whole


@pytest.mark.parametrize("dtype", [np.float32, np.bool_, np.int8])
def test_places_that_are_not_zero_and_what_follows_from_their_number(dtype: Any) -> None:
    nodes = [
        helper.make_node("NonZero", ["x"], ["places"]),
        helper.make_node("Transpose", ["places"], ["tuples"]),
        helper.make_node("GatherND", ["z", "tuples"], ["picked"]),
        helper.make_node("Shape", ["picked"], ["count"]),
    ]
    kinds = {"x": (dtype, ["n", "m"]), "z": (F32, ["n", "m"])}
    model = make_model(nodes, kinds, {}, ("places", "picked", "count"))
    full = sample((5, 7), dtype)
    feeds = [{"x": x, "z": sample(x.shape, seed=1)} for x in (full, np.zeros_like(full), full[:0])]
    check(model, *feeds, onnxruntime=False)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_compressed_parts(axis: int | None) -> None:
    attributes: dict[str, Any] = {} if axis is None else {"axis": axis}
    node = helper.make_node("Compress", ["x", "c"], ["y"], **attributes)
    network = compile_model(make_model([node], {"x": (F32, ["n", 4]), "c": (np.bool_, ["k"])}))
    x = sample((3, 4))
    for condition in ([True, False, True], [False], [False, True]):
        got = network.run({"x": x, "c": np.array(condition)})["y"]
        np.testing.assert_array_equal(got, np.compress(condition, x, axis))


@cache
def uniqueness(axis: int | None, ordered: int) -> Network:
    """A Unique with all its results, of a symbolic matrix."""
    attributes: dict[str, Any] = {"sorted": ordered} | ({} if axis is None else {"axis": axis})
    names = ["y", "indices", "inverse", "counts"]
    node = helper.make_node("Unique", ["x"], names, **attributes)
    return compile_model(make_model([node], {"x": (F32, ["n", "m"])}, {}, names))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([None, 0, -1]),
    st.booleans(),
    st.tuples(st.integers(0, 5), st.integers(1, 5)),
    st.data(),
)
def test_different_items(
    axis: int | None, ordered: bool, shape: tuple[int, int], data: Any
) -> None:
    number = st.sampled_from([0.0, 1.0, -2.0, float("nan"), float("inf")])
    values = data.draw(st.lists(number, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    x = np.array(values, F32).reshape(shape)
    if axis is not None:
        x = np.nan_to_num(x)
    got = uniqueness(axis, int(ordered)).run({"x": x})
    y, first, inverse, counts = np.unique(x, True, True, True, axis=axis)
    order = np.arange(len(first)) if ordered else np.argsort(first)
    np.testing.assert_array_equal(got["y"], np.take(y, order, axis or 0))
    np.testing.assert_array_equal(got["indices"], first[order])
    np.testing.assert_array_equal(got["inverse"], np.argsort(order)[inverse.reshape(-1)])
    np.testing.assert_array_equal(got["counts"], counts[order])


def test_what_follows_from_different_items() -> None:
    nodes = [
        helper.make_node("Unique", ["x"], ["u"]),
        helper.make_node("Mul", ["u", "u"], ["squares"]),
        helper.make_node("ReduceSum", ["squares"], ["y"], keepdims=0),
    ]
    model = make_model(nodes, {"x": (I64, ["n"])}, opset=18)
    for x in (ints(3, 1, 3, -2), ints(5)):
        assert run_model(model, {"x": x})["y"] == (np.unique(x) ** 2).sum()


@pytest.mark.parametrize("mode", ["linear", "circular"])
def test_rows_of_a_cache(mode: str) -> None:
    cache_, updates = sample((2, 3, 6, 2)), sample((2, 3, 2, 2), seed=1)
    arrays = {"c": cache_, "u": updates, "i": ints(4, 5 if mode == "circular" else 0)}
    dims = {"c": ["n", 3, "m", 2], "u": ["n", 3, "k", 2], "i": ["n"]}
    check(
        one_node("TensorScatter", arrays, dims=dims, opset=24, mode=mode), arrays, onnxruntime=False
    )


# Making elements ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32, np.float64])
def test_ranges_of_the_run(dtype: Any) -> None:
    kinds = {n: (dtype, []) for n in ("start", "limit", "delta")}
    network = compile_model(make_model([helper.make_node("Range", list(kinds), ["y"])], kinds))
    for numbers in ((0, 10, 3), (5, -5, -2), (3, 3, 1), (4, 2, 1), (0, 9, 3)):
        arrays = {n: np.array(v, dtype) for n, v in zip(kinds, numbers, strict=True)}
        np.testing.assert_array_equal(network.run(arrays)["y"], np.arange(*numbers, dtype=dtype))


def test_a_range_of_fractions() -> None:
    arrays = {n: np.array(v, F32) for n, v in (("s", 0.5), ("l", 2.1), ("d", 0.25))}
    np.testing.assert_allclose(run_one("Range", arrays), np.arange(0.5, 2.1, 0.25, dtype=F32))


def test_constants_of_a_shape_of_the_run() -> None:
    numbers = [np.array([7], np.int32), np.array([2.5], np.float16), np.array([True])]
    numbers += [np.array([value], np.float32) for value in (-np.inf, np.inf, np.nan)]
    numbers += [np.array([1.5], ml_dtypes.bfloat16)]
    for value in numbers:
        tensor = numpy_helper.from_array(value, "v")
        got = run_one("ConstantOfShape", {"s": ints(2, 0, 3)}, value=tensor)
        assert got.shape == (2, 0, 3) and got.dtype == value.dtype
        got = run_one("ConstantOfShape", {"s": ints(2, 3)}, value=tensor)
        np.testing.assert_array_equal(got, np.full((2, 3), value[0]))


@pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan])
def test_constants_of_a_known_shape(value: float) -> None:
    tensor = numpy_helper.from_array(np.array([value], np.float32), "v")
    nodes = [
        helper.make_node("ConstantOfShape", ["s"], ["c"], value=tensor),
        helper.make_node("Trilu", ["c"], ["t"], upper=0),
        helper.make_node("Add", ["t", "x"], ["y"]),
    ]
    check(make_model(nodes, {"x": (np.float32, [3, 3])}, {"s": ints(3, 3)}))


def test_identity_matrices() -> None:
    x = sample((3, 5))
    model = one_node("EyeLike", {"x": x}, k=-1, dtype=TensorProto.INT32, dims={"x": ["n", "m"]})
    np.testing.assert_array_equal(run_model(model, {"x": x})["y"], np.eye(3, 5, -1, dtype=np.int32))


@pytest.mark.parametrize("shape", [(6, 4), (3, 9), (5, 5), (4, 5)])
def test_the_middle_of_a_tensor(shape: tuple[int, int]) -> None:
    x = sample((5, 5))
    arrays = {"x": x, "s": ints(*shape)}
    check(one_node("CenterCropPad", arrays, dims={"x": ["n", "m"]}), arrays)


def test_patches_add_up() -> None:
    x = sample((2, 3 * 4, 16))
    constants = {"i": ints(5, 6), "b": ints(2, 2)}
    model = one_node(
        "Col2Im",
        {"x": x},
        constants=constants,
        dims={"x": ["n", "c", 16]},
        strides=[1, 2],
        pads=[0, 1, 0, 1],
    )
    check(model, {"x": x}, onnxruntime=False)


# Layouts ------------------------------------------------------------------------------------------


def test_movement_behind_a_convolution_keeps_its_meaning() -> None:
    weight = sample((8, 3, 3, 3), seed=1) / 5
    constants = {
        "w": weight,
        "p": ints(0, 0, 1, 0, 0, 0, 0, 2),
        "s": ints(1),
        "e": ints(-1),
        "a": ints(2),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Pad", ["c", "p"], ["padded"], mode="reflect"),
        helper.make_node("Slice", ["padded", "s", "e", "a"], ["cut"]),
        helper.make_node("Split", ["c"], ["left", "right"], axis=1, num_outputs=2),
        helper.make_node("Concat", ["right", "left"], ["swapped"], axis=1),
        helper.make_node("DepthToSpace", ["swapped"], ["wide"], blocksize=2),
    ]
    model = make_model(nodes, {"x": (F32, [1, 3, "h", 6])}, constants, ("cut", "swapped", "wide"))
    check(model, {"x": sample((1, 3, 5, 6))}, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sizes", [[2, 3, 4], ["n", 3, 4]])
def test_a_result_that_is_reshaped_is_computed_in_the_callers_memory(sizes: list[Any]) -> None:
    nodes = [
        helper.make_node("Neg", ["x"], ["a"]),
        helper.make_node("Flatten", ["a"], ["f"]),
        helper.make_node("Unsqueeze", ["f", "axes"], ["y"]),
        # Two results of the same numbers, and one that something else reads.
        helper.make_node("Identity", ["f"], ["z"]),
        helper.make_node("Exp", ["f"], ["e"]),
    ]
    model = make_model(nodes, {"x": (np.float32, sizes)}, {"axes": np.array([0])}, ["y", "z", "e"])
    text = compiler.lower(model, "krnl").as_text()
    assert text.count("hal.alloc") == 0
    assert text.count("hal.copy") == 1
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    found = compiler.compile(model, cache=False).run({"x": x})
    flat = -x.reshape(2, 12)
    np.testing.assert_array_equal(found["y"], flat[None])
    np.testing.assert_array_equal(found["z"], flat)
    np.testing.assert_allclose(found["e"], np.exp(flat), rtol=1e-6)


def test_sizes_as_data_of_any_rank() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Add", ["s", "one"], ["t"]),
        helper.make_node("Reshape", ["t", "grid"], ["g"]),
        helper.make_node("Gather", ["t", "zero"], ["a"]),
        helper.make_node("Expand", ["a", "twice"], ["b"]),
        helper.make_node("Mul", ["g", "w"], ["y"]),
        helper.make_node("Add", ["b", "w"], ["z"]),
    ]
    constants = {"one": np.int64(1), "grid": ints(2, 1, 2), "twice": ints(2, 1), "zero": ints(0)}
    dims = {"x": (np.float32, ["n", "m", 3, 2]), "w": (np.int64, [2, 1, 2])}
    model = make_model(nodes, dims, constants, ["y", "z"])
    check(model, {"x": sample((5, 4, 3, 2)), "w": ints(1, 2, 3, 4).reshape(2, 1, 2)})
