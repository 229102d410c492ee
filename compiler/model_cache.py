"""Finished programs on disk, found again before the model is even parsed.

A *request* is identified by the model's bytes, the options, the target, the pipeline, and the
compiler itself. Under its key lie two entries: a small record, which lists the files beside the
model that the program also depends on, with their fingerprints, and the program file, which is
mapped, so that weights are neither read nor copied.

    ab/ab3f...           {"files": [["model.onnx.data", "8f3c..."]]}
    ab/ab3f....terrace   the program

Files up to HASHED_BYTES are identified by content, larger ones by place, size and time of change.
Programs of more than half of the cache's size limit are not kept.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from compiler import stages
from compiler.object_cache import ObjectCache, content_key, file_status
from compiler.version import PRODUCER
from runtime.errors import InvalidModelError
from runtime.program import Program

if TYPE_CHECKING:
    from compiler.driver import Request
    from compiler.source import Source

HASHED_BYTES = 64 << 20
"""Files up to this size, which take 40 ms, are identified by their content."""

DEPENDENCIES = ("xdsl", "onnx", "llvmlite")
"""Packages that decide what code we generate."""

_MAX_PROTO_BYTES = 1 << 31
"""protobuf serializes no more."""

_PACKAGES = ("compiler", "dialects", "passes", "runtime")
_SUFFIX = ".terrace"


class ProgramCache:
    """Programs in the directory of an `ObjectCache`."""

    def __init__(self, cache: ObjectCache) -> None:
        self._cache = cache

    @staticmethod
    def default() -> ProgramCache:
        """The user's cache, as the environment says."""
        return ProgramCache(ObjectCache.default())

    def find(self, key: str, folder: Path | None) -> Program | None:
        """The program of a request, or None if there is none that is intact and up to date.

        ``folder`` is the model's.
        """
        record = self._cache.get(key)
        path = self._cache.path(key, _SUFFIX)
        if record is None or path is None:
            return None
        for name, known in json.loads(record)["files"]:
            if folder is None or _fingerprint(folder / name) != known:
                return None
        try:
            program = Program.load(path)
        except (InvalidModelError, OSError):
            return None
        with suppress(OSError):
            os.utime(path)
        return program

    def keep(self, key: str, program: Program, folder: Path | None, files: Sequence[str]) -> None:
        """Stores a program that was made from a model and ``files`` in the model's ``folder``."""
        nbytes = sum(array.nbytes for array in program.constants.values())
        nbytes += sum(map(len, program.objects.values()))
        if nbytes > self._cache.limit_bytes // 2:
            return
        known = [(name, _fingerprint(folder / name)) for name in files if folder is not None]
        # The record comes last: whoever finds one finds its program, or a newer one.
        if self._cache.write(key, nbytes, program.save, _SUFFIX):
            self._cache.put(key, json.dumps({"files": known}).encode())


def request_key(request: Request) -> str | None:
    """What identifies a request; None for one whose outcome its content does not decide."""
    if request.passes is not None and not request.passes.is_ours:
        # What the user's own passes do may change from one process to the next.
        return None
    source = _source_identity(request.source)
    if source is None:
        return None
    default = ",".join(stages.default_passes(request.target))
    passes = "" if request.passes is None else request.passes.text
    dims = json.dumps([request.dims, request.shapes, request.autotune], sort_keys=True)
    return content_key(
        "program", *source, dims, repr(request.target), passes, default, compiler_identity()
    )


def _source_identity(source: Source) -> tuple[str, ...] | None:
    if source.path is not None:
        # The suffix decides how a file is read.
        found = _fingerprint(source.path)
        return None if found is None else ("file", source.path.suffix, found)
    if source.text is not None:
        return "text", _digest(source.text.encode())
    if source.proto is not None and source.proto.ByteSize() >= _MAX_PROTO_BYTES:
        return None
    data = source.data if source.proto is None else source.proto.SerializeToString()
    return None if data is None else ("bytes", _digest(data))


def _fingerprint(path: Path) -> str | None:
    """What changes when a file does; None for one that cannot be read."""
    try:
        status = path.stat()
        if status.st_size <= HASHED_BYTES:
            return _digest(path.read_bytes())
        return f"{path.resolve()} {status.st_size} {status.st_mtime_ns} {status.st_ino}"
    except OSError:
        return None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@cache
def compiler_identity() -> str:
    """Changes with every file of the compiler and every installation of what it stands on."""
    digest = hashlib.sha256(PRODUCER.encode())
    root = Path(__file__).resolve().parents[1]
    for package in _PACKAGES:
        for line in sorted(_sources(root / package)):
            digest.update(line.encode())
    for name in DEPENDENCIES:
        found = importlib.util.find_spec(name)
        if found is not None and found.origin is not None:
            digest.update(file_status(found.origin, os.stat(found.origin)).encode())
    return digest.hexdigest()


def _sources(folder: str | Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _sources(entry.path)
            elif entry.name.endswith((".py", ".ll")):
                yield file_status(entry.path, entry.stat())
