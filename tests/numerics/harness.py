"""Running ONNX models through every stage, and comparing with what others compute.

    model = make_model([helper.make_node("Relu", ["x"], ["y"])], {"x": (np.float32, ["n", 4])})
    check(model, {"x": x})                       # against onnx.reference and onnxruntime

`run_model` compiles and runs; `check` also compares with `onnx.reference` and, where it knows the
model, with onnxruntime. `node_cases` gives the cases of ONNX's own suite for some operators.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from compiler.importer import import_model
from compiler.ir_text import new_context
from compiler.linking import link
from compiler.pipeline import Pipeline
from compiler.target import Target
from runtime.network import Network

Feed = Mapping[str, np.ndarray]
Signature = Mapping[str, tuple[Any, Sequence[int | str | None] | None]]


def make_model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Signature,
    constants: Mapping[str, np.ndarray] | None = None,
    outputs: Sequence[str] = ("y",),
    opset: int = 21,
    **graph: Any,
) -> onnx.ModelProto:
    """A model of some nodes; ``inputs`` maps names to (dtype, sizes), outputs are untyped."""
    made = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(n, tensor_type(d), s) for n, (d, s) in inputs.items()],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in (constants or {}).items()],
        **graph,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def tensor_type(dtype: Any) -> int:
    """ONNX's number of an element type, from a numpy dtype or that number itself."""
    return dtype if isinstance(dtype, int) else helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def one_node(
    op_type: str,
    arrays: Mapping[str, np.ndarray],
    *,
    opset: int = 21,
    dims: Mapping[str, Sequence[int | str | None]] | None = None,
    constants: Mapping[str, np.ndarray] | None = None,
    order: Sequence[str] | None = None,
    outputs: Sequence[str] = ("y",),
    **attributes: Any,
) -> onnx.ModelProto:
    """A model of one node.

    ``arrays`` are the inputs' samples, ``constants`` the operands that the model holds, ``dims``
    replaces the sizes of inputs (by symbols). ``order`` lists the operands, "" for an absent one.
    """
    names: list[str] = list(order) if order else [*arrays, *(constants or {})]
    node = helper.make_node(op_type, names, list(outputs), **attributes)
    inputs = {n: (a.dtype, (dims or {}).get(n, a.shape)) for n, a in arrays.items()}
    return make_model([node], inputs, constants, outputs, opset)


def compile_model(model: onnx.ModelProto | bytes) -> Network:
    """The model as a network on this machine."""
    ctx = new_context()
    module = import_model(model, ctx)
    for entry in _passes():
        entry.apply(ctx, module)
    return Network(link(module, ctx, _target()))


def channel_shuffle(channels: int, places: int) -> onnx.ModelProto:
    """Half of a row-major image and a channels-last one, put together in turn; the other half goes
    on to a channels-last image."""
    numbers = np.random.default_rng(0)
    weights = {
        "v": numbers.standard_normal((channels, 3, 3, 3), np.float32),
        "w": numbers.standard_normal((4, channels, 1, 1), np.float32),
        "r": np.array([1, 2, channels, places, places]),
    }
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Split", ["z"], ["s", "t"], axis=1, num_outputs=2),
        helper.make_node("Concat", ["s", "a"], ["c"], axis=1),
        helper.make_node("Reshape", ["c", "r"], ["d"]),
        helper.make_node("Transpose", ["d"], ["y"], perm=[0, 2, 1, 3, 4]),
        helper.make_node("Conv", ["t", "w"], ["u"]),
    ]
    sizes = {
        "x": (np.float32, [1, 3, places, places]),
        "z": (np.float32, [1, 2 * channels, places, places]),
    }
    return make_model(nodes, sizes, weights, ["y", "u"])


VECTOR_UNITS = ("vector-bits=256 registers=16", "vector-bits=512 registers=32")
"""Tiles for the other kind of machine must be right on this one, too."""


def compile_for(model: onnx.ModelProto, unit: str) -> Network:
    """The model with the layouts and schedules of a vector unit."""
    ctx, target = new_context(), _target()
    module = import_model(model, ctx)
    pipeline = Pipeline.default(target)
    for name in ("onnx-assign-layouts", "krnl-schedule"):
        pipeline = pipeline.replace(name, f"{name}{{{unit}}}")
    for entry in pipeline.passes():
        entry.apply(ctx, module)
    return Network(link(module, ctx, target))


