"""Pointwise operators: every element type, special numbers, broadcasting, old versions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from harness import (
    assert_same,
    check,
    compile_model,
    make_model,
    node_cases,
    one_node,
    run_case,
    run_model,
)
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import compiler
from compiler.codegen import compile_text
from compiler.llvm_text import kernel_modules
from compiler.target import Target
from runtime.errors import UnsupportedError

BF16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = [np.dtype(np.float16), BF16, np.dtype(np.float32), np.dtype(np.float64)]
SIGNED = [np.dtype(f"int{bits}") for bits in (8, 16, 32, 64)]
UNSIGNED = [np.dtype(f"uint{bits}") for bits in (8, 16, 32, 64)]
TOLERANCE = {"float16": 2e-3, "bfloat16": 1e-2, "float32": 4e-6, "float64": 1e-12}

WITHOUT_ATTRIBUTES = [
    *[
        "Abs",
        "Acos",
        "Acosh",
        "Asin",
        "Asinh",
        "Atan",
        "Atanh",
        "Ceil",
        "Cos",
        "Cosh",
        "Erf",
        "Exp",
    ],
    *["Floor", "HardSwish", "Identity", "Log", "Mish", "Neg", "Reciprocal", "Relu", "Round"],
    *["Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Tan", "Tanh"],
]

UNARY: dict[str, dict[str, Any]] = {
    **{name: {} for name in WITHOUT_ATTRIBUTES},
    "Celu": {"alpha": 1.7},
    "Elu": {"alpha": 0.8},
    "Gelu": {},
    "HardSigmoid": {"alpha": 0.3, "beta": 0.4},
    "LeakyRelu": {"alpha": 0.13},
    "Selu": {"alpha": 1.2, "gamma": 1.3},
    "Shrink": {"lambd": 0.9, "bias": 0.3},
    "ThresholdedRelu": {"alpha": 0.7},
}


EXACT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Erf": np.vectorize(math.erf),
    "Gelu": np.vectorize(lambda x: 0.5 * x * (1 + math.erf(x * math.sqrt(0.5)))),
    "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
}
"""Functions that the reference computes in single precision only."""


def name_of(value: Any) -> str:
    """A readable test id."""
    return getattr(value, "name", str(value))


def sample(dtype: np.dtype, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Numbers of a type, both signs where it has them."""
    rng = np.random.default_rng(seed)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        low = 0 if dtype.kind == "u" else -50
        return rng.integers(low, 51, shape).astype(dtype)
    return rng.normal(0, 3, shape).astype(dtype)


def specials(dtype: np.dtype) -> np.ndarray:
    """Ordinary, huge, tiny and special numbers of a floating-point type."""
    info = ml_dtypes.finfo(dtype)
    edge = [0, -0.0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, np.inf, -np.inf, np.nan]
    limits = [info.max, -info.max, info.tiny, -info.tiny]
    ramp = np.linspace(-9, 9, 41)
    return np.concatenate([np.array(edge), np.array(limits, np.float64), ramp]).astype(dtype)


def allows(op_type: str, dtype: np.dtype, opset: int) -> bool:
    """Whether an operator's first input may have an element type."""
    schema = onnx.defs.get_schema(op_type, opset, "")
    kind = onnx.helper.tensor_dtype_to_string(helper.np_dtype_to_tensor_dtype(dtype))
    name = f"tensor({kind.removeprefix('TensorProto.').lower()})"
    return name.replace("float32", "float") in schema.inputs[0].types


def expected_in_double(nodes: list[onnx.NodeProto], arrays: dict[str, np.ndarray]) -> Any:
    """What the reference makes of the same numbers in float64."""
    wide = {n: a.astype(np.float64) if a.dtype in FLOATS else a for n, a in arrays.items()}
    outputs = [node.output[0] for node in nodes]
    model = make_model(nodes, {n: (a.dtype, a.shape) for n, a in wide.items()}, {}, outputs, 22)
    with np.errstate(all="ignore"):
        found = zip(outputs, ReferenceEvaluator(model).run(None, wide), strict=True)
        return [EXACT[n](wide["x"]) if n in EXACT else a for n, a in found]


