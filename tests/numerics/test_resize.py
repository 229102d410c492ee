"""Resize, Upsample, GridSample: modes, transformations, known and run-time scales and sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from harness import check, compile_model, make_model, node_cases, one_node, run_case, run_model
from onnx import helper
from onnx.reference import ReferenceEvaluator

F32 = np.dtype(np.float32)
I64 = np.dtype(np.int64)
TRANSFORMATIONS = [
    *["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"],
]
ROUNDINGS = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]


def sample(shape: Sequence[int], dtype: Any = F32, seed: int = 0) -> np.ndarray:
    """Numbers of a type."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind in "iu":
        return rng.integers(0, 120, shape).astype(dtype)
    return rng.normal(0, 3, shape).astype(dtype)


def resize(
    x: np.ndarray,
    constants: Mapping[str, np.ndarray] | None = None,
    inputs: Mapping[str, np.ndarray] | None = None,
    dims: Sequence[int | str] | None = None,
    opset: int = 19,
    **attributes: Any,
) -> Any:
    """A model of one Resize whose other operands are constants or inputs by name."""
    given = {**(constants or {}), **(inputs or {})}
    order = ["x", *(n if n in given else "" for n in ("roi", "scales", "sizes"))]
    while not order[-1]:
        order.pop()
    sizes = {"x": dims} if dims else None
    arrays = {"x": x, **(inputs or {})}
    return one_node(
        "Resize", arrays, constants=constants, order=order, dims=sizes, opset=opset, **attributes
    )


def floats(*values: float) -> np.ndarray:
    """A float32 vector."""
    return np.array(values, F32)


def ints(*values: int) -> np.ndarray:
    """An int64 vector."""
    return np.array(values, I64)


@pytest.mark.parametrize(
    "case", list(node_cases("Resize", "Upsample", "GridSample")), ids=lambda case: case.name
)
def test_backend_case(case: Any) -> None:
    run_case(case)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
@pytest.mark.parametrize("size", [(14, 12), (3, 9), (5, 18)])
def test_nearest_elements(transformation: str, rounding: str, size: tuple[int, int]) -> None:
    x = sample((2, 7, 6))
    model = resize(
        x,
        {"sizes": ints(2, *size)},
        mode="nearest",
        coordinate_transformation_mode=transformation,
        nearest_mode=rounding,
    )
    check(model, {"x": x}, onnxruntime=False)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
