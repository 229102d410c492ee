"""Register tiles over odd sizes: products, 1x1 convolutions and transpositions, static and not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numerics.harness import VECTOR_UNITS, channel_shuffle, check, compile_for, make_model
from onnx import helper
from onnx.reference import ReferenceEvaluator

import compiler
from compiler.importer import import_model
from compiler.ir_text import new_context
from compiler.pipeline import Pipeline
from compiler.target import Target
from dialects import krnl


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    """Seeded numbers."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


@pytest.mark.parametrize("unit", VECTOR_UNITS)
@pytest.mark.parametrize("columns", [1, 7, 16, 24, 48, 70])
def test_products_with_any_number_of_rows(unit: str, columns: int) -> None:
    weights = floats(9, columns, seed=1)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Relu", ["p"], ["y"])]
    network = compile_for(
        make_model(nodes, {"x": (np.float32, ["batch", "rows", 9])}, {"w": weights}), unit
    )
    for batch, rows in [(1, 0), (1, 1), (2, 1), (1, 5), (1, 6), (1, 7), (3, 4), (2, 13), (1, 40)]:
        x = floats(batch, rows, 9, seed=rows)
        expected = np.maximum(x @ weights, 0)
        np.testing.assert_allclose(network.run({"x": x})["y"], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 6, 11, 14, 31])
@pytest.mark.parametrize("unit", VECTOR_UNITS)
def test_products_with_few_and_many_rows(unit: str, rows: int) -> None:
    weights = floats(33, 100, seed=1)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    network = compile_for(make_model([node], {"x": (np.float32, [rows, 33])}, {"w": weights}), unit)
    x = floats(rows, 33)
    np.testing.assert_allclose(network.run({"x": x})["y"], x @ weights, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("unit", VECTOR_UNITS)
@pytest.mark.parametrize("columns", [64, 128, 129, 191, 208, 1024])
@pytest.mark.parametrize("batch", [[], [3], [1, 2]])
def test_products_that_copy_their_right_hand_side(
    unit: str, columns: int, batch: list[int]
) -> None:
    inputs = {"x": [*batch, 67, 512], "z": [*batch, 512, columns], "b": [67, 1]}
    nodes = [
        helper.make_node("MatMul", ["x", "z"], ["p"]),
        helper.make_node("Add", ["p", "b"], ["s"]),
        helper.make_node("Relu", ["s"], ["y"]),
    ]
    model = make_model(nodes, {n: (np.float32, s) for n, s in inputs.items()}, {})
    feed = {name: floats(*sizes, seed=len(name)) for name, sizes in inputs.items()}
    expected = np.maximum(feed["x"] @ feed["z"] + feed["b"], 0)
    y = compile_for(model, unit).run(feed)["y"]
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


OTHERS = {
    "bias": [1, 20, 1, 1],
    "flat bias": [20, 1, 1],
    "scale of each image": ["n", 20, 1, 1],
    "residual": ["n", 20, "h", "w"],
    "one row": [1, 20, 1, "w"],
    "one number": [1],
}


@pytest.mark.parametrize("name", OTHERS)
def test_convolutions_of_size_1_join_their_places(name: str) -> None:
    sizes = {"n": 2, "h": 5, "w": 7}
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[1, 1]),
        helper.make_node("Mul", ["c", "z"], ["m"]),
        helper.make_node("Relu", ["m"], ["y"]),
    ]
    constants = {"w": floats(20, 12, 1, 1, seed=1), "b": floats(20, seed=2)}
    shapes: dict[str, Any] = {"x": ["n", 12, "h", "w"], "z": OTHERS[name]}
    for dynamic in (True, False):
        dims = {
            key: [d if dynamic or isinstance(d, int) else sizes[d] for d in shape]
            for key, shape in shapes.items()
        }
        feed = {
            key: floats(*(d if isinstance(d, int) else sizes[d] for d in shape))
            for key, shape in shapes.items()
        }
        model = make_model(nodes, {k: (np.float32, d) for k, d in dims.items()}, constants)
        check(model, feed, rtol=1e-4, atol=1e-5)


