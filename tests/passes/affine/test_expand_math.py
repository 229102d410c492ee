"""The pass `expand-math`: what it leaves in a module, and what LLVM makes of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import product

import numpy as np
import pytest
from math_kernels import MLIR_TYPES, evaluate, expanded, loop
from native_kernel import aligned, kernels, like, llvm_ir, lower
from xdsl.dialects import func

from compiler.codegen import compile_text
from compiler.ir_text import new_context, parse_module, print_module
from compiler.llvm_text import kernel_modules
from compiler.target import Target
from passes.affine.expand_math import ExpandMath
from passes.affine.expand_math.expansion import FUNCTIONS, symbol_of
from passes.affine.expand_math.trigonometric import inverse_two_pi
from runtime.errors import UnsupportedError

NAMES = [name.removeprefix("math.") for name in FUNCTIONS]
BINARY = ("atan2", "powf")


def kinds(name: str, kind: str) -> tuple[str, ...]:
    """Operand types of an operation on `kind`."""
    if name == "fpowi":
        return kind, re.sub(r"b?f\d+", "i32", kind)
    if name == "ipowi":
        integer = re.sub(r"b?f\d+", "i32", kind)
        return integer, integer
    return (kind, kind) if name in BINARY else (kind,)


def function_of(name: str, kind: str) -> str:
    """A function that applies an operation once."""
    operands = kinds(name, kind)
    parameters = ", ".join(f"%x{k}: {operand}" for k, operand in enumerate(operands))
    arguments = ", ".join(f"%x{k}" for k in range(len(operands)))
    types = ", ".join(operands) if name == "fpowi" else operands[0]
    return f"""
    func.func @user_{name}({parameters}) -> {operands[0]} {{
      %y = math.{name} {arguments} : {types}
      return %y : {operands[0]}
    }}"""


ONE_EXP = function_of("exp", "f32")


def test_an_operation_becomes_a_call_of_a_private_function() -> None:
    text = expanded(ONE_EXP)
    assert "%y = func.call @exp_f32(%x0) : (f32) -> f32" in text
    assert "func.func private @exp_f32(" in text
    assert "-> f32 attributes {alwaysinline}" in text
    assert "math.exp " not in text


def test_functions_are_made_once_for_each_type_and_only_if_used() -> None:
    calls = "".join(f"%y{k} = math.tanh %x : f32\n%z{k} = math.tanh %v : f64\n" for k in range(3))
    text = expanded(f"func.func @user(%x: f32, %v: f64) {{\n{calls}return\n}}")
    made = re.findall(r"func private @(\w+)", text)
    assert made == ["tanh_f32", "tanh_f64"]


def test_a_second_run_uses_the_functions_that_are_there() -> None:
    once = expanded(ONE_EXP)
    user = ONE_EXP.replace("user_exp", "another")
    twice = expanded(once.rstrip().removesuffix("}") + user + "\n}")
    assert re.findall(r"func private @(\w+)", twice) == ["exp_f32"]
    assert twice.count("call @exp_f32") == 2


def test_a_kernel_of_the_same_name_is_left_alone() -> None:
    text = expanded(ONE_EXP.replace("user_exp", "exp_f32"))
    assert "func.func @exp_f32(%x0: f32)" in text
    assert "func.func private @exp_f32_1(" in text
    assert "call @exp_f32_1(" in text


def test_a_module_without_such_operations_is_not_touched() -> None:
    ctx = new_context()
    text = "func.func @f(%x: f32) -> f32 {\n%y = math.sqrt %x : f32\nreturn %y : f32\n}"
    module = parse_module(text, ctx)
    before = print_module(module, ctx)
    ExpandMath().apply(ctx, module)
    assert print_module(module, ctx) == before


def test_calls_keep_the_location_of_their_operation() -> None:
    ctx = new_context()
    module = parse_module(ONE_EXP, ctx)
    (operation,) = (op for op in module.walk() if op.name == "math.exp")
    ExpandMath().apply(ctx, module)
    (call,) = (op for op in module.walk() if isinstance(op, func.CallOp))
    assert call.location is operation.location


@pytest.mark.parametrize(
    ("name", "operands", "symbol"),
    [
        ("math.exp", ("f32",), "exp_f32"),
        ("math.powf", ("vector<16xf32>", "vector<16xf32>"), "powf_v16xf32"),
        ("math.fpowi", ("f32", "i32"), "fpowi_f32_i32"),
        ("math.sin", ("vector<2x8xf64>",), "sin_v2x8xf64"),
    ],
)
def test_names_of_functions(name: str, operands: tuple[str, ...], symbol: str) -> None:
    ctx = new_context()
    parameters = ", ".join(f"%x{k}: {kind}" for k, kind in enumerate(operands))
    module = parse_module(f"func.func @f({parameters}) {{\nreturn\n}}", ctx)
    (function,) = (op for op in module.ops if isinstance(op, func.FuncOp))
    assert symbol_of(name, function.function_type.inputs.data) == symbol


def test_sincos_is_both() -> None:
    text = """
    func.func @f(%x: memref<4xf32>, %s: memref<4xf32>, %c: memref<4xf32>) {
      affine.for %i = 0 to 4 {
        %0 = affine.load %x[%i] : memref<4xf32>
        %1, %2 = math.sincos %0 : f32
        affine.store %1, %s[%i] : memref<4xf32>
        affine.store %2, %c[%i] : memref<4xf32>
      }
      return
    }"""
    x = np.array([0, 1, -2, 1e6], np.float32)
    sine, cosine = aligned(4, np.float32), aligned(4, np.float32)
    kernels(expanded(text))("f", like(x), sine, cosine)
    np.testing.assert_array_equal(sine, evaluate("sin", x))
    np.testing.assert_array_equal(cosine, evaluate("cos", x))


@pytest.mark.parametrize("kind", ["f80", "tensor<4xf32>", "vector<[4]xf32>"])
def test_other_types_are_refused(kind: str) -> None:
    with pytest.raises(UnsupportedError, match=r"math\.exp of .* cannot be expanded"):
        expanded(function_of("exp", kind))


UNARY = [name for name in NAMES if len(kinds(name, "f32")) == 1]


@pytest.mark.parametrize(
    ("name", "dtype", "shape"),
    [
        *product(UNARY, ["float32"], [(16,)]),
        *product(["exp", "log", "erfc", "tan", "atanh"], ["float64"], [(3,)]),
        *product(["exp", "sin", "erf"], ["float32", "float16"], [(1,), (2, 4)]),
    ],
)
def test_vectors_give_the_bits_that_scalars_give(
    name: str, dtype: str, shape: tuple[int, ...]
) -> None:
    kind = MLIR_TYPES[dtype]
    count = int(np.prod(shape))
    flat, vector = f"vector<{count}x{kind}>", f"vector<{'x'.join(map(str, shape))}x{kind}>"
    memref = f"memref<{count}x{kind}>"
    text = f"""
    func.func @f(%x: {memref}, %r: {memref}) {{
      %zero = arith.constant 0 : index
      %0 = vector.load %x[%zero] : {memref}, {flat}
      %1 = vector.shape_cast %0 : {flat} to {vector}
      %2 = math.{name} %1 : {vector}
      %3 = vector.shape_cast %2 : {vector} to {flat}
      vector.store %3, %r[%zero] : {memref}, {flat}
      return
    }}"""
    special = [np.nan, -0.0, np.inf, 0.5, -3, 1e-7, 1, 2, 40, -0.3, 1e4, 7, -np.inf, -1, 0, 100]
    for offset in range(0, len(special), count):
        x = np.resize(np.array(special[offset:], dtype), count)
        result = aligned(count, dtype)
        kernels(expanded(text))("f", like(x), result)
        np.testing.assert_array_equal(result, evaluate(name, x))


V3 = Target.named("x86-64-v3")


@pytest.mark.parametrize("name", NAMES)
def test_loops_vectorise_and_call_nothing(name: str) -> None:
    ir = llvm_ir(expanded(loop(name, kinds(name, "f32"))), V3)
    assert re.search(r"<\d+ x (float|double|i32)>", ir), "no vectors"
    called = set(re.findall(r"call [^@]*@([\w.]+)\(", ir))
    assert all(callee.startswith("llvm.") for callee in called), called
    # These would be calls of libm once lowered.
    assert not [c for c in called if re.match(r"llvm\.(exp|log|sin|cos|tan|pow|atan|asin)", c)]


def test_what_an_approximate_exponential_is_added_to_is_fused_with_it() -> None:
    text = expanded(
        """
    func.func @f(%x : f32, %r : memref<1xf32>) {
      %one = arith.constant 1.0 : f32
      %e = math.exp %x fastmath<afn> : f32
      %d = arith.addf %e, %one fastmath<contract> : f32
      affine.store %d, %r[0] : memref<1xf32>
      return
    }"""
    )
    assert text.count("fastmath<contract>") == 2
    module, _ = lower(text)
    target = Target.named("haswell")
    (kernel,) = kernel_modules(module, attributes=target.function_attributes).values()
    assert "vmulss" not in compile_text(kernel, target, "asm").decode()


def test_an_integer_power_with_a_known_exponent_is_a_product() -> None:
    text = loop("ipowi", ("i64", "i64"))
    text = text.replace("%y = ", "%two = arith.constant 2 : i64\n%y = ").replace("%x1 :", "%two :")
    ir = llvm_ir(expanded(text), V3)
    assert "select" not in ir
    # Four in the unrolled loop, one for what is left.
    assert len(re.findall(r" = mul .*<\d+ x i64>", ir)) <= 5


def test_chunks_of_the_inverse_of_two_pi() -> None:
    """Against 1 / (2 pi) = 0.159154943091895335768883763372514362034459645740456448747667..."""
    chunks = inverse_two_pi(0, (29, 53, 53))
    digits = 159154943091895335768883763372514362034459645740456448747667
    scale = 10**60
    total = sum(int(n) * scale // d for n, d in (chunk.as_integer_ratio() for chunk in chunks))
    # 135 bits and the three zeros in front of them.
    assert abs(total - digits) < scale // 2**136
    assert (chunks[0] * 2.0**31).is_integer()


@pytest.mark.skipif(shutil.which("mlir-opt-22") is None, reason="mlir-opt-22 is not installed")
@pytest.mark.parametrize("kind", ["f32", "f64", "f16", "bf16", "vector<16xf32>", "vector<2x3xf64>"])
def test_upstream_accepts_all_bodies(kind: str) -> None:
    text = expanded("\n".join(function_of(name, kind) for name in NAMES if name != "fpowi"))
    run = subprocess.run(["mlir-opt-22"], input=text, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[:2000]
