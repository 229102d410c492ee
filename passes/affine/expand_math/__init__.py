"""The pass `expand-math`: transcendental functions as calls of branch-free functions.

In: the `affine` stage. Out: the same without those operations of `math` for which LLVM would call
libm. Each is a call of a private function, made once per module and type and marked `alwaysinline`,
so that loops around it vectorise:

    %y = math.exp %x : f32      ->      %y = func.call @exp_f32(%x) : (f32) -> f32

    func.func private @exp_f32(%x : f32) -> f32 attributes {alwaysinline} { ... arith, math ... }

What a function computes, and how, stands in the module of its family (`exponential`, `logarithm`,
`power`, `trigonometric`, `inverse_trigonometric`, `error_function`); they are written with `body`.
f16 and bf16 compute in f32.

Errors are below 2 ulp, mostly below 1.6, tanh's below 2.6 (those of each function stand in the
tests), subnormal numbers included. With the fast-math flag `afn` (softmax's terms beside a 1) exp
makes subnormal numbers 0 and that of f32 is up to 2.1 + |x| / 25 ulp off, which saves 40 % of its
operations, and its last product may be fused with what it is added to, as in 1 / (1 + exp(-x)); erf
of f32 has an absolute error below 2^-21.8 in half the operations, for Gelu's 1 + erf x. No other
operation of a body has fast-math flags, because most algorithms need each rounding as it is. On a
target without fused multiply-add `math.fma` becomes a call of libm: still right, but slow.
"""

from passes.affine.expand_math.expansion import ExpandMath

__all__ = ["ExpandMath"]
