"""The cache of results on disk: damage, limits, concurrency, switches."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from compiler.object_cache import ObjectCache, content_key, default_directory

ROOT = Path(__file__).parents[2]


def test_entries_come_back() -> None:
    assert content_key("object", "ab", "c") != content_key("object", "a", "bc")
    assert content_key("object", "a") != content_key("program", "a")
    assert content_key("object", "a") == content_key("object", b"a")


def test_absent_and_present(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path / "new")
    key = content_key("object", "x")
    assert cache.get(key) is None
    cache.put(key, b"data")
    assert cache.get(key) == b"data"
    cache.put(key, b"other")
    assert ObjectCache(tmp_path / "new").get(key) == b"other"


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:20], lambda data: data[:-1] + b"?"]
)
def test_a_damaged_entry_is_absent(tmp_path: Path, damage) -> None:
    cache = ObjectCache(tmp_path)
    key = content_key("object", "x")
    cache.put(key, b"some data")
    (path,) = tmp_path.glob("??/*")
    path.write_bytes(damage(path.read_bytes()))
    assert cache.get(key) is None


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path, limit_bytes=2500)
    keys = [content_key("object", str(n)) for n in range(4)]
    for age, key in zip((400, 300, 200, 100), keys, strict=True):
        ObjectCache(tmp_path).put(key, bytes(1000))
        path = tmp_path / key[:2] / key
        os.utime(path, (time.time() - age, time.time() - age))
    assert cache.get(keys[0]) is not None
    cache.prune()
    assert [cache.get(key) is not None for key in keys] == [True, False, False, True]


def test_leftovers_of_killed_writers_go(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path)
    cache.put(content_key("object", "x"), b"data")
    (entry,) = tmp_path.glob("??/*")
    old, new = entry.with_name("old.tmp"), entry.with_name("new.tmp")
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    cache.prune()
    assert not old.exists()
    assert new.exists() and entry.exists()


def test_many_processes_may_write_the_same_entry(tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
from compiler.object_cache import ObjectCache
cache = ObjectCache(Path({str(tmp_path)!r}))
for n in range(200):
    cache.put("00" * 32, bytes(5000))
    assert cache.get("00" * 32) == bytes(5000)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen([sys.executable, "-c", script], env=environment) for _ in range(3)
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert len(list(tmp_path.glob("??/*"))) == 1


def test_the_environment_moves_the_cache_and_switches_it_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TERRACE_CACHE", raising=False)
    monkeypatch.setenv("TERRACE_CACHE_DIR", str(tmp_path))
    assert ObjectCache.default().directory == tmp_path
    monkeypatch.setenv("TERRACE_CACHE", "0")
    cache = ObjectCache.default()
    cache.put("00" * 32, b"data")
    assert cache.get("00" * 32) is None
    assert not any(tmp_path.iterdir())
    monkeypatch.delenv("TERRACE_CACHE_DIR")
    assert default_directory().name == "terrace"


def test_an_unwritable_directory_warns(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.warns(RuntimeWarning, match="cannot write the cache"):
        ObjectCache(file / "below").put("00" * 32, b"data")
