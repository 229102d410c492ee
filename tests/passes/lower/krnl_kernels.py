"""Kernels of the krnl stage with holes for schedules, and what it takes to run them natively."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from native_kernel import Context, Kernels, aligned

from compiler.ir_text import new_context, parse_module, print_module
from passes.affine.expand_math import ExpandMath
from passes.lower.krnl_to_affine import KrnlToAffine

GUARD = 64
"""Elements behind every output that no kernel may touch."""


def lowered(text: str) -> str:
    """The affine stage of a text of the krnl stage."""
    ctx = new_context()
    module = parse_module(text, ctx)
    KrnlToAffine().apply(ctx, module)
    module.verify()
    return print_module(module, ctx)


def native(text: str) -> Kernels:
    """The kernels of a text of the krnl stage, compiled."""
    ctx = new_context()
    module = parse_module(lowered(text), ctx)
    ExpandMath().apply(ctx, module)
    return Kernels(print_module(module, ctx))


def call(kernels: Kernels, name: str, arrays: Sequence[np.ndarray], *sizes: int) -> np.ndarray:
    """Runs a kernel whose last array is its output: filled by it, nothing behind it touched."""
    *inputs, shape = arrays
    guarded = aligned(shape.size + GUARD, shape.dtype)
    guarded[:] = 77
    output = guarded[: shape.size].reshape(shape.shape)
    output[...] = 55
    context = Context() if kernels.signatures[name].takes_context else None
    kernels(name, *inputs, output, *sizes, context=context)
    assert (guarded[shape.size :] == 77).all(), "the kernel writes behind its output"
    return output


def size(name: str, value: int, dynamic: str) -> tuple[object, object]:
    """How a size stands in types and in bounds."""
    return ("?", f"%{name}") if name in dynamic else (value, value)


def matmul(
    schedule: str, m: int, k: int, n: int, dynamic: str = "", inner: str = "", name: str = "mm"
) -> str:
    """`c[m, n] = a[m, k] . b[k, n] + bias[n]` with schedules of its nest and its reduction."""
    (tm, bm), (tk, bk), (tn, bn) = (size(*pair, dynamic) for pair in (("m", m), ("k", k), ("n", n)))
    return f"""
    func.func @{name}(%a: memref<{tm}x{tk}xf32>, %b: memref<{tk}x{tn}xf32>, %d: memref<{tn}xf32>,
                      %c: memref<{tm}x{tn}xf32>, %m: index, %k: index, %n: index) {{
      %i, %j = krnl.define_loops 2
      {schedule}
      krnl.iterate (%i -> %x = 0 to {bm}, %j -> %y = 0 to {bn}) {{
        %zero = arith.constant 0.0 : f32
        %l = krnl.define_loops 1
        {inner}
        %s = krnl.iterate (%l -> %z = 0 to {bk}) iter_args(%acc = %zero : f32) {{
          %u = krnl.load %a[%x, %z] : memref<{tm}x{tk}xf32>
          %v = krnl.load %b[%z, %y] : memref<{tk}x{tn}xf32>
          %p = arith.mulf %u, %v : f32
          %q = arith.addf %acc, %p : f32
          krnl.yield %q : f32
        }}
        %w = krnl.load %d[%y] : memref<{tn}xf32>
        %r = arith.addf %s, %w : f32
        krnl.store %r, %c[%x, %y] : memref<{tm}x{tn}xf32>
      }}
      return
    }}"""


def check_matmul(
    kernels: Kernels, m: int, k: int, n: int, name: str = "mm", offset: int = 0
) -> None:
    """Compares a product of random integers with numpy's, exactly."""
    random = np.random.default_rng(m * 1000 + k * 100 + n + offset)
    a, b, d = (random.integers(-8, 9, shape) for shape in ((m, k), (k, n), (n,)))
    arrays = [aligned(x.shape, np.float32) for x in (a, b, d)]
    for array, values in zip(arrays, (a, b, d), strict=True):
        array[...] = values
    output = call(kernels, name, [*arrays, aligned((m, n), np.float32)], m, k, n)
    np.testing.assert_array_equal(output, a @ b + d)