@pytest.mark.parametrize("dtype", FLOATS, ids=name_of)
def test_functions_of_one_float_are_accurate_and_keep_special_numbers(dtype: np.dtype) -> None:
    nodes = [
        helper.make_node(name, ["x"], [name], **attributes)
        for name, attributes in UNARY.items()
        if allows(name, dtype, 22)
    ]
    assert len(nodes) > 20
    x = specials(dtype)
    model = make_model(nodes, {"x": (dtype, x.shape)}, {}, [n.output[0] for n in nodes], 22)
    got = compile_model(model).run({"x": x})
    for node, wide in zip(nodes, expected_in_double(nodes, {"x": x}), strict=True):
        with np.errstate(all="ignore"):
            expected = wide.astype(dtype)
        name = node.output[0]
        tolerance = TOLERANCE[dtype.name]
        try:
            assert_same(got[name], expected, tolerance, tolerance * 0.1)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


def test_symbolic_sizes_and_onnxruntime() -> None:
    names = [name for name in UNARY if name not in ("Asin", "Acos", "Atanh")]
    nodes = [helper.make_node(name, ["x"], [name], **UNARY[name]) for name in names]
    model = make_model(nodes, {"x": (np.float32, ["n", 3, "m"])}, {}, names, 22)
    rng = np.random.default_rng(1)
    feeds = [{"x": rng.uniform(1.01, 4, s).astype(np.float32)} for s in ((2, 3, 7), (1, 3, 33))]
    check(model, *feeds, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("dtype", [*SIGNED, *UNSIGNED, np.dtype(bool)], ids=name_of)
def test_functions_of_one_integer(dtype: np.dtype) -> None:
    names = ["Abs", "Neg", "Sign", "Relu", "BitwiseNot", "Not", "Identity"]
    nodes = [helper.make_node(n, ["x"], [n]) for n in names if allows(n, dtype, 22)]
    x = sample(dtype, (37,))
    if dtype.kind == "i":
        x[:2] = np.iinfo(dtype).min, np.iinfo(dtype).max
    model = make_model(nodes, {"x": (dtype, x.shape)}, {}, [n.output[0] for n in nodes], 22)
    check(model, {"x": x}, onnxruntime=False)


BINARY = [
    *["Add", "Sub", "Mul", "Div", "And", "Or", "Xor", "BitwiseAnd", "BitwiseOr", "BitwiseXor"],
    *["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "PRelu"],
    *["Max", "Min", "Sum", "Mean"],
]


@pytest.mark.parametrize("dtype", [*FLOATS, *SIGNED, *UNSIGNED, np.dtype(bool)], ids=name_of)
def test_functions_of_two_numbers_broadcast(dtype: np.dtype) -> None:
    names = [n for n in BINARY if allows(n, dtype, 22)]
    nodes = [helper.make_node(n, ["x", "z"], [n]) for n in names]
    x, z = sample(dtype, (4, 3, 5)), sample(dtype, (3, 1), 1)
    z = np.where(z == 0, np.ones_like(z), z)
    dims = {"x": (dtype, ["a", 3, "b"]), "z": (dtype, [3, 1])}
    model = make_model(nodes, dims, {}, names, 22)
    got = compile_model(model).run({"x": x, "z": z})
    for node, wide in zip(nodes, _reference(nodes, {"x": x, "z": z}), strict=True):
        tolerance = TOLERANCE.get(dtype.name, 0)
        expected = wide if wide.dtype == bool else wide.astype(dtype)
        assert_same(got[node.output[0]], expected, tolerance, tolerance)


def _reference(nodes: list[onnx.NodeProto], arrays: dict[str, np.ndarray]) -> Any:
    if arrays["x"].dtype in FLOATS:
        return expected_in_double(nodes, arrays)
    kinds = {n: (a.dtype, a.shape) for n, a in arrays.items()}
    model = make_model(nodes, kinds, {}, [n.output[0] for n in nodes], 22)
    return ReferenceEvaluator(model).run(None, arrays)


@pytest.mark.parametrize(
    ("left", "right"),
    [((5,), (4, 5)), ((1, 5), (4, 1)), ((), (3, 2)), ((2, 3, 1), (1, 7)), ((0, 3), (3,))],
    ids=str,
)
def test_broadcasting_of_fixed_sizes(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    x, z = sample(np.dtype(np.float32), left), sample(np.dtype(np.float32), right, 1)
    check(one_node("Sub", {"x": x, "z": z}), {"x": x, "z": z})


def test_sizes_that_may_be_one_only_in_a_run_broadcast() -> None:
    f32 = np.dtype(np.float32)
    model = make_model(
        [helper.make_node("Add", ["x", "z"], ["y"])],
        {"x": (f32, ["a", "b"]), "z": (f32, ["c", "d"])},
    )
    shapes = [((4, 5), (4, 5)), ((1, 5), (4, 1)), ((4, 5), (1, 5)), ((4, 1), (1, 1))]
    check(model, *({"x": sample(f32, a), "z": sample(f32, b, 1)} for a, b in shapes))


@pytest.mark.parametrize("dtype", [*SIGNED, *UNSIGNED], ids=name_of)
def test_integer_division_and_remainders(dtype: np.dtype) -> None:
    x = np.arange(0 if dtype.kind == "u" else -12, 13).astype(dtype)
    divisors = [1, 2, 5, 7] if dtype.kind == "u" else [1, -1, 2, -2, 5, -7]
    z = np.array(divisors, dtype)[:, None]
    nodes = [
        helper.make_node("Mod", ["x", "z"], ["floored"]),
        helper.make_node("Mod", ["x", "z"], ["truncated"], fmod=1),
        helper.make_node("Div", ["x", "z"], ["quotient"]),
    ]
    model = make_model(
        nodes,
        {"x": (dtype, x.shape), "z": (dtype, z.shape)},
        {},
        ("floored", "truncated", "quotient"),
    )
    got = compile_model(model).run({"x": x, "z": z})
    np.testing.assert_array_equal(got["floored"], np.mod(x, z))
    np.testing.assert_array_equal(got["truncated"], np.fmod(x, z))
    np.testing.assert_array_equal(got["quotient"], np.trunc(x.astype(float) / z).astype(dtype))


@pytest.mark.parametrize("dtype", FLOATS, ids=name_of)
def test_remainders_of_floats(dtype: np.dtype) -> None:
    x = np.concatenate([specials(dtype), sample(dtype, (50,))])
    z = np.array([1, -1, 0.7, -2.5, 3, np.inf, -np.inf, 1e-3, np.nan, 0], dtype)[:, None]
    nodes = [
        helper.make_node("Mod", ["x", "z"], ["floored"]),
        helper.make_node("Mod", ["x", "z"], ["truncated"], fmod=1),
    ]
    kinds = {"x": (dtype, x.shape), "z": (dtype, z.shape)}
    model = make_model(nodes, kinds, {}, ("floored", "truncated"), 28)
    got = compile_model(model).run({"x": x, "z": z})
    wide, divisor = x.astype(np.float64), z.astype(np.float64)
    with np.errstate(all="ignore"):
        floored, truncated = (
            np.mod(wide, divisor).astype(dtype),
            np.fmod(wide, divisor).astype(dtype),
        )
    assert_same(got["truncated"], truncated, 1e-6, 0)
    tolerance = TOLERANCE[dtype.name]
    assert_same(got["floored"], floored, tolerance, 0)


POWERS = [
    ("float32", "float32"),
    ("float32", "int64"),
    ("float64", "int32"),
    ("float16", "float32"),
    ("int32", "int32"),
    ("int64", "uint8"),
    ("int32", "float32"),
    ("int64", "float64"),
]


@pytest.mark.parametrize(("base", "exponent"), POWERS, ids=str)
def test_powers_of_mixed_types(base: str, exponent: str) -> None:
    x = np.array([-3, -2, -1, 0, 1, 2, 3, 7], base)
    z = np.array([0, 1, 2, 3, 5], exponent)[:, None]
    model = one_node("Pow", {"x": x, "z": z})
    check(model, {"x": x, "z": z}, rtol=2e-3 if base == "float16" else 1e-5)


@pytest.mark.parametrize("exponent", [-1.0, 0.5, 1.0, 2.0, 3.0, 4.0, 2.5])
def test_known_powers(exponent: float) -> None:
    x = np.array(
        [0.0, -0.0, 1.5, 3, 1e3, np.inf, np.nan, *([-np.inf, -2] if exponent != 2.5 else [])],
        np.float32,
    )
    model = one_node("Pow", {"x": x}, constants={"p": np.array(exponent, np.float32)})
    got = compile_model(model).run({"x": x})["y"]
    with np.errstate(all="ignore"):
        expected = np.power(x.astype(np.float64), exponent).astype(np.float32)
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    np.testing.assert_array_equal(np.signbit(got[:2]), np.signbit(expected[:2]))


@pytest.mark.parametrize("direction", ["LEFT", "RIGHT"])
@pytest.mark.parametrize("dtype", UNSIGNED, ids=name_of)
def test_shifts(dtype: np.dtype, direction: str) -> None:
    bits = dtype.itemsize * 8
    x = np.array([1, 3, 0x55, np.iinfo(dtype).max], dtype)
    z = np.array([0, 1, bits - 1, bits, bits + 3], dtype)[:, None]
    model = one_node("BitShift", {"x": x, "z": z}, direction=direction)
    got = compile_model(model).run({"x": x, "z": z})["y"]
    shift = np.left_shift if direction == "LEFT" else np.right_shift
    expected = np.where(z < bits, shift(x, np.minimum(z, bits - 1)), 0).astype(dtype)
    np.testing.assert_array_equal(got, expected)


def test_bounds_of_clip_may_be_absent_and_nan_stays() -> None:
    x = np.array([-3, -1, 0, 2, 9, np.nan, 3e38], np.float32)
    low, high = np.array(-1.5, np.float32), np.array(2.5, np.float32)
    nodes = [
        helper.make_node("Clip", ["x", "low", "high"], ["both"]),
        helper.make_node("Clip", ["x", "", "high"], ["upper"]),
        helper.make_node("Clip", ["x", "low"], ["lower"]),
        helper.make_node("Clip", ["x"], ["none"]),
        helper.make_node("Clip", ["x", "high", "low"], ["swapped"]),
    ]
    kinds = {"x": (np.float32, ["n"]), "low": (np.float32, []), "high": (np.float32, [])}
    model = make_model(nodes, kinds, {}, ("both", "upper", "lower", "none", "swapped"))
    check(model, {"x": x, "low": low, "high": high})


@pytest.mark.parametrize("opset", [1, 6])
def test_bounds_of_old_clips_are_attributes(opset: int) -> None:
    x = np.linspace(-4, 4, 9).astype(np.float32)
    model = one_node("Clip", {"x": x}, opset=opset, min=-1.0, max=2.0)
    np.testing.assert_array_equal(run_model(model, {"x": x})["y"], np.clip(x, -1, 2))


@pytest.mark.parametrize("dtype", [*FLOATS[2:], *SIGNED, np.dtype(np.uint8)], ids=name_of)
def test_extrema_of_several_operands(dtype: np.dtype) -> None:
    arrays = {f"x{i}": sample(dtype, shape, i) for i, shape in enumerate([(2, 3, 4), (3, 1), (4,)])}
    if dtype.kind == "f":
        arrays["x0"][0, 0, 0] = np.nan
    nodes = [helper.make_node(n, list(arrays), [n]) for n in ("Max", "Min")]
    kinds = {n: (a.dtype, a.shape) for n, a in arrays.items()}
    check(make_model(nodes, kinds, {}, ("Max", "Min")), arrays)


@pytest.mark.parametrize("dtype", [*FLOATS, *SIGNED, *UNSIGNED, np.dtype(bool)], ids=name_of)
def test_where_chooses(dtype: np.dtype) -> None:
    condition = sample(np.dtype(bool), (3, 1))
    x, z = sample(dtype, (1, 4), 1), sample(dtype, (2, 3, 4), 2)
    arrays = {"c": condition, "x": x, "z": z}
    got = compile_model(one_node("Where", arrays)).run(arrays)["y"]
    np.testing.assert_array_equal(got, np.where(condition, x, z))


CASTS = [*FLOATS, *SIGNED, *UNSIGNED, np.dtype(bool)]


@pytest.mark.parametrize("source", CASTS, ids=name_of)
def test_casts_between_numbers(source: np.dtype) -> None:
    x = sample(source, (40,))
    if source.kind == "i":
        x[:2] = np.iinfo(source).min, np.iinfo(source).max
    x = np.abs(x) if source.kind != "b" and source in FLOATS else x
    names = [target.name for target in CASTS]
    nodes = [
        helper.make_node("Cast", ["x"], [t.name], to=helper.np_dtype_to_tensor_dtype(t))
        for t in CASTS
    ]
    model = make_model(nodes, {"x": (source, x.shape)}, {}, names)
    got = compile_model(model).run({"x": x})
    for target in CASTS:
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(got[target.name], x.astype(target), str(target))


SMALL = [
    *["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"],
    *["float4_e2m1fn", "int4", "uint4", "int2", "uint2"],
]


@pytest.mark.parametrize("name", SMALL)
def test_every_code_of_a_small_type_is_read_right_and_moved_whole(name: str) -> None:
    dtype = np.dtype(getattr(ml_dtypes, name))
    info = ml_dtypes.iinfo(dtype) if "int" in name else ml_dtypes.finfo(dtype)
    codes = np.arange(1 << info.bits, dtype=np.uint8).reshape(2, -1)
    if name.startswith("int"):
        codes = codes.astype(np.int8) + np.int8(info.min)
    x = codes.view(dtype)
    target: dict[str, Any] = {"to": helper.np_dtype_to_tensor_dtype(dtype)}
    target |= {"saturate": 0, "round_mode": "nearest"} if name.startswith("float8") else {}
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["x"], ["t"]),
        helper.make_node("Cast", ["f"], ["back"], **target),
    ]
    model = make_model(nodes, {"x": (dtype, x.shape)}, {}, ("f", "t", "back"), 25)
    got = compile_model(model).run({"x": x})
    np.testing.assert_array_equal(got["f"], x.astype(np.float32))
    np.testing.assert_array_equal(got["t"].view(codes.dtype), codes.T)
    np.testing.assert_array_equal(got["back"].astype(np.float32), x.astype(np.float32))


@pytest.mark.parametrize("name", [n for n in SMALL if n.startswith("float") and "e8m0" not in n])
def test_rounding_to_small_floats(name: str) -> None:
    dtype = np.dtype(getattr(ml_dtypes, name))
    largest = float(ml_dtypes.finfo(dtype).max)
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, s, 400) for s in (1e-3, 1, largest / 2)]).astype(np.float32)
    model = one_node("Cast", {"x": x}, to=helper.np_dtype_to_tensor_dtype(dtype), opset=25)
    expected = np.clip(x, -largest, largest).astype(dtype)
    got = run_model(model, {"x": x})["y"]
    np.testing.assert_array_equal(got.view(np.uint8), expected.view(np.uint8))