@pytest.mark.parametrize("size", [(14, 12), (3, 9), (5, 18), (1, 1)])
def test_weighted_neighbours(transformation: str, mode: str, size: tuple[int, int]) -> None:
    if transformation == "pytorch_half_pixel" and size == (1, 1):
        # The reference takes -0.5 where the specification says 0.
        return
    x = sample((2, 7, 6))
    model = resize(
        x, {"sizes": ints(2, *size)}, mode=mode, coordinate_transformation_mode=transformation
    )
    check(model, {"x": x}, onnxruntime=False, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("width", [256, 257, 600])
@pytest.mark.parametrize("dims", [None, ["n", "c", "h", "w"]], ids=["known", "open"])
def test_rows_of_several_tables(width: int, mode: str, dims: list[str] | None) -> None:
    x = sample((2, 3, 5, 131))
    for size in ((7, width), (5, width)):
        model = resize(x, {"sizes": ints(2, 3, *size)}, dims=dims, mode=mode)
        check(model, {"x": x}, onnxruntime=False, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layout", ["rows", "channels last"])
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("scale", [2.0, 3.0, 0.5, 1.5])
def test_scales_of_symbolic_sizes_between_pointwise_operators(
    mode: str, scale: float, layout: str
) -> None:
    last = (scale, scale)
    scales = floats(1, 1, *last) if layout == "rows" else floats(1, *last, 1)
    nodes = [
        helper.make_node("Neg", ["x"], ["n"]),
        helper.make_node("Resize", ["n", "", "scales"], ["r"], mode=mode),
        helper.make_node("Relu", ["r"], ["y"]),
    ]
    model = make_model(nodes, {"x": (F32, ["a", "b", "c", "d"])}, {"scales": scales}, opset=19)
    feeds = [{"x": sample(shape)} for shape in ((1, 4, 6, 8), (2, 6, 4, 2))]
    check(model, *feeds, onnxruntime=layout == "rows", rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("transformation", ["half_pixel", "asymmetric", "align_corners"])
def test_scales_and_sizes_of_the_run(mode: str, transformation: str) -> None:
    x = sample((2, 3, 5, 6))
    attributes: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": transformation}
    dims = ["n", "c", "h", "w"]
    by_scale = compile_model(resize(x, None, {"scales": floats(1, 1, 1, 1)}, dims, **attributes))
    by_size = compile_model(resize(x, None, {"sizes": ints(1, 1, 1, 1)}, dims, **attributes))
    for factors in ((1, 1, 2, 2), (1, 1, 0.6, 1.5)):
        model = resize(x, {"scales": floats(*factors)}, **attributes)
        expected = reference(model, {"x": x})
        got = by_scale.run({"x": x, "scales": floats(*factors)})["y"]
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    for size in ((2, 3, 10, 12), (2, 3, 4, 11)):
        expected = reference(resize(x, {"sizes": ints(*size)}, **attributes), {"x": x})
        got = by_size.run({"x": x, "sizes": ints(*size)})["y"]
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def reference(model: Any, feed: Mapping[str, np.ndarray]) -> np.ndarray:
    """What onnx.reference computes."""
    found = ReferenceEvaluator(model).run(None, dict(feed))
    assert isinstance(found, list)
    return found[0]


def test_sizes_that_are_multiples_of_symbolic_ones() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Mul", ["shape", "factors"], ["sizes"]),
        helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="linear"),
    ]
    constants = {"factors": ints(1, 1, 2, 4)}
    model = make_model(nodes, {"x": (F32, ["n", 2, "h", "w"])}, constants, opset=19)
    check(model, {"x": sample((1, 2, 3, 5))}, {"x": sample((2, 2, 1, 2))}, rtol=1e-4, atol=1e-5)


def test_sizes_of_another_tensor() -> None:
    nodes = [
        helper.make_node("Shape", ["z"], ["space"], start=2),
        helper.make_node("Resize", ["x", "", "", "space"], ["r"], mode="nearest", axes=[2, 3]),
        helper.make_node("Add", ["r", "z"], ["y"]),
    ]
    kinds = {"x": (F32, [1, 2, "a", "b"]), "z": (F32, [1, 2, "h", "w"])}
    feeds = [{"x": sample((1, 2, 4, 3)), "z": sample((1, 2, *s), seed=1)} for s in ((8, 6), (3, 7))]
    check(make_model(nodes, kinds, opset=19), *feeds)


@pytest.mark.parametrize("policy", ["not_larger", "not_smaller"])
@pytest.mark.parametrize("known", [True, False])
def test_aspect_ratios_are_kept(policy: str, known: bool) -> None:
    x = sample((2, 6, 4))
    sizes = {"sizes": ints(9, 5)}
    attributes: dict[str, Any] = {
        "keep_aspect_ratio_policy": policy,
        "axes": [2, 1],
        "mode": "linear",
    }
    if known:
        check(resize(x, sizes, **attributes), {"x": x}, onnxruntime=False, atol=1e-5)
    else:
        model = resize(x, None, sizes, ["n", "h", "w"], **attributes)
        check(model, {"x": x, **sizes}, onnxruntime=False, atol=1e-5)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("known", [True, False])
def test_crops(mode: str, known: bool) -> None:
    x = sample((1, 2, 6, 8))
    roi = {"roi": floats(0, 0, 0.2, -0.3, 1, 1, 0.9, 1.2)}
    sizes = {"sizes": ints(1, 2, 5, 7)}
    attributes: dict[str, Any] = {"mode": mode, "extrapolation_value": 9.5}
    attributes["coordinate_transformation_mode"] = "tf_crop_and_resize"
    if known:
        model, feed = resize(x, {**roi, **sizes}, **attributes), {"x": x}
    else:
        model, feed = resize(x, sizes, roi, **attributes), {"x": x, **roi}
    check(model, feed, onnxruntime=False, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("excluding", [0, 1])
@pytest.mark.parametrize("antialias", [0, 1])
def test_outside_and_antialiasing(mode: str, excluding: int, antialias: int) -> None:
    x = sample((2, 9, 10))
    model = resize(
        x,
        {"sizes": ints(4, 13)},
        mode=mode,
        axes=[1, 2],
        exclude_outside=excluding,
        antialias=antialias,
        cubic_coeff_a=-0.5,
    )
    check(model, {"x": x}, onnxruntime=False, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.float16, np.float64])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_element_types(dtype: Any, mode: str) -> None:
    x = sample((1, 2, 4, 5), dtype)
    model = resize(x, {"scales": floats(1, 1, 2, 1.5)}, mode=mode)
    tolerance = {np.float16: 2e-3, np.float64: 1e-6}.get(dtype, 0)
    check(model, {"x": x}, onnxruntime=False, rtol=tolerance, atol=tolerance)


def test_integers_are_rounded_and_saturate() -> None:
    x = np.array([[0, 255, 255, 0, 0, 7]], np.uint8)
    model = resize(x, {"scales": floats(1, 2)}, mode="cubic")
    check(model, {"x": x}, onnxruntime=False)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_the_first_resize_and_all_upsamples(mode: str) -> None:
    x = sample((1, 2, 3, 4))
    scales = floats(1, 1, 2, 3)
    models = [
        one_node("Resize", {"x": x}, constants={"s": scales}, opset=10, mode=mode),
        one_node("Upsample", {"x": x}, constants={"s": scales}, opset=9, mode=mode),
        one_node("Upsample", {"x": x}, opset=7, mode=mode, scales=scales.tolist()),
    ]
    for model in models:
        check(model, {"x": x}, reference=False, rtol=1e-4, atol=1e-5)
    old = {"nearest": "nearest", "linear": "bilinear"}[mode]
    model = one_node("Upsample", {"x": x}, opset=1, mode=old, height_scale=2.0, width_scale=3.0)
    expected = run_model(models[0], {"x": x})["y"]
    np.testing.assert_array_equal(run_model(model, {"x": x})["y"], expected)


def test_tensorflows_pixel_centres() -> None:
    x = sample((1, 1, 5, 4))
    attributes: dict[str, Any] = {"mode": "nearest"}
    attributes["coordinate_transformation_mode"] = "tf_half_pixel_for_nn"
    constants = {"roi": floats(), "scales": floats(), "sizes": ints(1, 1, 2, 6)}
    model = resize(x, constants, opset=11, nearest_mode="floor", **attributes)
    check(model, {"x": x}, reference=False)


def test_a_third_is_a_third() -> None:
    x = np.arange(9, dtype=F32).reshape(1, 1, 1, 9)
    attributes: dict[str, Any] = {"mode": "nearest", "nearest_mode": "floor"}
    model = resize(x, {"scales": floats(1, 1, 1, 1 / 3)}, **attributes)
    np.testing.assert_array_equal(run_model(model, {"x": x})["y"].ravel(), [1, 4, 7])


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_resizing_behind_a_convolution(mode: str) -> None:
    constants = {"w": sample((8, 3, 3, 3), seed=1) / 5, "s": floats(1, 1, 2, 2)}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Resize", ["c", "", "s"], ["r"], mode=mode),
        helper.make_node("Conv", ["r", "v"], ["y"]),
    ]
    constants["v"] = sample((4, 8, 1, 1), seed=2)
    model = make_model(nodes, {"x": (F32, [1, 3, 5, "w"])}, constants, opset=19)
    check(model, {"x": sample((1, 3, 5, 6))}, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("aligned", [0, 1])
def test_samples_at_positions_of_a_grid(mode: str, padding: str, aligned: int) -> None:
    x = sample((2, 3, 5, 4))
    rng = np.random.default_rng(3)
    grid = rng.uniform(-2.5, 2.5, (2, 3, 6, 2)).astype(F32)
    arrays = {"x": x, "g": grid}
    dims = {"x": ["n", "c", "h", "w"], "g": ["n", "a", "b", 2]}
    attributes: dict[str, Any] = {"mode": mode, "padding_mode": padding, "align_corners": aligned}
    model = one_node("GridSample", arrays, dims=dims, opset=20, **attributes)
    # The reference pads coordinates in cubic interpolation, and rounds halves otherwise.
    differs = mode == "nearest" or (mode, padding) == ("cubic", "border")
    check(model, arrays, reference=not differs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize("rows", [(41, 4), (1, 130), (129, 1)])
def test_positions_of_several_blocks(rows: tuple[int, int], is_open: bool) -> None:
    x = sample((2, 3, 9, 7))
    x[0, 1, 0, 0] = np.inf
    grid = np.random.default_rng(3).uniform(-1.3, 1.3, (2, *rows, 2)).astype(F32)
    arrays = {"x": x, "g": grid}
    dims = {"x": ["n", "c", "h", "w"], "g": ["n", "a", "b", 2]} if is_open else None
    nodes = [
        helper.make_node(*made)
        for made in (("GridSample", ["x", "g"], ["s"]), ("Mul", ["s", "row"], ["y"]))
    ]
    signature = {n: (a.dtype, (dims or {}).get(n, a.shape)) for n, a in arrays.items()}
    weights = {"row": sample((rows[1],), seed=5)}
    check(make_model(nodes, signature, weights, opset=16), arrays, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("is_open", [False, True])
def test_an_image_that_makes_its_own_grid(is_open: bool) -> None:
    x = sample((1, 3, 5, 2))
    dims = ["n", "c", "h", 2] if is_open else x.shape
    nodes = [
        helper.make_node("Tanh", ["x"], ["g"]),
        helper.make_node("GridSample", ["x", "g"], ["y"]),
    ]
    model = make_model(nodes, {"x": (F32, dims)}, opset=16)
    check(model, {"x": x}, rtol=1e-3, atol=1e-4)


def test_samples_of_volumes_far_outside() -> None:
    x = sample((1, 2, 3, 4, 5))
    grid = np.array([0.1, -0.4, 0.9, 1e20, -1e20, 0.0], F32).reshape(1, 1, 1, 2, 3)
    arrays = {"x": x, "g": grid}
    check(one_node("GridSample", arrays, opset=20), arrays, onnxruntime=False, atol=1e-4)