def test_rows_of_a_tile_are_the_last_axis_that_is_long() -> None:
    """Tokens first, a batch of one, and a transposition behind: rows are tokens, not images."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"]),
        helper.make_node("Reshape", ["p", "shape"], ["r"]),
        helper.make_node("Transpose", ["r"], ["y"], perm=[2, 1, 0, 3]),
    ]
    constants = {"w": floats(16, 72, seed=1), "shape": np.array([29, 1, 3, 24])}
    model = make_model(nodes, {"x": (np.float32, [29, 1, 16])}, constants)
    check(model, {"x": floats(29, 1, 16)}, rtol=1e-4, atol=1e-5)
    ctx = new_context()
    module = import_model(model, ctx)
    for entry in Pipeline.default(Target.host()).until("krnl-schedule").passes():
        entry.apply(ctx, module)
    (nest,) = (op for op in module.walk() if isinstance(op, krnl.IterateOp) and op.contraction)
    assert nest.contraction is not None and nest.contraction.get_values() == (0, 2)


def test_a_product_is_cut_into_heads() -> None:
    """Query, key and value of one product: columns become a leading axis and heads."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"]),
        helper.make_node("Add", ["b", "p"], ["q"]),
        helper.make_node("Reshape", ["q", "shape"], ["r"]),
        helper.make_node("Transpose", ["r"], ["y"], perm=[2, 0, 3, 1, 4]),
    ]
    constants = {
        "w": floats(16, 72, seed=1),
        "b": floats(72, seed=2),
        "shape": np.array([2, 10, 3, 3, 8]),
    }
    check(
        make_model(nodes, {"x": (np.float32, [2, 10, 16])}, constants),
        {"x": floats(2, 10, 16)},
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.float16, np.int64, np.bool_])
@pytest.mark.parametrize("shape", [(8, 8), (16, 24), (40, 33), (35, 67), (3, 50), (64, 9)])
def test_transpositions_move_every_element(shape: tuple[int, int], dtype: Any) -> None:
    x = (floats(2, *shape) * 50).astype(dtype)
    node = helper.make_node("Transpose", ["x"], ["y"], perm=[0, 2, 1])
    check(make_model([node], {"x": (dtype, x.shape)}), {"x": x}, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("sizes", "perm", "buffers"),
    [
        ([1, 6, 5, 7], [0, 2, 3, 1], ("6x35", "35x6")),
        ([2, 5, 7, 6], [0, 3, 1, 2], ("2x35x6", "2x6x35")),
        (["n", 3, 4, 5], [2, 3, 0, 1], ("?x20", "20x?")),
        ([2, 3, 4], [2, 1, 0], ("2x3x4", "4x3x2")),
        ([4, 5, 6, 3, 2], [3, 4, 0, 1, 2], ("120x6", "6x120")),
    ],
)
def test_a_transposition_joins_axes_that_stay_neighbours(
    sizes: list[Any], perm: list[int], buffers: tuple[str, str]
) -> None:
    node = helper.make_node("Transpose", ["x"], ["y"], perm=perm)
    model = make_model([node], {"x": (np.float32, sizes)})
    text = compiler.lower(model, "krnl").as_text()
    before, after = (f"memref<{buffer}xf32>" for buffer in buffers)
    assert f"%x_1: {before}" in text or f"in0: {before}" in text
    assert f"%out0: {after}" in text
    x = floats(*(size if isinstance(size, int) else 3 for size in sizes))
    y = compiler.compile(model, cache=False).run({"x": x})["y"]
    np.testing.assert_array_equal(y, x.transpose(perm))


def test_a_transposition_computes_on_its_way() -> None:
    x, z = floats(3, 40, 24), floats(24, 40, seed=1)
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        helper.make_node("Mul", ["t", "z"], ["m"]),
        helper.make_node("Tanh", ["m"], ["y"]),
    ]
    inputs = {"x": (np.float32, x.shape), "z": (np.float32, z.shape)}
    check(make_model(nodes, inputs), {"x": x, "z": z})


