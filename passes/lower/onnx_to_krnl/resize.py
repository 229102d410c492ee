"""Resize and Upsample: every element from the nearest one, or from weighted neighbours along each
axis.

The innermost resized axis, when the result is a whole number of times as long, runs over the
operand's elements and gives all results between two of them at once; only its ends need clamped
indices. Otherwise what it takes from where is computed once for all rows, and kept in a table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from xdsl.dialects.builtin import IntegerType

from dialects.onnx.dims import Dim, exact_quotient
from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.helpers import normalize_axis
from dialects.onnx.types import dtype_of, f32, f64, is_none
from passes.lower.index import Affine, Var, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.quantization import rounded
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.resize_axes import (
    LINEAR,
    ResizedAxis,
    Scale,
    Taps,
    Window,
    cubic_polynomials,
    exact_scale,
    scalar,
)
from passes.lower.onnx_to_krnl.result_sizes import result_sizes
from passes.lower.onnx_to_krnl.scalars import Scalar
from passes.onnx.bind_parameters import parameter

i64 = IntegerType(64)

PIECE = 256
"""Places of a row that a table speaks of: it stays in the first cache."""


@root("Resize", "Upsample", fuses="maps")
def resize(k: Kernel, op: OnnxOp) -> None:
    """The operand, stretched or shrunk along some axes."""
    _Resize(k, op).emit()


@result_sizes("Resize", "Upsample")
def resize_sizes(k: Kernel, op: OnnxOp) -> list[Affine]:
    """Sizes that follow from scales or an aspect ratio that only a run knows."""
    request = _Request.of(op, op.since.value.data)  # type: ignore[attr-defined]
    dims = k.dims(op.operands[0])
    sizes = [k.size(dim) for dim in dims]
    axes = request.axes(len(dims))
    scales = _scales(k, request, [dims[axis] for axis in axes])
    for axis, scale in zip(axes, scales, strict=True):
        exact = k.s.mul(k.s.from_index(k.index_value(sizes[axis]), f64), scale.scalar(k))
        if request.sizes is None:
            # As others do: the product of float32 numbers, rounded to float32.
            count = k.s.floor(k.s.cast(exact, f32))
        else:
            count = k.s.floor(k.s.add(exact, k.s.const(0.5, f64)))
        sizes[axis] = index_ops.from_scalar(k, k.s.cast(count, i64))
    return sizes


@dataclass(frozen=True)
class _Request:
    """What a Resize or Upsample asks for, whichever version says it; operands by number."""

    op: OnnxOp
    scales: int | None
    sizes: int | None
    roi: int | None
    transformation: str
    rounding: str

    @staticmethod
    def of(op: OnnxOp, since: int) -> _Request:
        """The request of an operation."""
        old = len(op.operands) < 3
        if old:
            scales = 1 if len(op.operands) > 1 else None
            return _Request(op, scales, None, None, "asymmetric", "floor")
        scales, sizes, roi = (_present(op, number) for number in (2, 3, 1))
        return _Request(
            op,
            None if sizes is not None else scales,
            sizes,
            roi,
            op.get("coordinate_transformation_mode") or "half_pixel",
            op.get("nearest_mode") or "round_prefer_floor",
        )

    @property
    def attribute_scales(self) -> list[float] | None:
        """Scales that are attributes: Upsample until version 7."""
        if self.op.get("height_scale") is not None:
            return [1.0, 1.0, self.op.get("height_scale"), self.op.get("width_scale")]
        return None if self.op.get("scales") is None else list(self.op.get("scales"))

    def axes(self, rank: int) -> list[int]:
        """The axes that scales, sizes and roi speak of."""
        given = self.op.get("axes")
        return [normalize_axis(axis, rank) for axis in (range(rank) if given is None else given)]


def _present(op: OnnxOp, number: int) -> int | None:
    """The operand's number, None when it is absent or empty."""
    if number >= len(op.operands):
        return None
    found = parameter(op, number)
    if found is not None:
        return number if found else None
    return None if is_none(op.operands[number]) else number


def _floats(k: Kernel, op: OnnxOp, number: int, count: int) -> list[Fraction | Scalar]:
    """A list of numbers, known or read from memory as float64."""
    found = parameter(op, number)
    if found is not None:
        return [
            exact_scale(float(entry))
            if isinstance(entry, int | float)
            else k.s.from_index(k.index_value(k.size(entry)), f64)
            for entry in found
        ]
    value = op.operands[number]
    return [k.s.cast(k.read(value, [affine(place)]), f64) for place in range(count)]


