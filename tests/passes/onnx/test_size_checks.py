"""What shape inference assumes of sizes and cannot prove, a run checks: an error, no wrong number.

Every case has inputs that onnxruntime refuses too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from numerics.harness import Feed, compile_model, make_model
from onnx import helper
from onnx_modules import main_of, module_of

from compiler.pipeline import Pipeline
from dialects.onnx.ops import Symbols
from passes.lower.onnx_to_krnl.registry import key_of
from passes.onnx.grouping import Grouping
from runtime.errors import InputError

F, INT, B = np.float32, np.int64, np.bool_
LENGTHS = np.int32


def zeros(**sizes: Any) -> dict[str, np.ndarray]:
    """Constants of these shapes."""
    return {name: np.zeros(shape, F) for name, shape in sizes.items()}


def ints(*values: int) -> np.ndarray:
    return np.array(values, INT)


LSTM = zeros(w=(1, 12, 2), r=(1, 12, 3))

CASES: dict[str, tuple[str, str, dict[str, Any], dict[str, Any], dict[str, Any], list[Any]]] = {
    # operands, inputs, constants, attributes, (for each input: a shape of zeros, or an array)
    "Split by sizes": ("Split", "x s", {"x": (F, "n"), "s": (INT, 2)}, {}, {}, [6, ints(-1, 7)]),
    "Split": ("Split", "x", {"x": (F, "n")}, {}, {}, [5]),
    "Concat": (
        "Concat",
        "a b",
        {"a": (F, "n", 2), "b": (F, "m", 3)},
        {},
        {"axis": 1},
        [(2, 2), (3, 3)],
    ),
    "Gemm": ("Gemm", "a b c", {"a": (F, "n", 3), "c": (F, "k")}, zeros(b=(3, 4)), {}, [(2, 3), 5]),
    "Conv": ("Conv", "x w", {"x": (F, 1, 2, "h", "v")}, zeros(w=(2, 2, 3, 3)), {}, [(1, 2, 1, 1)]),
    "MaxPool": ("MaxPool", "x", {"x": (F, 1, 2, "h")}, {}, {"kernel_shape": [3]}, [(1, 2, 1)]),
    "Squeeze": ("Squeeze", "x a", {"x": (F, "n", 3)}, {"a": ints(0)}, {}, [(2, 3)]),
    "LayerNormalization": (
        "LayerNormalization",
        "x s",
        {"x": (F, 2, "c")},
        zeros(s=4),
        {},
        [(2, 3)],
    ),
    "InstanceNormalization": (
        "InstanceNormalization",
        "x s b",
        {"x": (F, 1, "c", 4)},
        zeros(s=4, b=4),
        {},
        [(1, 5, 4)],
    ),
    "PRelu": ("PRelu", "x s", {"x": (F, 2, "c")}, zeros(s=4), {}, [(2, 3)]),
    "GatherElements": (
        "GatherElements",
        "x i",
        {"x": (F, "n", "m"), "i": (INT, "p", "q")},
        {},
        {},
        [(2, 3), (2, 5)],
    ),
    "ScatterElements": (
        "ScatterElements",
        "x i u",
        {"x": (F, "n", 3), "i": (INT, "p", 3), "u": (F, "r", "t")},
        {},
        {},
        [(2, 3), (1, 3), (1, 2)],
    ),
    "ScatterND": (
        "ScatterND",
        "x i u",
        {"x": (F, "n", "m"), "i": (INT, "p", 1), "u": (F, "r", "t")},
        {},
        {},
        [(2, 3), (1, 1), (2, 3)],
    ),
    "DepthToSpace": (
        "DepthToSpace",
        "x",
        {"x": (F, 1, "c", 2, 2)},
        {},
        {"blocksize": 2},
        [(1, 6, 2, 2)],
    ),
    "SpaceToDepth": (
        "SpaceToDepth",
        "x",
        {"x": (F, 1, 2, "h", 2)},
        {},
        {"blocksize": 2},
        [(1, 2, 3, 2)],
    ),
    "TopK": ("TopK", "x k", {"x": (F, 1, "n")}, {"k": ints(3)}, {}, [(1, 2)]),
    "TopK of a run's k": (
        "TopK",
        "x k",
        {"x": (F, 1, "n"), "k": (INT, 1)},
        {},
        {},
        [(1, 2), ints(-1)],
    ),
    "ConstantOfShape": ("ConstantOfShape", "s", {"s": (INT, 2)}, {}, {}, [ints(2, -3)]),
    "Tile": ("Tile", "x r", {"x": (F, "n"), "r": (INT, 1)}, {}, {}, [2, ints(-1)]),
    "Pad": ("Pad", "x p", {"x": (F, "n"), "p": (INT, 2)}, {}, {}, [2, ints(-2, -3)]),
    "OneHot": ("OneHot", "x d v", {"x": (INT, "n"), "d": (INT, 1)}, zeros(v=2), {}, [2, ints(-2)]),
    "Resize": ("Resize", "x   s", {"x": (F, 1, "h"), "s": (INT, 2)}, {}, {}, [(1, 2), ints(1, -4)]),
    "LSTM lengths": (
        "LSTM",
        "x w r  l",
        {"x": (F, "t", "b", 2), "l": (LENGTHS, "c")},
        LSTM,
        {"hidden_size": 3},
        [(2, 3, 2), 2],
    ),
    "LSTM state": (
        "LSTM",
        "x w r   h",
        {"x": (F, "t", "b", 2), "h": (F, 1, "c", 3)},
        LSTM,
        {"hidden_size": 3},
        [(2, 3, 2), (1, 2, 3)],
    ),
    "LSTM width": (
        "LSTM",
        "x w r",
        {"x": (F, "t", "b", "i")},
        LSTM,
        {"hidden_size": 3},
        [(2, 3, 3)],
    ),
    "ReverseSequence": (
        "ReverseSequence",
        "x l",
        {"x": (F, "t", "b"), "l": (INT, "c")},
        {},
        {},
        [(3, 2), 3],
    ),
}
RESULTS = {"Split": 2, "TopK": 2}


@pytest.mark.parametrize("case", CASES)
def test_sizes_that_do_not_fit_end_the_run(case: str) -> None:
    op_type, operands, inputs, constants, attributes, given = CASES[case]
    outputs = ["y", "z"][: RESULTS.get(op_type, 1)]
    node = helper.make_node(op_type, operands.split(" "), outputs, **attributes)
    signature = {name: (dtype, sizes) for name, (dtype, *sizes) in inputs.items()}
    network = compile_model(make_model([node], signature, constants, outputs, 17))
    feed = {
        name: value if isinstance(value, np.ndarray) else np.zeros(value, dtype)
        for (name, (dtype, *_)), value in zip(inputs.items(), given, strict=True)
    }
    with pytest.raises(InputError):
        network.run(feed)


def branches(condition: Sequence[onnx.NodeProto], inputs: Mapping[str, Any]) -> onnx.ModelProto:
    """An If 'choose' on ``c``: then Squeeze(x, 0), else Identity(x)."""
    graphs = {
        "then_branch": helper.make_node("Squeeze", ["x", "axis"], ["t"]),
        "else_branch": helper.make_node("Identity", ["x"], ["e"]),
    }
    bodies = {
        name: helper.make_graph(
            [node], name, [], [helper.make_empty_tensor_value_info(node.output[0])]
        )
        for name, node in graphs.items()
    }
    nodes = [*condition, helper.make_node("If", ["c"], ["s"], "choose", **bodies)]
    nodes.append(helper.make_node("Relu", ["s"], ["y"]))
    constants = {"axis": ints(0), "zero": np.array(0, INT), "one": np.array(1, INT)}
    return make_model(nodes, inputs, constants)


def test_a_branch_chosen_by_a_size_is_checked() -> None:
    """The comparison of PyTorch's `squeeze`: the other branch would give another rank."""
    nodes = [
        helper.make_node("Shape", ["x"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "zero"], ["n"]),
        helper.make_node("Equal", ["n", "one"], ["c"]),
    ]
    network = compile_model(branches(nodes, {"x": (F, ["n", 3])}))
    assert network.run({"x": np.ones((1, 3), F)})["y"].shape == (3,)
    with pytest.raises(InputError, match="sizes n = 2 and 1 = 1"):
        network.run({"x": np.ones((2, 3), F)})


