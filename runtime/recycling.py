"""Memory of results: large blocks are used again, small results share a slab.

A new block of memory costs as much time as writing it several times: the system clears each page
when it is touched first. A network that runs again and again writes results of the same sizes, so
blocks come back when the last array over them dies, and the next run takes them.

Results of a few hundred bytes are carved from a slab one after the other, of this run and the next
ones: a block for each would take longer than a small network's product. A slab lives as long as
one of its results does.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from runtime import memory

LEAST_BYTES = 65_536
"""Smaller blocks are at hand from the C library, without a call to the system."""

SLAB_BYTES = 16_384
"""What a result may keep from being freed at most, beside itself."""

MOST_CARVED = SLAB_BYTES // 8
"""Larger results would leave too much of a slab unused."""

_BYTE = np.dtype(np.uint8)
_NO_SLAB = np.empty(0, _BYTE), 0, 0


class Recycler:
    """Blocks for the results of a network; any number of threads may ask at a time.

    At most ``most`` blocks lie idle, the number of results of a run. What came back longest ago
    goes first.
    """

    def __init__(self, most: int) -> None:
        # What is done to it is atomic: blocks come back at any moment, in any thread.
        self._idle: deque[np.ndarray] = deque(maxlen=most)
        # Slab, address, bytes that are carved off; whoever carves takes the entry meanwhile.
        self._slabs: list[tuple[np.ndarray, int, int]] = []

    def block(self, shape: Sequence[int], dtype: np.dtype, nbytes: int) -> tuple[np.ndarray, int]:
        """An uninitialised C-contiguous array on a 64-byte boundary, and its address.

        ``nbytes`` is ``prod(shape) * dtype.itemsize``.

        Raises:
            DeviceError: there is not that much memory.
        """
        if nbytes <= MOST_CARVED:
            return self._carved(shape, dtype, nbytes)
        if nbytes < LEAST_BYTES:
            return memory.aligned_block(shape, dtype, nbytes)
        block = self._taken(nbytes)
        address = memory.address_of(block)
        owner: Any = _Lent.from_address(address)
        owner.block, owner.idle = block, self._idle
        return np.ndarray(shape, dtype, owner), address

    def _carved(self, shape: Sequence[int], dtype: np.dtype, nbytes: int) -> tuple[np.ndarray, int]:
        """A small array, of the slab at hand or a new one."""
        size = (nbytes + memory.ALIGNMENT - 1) & -memory.ALIGNMENT
        try:
            slab, address, start = self._slabs.pop()
        except IndexError:
            slab, address, start = _NO_SLAB
        if start + size > SLAB_BYTES or not address:
            slab, address = memory.aligned_block((SLAB_BYTES,), _BYTE, SLAB_BYTES)
            start = 0
        self._slabs.append((slab, address, start + size))
        return np.ndarray(shape, dtype, slab, start), address + start

    def _taken(self, nbytes: int) -> np.ndarray:
        """An idle block of exactly that size, else a new one."""
        try:
            for _ in range(len(self._idle)):
                block = self._idle.popleft()
                if block.nbytes == nbytes:
                    return block
                self._idle.append(block)
        except IndexError:
            # Another thread has taken the last one.
            pass
        return memory.aligned_block((nbytes,), _BYTE, nbytes)[0]


class _Lent(ctypes.c_uint8 * 2**46):
    """Owner of a block: gives it back when the last array over it dies.

    A class of ctypes has one size: this one stands for more bytes than any block has. What numpy
    lays over it has the shape of a result.
    """

    __slots__ = ("block", "idle")
    block: np.ndarray
    idle: deque[np.ndarray]

    def __del__(self) -> None:
        self.idle.append(self.block)
