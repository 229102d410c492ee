"""LLVM IR text to machine code for a target: cached on disk, spread over processes when long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from threading import Thread

from compiler import llvm_worker
from compiler.llvm_worker import Emit, Machine
from compiler.object_cache import ObjectCache, content_key
from compiler.target import Target
from compiler.version import VERSION
from runtime.cpus import available_cpus
from runtime.errors import InternalError, Place

SECONDS_PER_BYTE = 8e-6
"""LLVM's time per byte of IR text: a vectorized loop costs about 10 ms and 1500 bytes."""

PARALLEL_SECONDS = 1.0
"""Work that takes less is not worth starting processes for."""


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
    cache = ObjectCache.default() if cache is None else cache
    keys = {name: object_key(text, target) for name, text in texts.items()}
    objects = {key: cache.get(key) for key in set(keys.values())}
    missing = {keys[name]: name for name in texts if objects[keys[name]] is None}

    def store(name: str, code: bytes) -> None:
        objects[keys[name]] = code
        cache.put(keys[name], code)

    # The longest first, so that no process ends long after the others.
    names = sorted(missing.values(), key=lambda name: -len(texts[name]))
    _compile_all([(name, texts[name]) for name in names], target, store)
    result: dict[str, bytes] = {}
    for name, key in keys.items():
        code = objects[key]
        if code is None:
            raise InternalError(f"no object code for @{name}", Place(stage="llvm-ir"))
        result[name] = code
    return result


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


Item = tuple[str, str]
"""A module's name and text."""

Store = Callable[[str, bytes], None]


def _compile_all(items: Sequence[Item], target: Target, store: Store) -> None:
    """Compiles (name, text) pairs, in helper processes too if there is enough to do."""
    queue = deque(items)
    seconds = SECONDS_PER_BYTE * sum(len(text) for _, text in items)
    count = min(available_cpus(), len(items)) - 1 if seconds > PARALLEL_SECONDS else 0
    helpers = [_Helper(queue, target, store) for _ in range(count)]
    for helper in helpers:
        helper.start()
    try:
        while item := _next_item(queue, helpers):
            name, text = item
            store(name, compile_text(text, target, name=name))
    finally:
        queue.clear()
        for helper in helpers:
            helper.join()
    for helper in helpers:
        if helper.error is not None:
            raise helper.error


def _next_item(queue: deque[Item], helpers: Iterable[_Helper]) -> Item | None:
    """What to compile next; nothing once a helper has failed."""
    if any(helper.error is not None for helper in helpers):
        return None
    try:
        return queue.popleft()
    except IndexError:
        return None


class _Helper(Thread):
    """Feeds a process that compiles. A plain subprocess, unlike multiprocessing, never runs the
    user's `__main__` again."""

    def __init__(self, queue: deque[Item], target: Target, store: Store) -> None:
        super().__init__(daemon=True)
        self.error: InternalError | None = None
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
            while item := _next_item(self._queue, [self]):
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
            self.error = _rejected(name, "the process that compiled it ended")
        elif answer[0]:
            self._store(name, answer[1:])
        else:
            self.error = _rejected(name, answer[1:].decode())


def _start_process() -> subprocess.Popen[bytes]:
    """A worker that finds what we find. -P keeps its own directory out of the way."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [sys.executable, "-P", llvm_worker.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
