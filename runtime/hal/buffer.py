"""Buffers and buffer views: bytes on a device, and tensors in them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime import memory
from runtime.dims import show
from runtime.errors import InputError

if TYPE_CHECKING:
    from runtime.hal.device import Device


class Buffer(ABC):
    """A range of bytes on a device.

    Attributes:
        device: where it lies.
        nbytes: its size.
        address: its first byte, in the device's address space.
        writeable: whether it may be written to.
    """

    device: Device
    nbytes: int
    address: int
    writeable: bool

    @abstractmethod
    def slice(self, offset: int, nbytes: int) -> Buffer:
        """A part of this buffer that shares its memory and keeps it alive.

        Raises:
            InputError: the range is not inside the buffer.
        """

    @abstractmethod
    def map(self) -> np.ndarray:
        """The bytes as a uint8 array that shares the buffer's memory.

        Raises:
            DeviceError: the host cannot see this memory.
        """

    @abstractmethod
    def read(self, offset: int = 0, nbytes: int | None = None) -> np.ndarray:
        """A copy of a range of bytes (to the end if ``nbytes`` is None) as a uint8 array."""

    @abstractmethod
    def write(self, source: np.ndarray, offset: int = 0) -> None:
        """Copies the elements of an array to ``offset``.

        Raises:
            InputError: it does not fit, or the buffer is read-only.
        """

    def check_range(self, offset: int, nbytes: int) -> None:
        """Raises InputError unless ``nbytes`` bytes at ``offset`` lie inside the buffer."""
        if offset < 0 or nbytes < 0 or offset + nbytes > self.nbytes:
            raise InputError(
                f"bytes {offset} to {offset + nbytes} are not in a buffer of {self.nbytes} bytes"
            )

    def check_writeable(self) -> None:
        """Raises InputError if the buffer is read-only."""
        if not self.writeable:
            raise InputError("the buffer is read-only")


class HostBuffer(Buffer):
    """A buffer in host memory: ``bytes_`` is a one-dimensional uint8 array over it."""

    def __init__(self, device: Device, bytes_: np.ndarray) -> None:
        self.device = device
        self._bytes = bytes_
        self.nbytes = bytes_.nbytes
        self.address = memory.address_of(bytes_)
        self.writeable = bytes_.flags.writeable

    def slice(self, offset: int, nbytes: int) -> HostBuffer:
        self.check_range(offset, nbytes)
        return HostBuffer(self.device, self._bytes[offset : offset + nbytes])

    def map(self) -> np.ndarray:
        return self._bytes

    def read(self, offset: int = 0, nbytes: int | None = None) -> np.ndarray:
        nbytes = self.nbytes - offset if nbytes is None else nbytes
        self.check_range(offset, nbytes)
        return self._bytes[offset : offset + nbytes].copy()

    def write(self, source: np.ndarray, offset: int = 0) -> None:
        self.check_writeable()
        self.check_range(offset, source.nbytes)
        self._bytes[offset : offset + source.nbytes] = memory.as_bytes(np.ascontiguousarray(source))


class BufferView:
    """A dense row-major tensor at the beginning of a buffer.

    Raises:
        InputError: the buffer is too small for it, or does not begin at a multiple of an element's
            alignment.
    """

    def __init__(self, buffer: Buffer, shape: Sequence[int], dtype: np.dtype | type | str) -> None:
        self.buffer = buffer
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self.nbytes = self.nbytes_of(self.shape, self.dtype)
        if self.nbytes > buffer.nbytes:
            raise InputError(
                f"{self.dtype}{show(self.shape)} takes {self.nbytes} bytes, "
                f"the buffer has {buffer.nbytes}"
            )
        if buffer.address % self.dtype.alignment:
            raise InputError(f"the buffer is not aligned to elements of {self.dtype}")

    @staticmethod
    def nbytes_of(shape: Sequence[int], dtype: np.dtype) -> int:
        """The bytes that a dense tensor takes.

        Raises:
            InputError: a size is negative.
        """
        if any(size < 0 for size in shape):
            raise InputError(f"the shape {show(tuple(shape))} has a negative size")
        return prod(shape) * dtype.itemsize

    @property
    def address(self) -> int:
        """The first element, in the device's address space."""
        return self.buffer.address

    def numpy(self) -> np.ndarray:
        """An array over the same memory.

        Raises:
            DeviceError: the host cannot see it; ``download`` copies.
        """
        return self.buffer.map()[: self.nbytes].view(self.dtype).reshape(self.shape)

    def download(self) -> np.ndarray:
        """A copy as an array."""
        return self.buffer.read(0, self.nbytes).view(self.dtype).reshape(self.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __dlpack__(self, **request: Any) -> Any:
        return self.numpy().__dlpack__(**request)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.numpy().__dlpack_device__()

    def __repr__(self) -> str:
        return f"<BufferView {self.dtype}{show(self.shape)} on {self.buffer.device.uri}>"
