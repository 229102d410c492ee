"""Heights and widths of tiles: high, but such that the last one repeats little."""

from __future__ import annotations

import pytest

from passes.krnl.tiles import panel_width, panels_at_once, side_by_side, tile_rows, window_rows


@pytest.mark.parametrize(
    ("rows", "height"), [(1, 1), (6, 6), (7, 4), (14, 5), (49, 5), (56, 4), (3136, 6), (None, 6)]
)
def test_rows_of_a_tile_of_two_vectors_in_sixteen_registers(rows: int | None, height: int) -> None:
    assert tile_rows(rows, 2, 16) == height


@pytest.mark.parametrize("vectors", [1, 2, 3, 4])
@pytest.mark.parametrize("registers", [16, 32])
def test_a_tile_leaves_a_register_free(vectors: int, registers: int) -> None:
    rows = tile_rows(None, vectors, registers)
    assert rows * vectors + vectors + 1 < registers


def test_tiles_of_several_vectors_have_registers_for_rows_loaded_ahead() -> None:
    assert [tile_rows(None, vectors, 32) for vectors in (1, 2, 3, 4)] == [14, 10, 9, 6]
    assert [tile_rows(None, vectors, 16) for vectors in (1, 2, 3)] == [13, 6, 3]


def test_rows_of_one_cache_set_are_no_more_than_it_holds() -> None:
    assert tile_rows(None, 1, 16, pitch=4096) == 7
    assert tile_rows(None, 1, 16, pitch=4096 + 64) == tile_rows(None, 1, 16) == 13


@pytest.mark.parametrize(("rows", "panel"), [(2, 32), (3, 24), (4, 16), (8, 16)])
def test_few_rows_have_wide_panels(rows: int, panel: int) -> None:
    assert panel_width(768, 8, 16, rows) == panel


@pytest.mark.parametrize(("panels", "at_once"), [(2, 2), (4, 2), (8, 2), (16, 4), (64, 4)])
def test_few_panels_are_shared_out(panels: int, at_once: int) -> None:
    assert panels_at_once(panels, 4, 32) == at_once


def test_a_window_leaves_registers_for_what_is_under_it() -> None:
    assert window_rows(None, 3, 16) == 6
    assert window_rows(28, 5, 16) == 4
    assert window_rows(None, 3, 32) == 14
    assert window_rows(56, 3, 32, in_groups=True) == 8, "what is shuffled takes registers, too"


@pytest.mark.parametrize(("columns", "vectors"), [(144, 9), (1280, 10), (5, 1), (None, 12)])
def test_vectors_side_by_side_divide_the_columns(columns: int | None, vectors: int) -> None:
    assert side_by_side(columns, 8, 12) == vectors


@pytest.mark.parametrize(
    ("columns", "registers", "panel", "panels"),
    [
        (768, 16, 24, 4),
        (1024, 16, 16, 4),
        (50257, 16, 16, 6),
        (256, 16, 16, 4),
        (10, 16, 16, 1),
        (768, 32, 48, 4),
    ],
)
def test_a_row_goes_over_several_panels_at_once(
    columns: int, registers: int, panel: int, panels: int
) -> None:
    assert panel_width(columns, 8, registers, rows=1) == panel
    assert panels_at_once(-(-columns // panel), panel // 8, registers) == panels


@pytest.mark.parametrize(
    ("most", "rows", "panel"),
    [
        (None, 0, 64),
        (4, 0, 64),
        (3, 0, 32),
        (2, 49, 32),
        # Narrower panels would load too much for each product.
        (1, 0, 32),
        # What is read once need not stay.
        (2, 1, 64),
    ],
)
def test_a_panel_stays_in_the_cache(most: int | None, rows: int, panel: int) -> None:
    assert panel_width(512, 16, 32, rows, most) == panel
