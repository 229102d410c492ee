"""The pass `affine-prefetch`: what asks for the next panel, and what is left alone."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numerics.harness import make_model
from onnx import helper

import compiler
from compiler.ir_text import new_context, parse_module, print_module
from passes.affine.prefetch import AffinePrefetch


def prefetches(text: str, cache_bytes: int = 4096, kind: str = "read") -> list[str]:
    """What a module asks for after the pass, to read or to write."""
    ctx = new_context()
    module = parse_module(text, ctx)
    AffinePrefetch(cache_bytes=cache_bytes).apply(ctx, module)
    return re.findall(
        rf"affine.prefetch (%\w+\[.*\]), {kind}, locality<2>, data", print_module(module, ctx)
    )


def product(tiles: str, panels: str = "0 to 96 step 16", buffer: str = "6x64x16") -> str:
    """Sums over 64 steps, for tiles of 6 rows, of a packed operand's panels."""
    return f"""
    func.func @f(%w: memref<{buffer}xf32>, %x: memref<600x64xf32>, %y: memref<600x96xf32>) {{
      affine.for %j = {panels} {{
        affine.for %i = {tiles} {{
          %zero = arith.constant dense<0.0> : vector<16xf32>
          %sum = affine.for %k = 0 to 64 iter_args(%acc = %zero) -> (vector<16xf32>) {{
            %b = affine.vector_load %w[%j floordiv 16, %k, 0] : memref<{buffer}xf32>, vector<16xf32>
            %a = affine.load %x[%i, %k] : memref<600x64xf32>
            %s = vector.broadcast %a : f32 to vector<16xf32>
            %p = arith.mulf %s, %b : vector<16xf32>
            %n = arith.addf %acc, %p : vector<16xf32>
            affine.yield %n : vector<16xf32>
          }}
          affine.vector_store %sum, %y[%i, %j] : memref<600x96xf32>, vector<16xf32>
        }}
      }}
      return
    }}"""


def test_steps_of_all_tiles_ask_for_the_next_panel() -> None:
    # 16 * 64 numbers in 16 * 64 steps, and in 4 * 64: one, and four, at a time.
    assert prefetches(product("0 to 96 step 6")) == [
        "%w[(%j + 16) floordiv 16, 0, %k + %i floordiv 6 * 64]"
    ]
    assert prefetches(product("6 to 30 step 6")) == [
        "%w[(%j + 16) floordiv 16, 0, %k * 4 + (%i + -6) floordiv 6 * 256]"
    ]


def test_panels_of_a_part_of_the_cache_are_asked_for_as_a_program_has_many() -> None:
    assert len(prefetches(product("0 to 96 step 6"), cache_bytes=16 * 24_575)) == 1


def test_a_tile_asks_for_each_line_of_its_results_once() -> None:
    text = product("0 to 96 step 6")
    (stored,) = (line for line in text.splitlines() if "vector_store" in line)
    below = stored.replace("[%i, %j]", "[%i + 1, %j]")
    half = stored.replace("[%i, %j]", "[%i, %j + 8]")
    text = text.replace(stored, "\n".join((stored, half, below)))
    assert prefetches(text, kind="write") == ["%y[%i, %j]", "%y[%i + 1, %j]"]
    assert prefetches(text, cache_bytes=1 << 20, kind="write") == []
    short = text.replace("%k = 0 to 64", "%k = 0 to 8")
    assert prefetches(short, kind="write") == [], "it would come too late"