def _scales(k: Kernel, request: _Request, dims: Sequence[Dim]) -> list[Scale]:
    """The scale of each axis that the request speaks of."""
    if request.sizes is not None:
        return _scales_of_sizes(k, request, dims)
    given = request.attribute_scales
    if given is not None:
        return [Scale(exact_scale(scale)) for scale in given]
    assert request.scales is not None
    entries = _floats(k, request.op, request.scales, len(dims))
    return [
        Scale(entry) if isinstance(entry, Fraction) else Scale(None, entry) for entry in entries
    ]


def _scales_of_sizes(k: Kernel, request: _Request, dims: Sequence[Dim]) -> list[Scale]:
    policy = request.op.get("keep_aspect_ratio_policy") or "stretch"
    assert request.sizes is not None
    sizes = parameter(request.op, request.sizes) or [None] * len(dims)
    wanted = index_ops.parameters(k, request.op, request.sizes) or []
    ratios = [_ratio(size, dim) for size, dim in zip(sizes, dims, strict=True)]
    numbers = [
        k.s.div(*(k.s.from_index(k.index_value(k.size(x)), f64) for x in pair))
        for pair in zip(wanted, dims, strict=True)
    ]
    if policy == "stretch":
        return [Scale(ratio, number) for ratio, number in zip(ratios, numbers, strict=True)]
    known = [ratio for ratio in ratios if ratio is not None]
    if len(known) == len(ratios):
        return [Scale(min(known) if policy == "not_larger" else max(known))] * len(ratios)
    best = numbers[0]
    for number in numbers[1:]:
        best = k.s.min(best, number) if policy == "not_larger" else k.s.max(best, number)
    return [Scale(None, best)] * len(ratios)


def _ratio(size: object, dim: Dim) -> Fraction | None:
    """`size / dim` where it is the same in every run."""
    if isinstance(size, int) and isinstance(dim, int):
        return Fraction(size, dim) if dim else Fraction(1)
    if size is None:
        return None
    up, down = exact_quotient(size, dim), exact_quotient(dim, size)  # type: ignore[arg-type]
    if isinstance(up, int) and up > 0:
        return Fraction(up)
    return Fraction(1, down) if isinstance(down, int) and down > 0 else None


