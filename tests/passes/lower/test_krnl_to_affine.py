"""lower-affine: a kernel gives the same numbers under every schedule, or the schedule fails."""

from __future__ import annotations

import random
import re
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from krnl_kernels import call, check_matmul, lowered, matmul, native
from native_kernel import aligned, like

from compiler.ir_text import new_context, parse_module, print_module
from passes.lower.krnl_to_affine import KrnlToAffine
from runtime.errors import InvalidModelError

TILE = """%i0, %i1 = krnl.block %i 4
%j0, %j1 = krnl.block %j 16
krnl.permute(%j0, %i0, {order})
krnl.tensorize(%i1, %j1) 8
"""
ROWS_FIRST = TILE.format(order="%i1, %j1")
COLUMNS_FIRST = TILE.format(order="%j1, %i1")
THRICE = """%i0, %i1 = krnl.block %i 6
%i2, %i3 = krnl.block %i1 4
%i4, %i5 = krnl.block %i0 2
krnl.permute(%i4, %i5, %j, %i2, %i3)
"""
SCHEDULES = {
    "none": "",
    "block": "%i0, %i1 = krnl.block %i 4",
    "block of one": "%i0, %i1 = krnl.block %i 1",
    "nested blocks": THRICE,
    "permute": "krnl.permute(%j, %i)",
    "unroll": "krnl.unroll %j",
    "unroll a block": "%i0, %i1 = krnl.block %i 4\nkrnl.permute(%i0, %j, %i1)\nkrnl.unroll %i1",
    "unroll both": "krnl.unroll %i\nkrnl.unroll %j",
    "vectorize": "krnl.vectorize %j 8",
    "vectorize by one": "krnl.vectorize %j 1",
    "vectorize a block": "%j0, %j1 = krnl.block %j 16\nkrnl.vectorize %j1 4",
    "tensorize all": "krnl.tensorize(%i, %j) 8",
    "tensorize": ROWS_FIRST,
    "tensorize, columns first": COLUMNS_FIRST,
    "outline": "krnl.outline %i",
    "outline tiles": ROWS_FIRST + "krnl.outline %j0",
    "outline, then block": "krnl.outline %i\n%i0, %i1 = krnl.block %i 4",
    "outline columns, parallel": "krnl.parallel(%i) 2\nkrnl.outline %j",
    "parallel": "krnl.parallel(%i) 2",
    "parallel, both": "krnl.parallel(%i, %j) 3",
    "parallel, vectorized": "krnl.parallel(%i) 1\nkrnl.vectorize %j 8",
    "parallel tiles": ROWS_FIRST + "krnl.parallel(%j0, %i0) 1",
    "parallel tiles, columns first": COLUMNS_FIRST + "krnl.parallel(%j0) 1",
    "parallel nested blocks": THRICE + "krnl.parallel(%i4) 1",
}
INNER = {
    "none": "",
    "block": "%l0, %l1 = krnl.block %l 3",
    "unroll": "krnl.unroll %l",
    "unroll a block": "%l0, %l1 = krnl.block %l 3\nkrnl.unroll %l1",
}
M, K, N = 13, 5, 37


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_product_under_every_schedule(schedule: str) -> None:
    text = SCHEDULES[schedule]
    # What is known of sizes decides on tails, masks and bounds: no size, every size, all of them.
    wanted = ["", "m", "n", "mkn"]
    kernels = native("\n".join(matmul(text, M, K, N, d, name=f"mm{d}") for d in wanted))
    for dynamic in wanted:
        for m in (M, 0, 1, 4, 12) if "m" in dynamic else (M,):
            for n in (N, 0, 1, 16, 40) if "n" in dynamic else (N,):
                check_matmul(kernels, m, K, n, f"mm{dynamic}")


@pytest.mark.parametrize("schedule", ["none", "tensorize"])
def test_a_reduction_under_every_schedule(schedule: str) -> None:
    cases = [(inner, k, d) for inner in INNER for k in (1, 7) for d in ("", "k")]
    texts = [
        matmul(SCHEDULES[schedule], 5, k, 9, d, INNER[inner], f"mm{number}")
        for number, (inner, k, d) in enumerate(cases)
    ]
    kernels = native("\n".join(texts))
    for number, (_, k, dynamic) in enumerate(cases):
        for depth in (k, 0, 2, 6) if dynamic else (k,):
            check_matmul(kernels, 5, depth, 9, f"mm{number}")