@pytest.mark.parametrize("sizes", [(2, 3), ("n", 3)], ids=["known", "unknown"])
def test_a_branch_that_cannot_run_is_checked(sizes: tuple[int | str, int]) -> None:
    """The condition is data; the branch that squeezes an axis of 3 elements is left out."""
    model = branches([], {"x": (F, [*sizes]), "c": (B, [])})
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(ints(1), "axis"))
    network = compile_model(model)
    x = np.ones((2, 3), F)
    assert network.run({"x": x, "c": np.array(False)})["y"].shape == (2, 3)
    with pytest.raises(InputError, match=r"'choose'.*the then_branch cannot run.*axis 1"):
        network.run({"x": x, "c": np.array(True)})


def test_a_kernel_waits_for_the_sizes_that_its_operators_are_told() -> None:
    """Trilu joins the MatMul, which stands in front of what names its diagonal."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Cast", ["t"], ["k"], to=7),
        helper.make_node("Reshape", ["k", "one"], ["k1"]),
        helper.make_node("Trilu", ["a", "k"], ["y"]),
        helper.make_node("Slice", ["v", "zero", "k1"], ["z"]),
    ]
    inputs = {"x": (F, ["n", 4]), "t": (F, []), "v": (F, [9])}
    constants = {"w": np.ones((4, 6), F), "zero": ints(0), "one": ints(1)}
    ctx, module = module_of(make_model(nodes, inputs, constants, ("y", "z")))
    for each in Pipeline.default().passes():
        if each.name == "onnx-form-dispatches":
            break
        each.apply(ctx, module)
    grouping = Grouping(main_of(module).body.block)
    grouping.run()
    groups = {
        op if isinstance(op, Symbols) else key_of(op): g for op, g in grouping.group_of.items()
    }
    (symbols,) = (op for op in groups if isinstance(op, Symbols))
    assert groups["", "Trilu"] is groups["", "MatMul"]
    assert groups[symbols].reaches(groups["", "Trilu"])


def test_sizes_that_fit_run() -> None:
    feed: Feed = {"x": np.ones((2, 3, 2), F), "h": np.ones((1, 3, 3), F)}
    _, operands, inputs, constants, attributes, _ = CASES["LSTM state"]
    node = helper.make_node("LSTM", operands.split(" "), ["y"], **attributes)
    signature = {name: (dtype, sizes) for name, (dtype, *sizes) in inputs.items()}
    assert compile_model(make_model([node], signature, constants)).run(feed)["y"].shape == (
        2,
        1,
        3,
        3,
    )
