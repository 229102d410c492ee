"""Old operators beside newer ones: written as newer versions, they compute what they did."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from onnx import ModelProto

from compiler.exporter import export_model
from compiler.exporter.upgrades import UPGRADES
from compiler.importer import import_model
from compiler.ir_text import new_context
from runtime.errors import UnsupportedError

X = np.random.default_rng(0).standard_normal((2, 4, 6)).astype(np.float32)

CASES: dict[str, tuple[int, str]] = {
    "BatchNormalization 7": (8, "t = BatchNormalization <epsilon = 0.01> (x, s, s, s, s)"),
    "BatchNormalization 9": (13, "t = BatchNormalization (x, s, s, s, s)"),
    "Clip": (10, "t = Clip <min = -0.5, max = 0.25> (x)"),
    "Clip above": (10, "t = Clip <max = 0.25> (x)"),
    "Dropout": (11, "t = Dropout <ratio = 0.25> (x)"),
    "Hardmax": (12, "t = Hardmax <axis = 2> (x)"),
    "LogSoftmax": (12, "t = LogSoftmax <axis = -1> (x)"),
    "Pad": (10, "t = Pad <pads = [0, 1, 0, 0, 0, 2], value = 3.0> (x)"),
    "ReduceMax": (12, "t = ReduceMax <axes = [1], keepdims = 0> (x)"),
    "ReduceMean of all": (13, "t = ReduceMean (x)"),
    "ReduceSum": (11, "t = ReduceSum <axes = [0, 2]> (x)"),
    "Slice": (9, "t = Slice <starts = [1, 0], ends = [3, -1], axes = [1, 2]> (x)"),
    "Slice of the first axes": (9, "t = Slice <starts = [1], ends = [2]> (x)"),
    "Softmax": (11, "t = Softmax <axis = 2> (x)"),
    "Split": (12, "t, u = Split <axis = 1, split = [1, 3]> (x)"),
    "Split in equal parts": (12, "t, u = Split <axis = 1> (x)"),
    "Split of given sizes": (17, "t, u = Split <axis = 1> (x, parts)"),
    "Squeeze": (12, "r = ReduceSum <axes = [1]> (x) t = Squeeze <axes = [1]> (r)"),
    "TopK": (9, "t, i = TopK <k = 2> (x)"),
    "Unsqueeze": (12, "t = Unsqueeze <axes = [0, 3]> (x)"),
}


def model(opset: int, nodes: str) -> ModelProto:
    """A model of old operators; the output is ``t``."""
    return onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : {opset}]> g (float[2, 4, 6] x) => (float[N] t)'
        f" <float[4] s = {{1, 2, 3, 4}}, int64[2] parts = {{1, 3}}> {{ {nodes} }}"
    )


def with_new_operator(old: ModelProto) -> ModelProto:
    """The same with an operator that is newer than the opset."""
    result = ModelProto()
    result.CopyFrom(old)
    result.graph.node.add(op_type="Gelu", input=["x"], output=["y"])
    result.graph.output.add(name="y").type.CopyFrom(old.graph.input[0].type)
    return result


def exported(source: ModelProto) -> ModelProto:
    """The model after import and export."""
    ctx = new_context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = import_model(source, ctx)
    del module.attributes["onnx.warnings"]
    return export_model(module, ctx)


def run(source: ModelProto, name: str) -> Any:
    """One output, by onnxruntime, whose unknown output shapes are no error."""
    for output in source.graph.output:
        output.type.tensor_type.ClearField("shape")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        source.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run([name], {"x": X})[0]


@pytest.mark.parametrize(("opset", "nodes"), CASES.values(), ids=CASES.keys())
def test_upgraded_nodes_compute_the_same(opset: int, nodes: str) -> None:
    old = model(opset, nodes)
    new = exported(with_new_operator(old))
    assert {o.domain: o.version for o in new.opset_import} == {"": 20}
    onnx.checker.check_model(new)
    want = run(old, "t")
    np.testing.assert_allclose(run(new, "t"), want, rtol=1e-6, atol=1e-6)


def test_every_upgrade_has_a_case() -> None:
    alike = {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMin", "ReduceProd"}
    covered = {name.split()[0] for name in CASES} | alike | {"ReduceSumSquare"}
    assert {name for name, _ in UPGRADES} == covered


@pytest.mark.parametrize(
    ("opset", "nodes"),
    [
        (11, "t = Softmax <axis = 1> (x)"),
        (8, "t = BatchNormalization <spatial = 0> (x, s, s, s, s)"),
        (9, "q = Constant <value = float[3] {1, 1, 2}> () t = Upsample (x, q)"),
    ],
    ids=["Softmax over several axes", "BatchNormalization of each place", "deprecated"],
)
def test_what_would_change_its_meaning_is_refused(opset: int, nodes: str) -> None:
    with pytest.raises(UnsupportedError, match=r"changes the meaning of onnx\.\w+\.v\d+"):
        exported(with_new_operator(model(opset, nodes)))
