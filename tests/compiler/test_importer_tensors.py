"""Tensors come in with the right values, as views of the file where that is possible."""

from __future__ import annotations

import mmap
import tracemalloc
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from compiler.importer import import_model
from compiler.importer.reading import SPLIT_BYTES, read_model, split_payloads
from compiler.importer.tensors import DTYPES, TensorReader
from compiler.ir_text import new_context
from dialects.onnx.constants import constant_of, pool_of
from dialects.onnx.ops import Const

KINDS = [kind for kind in TensorProto.DataType.values() if kind != TensorProto.UNDEFINED]


def model_of(*tensors: TensorProto) -> onnx.ModelProto:
    """A model whose outputs are copies of these initializers."""
    nodes = [helper.make_node("Identity", [t.name], [f"out_{t.name}"]) for t in tensors]
    outputs = [helper.make_tensor_value_info(f"out_{t.name}", t.data_type, None) for t in tensors]
    graph = helper.make_graph(nodes, "g", [], outputs, list(tensors))
    opsets = [helper.make_opsetid("", 25)]
    return helper.make_model(graph, ir_version=13, opset_imports=opsets)


def arrays(module: ModuleOp, ctx: Context) -> list[np.ndarray]:
    """The constants of a module in order."""
    found = [constant_of(op.result, pool_of(ctx)) for op in module.walk() if isinstance(op, Const)]
    return [array for array in found if array is not None]


def sample(dtype: np.dtype, count: int) -> np.ndarray:
    """Different values of a type, the extremes of small ones included."""
    if dtype.kind == "O":
        return np.array([f"é{k}" for k in range(count)], object)
    if dtype.kind == "b":
        return np.arange(count) % 3 == 0
    if dtype.kind == "c":
        return (np.arange(count) * (1 - 0.5j)).astype(dtype)
    if dtype == ml_dtypes.float8_e8m0fnu:
        return (2.0 ** (np.arange(count) - 3)).astype(dtype)
    low = 0 if "uint" in dtype.name else -3
    wide = 4 if dtype.itemsize == 1 else 7
    values = (np.arange(count) % wide) + low
    if dtype in (ml_dtypes.int2, ml_dtypes.uint2):
        values = np.arange(count) % 4 - (2 if dtype == ml_dtypes.int2 else 0)
    return values.astype(dtype)


@pytest.mark.parametrize("kind", KINDS, ids=TensorProto.DataType.Name)
@pytest.mark.parametrize("shape", [(), (7,), (3, 0), (2, 3)], ids=str)
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
def test_all_element_types(kind: int, shape: tuple[int, ...], raw: bool) -> None:
    expected = sample(DTYPES[kind], int(np.prod(shape))).reshape(shape)
    if raw:
        tensor = numpy_helper.from_array(expected, "t")
    else:
        data = expected.reshape(-1)
        tensor = helper.make_tensor("t", kind, shape, data.astype(object) if kind == 8 else data)
    array = TensorReader(None).array(tensor, "tensor")
    assert array.dtype == expected.dtype and array.shape == shape
    assert (array == expected).all()


def test_all_bit_patterns_of_packed_types_are_read_as_onnx_reads_them() -> None:
    every = np.arange(256, dtype=np.uint8).tobytes() * 3
    for kind, count in ((21, 2), (22, 2), (23, 2), (25, 4), (26, 4), (27, 4 / 3), (28, 4 / 3)):
        tensor = TensorProto(data_type=kind, dims=[int(768 * count)], raw_data=every, name="t")
        array = TensorReader(None).array(tensor, "tensor")
        expected = numpy_helper.to_array(tensor)
        assert (array.astype(np.float32) == expected.astype(np.float32)).all(), kind


def test_booleans_other_than_one_are_true() -> None:
    tensor = TensorProto(data_type=9, dims=[3], raw_data=b"\0\2\1")
    array = TensorReader(None).array(tensor, "tensor")
    assert array.view(np.uint8).tolist() == [0, 1, 1]


def test_string_tensors_may_hold_bytes() -> None:
    tensor = TensorProto(data_type=8, dims=[2], string_data=["größe".encode(), b"\xff\xfe"])
    assert TensorReader(None).array(tensor, "t").tolist() == ["größe", b"\xff\xfe"]


@pytest.fixture
def weights() -> list[np.ndarray]:
    """Arrays of a few megabytes and a small one."""
    rng = np.random.default_rng(0)
    return [
        rng.random((1024, 1024), np.float32),
        rng.random(3, np.float32),
        rng.random((2048, 512)),
    ]


def save(folder: Path, tensors: list[np.ndarray], external: bool) -> Path:
    """A model file with these initializers."""
    named = [numpy_helper.from_array(array, f"w{k}") for k, array in enumerate(tensors)]
    path = folder / "m.onnx"
    onnx.save(model_of(*named), path, save_as_external_data=external, location="m.data")
    return path


