"""Small models for tests of the driver: the digit recogniser that ships with us, and others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Feed = dict[str, np.ndarray]

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.onnx"
DIGIT = DIGITS.with_name("digit.npy")


def graph_model(
    name: str,
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int | str | None]],
    outputs: Sequence[str],
    constants: Mapping[str, np.ndarray] | None = None,
    opset: int = 21,
) -> onnx.ModelProto:
    """A model on floats; outputs have no declared shape."""
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, dims) for n, dims in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs],
        [numpy_helper.from_array(array, n) for n, array in (constants or {}).items()],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10, producer_name="tests"
    )


def small_relu(*dims: int | str | None) -> onnx.ModelProto:
    """y = relu(x)."""
    node = helper.make_node("Relu", ["x"], ["y"], name="relu")
    return graph_model("small", [node], {"x": list(dims or (2, 3))}, ["y"])


def perceptron() -> onnx.ModelProto:
    """Two layers with a residual sum and layer normalization, over any number of rows."""
    rng = np.random.default_rng(1)
    weights = {
        "w1": rng.standard_normal((24, 40), np.float32) / 5,
        "b1": rng.standard_normal(40, np.float32),
        "w2": rng.standard_normal((40, 24), np.float32) / 6,
        "scale": rng.standard_normal(24, np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["h1"], name="in"),
        helper.make_node("Add", ["h1", "b1"], ["h2"], name="bias"),
        helper.make_node("Relu", ["h2"], ["h3"], name="relu"),
        helper.make_node("MatMul", ["h3", "w2"], ["h4"], name="out"),
        helper.make_node("Add", ["h4", "x"], ["h5"], name="residual"),
        helper.make_node("LayerNormalization", ["h5", "scale"], ["y"], name="norm"),
    ]
    return graph_model("perceptron", nodes, {"x": ["rows", 24]}, ["y"], weights)


def shuffle() -> onnx.ModelProto:
    """No products: reductions, transpositions, joins and broadcasts of two inputs."""
    nodes = [
        helper.make_node("Transpose", ["a"], ["t"], name="turn", perm=[0, 2, 1]),
        helper.make_node("ReduceMean", ["t", "axes"], ["mean"], name="mean", keepdims=1),
        helper.make_node("Sub", ["t", "mean"], ["centred"], name="centre"),
        helper.make_node("Concat", ["centred", "b"], ["both"], name="join", axis=1),
        helper.make_node("Mul", ["both", "factor"], ["scaled"], name="scale"),
        helper.make_node("ReduceMax", ["scaled", "axes"], ["most"], name="most", keepdims=0),
    ]
    constants = {"axes": np.array([2], np.int64), "factor": np.float32([[0.5], [2], [-1], [3]])}
    dims = {"a": [2, 5, 3], "b": [2, 1, 5]}
    return graph_model("shuffle", nodes, dims, ["scaled", "most"], constants)


def digits_feed() -> Feed:
    image = np.load(DIGIT)
    return {"image": np.concatenate([image, image[:, :, ::-1], 16 - image])}


def perceptron_feed() -> Feed:
    return {"x": np.random.default_rng(2).standard_normal((7, 24), np.float32)}


def shuffle_feed() -> Feed:
    rng = np.random.default_rng(3)
    return {
        "a": rng.standard_normal((2, 5, 3), np.float32),
        "b": rng.standard_normal((2, 1, 5), np.float32),
    }


MODELS: dict[str, tuple[Callable[[], onnx.ModelProto], Callable[[], Feed]]] = {
    "digits": (lambda: onnx.load(DIGITS), digits_feed),
    "perceptron": (perceptron, perceptron_feed),
    "shuffle": (shuffle, shuffle_feed),
}
"""Makers of model and inputs, by name."""


def reference(model: onnx.ModelProto, feed: Feed) -> dict[str, np.ndarray]:
    """What onnxruntime computes."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [entry.name for entry in session.get_outputs()]
    return dict(zip(names, map(np.asarray, session.run(names, feed)), strict=True))
