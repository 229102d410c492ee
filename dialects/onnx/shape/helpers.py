"""Arithmetic of shapes that inference and lowering share. All sizes may be symbolic.

Every function raises `ShapeError` when its arguments contradict each other for all sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from dialects.onnx.dims import (
    Dim,
    bounds,
    ceildiv,
    exact_quotient,
    floordiv,
    is_equal,
    maximum,
    minimum,
    product,
    sign,
    symbols_of,
    without_rounding,
)
from dialects.onnx.shape.node import ShapeError, shape_text

Assume = Callable[[Dim, Dim], None]

INFINITE_INDEX = 10**9
"""Slice bounds of at least this magnitude mean "to the end": exporters write INT_MAX or so."""


def normalize_axis(axis: int, rank: int) -> int:
    """The axis counted from the front."""
    if not -rank <= axis < rank:
        raise ShapeError(f"axis {axis} does not exist in a tensor of rank {rank}")
    return axis % rank


def normalize_axes(axes: Sequence[int], rank: int) -> list[int]:
    """The axes counted from the front, each once."""
    normal = [normalize_axis(int(axis), rank) for axis in axes]
    if len(set(normal)) != len(normal):
        raise ShapeError(f"axes {list(axes)} name one axis twice")
    return normal


def unify(lhs: Dim, rhs: Dim, what: str, assume: Assume | None = None) -> Dim:
    """The simpler of two sizes that must be equal; ``assume`` hears of those that may differ."""
    equal = is_equal(lhs, rhs)
    if equal:
        return lhs
    if equal is False:
        raise ShapeError(f"{what} must be equal, but are {lhs} and {rhs}")
    if assume is not None:
        assume(lhs, rhs)
    return _simpler(lhs, rhs)


def _simpler(lhs: Dim, rhs: Dim) -> Dim:
    if isinstance(lhs, int) or isinstance(rhs, int):
        return lhs if isinstance(lhs, int) else rhs
    return rhs if len(str(rhs)) < len(str(lhs)) else lhs


def must_be_equal(lhs: Dim, rhs: Dim) -> bool:
    """Whether two sizes that meet in a broadcast count as equal: expressions over the same symbols.

    Two ways to compute one size, `2*(h // 2)` and `h`, meet far more often than sizes of which one
    is 1 by chance; the run checks it.
    """
    same = not isinstance(lhs, int) and symbols_of(lhs) == symbols_of(rhs)
    return same and is_equal(lhs, rhs) is not False


def broadcast_dim(lhs: Dim, rhs: Dim, assume: Assume | None = None) -> Dim:
    """The size of a broadcast dimension; ``assume`` hears of two that may differ only by a 1.

    Sizes over different symbols give ``max(lhs, rhs)``: at run time they are equal or one of them
    is 1 (a size of 0 against 1 is the one case in which this is too large). See `must_be_equal`.
    """
    if lhs == rhs or rhs == 1:
        return lhs
    if lhs == 1:
        return rhs
    if isinstance(lhs, int) and isinstance(rhs, int):
        raise ShapeError(f"sizes {lhs} and {rhs} do not broadcast")
    if assume is not None:
        assume(lhs, rhs)
    # A number other than 1 wins: the other size is that number, or 1.
    if isinstance(lhs, int) or isinstance(rhs, int) or must_be_equal(lhs, rhs):
        return _simpler(lhs, rhs)
    return maximum(lhs, rhs)


def broadcast(*shapes: Sequence[Dim], assume: Assume | None = None) -> tuple[Dim, ...]:
    """The common shape of several by numpy's rules."""
    return reduce(lambda lhs, rhs: _broadcast_pair(lhs, rhs, assume), map(tuple, shapes))


def _broadcast_pair(
    lhs: tuple[Dim, ...], rhs: tuple[Dim, ...], assume: Assume | None
) -> tuple[Dim, ...]:
    if lhs == rhs:
        return lhs
    rank = max(len(lhs), len(rhs))
    left, right = ((1,) * (rank - len(dims)) + dims for dims in (lhs, rhs))
    try:
        return tuple(broadcast_dim(a, b, assume) for a, b in zip(left, right, strict=True))
    except ShapeError as error:
        text = f"shapes {shape_text(lhs)} and {shape_text(rhs)} do not broadcast"
        raise ShapeError(text) from error


