"""Operator classes, attribute values, constants and types of the `onnx` dialect."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx.defs
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import (
    ArrayAttr,
    BytesAttr,
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    DenseResourceAttr,
    FloatAttr,
    IntegerAttr,
    StringAttr,
    i64,
)
from xdsl.ir import Attribute
from xdsl.utils.exceptions import VerifyException

from dialects.onnx import ops
from dialects.onnx.constants import (
    INLINE_ELEMENTS,
    array_of,
    builtin_with_pool,
    constant_node,
    constant_of,
    dense_attribute,
    make_const,
    pool_of,
)
from dialects.onnx.ops import python_value, resolve, text_attribute
from dialects.onnx.types import AttributeRefAttr, StringTensorAttr, f32, tensor_type


@pytest.fixture
def ctx() -> Context:
    """A context with a constant pool."""
    made = Context()
    made.load_dialect(builtin_with_pool())
    return made


def test_there_is_a_class_for_every_operator_version() -> None:
    schemas = onnx.defs.get_all_schemas_with_history()
    names = {made.name for made in ops.all_classes()}
    assert len(names) == len(ops.all_classes()) >= len(schemas) > 600
    for schema in schemas:
        made = ops.class_of_schema_version(schema.domain, schema.name, schema.since_version)
        assert made.SCHEMA is not None and made.name in names
        definition = made.get_irdl_definition()
        assert len(definition.operands) == len(schema.inputs)
        assert len(definition.results) == len(schema.outputs)


@pytest.mark.parametrize(
    ("domain", "op_type", "opset", "name"),
    [
        ("", "Conv", 10, "onnx.Conv.v1"),
        ("ai.onnx", "Conv", 11, "onnx.Conv.v11"),
        ("", "Conv", 999, "onnx.Conv.v22"),
        ("", "Gelu", 11, "onnx.Gelu.v20"),
        ("ai.onnx.ml", "Scaler", 3, "onnx.ml.Scaler.v1"),
        ("ai.onnx.preview.training", "Adam", 1, "onnx.training.Adam.v1"),
    ],
)
def test_operators_are_found_by_opset(domain: str, op_type: str, opset: int, name: str) -> None:
    made = resolve(domain, op_type, opset)
    assert made is not None and made.name == name


def test_unknown_operators_have_no_class() -> None:
    assert resolve("", "Nonsense", 18) is None
    assert resolve("com.me", "Conv", 18) is None
    assert ops.op_class("", "Gelu", 11) is None
    assert ops.known_operator("", "Gelu") and not ops.known_operator("", "Nonsense")
    with pytest.raises(KeyError):
        ops.class_of_schema_version("", "Conv", 2)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        (IntegerAttr(3, i64), 3),
        (FloatAttr(0.5, f32), 0.5),
        (StringAttr("a"), "a"),
        (BytesAttr("größe".encode()), "größe"),
        (BytesAttr(b"\xff"), b"\xff"),
        (DenseArrayBase.from_list(i64, [1, 2]), (1, 2)),
        (DenseArrayBase.from_list(f32, [0.5]), (0.5,)),
        (ArrayAttr([StringAttr("a"), BytesAttr(b"b")]), ("a", "b")),
        (ArrayAttr([]), ()),
        (f32, f32),
    ],
)
def test_attributes_as_python_values(attribute: Attribute, value: object) -> None:
    assert python_value(attribute) == value


def test_attributes_have_defaults() -> None:
    conv = ops.class_of_schema_version("", "Conv", 11)
    x = ops.NoValue.create(result_types=[f32]).result
    op = conv.create(
        operands=[x, x, x],
        result_types=[f32],
        properties={"pads": DenseArrayBase.from_list(i64, [1, 1])},
    )
    assert (op.get("pads"), op.get("group"), op.get("strides")) == ((1, 1), 1, None)
    assert op.get("auto_pad") == "NOTSET"


def test_texts_that_are_no_utf8_stay_bytes() -> None:
    assert text_attribute("größe") == StringAttr("größe")
    assert text_attribute("größe".encode()) == StringAttr("größe")
    assert text_attribute(b"\xff") == BytesAttr(b"\xff")


ARRAYS = [
    np.float32([[1, 2], [3, 4]]),
    np.float32([np.inf, np.nan]),
    np.zeros((0, 3), np.int64),
    np.array(True),
    np.uint64([2**64 - 1]),
    np.arange(100, dtype=np.int8),
    np.complex64([1 + 2j]),
    np.arange(4).astype(ml_dtypes.bfloat16),
    np.arange(4).astype(ml_dtypes.int4),
    np.array([["a", "é"], ["", "b"]], object),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_constants_hold_their_array(ctx: Context, array: np.ndarray) -> None:
    const = make_const(array, pool_of(ctx), "w")
    const.verify()
    got = constant_of(const.result, pool_of(ctx))
    assert got is not None
    assert (got.dtype, got.shape) == (array.dtype, array.shape)
    assert got.tobytes() == array.tobytes() or (got == array).all()


def test_small_constants_are_inline_and_large_ones_are_kept_as_they_are(ctx: Context) -> None:
    pool = pool_of(ctx)
    small = dense_attribute(np.arange(INLINE_ELEMENTS), pool)
    large = np.arange(INLINE_ELEMENTS + 1)
    attribute = dense_attribute(large, pool, "größe/1")
    assert isinstance(small, DenseIntOrFPElementsAttr) and isinstance(attribute, DenseResourceAttr)
    assert pool.array(attribute) is large
    assert attribute.resource_handle.data == "gr__e_1"
    assert pool.add(large, "größe/1") == "gr__e_1_1"
    assert pool.add(large, "9") == "_9"


def test_a_constant_must_fit_its_type(ctx: Context) -> None:
    value = dense_attribute(np.float32([1, 2]), pool_of(ctx))
    for kind in (tensor_type(np.float32, [3]), tensor_type(np.int32, [2]), f32):
        with pytest.raises(VerifyException):
            ops.Const.create(result_types=[kind], properties={"value": value}).verify()


def test_constant_nodes_become_constants(ctx: Context) -> None:
    pool = pool_of(ctx)
    tensor = dense_attribute(np.int8([1, 2]), pool)
    strings = StringTensorAttr(ArrayAttr([StringAttr("a")]), tensor_type(np.object_, [1]))
    for properties, expected in (
        ({"value": tensor}, np.int8([1, 2])),
        ({"value": strings}, np.array(["a"], object)),
        ({"value_float": FloatAttr(0.5, f32)}, np.float32(0.5)),
        ({"value_ints": DenseArrayBase.from_list(i64, [])}, np.int64([])),
    ):
        const = constant_node(properties, pool)
        const.verify()
        array = array_of(const.value, const.result.type, pool)
        assert array.dtype == expected.dtype and np.array_equal(array, expected)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({}, "one value, not 0"),
        ({"value_int": IntegerAttr(1, i64), "value_float": FloatAttr(1, f32)}, "one value, not 2"),
        ({"value_int": AttributeRefAttr(StringAttr("n"), StringAttr("INT"))}, "'value_int'"),
        ({"other": IntegerAttr(1, i64)}, "'other' does not hold a constant"),
    ],
)
def test_what_is_no_constant_node(
    ctx: Context, properties: dict[str, Attribute], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        constant_node(properties, pool_of(ctx))
