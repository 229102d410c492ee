"""Dot products of packed integers: the same bits by every instruction, schedule and tail."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from krnl_kernels import call, lowered
from native_kernel import Kernels, like, lower

from compiler.codegen import compile_text
from compiler.llvm_text import kernel_modules
from compiler.pipeline import Pipeline
from compiler.target import Target
from passes.onnx.pack_integers import packed

RANDOM = np.random.default_rng(11)
TILE = """%i0, %i1 = krnl.block %i 3
%j0, %j1 = krnl.block %j 16
krnl.permute(%j0, %i0, %i1, %j1)
krnl.tensorize(%i1, %j1) 8"""
SCHEDULES = {
    "none": "",
    "unroll": "krnl.unroll %i\nkrnl.unroll %j",
    "vectorize": "krnl.vectorize %j 4",
    "tensorize": TILE,
}
PAIRS = {
    "i16 by i8": (np.int16, np.int8, 2),
    "i16 by ui8": (np.int16, np.uint8, 2),
    "i16 by i16": (np.int16, np.int16, 2),
    "fours of ui8 by i8": (np.uint8, np.int8, 4),
    "fours of i8 by ui8": (np.int8, np.uint8, 4),
}
M, K, N = 5, 6, 21
X86 = Target.host().architecture == "x86_64"


def text_of(dtype: type[np.generic]) -> str:
    return np.dtype(dtype).name.replace("uint", "ui").replace("int", "i")


def product(schedule: str, lhs: type[np.generic], rhs: type[np.generic], group: int) -> str:
    """`y[m, n] = a[m, k] . b[k, n]` of packed operands, added to what stands there."""
    a, b = (f"i{8 * np.dtype(kind).itemsize * group}" for kind in (lhs, rhs))
    return f"""
    func.func @f(%a: memref<{M}x{K}x{a}>, %b: memref<{K}x{N}x{b}>, %y: memref<{M}x{N}xi32>) {{
      %i, %j = krnl.define_loops 2
      {schedule}
      krnl.iterate (%i -> %m = 0 to {M}, %j -> %n = 0 to {N}) {{
        %zero = arith.constant 0 : i32
        %l = krnl.define_loops 1
        %s = krnl.iterate (%l -> %k = 0 to {K}) iter_args(%acc = %zero : i32) {{
          %u = krnl.load %a[%m, %k] : memref<{M}x{K}x{a}>
          %v = krnl.load %b[%k, %n] : memref<{K}x{N}x{b}>
          %p = krnl.dot %acc, %u of {text_of(lhs)}, %v of {text_of(rhs)} : {a}, {b}
          krnl.yield %p : i32
        }}
        krnl.store %s, %y[%m, %n] : memref<{M}x{N}xi32>
      }}
      return
    }}"""


def numbers(dtype: type[np.generic], *shape: int) -> np.ndarray:
    """Over the whole range, with its ends."""
    limits = np.iinfo(dtype)  # type: ignore[type-var]
    array = RANDOM.integers(limits.min, limits.max + 1, shape).astype(dtype)
    array[0, :] = limits.min
    array[-1, :] = limits.max
    return array


@pytest.mark.parametrize("instruction", ["none", "pmaddwd"] if X86 else ["none"])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", PAIRS)
def test_a_product(name: str, schedule: str, instruction: str) -> None:
    lhs, rhs, group = PAIRS[name]
    a, b = numbers(lhs, M, K * group), numbers(rhs, K * group, N)
    kernels = Kernels(lowered(product(SCHEDULES[schedule], lhs, rhs, group)), instruction)
    operands = [like(packed(a, 1, group)), like(packed(b, 0, group))]
    got = call(kernels, "f", [*operands, np.zeros((M, N), np.int32)])
    wide = a.astype(np.int64) @ b.astype(np.int64)
    np.testing.assert_array_equal(got, wide.astype(np.int32))


def short(text: str) -> str:
    """A product's text with the promise that pairs of products fit 16 bits."""
    return re.sub(r"(krnl.dot .*) : ", r"\1 {short_pairs} : ", text)


