"""Results of expensive work on disk, found again by what they were made from.

Entries are files named after a hash of everything that determines their content. They are written
beside their place and moved there, so that nobody ever sees half of one, and carry a checksum, so
that a damaged one counts as absent. Any number of processes may use a cache at the same time.

``TERRACE_CACHE_DIR`` moves the cache, ``TERRACE_CACHE=0`` switches it off,
``TERRACE_CACHE_LIMIT`` limits its size, in bytes (default 2 GiB).
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from runtime.errors import InputError

DEFAULT_LIMIT_BYTES = 2 << 30
_CHECKSUM_BYTES = 32
_PRUNE_INTERVAL_SECONDS = 24 * 3600
_STALE_TEMPORARY_SECONDS = 3600


def content_key(kind: str, *parts: str | bytes) -> str:
    """The key of a result: what kind of thing it is, and everything that determines it."""
    digest = hashlib.sha256()
    for part in (kind, *parts):
        data = part.encode() if isinstance(part, str) else part
        # The length keeps ("ab", "c") and ("a", "bc") apart.
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def file_status(path: str, status: os.stat_result) -> str:
    """What changes when a file is replaced or edited, without reading it."""
    return f"{path} {status.st_size} {status.st_mtime_ns}\n"


def default_directory() -> Path:
    """Where the cache lives: ``$TERRACE_CACHE_DIR`` or the platform's place for caches."""
    if chosen := os.environ.get("TERRACE_CACHE_DIR"):
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "terrace"


def _limit_bytes() -> int:
    chosen = os.environ.get("TERRACE_CACHE_LIMIT", "")
    if chosen and not chosen.isdecimal():
        raise InputError(f"TERRACE_CACHE_LIMIT is '{chosen}'", hint="give a number of bytes")
    return int(chosen) if chosen else DEFAULT_LIMIT_BYTES


class ObjectCache:
    """A directory of results. ``directory`` None: a cache that holds nothing.

    When the entries outgrow ``limit_bytes``, those that were not used for longest go.
    """

    def __init__(self, directory: Path | None, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self.directory = directory
        self.limit_bytes = limit_bytes
        self._written_bytes = 0

    @staticmethod
    def default() -> ObjectCache:
        """The user's cache, as the environment says."""
        if os.environ.get("TERRACE_CACHE", "") == "0":
            return ObjectCache(None)
        return ObjectCache(default_directory(), _limit_bytes())

    def get(self, key: str) -> bytes | None:
        """The entry of a key, or None if there is none that is intact."""
        path = self.path(key)
        if path is None:
            return None
        try:
            data = path.read_bytes()
        except OSError:
            return None
        checksum, payload = data[:_CHECKSUM_BYTES], data[_CHECKSUM_BYTES:]
        if hashlib.sha256(payload).digest() != checksum:
            return None
        with suppress(OSError):
            os.utime(path)
        return payload

    def put(self, key: str, payload: bytes) -> None:
        """Stores an entry. Warns if the directory cannot be written."""
        data = hashlib.sha256(payload).digest() + payload
        self.write(key, len(data), lambda path: _write_atomically(path, data))

    def write(
        self, key: str, nbytes: int, writer: Callable[[Path], None], suffix: str = ""
    ) -> bool:
        """Stores an entry of about ``nbytes`` that ``writer`` writes, atomically, to a path.

        Such an entry lies at ``path(key, suffix)`` and brings its own checksums. Warns if the
        directory cannot be written; gives whether the entry is there now.
        """
        path = self.path(key, suffix)
        if path is None:
            return False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            writer(path)
        except OSError as error:
            message = f"cannot write the cache {self.directory}: {error}"
            warnings.warn(message, RuntimeWarning, stacklevel=2)
            return False
        self._written_bytes += nbytes
        if self._written_bytes > self.limit_bytes // 8 or self._prune_is_due():
            self.prune()
        return True

    def path(self, key: str, suffix: str = "") -> Path | None:
        """Where an entry lies; None in a cache that holds nothing."""
        return self.directory and self.directory / key[:2] / f"{key}{suffix}"

    def size(self) -> tuple[int, int]:
        """Number of entries, and their bytes."""
        if self.directory is None:
            return 0, 0
        sizes = [size for _, size, _ in self._entries()]
        return len(sizes), sum(sizes)

    def prune(self) -> None:
        """Deletes what exceeds the limit, least recently used first, and leftovers of killed
        writers."""
        if self.directory is None:
            return
        self._written_bytes = 0
        with suppress(OSError):
            (self.directory / ".pruned").touch()
        entries = sorted(self._entries(), reverse=True)
        kept_bytes = 0
        for modified, size, path in entries:
            stale = path.suffix == ".tmp" and modified < time.time() - _STALE_TEMPORARY_SECONDS
            kept_bytes += size
            if stale or kept_bytes > self.limit_bytes:
                with suppress(OSError):
                    path.unlink()

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        assert self.directory is not None
        for path in self.directory.glob("??/*"):
            # Another process may delete an entry under our eyes.
            with suppress(OSError):
                status = path.stat()
                yield status.st_mtime, status.st_size, path

    def _prune_is_due(self) -> bool:
        assert self.directory is not None
        try:
            last = (self.directory / ".pruned").stat().st_mtime
        except OSError:
            last = 0.0
        return time.time() - last > _PRUNE_INTERVAL_SECONDS


def _write_atomically(path: Path, data: bytes) -> None:
    # Takes 20 ms to import, which a start from the cache does without.
    import tempfile

    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