def test_halves_are_rounded_from_double_only_once() -> None:
    x = np.array([1 + 2.0**-11 + 2.0**-40, 1 + 2.0**-11 - 2.0**-40, 65519.999, 1e-8], np.float64)
    model = one_node("Cast", {"x": x}, to=TensorProto.FLOAT16)
    got = compile_model(model).run({"x": x})["y"]
    np.testing.assert_array_equal(got, x.astype(np.float16))


@pytest.mark.parametrize("op_type", ["Add", "Sub", "Mul", "Div", "Pow", "Less", "Equal"])
@pytest.mark.parametrize(("shape", "axis"), [((3, 4), 1), ((2,), 0), ((4, 5), None), ((1,), None)])
def test_operands_of_the_first_binary_operators_start_at_an_axis(
    op_type: str, shape: tuple[int, ...], axis: int | None
) -> None:
    dtype = np.dtype(np.int32 if op_type == "Equal" else np.float32)
    x, z = np.abs(sample(dtype, (2, 3, 4, 5))) + 1, np.abs(sample(dtype, shape, 1)) + 1
    attributes: dict[str, Any] = {"broadcast": 1, **({} if axis is None else {"axis": axis})}
    got = compile_model(one_node(op_type, {"x": x, "z": z}, opset=6, **attributes)).run(
        {"x": x, "z": z}
    )
    start = 4 - len(shape) if axis is None else axis
    aligned = z.reshape(*shape, *[1] * (4 - start - len(shape)))
    functions = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}
    functions |= {"Pow": np.power, "Less": np.less, "Equal": np.equal}
    expected = functions[op_type](x, aligned)
    assert_same(got["y"], expected, 1e-5, 1e-6)


