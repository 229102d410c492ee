"""The process's one LLVM JIT: object images and IR text in, addresses out.

LLJIT reports what it cannot link as an error; MCJIT, which loads 30 objects in 2.5 ms instead of 5,
ends the process. llvmlite is imported here, at the first load.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import itertools
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
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
    images = list(images)

    def add_all(builder: Any) -> None:
        for image in images:
            builder.add_object_img(image)

    try:
        return _link(add_all, tuple(symbols))
    except RuntimeError as error:
        missing = ", ".join(missing_symbols(images))
        reason = f"undefined: {missing}" if missing else str(error)
        raise DeviceError(f"the object code cannot be loaded: {reason}") from error


def load_ir(text: str, symbols: Iterable[str]) -> Library:
    """Compiles LLVM IR text as it stands, without optimising it, and loads it.

    Raises:
        DeviceError: it does not compile on this machine.
    """
    try:
        return _link(lambda builder: builder.add_ir(text), tuple(symbols))
    except RuntimeError as error:
        raise DeviceError(f"the runtime's own code cannot be compiled: {error}") from error


def _link(fill: Callable[[Any], object], symbols: tuple[str, ...]) -> Library:
    import llvmlite.binding as llvm

    builder = llvm.JITLibraryBuilder()
    fill(builder)
    builder.add_current_process()
    for symbol in symbols:
        builder.export_symbol(symbol)
    with _lock:
        tracker = builder.link(_engine(), f"terrace{next(_serial)}")
    return Library(tracker, symbols)


@functools.cache
def _engine() -> Any:
    """The LLJIT instance, made under the lock. It only ever compiles the pool, unoptimised."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    _expose_libraries()
    machine = llvm.Target.from_default_triple().create_target_machine(opt=0)
    return llvm.create_lljit_compiler(machine, use_jit_link=True, suppress_errors=True)


def _expose_libraries() -> None:
    """Makes the math library, and the compiler's (conversions of half precision that a CPU lacks),
    visible to symbol lookup. Only glibc keeps them apart from libc; code may need neither.
    """
    if sys.platform == "linux":
        for name in ("libm.so.6", "libgcc_s.so.1"):
            with contextlib.suppress(OSError):
                ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)


# LLVM tells only standard error which symbols it did not find, so the symbol tables of ELF images
# are read here. Field order: e_shoff, e_shentsize, e_shnum; sh_type, sh_offset, sh_size, sh_link;
# st_name, st_shndx (0: undefined). Layout: the System V ABI's chapter 4, in its 64-bit form.
_ELF_HEADER = struct.Struct("<40xQ10xHH2x")
_ELF_SECTION = struct.Struct("<4xI16xQQI20x")
_ELF_SYMBOL = struct.Struct("<I2xH16x")
_ELF_SYMTAB = 2


def missing_symbols(images: Iterable[bytes]) -> list[str]:
    """The symbols that neither the images nor the process define, if the images are ELF files."""
    process = ctypes.CDLL(None)
    defined = {"", "_GLOBAL_OFFSET_TABLE_"}
    undefined: set[str] = set()
    for image in images:
        # A malformed image is why linking failed: nothing to add to that.
        with contextlib.suppress(struct.error, ValueError, IndexError, OverflowError):
            for name, section in _elf_symbols(image):
                (defined if section else undefined).add(name)
    return sorted(name for name in undefined - defined if not hasattr(process, name))


def _elf_symbols(image: bytes) -> Iterator[tuple[str, int]]:
    """The name and the section of every symbol of a little-endian 64-bit ELF image."""
    if not image.startswith(b"\x7fELF\2\1"):
        return
    table, size, count = _ELF_HEADER.unpack_from(image)
    sections = [_ELF_SECTION.unpack_from(image, table + i * size) for i in range(count)]
    for kind, offset, nbytes, link in sections:
        if kind == _ELF_SYMTAB:
            names = sections[link][1]
            for start, section in _ELF_SYMBOL.iter_unpack(image[offset : offset + nbytes]):
                begin = names + start
                yield image[begin : image.index(b"\0", begin)].decode(), section
