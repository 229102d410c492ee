"""A convolution and the depthwise one behind it as one kernel, against both on their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numerics.harness import VECTOR_UNITS, make_model
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import compiler
from compiler.pipeline import Pipeline
from runtime.network import Network

ROWS, WHOLE = 0, 1 << 22
"""Sizes of a cache in which nothing stays, and some channels of an image."""


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    """Seeded numbers."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def pipeline_for(cache_bytes: int, unit: str = VECTOR_UNITS[1]) -> Pipeline:
    """The passes for a core with such a cache and vector unit."""
    pipeline = Pipeline.default()
    for name in ("onnx-form-dispatches", "lower-krnl"):
        pipeline = pipeline.replace(name, f"{name}{{cache-bytes={cache_bytes}}}")
    for name in ("onnx-assign-layouts", "krnl-schedule"):
        pipeline = pipeline.replace(name, f"{name}{{{unit}}}")
    return pipeline


def compiled(model: onnx.ModelProto, cache_bytes: int, unit: str = VECTOR_UNITS[1]) -> Network:
    """The model for a core with such a cache and vector unit."""
    return compiler.compile(model, passes=pipeline_for(cache_bytes, unit), cache=False)


def kernels(network: Network) -> list[str]:
    """Names of a network's kernels."""
    return [entry["name"] for entry in network.program.manifest["kernels"]]


def is_joined(network: Network) -> bool:
    """Whether some kernel has two convolutions."""
    return any(name.count("conv") == 2 for name in kernels(network))


def chain_model(
    sizes: list[Any],
    channels: int,
    first: tuple[int, int],
    second: tuple[int, int, int],
    pads: tuple[int, int, int, int],
    between: list[onnx.NodeProto] | None = None,
    dtype: Any = np.float32,
) -> onnx.ModelProto:
    """A convolution (taps, stride), something, a depthwise one (taps, stride, dilation)."""
    taps, stride = first
    weights = {
        "v": floats(channels, sizes[1], taps, taps, seed=1) / taps,
        "c": floats(channels, seed=2),
        "w": floats(channels, 1, second[0], second[0], seed=3) / second[0],
        "d": floats(channels, seed=4),
    }
    between = between or [helper.make_node("Clip", ["a", "low", "high"], ["m"])]
    if any("high" in node.input for node in between):
        weights |= {"low": np.float32(0.25), "high": np.float32(2)}
    attributes = {"strides": second[1:2] * 2, "dilations": second[2:] * 2}
    nodes = [
        helper.make_node("Conv", ["x", "v", "c"], ["a"], strides=[stride, stride]),
        *between,
        helper.make_node("Conv", ["m", "w", "d"], ["b"], group=channels, pads=pads, **attributes),
        helper.make_node("Sigmoid", ["b"], ["e"]),
        helper.make_node("Mul", ["b", "e"], ["y"]),
    ]
    weights = {name: np.asarray(array, dtype) for name, array in weights.items()}
    return make_model(nodes, {"x": (dtype, sizes)}, weights)


def separate(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with what lies between as a result, too, so that both are kernels of their own."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    made.graph.output.append(helper.make_empty_tensor_value_info("m"))
    return made


def compare(model: onnx.ModelProto, x: np.ndarray, unit: str) -> None:
    """One kernel of either kind and two give the same, which is what onnx.reference says."""
    alone = compiled(separate(model), WHOLE, unit)
    assert not is_joined(alone)
    (exact,) = ReferenceEvaluator(model).run(None, {"x": x})
    scale = np.abs(exact).max(initial=0)
    for cache_bytes in (ROWS, WHOLE):
        joined = compiled(model, cache_bytes, unit)
        assert is_joined(joined) or cache_bytes == WHOLE
        got = joined.run({"x": x})["y"]
        for expected in (alone.run({"x": x})["y"], exact):
            assert got.shape == expected.shape
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * scale)


