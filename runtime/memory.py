"""Host memory for native code: aligned arrays, their addresses, adopted ``malloc`` blocks."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Sequence
from math import prod

import numpy as np

from runtime.errors import DeviceError, InputError

Span = tuple[str, int, int]
"""A name for error texts, an address, a number of bytes."""

ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector register that kernels load from."""

_BYTE = np.dtype(np.uint8)


def _fast_address() -> Callable[[np.ndarray], int] | None:
    """A reader of data pointers that takes 0.1 us where ``array.ctypes.data`` takes 0.9 us.

    ``data`` is the first field after the object header of ``PyArrayObject_fields``, numpy's public
    C structure, and in CPython ``id`` is the address of the object. A trial decides whether that
    holds in this interpreter.
    """
    header = object.__basicsize__
    read = ctypes.c_void_p.from_address

    def address(array: np.ndarray) -> int:
        return read(id(array) + header).value or 0

    trial = np.arange(4.0)[1:]
    return address if address(trial) == trial.ctypes.data else None


def _portable_address(array: np.ndarray) -> int:
    return array.ctypes.data


address_of: Callable[[np.ndarray], int] = _fast_address() or _portable_address
"""The address of an array's first element; the caller keeps the array alive."""


def aligned_block(shape: Sequence[int], dtype: np.dtype, nbytes: int) -> tuple[np.ndarray, int]:
    """A new uninitialised C-contiguous array on a 64-byte boundary, and its address.

    ``nbytes`` is ``prod(shape) * dtype.itemsize``, which hot callers know beforehand.

    Raises:
        DeviceError: there is not that much memory.
    """
    try:
        block = np.empty(nbytes + ALIGNMENT, _BYTE)
    except (MemoryError, ValueError) as error:
        raise DeviceError(f"out of memory: {nbytes} bytes asked for") from error
    address = address_of(block)
    offset = -address & (ALIGNMENT - 1)
    return np.ndarray(shape, dtype, block, offset), address + offset


def aligned_empty(shape: Sequence[int], dtype: np.dtype | type | str) -> np.ndarray:
    """A new uninitialised C-contiguous array of ``shape`` and ``dtype`` on a 64-byte boundary.

    Raises:
        DeviceError: there is not that much memory.
    """
    dtype = np.dtype(dtype)
    return aligned_block(shape, dtype, prod(shape) * dtype.itemsize)[0]


def aligned(array: np.ndarray) -> np.ndarray:
    """``array``, or a copy if it is not C-contiguous, native and on a 64-byte boundary."""
    native = array.dtype.newbyteorder("=")
    if array.flags.c_contiguous and array.dtype == native and address_of(array) % ALIGNMENT == 0:
        return array
    copy = aligned_empty(array.shape, native)
    copy[...] = array
    return copy


def as_bytes(array: np.ndarray) -> np.ndarray:
    """The bytes of a C-contiguous array as a one-dimensional uint8 view."""
    return array.reshape(-1).view(_BYTE)


_libc_free = ctypes.CDLL(None).free


def free(address: int) -> None:
    """Frees the ``malloc``ed block at ``address``; 0 is none."""
    _libc_free(ctypes.c_void_p(address))


class _Malloced:
    """Owner of a ``malloc``ed block: frees it when the last array over it dies."""

    def __init__(self, address: int, nbytes: int) -> None:
        self.address = address
        self.__array_interface__ = {
            "version": 3,
            "shape": (nbytes,),
            "typestr": "|u1",
            "data": (address, False),
        }

    # `free` is bound at definition: at interpreter exit the module's globals may already be gone.
    def __del__(
        self,
        free: Callable[[ctypes.c_void_p], object] = _libc_free,
        pointer: type = ctypes.c_void_p,
    ) -> None:
        free(pointer(self.address))


def adopt(address: int, shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """An array that owns the ``malloc``ed block at ``address``; 0 is an empty block."""
    nbytes = prod(shape) * dtype.itemsize
    owner = _Malloced(address, nbytes)
    if nbytes == 0:
        return np.empty(shape, dtype)
    return np.asarray(owner).view(dtype).reshape(shape)


def check_disjoint(read: Iterable[Span], written: Iterable[Span]) -> None:
    """Makes sure that nothing written shares memory with anything else, as compiled code assumes.

    Raises:
        InputError: two spans overlap, and at least one of them is written.
    """
    spans = [(begin, begin + nbytes, name, False) for name, begin, nbytes in read if nbytes]
    spans += [(begin, begin + nbytes, name, True) for name, begin, nbytes in written if nbytes]
    end_so_far, was_written, holder = 0, False, ""
    for begin, end, name, is_written in sorted(spans):
        if begin < end_so_far and (is_written or was_written):
            raise InputError(f"{name} and {holder} share memory", hint="use separate memory")
        if end > end_so_far:
            end_so_far, was_written, holder = end, is_written, name
