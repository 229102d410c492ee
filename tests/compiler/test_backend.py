"""The backend runs ONNX's own cases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.backend.base import Backend
from onnx.numpy_helper import to_array
from sample_models import small_relu

from compiler import backend
from compiler.cli.testset import read_tensor
from runtime.errors import TerraceError

SUITE = Path(onnx.__file__).parent / "backend" / "test" / "data" / "pytorch-operator"
CASES = ("add_broadcast", "addmm", "clip", "flatten", "maxpool", "mm")


def test_it_is_a_backend() -> None:
    assert issubclass(backend.TerraceBackend, Backend)
    assert backend.supports_device("CPU")
    assert not backend.supports_device("CUDA:0")
    assert backend.TerraceBackend.is_compatible(small_relu())


@pytest.mark.parametrize("name", CASES)
def test_cases_of_the_suite(name: str) -> None:
    folder = SUITE / f"test_operator_{name}"
    inputs, outputs = (
        [read_tensor(path) for path in sorted((folder / "test_data_set_0").glob(f"{kind}_*.pb"))]
        for kind in ("input", "output")
    )
    got = backend.prepare(onnx.load(folder / "model.onnx")).run(inputs)
    assert len(got) == len(outputs) > 0
    for result, want in zip(got, outputs, strict=True):
        np.testing.assert_allclose(result, want, rtol=1e-5, atol=1e-6)


def test_inputs_by_name_order_or_alone() -> None:
    x = np.array([[-1, 2, -3], [4, -5, 6]], np.float32)
    for inputs in (x, [x], (x,), {"x": x}):
        (y,) = backend.run_model(small_relu(), inputs, threads=1)
        np.testing.assert_array_equal(y, np.maximum(x, 0))


def test_single_nodes() -> None:
    a, b = np.array([1, 2], np.int64), np.array([3, 5], np.int64)
    (y,) = backend.run_node(helper.make_node("Mul", ["a", "b"], ["y"]), [a, b])
    np.testing.assert_array_equal(y, a * b)
    old = helper.make_node("Clip", ["x"], ["y"], min=0.0, max=1.0)
    (y,) = backend.run_node(old, np.float32([-1, 0.5, 2]), opset_version=6)
    np.testing.assert_array_equal(y, np.float32([0, 0.5, 1]))
    with pytest.raises(TerraceError):
        backend.run_node(helper.make_node("NoSuch", ["x"], ["y"]), a)


def test_constants_agree() -> None:
    value = helper.make_tensor("v", 1, [2], [1.5, -2.5])
    (y,) = backend.run_node(helper.make_node("Constant", [], ["y"], value=value), [])
    np.testing.assert_array_equal(y, to_array(value))