@pytest.mark.parametrize("instruction", ["none", "pmaddwd"] if X86 else ["none"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_product_of_short_pairs(schedule: str, instruction: str) -> None:
    a, b = numbers(np.uint8, M, 4 * K), numbers(np.int8, 4 * K, N) // 2
    b[4:8] = np.array([[-128], [0], [1], [127]])
    text = short(product(SCHEDULES[schedule], np.uint8, np.int8, 4))
    kernels = Kernels(lowered(text), instruction)
    operands = [like(packed(a, 1, 4)), like(packed(b, 0, 4))]
    got = call(kernels, "f", [*operands, np.zeros((M, N), np.int32)])
    np.testing.assert_array_equal(got, a.astype(np.int64) @ b.astype(np.int64))


@cache
def assembly(cpu: str, instruction: str, name: str) -> str:
    """What a tile of vectors as long as the target's becomes."""
    target = Target.named(cpu)
    schedule = TILE.replace(
        "krnl.tensorize(%i1, %j1) 8", f"krnl.tensorize(%i1, %j1) {target.lanes(32)}"
    )
    text = product(schedule, *PAIRS[name.removeprefix("short ")])
    text = short(text) if name.startswith("short ") else text
    module, _ = lower(lowered(text), instruction)
    (kernel,) = kernel_modules(module, attributes=target.function_attributes).values()
    return compile_text(kernel, target, "asm").decode()


@pytest.mark.skipif(not X86, reason="LLVM has the x86 target on x86 only")
@pytest.mark.parametrize(
    ("cpu", "instruction", "name", "expected"),
    [
        ("x86-64-v2", "pmaddwd", "i16 by i8", "pmaddwd"),
        ("haswell", "pmaddwd", "i16 by i8", "vpmaddwd"),
        ("skylake-avx512", "pmaddwd", "i16 by i16", "zmm"),
        ("icelake-server", "vpdpbusd", "fours of ui8 by i8", "vpdpbusd"),
        ("alderlake", "vpdpbusd", "fours of ui8 by i8", "vpdpbusd"),
        ("icelake-server", "vpdpbusd", "fours of i8 by ui8", "vpmaddwd"),
        ("icelake-server", "vpdpbusd", "i16 by i8", "madd"),
        ("haswell", "pmaddwd", "short fours of ui8 by i8", "vpmaddubsw"),
        ("skylake-avx512", "pmaddwd", "short fours of ui8 by i8", "vpmaddubsw"),
        ("icelake-server", "vpdpbusd", "short fours of ui8 by i8", "vpdpbusd"),
    ],
)
def test_instructions(cpu: str, instruction: str, name: str, expected: str) -> None:
    assert Target.named(cpu).dot_products == instruction
    assert expected in assembly(cpu, instruction, name)


@pytest.mark.skipif(not X86, reason="LLVM has the x86 target on x86 only")
@pytest.mark.parametrize("cpu", ["haswell", "sapphirerapids"])
def test_numbers_are_rounded_to_integers_by_one_instruction(cpu: str) -> None:
    target = Target.named(cpu)
    module, _ = lower((Path(__file__).parent / "affine_to_llvm" / "rounding.mlir").read_text())
    kernel = kernel_modules(module, attributes=target.function_attributes)["whole"]
    text = compile_text(kernel, target, "asm").decode()
    assert "vcvtps2dq" in text and "round" not in text.replace("roundeven", "")


def test_pipelines_follow_the_target() -> None:
    texts = {
        cpu: str(Pipeline.default(Target.named(cpu))) for cpu in ("znver4", "haswell", "arm64")
    }
    assert "onnx-pack-integers{group=4 " in texts["znver4"]
    assert "lower-llvm{dot-products=vpdpbusd}" in texts["znver4"]
    assert "onnx-pack-integers{group=2 " in texts["haswell"]
    assert "onnx-pack-integers{group=1 " in texts["arm64"]
    groups = {"znver4": 4, "haswell": 2, "arm64": 1}
    assert all(f"onnx-apply-winograd{{group={groups[cpu]} " in texts[cpu] for cpu in texts)
    assert "lower-llvm{dot-products=none}" in texts["arm64"]
