"""Links x86-64 ELF objects in memory, among each other and with the process.

LLVM's linker (`runtime.jit`) does this for every machine and object format, but loading LLVM takes
0.1 s and 67 MB of memory. What our compiler emits for x86-64 Linux refers to other code and to its
constants only relative to itself, so that three kinds of relocations are enough here; whatever else
an object holds is left to LLVM (`Unlinkable`).

Sources: System V ABI, chapter 4, and its AMD64 supplement, table 4.9.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import platform
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property

# Fields that are read here, in order. Header: e_type, e_machine, e_shoff, e_shentsize, e_shnum.
# Section: sh_type, sh_flags, sh_offset, sh_size, sh_link, sh_info, sh_addralign.
# Symbol: st_name, st_info, st_shndx, st_value. Relocation: r_offset, r_info, r_addend.
_HEADER = struct.Struct("<16xHH20xQ10xHH2x")
_SECTION = struct.Struct("<4xIQ8xQQIIQ8x")
_SYMBOL = struct.Struct("<IBxHQ8x")
_RELOCATION = struct.Struct("<QQq")

_RELOCATABLE, _X86_64 = 1, 62
_PROGBITS, _SYMTAB, _RELA, _NOBITS, _UNWIND = 1, 2, 4, 8, 0x70000001
_WRITE, _ALLOC, _EXECUTE = 1, 2, 4
_RESERVED_SECTIONS = 0xFF00
_R_64, _R_PC32, _R_PLT32 = 1, 2, 4

_JUMP = b"\xff\x25\0\0\0\0"
"""`jmp *0(%rip)`: to the address that follows it."""

_STUB_BYTES = 16

COMPANIONS = ("libm.so.6", "libgcc_s.so.1")
"""The math library, and the compiler's (conversions of half precision that a CPU lacks).

Glibc keeps them apart from the process's own symbols. Code may need neither.
"""


class Unlinkable(Exception):
    """An image is malformed, for another machine, or needs what is not linked here."""


@dataclass(frozen=True, slots=True)
class _Section:
    kind: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int

    @property
    def is_loaded(self) -> bool:
        """Whether it takes memory in a run. Nobody unwinds through our code."""
        return bool(self.flags & _ALLOC) and self.size > 0 and self.kind != _UNWIND


@dataclass(frozen=True, slots=True)
class _Symbol:
    name: str
    is_local: bool
    section: int
    value: int


class _Image:
    """The parts of an object file. Raises Unlinkable for anything but an x86-64 ELF object."""

    def __init__(self, data: bytes) -> None:
        if not data.startswith(b"\x7fELF\2\1"):
            raise Unlinkable("no 64-bit little-endian ELF file")
        self.data = data
        kind, machine, table, size, count = _HEADER.unpack_from(data)
        if (kind, machine) != (_RELOCATABLE, _X86_64):
            raise Unlinkable("no relocatable file for x86-64")
        starts = range(table, table + count * size, max(size, 1))
        self.sections = [_Section(*_SECTION.unpack_from(data, start)) for start in starts]

    @cached_property
    def symbols(self) -> list[_Symbol]:
        table = next((s for s in self.sections if s.kind == _SYMTAB), None)
        return [] if table is None else list(self._symbols(table))

    def _symbols(self, table: _Section) -> Iterator[_Symbol]:
        names = self.sections[table.link].offset
        for start, info, section, value in _SYMBOL.iter_unpack(self.content(table)):
            begin = names + start
            name = self.data[begin : self.data.index(b"\0", begin)].decode()
            yield _Symbol(name, info >> 4 == 0, section, value)

    def content(self, section: _Section) -> bytes:
        """The bytes of a section in the file."""
        found = self.data[section.offset : section.offset + section.size]
        if len(found) != section.size:
            raise Unlinkable("the file is cut off")
        return found

    def relocations(self) -> Iterator[tuple[int, int, int, int, int]]:
        """Of loaded sections: section, offset in it, kind, symbol's number, addend."""
        for table in self.sections:
            if table.kind == _RELA and self.sections[table.info].is_loaded:
                for offset, info, addend in _RELOCATION.iter_unpack(self.content(table)):
                    yield table.info, offset, info & 0xFFFFFFFF, info >> 32, addend


