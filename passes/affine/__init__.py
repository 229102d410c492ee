"""Passes on the `affine` stage.

In: kernels in `affine`, `scf`, `memref`, `vector`, `arith` and `math`. Out: the same stage, nearer
to what LLVM has instructions for.
"""
