"""QuantizeLinear and DequantizeLinear in numpy, by tensor and by axis."""

from __future__ import annotations

import numpy as np

from passes.onnx.fold_constants.node import FoldNode, fold


def _along_axis(n: FoldNode, vector: np.ndarray, rank: int) -> np.ndarray | None:
    """A scale or zero point so that it broadcasts along `axis`; None for scales by blocks."""
    if vector.size == 1:
        return vector.reshape(())
    if vector.ndim != 1 or n.get("block_size", 0):
        return None
    shape = [1] * rank
    shape[n.get("axis", 1)] = -1
    return vector.reshape(shape)


@fold("DequantizeLinear")
def dequantize_linear(n: FoldNode) -> list[np.ndarray] | None:
    """(x - zero point) * scale for 8- to 32-bit integers"""
    x, zero = n.needed(0), n.input(2)
    scale = _along_axis(n, n.needed(1), x.ndim)
    offset = None if zero is None else _along_axis(n, zero, x.ndim)
    if x.dtype.kind not in "iu" or scale is None or (offset is None and zero is not None):
        return None
    centered = x.astype(np.int64) if offset is None else x.astype(np.int64) - offset
    return [(centered.astype(scale.dtype) * scale).astype(n.dtype)]


@fold("QuantizeLinear")
def quantize_linear(n: FoldNode) -> list[np.ndarray] | None:
    """saturate(round(x / scale) + zero point), ties to even, for 8- and 16-bit integers"""
    x, zero = n.needed(0), n.input(2)
    scale = _along_axis(n, n.needed(1), x.ndim)
    offset = None if zero is None else _along_axis(n, zero, x.ndim)
    if n.dtype.kind not in "iu" or scale is None or (offset is None and zero is not None):
        return None
    if x.dtype != scale.dtype or not np.isfinite(x).all():
        return None
    shifted = np.rint(x / scale) + (0 if offset is None else offset.astype(np.int64))
    info = np.iinfo(n.dtype)
    return [np.clip(shifted, info.min, info.max).astype(n.dtype)]