CHAINS = {
    "groups of a small image": ([1, 8, 14, 14], 256, (1, 1), (3, 1, 1), (1, 1, 1, 1)),
    "groups of half the places": ([2, 8, 7, 9], 192, (1, 1), (5, 2, 1), (2, 2, 1, 3)),
    "groups of taps apart": ([1, 5, 9, 9], 256, (1, 1), (3, 1, 2), (2, 2, 2, 2)),
    "groups without padding": ([1, 5, 9, 9], 256, (3, 1), (3, 1, 1), (0, 0, 0, 0)),
    "a bottleneck": ([1, 8, 14, 14], 48, (1, 1), (3, 1, 1), (1, 1, 1, 1)),
    "half the places": ([2, 5, 15, 13], 96, (1, 1), (3, 2, 1), (1, 1, 1, 1)),
    "padding behind only": ([1, 4, 16, 12], 33, (1, 1), (3, 2, 1), (0, 0, 1, 1)),
    "no padding": ([1, 4, 9, 30], 20, (1, 1), (3, 1, 1), (0, 0, 0, 0)),
    "a large window": ([1, 6, 11, 7], 144, (1, 1), (5, 1, 1), (2, 2, 2, 2)),
    "a large window, half the places": ([1, 6, 12, 9], 70, (1, 1), (5, 2, 1), (2, 1, 2, 2)),
    "taps apart": ([1, 3, 13, 10], 16, (1, 1), (3, 1, 2), (2, 2, 2, 2)),
    "more padding than rows": ([1, 3, 2, 5], 18, (1, 1), (3, 1, 1), (4, 2, 3, 2)),
    "a first layer": ([1, 3, 33, 33], 32, (3, 2), (3, 1, 1), (1, 1, 1, 1)),
    "steps over rows": ([1, 4, 17, 17], 24, (1, 1), (2, 3, 1), (0, 0, 0, 0)),
    "bands without padding": ([1, 4, 53, 6], 24, (1, 1), (3, 1, 1), (0, 0, 0, 0)),
    "bands of padded rows": ([1, 4, 52, 6], 24, (1, 1), (3, 1, 1), (1, 1, 1, 1)),
    "a window of one": ([1, 4, 6, 6], 24, (1, 1), (1, 1, 1), (1, 1, 1, 1)),
    "a single row": ([3, 4, 1, 6], 40, (1, 1), (3, 1, 1), (1, 1, 1, 1)),
}


@pytest.mark.parametrize("unit", VECTOR_UNITS)
@pytest.mark.parametrize("name", CHAINS)
def test_sizes(name: str, unit: str) -> None:
    sizes, *rest = CHAINS[name]
    compare(chain_model(sizes, *rest), floats(*sizes), unit)


@pytest.mark.parametrize("unit", VECTOR_UNITS)
@pytest.mark.parametrize("channels", [16, 24, 33, 64, 70, 88, 100, 162, 192, 728])
def test_products_of_any_number_of_channels_are_of_vectors(channels: int, unit: str) -> None:
    """Channels that are no whole panels once made each product of 728 of them a scalar one."""
    model = chain_model([1, 5, 19, 19], channels, (1, 1), (3, 1, 1), (1, 1, 1, 1))
    passes = pipeline_for(ROWS, unit).until("hal-plan-memory")
    stage = compiler.lower(model, to="krnl", passes=passes).as_text()
    kernel = stage.partition("func.func @conv1x1")[2].partition("func.func")[0]
    assert kernel.count("krnl.tensorize(") == kernel.count(" contraction(") == 3


@settings(max_examples=6, deadline=None)
@given(
    unit=st.sampled_from(VECTOR_UNITS),
    sizes=st.tuples(*[st.integers(1, n) for n in (2, 6, 20, 20)]),
    channels=st.integers(17, 100),
    second=st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 2)),
    pads=st.tuples(*[st.integers(0, 3)] * 4),
)
def test_any_sizes(
    unit: str,
    sizes: tuple[int, ...],
    channels: int,
    second: tuple[int, int, int],
    pads: tuple[int, int, int, int],
) -> None:
    span = (second[0] - 1) * second[2] + 1
    shape = [*sizes[:2], sizes[2] + span, sizes[3] + span]
    compare(chain_model(shape, channels, (1, 1), second, pads), floats(*shape), unit)