def grouped(channels: int, group: int, step: int) -> str:
    """Sums over a group's channels at three places, for tiles of a row of places."""
    data, first = f"memref<600x{channels}xf32>", min(32, channels - group)
    return f"""
    func.func @f(%w: memref<3x{group}x8xf32>, %x: {data}, %y: memref<600x8xf32>) {{
      affine.for %i = 0 to 540 step {step} {{
        %zero = arith.constant dense<0.0> : vector<8xf32>
        %sum = affine.for %p = 0 to 3 iter_args(%all = %zero) -> (vector<8xf32>) {{
          %part = affine.for %k = 0 to {group} iter_args(%acc = %all) -> (vector<8xf32>) {{
            %b = affine.vector_load %w[%p, %k, 0] : memref<3x{group}x8xf32>, vector<8xf32>
            %a = affine.load %x[%i + %p, %k + {first}] : {data}
            %c = affine.load %x[%i + %p + 1, %k + {first}] : {data}
            %s = arith.addf %a, %c : f32
            %v = vector.broadcast %s : f32 to vector<8xf32>
            %m = arith.mulf %v, %b : vector<8xf32>
            %n = arith.addf %acc, %m : vector<8xf32>
            affine.yield %n : vector<8xf32>
          }}
          affine.yield %part : vector<8xf32>
        }}
        affine.vector_store %sum, %y[%i, 0] : memref<600x8xf32>, vector<8xf32>
      }}
      return
    }}"""


def test_scattered_pieces_are_asked_for_a_tile_ahead() -> None:
    assert prefetches(grouped(128, 16, 4), 16_384) == [
        "%x[%i + 4 + %p, 32]",
        "%x[%i + 4 + %p + 1, 32]",
    ]
    assert len(prefetches(grouped(128, 32, 4), 16_384)) == 4, "each piece has two lines"


@pytest.mark.parametrize(
    ("channels", "group", "cache_bytes"),
    [
        pytest.param(32, 32, 16_384, id="whole lines follow one another"),
        pytest.param(256, 80, 16_384, id="long pieces are foreseen"),
        pytest.param(128, 8, 16_384, id="the sum is too short"),
        pytest.param(128, 16, 1 << 20, id="the data stay in the cache"),
    ],
)
def test_pieces_that_come_soon_enough_are_not(channels: int, group: int, cache_bytes: int) -> None:
    assert prefetches(grouped(channels, group, 4), cache_bytes) == []


def test_several_panels_of_a_plane_are_asked_for_at_once() -> None:
    text = product("0 to 96 step 6", buffer="3x24x64x16").replace("%w[%j f", "%w[%g, %j f")
    loops = """affine.for %i = 0 to 96 step 6 {
        affine.for %j = 0 to 64 step 16 {"""
    panels = "affine.for %j = 0 to 96 step 16 {"
    outside = text[text.index(panels) : text.index("          %zero")]
    planes = text.replace(outside, f"affine.for %g = 0 to 3 {{\n{loops}\n")
    planes = planes.replace("      return", "      }\n      return")
    # Panels inside of the rows: no line is asked for by what comes next, but by the next plane.
    wanted = ["%w[%g + 1, 0, 0, %k + %j floordiv 16 * 64 + %i floordiv 6 * 256]"]
    assert prefetches(planes, cache_bytes=65_536) == wanted
    # Around the rows: the next plane's, if all of its panels fit in a part of the cache.
    panels_first = planes.replace(loops, "\n".join(reversed(loops.splitlines())))
    wanted = ["%w[%g + 1, 0, 0, %k + %i floordiv 6 * 64 + %j floordiv 16 * 1024]"]
    assert prefetches(panels_first, cache_bytes=65_536) == wanted
    wanted = ["%w[%g, (%j + 16) floordiv 16, 0, %k + %i floordiv 6 * 64]"]
    assert prefetches(panels_first, cache_bytes=65_535) == wanted


def test_panels_may_be_shared_out_to_threads() -> None:
    text = product("0 to 96 step 6").replace(
        "affine.for %j = 0 to 96 step 16", "affine.parallel (%j) = (0) to (96) step (16)"
    )
    assert len(prefetches(text)) == 1


def test_an_index_may_be_computed_in_front_of_the_load() -> None:
    text = product("0 to 96 step 6").replace(
        "%b = affine.vector_load %w[%j floordiv 16, %k, 0]",
        """%m = affine.apply affine_map<(d0) -> (d0)> (%k)
            %b = affine.vector_load %w[%j floordiv 16, %m, 0]""",
    )
    ctx = new_context()
    module = parse_module(text, ctx)
    AffinePrefetch(cache_bytes=4096).apply(ctx, module)
    text = print_module(module, ctx)
    assert 0 < text.index("affine.apply") < text.index("affine.prefetch %w")


