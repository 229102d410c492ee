"""What lowered kernels compute, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from native_kernel import Context, aligned, kernels, like

INTEGER_OPS = {
    "addi": np.add,
    "subi": np.subtract,
    "muli": np.multiply,
    "andi": np.bitwise_and,
    "ori": np.bitwise_or,
    "xori": np.bitwise_xor,
    "minsi": np.minimum,
    "maxsi": np.maximum,
}
UNSIGNED_OPS = {"minui": np.minimum, "maxui": np.maximum}


def _binary(op: str, kind: str) -> str:
    return f"""
    func.func @f(%a: memref<?x{kind}>, %b: memref<?x{kind}>, %c: memref<?x{kind}>, %n: index) {{
      affine.for %i = 0 to %n {{
        %x = affine.load %a[%i] : memref<?x{kind}>
        %y = affine.load %b[%i] : memref<?x{kind}>
        %z = arith.{op} %x, %y : {kind}
        affine.store %z, %c[%i] : memref<?x{kind}>
      }}
      return
    }}"""


def _run_binary(op: str, kind: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    result = aligned(x.shape, x.dtype)
    kernels(_binary(op, kind))("f", like(x), like(y), result, len(x))
    return result


def _pairs(dtype: object, minimum: int | None = None):
    elements = None if minimum is None else st.integers(minimum, np.iinfo(dtype).max)  # pyright: ignore
    shape = st.shared(st.integers(0, 70), key="n").map(lambda n: (n,))
    return hnp.arrays(dtype, shape, elements=elements)  # pyright: ignore


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64])
@pytest.mark.parametrize("op", INTEGER_OPS)
def test_integer_arithmetic_wraps_like_numpy(op: str, dtype: type) -> None:
    kind = f"i{np.dtype(dtype).itemsize * 8}"

    @settings(max_examples=12, deadline=None)
    @given(_pairs(dtype), _pairs(dtype))
    def check(x: np.ndarray, y: np.ndarray) -> None:
        np.testing.assert_array_equal(_run_binary(op, kind, x, y), INTEGER_OPS[op](x, y))

    check()


@pytest.mark.parametrize("op", UNSIGNED_OPS)
def test_unsigned_comparison_reads_bits_as_unsigned(op: str) -> None:
    @settings(max_examples=12, deadline=None)
    @given(_pairs(np.uint16), _pairs(np.uint16))
    def check(x: np.ndarray, y: np.ndarray) -> None:
        np.testing.assert_array_equal(_run_binary(op, "i16", x, y), UNSIGNED_OPS[op](x, y))

    check()


def _truncated(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    quotient = [int(abs(int(a)) // abs(int(b))) for a, b in zip(x, y, strict=True)]
    return np.array(quotient, np.int64).astype(x.dtype) * np.sign(x) * np.sign(y)


DIVISIONS = {
    "divsi": _truncated,
    "remsi": lambda x, y: x - _truncated(x, y) * y,
    "floordivsi": lambda x, y: x // y,
    "ceildivsi": lambda x, y: -(-x // y),
}


@pytest.mark.parametrize("op", DIVISIONS)
def test_signed_division_rounds_as_named(op: str) -> None:
    small = hnp.arrays(np.int32, (40,), elements=st.integers(-1000, 1000))
    divisors = hnp.arrays(np.int32, (40,), elements=st.integers(-20, 20).filter(bool))

    @settings(max_examples=25, deadline=None)
    @given(small, divisors)
    def check(x: np.ndarray, y: np.ndarray) -> None:
        np.testing.assert_array_equal(_run_binary(op, "i32", x, y), DIVISIONS[op](x, y))

    check()


def test_unsigned_division() -> None:
    x = np.array([0, 1, 7, 2**32 - 1, 2**31], np.uint32)
    y = np.array([3, 1, 2, 2**32 - 1, 7], np.uint32)
    np.testing.assert_array_equal(_run_binary("divui", "i32", x, y), x // y)
    np.testing.assert_array_equal(_run_binary("remui", "i32", x, y), x % y)
    np.testing.assert_array_equal(
        _run_binary("ceildivui", "i32", x, y), -(-x.astype(np.int64) // y.astype(np.int64))
    )


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("shli", lambda x, s: x << s),
        ("shrsi", lambda x, s: x >> s),
        ("shrui", lambda x, s: (x.view(np.uint32) >> s.view(np.uint32)).view(np.int32)),
    ],
)
def test_shifts(op: str, expected) -> None:
    x = np.array([1, -1, 12345, -(2**31), 2**31 - 1] * 5, np.int32)
    shift = np.arange(25, dtype=np.int32)
    np.testing.assert_array_equal(_run_binary(op, "i32", x, shift), expected(x, shift))


FLOAT_OPS = {
    "addf": np.add,
    "subf": np.subtract,
    "mulf": np.multiply,
    "divf": np.divide,
    "remf": np.fmod,
    "maximumf": np.maximum,
    "minimumf": np.minimum,
    "maxnumf": np.fmax,
    "minnumf": np.fmin,
}
SPECIAL = np.array([0.0, -0.0, 1.5, -2.25, np.inf, -np.inf, np.nan, 1e-40, 3e38], np.float32)


@pytest.mark.parametrize(("kind", "dtype"), [("f32", np.float32), ("f64", np.float64)])
@pytest.mark.parametrize("op", FLOAT_OPS)
def test_float_arithmetic_keeps_nan_and_infinity(op: str, kind: str, dtype: type) -> None:
    x, y = (each.ravel().astype(dtype) for each in np.meshgrid(SPECIAL, SPECIAL))
    with np.errstate(all="ignore"):
        expected = FLOAT_OPS[op](x, y)
    np.testing.assert_array_equal(_run_binary(op, kind, x, y), expected)


@pytest.mark.parametrize(
    "predicate", ["oeq", "ogt", "oge", "olt", "ole", "one", "ord", "uno", "une"]
)
def test_float_comparison_and_select(predicate: str) -> None:
    text = f"""
    func.func @f(%a: memref<81xf32>, %b: memref<81xf32>, %c: memref<81xi8>) {{
      affine.for %i = 0 to 81 {{
        %x = affine.load %a[%i] : memref<81xf32>
        %y = affine.load %b[%i] : memref<81xf32>
        %p = arith.cmpf {predicate}, %x, %y : f32
        %z = arith.extui %p : i1 to i8
        affine.store %z, %c[%i] : memref<81xi8>
      }}
      return
    }}"""
    x, y = (each.ravel() for each in np.meshgrid(SPECIAL, SPECIAL))
    result = aligned(81, np.uint8)
    kernels(text)("f", like(x), like(y), result)
    ordered = ~(np.isnan(x) | np.isnan(y))
    relation = {
        "oeq": x == y,
        "ogt": x > y,
        "oge": x >= y,
        "olt": x < y,
        "ole": x <= y,
        "one": (x != y) & ordered,
        "ord": ordered,
        "uno": ~ordered,
        "une": x != y,
    }
    np.testing.assert_array_equal(result.astype(bool), relation[predicate])


CONVERSIONS = [
    ("extsi", "i8", "i32", np.int8, np.int32, lambda x: x.astype(np.int32)),
    ("extui", "i8", "i32", np.uint8, np.int32, lambda x: x.astype(np.int32)),
    ("trunci", "i32", "i8", np.int32, np.int8, lambda x: x.astype(np.int8)),
    ("sitofp", "i32", "f32", np.int32, np.float32, lambda x: x.astype(np.float32)),
    ("uitofp", "i16", "f32", np.uint16, np.float32, lambda x: x.astype(np.float32)),
    ("fptosi", "f32", "i32", np.float32, np.int32, lambda x: x.astype(np.int32)),
    ("fptoui", "f32", "i16", np.float32, np.uint16, lambda x: x.astype(np.uint16)),
    ("extf", "f16", "f32", np.float16, np.float32, lambda x: x.astype(np.float32)),
    ("truncf", "f32", "f16", np.float32, np.float16, lambda x: x.astype(np.float16)),
    ("extf", "f32", "f64", np.float32, np.float64, lambda x: x.astype(np.float64)),
    ("bitcast", "f32", "i32", np.float32, np.int32, lambda x: x.view(np.int32)),
]


@pytest.mark.parametrize(("op", "source", "target", "old", "new", "expected"), CONVERSIONS)
def test_conversions(op: str, source: str, target: str, old: type, new: type, expected) -> None:
    text = f"""
    func.func @f(%a: memref<?x{source}>, %b: memref<?x{target}>, %n: index) {{
      affine.for %i = 0 to %n {{
        %x = affine.load %a[%i] : memref<?x{source}>
        %y = arith.{op} %x : {source} to {target}
        affine.store %y, %b[%i] : memref<?x{target}>
      }}
      return
    }}"""
    values = np.array([0, 1, 2, 3, 100, 127], old)
    if np.issubdtype(old, np.signedinteger):
        values = np.concatenate([values, -values])
    x, result = like(values), aligned(len(values), new)
    kernels(text)("f", x, result, len(values))
    np.testing.assert_array_equal(result, expected(values))


def test_bfloat16_rounds_to_nearest_even() -> None:
    text = """
    func.func @f(%a: memref<?xf32>, %b: memref<?xbf16>, %n: index) {
      affine.for %i = 0 to %n {
        %x = affine.load %a[%i] : memref<?xf32>
        %y = arith.truncf %x : f32 to bf16
        affine.store %y, %b[%i] : memref<?xbf16>
      }
      return
    }"""
    x = like(np.random.default_rng(0).standard_normal(100).astype(np.float32))
    result = aligned(100, np.uint16)
    kernels(text)("f", x, result, 100)
    bits = x.view(np.uint32)
    np.testing.assert_array_equal(result, (bits + 0x7FFF + (bits >> 16 & 1)) >> 16)


@pytest.mark.parametrize("extended", ["mului_extended", "mulsi_extended"])
def test_extended_multiplication_gives_both_halves(extended: str) -> None:
    text = f"""
    func.func @f(%a: memref<?xi32>, %b: memref<?xi32>, %l: memref<?xi32>, %h: memref<?xi32>,
                 %n: index) {{
      affine.for %i = 0 to %n {{
        %x = affine.load %a[%i] : memref<?xi32>
        %y = affine.load %b[%i] : memref<?xi32>
        %low, %high = arith.{extended} %x, %y : i32
        affine.store %low, %l[%i] : memref<?xi32>
        affine.store %high, %h[%i] : memref<?xi32>
      }}
      return
    }}"""
    signed = extended == "mulsi_extended"
    dtype = np.int32 if signed else np.uint32
    x, y = np.random.default_rng(1).integers(0, 2**32, (2, 50), np.uint64).astype(np.uint32)
    x, y = x.view(dtype), y.view(dtype)
    low, high = aligned(50, dtype), aligned(50, dtype)
    kernels(text)("f", like(x), like(y), low, high, 50)
    wide = x.astype(np.int64 if signed else np.uint64) * y.astype(np.int64 if signed else np.uint64)
    np.testing.assert_array_equal(low, wide.astype(dtype))
    np.testing.assert_array_equal(high, (wide >> wide.dtype.type(32)).astype(dtype))


MATH_OPS = {
    "sqrt": np.sqrt,
    "absf": np.abs,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "roundeven": np.rint,
    "round": lambda x: np.copysign(np.floor(np.abs(x) + 0.5), x),
}


@pytest.mark.parametrize("op", MATH_OPS)
def test_native_math(op: str) -> None:
    text = f"""
    func.func @f(%a: memref<?xf32>, %b: memref<?xf32>, %n: index) {{
      affine.for %i = 0 to %n {{
        %x = affine.load %a[%i] : memref<?xf32>
        %y = math.{op} %x : f32
        affine.store %y, %b[%i] : memref<?xf32>
      }}
      return
    }}"""
    x = np.array([0.0, -0.0, 0.5, 1.5, 2.5, -0.5, -1.5, 3.7, -3.2, np.inf, np.nan], np.float32)
    result = aligned(len(x), np.float32)
    kernels(text)("f", like(x), result, len(x))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(result, MATH_OPS[op](x))


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("ctpop", lambda x: bin(x).count("1")),
        ("ctlz", lambda x: 32 - x.bit_length()),
        ("cttz", lambda x: (x & -x).bit_length() - 1 if x else 32),
        ("absi", lambda x: x if x < 2**31 else 2**32 - x),
    ],
)
def test_bit_counting(op: str, expected) -> None:
    text = f"""
    func.func @f(%a: memref<?xi32>, %b: memref<?xi32>, %n: index) {{
      affine.for %i = 0 to %n {{
        %x = affine.load %a[%i] : memref<?xi32>
        %y = math.{op} %x : i32
        affine.store %y, %b[%i] : memref<?xi32>
      }}
      return
    }}"""
    x = np.array([0, 1, 2, 3, 2**31, 2**32 - 1, 12345678], np.uint32)
    result = aligned(len(x), np.uint32)
    kernels(text)("f", like(x), result, len(x))
    assert result.tolist() == [expected(int(each)) for each in x]


AFFINE_EXPRESSIONS = [
    ("d0 floordiv 3", lambda i, n: i // 3),
    ("d0 mod 3", lambda i, n: i % 3),
    ("d0 ceildiv 3", lambda i, n: -(-i // 3)),
    ("d0 floordiv 8", lambda i, n: i // 8),
    ("d0 mod 8", lambda i, n: i % 8),
    ("d0 ceildiv 8", lambda i, n: -(-i // 8)),
    ("(d0 * 6 + 5) floordiv 4", lambda i, n: (i * 6 + 5) // 4),
    ("(d0 * 6 + 5) mod 4", lambda i, n: (i * 6 + 5) % 4),
    ("(d0 - 40) floordiv 7 + (d0 - 40) mod 7", lambda i, n: (i - 40) // 7 + (i - 40) % 7),
    ("(d0 * 7 + s0) floordiv 7", lambda i, n: i + n // 7),
    ("(d0 floordiv 4) * 4 + d0 mod 4 - d0", lambda i, n: 0),
]


@pytest.mark.parametrize(("expression", "expected"), AFFINE_EXPRESSIONS)
@pytest.mark.parametrize("lower", [-50, 0])
def test_affine_division_rounds_down(expression: str, expected, lower: int) -> None:
    text = f"""
    func.func @f(%r: memref<100xi64>, %n: index) {{
      affine.for %i = {lower} to {lower + 100} {{
        %v = affine.apply affine_map<(d0)[s0] -> ({expression})>(%i)[%n]
        %w = arith.index_cast %v : index to i64
        affine.store %w, %r[%i + {-lower}] : memref<100xi64>
      }}
      return
    }}"""
    result = aligned(100, np.int64)
    kernels(text)("f", result, 9)
    assert result.tolist() == [expected(i, 9) for i in range(lower, lower + 100)]


def test_loop_bounds_are_extremes_of_maps() -> None:
    text = """
    func.func @f(%r: memref<?x?xi32>, %n: index, %m: index) {
      %one = arith.constant 1 : i32
      affine.for %i = 0 to %n step 3 {
        affine.for %j = max affine_map<(d0)[s0] -> (0, d0 - s0)>(%i)[%m]
            to min affine_map<(d0)[s0, s1] -> (s0, d0 + s1)>(%i)[%n, %m] {
          affine.store %one, %r[%i, %j] : memref<?x?xi32>
        }
      }
      return
    }"""
    n, m = 11, 4
    expected = np.zeros((n, n), np.int32)
    for i in range(0, n, 3):
        expected[i, max(0, i - m) : min(n, i + m)] = 1
    result = aligned((n, n), np.int32)
    kernels(text)("f", result, n, m)
    np.testing.assert_array_equal(result, expected)


def test_empty_and_single_iterations_carry_values() -> None:
    text = """
    func.func @f(%r: memref<4xi32>, %n: index) {
      %a = arith.constant 5 : i32
      %one = arith.constant 1 : i32
      %x = affine.for %i = 3 to 3 iter_args(%v = %a) -> (i32) {
        %w = arith.addi %v, %one : i32
        affine.yield %w : i32
      }
      %y = affine.for %i = 3 to 5 step 2 iter_args(%v = %a) -> (i32) {
        %w = arith.addi %v, %one : i32
        affine.yield %w : i32
      }
      %z = affine.for %i = 0 to %n iter_args(%v = %a) -> (i32) {
        %w = arith.addi %v, %one : i32
        affine.yield %w : i32
      }
      affine.store %x, %r[0] : memref<4xi32>
      affine.store %y, %r[1] : memref<4xi32>
      affine.store %z, %r[2] : memref<4xi32>
      return
    }"""
    for n in (0, 1, 7):
        result = aligned(4, np.int32)
        kernels(text)("f", result, n)
        assert result.tolist() == [5, 6, 5 + n, 0]


def test_structured_control_flow() -> None:
    text = """
    func.func @f(%r: memref<?xi64>, %n: index) {
      %zero = arith.constant 0 : index
      %one = arith.constant 1 : index
      %two = arith.constant 2 : index
      %three = arith.constant 3 : index
      scf.for %i = %zero to %n step %one {
        // The number of Collatz steps of i + 1.
        %start = arith.addi %i, %one : index
        %k, %count = scf.while (%k = %start, %c = %zero) : (index, index) -> (index, index) {
          %more = arith.cmpi ne, %k, %one : index
          scf.condition(%more) %k, %c : index, index
        } do {
        ^bb0(%k: index, %c: index):
          %half = arith.divui %k, %two : index
          %rest = arith.remui %k, %two : index
          %even = arith.cmpi eq, %rest, %zero : index
          %next = scf.if %even -> (index) {
            scf.yield %half : index
          } else {
            %t = arith.muli %k, %three : index
            %u = arith.addi %t, %one : index
            scf.yield %u : index
          }
          %d = arith.addi %c, %one : index
          scf.yield %next, %d : index, index
        }
        %v = arith.index_cast %count : index to i64
        memref.store %v, %r[%i] : memref<?xi64>
      }
      return
    }"""

    def collatz(n: int) -> int:
        return 0 if n == 1 else 1 + collatz(n // 2 if n % 2 == 0 else 3 * n + 1)

    result = aligned(30, np.int64)
    kernels(text)("f", result, 30)
    assert result.tolist() == [collatz(i + 1) for i in range(30)]


def test_affine_if_and_index_switch() -> None:
    text = """
    func.func @f(%r: memref<10x10xi32>) {
      %c1 = arith.constant 1 : i32
      %c2 = arith.constant 2 : i32
      %c3 = arith.constant 3 : i32
      affine.for %i = 0 to 10 {
        affine.for %j = 0 to 10 {
          %v = affine.if affine_set<(d0, d1) : (d0 - d1 >= 0, d1 - 2 >= 0)>(%i, %j) -> (i32) {
            affine.yield %c1 : i32
          } else {
            affine.yield %c2 : i32
          }
          affine.store %v, %r[%i, %j] : memref<10x10xi32>
          affine.if affine_set<(d0, d1) : (d0 - d1 == 0)>(%i, %j) {
            affine.store %c3, %r[%i, %j] : memref<10x10xi32>
          }
        }
        %w = scf.index_switch %i -> i32
        case 2 {
          scf.yield %c1 : i32
        }
        case 7 {
          scf.yield %c2 : i32
        }
        default {
          scf.yield %c3 : i32
        }
        affine.store %w, %r[%i, 0] : memref<10x10xi32>
      }
      return
    }"""
    result = aligned((10, 10), np.int32)
    kernels(text)("f", result)
    i, j = np.indices((10, 10))
    expected = np.where((i >= j) & (j >= 2), 1, 2)
    expected[i == j] = 3
    expected[:, 0] = [1 if k == 2 else 2 if k == 7 else 3 for k in range(10)]
    np.testing.assert_array_equal(result, expected)


def test_parallel_loop_covers_the_space_in_chunks() -> None:
    text = """
    func.func @f(%a: memref<?x?xf32>, %r: memref<?x?xf32>, %s: memref<f32>) {
      %zero = arith.constant 0 : index
      %one = arith.constant 1 : index
      %n = memref.dim %a, %zero : memref<?x?xf32>
      %m = memref.dim %a, %one : memref<?x?xf32>
      %scale = affine.load %s[] : memref<f32>
      affine.parallel (%i, %j) = (0, 1) to (%n, min(%m, 1000)) step (1, 2) {
        %x = affine.load %a[%i, %j] : memref<?x?xf32>
        %y = arith.mulf %x, %scale : f32
        affine.store %y, %r[%i, %j] : memref<?x?xf32>
      } {grain = 5 : i64}
      return
    }"""
    context = Context()
    a = like(np.random.default_rng(2).standard_normal((7, 10)).astype(np.float32))
    result, scale = aligned((7, 10), np.float32), aligned((), np.float32)
    scale[...] = 3
    kernels(text)("f", a, result, scale, context=context)
    expected = np.zeros_like(a)
    expected[:, 1::2] = a[:, 1::2] * 3
    np.testing.assert_array_equal(result, expected)
    assert sorted(context.ranges) == [(0, 12), (12, 24), (24, 35)]
    assert context.grains == [5]


def test_parallel_loop_inside_of_another_turns_around_each_time() -> None:
    text = """
    func.func @f(%order: memref<4x7x5xi32>, %count: memref<i32>, %n: index) {
      %one = arith.constant 1 : i32
      affine.for %t = 0 to 8 step 2 {
        affine.parallel (%i, %j) = (0, 0) to (%n, 5) {
          %c = affine.load %count[] : memref<i32>
          %d = arith.addi %c, %one : i32
          affine.store %d, %count[] : memref<i32>
          affine.store %c, %order[%t floordiv 2, %i, %j] : memref<4x7x5xi32>
        }
      }
      return
    }"""
    order = aligned((4, 7, 5), np.int32)
    context = Context()
    kernels(text)("f", order, aligned((), np.int32), 7, context=context)
    chunks = [range(begin, end) for begin, end in dict.fromkeys(context.ranges)]
    assert len(chunks) > 1, "a thread turns around within its own share"
    forth = [number for chunk in chunks for number in chunk]
    back = [number for chunk in chunks for number in reversed(chunk)]
    for time in range(4):
        met = np.argsort(order[time].reshape(-1))
        np.testing.assert_array_equal(met, back if time % 2 else forth)


def test_parallel_bodies_use_a_buffer_in_several_loops() -> None:
    text = """
    func.func @f(%a: memref<?x?x?xf32>, %n: index, %m: index, %k: index) {
      affine.parallel (%i) = (0) to (%n) {
        affine.for %j = 0 to %m {
          affine.for %l = 1 to %k {
            %x = affine.load %a[%i, %j, %l - 1] : memref<?x?x?xf32>
            %y = affine.load %a[%i, %j, %l] : memref<?x?x?xf32>
            %z = arith.addf %x, %y : f32
            affine.store %z, %a[%i, %j, %l] : memref<?x?x?xf32>
          }
        }
        affine.for %j = 1 to %m {
          affine.for %l = 0 to %k {
            %x = affine.load %a[%i, %j - 1, %l] : memref<?x?x?xf32>
            %y = affine.load %a[%i, %j, %l] : memref<?x?x?xf32>
            %z = arith.addf %x, %y : f32
            affine.store %z, %a[%i, %j, %l] : memref<?x?x?xf32>
          }
        }
      }
      return
    }"""
    a = like(np.random.default_rng(4).integers(-9, 9, (5, 4, 3)).astype(np.float32))
    expected = a.cumsum(2).cumsum(1)
    kernels(text)("f", a, 5, 4, 3, context=Context())
    np.testing.assert_array_equal(a, expected)


def test_helpers_are_called_and_return_several_values() -> None:
    text = """
    func.func private @divide(%x: i32, %y: i32) -> (i32, i32) attributes {alwaysinline} {
      %q = arith.divsi %x, %y : i32
      %r = arith.remsi %x, %y : i32
      return %q, %r : i32, i32
    }
    func.func private @first(%a: memref<?xi32>) -> i32 {
      %v = affine.load %a[0] : memref<?xi32>
      return %v : i32
    }
    func.func @f(%a: memref<?xi32>, %r: memref<2xi32>) {
      %x = func.call @first(%a) : (memref<?xi32>) -> i32
      %y = arith.constant 7 : i32
      %q, %s = func.call @divide(%x, %y) : (i32, i32) -> (i32, i32)
      affine.store %q, %r[0] : memref<2xi32>
      affine.store %s, %r[1] : memref<2xi32>
      return
    }"""
    result = aligned(2, np.int32)
    kernels(text)("f", like(np.array([45, 1], np.int32)), result)
    assert result.tolist() == [6, 3]


def test_allocas_and_globals() -> None:
    text = """
    "memref.global"() <{sym_name = "table", sym_visibility = "private", type = memref<4xf32>,
        initial_value = dense<[1.0, 2.5, -3.0, 1.0e-40]> : tensor<4xf32>, constant}> : () -> ()
    func.func @f(%r: memref<4x8xf32>) {
      %t = memref.get_global @table : memref<4xf32>
      %buffer = memref.alloca() : memref<8xf32>
      affine.for %i = 0 to 4 {
        %x = affine.load %t[%i] : memref<4xf32>
        affine.for %j = 0 to 8 {
          affine.store %x, %buffer[7 - %j] : memref<8xf32>
        }
        affine.for %j = 0 to 8 {
          %y = affine.load %buffer[%j] : memref<8xf32>
          affine.store %y, %r[%i, %j] : memref<4x8xf32>
        }
      }
      return
    }"""
    result = aligned((4, 8), np.float32)
    kernels(text)("f", result)
    expected = np.repeat(np.array([[1.0], [2.5], [-3.0], [1e-40]], np.float32), 8, 1)
    np.testing.assert_array_equal(result, expected)


def test_views_of_bytes() -> None:
    text = """
    func.func @f(%a: memref<8xi16>, %r: memref<2x2xi32>, %n: index) {
      %bytes = memref.alloca() : memref<24xi8>
      %begin = arith.constant 0 : index
      %words = memref.view %bytes[%begin][] : memref<24xi8> to memref<12xi16>
      %some = memref.view %bytes[%n][%n] : memref<24xi8> to memref<?x2xi32>
      affine.for %i = 0 to 8 {
        %x = affine.load %a[%i] : memref<8xi16>
        affine.store %x, %words[%i + 2] : memref<12xi16>
      }
      affine.for %i = 0 to 2 {
        affine.for %j = 0 to 2 {
          %y = affine.load %some[%i, %j] : memref<?x2xi32>
          affine.store %y, %r[%i, %j] : memref<2x2xi32>
        }
      }
      return
    }"""
    numbers, result = like(np.arange(1, 9, dtype=np.int16)), aligned((2, 2), np.int32)
    kernels(text)("f", numbers, result, 4)
    np.testing.assert_array_equal(result.ravel(), numbers.view(np.int32))


def test_llvm_instructions_may_stand_in_kernels() -> None:
    text = """
    func.func @f(%a: memref<8xi32>) {
      %amount = arith.constant 5 : i32
      affine.for %i = 0 to 8 {
        %x = affine.load %a[%i] : memref<8xi32>
        %y = llvm.intr.fshl(%x, %x, %amount) : (i32, i32, i32) -> i32
        affine.store %y, %a[%i] : memref<8xi32>
      }
      return
    }"""
    x = np.random.default_rng(3).integers(0, 2**32, 8, np.uint64).astype(np.uint32)
    result = like(x)
    kernels(text)("f", result)
    np.testing.assert_array_equal(result, x << np.uint32(5) | x >> np.uint32(27))