def test_images_of_a_number_that_only_a_run_knows() -> None:
    model = chain_model(["n", 5, 12, 12], 32, (1, 1), (3, 1, 1), (1, 1, 1, 1))
    network = compiled(model, ROWS)
    assert is_joined(network)
    for images in (3, 0, 1):
        x = floats(images, 5, 12, 12)
        (exact,) = ReferenceEvaluator(model).run(None, {"x": x})
        np.testing.assert_allclose(network.run({"x": x})["y"], exact, rtol=1e-4, atol=1e-5)


def test_half_precision_is_rounded_between() -> None:
    pads = (1, 1, 1, 1)
    model = chain_model([1, 5, 10, 10], 256, (1, 1), (3, 1, 1), pads, dtype=np.float16)
    x = floats(1, 5, 10, 10).astype(np.float16)
    alone = compiled(separate(model), WHOLE)
    for cache_bytes in (ROWS, WHOLE):
        joined = compiled(model, cache_bytes)
        assert is_joined(joined) and not is_joined(alone)
        np.testing.assert_array_equal(joined.run({"x": x})["y"], alone.run({"x": x})["y"])


def test_what_is_added_between() -> None:
    between = [
        helper.make_node("Swish", ["a"], ["s"]),
        helper.make_node("Add", ["s", "r"], ["m"]),
    ]
    sizes, pads = [1, 5, 9, 10], (1, 1, 1, 1)
    model = chain_model(sizes, 24, (1, 1), (3, 1, 1), pads, between)
    model.opset_import[0].version = 24
    kind = helper.make_tensor_value_info("r", onnx.TensorProto.FLOAT, [1, 24, 9, 10])
    model.graph.input.append(kind)
    network, alone = compiled(model, ROWS), compiled(separate(model), ROWS)
    assert is_joined(network) and not is_joined(alone)
    feed = {"x": floats(*sizes), "r": floats(1, 24, 9, 10, seed=9)}
    got, expected = (each.run(feed)["y"] for each in (network, alone))
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_a_small_image_is_computed_as_a_whole_where_threads_find_groups() -> None:
    shape, pads = [1, 8, 14, 14], (1, 1, 1, 1)
    assert is_joined(compiled(chain_model(shape, 256, (1, 1), (3, 1, 1), pads), WHOLE))
    assert not is_joined(compiled(chain_model(shape, 64, (1, 1), (3, 1, 1), pads), WHOLE))
    large = chain_model([1, 8, 60, 60], 256, (1, 1), (3, 1, 1), pads)
    assert not is_joined(compiled(large, WHOLE))


def test_threads_share_bands() -> None:
    model = chain_model([1, 3, 65, 65], 32, (3, 2), (3, 1, 1), (1, 1, 1, 1))
    x = floats(1, 3, 65, 65)
    expected = compiled(separate(model), ROWS).run({"x": x})["y"]
    network = compiled(model, ROWS)
    several = Network(network.program, device="cpu:threads=3")
    np.testing.assert_allclose(several.run({"x": x})["y"], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"group": 8}, id="channels of a group are added up"),
        pytest.param({"uses": 2}, id="what lies between is used twice"),
        pytest.param({"cache_bytes": 32 * 16 * 16 * 4}, id="what lies between stays in the cache"),
        pytest.param({"sizes": [1, 8, "h", 14]}, id="rows of an unknown number"),
        pytest.param({"sizes": [1, 8, 2, 1200]}, id="rows that are too long for a buffer"),
    ],
)
def test_others_are_two_kernels(change: dict[str, Any]) -> None:
    group, sizes = change.get("group", 32), change.get("sizes", [1, 8, 14, 14])
    weights = {"v": floats(32, 8, 1, 1), "w": floats(32, 32 // group, 3, 3)}
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["a"]),
        helper.make_node("Conv", ["a", "w"], ["b"], group=group, pads=[1, 1, 1, 1]),
    ]
    outputs = ["b"]
    if "uses" in change:
        nodes.append(helper.make_node("ReduceMax", ["a"], ["z"]))
        outputs.append("z")
    model = make_model(nodes, {"x": (np.float32, sizes)}, weights, outputs)
    assert not is_joined(compiled(model, change.get("cache_bytes", ROWS)))


