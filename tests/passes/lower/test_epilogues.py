"""lower-affine: in which order a tile's results are finished and stored."""

from __future__ import annotations

import re

from krnl_kernels import lowered, matmul


def behind_the_sum(text: str) -> list[str]:
    """The operations behind the last loop over taps."""
    _, rest = text.rsplit("affine.yield", 1)
    return re.findall(r"(?:arith|affine|vector|math)\.\w+", rest)


def test_results_are_finished_one_after_the_other() -> None:
    text = matmul("krnl.tensorize(%i, %j) 8", 3, 5, 16)
    text = text.replace("%r = arith.addf", "%t = arith.addf").replace(
        "krnl.store %r", "%r = math.exp %t : f32\n krnl.store %r"
    )
    # A column's operand is loaded where it is needed first.
    first = ["affine.vector_load", "arith.addf", "math.exp", "affine.vector_store"]
    assert behind_the_sum(lowered(text)) == [*first * 2, *first[1:] * 4]


def test_taps_that_are_unrolled_stay_together() -> None:
    text = matmul("krnl.tensorize(%i, %j) 8", 3, 2, 16, inner="krnl.unroll %l")
    text = re.sub(r"(%[pq] = arith\.\w+ .*) :", r"\1 fastmath<reassoc> :", text)
    names = re.findall(r"arith\.addf|affine\.vector_store", lowered(text))
    assert names == ["arith.addf"] * 12 + ["arith.addf", "affine.vector_store"] * 6


def test_what_may_be_loaded_again_is_stored_at_the_end() -> None:
    text = matmul("krnl.tensorize(%i, %j) 8", 3, 5, 16)
    text = text.replace("%d[%y] : memref<16xf32>", "%c[%x, %y] : memref<3x16xf32>")
    names = behind_the_sum(lowered(text))
    assert names == [*["affine.vector_load"] * 6, *["arith.addf"] * 6, *["affine.vector_store"] * 6]