def missing_symbols(images: Iterable[bytes]) -> list[str]:
    """The symbols that neither the images nor the process define, if the images are ELF files."""
    defined = {"", "_GLOBAL_OFFSET_TABLE_"}
    undefined: set[str] = set()
    for data in images:
        try:
            for symbol in _Image(data).symbols:
                (defined if symbol.section else undefined).add(symbol.name)
        except (Unlinkable, *_MALFORMED):
            # A malformed image is why linking failed: nothing to add to that.
            continue
    return sorted(name for name in undefined - defined if _address_in_process(name) is None)


_MALFORMED = (struct.error, ValueError, IndexError, OverflowError)


@dataclass(frozen=True, slots=True)
class Linked:
    """Code in memory: the addresses of its global symbols, and how to unload it."""

    addresses: dict[str, int]
    release: Callable[[], None]


def link(images: Sequence[bytes]) -> Linked:
    """Loads objects into memory of their own, code read-only, constants neither.

    Raises Unlinkable when they cannot be linked here, which says nothing about LLVM's linker.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise Unlinkable("only x86-64 Linux is linked here")
    try:
        return _Linker([_Image(data) for data in images]).run()
    except _MALFORMED as error:
        raise Unlinkable(str(error)) from error


Place = tuple[int, int]
"""An image's number and its section's."""


class _Linker:
    """One memory block for all images: code and stubs, then constants, then data, by pages."""

    def __init__(self, images: Sequence[_Image]) -> None:
        self.images = images
        self.places: dict[Place, int] = {}
        self.stubs: dict[str, int] = {}
        self.ends: list[int] = []
        self._lay_out()
        self.block = bytearray(self.ends[-1])

    def _lay_out(self) -> None:
        """Gives every section its offset in the block, kind by kind."""
        end = 0
        for wanted in (_EXECUTE, 0, _WRITE):
            for place, section in self._loaded(wanted):
                self.places[place] = end = _aligned(end, section.alignment)
                end += section.size
            if wanted == _EXECUTE:
                end = self._lay_out_stubs(_aligned(end, _STUB_BYTES))
            end = _aligned(end, mmap.PAGESIZE)
            self.ends.append(end)

    def _loaded(self, wanted: int) -> Iterator[tuple[Place, _Section]]:
        for number, image in enumerate(self.images):
            for index, section in enumerate(image.sections):
                if section.is_loaded and section.flags & (_WRITE | _EXECUTE) == wanted:
                    yield (number, index), section

    def _lay_out_stubs(self, end: int) -> int:
        """A jump for each function of the process: it may be further away than a call reaches."""
        defined = {s.name for image in self.images for s in image.symbols if s.section}
        for image in self.images:
            for symbol in image.symbols:
                if symbol.name in defined or symbol.section or not symbol.name:
                    continue
                if symbol.name not in self.stubs:
                    self.stubs[symbol.name] = end
                    end += _STUB_BYTES
        return end

    def run(self) -> Linked:
        base = _map(len(self.block))
        try:
            addresses = self._fill(base)
            ctypes.memmove(base, bytes(self.block), len(self.block))
            code, constants, _ = self.ends
            _protect(base, code, mmap.PROT_READ | mmap.PROT_EXEC)
            _protect(base + code, constants - code, mmap.PROT_READ)
        except BaseException:
            _unmap(base, len(self.block))
            raise
        nbytes = len(self.block)
        return Linked(addresses, lambda: _unmap(base, nbytes))

    def _fill(self, base: int) -> dict[str, int]:
        """Contents, stubs and relocations of the block as it will lie at ``base``."""
        for (number, index), place in self.places.items():
            image = self.images[number]
            section = image.sections[index]
            if section.kind == _PROGBITS:
                self.block[place : place + section.size] = image.content(section)
            elif section.kind != _NOBITS:
                raise Unlinkable(f"a section of kind {section.kind}")
        for name, place in self.stubs.items():
            address = _address_in_process(name)
            if address is None:
                raise Unlinkable(f"nobody defines {name}")
            self.block[place : place + _STUB_BYTES] = _JUMP + struct.pack("<Qxx", address)
        exported = self._exported()
        for number, image in enumerate(self.images):
            self._relocate(number, image, exported, base)
        return {name: base + offset for name, offset in exported.items()}

    def _exported(self) -> dict[str, int]:
        """The offsets of global symbols."""
        found: dict[str, int] = {}
        for number, image in enumerate(self.images):
            for symbol in image.symbols:
                if symbol.section and not symbol.is_local:
                    if symbol.name in found:
                        raise Unlinkable(f"{symbol.name} is defined twice")
                    found[symbol.name] = self._offset(number, symbol)
        return found

    def _offset(self, number: int, symbol: _Symbol) -> int:
        place = self.places.get((number, symbol.section))
        if place is None or symbol.section >= _RESERVED_SECTIONS:
            raise Unlinkable(f"'{symbol.name}' lies in no loaded section")
        return place + symbol.value

    def _relocate(self, number: int, image: _Image, exported: dict[str, int], base: int) -> None:
        for section, offset, kind, index, addend in image.relocations():
            symbol = image.symbols[index]
            if symbol.section:
                target = self._offset(number, symbol)
            elif symbol.name in exported:
                target = exported[symbol.name]
            elif kind == _R_PLT32:
                target = self.stubs[symbol.name]
            else:
                raise Unlinkable(f"{symbol.name} is no function")
            if offset + 4 > image.sections[section].size:
                raise Unlinkable("a relocation outside of its section")
            place = self.places[number, section] + offset
            if kind in (_R_PC32, _R_PLT32):
                struct.pack_into("<i", self.block, place, target + addend - place)
            elif kind == _R_64:
                struct.pack_into("<Q", self.block, place, base + target + addend)
            else:
                raise Unlinkable(f"a relocation of kind {kind}")


def _aligned(offset: int, alignment: int) -> int:
    return -(-offset // max(alignment, 1)) * max(alignment, 1)


def _address_in_process(name: str) -> int | None:
    """Where the process, its math library or the compiler's library have a function."""
    for library in _libraries():
        try:
            return ctypes.cast(getattr(library, name), ctypes.c_void_p).value
        except AttributeError:
            continue
    return None