def matmul_dims(
    lhs: Sequence[Dim],
    rhs: Sequence[Dim],
    assume: Assume | None = None,
    assume_broadcast: Assume | None = None,
) -> tuple[Dim, ...]:
    """The shape of a matrix product by numpy's rules."""
    if not lhs or not rhs:
        raise ShapeError("MatMul of a scalar")
    a = (1, *lhs) if len(lhs) == 1 else tuple(lhs)
    b = (*rhs, 1) if len(rhs) == 1 else tuple(rhs)
    what = f"the inner sizes of {shape_text(lhs)} and {shape_text(rhs)}"
    unify(a[-1], b[-2], what, assume)
    batch = broadcast(a[:-2], b[:-2], assume=assume_broadcast)
    return (*batch, *a[-2:-1][len(lhs) == 1 :], *b[-1:][len(rhs) == 1 :])


def effective_kernel(kernel: Dim, dilation: int) -> Dim:
    """How many input elements a dilated window spans."""
    return (kernel - 1) * dilation + 1


def conv_output(
    dim: Dim, kernel: Dim, stride: int, dilation: int, begin: Dim, end: Dim, ceil_mode: bool = False
) -> Dim:
    """How many windows fit into one spatial dimension.

    With ``ceil_mode`` the last window may hang over the end, but starts inside the input or the
    padding before it.
    """
    room = dim + begin + end - effective_kernel(kernel, dilation)
    if not ceil_mode:
        return floordiv(room, stride) + 1
    return minimum(ceildiv(room, stride) + 1, ceildiv(dim + begin, stride))


def permutation(perm: Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """The axes that a Transpose with this attribute reads, in order."""
    return tuple(range(rank))[::-1] if perm is None else tuple(perm)


def resolve_pads(
    auto_pad: str,
    dims: Sequence[Dim],
    kernel: Sequence[Dim],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int] | None,
) -> tuple[list[Dim], list[Dim]]:
    """Padding (before, after) each spatial dimension of a convolution or pool."""
    n = len(dims)
    if auto_pad in ("", "NOTSET"):
        pads = pads if pads is not None else (0,) * (2 * n)
        if len(pads) != 2 * n:
            raise ShapeError(f"pads {list(pads)} do not fit {n} spatial dimensions")
        return list(pads[:n]), list(pads[n:])
    if auto_pad == "VALID":
        return [0] * n, [0] * n
    if auto_pad not in ("SAME_UPPER", "SAME_LOWER"):
        raise ShapeError(f"auto_pad '{auto_pad}' is unknown")
    begins, ends = [], []
    for dim, k, stride, dilation in zip(dims, kernel, strides, dilations, strict=True):
        span = (ceildiv(dim, stride) - 1) * stride + effective_kernel(k, dilation)
        total = maximum(span - dim, 0)
        small = floordiv(total, 2)
        upper = auto_pad == "SAME_UPPER"
        begins.append(small if upper else total - small)
        ends.append(total - small if upper else small)
    return begins, ends


def transposed_pads(
    auto_pad: str, totals: Sequence[Dim], pads: Sequence[int] | None
) -> tuple[list[Dim], list[Dim]]:
    """Padding of a ConvTranspose whose sizes ask for ``totals`` (ignored where pads are given)."""
    n = len(totals)
    if auto_pad in ("", "NOTSET") and pads is not None:
        return list(pads[:n]), list(pads[n:])
    halves = [floordiv(total, 2) for total in totals]
    rests = [total - half for total, half in zip(totals, halves, strict=True)]
    return (halves, rests) if auto_pad == "SAME_UPPER" else (rests, halves)


def reshape_target(
    dims: Sequence[Dim], target: Sequence[Dim], allow_zero: bool, assume: Assume | None = None
) -> list[Dim]:
    """The shape a Reshape gives: 0 copies a size (unless ``allow_zero``), -1 is the rest.

    The rest of `2 * (n // 2) * m` beside `n` is `m`: ``assume`` hears of what makes that true.
    """
    result = list(target)
    if not allow_zero:
        for axis, size in enumerate(target):
            if size == 0:
                if axis >= len(dims):
                    raise ShapeError(f"0 at axis {axis} copies a size {shape_text(dims)} has not")
                result[axis] = dims[axis]
    free = [axis for axis, size in enumerate(result) if size == -1]
    if len(free) > 1:
        raise ShapeError(f"target {shape_text(target)} has more than one -1")
    left, right = _cancel(dims, [size for size in result if size != -1])
    if free:
        result[free[0]] = _quotient(left, right, dims, target, assume)
        return result
    equal = is_equal(product(left), product(right))
    if equal is False:
        raise ShapeError(f"{shape_text(dims)} cannot be reshaped to {shape_text(target)}")
    if equal is None and assume is not None:
        assume(product(left), product(right))
    return result


