"""The pass and the table of the functions it knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import func, math
from xdsl.dialects.arith import FastMathFlag
from xdsl.dialects.builtin import (
    FunctionType,
    IntegerType,
    ModuleOp,
    StringAttr,
    SymbolRefAttr,
    UnitAttr,
    VectorType,
    bf16,
    f16,
    f32,
    f64,
)
from xdsl.ir import Attribute, Block, Operation, Region
from xdsl.passes import ModulePass

from dialects.arith import has_flag
from dialects.math import ErfcOp, SincosOp
from dialects.onnx.locations import place_of
from passes.affine.expand_math import (
    error_function,
    exponential,
    inverse_trigonometric,
    logarithm,
    power,
    trigonometric,
)
from passes.affine.expand_math.body import Body, Value
from runtime.errors import UnsupportedError

Builder = Callable[..., Value]
"""Appends a function's body to a `Body`, given its arguments, and returns its result."""

FUNCTIONS: dict[str, Builder] = {
    math.AcosOp.name: inverse_trigonometric.acos,
    math.AcoshOp.name: logarithm.acosh,
    math.AsinOp.name: inverse_trigonometric.asin,
    math.AsinhOp.name: logarithm.asinh,
    math.Atan2Op.name: inverse_trigonometric.atan2,
    math.AtanOp.name: inverse_trigonometric.atan,
    math.AtanhOp.name: logarithm.atanh,
    math.CbrtOp.name: power.cbrt,
    math.CosOp.name: trigonometric.cos,
    math.CoshOp.name: exponential.cosh,
    math.ErfOp.name: error_function.erf,
    ErfcOp.name: error_function.erfc,
    math.Exp2Op.name: exponential.exp2,
    math.ExpM1Op.name: exponential.expm1,
    math.ExpOp.name: exponential.exp,
    math.FPowIOp.name: power.fpowi,
    math.IPowIOp.name: power.ipowi,
    math.Log10Op.name: logarithm.log10,
    math.Log1pOp.name: logarithm.log1p,
    math.Log2Op.name: logarithm.log2,
    math.LogOp.name: logarithm.log,
    math.PowFOp.name: power.powf,
    math.RsqrtOp.name: power.rsqrt,
    math.SinOp.name: trigonometric.sin,
    math.SinhOp.name: exponential.sinh,
    math.TanOp.name: trigonometric.tan,
    math.TanhOp.name: exponential.tanh,
}
"""The builder of each operation's function, by the operation's name."""

APPROXIMATIONS: dict[str, Builder] = {
    math.ErfOp.name: error_function.erf_of_unit,
    math.ExpOp.name: exponential.exp_normal,
}
"""What takes the place of a function where the operation's fast-math flags have `afn`."""

PARTS = {SincosOp.name: (math.SinOp.name, math.CosOp.name)}
"""Operations whose results are those of several functions, which LLVM merges once inlined."""

_FLOATS = (f16, bf16, f32, f64)
_COMPUTED_IN_F32 = (f16, bf16)


@dataclass(frozen=True)
class ExpandMath(ModulePass):
    """Replaces transcendental operations by calls.

    Takes f16, bf16, f32, f64 (for `math.ipowi` integers) and fixed-size vectors of them; raises
    UnsupportedError for other types. Running it again reuses the functions that are there.
    """

    name = "expand-math"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        wanted = [
            nested for nested in op.walk() if nested.name in FUNCTIONS or nested.name in PARTS
        ]
        if wanted:
            helpers = Helpers(op)
            for nested in wanted:
                _expand(nested, helpers)


def _expand(op: Operation, helpers: Helpers) -> None:
    block = op.parent
    assert block is not None
    names = PARTS.get(op.name, (op.name,))
    for name, result in zip(names, op.results, strict=True):
        call = func.CallOp.create(
            operands=op.operands,
            result_types=[result.type],
            properties={"callee": SymbolRefAttr(helpers.function(name, op))},
            location=op.location,
        )
        block.insert_op_before(call, op)
        result.replace_all_uses_with(call.results[0])
    block.erase_op(op)