@pytest.mark.parametrize("external", [True, False], ids=["external", "embedded"])
def test_large_tensors_are_views_of_the_file(
    tmp_path: Path, weights: list[np.ndarray], external: bool
) -> None:
    path = save(tmp_path, weights, external)
    ctx = new_context()
    tracemalloc.start()
    module = import_model(path, ctx)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
    for array, expected in zip(arrays(module, ctx), weights, strict=True):
        assert (array == expected).all()
        if array.nbytes > 4096:
            base = array
            while isinstance(base, np.ndarray):
                base = base.base
            assert isinstance(base, memoryview) and isinstance(base.obj, mmap.mmap)
            assert not array.flags.writeable
    assert ("onnx.external_data" in module.attributes) is external


def test_large_tensors_of_bytes_are_views_of_them(weights: list[np.ndarray]) -> None:
    named = [numpy_helper.from_array(array, f"w{k}") for k, array in enumerate(weights)]
    data = model_of(*named).SerializeToString()
    assert len(data) > SPLIT_BYTES
    ctx = new_context()
    module = import_model(data, ctx)
    large = arrays(module, ctx)[0]
    assert np.shares_memory(large, np.frombuffer(data, np.uint8))
    assert (large == weights[0]).all()


def test_cutting_out_payloads_loses_nothing_else() -> None:
    big = numpy_helper.from_array(np.arange(5000, dtype=np.int64), "big")
    big.doc_string = "documented"
    model = model_of(numpy_helper.from_array(np.float32([1]), "small"), big)
    model.metadata_props.add(key="k", value="v" * 300)
    data = model.SerializeToString()
    rest, payloads = split_payloads(memoryview(data))
    assert rest is not None and len(rest) < 1000
    assert bytes(payloads[1]) == big.raw_data and len(payloads) == 1
    again = onnx.ModelProto.FromString(rest)
    assert not again.graph.initializer[1].HasField("raw_data")
    again.graph.initializer[1].raw_data = bytes(payloads[1])
    assert again == model


def test_cutting_refuses_what_protobuf_must_judge() -> None:
    data = model_of(numpy_helper.from_array(np.arange(5000), "big")).SerializeToString()
    assert split_payloads(memoryview(data + data)) == (None, {})
    assert split_payloads(memoryview(data[:-7])) == (None, {})
    assert split_payloads(memoryview(b"\xff" * 20)) == (None, {})


def test_external_data_honours_offset_and_length(tmp_path: Path) -> None:
    values = np.arange(10, dtype=np.float32)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "w.bin").write_bytes(b"junk!" + values.tobytes() + b"rest")
    tensor = TensorProto(name="w", data_type=1, dims=[10], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "deep/w.bin"), ("offset", "5"), ("length", "40")):
        tensor.external_data.add(key=key, value=value)
    path = tmp_path / "m.onnx"
    path.write_bytes(model_of(tensor).SerializeToString())
    ctx = new_context()
    module = import_model(path, ctx)
    assert arrays(module, ctx)[0].tolist() == values.tolist()


def test_external_data_may_be_larger_than_protobuf_can_be(tmp_path: Path) -> None:
    size, count = 1 << 30, 3
    with (tmp_path / "w.bin").open("wb") as file:
        file.truncate(size * count)  # holes: it takes no space
        file.seek(size * count - 4)
        file.write(np.float32(7).tobytes())
    tensors = []
    for k in range(count):
        tensor = TensorProto(name=f"w{k}", data_type=1, dims=[size // 4], data_location=1)
        tensor.external_data.add(key="location", value="w.bin")
        tensor.external_data.add(key="offset", value=str(k * size))
        tensors.append(tensor)
    path = tmp_path / "m.onnx"
    path.write_bytes(model_of(*tensors).SerializeToString())
    ctx = new_context()
    found = arrays(import_model(path, ctx), ctx)
    assert [array.nbytes for array in found] == [size] * count
    assert (found[0][0], found[2][-1]) == (0, 7)


@pytest.mark.parametrize("suffix", [".onnx", ".json", ".textproto", ".onnxtxt", ".model"])
def test_file_formats(tmp_path: Path, suffix: str) -> None:
    model = model_of(numpy_helper.from_array(np.float32([1, 2]), "w"))
    path = tmp_path / f"m{suffix}"
    if suffix == ".onnxtxt":
        path.write_text(
            '<ir_version: 8, opset_import: ["" : 18]> g () => (float[2] y) '
            "<float[2] w = {1, 2}> { y = Identity (w) }"
        )
    else:
        kind = "protobuf" if suffix == ".model" else None
        onnx.save(model, path, format=kind)
    ctx = new_context()
    assert arrays(import_model(str(path), ctx), ctx)[0].tolist() == [1, 2]


def test_bytes_of_any_kind_are_models() -> None:
    data = model_of(numpy_helper.from_array(np.float32([1, 2]), "w")).SerializeToString()
    for source in (data, bytearray(data), memoryview(data)):
        assert read_model(source).proto.graph.initializer[0].name == "w"