@cache
def _libraries() -> tuple[ctypes.CDLL, ...]:
    """The process itself, and its companions; what is missing is reported by name."""
    found = [ctypes.CDLL(None)]
    for name in COMPANIONS:
        with suppress(OSError):
            found.append(ctypes.CDLL(name))
    return tuple(found)


@cache
def _libc() -> ctypes.CDLL:
    """`mmap`, `mprotect` and `munmap`, typed. Python's own mmap cannot change protection."""
    libc = ctypes.CDLL(None, use_errno=True)
    pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    libc.mmap.restype = pointer
    libc.mmap.argtypes = (pointer, size, number, number, number, ctypes.c_int64)
    libc.mprotect.argtypes = (pointer, size, number)
    libc.munmap.argtypes = (pointer, size)
    return libc


def _map(nbytes: int) -> int:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    base = _libc().mmap(None, nbytes, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
    if base in (None, ctypes.c_void_p(-1).value):
        raise Unlinkable(f"no memory for code: {errno.errorcode.get(ctypes.get_errno())}")
    return base


def _protect(base: int, nbytes: int, protection: int) -> None:
    if nbytes and _libc().mprotect(base, nbytes, protection):
        raise Unlinkable(f"memory cannot be protected: {errno.errorcode[ctypes.get_errno()]}")


def _unmap(base: int, nbytes: int) -> None:
    _libc().munmap(base, nbytes)