@pytest.mark.parametrize("opset", [1, 6, 7, 9, 16])
def test_slopes_of_prelu(opset: int) -> None:
    x = sample(np.dtype(np.float32), (2, 3, 4))
    slope = sample(np.dtype(np.float32), (3,) if opset < 7 else (3, 1), 1)
    got = compile_model(one_node("PRelu", {"x": x, "s": slope}, opset=opset)).run(
        {"x": x, "s": slope}
    )
    expected = np.where(x < 0, x * slope.reshape(3, 1), x)
    np.testing.assert_allclose(got["y"], expected, rtol=1e-6)


QUANTIZED = [np.dtype(t) for t in ("int8", "uint8", "int16", "uint16")]


@pytest.mark.parametrize("dtype", QUANTIZED, ids=name_of)
@pytest.mark.parametrize(("shape", "axis"), [((), 1), ((1,), 1), ((3,), 1), ((5,), -1), ((3,), -3)])
def test_quantization_by_tensor_and_axis(
    dtype: np.dtype, shape: tuple[int, ...], axis: int
) -> None:
    if axis == -3:
        shape = (2,) if shape else shape
        axis = 0
    x = sample(np.dtype(np.float32), (2, 3, 4, 5)) * 40
    scale = np.abs(sample(np.dtype(np.float32), shape, 1)) + np.float32(0.1)
    zero = sample(dtype, shape, 2)
    arrays = {"x": x, "s": scale, "z": zero}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=axis),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], axis=axis),
    ]
    kinds = {"x": (x.dtype, [2, "c" if shape == () else 3, 4, 5])}
    kinds |= {n: (arrays[n].dtype, arrays[n].shape) for n in "sz"}
    check(make_model(nodes, kinds, {}, ("q", "d")), arrays)