def test_a_register_tile_with_every_tail() -> None:
    # Tiles are 4 rows of 2 vectors of 8 columns.
    sizes = [(m, n) for m in (1, 3, 4, 6) for n in (1, 8, 9, 16, 23, 24, 33)]
    texts = [matmul(ROWS_FIRST, m, 3, n, name=f"mm{m}x{n}") for m, n in sizes]
    kernels = native("\n".join(texts))
    for m, n in sizes:
        check_matmul(kernels, m, 3, n, f"mm{m}x{n}")


def random_schedule(source: random.Random) -> str:
    """Some schedule operations in a row, most of them sensible."""
    loops, lines, names = ["%i", "%j"], [], iter(range(99))
    for _ in range(source.randint(1, 4)):
        loop = source.choice(loops)
        match source.choice(
            ["block", "block", "permute", "unroll", "vectorize", "tensorize", "par"]
        ):
            case "block":
                pair = [f"%b{next(names)}", f"%b{next(names)}"]
                lines.append(f"{', '.join(pair)} = krnl.block {loop} {source.choice([1, 3, 8])}")
                place = loops.index(loop)
                loops[place : place + 1] = pair
            case "permute":
                lines.append(f"krnl.permute({', '.join(source.sample(loops, len(loops)))})")
            case "unroll":
                lines.append(f"krnl.unroll {loop}")
            case "vectorize":
                lines.append(f"krnl.vectorize {loop} {source.choice([1, 2, 8])}")
            case "tensorize":
                rows, columns = source.sample(loops, 2)
                lines.append(f"krnl.tensorize({rows}, {columns}) 4")
            case _:
                lines.append(f"krnl.parallel({loop}) {source.randint(1, 3)}")
    return "\n".join(lines)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["", "m", "n", "mkn"]), st.sampled_from(list(INNER)))
def test_random_schedules_are_right_or_refused(seed: int, dynamic: str, inner: str) -> None:
    source = random.Random(seed)
    m, k, n = source.randint(1, 9), source.randint(1, 5), source.randint(1, 20)
    try:
        text = matmul(random_schedule(source), m, k, n, dynamic, INNER[inner])
        kernels = native(text)
    except InvalidModelError as error:
        assert error.place is not None and error.place.stage == "krnl"
        return
    check_matmul(kernels, m, k, n)
    fixed = zip("mkn", (m, k, n), strict=True)
    other = [source.randint(0, 20) if name in dynamic else size for name, size in fixed]
    check_matmul(kernels, *other)


# Other kernels -------------------------------------------------------------------------------

CONV = """
func.func @conv(%a: memref<9x11x6xf32>, %w: memref<3x3x6x10xf32>, %c: memref<4x5x10xf32>) {{
  %i, %j, %o = krnl.define_loops 3
  {schedule}
  krnl.iterate (%i -> %y = 0 to 4, %j -> %x = 0 to 5, %o -> %n = 0 to 10) {{
    %zero = arith.constant 0.0 : f32
    %p, %q, %l = krnl.define_loops 3
    %s = krnl.iterate (%p -> %u = 0 to 3, %q -> %v = 0 to 3, %l -> %d = 0 to 6)
        iter_args(%acc = %zero : f32) {{
      %e = krnl.load %a[%y * 2 + %u, %x * 2 + %v, %d] : memref<9x11x6xf32>
      %f = krnl.load %w[%u, %v, %d, %n] : memref<3x3x6x10xf32>
      %g = arith.mulf %e, %f : f32
      %h = arith.addf %acc, %g : f32
      krnl.yield %h : f32
    }}
    %r = arith.maximumf %s, %zero : f32
    krnl.store %r, %c[%y, %x, %n] : memref<4x5x10xf32>
  }}
  return
}}"""


