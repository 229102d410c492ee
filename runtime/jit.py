"""The process's one LLVM JIT: object images and IR text in, addresses out.

LLJIT reports what it cannot link as an error; MCJIT, which loads 30 objects in 2.5 ms instead of 5,
ends the process. llvmlite is imported here, at the first load.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import itertools
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from runtime.errors import DeviceError

_lock = threading.Lock()
_serial = itertools.count()


class Library:
    """Loaded code. The addresses of its exported symbols are valid as long as it lives."""

    def __init__(self, tracker: Any, symbols: Iterable[str]) -> None:
        self._tracker = tracker
        self.addresses: dict[str, int] = {name: tracker[name] for name in symbols}

    def keep_forever(self) -> None:
        """Never unloads the code, not even while the interpreter ends: threads may run in it."""
        self._tracker.detach()


def load_objects(images: Iterable[bytes], symbols: Iterable[str]) -> Library:
    """Loads object files, linked among each other and against the process's C and math libraries.

    Raises:
        DeviceError: an image is no object file for this machine, or a symbol is not defined.
    """

    def add_all(builder: Any) -> None:
        for image in images:
            builder.add_object_img(image)

    return _link(add_all, tuple(symbols))


def load_ir(text: str, symbols: Iterable[str]) -> Library:
    """Compiles LLVM IR text as it stands, without optimising it, and loads it."""
    return _link(lambda builder: builder.add_ir(text), tuple(symbols))


def _link(fill: Callable[[Any], object], symbols: tuple[str, ...]) -> Library:
    import llvmlite.binding as llvm

    builder = llvm.JITLibraryBuilder()
    fill(builder)
    builder.add_current_process()
    for symbol in symbols:
        builder.export_symbol(symbol)
    with _lock:
        try:
            tracker = builder.link(_engine(), f"terrace{next(_serial)}")
        except RuntimeError as error:
            raise DeviceError(f"the object code cannot be loaded: {error}") from error
    return Library(tracker, symbols)


@functools.cache
def _engine() -> Any:
    """The LLJIT instance, made under the lock. It only ever compiles the pool, unoptimised."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    _expose_libm()
    machine = llvm.Target.from_default_triple().create_target_machine(opt=0)
    return llvm.create_lljit_compiler(machine, use_jit_link=True, suppress_errors=True)


def _expose_libm() -> None:
    """Makes glibc's math library visible to symbol lookup; elsewhere it is part of libc."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            ctypes.CDLL("libm.so.6", mode=ctypes.RTLD_GLOBAL)
