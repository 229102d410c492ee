"""Per-channel constants move into the weights of what stands before them, pads into windows."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from xdsl.ir import SSAValue

from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape import NodeShapes
from dialects.onnx.shape.movement import pad_amounts
from dialects.onnx.types import is_none
from passes.onnx.simplify.identities import clip_bounds
from passes.onnx.simplify.rewriter import Replacement, Rewriter, present, rewrite

WORTH_A_WEIGHT = 8
"""Places of an image that are scaled in the time of a weight, which is packed after that."""

WEIGHTED = ("Conv", "ConvTranspose", "Gemm")


@dataclass(frozen=True)
class Linear:
    """A Conv, ConvTranspose or Gemm whose constant weights may be changed.

    ``channels`` are its outputs' size along axis 1; ``bias`` is None or a vector of that length.
    """

    op: OnnxOp
    weights: np.ndarray
    bias: np.ndarray | None
    channels: int

    def scaled(self, r: Rewriter, scale: np.ndarray | None, shift: np.ndarray | None) -> SSAValue:
        """The operation with outputs times ``scale`` plus ``shift`` (vectors or None)."""
        dtype, weights, bias = self.weights.dtype, self.weights, self.bias
        operands = list(self.op.operands)
        if scale is not None:
            weights = weights.astype(np.float64) * self._along_outputs(scale.astype(np.float64))
            operands[1] = r.const(weights.astype(dtype), "weights")
        if bias is not None and scale is not None:
            bias = bias.astype(np.float64) * scale
        if shift is not None:
            bias = shift if bias is None else bias.astype(np.float64) + shift
        if bias is not None:
            operands[2] = r.const(bias.astype(dtype), "bias")
        changed = {"beta": 1.0} if self.op.OP_TYPE == "Gemm" else {}
        return r.like(self.op, operands, **changed)

    def _along_outputs(self, vector: np.ndarray) -> np.ndarray:
        """A vector over output channels in a shape that broadcasts with the weights."""
        if self.op.OP_TYPE == "Gemm":
            return vector[:, None] if self.op.get("transB") else vector
        spatial = (1,) * (self.weights.ndim - 2)
        if self.op.OP_TYPE == "Conv":
            return vector.reshape(-1, 1, *spatial)
        # [C, M / group, ...]: the first axis runs over the groups.
        group, (inputs, outputs) = self.op.get("group") or 1, self.weights.shape[:2]
        repeated = np.repeat(vector.reshape(group, 1, outputs), inputs // group, axis=1)
        return repeated.reshape(inputs, outputs, *spatial)


def linear_before(r: Rewriter, value: SSAValue) -> Linear | None:
    """The operation with constant float weights that makes a value which is used once."""
    op = r.single(value, *WEIGHTED)
    dims = r.dims(value)
    if op is None or dims is None or len(dims) < 2 or not isinstance(dims[1], int):
        return None
    weights = r.constant(op.operands[1])
    if weights is None or weights.dtype.name not in ("float16", "bfloat16", "float32", "float64"):
        return None
    if op.OP_TYPE == "Gemm" and op.SINCE < 7:
        return None
    bias, channels = present(op, 2), dims[1]
    if bias is None:
        return Linear(op, weights, None, channels)
    array = r.constant(bias)
    if array is None:
        return None
    if op.OP_TYPE == "Gemm":
        if array.size != 1 and not (array.size == channels == array.shape[-1]):
            return None
        array = np.broadcast_to(array.reshape(-1), (channels,)) * array.dtype.type(op.get("beta"))
    return Linear(op, weights, array, channels)


def channel_vector(
    r: Rewriter, value: SSAValue, linear: Linear, result: SSAValue
) -> np.ndarray | None:
    """A constant as a vector over channels (axis 1 of ``result``), else None."""
    array, dims = r.constant(value), r.dims(result)
    if array is None or dims is None or array.ndim > len(dims) or array.dtype == object:
        return None
    shape = (1,) * (len(dims) - array.ndim) + array.shape
    if shape[1] not in (1, linear.channels) or any(n != 1 for n in (shape[0], *shape[2:])):
        return None
    return np.broadcast_to(array.reshape(-1), (linear.channels,))


@rewrite("Add", "Sub", "Mul", "Div")
def into_weights(r: Rewriter, op: OnnxOp) -> Replacement:
    """Conv(x, w, b) * c -> Conv(x, w * c, b * c), the like for /, +, -, ConvTranspose and Gemm"""
    if "broadcast" in op.DEFAULTS:
        return None
    commutes = op.OP_TYPE in ("Add", "Mul")
    for place in (0, 1) if commutes else (0,):
        linear = linear_before(r, op.operands[place])
        if linear is None or op.operands[place].type != op.results[0].type:
            continue
        vector = channel_vector(r, op.operands[1 - place], linear, op.results[0])
        if vector is None:
            continue
        if op.OP_TYPE in ("Add", "Sub"):
            return linear.scaled(r, None, vector if op.OP_TYPE == "Add" else -vector)
        scale = vector.astype(np.float64)
        if op.OP_TYPE == "Div" and not scale.all():
            continue
        return linear.scaled(r, scale if op.OP_TYPE == "Mul" else 1 / scale, None)
    return None


@rewrite("Conv")
def gate_into_weights(r: Rewriter, op: OnnxOp) -> Replacement:
    """Conv(x * s, w) -> Conv(x, w * s) for a factor s of each channel that only a run knows

    That is less work for one image of many places and a kernel of size 1, as where squeezing and
    excitation gates a wide image that is made narrow.
    """
    product, weights = r.single(op.operands[0], "Mul"), r.constant(op.operands[1])
    dims = r.dims(op.operands[0])
    if product is None or weights is None or dims is None or dims[0] != 1 or op.get("group") != 1:
        return None
    places = [size for size in dims[2:] if isinstance(size, int)]
    is_wide = len(places) == len(dims) - 2 and prod(places) >= WORTH_A_WEIGHT * len(weights)
    if not is_wide or prod(weights.shape[2:]) != 1:
        return None
    for x, gate in (product.operands, product.operands[::-1]):
        if x.type == op.operands[0].type and r.dims(gate) == (*dims[:2], *[1] * len(places)):
            return r.like(op, [x, r.make("Mul", op.operands[1], gate), *op.operands[2:]])
    return None


@rewrite("BatchNormalization")
def batch_normalization(r: Rewriter, op: OnnxOp) -> Replacement:
    """BatchNormalization(Conv(x, w)) -> Conv(x, w'); of anything else -> x * scale + shift"""
    arrays = [r.constant(value) for value in op.operands[1:5]]
    if op.get("training_mode") or any(array is None for array in arrays):
        return None
    if any(result.first_use is not None for result in op.results[1:]):
        return None
    x, dims = op.operands[0], r.dims(op.operands[0])
    gamma, beta, mean, variance = (a.astype(np.float64) for a in arrays if a is not None)
    if dims is None or gamma.ndim != 1:
        return None
    scale = gamma / np.sqrt(variance + op.get("epsilon"))
    shift = beta - mean * scale
    linear = linear_before(r, x)
    if linear is not None:
        return [linear.scaled(r, scale, shift), *op.results[1:]]
    shape = (-1,) + (1,) * (len(dims) - 2)
    dtype = r.dtype(x)
    by = r.const(scale.reshape(shape).astype(dtype), "scale")
    plus = r.const(shift.reshape(shape).astype(dtype), "shift")
    return [r.make("Add", r.make("Mul", x, by), plus), *op.results[1:]]


@rewrite("Conv", "AveragePool", "MaxPool")
def pad_into_window(r: Rewriter, op: OnnxOp) -> Replacement:
    """Conv(Pad(x, p, 0)) -> Conv(x) with pads p; pools where the padding counts the same"""
    pad = r.producer(op.operands[0], "Pad")
    if pad is None or op.get("auto_pad") not in ("NOTSET", "VALID", None):
        return None
    dims = r.dims(pad.operands[0])
    amounts = None if dims is None else pad_amounts(NodeShapes(pad, r), len(dims))
    if amounts is None or pad.get("mode") != "constant" or len(amounts[0]) < 3:
        return None
    begins, ends = amounts
    if not all(isinstance(n, int) and n >= 0 for n in (*begins, *ends)):
        return None
    if any(n != 0 for n in (*begins[:2], *ends[:2])):
        return None
    spatial = len(begins) - 2
    own = tuple(op.get("pads") or (0,) * (2 * spatial))
    total = tuple(int(a + b) for a, b in zip(own, (*begins[2:], *ends[2:]), strict=True))  # type: ignore[arg-type]
    changed = _pool_attributes(r, op, pad, own, total)
    if changed is None or (op.results[1:] and any(result.first_use for result in op.results[1:])):
        return None
    operands = [pad.operands[0], *op.operands[1:]]
    return [r.like(op, operands, pads=total, auto_pad=None, **changed), *op.results[1:]]


@rewrite("Conv")
def taps_in_padding(r: Rewriter, op: OnnxOp) -> Replacement:
    """Conv(x, w) -> Conv(x, w') without the lines of a dilated kernel that only see padding"""
    weights, dims, result = (
        r.constant(op.operands[1]),
        r.dims(op.operands[0]),
        r.dims(op.results[0]),
    )
    dilations, pads = op.get("dilations") or (), op.get("pads") or ()
    if weights is None or max(dilations, default=1) == 1 or not any(pads):
        return None
    if dims is None or result is None or op.get("auto_pad") not in ("NOTSET", None):
        return None
    rank = len(dilations)
    strides, kept = op.get("strides") or (1,) * rank, [slice(None), slice(None)]
    changed = list(pads)
    for axis in range(rank):
        size, outputs, dilation = dims[2 + axis], result[2 + axis], dilations[axis]
        if not isinstance(size, int) or not isinstance(outputs, int):
            return None
        begin, last = pads[axis], (outputs - 1) * strides[axis]
        taps = [
            tap
            for tap in range(weights.shape[2 + axis])
            if tap * dilation - begin < size and tap * dilation - begin + last >= 0
        ]
        if not taps:
            return None
        kept.append(slice(taps[0], taps[-1] + 1))
        changed[axis] -= taps[0] * dilation
        changed[rank + axis] -= (weights.shape[2 + axis] - 1 - taps[-1]) * dilation
    smaller = weights[tuple(kept)]
    # A product with padding that is no zero stays: of infinity and zero.
    if smaller.shape == weights.shape or min(changed) < 0 or not np.isfinite(weights).all():
        return None
    operands = [op.operands[0], r.const(smaller, "weights"), *op.operands[2:]]
    return r.like(op, operands, pads=tuple(changed), kernel_shape=None)


def _pool_attributes(
    r: Rewriter, op: OnnxOp, pad: OnnxOp, own: tuple[int, ...], total: tuple[int, ...]
) -> dict[str, int] | None:
    """What else changes in a window that takes over a Pad's work, or None when it cannot."""
    filler = _pad_value(r, pad)
    if op.OP_TYPE == "Conv":
        return {} if filler == 0 else None
    kernel = op.get("kernel_shape")
    if any(n >= kernel[i % len(kernel)] for i, n in enumerate(total)) or op.get("ceil_mode"):
        return None
    if op.OP_TYPE == "AveragePool":
        # The zeros that Pad writes count as elements.
        exact = filler == 0 and op.SINCE >= 7 and (op.get("count_include_pad") or not any(own))
        return {"count_include_pad": 1} if exact else None
    # Every window holds a real element; zeros are harmless beside elements that are not negative.
    lowest = filler == -np.inf or (filler == 0 and _not_negative(r, pad.operands[0]))
    return {} if lowest else None


def _pad_value(r: Rewriter, pad: OnnxOp) -> float | None:
    if pad.SINCE < 11:
        return float(pad.get("value") or 0.0)
    value = present(pad, 2)
    return 0.0 if value is None else r.scalar(value)


def _not_negative(r: Rewriter, value: SSAValue) -> bool:
    op = r.producer(
        value, "Relu", "Sigmoid", "Abs", "Exp", "Sqrt", "Softmax", "HardSigmoid", "Clip"
    )
    if op is None or op.OP_TYPE != "Clip":
        return op is not None
    low, _ = clip_bounds(r, op)
    return low is not None and low >= 0


@rewrite("Gemm")
def gemm_without_bias(r: Rewriter, op: OnnxOp) -> Replacement:
    """Gemm(a, b) with alpha 1 and nothing transposed -> MatMul(a, b)"""
    if present(op, 2) is not None or op.get("alpha") != 1:
        return None
    if op.get("transA") or op.get("transB") or is_none(op.operands[1]):
        return None
    return r.make("MatMul", op.operands[0], op.operands[1])