class _Resize:
    """Emission of one Resize or Upsample."""

    def __init__(self, k: Kernel, op: OnnxOp) -> None:
        self.k, self.op = k, op
        self.source, self.result = op.operands[0], op.results[0]
        self.request = _Request.of(op, op.SINCE)
        self.layout = k.result_layout(self.result)
        self.order = self.layout.order
        self.element = k.element(self.result)
        self.kind = f64 if dtype_of(self.source.type).itemsize == 8 else f32
        mode = op.get("mode") or "nearest"
        self.mode = {"bilinear": "linear"}.get(mode, mode)
        self.axes = self._resized_axes()
        self.last = next((a for a in reversed(self.order) if a in self.axes), None)

    def _resized_axes(self) -> dict[int, ResizedAxis]:
        k, request = self.k, self.request
        dims, sizes = k.dims(self.source), k.dims(self.result)
        named = request.axes(len(dims))
        scales = _scales(k, request, [dims[axis] for axis in named])
        crops = request.transformation == "tf_crop_and_resize"
        roi = _floats(k, self.op, request.roi or 1, 2 * len(named)) if crops else []
        found: dict[int, ResizedAxis] = {}
        for place, (axis, scale) in enumerate(zip(named, scales, strict=True)):
            part = (roi[place], roi[len(named) + place]) if crops else (Fraction(0), Fraction(1))
            if dims[axis] == sizes[axis] and scale.exact == 1 and part == (0, 1):
                continue
            found[axis] = ResizedAxis(
                dims[axis],
                sizes[axis],
                scale,
                request.transformation,
                self.kind,
                self._scalars(*part) if crops else None,
            )
        return found

    def _scalars(self, *numbers: Fraction | Scalar) -> tuple[Scalar, Scalar]:
        start, end = (
            self.k.s.const(float(n), f64) if isinstance(n, Fraction) else n for n in numbers
        )
        return start, end

    # Loops ----------------------------------------------------------------------------------

    def emit(self) -> None:
        """Emits the nests."""
        if self._has_table():
            dims, outer = self.k.dims(self.result), self.order[:-2]
            self.k.nest([dims[axis] for axis in outer], self._rows)
        else:
            self._level([], {})

    def _has_table(self) -> bool:
        """Whether rows of one image share a table of what lies under their places."""
        if len(self.order) < 2 or any(axis in self.axes for axis in self.order[:-2]):
            return False
        axis = self.axes.get(self.order[-1])
        is_cropped = self.request.transformation == "tf_crop_and_resize"
        if axis is None or is_cropped or self.op.get("antialias"):
            return False
        return not self._has_phases(axis)

    def _rows(self, outer: list[Affine]) -> None:
        """The rows of one image, a piece of each at a time."""
        k, dims = self.k, self.k.dims(self.result)
        row, last = self.order[-2:]
        width = k.size(dims[last])

        def piece(ivs: list[Affine]) -> None:
            start = ivs[0] * PIECE
            count = index_ops.minimum(k, width - start, PIECE)
            table = self._table(self.axes[last], start, count)

            def line(ivs: list[Affine]) -> None:
                taps: dict[int, Taps | Window] = {}
                if row in self.axes:
                    taps[row] = self._taps(self.axes[row], ivs[0])

                def element(at: list[Affine]) -> None:
                    self._give([*outer, ivs[0], start + at[0]], {**taps, last: table(at)})

                k.nest([count], element)

            k.nest([dims[row]], line)

        k.nest([(width + (PIECE - 1)) // PIECE], piece)

    def _table(
        self, axis: ResizedAxis, start: Affine, count: Affine
    ) -> Callable[[list[Affine]], Taps]:
        """Computes what lies under some places of an axis; gives how to look it up."""
        k = self.k
        most = {"nearest": 1, "linear": 2}.get(self.mode, 4)
        buffers = [(k.scratch([PIECE], i64), k.scratch([PIECE], self.kind)) for _ in range(most)]
        numbers: list[float | None] = []

        def fill(at: list[Affine]) -> None:
            taps = self._taps(axis, start + at[0])
            assert isinstance(taps, Taps) and taps.outside is None
            found = zip(taps.indices, taps.weights, strict=True)
            for (index, weight), (indices, weights) in zip(found, buffers, strict=False):
                k.store(k.s.from_index(k.index_value(index), i64), indices, at)
                numbers.append(weight if isinstance(weight, float) else None)
                if isinstance(weight, Scalar):
                    k.store(weight, weights, at)

        k.nest([count], fill)

        def look_up(at: list[Affine]) -> Taps:
            found = [
                (
                    k.index_of(k.s.to_index(k.load(indices, at, i64)), 0),
                    k.load(weights, at, self.kind) if number is None else number,
                )
                for number, (indices, weights) in zip(numbers, buffers, strict=False)
            ]
            return Taps(tuple(index for index, _ in found), tuple(weight for _, weight in found))

        return look_up

    def _level(self, outer: list[Affine], taps: dict[int, Taps | Window]) -> None:
        """Loops over the axes from the first without a variable up to the next resized one."""
        run: list[int] = []
        for axis in self.order[len(outer) :]:
            run.append(axis)
            if axis in self.axes:
                break
        sizes = [self.k.dims(self.result)[axis] for axis in run]
        if not run:
            self._give(outer, taps)
            return
        axis = run[-1]
        innermost = len(outer) + len(run) == len(self.order)
        if innermost and axis in self.axes and self._has_phases(self.axes[axis]):
            self._phases(outer, run, taps)
            return

        def body(ivs: list[Affine]) -> None:
            found = dict(taps)
            if axis in self.axes:
                found[axis] = self._taps(self.axes[axis], ivs[-1])
            self._level([*outer, *ivs], found)

        self.k.nest(sizes, body)

    def _has_phases(self, axis: ResizedAxis) -> bool:
        excluding = self.mode != "nearest" and self.op.get("exclude_outside")
        return axis.period is not None and axis.period <= 8 and not excluding

    def _phases(self, outer: list[Affine], run: list[int], taps: dict[int, Taps | Window]) -> None:
        """Over the operand's elements: clamped at both ends, by known offsets between them."""
        k, axis = self.k, self.axes[run[-1]]
        period = axis.period
        assert period is not None
        probe = affine(Var(None))
        offsets = [
            (index - probe).constant
            for phase in range(period)
            for index in self._taps(axis, probe * period + phase, inside=True).indices  # type: ignore[union-attr]
        ]
        dim = k.size(axis.dim)
        start = index_ops.minimum(k, affine(max(0, -min(offsets))), dim)
        stop = index_ops.maximum(k, dim - max(0, *offsets), start)
        rest = [(affine(0), k.size(k.dims(self.result)[a])) for a in run[:-1]]

        def body(ivs: list[Affine], inside: bool) -> None:
            for phase in range(period):
                entry = ivs[-1] * period + phase
                found = {**taps, run[-1]: self._taps(axis, entry, inside)}
                self._give([*outer, *ivs[:-1], entry], found)

        for lower, upper, inside in (
            (affine(0), start, False),
            (start, stop, True),
            (stop, dim, False),
        ):
            if lower != upper:
                k.nest([*rest, (lower, upper)], lambda ivs, inside=inside: body(ivs, inside))

    # Values ---------------------------------------------------------------------------------

    def _taps(self, axis: ResizedAxis, entry: Affine, inside: bool = False) -> Taps | Window:
        if self.mode == "nearest":
            return axis.nearest(self.k, entry, self.request.rounding, inside)
        cubic = self.op.get("cubic_coeff_a") if self.mode == "cubic" else None
        excluding = bool(self.op.get("exclude_outside"))
        if self.op.get("antialias") and not (axis.scale.exact and axis.scale.exact >= 1):
            return axis.window(self.k, entry, cubic, excluding)
        polynomials = LINEAR if cubic is None else cubic_polynomials(cubic)
        return axis.interpolated(self.k, entry, polynomials, excluding, inside)

    def _give(self, ivs: Sequence[Affine], taps: dict[int, Taps | Window]) -> None:
        k = self.k
        entries = k.logical(self.layout, ivs)
        weighted = [axis for axis in self.order if axis in taps]
        if self.mode == "nearest":
            value = k.read(self.source, self._moved(entries, taps))
        else:
            value = self._converted(self._combine(entries, weighted, taps))
        k.give(self.result, entries, self._extrapolated(value, taps))

    def _moved(self, entries: list[Affine], taps: dict[int, Taps | Window]) -> list[Affine]:
        at = list(entries)
        for axis, found in taps.items():
            assert isinstance(found, Taps)
            at[axis] = found.indices[0]
        return at

    def _combine(
        self, entries: list[Affine], axes: Sequence[int], taps: dict[int, Taps | Window]
    ) -> Scalar:
        """The weighted sum over the taps of these axes, the innermost first."""
        k = self.k
        if not axes:
            return k.s.cast(k.read(self.source, entries), self.kind)
        axis, *rest = axes
        found = taps[axis]

        def at(place: Affine) -> Scalar:
            return self._combine([*entries[:axis], place, *entries[axis + 1 :]], rest, taps)

        if isinstance(found, Window):
            return self._filtered(self.axes[axis], found, at)
        total: Scalar | None = None
        for place, weight in zip(found.indices, found.weights, strict=True):
            value = at(place)
            part = value if weight == 1.0 else k.s.mul(value, scalar(k, weight, self.kind))
            total = part if total is None else k.s.add(total, part)
        assert total is not None
        return total

    def _filtered(
        self, axis: ResizedAxis, window: Window, at: Callable[[Affine], Scalar]
    ) -> Scalar:
        k = self.k

        def step(ivs: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            value = at(axis.clamp(k, window.first + ivs[0]))
            return [k.s.add(carried[0], k.s.mul(value, window.weight(ivs[0])))]

        return k.reduce([window.count], [k.s.const(0, self.kind)], step)[0]

    def _converted(self, value: Scalar) -> Scalar:
        """The sum in the result's type; integers are rounded and saturate."""
        return value if value.element == self.element else rounded(self.k.s, value, self.element)

    def _extrapolated(self, value: Scalar, taps: dict[int, Taps | Window]) -> Scalar:
        outside = [found.outside for found in taps.values() if isinstance(found, Taps)]
        for condition in outside:
            if condition is not None:
                fill = self.k.s.const(self.op.get("extrapolation_value") or 0, value.element)
                value = self.k.s.select(condition, fill, value)
        return value