@cache
def _target() -> Target:
    return Target.host()


@cache
def _passes() -> tuple[Any, ...]:
    return Pipeline.default(_target()).passes()


def run_model(model: onnx.ModelProto, feed: Feed) -> dict[str, np.ndarray]:
    """Compiles and runs a model once."""
    return compile_model(model).run(feed)


def check(
    model: onnx.ModelProto,
    *feeds: Feed,
    rtol: float = 1e-5,
    atol: float = 1e-6,
    reference: bool = True,
    onnxruntime: bool = True,
) -> None:
    """Runs a model on each feed and compares; at least one of the other two must know it."""
    network = compile_model(model)
    others = []
    if reference:
        others.append(ReferenceEvaluator(model).run)
    if onnxruntime and (session := _session(model)) is not None:
        others.append(session.run)
    assert others, "neither onnx.reference nor onnxruntime runs the model"
    names = [output.name for output in model.graph.output]
    for given in feeds:
        feed = {name: np.asarray(array) for name, array in given.items()}
        got = network.run(feed)
        for other in others:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = other(None, feed)
            for name, array in zip(names, expected, strict=True):
                assert_same(got[name], array, rtol, atol)


def _session(model: onnx.ModelProto) -> Any | None:
    """onnxruntime's session, or None where it does not implement the model."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    typed = onnx.shape_inference.infer_shapes(model)
    unsupported = onnxruntime.capi.onnxruntime_pybind11_state
    try:
        return onnxruntime.InferenceSession(
            typed.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except (unsupported.NotImplemented, unsupported.Fail, unsupported.InvalidGraph):
        return None


def assert_same(got: np.ndarray, expected: Any, rtol: float, atol: float) -> None:
    """Same type and shape, and numbers as close as asked; NaN equals NaN."""
    expected = np.asarray(expected)
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    if expected.dtype.kind in "biu":
        np.testing.assert_array_equal(got, expected)
    else:
        wide = [a.astype(np.float32) if a.itemsize < 4 else a for a in (got, expected)]
        np.testing.assert_allclose(*wide, rtol=rtol, atol=atol)


@cache
def _all_node_cases() -> tuple[Any, ...]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tuple(collect_testcases(None))


def node_cases(*op_types: str) -> Iterator[Any]:
    """Cases of ONNX's backend suite that consist of one of these operators (no function bodies)."""
    for case in _all_node_cases():
        nodes = case.model.graph.node
        if len(nodes) == 1 and nodes[0].op_type in op_types and not nodes[0].domain:
            yield case


def run_case(case: Any) -> None:
    """Runs a case of ONNX's backend suite and compares with the numbers it gives."""
    network = compile_model(case.model)
    feeds = [value.name for value in case.model.graph.input]
    for inputs, expected in case.data_sets:
        arrays = (np.asarray(_array(a)) for a in inputs)
        got = network.run(dict(zip(feeds, arrays, strict=True)))
        for value, array in zip(case.model.graph.output, expected, strict=True):
            assert_same(got[value.name], _array(array), case.rtol, max(case.atol, 1e-7))


def _array(value: Any) -> Any:
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else value


def exact_conv(
    x: np.ndarray, weights: np.ndarray, pads: tuple[int, ...], zero: int = 0, dilation: int = 1
) -> np.ndarray:
    """The convolution of x - zero with 3x3 kernels, in float64 or int64."""
    wide = np.float64 if x.dtype.kind == "f" else np.int64
    top, left, bottom, right = pads
    margins = ((0, 0), (0, 0), (top, bottom), (left, right))
    padded = np.pad(x.astype(wide) - wide(zero), margins)
    height, width = (size - 2 * dilation for size in padded.shape[2:])
    taps = [
        np.einsum(
            "nchw,kc->nkhw",
            padded[:, :, i * dilation :, j * dilation :][:, :, :height, :width],
            weights[:, :, i, j].astype(wide),
        )
        for i in range(3)
        for j in range(3)
    ]
    return np.sum(taps, axis=0)
