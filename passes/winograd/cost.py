"""What a convolution costs: directly, and by tiles of Winograd's filtering.

Costs are cycles of one core, counted from the sizes of a layer and the description of a target:

    products      a tile of registers does R * V vector products with two multiply-adds a cycle
    maps          operations of the maps and their loads and stores, three a cycle
    weights       read once for each block of tiles: the first time from memory, then from the
                  shared cache where they fit
    data          of a block that does not fit the core's cache: read again for each group of
                  columns

The maps do four (F(2, 3): 2.25) times fewer products, and read 4 (1.78) times more weights; with
stride 2 it is 1.78 (1.44) times fewer products and 9 (2.78) times more weights. Layers with many
channels and a small image are better off with the smaller tile or directly. A saving below a
tenth is not worth the memory of the next larger weights, one below a seventh not that of weights
more than four times as large as the layer's own. Integers are multiplied in pairs, of
bytes directly, and of 16 bits by the maps, whose weights are twice as large for that.

The constants were fitted to kernels of 15 layers, on a core with AVX2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

from dialects.onnx.dims import Dim, ceildiv, substitute, symbols_of
from passes.cost import FLOATS, MEMORY_BYTES_PER_CYCLE, Machine, Numbers, product_cycles
from passes.krnl.tiles import panel_width
from passes.winograd.matrices import POINTS, TAPS, length_of, matrices, operation_count

OPERATIONS_PER_CYCLE = 3
"""Vector operations, loads and stores of the maps in a cycle."""

OVERLAP = 0.85
"""How much of the shorter one, of computing and reading weights, the other one hides: a model's
weights do not stay in a cache from one run to the next, but are asked for ahead
(`passes/affine/prefetch.py`)."""

SHARED_CACHE_BYTES_PER_CYCLE = 8

SCRATCH_BYTES = 1 << 20
"""The most that the buffers of one thread may take on its stack."""

COLUMNS = 64
"""About so many output channels of a block are computed at a time."""

SHARES = 8
"""Parts that a layer should have, to be shared out to threads."""

ASSUMED_SIZE = 224
"""What a size is taken for that only a run knows: a photo's height and width, of which a layer's
sizes are a part."""

WORTHWHILE = 0.9
"""The most of the cost with smaller weights that is worth larger ones."""

LARGE, LARGE_WORTHWHILE = 4, 0.85
"""... and that is worth weights of more than so many times the layer's own bytes."""

SUM_BYTES = 4
"""Bytes of a sum of products, which is a lane of a vector."""


@dataclass(frozen=True)
class Layer:
    """A convolution with a 3x3 kernel: images, channels, the sizes of its result, its steps."""

    images: Dim
    channels: int
    outputs: int
    height: Dim
    width: Dim
    stride: int = 1
    dilation: int = 1
    numbers: Numbers = FLOATS


@dataclass(frozen=True)
class Plan:
    """How a layer is computed: see `onnx.WinogradConv`. ``cycles`` is what that costs."""

    tile: int
    stride: int
    block: int
    groups: int
    cycles: int
    growth: float
    """How many times as large the weights are as the layer's own."""

    @property
    def share(self) -> float:
        """The most of the cost with smaller weights that makes it worth its own."""
        return LARGE_WORTHWHILE if self.growth > LARGE else WORTHWHILE


@dataclass(frozen=True)
class Costs:
    """What there is to choose from."""

    direct: int
    plans: tuple[Plan, ...]

    @property
    def best(self) -> Plan | None:
        """The plan to take; None for the direct convolution."""
        return self.best_of(lambda plan: True)

    def best_of(self, is_possible: Callable[[Plan], bool]) -> Plan | None:
        """The one to take of those that are possible, which is asked only where it matters."""
        best, cycles = None, self.direct
        for plan in sorted(self.plans, key=lambda plan: plan.tile):
            if plan.cycles < plan.share * cycles and is_possible(plan):
                best, cycles = plan, plan.cycles
        return best


@cache
def costs(layer: Layer, machine: Machine) -> Costs:
    """The costs of a layer on a machine, for tiles of each size."""
    plans = [_Estimate(layer, machine, tile).best for tile in POINTS[layer.stride]]
    return Costs(_direct(layer, machine), tuple(plans))