@pytest.mark.parametrize("size", [6, 7])
def test_quantization_by_blocks(size: int) -> None:
    x = sample(np.dtype(np.float32), (2, size, 5)) * 10
    scale = np.abs(sample(np.dtype(np.float32), (2, -(-size // 3), 5), 1)) + np.float32(0.1)
    zero = sample(np.dtype(np.int8), scale.shape, 2)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=1, block_size=3),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], axis=1, block_size=3),
    ]
    arrays = {"x": x, "s": scale, "z": zero}
    kinds = {n: (a.dtype, a.shape) for n, a in arrays.items()}
    got = compile_model(make_model(nodes, kinds, {}, ("q", "d"))).run(arrays)
    wide, offset = (np.repeat(a, 3, 1)[:, :size] for a in (scale, zero.astype(np.float32)))
    quantized = np.clip(np.rint(x / wide) + offset, -128, 127)
    np.testing.assert_array_equal(got["q"], quantized.astype(np.int8))
    np.testing.assert_allclose(got["d"], (quantized - offset) * wide, rtol=1e-6)


def test_dropout_gives_its_input_and_a_full_mask() -> None:
    x = sample(np.dtype(np.float32), (3, 4))
    model = make_model(
        [helper.make_node("Dropout", ["x"], ["y", "mask"])],
        {"x": (x.dtype, x.shape)},
        {},
        ("y", "mask"),
    )
    got = compile_model(model).run({"x": x})
    np.testing.assert_array_equal(got["y"], x)
    assert got["mask"].dtype == bool and got["mask"].all()