def test_other_sums_ask_for_what_the_first_one_loads() -> None:
    first = product("0 to 6 step 6")
    # The first tile stores what it loads; the rest reads that copy.
    at = first.index("      }\n      return")
    start = first.index("        affine.for %i")
    rest = first[start:at].replace("0 to 6 step 6", "6 to 96 step 6")
    rest = rest.replace(
        "%w[%j floordiv 16, %k, 0] : memref<6x64x16xf32>", "%c[%k, 0] : memref<64x16xf32>"
    )
    for name in ("zero", "sum", "b", "a", "s", "p", "n", "acc", "i", "k"):
        rest = rest.replace(f"%{name} ", f"%{name}_ ").replace(f"%{name},", f"%{name}_,")
        rest = rest.replace(f"%{name})", f"%{name}_)").replace(f"%{name}]", f"%{name}_]")
    text = first[:at] + rest + first[at:]
    text = text.replace(
        "%y: memref<600x96xf32>", "%y: memref<600x96xf32>, %c: memref<64x16xf32>", 1
    )
    assert prefetches(text) == [
        "%w[(%j + 16) floordiv 16, 0, %k_ * 2 + (%i_ + -6) floordiv 6 * 128]"
    ]


def test_a_sum_that_llvm_makes_vectors_of_asks_for_nothing() -> None:
    """A row's largest element, of more rows than the product has: it would stay scalar."""
    largest = """
        affine.for %r = 0 to 600 {
          %low = affine.load %x[%r, 0] : memref<600x64xf32>
          %most = affine.for %k = 0 to 64 iter_args(%acc = %low) -> (f32) {
            %a = affine.load %x[%r, %k] : memref<600x64xf32>
            %n = arith.maximumf %acc, %a : f32
            affine.yield %n : f32
          }
          affine.store %most, %y[%r, 0] : memref<600x96xf32>
        }
        affine.for %i ="""
    text = product("0 to 96 step 6").replace("affine.for %i =", largest)
    assert prefetches(text) == ["%w[(%j + 16) floordiv 16, 0, %k_1 + %i floordiv 6 * 64]"]


@pytest.mark.parametrize(
    ("text", "cache_bytes"),
    [
        pytest.param(product("0 to 96 step 6"), 16 * 24_576, id="stays in the cache"),
        pytest.param(product("0 to 6 step 6"), 4096, id="a single tile"),
        pytest.param(product("0 to 600 step 1"), 4096, id="many tiles"),
        pytest.param(product("0 to 96 step 6", "0 to 16 step 16"), 4096, id="one panel"),
        pytest.param(product("0 to 0 step 6"), 4096, id="no tile"),
        pytest.param(product("0 to 96 step 6", buffer="?x64x16"), 4096, id="unknown size"),
    ],
)
def test_what_does_not_wait_for_memory_is_left_alone(text: str, cache_bytes: int) -> None:
    assert prefetches(text, cache_bytes) == []


@pytest.mark.parametrize("rows", [48, 50])
def test_an_address_behind_the_buffer_harms_nothing(rows: int) -> None:
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((160, 208)).astype(np.float32)
    model = make_model(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        {"x": (np.float32, [rows, 160])},
        {"w": weights},
    )
    passes = compiler.Pipeline.default().replace(
        "affine-prefetch", "affine-prefetch{cache-bytes=1024}"
    )
    text = compiler.lower(model, to="llvm", passes=passes).as_text()
    assert "llvm.intr.prefetch" in text
    x = rng.standard_normal((rows, 160)).astype(np.float32)
    (y,) = compiler.compile(model, passes=passes, cache=False).run({"x": x}).values()
    np.testing.assert_allclose(y, x @ weights, rtol=1e-5, atol=1e-4)