@pytest.mark.parametrize(
    "schedule",
    [
        "",
        "krnl.tensorize(%j, %o) 8",
        "%j0, %j1 = krnl.block %j 3\nkrnl.permute(%j0, %i, %j1, %o)\nkrnl.tensorize(%j1, %o) 4",
        "krnl.parallel(%i, %j) 1\nkrnl.vectorize %o 16",
        "krnl.permute(%i, %o, %j)\nkrnl.vectorize %j 4",
    ],
)
def test_a_convolution(schedule: str) -> None:
    source = np.random.default_rng(0)
    a = like(source.integers(-4, 5, (9, 11, 6)).astype(np.float32))
    w = like(source.integers(-4, 5, (3, 3, 6, 10)).astype(np.float32))
    output = call(native(CONV.format(schedule=schedule)), "conv", [a, w, aligned((4, 5, 10), "f")])
    windows = np.lib.stride_tricks.sliding_window_view(a, (3, 3), (0, 1))[::2, ::2]
    expected = np.maximum(np.einsum("yxduv,uvdn->yxn", windows, w), 0)
    np.testing.assert_array_equal(output, expected)


SOFTMAX = """
func.func @rows(%a: memref<{t}x19xf32>, %c: memref<{t}x19xf32>, %n: index) {{
  %i = krnl.define_loops 1
  {schedule}
  krnl.iterate (%i -> %x = 0 to {b}) {{
    %low = arith.constant 0xFF800000 : f32
    %zero = arith.constant 0.0 : f32
    %j = krnl.define_loops 1
    %top = krnl.iterate (%j -> %y = 0 to 19) iter_args(%m = %low : f32) {{
      %u = krnl.load %a[%x, %y] : memref<{t}x19xf32>
      %v = arith.maximumf %u, %m : f32
      krnl.yield %v : f32
    }}
    %k = krnl.define_loops 1
    %sum = krnl.iterate (%k -> %y = 0 to 19) iter_args(%s = %zero : f32) {{
      %u = krnl.load %a[%x, %y] : memref<{t}x19xf32>
      %d = arith.subf %u, %top : f32
      %e = math.exp %d : f32
      %v = arith.addf %e, %s : f32
      krnl.yield %v : f32
    }}
    %l = krnl.define_loops 1
    {last}
    krnl.iterate (%l -> %y = 0 to 19) {{
      %u = krnl.load %a[%x, %y] : memref<{t}x19xf32>
      %d = arith.subf %u, %top : f32
      %e = math.exp %d : f32
      %v = arith.divf %e, %sum : f32
      krnl.store %v, %c[%x, %y] : memref<{t}x19xf32>
    }}
  }}
  return
}}"""


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(
    ("schedule", "last"),
    [
        ("", ""),
        ("", "krnl.vectorize %l 8"),
        ("krnl.unroll %i", "krnl.vectorize %l 8"),
        ("%i0, %i1 = krnl.block %i 3\nkrnl.unroll %i1", ""),
        ("krnl.parallel(%i) 1", "%l0, %l1 = krnl.block %l 4\nkrnl.unroll %l1"),
    ],
)
def test_rows_that_are_reduced_and_read_again(schedule: str, last: str, dynamic: bool) -> None:
    text = SOFTMAX.format(
        t="?" if dynamic else 5, b="%n" if dynamic else 5, schedule=schedule, last=last
    )
    kernels = native(text)
    for rows in (5, 1, 8) if dynamic else (5,):
        a = like(np.random.default_rng(rows).standard_normal((rows, 19)).astype(np.float32))
        output = call(kernels, "rows", [a, aligned((rows, 19), "f")], rows)
        exponents = np.exp(a - a.max(1, keepdims=True))
        np.testing.assert_allclose(output, exponents / exponents.sum(1, keepdims=True), rtol=1e-5)


def test_a_vectorized_reduction_along_rows_reads_strided_columns() -> None:
    text = SOFTMAX.format(t=5, b=5, schedule="krnl.vectorize %i 4", last="")
    a = like(np.random.default_rng(0).standard_normal((5, 19)).astype(np.float32))
    output = call(native(text), "rows", [a, aligned((5, 19), "f")], 5)
    exponents = np.exp(a - a.max(1, keepdims=True))
    np.testing.assert_allclose(output, exponents / exponents.sum(1, keepdims=True), rtol=1e-5)


