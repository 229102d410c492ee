"""LLVM IR text to machine code for a target: cached on disk, in helper processes when long."""

from __future__ import annotations

import heapq
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Condition, Thread

from compiler import llvm_worker
from compiler.llvm_worker import Emit, Machine
from compiler.object_cache import ObjectCache, content_key
from compiler.target import Target
from compiler.version import VERSION
from runtime.cpus import available_cpus
from runtime.errors import InternalError, Place

SECONDS_PER_BYTE = 8e-6
"""LLVM's time per byte of IR text: a vectorized loop costs about 10 ms and 1500 bytes."""

PARALLEL_SECONDS = 0.5
"""A helper process is started when that much work waits for each that runs: a start takes half
of it."""


def compile_text(text: str, target: Target, emit: Emit = "object", name: str = "module") -> bytes:
    """Optimises one module and gives object code, assembly or LLVM IR as bytes.

    Raises InternalError, naming the module, if LLVM rejects it.
    """
    try:
        return llvm_worker.compile_text(text, _machine(target), emit)
    except RuntimeError as error:
        raise _rejected(name, str(error)) from error


def compile_modules(
    texts: Mapping[str, str], target: Target, cache: ObjectCache | None = None
) -> dict[str, bytes]:
    """Object code for modules by name. `cache` None is the user's cache.

    Modules with equal texts are compiled once. Raises InternalError if LLVM rejects one.
    """
    with CodeGenerator(target, cache) as generator:
        for name, text in texts.items():
            generator.add(name, text)
        return generator.finish()


class CodeGenerator:
    """Object code for modules that come one by one.

    While its user still makes modules, helper processes compile those that are there, if they are
    worth starting processes for; `finish` compiles along with them. A context manager, because the
    processes have to end.
    """

    def __init__(self, target: Target, cache: ObjectCache | None = None) -> None:
        self._target = target
        self._cache = ObjectCache.default() if cache is None else cache
        self._keys: dict[str, str] = {}
        self._known: set[str] = set()
        self._objects: dict[str, bytes] = {}
        self._queue = _Queue()
        self._helpers: list[_Helper] = []

    def __enter__(self) -> CodeGenerator:
        return self

    def __exit__(self, *exception: object) -> None:
        self._queue.close()
        self._queue.clear()
        for helper in self._helpers:
            helper.join()

    def add(self, name: str, text: str) -> None:
        """Has a module compiled, unless one with the same text is known."""
        key = object_key(text, self._target)
        self._keys[name] = key
        if key in self._known:
            return
        self._known.add(key)
        found = self._cache.get(key)
        if found is not None:
            self._objects[key] = found
            return
        self._queue.put(name, text)
        if self._queue.seconds > PARALLEL_SECONDS * (len(self._helpers) + 1):
            self._start_helper()

    def finish(self) -> dict[str, bytes]:
        """The object code of all modules by name. Raises InternalError if LLVM rejects one."""
        self._queue.close()
        while item := self._queue.get():
            name, text = item
            self._store(name, compile_text(text, self._target, name=name))
        for helper in self._helpers:
            helper.join()
        if self._queue.error is not None:
            raise self._queue.error
        for name, key in self._keys.items():
            if key not in self._objects:
                raise InternalError(f"no object code for @{name}", Place(stage="llvm-ir"))
        return {name: self._objects[key] for name, key in self._keys.items()}

    def _start_helper(self) -> None:
        if len(self._helpers) < available_cpus() - 1:
            self._helpers.append(_Helper(self._queue, self._target, self._store))
            self._helpers[-1].start()

    def _store(self, name: str, code: bytes) -> None:
        key = self._keys[name]
        self._objects[key] = code
        self._cache.put(key, code)


def object_key(text: str, target: Target) -> str:
    """What identifies the object code of a module in the cache."""
    made_by = (llvm_worker.PIPELINE, _llvm_version(), VERSION)
    return content_key("object", text, *_machine(target), *made_by)


def _llvm_version() -> str:
    import llvmlite
    import llvmlite.binding as binding

    return f"{llvmlite.__version__} {binding.llvm_version_info}"


def _machine(target: Target) -> Machine:
    return target.triple, target.cpu, target.features, target.abi


def _rejected(name: str, reason: str) -> InternalError:
    return InternalError(f"LLVM rejects @{name}: {reason.strip()}", Place(stage="llvm-ir"))


class _Queue:
    """Modules that wait for a compiler, the longest first, so that none works long after the
    others. Once it has an ``error``, there is nothing left to do."""

    def __init__(self) -> None:
        self.error: InternalError | None = None
        self._heap: list[tuple[int, str, str]] = []
        self._is_open = True
        self._changed = Condition()

    @property
    def seconds(self) -> float:
        """How long what waits will take, about."""
        return SECONDS_PER_BYTE * sum(-size for size, _, _ in self._heap)

    def put(self, name: str, text: str) -> None:
        """Adds a module."""
        with self._changed:
            heapq.heappush(self._heap, (-len(text), name, text))
            self._changed.notify()

    def get(self) -> tuple[str, str] | None:
        """The next module's name and text, as soon as there is one; None when none will come."""
        with self._changed:
            while self._is_open and not self._heap:
                self._changed.wait()
            if self.error is not None or not self._heap:
                return None
            return heapq.heappop(self._heap)[1:]

    def fail(self, error: InternalError) -> None:
        """Ends the work."""
        with self._changed:
            self.error = error
            self._is_open = False
            self._changed.notify_all()

    def close(self) -> None:
        """No more modules will come."""
        with self._changed:
            self._is_open = False
            self._changed.notify_all()

    def clear(self) -> None:
        """Forgets what waits."""
        with self._changed:
            self._heap.clear()


class _Helper(Thread):
    """Feeds a process that compiles. A plain subprocess, unlike multiprocessing, never runs the
    user's `__main__` again."""

    def __init__(self, queue: _Queue, target: Target, store: Callable[[str, bytes], None]) -> None:
        super().__init__(daemon=True)
        self._queue = queue
        self._target = target
        self._store = store

    def run(self) -> None:
        try:
            process = _start_process()
        except OSError:
            # No process can be started here; the main thread does this helper's share.
            return
        with process:
            assert process.stdin is not None
            while item := self._queue.get():
                self._compile(process, *item)
            with suppress(OSError):
                process.stdin.close()

    def _compile(self, process: subprocess.Popen[bytes], name: str, text: str) -> None:
        assert process.stdin is not None and process.stdout is not None
        request = json.dumps([text, _machine(self._target), "object"]).encode()
        try:
            llvm_worker.write_message(process.stdin, request)
            answer = llvm_worker.read_message(process.stdout)
        except OSError:
            answer = None
        if answer is None:
            self._queue.fail(_rejected(name, "the process that compiled it ended"))
        elif answer[0]:
            self._store(name, answer[1:])
        else:
            self._queue.fail(_rejected(name, answer[1:].decode()))


def _start_process() -> subprocess.Popen[bytes]:
    """A worker that finds what we find. -P keeps its own directory out of the way."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [sys.executable, "-P", llvm_worker.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
