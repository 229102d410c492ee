"""onnx-pack-integers: which products are packed, how, and that numbers stay the same."""

from __future__ import annotations

import numpy as np
import pytest
from numerics.harness import one_node, run_model
from onnx_modules import main_of, model_of, module_of, operators
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp

import compiler
from compiler.work import work_of
from dialects.onnx.constants import array_of, pool_of
from dialects.onnx.ops import Const, OnnxOp
from dialects.onnx.types import dims_of
from passes.onnx.infer_shapes import InferShapes
from passes.onnx.pack_integers import PackIntegers, packed

RANDOM = np.random.default_rng(4)
B = RANDOM.integers(-128, 128, (6, 3)).astype(np.int8)
W = RANDOM.integers(-128, 128, (5, 3, 2, 2)).astype(np.int8)


def after(text: str, group: int, constants: dict[str, np.ndarray]) -> tuple[Context, ModuleOp]:
    ctx, module = module_of(model_of(text, constants))
    for each in (InferShapes(), PackIntegers(group)):
        each.apply(ctx, module)
    module.verify()
    return ctx, module


def made(module: ModuleOp) -> list[str]:
    return [name for name in operators(module) if name not in ("Const", "NoValue")]


def test_packing_puts_the_first_number_lowest() -> None:
    column = np.array([[1], [-1], [2], [0], [5]], np.int8)
    assert packed(np.array([[1, 2, 3]], np.uint8), 1, 2).tolist() == [[0x0201, 0x0003]]
    assert packed(column, 0, 4).tolist() == [[0x0002FF01], [5]]
    assert packed(np.array([1, -1], np.int16), 0, 2).tolist() == [-65535]
    assert packed(np.zeros((4, 6, 2), np.int8), 1, 4).shape == (4, 2, 2)


PRODUCT = "g (uint8[n, 6] a) => (int32[n, 3] y) { y = MatMulInteger(a, b) }"


@pytest.mark.parametrize(
    ("group", "expected", "sizes"),
    [
        (1, ["MatMulInteger"], ("n", 6)),
        (2, ["Cast", "Pack", "MatMulInteger"], ("n", 3)),
        (4, ["Pad", "Pack", "MatMulInteger"], ("n", 2)),
    ],
)
def test_a_product(group: int, expected: list[str], sizes: tuple) -> None:
    ctx, module = after(PRODUCT, group, {"b": B})
    assert made(module) == expected
    (product,) = (op for op in module.walk() if isinstance(op, OnnxOp) and "MatMul" in op.name)
    assert tuple(map(str, dims_of(product.operands[0].type) or ())) == tuple(map(str, sizes))
    if group > 1:
        assert str(product.attributes["onnx.packed"]) == (
            "[i16, i8]" if group == 2 else "[ui8, i8]"
        )
        constant = product.operands[1].owner
        assert isinstance(constant, Const)
        array = array_of(constant.value, constant.result.type, pool_of(ctx))
        np.testing.assert_array_equal(array, packed(B, 0, group))


def test_a_value_is_packed_once_for_all_its_products() -> None:
    text = """g (int8[4, 6] a) => (int32[4, 3] y, int32[4, 3] z) {
        y = MatMulInteger(a, b)
        z = MatMulInteger(a, c)
    }"""
    _, module = after(text, 4, {"b": B, "c": B + 1})
    # The data are signed: pairs.
    assert made(module) == ["Cast", "Pack", "MatMulInteger", "MatMulInteger"]


def test_what_is_not_packed() -> None:
    text = """g (uint8[4, k] a, uint8[6, 3] c, int8[4, 6] d, uint8[1, 6, 4, 4] x)
        => (int32[4, 3] y, int32[4, 3] z, int32[1, 4, 3, 3] w) {
        y = MatMulInteger(a, b)
        z = MatMulInteger(d, c)
        w = ConvInteger <group = 2> (x, v)
    }"""
    _, module = after(text, 2, {"b": B, "v": W[:4]})
    assert made(module) == ["MatMulInteger", "MatMulInteger", "ConvInteger"]


