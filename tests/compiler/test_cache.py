"""Finished programs are found again, and only when nothing has changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from sample_models import DIGITS, graph_model, small_relu

import compiler
from compiler import model_cache
from compiler.driver import Built, Request, build
from compiler.model_cache import ProgramCache, request_key
from compiler.object_cache import ObjectCache
from compiler.source import Model
from compiler.target import Target
from runtime.errors import InputError

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("fresh_cache")


def built(model: Model, **options: object) -> Built:
    return build(Request.of(model, **options))  # type: ignore[arg-type]


def programs(cache: Path) -> list[Path]:
    return sorted(cache.glob("??/*.terrace"))


def scaled(folder: Path, factor: float) -> Path:
    """A model y = factor * x with the factor beside it."""
    node = helper.make_node("Mul", ["x", "f"], ["y"])
    factors = np.full(2048, factor, np.float32)
    model = graph_model("g", [node], {"x": [2048]}, ["y"], {"f": factors})
    path = folder / "m.onnx"
    onnx.save(model, path, save_as_external_data=True, location="m.data", size_threshold=0)
    return path


def test_a_second_compile_is_a_find() -> None:
    first, second = built(DIGITS), built(DIGITS)
    assert (first.cached, second.cached) == (False, True)
    assert second.program.manifest == first.program.manifest
    assert second.report.passes == [
        (stage, name, pytest.approx(seconds, abs=1e-5))
        for stage, name, seconds in first.report.passes
    ]


def test_bytes_protos_and_texts_are_found_too(tmp_path: Path) -> None:
    model = small_relu()
    assert not built(model).cached
    assert built(model).cached
    assert built(model.SerializeToString()).cached
    path = tmp_path / "m.mlir"
    path.write_text(compiler.lower(model).as_text())
    assert not built(path).cached
    assert built(path).cached


def test_everything_that_decides_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_relu("n", 4)
    keys = {request_key(Request.of(model))}
    for options in (
        {"dims": {"n": 3}},
        {"target": "haswell"},
        {"passes": "onnx-infer-shapes"},
    ):
        keys.add(request_key(Request.of(model, **options)))  # type: ignore[arg-type]
    keys.add(request_key(Request.of(small_relu("m", 4))))
    monkeypatch.setattr(model_cache, "compiler_identity", lambda: "another compiler")
    keys.add(request_key(Request.of(model)))
    assert len(keys) == 6
    assert None not in keys


def test_users_passes_are_run_each_time() -> None:
    assert request_key(Request.of(small_relu(), passes="onnx-infer-shapes,cse")) is None


def test_a_change_beside_the_model_counts(tmp_path: Path) -> None:
    x = np.ones(2048, np.float32)
    path = scaled(tmp_path, 2)
    assert compiler.compile(path)(x)[0] == 2
    assert built(path).cached
    scaled(tmp_path, 3)
    assert compiler.compile(path)(x)[0] == 3
    (tmp_path / "m.data").unlink()
    with pytest.raises(compiler.InvalidModelError, match=r"m\.data"):
        compiler.compile(path)


def test_large_files_count_by_place_size_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_cache, "HASHED_BYTES", 16)
    path = scaled(tmp_path, 2)
    compiler.compile(path)
    assert built(path).cached
    os.utime(tmp_path / "m.data", ns=(1, 1))
    assert not built(path).cached


def test_damaged_entries_count_as_absent(fresh_cache: Path) -> None:
    built(DIGITS)
    (path,) = programs(fresh_cache)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert not built(DIGITS).cached
    assert built(DIGITS).cached
    path.write_bytes(data[:100])
    assert not built(DIGITS).cached


def test_programs_that_are_too_large_are_not_kept(
    fresh_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERRACE_CACHE_LIMIT", "50000")
    built(DIGITS)
    assert programs(fresh_cache) == []
    monkeypatch.setenv("TERRACE_CACHE_LIMIT", "many")
    with pytest.raises(InputError, match="TERRACE_CACHE_LIMIT"):
        built(DIGITS)


def test_old_programs_make_room(fresh_cache: Path) -> None:
    built(small_relu(1, 2))
    (old,) = programs(fresh_cache)
    os.utime(old, (1, 1))
    built(small_relu(3, 4))
    size = sum(path.stat().st_size for path in fresh_cache.glob("??/*"))
    ObjectCache(fresh_cache, limit_bytes=size - 1).prune()
    assert not old.exists()
    assert len(programs(fresh_cache)) == 1


def test_without_a_cache_nothing_is_written(
    fresh_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(Request.of(small_relu()), cache=False)
    assert programs(fresh_cache) == []
    monkeypatch.setenv("TERRACE_CACHE", "0")
    built(small_relu())
    assert programs(fresh_cache) == []


def test_a_folder_that_cannot_be_written_is_only_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("TERRACE_CACHE_DIR", str(blocked / "cache"))
    with pytest.warns(RuntimeWarning, match="cannot write the cache"):
        assert not built(small_relu()).cached


def test_other_targets_programs_are_kept_apart() -> None:
    for _ in range(2):
        program = built(small_relu(), target="x86-64-v3").program
        assert program.target.cpu == "x86-64-v3"
        assert built(small_relu()).program.target.cpu == Target.host().cpu


@pytest.mark.parametrize("delay", [0.2, 0.5, 0.8, 1.1])
def test_a_killed_compile_leaves_no_broken_entry(fresh_cache: Path, delay: float) -> None:
    command = [sys.executable, "-m", "compiler", str(DIGITS)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    cache = ProgramCache(ObjectCache(fresh_cache))
    for path in fresh_cache.glob("??/*.terrace"):
        # A program without its record is not found, one with it must be whole.
        key = path.stem
        assert not path.with_suffix("").exists() or cache.find(key, DIGITS.parent) is not None
    network = compiler.compile(DIGITS)
    assert network(np.zeros((1, 1, 8, 8), np.float32)).shape == (1, 10)


def test_processes_share_a_cache_at_the_same_time(fresh_cache: Path) -> None:
    command = [sys.executable, "-m", "compiler", str(DIGITS)]
    running = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for process in running:
        assert "kernels" in process.communicate()[0]
        assert process.returncode == 0
    assert built(DIGITS).cached
    assert len(programs(fresh_cache)) == 1
