"""Fourier transforms of known length as products with constant matrices.

A transform of N points costs N * N products that way, but they run as fast as the machine
multiplies; the lengths that audio models use are short enough for that to win.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.ir import SSAValue

from dialects.onnx.dims import Dim
from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.helpers import normalize_axis
from passes.onnx.simplify.rewriter import Replacement, Rewriter, present, rewrite

LARGEST = 1 << 25
"""Elements of a matrix that stands for a transform."""


def fourier_matrix(
    points: int, length: int, bins: int, components: int, inverse: bool
) -> np.ndarray:
    """The f64 matrix [points, components, bins, 2] of a transform of ``length`` points.

    ``points`` are given, the others are 0; ``components`` are 1 (real) or 2 (re, im).
    """
    grid = np.outer(np.arange(points) % length, np.arange(bins)) % length
    angles = (2 if inverse else -2) * np.pi * grid / length
    wave = np.exp(1j * angles) * (1 / length if inverse else 1)
    wave[length:] = 0
    parts = [np.stack([wave.real, wave.imag], -1), np.stack([-wave.imag, wave.real], -1)]
    return np.stack(parts[:components], 1)


def half_inverse_matrix(points: int, length: int) -> np.ndarray:
    """The f64 matrix [points, 2, length, 1] from half a spectrum to ``length`` real points."""
    used = length // 2 + 1
    whole = fourier_matrix(used, length, length, 2, inverse=True)[..., :1]
    # All but the first bin, and the middle one of an even length, stand for two.
    whole[1 : (length + 1) // 2] *= 2
    result = np.zeros((points, *whole.shape[1:]))
    result[:used] = whole[:points]
    return result


@rewrite("DFT")
def dft(r: Rewriter, op: OnnxOp) -> Replacement:
    """DFT(x) -> x, axis moved behind the others, times a constant matrix"""
    x, dims = op.operands[0], r.dims(op.operands[0])
    axis = _dft_axis(r, op)
    if dims is None or axis is None:
        return None
    axis = normalize_axis(axis, len(dims))
    points, components = dims[axis], dims[-1]
    if not isinstance(points, int) or not isinstance(components, int):
        return None
    inverse, onesided = bool(op.get("inverse")), bool(op.get("onesided"))
    given = present(op, 1)
    default = (points - 1) * 2 if inverse and onesided else points
    length = default if given is None else r.scalar(given)
    if not length:
        return None
    length = int(length)
    if inverse and onesided:
        if components != 2:
            return None
        matrix = half_inverse_matrix(points, length)
    else:
        bins = length // 2 + 1 if onesided else length
        if points * bins * 4 > LARGEST:
            return None
        matrix = fourier_matrix(points, length, bins, components, inverse)
    return _transformed(r, x, axis, matrix)


def _dft_axis(r: Rewriter, op: OnnxOp) -> int | None:
    """The transformed axis: an attribute until version 20, an operand since."""
    if op.SINCE < 20:
        return op.get("axis")
    given = present(op, 2)
    number = -2 if given is None else r.scalar(given)
    return None if number is None else int(number)


def _transformed(r: Rewriter, x: SSAValue, axis: int, matrix: np.ndarray) -> SSAValue | None:
    """x [..., points, ..., components] times [points, components, bins, parts]."""
    dims = list(r.dims(x) or ())
    rank = len(dims)
    points, components, bins, parts = matrix.shape
    perm = [*(a for a in range(rank - 1) if a != axis), axis, rank - 1]
    moved = x if perm == list(range(rank)) else r.make("Transpose", x, perm=tuple(perm))
    outer = [dims[a] for a in perm[:-2]]
    rows = r.reshape(moved, [*outer, points * components])
    if rows is None:
        return None
    weights = matrix.reshape(points * components, bins * parts).astype(r.dtype(x))
    product = r.make("MatMul", rows, r.const(weights, "transform"))
    result = r.reshape(product, [*outer, bins, parts])
    if result is None or perm == list(range(rank)):
        return result
    back = tuple(int(a) for a in np.argsort(perm))
    return r.make("Transpose", result, perm=back)


@rewrite("STFT")
def stft(r: Rewriter, op: OnnxOp) -> Replacement:
    """STFT(signal, step, window) -> a convolution with the windowed waves as its filters"""
    signal, dims = op.operands[0], r.dims(op.operands[0])
    step, window = r.scalar(op.operands[1]), present(op, 2)
    if dims is None or not step:
        return None
    frame, taps = present(op, 3), None if window is None else r.constant(window)
    length = r.scalar(frame) if frame is not None else None if taps is None else len(taps)
    if (window is not None and taps is None) or not length:
        return None
    components = dims[2] if len(dims) == 3 else 1
    bins = int(length) // 2 + 1 if op.get("onesided") else int(length)
    if not isinstance(components, int) or length * bins * 4 > LARGEST:
        return None
    matrix = fourier_matrix(int(length), int(length), bins, components, inverse=False)
    if taps is not None:
        matrix *= taps.astype(np.float64)[:, None, None, None]
    return _filtered(r, signal, dims, int(step), matrix)


def _filtered(
    r: Rewriter, signal: SSAValue, dims: Sequence[Dim], step: int, matrix: np.ndarray
) -> SSAValue | None:
    """[batch, samples(, components)] -> [batch, frames, bins, 2]"""
    length, components, bins, _ = matrix.shape
    if components == 2:
        rows = r.make("Transpose", signal, perm=(0, 2, 1))
    else:
        rows = r.reshape(signal, [dims[0], 1, dims[1]])
    if rows is None:
        return None
    filters = matrix.transpose(2, 3, 1, 0).reshape(bins * 2, components, length)
    weights = r.const(np.ascontiguousarray(filters).astype(r.dtype(signal)), "waves")
    spectra = r.make("Conv", rows, weights, None, kernel_shape=(length,), strides=(step,))
    frames = list(r.dims(spectra) or ())[2]
    moved = r.make("Transpose", spectra, perm=(0, 2, 1))
    return r.reshape(moved, [dims[0], frames, bins, 2])