@pytest.mark.parametrize("channels", [3, 8, 20])
def test_padding_in_front_of_a_convolution_transposes(channels: int) -> None:
    x = floats(2, channels, 19, 33)
    constants = {"w": floats(10, channels, 3, 3, seed=1)}
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 0, 2, 1])
    check(
        make_model([node], {"x": (np.float32, x.shape)}, constants), {"x": x}, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("unit", VECTOR_UNITS)
@pytest.mark.parametrize("columns", [3, 16, 97, 400, "n"])
def test_reductions_of_columns_make_several_vectors(unit: str, columns: int | str) -> None:
    node = helper.make_node("ReduceMax", ["x", "axes"], ["y"], keepdims=0)
    constants = {"axes": np.array([1])}
    network = compile_for(
        make_model([node], {"x": (np.float32, [2, 50, columns])}, constants), unit
    )
    for size in [columns] if isinstance(columns, int) else [0, 1, 95, 96, 500]:
        x = floats(2, 50, size)
        np.testing.assert_array_equal(network.run({"x": x})["y"], x.max(axis=1))


@pytest.mark.parametrize("unit", VECTOR_UNITS)
@pytest.mark.parametrize("shape", [(672, 96), (700, 96), (4, 400, 96), (6, 5, 40, 96)])
def test_many_rows_go_in_pieces(unit: str, shape: tuple[int, ...]) -> None:
    """With a transposition behind, which keeps the axes apart."""
    weights = floats(96, 500, seed=1)
    rank = len(shape)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"]),
        helper.make_node("Transpose", ["p"], ["y"], perm=[*reversed(range(rank - 1)), rank - 1]),
    ]
    model = make_model(nodes, {"x": (np.float32, shape)}, {"w": weights})
    x = floats(*shape)
    expected = (x @ weights).transpose(*reversed(range(rank - 1)), rank - 1)
    y = compile_for(model, unit).run({"x": x})["y"]
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("unit", VECTOR_UNITS)
def test_images_go_in_pieces(unit: str) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[3, 3], strides=[2, 2])
    weights = floats(130, 30, 3, 3, seed=1)
    x = floats(1, 30, 61, 51)
    model = make_model([node], {"x": (np.float32, x.shape)}, {"w": weights})
    y = compile_for(model, unit).run({"x": x})["y"]
    places = (slice(dy, dy + 59, 2) for dy in range(3)), (slice(dx, dx + 49, 2) for dx in range(3))
    rows, columns = map(list, places)
    expected = sum(
        np.einsum("nchw,oc->nohw", x[:, :, rows[dy], columns[dx]], weights[:, :, dy, dx])
        for dy in range(3)
        for dx in range(3)
    )
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("unit", VECTOR_UNITS)
@pytest.mark.parametrize("places", [1, 3, 7, 8, 9, 12, 14, 15, 17, 28])
def test_channels_shuffled_between_layouts(unit: str, places: int) -> None:
    model = channel_shuffle(20, places)
    feed = {"x": floats(1, 3, places, places), "z": floats(1, 40, places, places, seed=1)}
    got = compile_for(model, unit).run(feed)
    for value, expected in zip(
        (got["y"], got["u"]), ReferenceEvaluator(model).run(None, feed), strict=True
    ):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("unit", VECTOR_UNITS)
@pytest.mark.parametrize("sizes", [(24, 28, 28), (40, 7, 19), (17, 5, 23), (64, 16, 16)])
def test_what_is_added_in_another_order_is_added_once(unit: str, sizes: tuple[int, ...]) -> None:
    """The last tile of a transposition repeats elements: a sum may not take over an operand."""
    channels, height, width = sizes
    constants = {
        "v": floats(channels, 3, 1, 1, seed=1),
        "u": floats(8, channels, 1, 1, seed=2),
        "flat": np.array([1, channels, height * width]),
        "image": np.array([1, *sizes]),
    }
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["a"]),
        helper.make_node("Reshape", ["a", "flat"], ["f"]),
        helper.make_node("Softmax", ["f"], ["s"], axis=-1),
        helper.make_node("Reshape", ["s", "image"], ["r"]),
        helper.make_node("Add", ["a", "r"], ["b"]),
        helper.make_node("Conv", ["b", "u"], ["y"]),
    ]
    x = floats(1, 3, height, width)
    model = make_model(nodes, {"x": (np.float32, x.shape)}, constants)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    got = compile_for(model, unit).run({"x": x})["y"]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
