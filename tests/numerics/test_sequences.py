"""Sequences and optionals whose elements are known when compiling are tensors in the run."""

from __future__ import annotations

import numpy as np
import pytest
from numerics.harness import check, compile_model, make_model
from onnx import NodeProto, helper

from runtime.errors import UnsupportedError

node = helper.make_node
X = np.arange(24, dtype=np.float32).reshape(6, 4)
NUMBERS = {"zero": np.array(0), "one": np.array(1), "last": np.array(-1), "two": np.array(2)}

CASES: dict[str, list[NodeProto]] = {
    "PyTorch's split": [
        node("SplitToSequence", ["x", "two"], ["s"], axis=0),
        node("SequenceAt", ["s", "one"], ["y"]),
    ],
    "a shorter last part": [
        node("SplitToSequence", ["x", "four"], ["s"], axis=0),
        node("SequenceAt", ["s", "last"], ["y"]),
    ],
    "parts of other sizes": [
        node("SplitToSequence", ["x", "parts"], ["s"], axis=-1),
        node("SequenceAt", ["s", "one"], ["y"]),
    ],
    "PyTorch's unbind and stack": [
        node("SplitToSequence", ["x"], ["s"], axis=0, keepdims=0),
        node("SequenceAt", ["s", "last"], ["a"]),
        node("SequenceAt", ["s", "zero"], ["b"]),
        node("SequenceConstruct", ["a", "b"], ["t"]),
        node("ConcatFromSequence", ["t"], ["y"], axis=1, new_axis=1),
    ],
    "joined": [
        node("Neg", ["x"], ["n"]),
        node("SequenceConstruct", ["x", "n"], ["t"]),
        node("ConcatFromSequence", ["t"], ["y"], axis=-1),
    ],
    "inserted and erased": [
        node("SequenceEmpty", [], ["e"]),
        node("SequenceInsert", ["e", "x"], ["s1"]),
        node("Neg", ["x"], ["n"]),
        node("SequenceInsert", ["s1", "n", "zero"], ["s2"]),
        node("Abs", ["n"], ["m"]),
        node("SequenceInsert", ["s2", "m", "last"], ["s3"]),
        node("SequenceErase", ["s3", "zero"], ["s4"]),
        node("ConcatFromSequence", ["s4"], ["y"], axis=0),
    ],
    "length": [
        node("SplitToSequence", ["x", "two"], ["s"], axis=0),
        node("SequenceLength", ["s"], ["y"]),
    ],
    "a tensor as its own optional": [
        node("OptionalGetElement", ["x"], ["y"]),
    ],
    "optional has an element": [
        node("Optional", ["x"], ["o"]),
        node("OptionalHasElement", ["o"], ["y"]),
    ],
}


@pytest.mark.parametrize("nodes", CASES.values(), ids=CASES)
def test_known_sequences(nodes: list[NodeProto]) -> None:
    constants = {**NUMBERS, "four": np.array(4), "parts": np.array([1, 3])}
    model = make_model(nodes, {"x": (np.float32, [6, 4])}, constants, opset=18)
    check(model, {"x": X}, onnxruntime=False)


def test_a_sequence_of_the_run_is_refused() -> None:
    """How many parts there are only the run knows."""
    nodes = CASES["PyTorch's split"]
    model = make_model(nodes, {"x": (np.float32, ["n", 4])}, NUMBERS, opset=18)
    with pytest.raises(UnsupportedError, match="SplitToSequence"):
        compile_model(model)
