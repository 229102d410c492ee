"""Standing here, this file lets every test import the helper modules of `tests/` by name.

Tests have a cache of their own, one for each process and run, so that they neither see nor touch
the user's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = {key: os.environ.get(key) for key in ("TERRACE_CACHE", "TERRACE_CACHE_DIR")}
    os.environ.pop("TERRACE_CACHE", None)
    os.environ["TERRACE_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))
    yield
    for key, value in before.items():
        os.environ.pop(key, None)
        if value is not None:
            os.environ[key] = value


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a cache that is empty."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("TERRACE_CACHE_DIR", str(folder))
    return folder