def copied(tiles: str, source: str = "600x960") -> str:
    """Sums for tiles of 6 rows over a panel of 64 columns that is copied in front of them."""
    return f"""
    func.func @f(%w: memref<{source}xf32>, %x: memref<60x64xf32>, %y: memref<60x960xf32>) {{
      affine.parallel (%p) = (0) to (15) {{
        %copy = memref.alloca() : memref<64x64xf32>
        affine.for %t = 0 to 64 {{
          affine.for %c = 0 to 64 {{
            %e = affine.load %w[%t, %p * 64 + %c] : memref<{source}xf32>
            affine.store %e, %copy[%t, %c] : memref<64x64xf32>
          }}
        }}
        affine.for %i = {tiles} {{
          %zero = arith.constant dense<0.0> : vector<16xf32>
          %sum = affine.for %k = 0 to 64 iter_args(%acc = %zero) -> (vector<16xf32>) {{
            %b = affine.vector_load %copy[%k, 0] : memref<64x64xf32>, vector<16xf32>
            %a = affine.load %x[%i, %k] : memref<60x64xf32>
            %s = vector.broadcast %a : f32 to vector<16xf32>
            %m = arith.mulf %s, %b : vector<16xf32>
            %n = arith.addf %acc, %m : vector<16xf32>
            affine.yield %n : vector<16xf32>
          }}
          affine.vector_store %sum, %y[%i, %p * 64] : memref<60x960xf32>, vector<16xf32>
        }}
        affine.yield
      }}
      return
    }}"""


def test_steps_ask_for_what_is_copied_next() -> None:
    # Four lines of a row, one by each of four tiles.
    asked = prefetches(copied("0 to 60 step 6"), cache_bytes=65536)
    assert asked == ["%w[%k, %p * 64 + 64 + %i floordiv 6 mod 4 * 16]"]


@pytest.mark.parametrize(
    ("tiles", "source"), [("0 to 6 step 6", "600x960"), ("0 to 60 step 6", "16x960")]
)
def test_copies_that_nobody_asks_for(tiles: str, source: str) -> None:
    # No tiles that take turns; what the cache holds anyway.
    assert prefetches(copied(tiles, source), cache_bytes=65536) == []


def depthwise(group: int, rows: int, channels: int = 128) -> str:
    """Sums over a 5x5 window, each row for groups of channels that share no weights."""
    weights, data = f"memref<5x5x{channels}xf32>", f"memref<{rows + 4}x5x{channels}xf32>"
    result = f"memref<{rows}x{channels}xf32>"
    return f"""
    func.func @f(%w: {weights}, %x: {data}, %y: {result}) {{
      affine.parallel (%g) = (0) to ({channels}) step ({group}) {{
        affine.for %h = 0 to {rows} {{
          affine.for %c = 0 to {group} step 16 {{
            %zero = arith.constant dense<0.0> : vector<16xf32>
            %sum = affine.for %k = 0 to 5 iter_args(%acc = %zero) -> (vector<16xf32>) {{
              %b = affine.vector_load %w[%k, 3, %g + %c] : {weights}, vector<16xf32>
              %a = affine.vector_load %x[%h + %k, 3, %g + %c] : {data}, vector<16xf32>
              %p = arith.mulf %a, %b : vector<16xf32>
              %n = arith.addf %acc, %p : vector<16xf32>
              affine.yield %n : vector<16xf32>
            }}
            affine.vector_store %sum, %y[%h, %g + %c] : {result}, vector<16xf32>
          }}
        }}
      }}
      return
    }}"""


def test_rows_ask_for_the_weights_of_the_next_group() -> None:
    assert prefetches(depthwise(32, 4)) == ["%w[%k, 3, %g + 32 + %c]"]


@pytest.mark.parametrize(
    ("text", "cache_bytes"),
    [
        pytest.param(depthwise(32, 1), 4096, id="used once"),
        pytest.param(depthwise(128, 4, 256), 4096, id="many neighbours"),
        pytest.param(depthwise(128, 4), 4096, id="a single group"),
        pytest.param(depthwise(32, 4), 32 * 5 * 5 * 128 * 4, id="a small part of the cache"),
    ],
)
def test_weights_that_nobody_asks_for(text: str, cache_bytes: int) -> None:
    assert prefetches(text, cache_bytes) == []