LINE = """
func.func @line(%a: memref<80xf32>, %c: memref<80xf32>) {{
  %i = krnl.define_loops 1
  {schedule}
  krnl.iterate (%i -> %x = 0 to 19) {{
    %v = krnl.load %a[{source}] : memref<80xf32>
    krnl.store %v, %c[{target}] : memref<80xf32>
  }}
  return
}}"""
X = np.arange(19)
PLACES = {
    "%x": X,
    "%x + 3": X + 3,
    "%x * 2": X * 2,
    "%x * -1 + 18": 18 - X,
    "%x mod 4": X % 4,
    "%x floordiv 4": X // 4,
    "7": X * 0 + 7,
}


@pytest.mark.parametrize("schedule", ["", "krnl.unroll %i", "krnl.vectorize %i 8"])
def test_elements_that_are_no_neighbours(schedule: str) -> None:
    a = like(np.random.default_rng(0).standard_normal(80).astype(np.float32))
    for place, numbers in PLACES.items():
        for source, target, wanted in ((place, "%x", (numbers, X)), ("%x", place, (X, numbers))):
            text = LINE.format(schedule=schedule, source=source, target=target)
            output = call(native(text), "line", [a, aligned(80, "f")])
            expected = np.full(80, 55, np.float32)
            expected[wanted[1]] = a[wanted[0]]
            if len(set(wanted[1])) == 19:
                np.testing.assert_array_equal(output, expected)
            else:
                # Iterations of a scheduled loop that write the same element race.
                written = np.isin(np.arange(80), wanted[1])
                assert set(output[written]) <= set(a) and (output[~written] == 55).all()


INDEX = """
func.func @index(%c: memref<19xi64>) {{
  %i = krnl.define_loops 1
  {schedule}
  krnl.iterate (%i -> %x = 0 to 19) {{
    %k = krnl.index [{expression}]
    %v = arith.index_cast %k : index to i64
    krnl.store %v, %c[%x] : memref<19xi64>
  }}
  return
}}"""


@pytest.mark.parametrize("schedule", ["", "krnl.unroll %i", "krnl.vectorize %i 8"])
def test_index_values_as_data(schedule: str) -> None:
    for place, numbers in PLACES.items():
        if "vectorize" in schedule and ("mod" in place or "floordiv" in place):
            continue
        text = INDEX.format(schedule=schedule, expression=place)
        output = call(native(text), "index", [aligned(19, np.int64)])
        np.testing.assert_array_equal(output, numbers)


BRANCH = """
func.func @branch(%a: memref<5x37xf32>, %f: memref<5xi8>, %c: memref<5x37xf32>) {{
  %i, %j = krnl.define_loops 2
  {schedule}
  krnl.iterate (%i -> %x = 0 to 5, %j -> %y = 0 to 37) {{
    %flag = krnl.load %f[%x] : memref<5xi8>
    %zero = arith.constant 0 : i8
    %yes = arith.cmpi ne, %flag, %zero : i8
    %two = arith.constant 2.0 : f32
    %u = krnl.load %a[%x, %y] : memref<5x37xf32>
    %same = scf.if %yes -> (f32) {{
      %k = arith.constant 3.0 : f32
      scf.yield %k : f32
    }} else {{
      scf.yield %two : f32
    }}
    %square = arith.mulf %same, %same : f32
    %own = scf.if %yes -> (f32) {{
      %v = krnl.load %a[%x, %y] : memref<5x37xf32>
      %w = arith.mulf %v, %two : f32
      scf.yield %w : f32
    }} else {{
      scf.yield %u : f32
    }}
    %r = arith.mulf %own, %square : f32
    scf.if %yes {{
      krnl.store %r, %c[%x, %y] : memref<5x37xf32>
    }}
  }}
  return
}}"""


@pytest.mark.parametrize(
    "schedule",
    [
        "",
        "krnl.unroll %j",
        "krnl.vectorize %j 8",
        "krnl.tensorize(%i, %j) 16",
        "krnl.permute(%j, %i)\nkrnl.unroll %i",
    ],
)
def test_branches_that_all_lanes_take(schedule: str) -> None:
    a = like(np.random.default_rng(0).standard_normal((5, 37)).astype(np.float32))
    flags = like(np.array([1, 0, 1, 1, 0], np.int8))
    output = call(
        native(BRANCH.format(schedule=schedule)), "branch", [a, flags, aligned((5, 37), "f")]
    )
    np.testing.assert_allclose(output, np.where(flags[:, None], a * 2 * 9, 55), rtol=1e-6)


