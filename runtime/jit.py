"""Native code into the process: object images in, addresses out.

`runtime.elf` links what it can; the rest goes to the process's one LLVM JIT. LLJIT reports what it
cannot link as an error; MCJIT, which loads 30 objects in 2.5 ms instead of 5, ends the process.
llvmlite is imported at the first need of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import itertools
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from runtime import elf
from runtime.errors import DeviceError

_lock = threading.Lock()
_serial = itertools.count()
_FOREVER: list[object] = []


class Library:
    """Loaded code. The addresses of its exported symbols are valid as long as it lives."""

    def __init__(self, addresses: Mapping[str, int], release: Callable[[], object]) -> None:
        self.addresses = dict(addresses)
        self._finalizer = weakref.finalize(self, release)
        self._finalizer.atexit = False

    def keep_forever(self) -> None:
        """Never unloads the code, not even while the interpreter ends: threads may run in it."""
        _FOREVER.append(self._finalizer.detach())


def load_objects(images: Iterable[bytes], symbols: Iterable[str]) -> Library:
    """Loads object files, linked among each other and against the process's C and math libraries.

    Raises:
        DeviceError: an image is no object file for this machine, or a symbol is not defined.
    """
    images, symbols = list(images), tuple(symbols)
    try:
        linked = elf.link(images)
        addresses = {symbol: linked.addresses[symbol] for symbol in symbols}
        return Library(addresses, linked.release)
    except (elf.Unlinkable, KeyError):
        return _load_with_llvm(images, symbols)


def _load_with_llvm(images: Sequence[bytes], symbols: Sequence[str]) -> Library:
    import llvmlite.binding as llvm

    builder = llvm.JITLibraryBuilder()
    for image in images:
        builder.add_object_img(image)
    builder.add_current_process()
    for symbol in symbols:
        builder.export_symbol(symbol)
    try:
        with _lock:
            tracker = builder.link(_engine(), f"terrace{next(_serial)}")
    except RuntimeError as error:
        missing = ", ".join(elf.missing_symbols(images))
        reason = f"undefined: {missing}" if missing else str(error)
        raise DeviceError(f"the object code cannot be loaded: {reason}") from error
    return Library({symbol: tracker[symbol] for symbol in symbols}, tracker.close)


@functools.cache
def _engine() -> Any:
    """The LLJIT instance, made under the lock."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    _expose_libraries()
    machine = llvm.Target.from_default_triple().create_target_machine(opt=0)
    return llvm.create_lljit_compiler(machine, use_jit_link=True, suppress_errors=True)


def _expose_libraries() -> None:
    """Makes the process's companion libraries visible to symbol lookup."""
    if sys.platform == "linux":
        for name in elf.COMPANIONS:
            with contextlib.suppress(OSError):
                ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