class Helpers:
    """The helper functions of one module, made when first asked for."""

    def __init__(self, module: ModuleOp) -> None:
        self._block = module.body.block
        self._symbols = {
            name.data: op
            for op in module.ops
            if isinstance(name := op.properties.get("sym_name"), StringAttr)
        }
        self._names: dict[tuple[Builder, tuple[Attribute, ...]], str] = {}

    def function(self, name: str, op: Operation) -> str:
        """The symbol of the function that computes `name` of `op`'s operands."""
        operands = op.operand_types
        is_exact = name not in APPROXIMATIONS or not has_flag(op, FastMathFlag.APPROX_FUNC)
        build = FUNCTIONS[name] if is_exact else APPROXIMATIONS[name]
        key = (build, tuple(operands))
        if key not in self._names:
            for operand in operands:
                _check_type(op, operand)
            stem = name if is_exact else f"{name}_afn"
            kind = FunctionType.from_lists(operands, operands[:1])
            self._names[key] = self._find_or_add(stem, build, kind)
        return self._names[key]

    def _find_or_add(self, stem: str, build: Builder, kind: FunctionType) -> str:
        base = symbol = symbol_of(stem, kind.inputs.data)
        clashes = 0
        while symbol in self._symbols:
            if _is_helper(self._symbols[symbol], kind):
                return symbol
            clashes += 1
            symbol = f"{base}_{clashes}"
        function = build_function(build, symbol, kind)
        self._symbols[symbol] = function
        self._block.add_op(function)
        return symbol


def symbol_of(name: str, operands: Sequence[Attribute]) -> str:
    """`exp_f32` for math.exp of f32, `exp_v16xf32` for vector<16xf32>, `fpowi_f32_i32`."""
    tags = dict.fromkeys(_tag(operand) for operand in operands)
    return "_".join([name.removeprefix("math."), *tags])


def _tag(kind: Attribute) -> str:
    if isinstance(kind, VectorType):
        return "v" + "x".join([*map(str, kind.get_shape()), str(kind.element_type)])
    return str(kind)


def _is_helper(op: Operation, kind: FunctionType) -> bool:
    """Whether a function is one of ours of that type, from an earlier run."""
    return (
        isinstance(op, func.FuncOp)
        and "alwaysinline" in op.attributes
        and op.sym_visibility == StringAttr("private")
        and op.function_type == kind
    )


def _check_type(op: Operation, kind: Attribute) -> None:
    element = kind
    if isinstance(kind, VectorType) and not any(dim.value.data for dim in kind.scalable_dims):
        element = kind.element_type
    integers_too = op.name in (math.IPowIOp.name, math.FPowIOp.name)
    if element in _FLOATS or (integers_too and isinstance(element, IntegerType)):
        return
    raise UnsupportedError(
        f"{op.name} of {kind} cannot be expanded",
        place_of(op.location, "affine"),
        "convert the operands to f32 or f64",
    )


def build_function(build: Builder, symbol: str, kind: FunctionType) -> func.FuncOp:
    """A private function of that type with the body that `build` makes."""
    block = Block(arg_types=kind.inputs.data)
    first = kind.inputs.data[0]
    body = Body(block, tuple(first.get_shape()) if isinstance(first, VectorType) else ())
    arguments = [body.value(argument) for argument in block.args]
    element = arguments[0].element
    result = build(body, *map(_widened, arguments)).to(element)
    block.add_op(func.ReturnOp.create(operands=[result.ssa]))
    return func.FuncOp.create(
        properties={
            "sym_name": StringAttr(symbol),
            "function_type": kind,
            "sym_visibility": StringAttr("private"),
        },
        attributes={"alwaysinline": UnitAttr()},
        regions=[Region(block)],
    )


def _widened(argument: Value) -> Value:
    return argument.to(f32) if argument.element in _COMPUTED_IN_F32 else argument
