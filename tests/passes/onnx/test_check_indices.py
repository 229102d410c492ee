"""onnx-check-indices: an index out of range ends the run, with a message that names the node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from numerics.harness import Feed, check, compile_model, make_model
from onnx import helper
from onnx_modules import after, model_of, operators

from dialects.onnx.ops import CheckRange, IndexRange
from passes.onnx.check_indices import CheckIndices
from passes.onnx.infer_shapes import InferShapes
from runtime.errors import InputError

X = np.arange(6, dtype=np.float32).reshape(3, 2)


def picking(
    op_type: str,
    indices: Sequence[int | str],
    updates: Sequence[int | str] | None = None,
    sizes: Sequence[int | str] = (3, 2),
    dtype: Any = np.int64,
    **attributes: Any,
) -> onnx.ModelProto:
    """A model of a node 'pick' whose indices (and updates) are inputs of these shapes."""
    inputs: dict[str, Any] = {"x": (np.float32, sizes), "i": (dtype, indices)}
    if updates is not None:
        inputs["u"] = (np.float32, updates)
    return make_model([helper.make_node(op_type, [*inputs], ["y"], "pick", **attributes)], inputs)


def given(indices: Any, updates: Sequence[int] | None = None, dtype: Any = np.int64) -> Feed:
    """Data for such a model."""
    feed = {"x": X, "i": np.array(indices, dtype)}
    if updates is not None:
        feed["u"] = -1 - np.arange(np.prod(updates), dtype=np.float32).reshape(updates)
    return feed


CASES = {
    "Gather": (
        picking("Gather", ["k"]),
        [[0, 2, -1, -3], [], [1]],
        [([3], "3 to 3"), ([0, -4], "-4 to 0"), ([2**62], "4611686018427387904")],
        None,
    ),
    "Gather of a dynamic axis": (
        picking("Gather", [2], sizes=["n", "m"], axis=1),
        [[0, -1], [1, -2]],
        [([0, 2], "0 to 2 leave the 2"), ([-3, 0], "-3 to 0")],
        None,
    ),
    "GatherElements": (
        picking("GatherElements", [3, 1], axis=1),
        [[[0], [-1], [1]]],
        [([[0], [2], [1]], "leave the 2 elements"), ([[-3], [0], [1]], "-3 to 1")],
        None,
    ),
    "GatherND": (
        picking("GatherND", [2, 2]),
        [[[0, 1], [-3, -2]]],
        [([[0, 0], [3, 0]], "leave the 3 elements"), ([[2, 2], [0, 0]], "leave the 2 elements")],
        None,
    ),
    "GatherND in batches": (
        picking("GatherND", [3, 1], batch_dims=1),
        [[[0], [-2], [1]]],
        [([[0], [2], [1]], "leave the 2 elements")],
        None,
    ),
    "ScatterElements": (
        picking("ScatterElements", [1, 2], [1, 2], axis=0),
        [[[0, -1]], [[2, 2]]],
        [([[3, 0]], "leave the 3 elements"), ([[0, -4]], "-4 to 0")],
        (1, 2),
    ),
    "ScatterND": (
        picking("ScatterND", [2, 1], [2, 2]),
        [[[0], [-1]]],
        [([[3], [0]], "leave the 3 elements"), ([[-4], [0]], "-4 to 0")],
        (2, 2),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_indices_of_a_run(case: str) -> None:
    model, right, wrong, updates = CASES[case]
    check(model, *(given(indices, updates) for indices in right))
    network = compile_model(model)
    for indices, message in wrong:
        with pytest.raises(InputError, match=message) as caught:
            network.run(given(indices, updates))
        assert "node 'pick'" in str(caught.value) and case.split()[0] in str(caught.value)
    # The network is none the worse for it.
    network.run(given(right[0], updates))


@pytest.mark.parametrize("indices", [[3], [-4], [0, 100]])
def test_constant_indices_fail_only_when_they_are_reached(indices: list[int]) -> None:
    bad = helper.make_node("Gather", ["x", "i"], ["t"], "pick")
    good = helper.make_node("Identity", ["x"], ["e"])
    output = helper.make_tensor_value_info
    branches = {
        "then_branch": helper.make_graph([bad], "then", [], [output("t", 1, None)]),
        "else_branch": helper.make_graph([good], "else", [], [output("e", 1, None)]),
    }
    model = make_model(
        [helper.make_node("If", ["c"], ["y"], **branches)],
        {"x": (np.float32, [3, 2]), "c": (np.bool_, [])},
        {"i": np.array(indices)},
    )
    network = compile_model(model)
    np.testing.assert_array_equal(network.run({"x": X, "c": np.array(False)})["y"], X)
    with pytest.raises(InputError, match=r"node '.*pick'"):
        network.run({"x": X, "c": np.array(True)})


def checked(text: str, **constants: np.ndarray) -> list[str]:
    """Operators after the pass."""
    _, module = after(text, InferShapes(), CheckIndices(), constants=constants)
    found = [op for op in module.walk() if isinstance(op, CheckRange)]
    return operators(module) + ["check " + ",".join(s.data for s in op.sizes) for op in found]


def test_what_is_known_to_be_inside_is_not_checked() -> None:
    text = "g (float[3,n] x) => (float[k,n] y) { y = Gather(x, i) }"
    assert checked(text, i=np.array([0, 2, -3])) == ["Gather"]
    assert checked(text, i=np.array([], np.int64)) == ["Gather"]
    assert checked(text, i=np.array([0, 3])) == ["Gather", "check 3"]
    # A size of 0 has no first element.
    text = "g (float[3,n] x) => (float[3,k] y) { y = Gather<axis = 1>(x, i) }"
    assert checked(text, i=np.array([0])) == ["Gather", "check n"]
    sizes = """g (float[3,n] x) => (int64 y) {
      s = Shape(x)
      y = Gather(s, i)
    }"""
    assert checked(sizes, i=np.array(1)) == ["Shape", "Gather"]


def test_equal_checks_are_made_once() -> None:
    text = """g (float[3,4] x, float[3,5] z, int64[2] i)
    => (float[2,4] y, float[2,5] w, float[3,2] v) {
      y = Gather(x, i)
      w = Gather(z, i)
      v = Gather<axis = 1>(x, i)
    }"""
    assert checked(text) == [
        *("IndexRange", "Gather", "Gather", "IndexRange", "Gather"),
        *("check 3", "check 4"),
    ]


def test_ranges_of_tuples_have_a_column_for_each_component() -> None:
    _, module = after(
        "g (float[3,4] x, int64[5,2] i) => (float[5] y) { y = GatherND(x, i) }",
        InferShapes(),
        CheckIndices(),
    )
    (found,) = [op for op in module.walk() if isinstance(op, IndexRange)]
    assert found.tuples is not None and "2x2xi64" in str(found.result.type)


def test_what_selects_nothing_by_index_is_left_alone() -> None:
    text = """g (float[3,4] x, int64[2] i) => (float[2,4] y) {
      y = Slice(x, i, i)
    }"""
    assert "IndexRange" not in checked(text.replace("float[2,4] y", "float[a,b] y"))
    model = model_of(
        "g (float[3,4] x, int64[2] i) => (float[2,4] y) { y = com.microsoft.Gather(x, i) }"
    )
    assert model.graph.node[0].domain == "com.microsoft"
    _, module = after(model, CheckIndices())
    assert operators(module) == ["Gather"]