def test_dropout_in_training_is_refused() -> None:
    x = sample(np.dtype(np.float32), (3, 4))
    constants = {"r": np.array(0.5, np.float32), "t": np.array(True)}
    with pytest.raises(UnsupportedError, match="random"):
        compile_model(one_node("Dropout", {"x": x}, constants=constants))


OTHERS = [
    *[
        "BitCast",
        "BitShift",
        "BitwiseNot",
        "Cast",
        "CastLike",
        "Clip",
        "DequantizeLinear",
        "Dropout",
    ],
    *["IsInf", "IsNaN", "Mod", "Not", "Pow", "QuantizeLinear", "Swish", "Where"],
]
ELSEWHERE = ["training", "string", "sequence", "identity_opt"]
"""What cases are about that belongs to other tests."""

NODE_CASES = [
    case
    for case in node_cases(*UNARY, *BINARY, *OTHERS)
    if not any(word in case.name.lower() for word in ELSEWHERE)
]


@pytest.mark.parametrize("case", NODE_CASES, ids=name_of)
def test_backend_case(case: Any) -> None:
    run_case(case)


def test_a_bound_takes_one_instruction_and_keeps_nan() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Clip", ["x", "low", "high"], ["c"]),
    ]
    bounds = {"low": np.float32(0), "high": np.float32(6)}
    model = make_model(nodes, {"x": (np.float32, [4096])}, bounds, ["r", "c"])
    x = np.resize(np.array([-1, -0.0, 0, 7, np.nan, -np.nan, np.inf, -np.inf], np.float32), 4096)
    got = compile_model(model).run({"x": x})
    np.testing.assert_array_equal(got["r"], np.maximum(x, 0))
    np.testing.assert_array_equal(got["c"], np.clip(x, 0, 6))
    low = compiler.lower(model, to="llvm", target="haswell")
    target = Target.named("haswell")
    kernels = kernel_modules(low.module, attributes=target.function_attributes).values()
    text = "".join(compile_text(kernel, target, "asm").decode() for kernel in kernels)
    assert "vmaxps" in text and "vminps" in text
    assert "vcmpunordps" not in text and "vblendvps" not in text
