"""Programs and their files: saving, loading, refusing what is broken."""

from __future__ import annotations

import itertools
import json
import os
import struct
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime_programs import add_constant_program, add_program, program, tensor

import runtime
from runtime.errors import InvalidModelError, UnsupportedError
from runtime.program import Program

DTYPES = [
    np.bool_, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64,
    np.float16, np.float32, np.float64, np.complex64, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn,
    ml_dtypes.float8_e5m2, ml_dtypes.float8_e4m3fnuz, ml_dtypes.float8_e5m2fnuz,
    ml_dtypes.float8_e8m0fnu,
]  # fmt: skip


def constants_program(constants: dict[str, np.ndarray]) -> Program:
    return program(None, [tensor("x", 1)], [tensor("y", 1)], constants)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (2, 3, 7)], ids=str)
def test_constants_survive_the_file(tmp_path: Path, dtype: Any, shape: tuple[int, ...]) -> None:
    array = np.arange(int(np.prod(shape))).reshape(shape).astype(np.float32).astype(dtype)
    saved = constants_program({"first": np.ones(3, np.uint8), "w": array})
    saved.save(tmp_path / "p.terrace")
    loaded = Program.load(tmp_path / "p.terrace")
    constant = loaded.constants["w"]
    assert constant.dtype == array.dtype
    assert constant.shape == shape
    assert constant.tobytes() == array.tobytes()
    assert loaded.manifest == saved.manifest
    assert loaded.objects == saved.objects


def test_constants_are_mapped_aligned_and_read_only(tmp_path: Path) -> None:
    constants_program({"a": np.ones(3, np.int8), "b": np.arange(5.0)}).save(tmp_path / "p")
    loaded = Program.load(tmp_path / "p")
    for constant in loaded.constants.values():
        assert not constant.flags.owndata
        assert not constant.flags.writeable
        assert constant.ctypes.data % 64 == 0


def test_strided_and_big_endian_constants_are_saved_by_value(tmp_path: Path) -> None:
    strided = np.arange(12, dtype=np.int32).reshape(3, 4).T
    constants_program({"s": strided, "b": strided.astype(">i4")}).save(tmp_path / "p")
    loaded = Program.load(tmp_path / "p")
    np.testing.assert_array_equal(loaded.constants["s"], strided)
    np.testing.assert_array_equal(loaded.constants["b"], strided)


def test_constants_that_are_written_in_pieces_survive_the_file(tmp_path: Path) -> None:
    constants = {"a": np.ones(3, np.int8), "table": np.arange(50_001, dtype=np.float32)}
    plain = constants_program(constants)
    pieces = Program({**plain.manifest, "selected": ["table"]}, plain.objects, constants)
    pieces.save(tmp_path / "p")
    loaded = Program.load(tmp_path / "p", verify=True)
    assert loaded.signature.selected == {"table"}
    np.testing.assert_array_equal(loaded.constants["table"], constants["table"])


def test_the_layout_is_safetensors(tmp_path: Path) -> None:
    constants_program({"a": np.ones(3, np.int8), "b": np.arange(5.0)}).save(tmp_path / "p")
    data = (tmp_path / "p").read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    assert (8 + length) % 64 == 0
    assert json.loads(header.pop("__metadata__")["manifest"])["format"] == 3
    spans = sorted(entry["data_offsets"] for entry in header.values())
    assert spans[0][0] == 0
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    assert 8 + length + spans[-1][1] == len(data)
    assert header["constant/b"]["dtype"] == "F64"


def test_saving_replaces_and_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "p.terrace"
    add_program(4).save(path)
    before = path.read_bytes()
    with pytest.raises(UnsupportedError, match="complex128"):
        constants_program({"z": np.zeros(2, np.complex128)}).save(path)
    assert path.read_bytes() == before
    add_program(5).save(path)
    assert Program.load(path).inputs[0].shape == (5,)
    assert [p.name for p in tmp_path.iterdir()] == ["p.terrace"]


def test_a_disk_error_while_saving_leaves_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        add_program().save(tmp_path / "p.terrace")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Program.load(tmp_path / "absent.terrace")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    path = tmp_path_factory.mktemp("files") / "p.terrace"
    add_constant_program(np.arange(8, dtype=np.float32)).save(path)
    return path, path.read_bytes()


def run_or_refuse(path: Path, data: bytes) -> None:
    """A damaged file is refused with its name, or does what the intact one does."""
    path.write_bytes(data)
    try:
        net = runtime.load(path, device="cpu:threads=1")
    except InvalidModelError as error:
        assert str(path) in str(error)
    else:
        x = np.ones(8, np.float32)
        np.testing.assert_array_equal(net(x), x + np.arange(8, dtype=np.float32))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_flipped_bytes_are_found(saved: tuple[Path, bytes], data: st.DataObject) -> None:
    path, intact = saved
    damaged = bytearray(intact)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(intact) - 1))] ^= data.draw(st.integers(1, 255))
    run_or_refuse(path, bytes(damaged))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_truncated_and_spliced_files_are_found(
    saved: tuple[Path, bytes], data: st.DataObject
) -> None:
    path, intact = saved
    begin, end = sorted(data.draw(st.tuples(*[st.integers(0, len(intact))] * 2)))
    run_or_refuse(path, intact[:begin] + data.draw(st.binary(max_size=20)) + intact[end:])


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_random_bytes_are_refused(saved: tuple[Path, bytes], data: bytes) -> None:
    path, _ = saved
    path.write_bytes(data)
    with pytest.raises(InvalidModelError):
        Program.load(path)


