"""Convolutions side by side whose results are added are one convolution.

    Conv(x, w, b) + Conv(x, v, c)   ->  Conv(x, w + v', b + c)
    Conv(x, w, b) + (x * s + t)     ->  Conv(x, w + s', b + t)

``v'`` has the taps of the smaller kernel where the larger one has those that read the same places,
``s'`` a factor for each channel where it reads the place itself. So networks that were trained with
several branches run with one (X. Ding et al., RepVGG, CVPR 2021, section 3.3).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.ir import SSAValue

from dialects.onnx.ops import OnnxOp
from passes.onnx.simplify.rewriter import Replacement, Rewriter, rewrite
from passes.onnx.simplify.weights import Linear, channel_vector, linear_before

Window = tuple[Sequence[int], Sequence[int], Sequence[int]]
"""Strides, dilations and padding in front, axis by axis."""

Weights = tuple[np.ndarray, np.ndarray | None]
"""Weights in double precision, and a bias."""


@rewrite("Add")
def parallel_convolutions(r: Rewriter, op: OnnxOp) -> Replacement:
    """Conv(x, w) + Conv(x, v) -> Conv(x, w + v); Conv(x, w) + x * s + t -> Conv(x, w + s) + t"""
    kind = op.results[0].type
    if "broadcast" in op.DEFAULTS or any(value.type != kind for value in op.operands):
        return None
    for value, other in (op.operands, op.operands[::-1]):
        wide = linear_before(r, value)
        window = None if wide is None else _window(wide)
        if wide is None or window is None:
            continue
        narrow = linear_before(r, other)
        if narrow is None:
            added = _scaled(r, other, wide, window)
        else:
            added = _embedded(narrow, wide, window)
        if added is not None:
            return _sum(r, wide, *added)
    return None


def _window(linear: Linear) -> Window | None:
    """How a convolution's window moves, None where its padding is not told."""
    op, rank = linear.op, linear.weights.ndim - 2
    if op.OP_TYPE != "Conv" or op.get("auto_pad") not in ("NOTSET", None):
        return None
    ones = (1,) * rank
    pads = tuple(op.get("pads") or (0,) * (2 * rank))
    return op.get("strides") or ones, op.get("dilations") or ones, pads[:rank]


def _embedded(narrow: Linear, wide: Linear, window: Window) -> Weights | None:
    """The weights of a convolution of the same data in the taps of another one."""
    own = _window(narrow)
    same = narrow.op.operands[0] is wide.op.operands[0]
    if own is None or not same or narrow.weights.dtype != wide.weights.dtype:
        return None
    strides, dilations, begins = window
    if tuple(own[0]) != tuple(strides) or _groups(narrow) != _groups(wide):
        return None
    taps: list[list[int]] = []
    for axis, size in enumerate(narrow.weights.shape[2:]):
        places = [tap * own[1][axis] - own[2][axis] + begins[axis] for tap in range(size)]
        if any(place % dilations[axis] for place in places):
            return None
        taps.append([place // dilations[axis] for place in places])
        if not 0 <= min(taps[-1]) <= max(taps[-1]) < wide.weights.shape[2 + axis]:
            return None
    weights = np.zeros(wide.weights.shape)
    channels = [range(size) for size in weights.shape[:2]]
    weights[np.ix_(*channels, *taps)] = narrow.weights
    return weights, narrow.bias


def _scaled(r: Rewriter, value: SSAValue, wide: Linear, window: Window) -> Weights | None:
    """x * s + t of a convolution's data: factors of channels at the tap that reads the place."""
    total = r.single(value, "Add")
    product = None if total is None else r.single(total.operands[0], "Mul")
    if total is None or product is None or product.operands[0] is not wide.op.operands[0]:
        return None
    constants = product.operands[1], total.operands[1]
    factors, shift = (channel_vector(r, each, wide, value) for each in constants)
    strides, dilations, begins = window
    inside = wide.weights.shape[1]
    taps = [begin // dilation for begin, dilation in zip(begins, dilations, strict=True)]
    aligned = all(b == t * d for b, t, d in zip(begins, taps, dilations, strict=True))
    fits = all(tap < size for tap, size in zip(taps, wide.weights.shape[2:], strict=True))
    if factors is None or shift is None or product.operands[0].type != value.type:
        return None
    if max(strides) != 1 or not aligned or not fits or _groups(wide) * inside != wide.channels:
        return None
    outputs = np.arange(wide.channels)
    weights = np.zeros(wide.weights.shape)
    weights[(outputs, outputs % inside, *taps)] = factors
    return weights, shift


def _groups(linear: Linear) -> int:
    return linear.op.get("group") or 1


def _sum(r: Rewriter, wide: Linear, weights: np.ndarray, bias: np.ndarray | None) -> SSAValue:
    """A convolution with weights and a bias added to its own."""
    dtype = wide.weights.dtype
    made = r.const((wide.weights.astype(np.float64) + weights).astype(dtype), "weights")
    given = [each.astype(np.float64) for each in (wide.bias, bias) if each is not None]
    total = r.const(np.sum(given, axis=0).astype(dtype), "bias") if given else None
    return r.like(wide.op, [wide.op.operands[0], made, total])