def columns_at_a_time(outputs: int, panel: int) -> int:
    """How many output channels of a block are computed at a time: whole panels."""
    return min(panel * max(1, COLUMNS // panel), -(-outputs // panel) * panel)


def tiles_along(size: Dim, tile: int, dilation: int) -> Dim:
    """Tiles along an axis: elements ``dilation`` apart have tiles of their own."""
    return ceildiv(ceildiv(size, dilation), tile) * dilation


def _known(dim: Dim, assumed: int) -> int:
    """A size, its symbols taken for a number."""
    found = substitute(dim, dict.fromkeys(symbols_of(dim), assumed))
    return found if isinstance(found, int) else assumed


def _direct(layer: Layer, machine: Machine) -> int:
    images = _known(layer.images, 1)
    height, width = (_known(size, ASSUMED_SIZE) for size in (layer.height, layer.width))
    depth = TAPS**2 * layer.channels
    lines, row = (height, width) if width >= height else (width, height)
    cycles = images * lines * product_cycles(machine, layer.numbers, row, layer.outputs, depth)
    weights = layer.numbers.weight_bytes * depth * layer.outputs
    return _overlapped(cycles, weights / MEMORY_BYTES_PER_CYCLE)


def _overlapped(computing: float, reading: float) -> int:
    """The time of both together."""
    return round(max(computing, reading) + (1 - OVERLAP) * min(computing, reading))


@cache
def input_operations(tile: int, stride: int) -> int:
    """Operations to transform a tile of a vector of channels, loads and stores included."""
    length = length_of(tile, stride)
    return 2 * length * (operation_count(matrices(tile, stride).inputs) + 2 * length)


@cache
def output_operations(tile: int, stride: int) -> int:
    """Operations from a tile of sums to a tile of outputs."""
    length = length_of(tile, stride)
    one = operation_count(matrices(tile, stride).outputs) + length + tile
    return (length + tile) * one + 6 * tile**2


@dataclass(frozen=True)
class _Estimate:
    """The costs of one tile's size."""

    layer: Layer
    machine: Machine
    tile: int

    @property
    def planes(self) -> int:
        """Elements of a transformed tile."""
        return length_of(self.tile, self.layer.stride) ** 2

    @property
    def columns(self) -> int:
        """Output channels at a time."""
        machine, outputs = self.machine, self.layer.outputs
        return columns_at_a_time(outputs, panel_width(outputs, machine.lanes, machine.registers))

    @cached_property
    def tiles(self) -> int:
        """Tiles of one image."""
        sizes = (_known(size, ASSUMED_SIZE) for size in (self.layer.height, self.layer.width))
        height, width = (tiles_along(size, self.tile, self.layer.dilation) for size in sizes)
        assert isinstance(height, int) and isinstance(width, int)
        return max(1, height * width)

    @property
    def data_bytes(self) -> int:
        """Bytes of all channels of one element of a transformed tile."""
        return self.layer.numbers.mapped_bytes * self.layer.channels

    @property
    def best(self) -> Plan:
        """The best way to cut a layer into blocks."""
        per_tile = self.planes * (self.data_bytes + SUM_BYTES * self.columns)
        most = max(1, min(self.tiles, SCRATCH_BYTES // per_tile))
        fewest = -(-self.tiles // most)
        blocks = {-(-self.tiles // n) for n in range(fewest, 4 * fewest + 8)}
        return min((self.plan(block) for block in sorted(blocks)), key=lambda plan: plan.cycles)

    def plan(self, block: int) -> Plan:
        """The plan with so many tiles in a block."""
        images = _known(self.layer.images, 1)
        blocks = -(-self.tiles // block)
        most_groups = -(-self.layer.outputs // self.columns)
        groups = min(most_groups, -(-SHARES // (blocks * images)))
        # Where there is one block only, all groups take the same transformed data.
        times = 1 if images * blocks == 1 else groups
        computing = images * blocks * self.block_cycles(block, times)
        again = (images * blocks - 1) / self.weight_rate
        reading = self.weight_bytes * (1 / MEMORY_BYTES_PER_CYCLE + again)
        cycles = _overlapped(computing, reading)
        numbers = self.layer.numbers
        growth = self.planes * numbers.mapped_bytes / (TAPS**2 * numbers.weight_bytes)
        return Plan(self.tile, self.layer.stride, block, groups, cycles, growth)

    def block_cycles(self, block: int, times: int) -> float:
        """What a block costs besides reading the weights, its data transformed so many times."""
        layer, machine = self.layer, self.machine
        product = product_cycles(machine, layer.numbers, block, layer.outputs, layer.channels)
        vector_bytes = SUM_BYTES * machine.lanes
        sizes = (self.data_bytes, SUM_BYTES * layer.outputs)
        vectors = [-(-size // vector_bytes) for size in sizes]
        maps = block * (
            times * vectors[0] * input_operations(self.tile, layer.stride)
            + vectors[1] * output_operations(self.tile, layer.stride)
        )
        data = self.planes * block * self.data_bytes
        sums = SUM_BYTES * self.planes * block * self.columns
        again = data * (-(-layer.outputs // self.columns)) if data + sums > machine.l2_bytes else 0
        return (
            self.planes * product
            + maps / OPERATIONS_PER_CYCLE
            + again / SHARED_CACHE_BYTES_PER_CYCLE
        )

    @property
    def weight_bytes(self) -> int:
        """Bytes of the transformed weights."""
        return self.planes * self.data_bytes * self.layer.outputs

    @property
    def weight_rate(self) -> int:
        """Bytes in a cycle when they are read once more."""
        fits = self.weight_bytes <= self.machine.l3_bytes // 2
        return SHARED_CACHE_BYTES_PER_CYCLE if fits else MEMORY_BYTES_PER_CYCLE
