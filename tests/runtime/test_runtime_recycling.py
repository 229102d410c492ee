"""Results' memory: used again when nobody holds it, and only then."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from runtime.memory import ALIGNMENT, address_of
from runtime.recycling import LEAST_BYTES, MOST_CARVED, SLAB_BYTES, Recycler

FLOAT = np.dtype(np.float32)
SHAPE = (2, LEAST_BYTES // 4)
BYTES = 2 * LEAST_BYTES


def taken(recycler: Recycler, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    array, address = recycler.block(shape, FLOAT, FLOAT.itemsize * int(np.prod(shape)))
    assert address_of(array) == address and address % ALIGNMENT == 0
    assert array.shape == shape and array.dtype == FLOAT and array.flags.c_contiguous
    return array


def test_block_of_a_dead_result_is_used_again() -> None:
    recycler = Recycler(1)
    first = taken(recycler)
    address = address_of(first)
    del first
    assert address_of(taken(recycler)) == address


def test_blocks_of_living_results_are_not() -> None:
    recycler = Recycler(4)
    held = []
    for number in range(6):
        held.append(taken(recycler))
        held[-1][...] = number
    assert [array.min() for array in held] == [array.max() for array in held] == [*range(6)]


def test_view_of_a_result_keeps_its_block() -> None:
    recycler = Recycler(1)
    result = taken(recycler)
    result[...] = 7
    row = result[1, 10:20]
    del result
    gc.collect()
    taken(recycler)[...] = 8
    assert (row == 7).all()


def test_block_of_another_size_is_not_taken() -> None:
    recycler = Recycler(2)
    address = address_of(taken(recycler))
    other = taken(recycler, (3, LEAST_BYTES))
    assert address_of(other) != address
    other[...] = 1
    assert address_of(taken(recycler)) == address


def test_idle_blocks_are_no_more_than_results() -> None:
    recycler = Recycler(2)
    held = [taken(recycler) for _ in range(5)]
    last = {address_of(array) for array in held[-2:]}
    while held:
        del held[0]
    assert {address_of(array) for array in (taken(recycler), taken(recycler))} == last


def test_small_results_are_numpys_own() -> None:
    recycler = Recycler(1)
    array, _ = recycler.block((3,), FLOAT, 12)
    assert isinstance(array.base, np.ndarray)


def test_small_results_share_no_bytes_and_slabs_no_more_than_they_hold() -> None:
    recycler = Recycler(1)
    sizes = [0, 1, 16, 100, MOST_CARVED // 4] * 20
    held = [taken(recycler, (size,)) for size in sizes]
    for number, array in enumerate(held):
        array[...] = number
    for number, array in enumerate(held):
        assert (array == number).all()
    assert len({id(array.base) for array in held}) <= 2 * sum(sizes) * 4 // SLAB_BYTES + 2


def test_threads_never_share_a_block() -> None:
    recycler = Recycler(3)

    def work(number: int) -> None:
        for _ in range(200):
            array, small = taken(recycler), taken(recycler, (10,))
            array[...] = small[...] = number
            assert (array == number).all() and (small == number).all()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
