"""Which layers are filtered, by which tiles, and how they are cut."""

from __future__ import annotations

import pytest

from dialects.onnx.dims import symbol
from passes.cost import INTEGERS, Machine
from passes.winograd.cost import SCRATCH_BYTES, Layer, Plan, costs

SMALL = Machine(lanes=8, registers=16, l1_bytes=32 << 10, l2_bytes=512 << 10, l3_bytes=32 << 20)
WIDE = Machine(lanes=16, registers=32, l1_bytes=48 << 10, l2_bytes=2 << 20, l3_bytes=64 << 20)
MACHINES = pytest.mark.parametrize("machine", [SMALL, WIDE])


def plan(machine: Machine, channels: int, outputs: int, size: int) -> Plan | None:
    """The plan for a square image."""
    return costs(Layer(1, channels, outputs, size, size), machine).best


@MACHINES
@pytest.mark.parametrize(("channels", "size"), [(64, 56), (128, 28), (64, 224), (256, 56)])
def test_large_images_take_large_tiles(machine: Machine, channels: int, size: int) -> None:
    found = plan(machine, channels, channels, size)
    assert found is not None and found.tile == 4


@MACHINES
@pytest.mark.parametrize(("channels", "outputs", "size"), [(3, 64, 224), (1, 8, 28), (512, 512, 1)])
def test_few_channels_or_tiles_stay_direct(
    machine: Machine, channels: int, outputs: int, size: int
) -> None:
    assert plan(machine, channels, outputs, size) is None


@MACHINES
def test_deep_layers_do_not_read_four_times_the_weights(machine: Machine) -> None:
    found = plan(machine, 512, 512, 7)
    assert found is None or found.tile == 2


@MACHINES
def test_buffers_fit_a_stack(machine: Machine) -> None:
    for channels, size in [(16, 112), (64, 56), (512, 14), (1024, 28), (4096, 14)]:
        for found in costs(Layer(1, channels, channels, size, size), machine).plans:
            planes = (found.tile + 2) ** 2
            assert found.block == 1 or 4 * planes * found.block * channels <= SCRATCH_BYTES


@MACHINES
def test_few_blocks_are_shared_out_by_channels(machine: Machine) -> None:
    found = plan(machine, 128, 128, 14)
    assert found is not None and found.groups > 1
    assert costs(Layer(64, 128, 128, 14, 14), machine).plans[0].groups == 1


def test_unknown_sizes_count_as_large_ones() -> None:
    found = costs(Layer(symbol("n"), 64, 64, symbol("h"), symbol("w")), SMALL).best
    assert found is not None and found.tile == 4


def test_much_larger_weights_must_save_more() -> None:
    layer = Layer(1, 512, 512, 7, 7, 2, numbers=INTEGERS)
    found = costs(layer, SMALL)
    small = min(found.plans, key=lambda plan: plan.tile)
    assert 0.85 < small.cycles / found.direct < 0.9 and small.growth > 4
    assert found.best is None, "25 planes of 16 bits for 9 taps of bytes"
