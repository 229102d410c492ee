"""What lowered vector operations compute, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from native_kernel import aligned, kernels, like

KINDS = {"f32": np.float32, "i32": np.int32, "i64": np.int64, "i8": np.int8}


def apply(body: str, *inputs: np.ndarray, result: tuple[int, str]) -> np.ndarray:
    """Runs a body on vectors %0, %1, ... (one per input array) that defines the vector %r."""
    names = {np.dtype(kind): name for name, kind in KINDS.items()}
    count, kind = result
    parameters, loads = [], []
    for position, array in enumerate(inputs):
        memref = f"memref<{array.size}x{names[array.dtype]}>"
        vector = f"vector<{array.size}x{names[array.dtype]}>"
        parameters.append(f"%p{position}: {memref}")
        loads.append(f"%{position} = vector.load %p{position}[%zero] : {memref}, {vector}")
    target = f"memref<{count}x{kind}>"
    text = f"""
    func.func @f({", ".join([*parameters, f"%out: {target}"])}) {{
      %zero = arith.constant 0 : index
      {"; ".join(loads).replace(";", chr(10))}
      {body}
      vector.store %r, %out[%zero] : {target}, vector<{count}x{kind}>
      return
    }}"""
    output = aligned(count, KINDS[kind])
    kernels(text)("f", *map(like, inputs), output)
    return output


LANES = np.arange(12, dtype=np.float32)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            """%a = vector.shape_cast %0 : vector<12xf32> to vector<2x3x2xf32>
            %b = vector.transpose %a, [2, 0, 1] : vector<2x3x2xf32> to vector<2x2x3xf32>
            %r = vector.shape_cast %b : vector<2x2x3xf32> to vector<12xf32>""",
            LANES.reshape(2, 3, 2).transpose(2, 0, 1),
        ),
        (
            """%a = vector.shape_cast %0 : vector<12xf32> to vector<3x4xf32>
            %b = vector.extract %a[1] : vector<4xf32> from vector<3x4xf32>
            %c = vector.insert %b, %a [2] : vector<4xf32> into vector<3x4xf32>
            %x = vector.extract %a[0, 3] : f32 from vector<3x4xf32>
            %d = vector.insert %x, %c [2, 0] : f32 into vector<3x4xf32>
            %r = vector.shape_cast %d : vector<3x4xf32> to vector<12xf32>""",
            [0, 1, 2, 3, 4, 5, 6, 7, 3, 5, 6, 7],
        ),
        (
            """%a = vector.shape_cast %0 : vector<12xf32> to vector<3x4xf32>
            %b = vector.extract %a[2] : vector<4xf32> from vector<3x4xf32>
            %c = vector.broadcast %b : vector<4xf32> to vector<3x4xf32>
            %r = vector.shape_cast %c : vector<3x4xf32> to vector<12xf32>""",
            np.tile(LANES[8:], 3),
        ),
        (
            """%z = arith.constant dense<0.0> : vector<3xf32>
            %x = vector.extract %0[7] : f32 from vector<12xf32>
            %a = vector.insert %x, %z [1] : f32 into vector<3xf32>
            %b = vector.shape_cast %a : vector<3xf32> to vector<3x1xf32>
            %c = vector.broadcast %b : vector<3x1xf32> to vector<3x4xf32>
            %r = vector.shape_cast %c : vector<3x4xf32> to vector<12xf32>""",
            [0] * 4 + [7] * 4 + [0] * 4,
        ),
        (
            """%i = arith.constant 5 : index
            %j = arith.addi %i, %zero : index
            %x = vector.extract %0[%j] : f32 from vector<12xf32>
            %r = vector.insert %x, %0 [%zero] : f32 into vector<12xf32>""",
            [5, *range(1, 12)],
        ),
        (
            """%x = vector.extract %0[3] : f32 from vector<12xf32>
            %y = vector.extract %0[8] : f32 from vector<12xf32>
            %a = vector.from_elements %x, %y, %x : vector<3xf32>
            %r = vector.shuffle %a, %0 [2, 1, 3, 4, 14, 0, 0, 0, 0, 0, 0, 0]
                : vector<3xf32>, vector<12xf32>""",
            [3, 8, 0, 1, 11] + [3] * 7,
        ),
        (
            """%a = vector.shape_cast %0 : vector<12xf32> to vector<6x2xf32>
            %b = vector.shuffle %a, %a [5, 6, 0, 1, 2, 3] : vector<6x2xf32>, vector<6x2xf32>
            %r = vector.shape_cast %b : vector<6x2xf32> to vector<12xf32>""",
            [10, 11, 0, 1, 0, 1, 2, 3, 4, 5, 6, 7],
        ),
    ],
)
def test_rearranging(body: str, expected) -> None:
    result = apply(body, LANES, result=(12, "f32"))
    np.testing.assert_array_equal(result, np.ravel(expected))


INTEGER_REDUCTIONS = {
    "add": np.sum,
    "mul": np.prod,
    "and": np.bitwise_and.reduce,
    "or": np.bitwise_or.reduce,
    "xor": np.bitwise_xor.reduce,
    "maxsi": np.max,
    "minsi": np.min,
    "maxui": lambda x: np.max(x.view(np.uint32)).view(np.int32),
    "minui": lambda x: np.min(x.view(np.uint32)).view(np.int32),
}


@pytest.mark.parametrize("kind", INTEGER_REDUCTIONS)
def test_integer_reductions(kind: str) -> None:
    x = np.array([3, -7, 12, 5, -1, 8, 2, 9], np.int32)
    body = f"""%s = vector.reduction <{kind}>, %0 : vector<8xi32> into i32
    %a = vector.extract %0[0] : i32 from vector<8xi32>
    %t = vector.reduction <{kind}>, %0, %a : vector<8xi32> into i32
    %r = vector.from_elements %s, %t : vector<2xi32>"""
    result = apply(body, x, result=(2, "i32"))
    reduce = INTEGER_REDUCTIONS[kind]
    assert result.tolist() == [int(reduce(x).astype(np.int32)), int(reduce(np.append(x, x[0])))]


FLOAT_REDUCTIONS = {
    "add": np.sum,
    "mul": np.prod,
    "maximumf": np.max,
    "minimumf": np.min,
    "maxnumf": np.nanmax,
    "minnumf": np.nanmin,
}


@pytest.mark.parametrize("special", [1.0, np.nan, -np.inf])
@pytest.mark.parametrize("kind", FLOAT_REDUCTIONS)
def test_float_reductions(kind: str, special: float) -> None:
    x = np.array([0.5, 2.0, special, 4.0, 1.0, -8.0, 0.25, 1.0], np.float32)
    body = f"""%s = vector.reduction <{kind}>, %0 fastmath<reassoc> : vector<8xf32> into f32
    %a = vector.extract %0[3] : f32 from vector<8xf32>
    %t = vector.reduction <{kind}>, %0, %a : vector<8xf32> into f32
    %r = vector.from_elements %s, %t : vector<2xf32>"""
    result = apply(body, x, result=(2, "f32"))
    reduce = FLOAT_REDUCTIONS[kind]
    np.testing.assert_array_equal(result, [reduce(x), reduce(np.append(x, x[3]))])


@pytest.mark.parametrize("size", [-3, 0, 1, 15, 16, 17, 2**40])
def test_masks_clamp_their_size(size: int) -> None:
    text = """
    func.func @f(%a: memref<16xf32>, %r: memref<16xf32>, %n: index) {
      %zero = arith.constant 0 : index
      %none = arith.constant dense<-1.0> : vector<16xf32>
      %mask = vector.create_mask %n : vector<16xi1>
      %x = vector.maskedload %a[%zero], %mask, %none
          : memref<16xf32>, vector<16xi1>, vector<16xf32> into vector<16xf32>
      vector.store %x, %r[%zero] : memref<16xf32>, vector<16xf32>
      return
    }"""
    a, result = like(np.arange(16, dtype=np.float32)), aligned(16, np.float32)
    kernels(text)("f", a, result, size)
    np.testing.assert_array_equal(result, np.where(np.arange(16) < size, a, -1))


def test_masked_tail_does_not_touch_what_lies_behind() -> None:
    text = """
    func.func @f(%a: memref<?xi8>, %r: memref<?xi8>, %n: index) {
      %zeros = arith.constant dense<0> : vector<32xi8>
      affine.for %i = 0 to %n step 32 {
        %rest = affine.apply affine_map<(d0)[s0] -> (s0 - d0)>(%i)[%n]
        %mask = vector.create_mask %rest : vector<32xi1>
        %x = vector.maskedload %a[%i], %mask, %zeros
            : memref<?xi8>, vector<32xi1>, vector<32xi8> into vector<32xi8>
        vector.maskedstore %r[%i], %mask, %x : memref<?xi8>, vector<32xi1>, vector<32xi8>
      }
      return
    }"""
    a = like(np.arange(70, dtype=np.int8))
    for n in (0, 1, 31, 32, 33, 70):
        result = aligned(80, np.int8)
        result[...] = -1
        kernels(text)("f", a, result, n)
        np.testing.assert_array_equal(result, np.where(np.arange(80) < n, np.arange(80), -1))


def test_steps_and_scatters() -> None:
    text = """
    func.func @f(%a: memref<4x8xf32>, %r: memref<4x8xf32>) {
      %zero = arith.constant 0 : index
      %ones = arith.constant dense<true> : vector<8xi1>
      %seven = arith.constant dense<7> : vector<8xindex>
      %steps = vector.step : vector<8xindex>
      %reversed = arith.subi %seven, %steps : vector<8xindex>
      affine.for %i = 0 to 4 {
        %x = vector.load %a[%i, %zero] : memref<4x8xf32>, vector<8xf32>
        vector.scatter %r[%i, %zero] [%reversed], %ones, %x
            : memref<4x8xf32>, vector<8xindex>, vector<8xi1>, vector<8xf32>
      }
      return
    }"""
    a = like(np.random.default_rng(0).random((4, 8), np.float32))
    result = aligned((4, 8), np.float32)
    kernels(text)("f", a, result)
    np.testing.assert_array_equal(result, a[:, ::-1])


def test_arithmetic_on_vectors() -> None:
    x = np.array([7, -7, 8, -8, 0, 1, -1, 100], np.int32)
    y = np.array([2, 2, -3, -3, 5, 7, 7, 9], np.int32)
    body = """%q = arith.floordivsi %0, %1 : vector<8xi32>
    %c = arith.ceildivsi %0, %1 : vector<8xi32>
    %p = arith.cmpi slt, %0, %1 : vector<8xi32>
    %s = arith.select %p, %q, %c : vector<8xi1>, vector<8xi32>
    %l, %h = arith.mulsi_extended %s, %1 : vector<8xi32>
    %r = arith.addi %l, %h : vector<8xi32>"""
    selected = np.where(x < y, x // y, -(-x // y))
    product = selected.astype(np.int64) * y
    expected = product.astype(np.int32) + (product >> 32).astype(np.int32)
    np.testing.assert_array_equal(apply(body, x, y, result=(8, "i32")), expected)


def test_bitcasts_reinterpret_lanes() -> None:
    x = np.arange(16, dtype=np.int8)
    body = "%r = vector.bitcast %0 : vector<16xi8> to vector<4xi32>"
    np.testing.assert_array_equal(apply(body, x, result=(4, "i32")), x.view(np.int32))