def reduced_model(name: str, operator: str, **attributes: Any) -> onnx.ModelProto:
    """A chain, and a reduction ``z`` of what it computes."""
    sizes, *rest = CHAINS[name]
    model = chain_model(sizes, *rest)
    axes = attributes.pop("axes", [2, 3])
    inputs = ["y"]
    if operator.startswith("Reduce"):
        inputs.append("axes")
        model.graph.initializer.append(numpy_helper.from_array(np.array(axes, np.int64), "axes"))
    model.graph.node.append(helper.make_node(operator, inputs, ["z"], **attributes))
    model.graph.output.append(helper.make_empty_tensor_value_info("z"))
    return model


def is_reduced(network: Network) -> bool:
    """Whether a kernel of two convolutions has a reduction, too."""
    return any(name.count("conv") == 2 and "reduce" in name for name in kernels(network))


def compare_reduced(model: onnx.ModelProto, sizes: list[int], unit: str, threads: int = 1) -> None:
    """Both results of one kernel are what onnx.reference says."""
    network = compiled(model, ROWS, unit)
    assert is_reduced(network)
    x = floats(*sizes)
    got = Network(network.program, device=f"cpu:threads={threads}").run({"x": x})
    for name, exact in zip("yz", ReferenceEvaluator(model).run(None, {"x": x}), strict=True):
        assert got[name].shape == exact.shape
        scale = np.abs(exact).max(initial=0)
        np.testing.assert_allclose(got[name], exact, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("unit", VECTOR_UNITS)
@pytest.mark.parametrize("name", CHAINS)
def test_places_are_reduced_by_the_same_kernel(name: str, unit: str) -> None:
    compare_reduced(reduced_model(name, "GlobalAveragePool"), CHAINS[name][0], unit)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    "kind",
    ["Mean", "Sum", "Max", "Min", "L1", "L2", "Prod", "SumSquare", "LogSum"],
)
def test_all_kinds_of_reductions(kind: str, threads: int) -> None:
    # Of many numbers the product is too large.
    name = "a single row" if kind == "Prod" else "bands without padding"
    for attributes in ({"keepdims": 0}, {"axes": [-1, 2]}):
        model = reduced_model(name, f"Reduce{kind}", **attributes)
        if kind == "LogSum":
            # Only positive numbers have a logarithm.
            model.graph.node[-2].CopyFrom(helper.make_node("Sigmoid", ["e"], ["y"]))
        compare_reduced(model, CHAINS[name][0], VECTOR_UNITS[0], threads)


def test_more_is_computed_of_what_is_reduced() -> None:
    name = "groups of a small image"
    model = reduced_model(name, "ReduceMean")
    nodes = [
        helper.make_node("Mul", ["y", "z"], ["g"]),
        helper.make_node("Relu", ["y"], ["r"]),
        helper.make_node("Exp", ["z"], ["t"]),
        helper.make_node("ReduceMax", ["y", "axes"], ["u"]),
    ]
    model.graph.node.extend(nodes)
    del model.graph.output[:]
    model.graph.output.extend(helper.make_empty_tensor_value_info(n) for n in "grtu")
    x = floats(*CHAINS[name][0])
    network = compiled(model, WHOLE)
    assert is_reduced(network)
    exact = ReferenceEvaluator(model).run(None, {"x": x})
    for each, expected in zip("grtu", exact, strict=True):
        np.testing.assert_allclose(network.run({"x": x})[each], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"axes": [3]}, id="of a row"),
        pytest.param({"axes": [1, 2, 3]}, id="of channels, too"),
        pytest.param({"images": "n"}, id="images of an unknown number"),
        pytest.param({"outputs": "z"}, id="what is reduced is not stored"),
    ],
)
def test_other_reductions_are_kernels_of_their_own(change: dict[str, Any]) -> None:
    name = "a bottleneck"
    model = reduced_model(name, "ReduceMean", axes=change.get("axes", [2, 3]))
    if "outputs" in change:
        del model.graph.output[0]
    if "images" in change:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = change["images"]
    network = compiled(model, ROWS)
    assert is_joined(network) and not is_reduced(network)
    x = floats(*CHAINS[name][0])
    (*_, exact) = ReferenceEvaluator(model).run(None, {"x": x})
    np.testing.assert_allclose(network.run({"x": x})["z"], exact, rtol=1e-4, atol=1e-5)