def test_channels_are_packed_and_filled_up() -> None:
    text = "g (uint8[n, 3, 8, 9] x) => (int32[n, 5, h, w] y) { y = ConvInteger(x, v) }"
    _, module = after(text, 2, {"v": W})
    assert made(module) == ["Cast", "Pad", "Pack", "ConvInteger"]
    (conv,) = (op for op in main_of(module).walk() if isinstance(op, OnnxOp) and "Conv" in op.name)
    assert [str(size) for size in dims_of(conv.operands[0].type) or ()] == ["n", "2", "8", "9"]
    assert dims_of(conv.operands[1].type) == (5, 2, 2, 2)


@pytest.mark.parametrize("group", [1, 2, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_numbers_are_the_same_for_every_group(group: int, dtype: type[np.generic]) -> None:
    """Sums of fours on targets without an instruction for them are sums, too."""
    limits = np.iinfo(dtype)  # type: ignore[type-var]
    a = RANDOM.integers(limits.min, limits.max + 1, (7, 13)).astype(dtype)
    b = RANDOM.integers(-128, 128, (13, 19)).astype(np.int8)
    pipeline = compiler.Pipeline.default()
    place = pipeline.names.index("onnx-pack-integers")
    pipeline = pipeline.replace(pipeline.names[place], f"onnx-pack-integers{{group={group}}}")
    model = one_node("MatMulInteger", {"a": a}, opset=10, constants={"b": b}, order=["a", "b"])
    got = compiler.compile(model, passes=pipeline)(a)
    np.testing.assert_array_equal(got, a.astype(np.int32) @ b.astype(np.int32))


@pytest.mark.parametrize("zero", [None, np.array(-7, np.int8), "given"])
def test_signed_data_become_unsigned(zero: np.ndarray | str | None) -> None:
    """As for an instruction that multiplies ui8 by i8; here in sums of products."""
    a = RANDOM.integers(-128, 128, (2, 8, 5, 6)).astype(np.int8)
    w = RANDOM.integers(-128, 128, (7, 8, 3, 3)).astype(np.int8)
    feed, held = {"x": a}, {"w": w}
    number = np.array(-7, np.int8)
    if zero is not None:
        (feed if isinstance(zero, str) else held)["xz"] = number
    order = ["x", "w"] + ["xz"] * (zero is not None)
    model = one_node("ConvInteger", feed, opset=10, constants=held, order=order, pads=[1] * 4)
    pipeline = compiler.Pipeline.default()
    pipeline = pipeline.replace("onnx-pack-integers", "onnx-pack-integers{group=4}")
    name = "onnx-decompose-integers"
    pipeline = pipeline.replace(name, f"{name}{{unsigned-data=true}}")
    low = compiler.lower(model, to="krnl", passes=pipeline.until("lower-affine"))
    assert "of ui8" in low.as_text() and "of i8 :" in low.as_text()
    got = compiler.compile(model, passes=pipeline)(*feed.values())
    centered = a.astype(np.float64) - (0 if zero is None else -7)
    floats = one_node("Conv", {"x": centered, "w": w.astype(np.float64)}, opset=11, pads=[1] * 4)
    expected = run_model(floats, {"x": centered, "w": w.astype(np.float64)})["y"]
    np.testing.assert_array_equal(got, expected)


def test_the_work_of_packed_products_is_counted_in_numbers() -> None:
    a = np.zeros((7, 12), np.uint8)
    b = RANDOM.integers(-128, 128, (12, 5)).astype(np.int8)
    model = one_node("MatMulInteger", {"a": a}, opset=10, constants={"b": b}, order=["a", "b"])
    pipeline = compiler.Pipeline.default()
    pipeline = pipeline.replace("onnx-pack-integers", "onnx-pack-integers{group=4}")
    low = compiler.lower(model, to="onnx", passes=pipeline.until("lower-krnl"))
    functions = [op for op in low.module.ops if isinstance(op, FuncOp)]
    works = [work_of(f) for f in functions if "onnx.dispatch" in f.attributes]
    assert [work.flops for work in works if work is not None] == [2 * 7 * 12 * 5]