def write_file(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-(len(text) + 8) % 64)
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)


def signed(metadata: Any, **tensors: Any) -> Any:
    """A header with a right checksum, so that the checks behind it are reached."""
    from runtime import safetensors

    header = {"__metadata__": metadata, **tensors}
    metadata["crc32"] = safetensors._header_crc(header)
    return header


def u8(begin: int, end: int) -> dict[str, Any]:
    return {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"[1, 2", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        ([1], "no '__metadata__'"),
        ({}, "no '__metadata__'"),
        ({"__metadata__": {"manifest": 3}}, "not text"),
        ({"__metadata__": {}}, "no checksum"),
        ({"__metadata__": {"crc32": "00000000"}}, "header is damaged"),
        (signed({}), "no manifest"),
        (signed({"manifest": "{"}), "manifest is not JSON"),
        (signed({}, a=3), "no valid shape|unknown element type"),
        (signed({}, a={"dtype": "X", "shape": [], "data_offsets": [0, 1]}), "element type 'X'"),
        (signed({}, a={"dtype": "U8", "shape": [-1], "data_offsets": [0, 1]}), "no valid shape"),
        (signed({}, a={"dtype": "U8", "shape": [True], "data_offsets": [0, 1]}), "no valid shape"),
        (signed({}, a={"dtype": "U8", "shape": [1], "data_offsets": [0]}), "no valid shape"),
        (signed({}, a={"dtype": "F32", "shape": [1], "data_offsets": [0, 3]}), "does not fit"),
        (signed({}, a=u8(0, 65)), "truncated"),
        (signed({}, a=u8(0, 64)), "tensor 'a' is damaged"),
        (signed({}, a=u8(0, 32), b=u8(32, 64)), "multiple of 64"),
        (signed({}, a=u8(0, 0)), "does not end with"),
        (signed({}, **{"a": u8(0, 64), "padding/1": u8(32, 64)}), "overlap or leave a hole"),
        (signed({"manifest": "{}", "crc32/a": f"{0x758D6336:08x}"}, a=u8(0, 64)), "tensor 'a'"),
    ],
)
def test_malformed_headers_are_refused(tmp_path: Path, header: Any, message: str) -> None:
    path = tmp_path / "bad.terrace"
    has_tensors = isinstance(header, dict) and len(header) > 1
    write_file(path, header, bytes(64) if has_tensors else b"")
    with pytest.raises(InvalidModelError, match=message) as caught:
        Program.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("length", [10**9, 2**64 - 1, 500])
def test_absurd_header_lengths_are_refused(tmp_path: Path, length: int) -> None:
    write_file(tmp_path / "bad", {}, length=length)
    with pytest.raises(InvalidModelError, match="header"):
        Program.load(tmp_path / "bad")


def test_big_files_are_checked_on_demand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p"
    constants_program({"w": np.zeros(1000, np.uint8)}).save(path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    monkeypatch.setattr("runtime.program.EAGER_BYTES", 100)
    assert Program.load(path).constants["w"][-1] == 1
    assert Program.load(path, verify=False).constants["w"][-1] == 1
    with pytest.raises(InvalidModelError, match="constant/w"):
        Program.load(path, verify=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 1}, "has format 1, this runtime reads 3"),
        ({"format": None}, "no 'format'"),
        ({"inputs": 3}, "'inputs' in the manifest is 3"),
        ({"inputs": [3]}, r"inputs\[0\]"),
        ({"inputs": [tensor("x", -1)]}, "size -1"),
        ({"inputs": [tensor("x", True)]}, "size True"),
        ({"inputs": [tensor("x", "a +")]}, "size expression"),
        ({"inputs": [tensor("x", 1), tensor("x", 1)]}, "holds x twice"),
        ({"arena_bytes": -1}, "negative"),
        ({"arena_bytes": "4"}, "arena_bytes"),
        ({"messages": [{"text": "m", "error": "x"}]}, "unknown error 'x'"),
        ({"messages": [{}]}, "no 'text'"),
        ({"constants": ["w"]}, "differ about w"),
        ({"constants": [1]}, "not a name"),
        ({"heap_buffers": -1}, "'heap_buffers' is -1"),
        ({"selected": [1]}, "'selected' .* not a name"),
        ({"target": []}, "'target'"),
    ],
)
def test_malformed_manifests_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidModelError, match=message):
        Program({**add_program().manifest, **change}, {}, {})


def test_unknown_element_types_are_unsupported() -> None:
    with pytest.raises(UnsupportedError, match=r"'x': element type 'string'"):
        program(None, [tensor("x", 1, dtype="string")], [])


def test_the_views_of_the_manifest() -> None:
    p = program(
        None,
        [tensor("x", "batch", 3)],
        [tensor("y", "2*batch", None, dtype="int64")],
        messages=[{"text": "bad", "node": "n", "op_type": "Gather", "opset": 13}],
    )
    assert str(p.inputs[0]) == "x: float32[batch, 3]"
    assert p.outputs[0].shape == ("2*batch", None)
    assert not p.inputs[0].is_static
    assert p.metadata["custom"] == {"author": "hand"}
    assert str(p.messages[0].place) == "node 'n' (ai.onnx.Gather opset 13)"
    assert p.target.triple