RAGGED = """
func.func @ragged(%a: memref<5x37xf32>, %f: memref<5xi64>, %c: memref<5x37xf32>) {{
  %i = krnl.define_loops 1
  krnl.iterate (%i -> %x = 0 to 5) {{
    %flag = krnl.load %f[%x] : memref<5xi64>
    %n = arith.index_cast %flag : i64 to index
    %j = krnl.define_loops 1
    {schedule}
    krnl.iterate (%j -> %y = 2 to %n) {{
      %u = krnl.load %a[%x, %y] : memref<5x37xf32>
      %v = arith.addf %u, %u : f32
      krnl.store %v, %c[%x, %y] : memref<5x37xf32>
    }}
  }}
  return
}}"""


@pytest.mark.parametrize(
    "schedule",
    [
        "",
        "krnl.unroll %j",
        "krnl.vectorize %j 8",
        "%j0, %j1 = krnl.block %j 4\nkrnl.unroll %j1",
        "%j0, %j1 = krnl.block %j 16\nkrnl.vectorize %j1 8",
    ],
)
def test_bounds_that_data_tell(schedule: str) -> None:
    a = like(np.random.default_rng(0).standard_normal((5, 37)).astype(np.float32))
    lengths = like(np.array([1, 0, 37, 20, 10]))
    output = call(
        native(RAGGED.format(schedule=schedule)), "ragged", [a, lengths, aligned((5, 37), "f")]
    )
    places = np.arange(37)
    inside = (places >= 2) & (places < lengths[:, None])
    np.testing.assert_array_equal(output, np.where(inside, a * 2, 55))


SPAN = """
func.func @span(%c: memref<40xf32>, %n: index, %m: index) {{
  %j = krnl.define_loops 1
  {schedule}
  krnl.iterate (%j -> %y = %n to %m) {{
    %v = arith.constant 1.0 : f32
    krnl.store %v, %c[%y] : memref<40xf32>
  }}
  return
}}"""


@pytest.mark.parametrize(
    "schedule",
    [
        "",
        "krnl.unroll %j",
        "krnl.vectorize %j 8",
        "%j0, %j1 = krnl.block %j 4",
        "%j0, %j1 = krnl.block %j 4\nkrnl.parallel(%j0) 1",
        "krnl.parallel(%j) 1",
    ],
)
def test_bounds_that_may_cross(schedule: str) -> None:
    kernels = native(SPAN.format(schedule=schedule))
    for low, high in ((3, 30), (30, 3), (0, 0), (5, 5), (36, 37), (29, 2)):
        output = call(kernels, "span", [aligned(40, "f")], low, high)
        places = np.arange(40)
        expected = np.where((places >= low) & (places < high), 1, 55)
        np.testing.assert_array_equal(output, expected, err_msg=f"{low} to {high}")


INDIRECT = """
func.func @rows(%a: memref<20x12xf32>, %p: memref<19xi64>, %c: memref<19x6xf32>) {{
  %i, %j = krnl.define_loops 2
  {schedule}
  krnl.iterate (%i -> %x = 0 to 19, %j -> %y = 0 to 6) {{
    %q = krnl.load %p[%x] : memref<19xi64>
    %r = arith.index_cast %q : i64 to index
    %s = krnl.index [%r + 1]
    %yes = arith.cmpi slt, %s, %r : index
    %v = scf.if %yes -> (f32) {{
      %t = arith.constant 0.0 : f32
      scf.yield %t : f32
    }} else {{
      %t = krnl.load %a[%s - 1, %y * 1 + 3] : memref<20x12xf32>
      scf.yield %t : f32
    }}
    krnl.store %v, %c[%x, %y] : memref<19x6xf32>
  }}
  return
}}"""


@pytest.mark.parametrize(
    "schedule",
    [
        "",
        "krnl.vectorize %j 4",
        "krnl.permute(%j, %i)\nkrnl.unroll %i",
        "%i0, %i1 = krnl.block %i 5\nkrnl.permute(%i0, %i1, %j)\nkrnl.tensorize(%i1, %j) 4",
    ],
)
def test_rows_that_data_choose(schedule: str) -> None:
    source = np.random.default_rng(0)
    a = like(source.standard_normal((20, 12)).astype(np.float32))
    chosen = like(source.integers(0, 20, 19))
    output = call(
        native(INDIRECT.format(schedule=schedule)), "rows", [a, chosen, aligned((19, 6), "f")]
    )
    np.testing.assert_array_equal(output, a[chosen, 3:9])