def _cancel(lhs: Sequence[Dim], rhs: Sequence[Dim]) -> tuple[list[Dim], list[Dim]]:
    """Both lists without the symbolic factors that they share."""
    left, right = list(lhs), []
    for dim in rhs:
        if not isinstance(dim, int) and dim in left:
            left.remove(dim)
        else:
            right.append(dim)
    return left, right


def _quotient(
    left: Sequence[Dim],
    right: Sequence[Dim],
    dims: Sequence[Dim],
    target: Sequence[Dim],
    assume: Assume | None,
) -> Dim:
    total, known = product(left), product(right)
    if known == 0:
        return 0
    exact = exact_quotient(total, known)
    if exact is not None:
        return exact
    if isinstance(total, int) and isinstance(known, int):
        raise ShapeError(f"{shape_text(dims)} cannot be reshaped to {shape_text(target)}")
    unrounded, denominator = without_rounding(total)
    exact = exact_quotient(unrounded, known * denominator)
    if assume is None:
        return floordiv(total, known)
    rest = floordiv(total, known) if exact is None else exact
    assume(total, known * rest)
    return rest


def clamp(value: Dim, low: Dim, high: Dim) -> Dim:
    """``value``, or the bound it is beyond."""
    return minimum(maximum(value, low), high)


def _from_end(index: Dim, dim: Dim, low: Dim, high: Dim) -> Dim:
    """A Slice bound, negative ones counted from the end, clamped to [low, high]; low is 0 or -1."""
    if isinstance(index, int) and abs(index) >= INFINITE_INDEX:
        return high if index > 0 else minimum(low, high)
    least, most = bounds(index)
    if least is not None and least >= 0:
        return clamp(index, low, high)
    if most is not None and most < 0:
        return clamp(index + dim, low, high)
    # The sign is known at run time only: the sum of both cases, each 0 where the other holds.
    is_natural = maximum(minimum(index, 0), -1) + 1
    natural = minimum(maximum(index, 0), high) - minimum(0, high) * (1 - is_natural)
    negative = clamp(minimum(index, 0) + dim, low, high) - clamp(dim, low, high) * is_natural
    return natural + negative


def slice_bounds(start: Dim, end: Dim, step: int, dim: Dim) -> tuple[Dim, Dim]:
    """(first index, number of elements) of a Slice along a dimension of size ``dim``."""
    if step == 0:
        raise ShapeError("Slice with step 0")
    if step > 0:
        first = _from_end(start, dim, 0, dim)
        last = _from_end(end, dim, 0, dim)
        return first, maximum(ceildiv(last - first, step), 0)
    first = _from_end(start, dim, 0, dim - 1)
    last = _from_end(end, dim, -1, dim - 1)
    return first, maximum(ceildiv(first - last, -step), 0)


def slice_of(start: int, end: int, step: int, dim: int) -> slice:
    """The Python slice that takes what a Slice takes; they differ in bounds beyond the first."""
    first, count = slice_bounds(start, end, step, dim)
    assert isinstance(first, int) and isinstance(count, int)
    stop = first + count * step
    return slice(first, None if stop < 0 else stop, step) if count else slice(0)


def concat_dims(
    shapes: Sequence[Sequence[Dim]], axis: int, assume: Assume | None = None
) -> list[Dim]:
    """The shape of a concatenation."""
    ranks = {len(dims) for dims in shapes}
    if len(ranks) != 1:
        raise ShapeError(f"Concat of {' and '.join(map(shape_text, shapes))}: ranks differ")
    result = list(shapes[0])
    axis = normalize_axis(axis, len(result))
    what = f"sizes other than axis {axis}'s of {' and '.join(map(shape_text, shapes))}"
    for dims in shapes[1:]:
        for i, dim in enumerate(dims):
            same = i != axis
            result[i] = unify(result[i], dim, what, assume) if same else result[i] + dim
    return result


def split_sizes(dim: Dim, parts: int, rounded_up: bool) -> list[Dim]:
    """Sizes of an even Split; ``rounded_up`` (num_outputs, since 18) lets the last be smaller."""
    if rounded_up:
        chunk = ceildiv(dim, parts)
        last = dim - chunk * (parts - 1)
        return [chunk] * (parts - 1) + [last]
    if isinstance(dim, int) and dim % parts:
        raise ShapeError(f"size {dim} does not split into {parts} equal parts")
    return [floordiv(dim, parts)] * parts


def known_positive(dim: Dim) -> bool:
    """Whether a size is larger than 0 for all sizes."""
    return sign(dim) == 1
