"""Kernels that apply one operation of `math`, expanded by the pass, to arrays; and references.

y = evaluate("exp", x)                  # float32 or float64, as x is
error = ulps(y, reference("exp")(x))
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from native_kernel import aligned, kernels, like

from compiler.ir_text import new_context, parse_module, print_module
from passes.affine.expand_math import ExpandMath

MLIR_TYPES = {"float16": "f16", "float32": "f32", "float64": "f64", "int32": "i32", "int64": "i64"}

Array = np.ndarray
Function = Callable[..., Array]

_NUMPY_NAMES = {
    "acos": "arccos",
    "acosh": "arccosh",
    "asin": "arcsin",
    "asinh": "arcsinh",
    "atan": "arctan",
    "atan2": "arctan2",
    "atanh": "arctanh",
    "powf": "power",
    "fpowi": "power",
}


def expanded(text: str) -> str:
    """A text of the affine stage after `expand-math`."""
    ctx = new_context()
    module = parse_module(text, ctx)
    module.verify()
    ExpandMath().apply(ctx, module)
    module.verify()
    return print_module(module, ctx)


def loop(name: str, kinds: tuple[str, ...]) -> str:
    """A kernel @f that applies `math.<name>` to each element of its arrays.

    ``name`` may be followed by fast-math flags, as in "exp afn".
    """
    name, _, flags = name.partition(" ")
    fast = f" fastmath<{flags}>" if flags else ""
    parameters = [f"%a{k}: memref<?x{kind}>" for k, kind in enumerate(kinds)]
    loads = [f"%x{k} = affine.load %a{k}[%i] : memref<?x{kind}>\n" for k, kind in enumerate(kinds)]
    operands = ", ".join(f"%x{k}" for k in range(len(kinds)))
    types = ", ".join(kinds) if name == "fpowi" else kinds[0]
    return f"""
    func.func @f({", ".join(parameters)}, %r: memref<?x{kinds[0]}>, %n: index) {{
      affine.for %i = 0 to %n {{
        {"".join(loads)}
        %y = math.{name} {operands}{fast} : {types}
        affine.store %y, %r[%i] : memref<?x{kinds[0]}>
      }}
      return
    }}"""


@cache
def _expanded_loop(name: str, kinds: tuple[str, ...]) -> str:
    return expanded(loop(name, kinds))


def evaluate(name: str, *arrays: Array) -> Array:
    """What native code computes for arrays of equal length; the result is of the first's dtype."""
    text = _expanded_loop(name, tuple(MLIR_TYPES[array.dtype.name] for array in arrays))
    result = aligned(arrays[0].size, arrays[0].dtype)
    kernels(text)("f", *map(like, arrays), result, arrays[0].size)
    return result


def reference(name: str) -> Function:
    """The same in extended precision (erf and erfc: in f64)."""
    if name in ("erf", "erfc"):
        return np.vectorize(getattr(math, name), otypes=[np.float64])
    if name == "rsqrt":
        return lambda x: 1 / np.sqrt(x.astype(np.longdouble))
    function = getattr(np, _NUMPY_NAMES.get(name, name))
    return lambda *arrays: function(*(array.astype(np.longdouble) for array in arrays))


def ulps(result: Array, exact: Array) -> Array:
    """Errors in units of the last place of the exact value's binade; 0 for NaN where NaN is due and
    for an infinity where rounding gives one, infinite for a wrong NaN or infinity."""
    info = np.finfo(result.dtype)
    with np.errstate(all="ignore"):
        rounded = exact.astype(result.dtype)
        _, exponent = np.frexp(np.abs(exact))
        unit = np.ldexp(np.longdouble(1), np.maximum(exponent - 1, info.minexp) - info.nmant)
        error = np.abs(result.astype(np.longdouble) - exact) / unit
    special = ~np.isfinite(result) | ~np.isfinite(rounded)
    same = (np.isnan(result) & np.isnan(exact)) | (result == rounded)
    return np.where(special, np.where(same, 0, np.inf), error).astype(np.float64)


def worst(name: str, *arrays: Array) -> float:
    """The largest error in ulps, with the arguments in the message where it is infinite."""
    with np.errstate(all="ignore"):
        errors = ulps(evaluate(name, *arrays), reference(name)(*arrays))
    at = int(errors.argmax())
    assert np.isfinite(errors[at]), f"{name} of {[array[at] for array in arrays]}"
    return float(errors[at])
