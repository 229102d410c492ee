"""onnx-apply-strassen: plans, and what they cost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passes.cost import Machine
from passes.krnl.tiles import CACHE_PERIOD, tile_rows
from passes.onnx.apply_strassen import in_quarters
from passes.strassen import (
    LEFT,
    MOST_ROWS,
    RESULTS,
    RIGHT,
    block_of_depth,
    pair_width,
    plan,
    rows_of_plane,
)

AVX2 = Machine(8, 16, 32_768, 524_288, 33_554_432)
AVX512 = Machine(16, 32, 49_152, 2_097_152, 33_554_432)


def test_seven_products_add_up_to_the_product() -> None:
    # Numbers for blocks: each product of two blocks shows up in the result as often as it should.
    for i in range(2):
        for j in range(2):
            found: dict[tuple, int] = {}
            for number, sign in RESULTS[i][j]:
                left, right = LEFT[number], RIGHT[number]
                for a, x in ((left.block, 1), (left.other, left.sign)):
                    for b, y in ((right.block, 1), (right.other, right.sign)):
                        found[a, b] = found.get((a, b), 0) + sign * x * y
            wanted = {((i, t), (t, j)): 1 for t in range(2)}
            assert {key: count for key, count in found.items() if count} == wanted


@given(rows=st.integers(1, 5000), columns=st.integers(1, 5000))
def test_tiles_of_a_block_are_whole_but_for_the_first(rows: int, columns: int) -> None:
    for machine in (AVX2, AVX512):
        found = plan(rows, 768, columns, machine)
        width = pair_width(columns, machine.lanes, machine.registers)
        if found is None:
            continue
        height = tile_rows(None, width // machine.lanes, machine.registers)
        assert 1 <= found.head <= height
        assert (found.block - found.head) % height == 0
        assert found.block <= MOST_ROWS
        assert found.block <= -(-rows // 2)
        assert -(-columns // width) % 2 == 0


@pytest.mark.parametrize(
    ("rows", "depth", "columns", "pays"),
    [
        (128, 768, 3072, True),
        (128, 3072, 768, True),
        (197, 768, 768, True),
        (128, 512, 512, True),
        (16_384, 1024, 256, False),
        (49, 2048, 512, False),
        (784, 128, 512, False),
        (3136, 64, 256, False),
        (1, 768, 3072, False),
    ],
)
def test_what_pays(rows: int, depth: int, columns: int, pays: bool) -> None:
    found = plan(rows, depth, columns, AVX2)
    assert (found is not None and found.is_worthwhile) == pays


@pytest.mark.parametrize(
    ("depth", "width", "l1_bytes", "taps"),
    [
        (384, 64, 49_152, 96),
        (1536, 64, 49_152, 96),
        (256, 64, 49_152, 64),
        (384, 16, 32_768, 192),
        (40, 64, 49_152, 40),
        # 2 x 173 and a prime: no block that is long enough.
        (346, 64, 49_152, 346),
        (1009, 16, 32_768, 1009),
    ],
)
def test_the_depth_of_a_block(depth: int, width: int, l1_bytes: int, taps: int) -> None:
    assert block_of_depth(depth, width, l1_bytes) == taps


@given(half=st.integers(1, 200), taps=st.integers(1, 256))
def test_planes_of_sums_begin_in_different_places_of_the_cache(half: int, taps: int) -> None:
    rows = rows_of_plane(half, taps)
    assert half <= rows <= half + 1
    assert rows * taps * 4 % CACHE_PERIOD or taps * 4 % CACHE_PERIOD == 0


def test_weights_lie_in_quarters() -> None:
    # 2 blocks of 3 rows of each half, 3 panels of 2 columns and one of zeros.
    matrix = np.arange(12 * 6, dtype=np.float32).reshape(12, 6)
    weight = in_quarters(matrix, 3, 2)
    assert weight.shape == (24, 4)
    padded = np.pad(matrix, ((0, 0), (0, 2)))
    for block, below, beside, pair in np.ndindex(2, 2, 2, 2):
        row, column = below * 6 + block * 3, (pair * 2 + beside) * 2
        first = (block * 4 + below * 2 + beside) * 3
        found = weight[first : first + 3, pair * 2 : pair * 2 + 2]
        np.testing.assert_array_equal(found, padded[row : row + 3, column : column + 2])
