"""How a tensor lies in memory: the order of its axes, and one axis that may be cut into panels.

    row-major          [0, 1, 2, 3] channels-last      [0, 2, 3, 1]                 NCHW as N H W C
    packed columns     [n / 64, k, n % 64]          the right-hand side of a product: panels of 64
    columns

A layout maps logical indices to those of the buffer; emission always speaks of logical ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeVar

import numpy as np

from dialects.onnx.dims import Dim, ceildiv
from passes.lower.index import Affine

_Entry = TypeVar("_Entry")


@dataclass(frozen=True)
class Layout:
    """``order`` names logical axes, outermost first.

    With ``panel`` > 0 the axis that stands twice in ``order`` is cut: first its panel number, later
    (its last occurrence) the place inside the panel. The last panel is padded with zeros.
    """

    order: tuple[int, ...]
    panel: int = 0

    @staticmethod
    def row_major(rank: int) -> Layout:
        """Axes in their logical order."""
        return Layout(tuple(range(rank)))

    @property
    def is_row_major(self) -> bool:
        """Whether the buffer's order is the logical one."""
        return self.order == tuple(range(len(self.order)))

    @property
    def cut_axis(self) -> int | None:
        """The axis that is cut into panels."""
        return self.order[-1] if self.panel else None

    @property
    def loop_order(self) -> tuple[int, ...]:
        """Axes in the order in which loops touch the buffer best: each at its last occurrence."""
        return tuple(a for place, a in enumerate(self.order) if a not in self.order[place + 1 :])

    def dims(self, dims: Sequence[Dim]) -> list[Dim]:
        """Sizes of the buffer."""
        sizes = [dims[axis] for axis in self.order]
        if self.panel:
            sizes[self.order.index(self.order[-1])] = ceildiv(dims[self.order[-1]], self.panel)
            sizes[-1] = self.panel
        return sizes

    def index(self, index: Sequence[Affine]) -> list[Affine]:
        """Indices into the buffer."""
        entries = [index[axis] for axis in self.order]
        if self.panel:
            column = entries[-1]
            entries[self.order.index(self.order[-1])] = column // self.panel
            entries[-1] = column % self.panel
        return entries

    def logical(self, entries: Sequence[Affine]) -> list[Affine]:
        """The index of an element of the tensor whose indices into the buffer are given."""
        found: dict[int, Affine] = {}
        for axis, entry in zip(self.order, entries, strict=True):
            found[axis] = found[axis] * self.panel + entry if axis in found else entry
        return [found[axis] for axis in range(len(found))]

    def buffer_dims(self, dims: Sequence[Dim]) -> list[Dim]:
        """Sizes of the buffer that a kernel sees: without axes of size 1."""
        return self._long(dims, self.dims(dims))

    def place(self, index: Sequence[Affine], dims: Sequence[Dim]) -> list[Affine]:
        """Indices into that buffer."""
        return self._long(dims, self.index(index))

    def _long(self, dims: Sequence[Dim], entries: Sequence[_Entry]) -> list[_Entry]:
        """The entries of axes that are longer than 1; those of panels stay."""
        cut = self.cut_axis
        return [
            entry
            for axis, entry in zip(self.order, entries, strict=True)
            if axis == cut or dims[axis] != 1
        ]

    def arrange(self, array: np.ndarray) -> np.ndarray:
        """A logical array in this layout: one copy, no larger temporary, 64-byte aligned."""
        physical = [int(size) for size in self.dims(array.shape)]  # type: ignore[arg-type]
        out = aligned_empty(physical, array.dtype)
        if not self.panel:
            out[...] = array.transpose(self.order)
            return out
        place = self.order.index(self.order[-1])
        source = array.transpose(self.order[:-1])
        full, rest = divmod(source.shape[place], self.panel)
        before = (slice(None),) * place
        if full:
            whole = source[(*before, slice(0, full * self.panel))]
            shape = whole.shape
            cut = whole.reshape(*shape[:place], full, self.panel, *shape[place + 1 :])
            out[(*before, slice(0, full))] = np.moveaxis(cut, place + 1, -1)
        if rest:
            last = out[(*before, full)]
            last[..., :rest] = np.moveaxis(source[(*before, slice(-rest, None))], place, -1)
            last[..., rest:] = 0
        return out

    def same_bytes(self, other: Layout, dims: Sequence[Dim]) -> bool:
        """Whether both layouts put a tensor of these sizes into the same bytes."""
        if self.panel or other.panel:
            return self == other
        long = [a for a in self.order if dims[a] != 1]
        return long == [a for a in other.order if dims[a] != 1]


def element_count(dims: Sequence[Dim]) -> Dim:
    """Number of elements of a tensor."""
    return prod(dims, start=1)


def aligned_empty(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """An uninitialised array that starts on a cache line, where the runtime wants constants."""
    count = int(np.prod(shape)) * dtype.itemsize
    memory = np.empty(count + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + count].view(dtype).reshape(shape)