# What the text looks like ---------------------------------------------------------------------


def test_a_register_tile_loads_once_and_keeps_its_sums_in_registers() -> None:
    text = lowered(matmul("krnl.tensorize(%i, %j) 8", 3, 5, 16))
    loop = re.search(r"affine\.for.*?iter_args\((.*?)\)(.*?)affine\.yield", text, re.DOTALL)
    assert loop is not None
    sums, body = loop.groups()
    assert sums.count("=") == 6, "three rows of two vectors"
    assert body.count("affine.load") == body.count("vector.broadcast") == 3
    assert body.count("affine.vector_load") == 2
    assert body.count("arith.mulf") == body.count("arith.addf") == 6
    assert text.count("affine.for") == 1


def test_only_the_last_vector_of_a_tile_is_masked() -> None:
    text = lowered(matmul("krnl.vectorize %j 8", 2, 3, 12))
    full, rest = text.split("vector.create_mask", 1)
    assert "affine.vector_load" in full and "masked" not in full
    assert "vector.maskedload" in rest and "vector.maskedstore" in rest
    assert "mask" not in lowered(matmul("krnl.vectorize %j 8", 2, 3, 16))


def test_tails_are_loops_of_their_own_without_tests() -> None:
    text = lowered(matmul("%i0, %i1 = krnl.block %i 4", 10, 3, 5))
    assert re.findall(r"= 0 to (\d+)(?: step (\d+))?", text) == [
        *(("8", "4"), ("4", ""), ("5", ""), ("3", "")),
        *(("2", ""), ("5", ""), ("3", "")),
    ]
    assert "scf.if" not in text


def test_parallel_loops_become_one_and_tell_partial_tiles_apart() -> None:
    text = lowered(matmul(ROWS_FIRST + "krnl.parallel(%j0, %i0) 3", 10, 3, 36))
    assert text.count("affine.parallel") == 1
    assert "to (36, 10) step (16, 4)" in text and "grain = 3 : i64" in text
    assert text.count("scf.if") == 1, "the last panel has fewer columns, the last tile all rows"


@pytest.mark.parametrize("parallel", ["", "krnl.parallel(%j0, %i0) 1"])
def test_the_last_tile_repeats_rows_to_be_as_high_as_all(parallel: str) -> None:
    text = lowered(matmul(ROWS_FIRST + parallel, 10, 3, 32))
    assert text.count("affine.vector_store") == 4 * 2, "one copy of the tile, two vectors wide"
    assert "(d0 mod 8) + ((d0 floordiv 8) * 6)" in text, "0, 4 and then 6 instead of 8"


def test_no_tile_repeats_rows_of_a_result_that_may_have_an_operands_buffer() -> None:
    text = matmul(ROWS_FIRST, 10, 3, 32)
    taking_over = text.replace(") {", ") attributes {krnl.inplace = array<i64: 2>} {", 1)
    assert taking_over != text
    assert "floordiv 8" in lowered(text) and "floordiv 8" not in lowered(taking_over)


def test_loops_over_computed_bounds_use_no_affine_operations() -> None:
    text = lowered(RAGGED.format(schedule=""))
    inside = text[text.index("scf.for") :]
    assert "memref.load" in inside and "affine.load" not in inside


def test_locations_of_loads_and_loops_are_kept() -> None:
    text = matmul("krnl.vectorize %j 8", 2, 3, 12)
    text = text.replace("memref<3x12xf32>\n", 'memref<3x12xf32> loc("weights":7:0)\n')
    ctx = new_context()
    module = parse_module(text, ctx)
    KrnlToAffine().apply(ctx, module)
    printed = print_module(module, ctx, locations=True)
    loads = [line for line in printed.splitlines() if "load %b" in line]
    assert loads and all('loc("weights":7:0)' in line for line in loads)


# Mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("krnl.unroll %i", "must be the innermost"),
        ("krnl.vectorize %i 8", "must be the innermost"),
        ("krnl.vectorize %j 8\nkrnl.unroll %j", "after krnl.block or krnl.vectorize replaced it"),
        ("%a0, %a1 = krnl.block %i 4\nkrnl.unroll %i", "after krnl.block or krnl.vectorize"),
        ("%a0, %a1 = krnl.block %j 4\nkrnl.permute(%a1, %a0)", "inside of its outer loop"),
        ("%j0, %j1 = krnl.block %j 8\nkrnl.unroll %j0", "innermost"),
        ("krnl.permute(%i, %i)", "names a loop twice"),
        ("krnl.tensorize(%i, %i) 8", "needs two loops"),
        ("krnl.parallel(%j) 1", "must be the outermost"),
        ("krnl.permute(%j, %i)\nkrnl.unroll %i\nkrnl.parallel(%j, %i) 1", "block it"),
        ("%a0, %a1 = krnl.block %i 4\nkrnl.parallel(%a0, %a1) 1", "cannot both run in parallel"),
        (
            "%a0, %a1 = krnl.block %i 4\nkrnl.tensorize(%a1, %j) 4\nkrnl.tensorize(%a0, %a1) 4",
            "only one loop",
        ),
    ],
)
def test_impossible_schedules_are_refused(schedule: str, message: str) -> None:
    with pytest.raises(InvalidModelError, match=re.escape(message)) as caught:
        lowered(matmul(schedule, 8, 3, 16))
    assert caught.value.place is not None and caught.value.place.stage == "krnl"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (matmul("", 4, 3, 8, inner="krnl.vectorize %l 8"), "carries values"),
        (matmul("", 4, 3, 8, inner="krnl.parallel(%l) 1"), "carries values"),
        (matmul("krnl.permute(%j, %i)\nkrnl.vectorize %i 4", 4, 3, 8, "m"), "dynamic length"),
        (INDEX.format(schedule="krnl.vectorize %i 8", expression="%x mod 3"), "divided"),
        (
            BRANCH.format(schedule="krnl.permute(%j, %i)\nkrnl.vectorize %i 8"),
            "decided lane by lane",
        ),
        (
            INDIRECT.format(schedule="krnl.permute(%j, %i)\nkrnl.vectorize %i 8"),
            "index arithmetic beyond affine",
        ),
        (
            SOFTMAX.format(t=5, b=5, schedule="krnl.vectorize %i 4", last="krnl.vectorize %l 4"),
            "inside of another one",
        ),
        (
            RAGGED.format(schedule="krnl.parallel(%j) 1"),
            "must be known outside of all loops",
        ),
        (
            RAGGED.format(schedule="").replace("krnl.iterate", "krnl.unroll %i\nkrnl.iterate", 1),
            "bounds differ",
        ),
        (
            "func.func @f(%n: index) {\n%l = krnl.define_loops 1\n%c = arith.constant true\n"
            "scf.if %c {\nkrnl.iterate (%l -> %i = 0 to %n) {}\n}\nreturn\n}",
            "did not make here",
        ),
    ],
)
def test_nests_that_cannot_run_as_asked_are_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidModelError, match=message) as caught:
        lowered(text)
    assert caught.value.hint


def test_upstream_accepts_what_schedules_become() -> None:
    tool = shutil.which("mlir-opt-22")
    if tool is None:
        pytest.skip("mlir-opt-22 is not installed (Debian package mlir-22-tools)")
    some = ("", "krnl.vectorize %j 8", "%j0, %j1 = krnl.block %j 4\nkrnl.unroll %j1")
    texts = [
        *(matmul(s, M, K, N, d) for s in SCHEDULES.values() for d in ("", "mkn")),
        *(matmul("", M, K, N, d, inner) for inner in INNER.values() for d in ("", "k")),
        *(kernel.format(schedule=s) for kernel in (BRANCH, RAGGED, INDIRECT, SPAN) for s in some),
        LINE.format(schedule="krnl.vectorize %i 8", source="%x * 2", target="%x floordiv 4"),
        CONV.format(schedule="krnl.tensorize(%j, %o) 8"),
    ]
    source = "// -----\n".join(map(lowered, texts))
    done = subprocess.run(
        [tool, "--split-input-file"], input=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
