"""Types of the `onnx` dialect: elements, tensors of symbolic sizes, and what ONNX has beyond them.

Grammar of what is added to the builtin types:

    encoding ::= `#onnx.tensor<` `[` dim-string,* `]` (`,` `[` axis,* `]` (`,` panel)?)? `>`
    type     ::= `!onnx.string` | `!onnx.seq<` type `>` | `!onnx.opt<` type `>`
               | `!onnx.sparse<` tensor-type `>` | `!onnx.map<` type `,` type `>`
               | `!onnx.unknown`
    property ::= `#onnx.ref<` name-string `,` kind-string `>`
               | `#onnx.strings<` `[` string,* `]` `,` tensor-type `>`
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TypeAlias

import ml_dtypes
import numpy as np
from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    ArrayAttr,
    BFloat16Type,
    ComplexType,
    DenseArrayBase,
    Float4E2M1FNType,
    Float6E2M3FNType,
    Float6E3M2FNType,
    Float8E4M3FNType,
    Float8E4M3FNUZType,
    Float8E5M2FNUZType,
    Float8E5M2Type,
    Float8E8M0FNUType,
    Float16Type,
    Float32Type,
    Float64Type,
    IntAttr,
    IntegerType,
    NoneType,
    Signedness,
    StringAttr,
    TensorType,
    UnrankedTensorType,
    i64,
)
from xdsl.ir import Attribute, ParametrizedAttribute, SSAValue, TypeAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer

from dialects.onnx.dims import Dim, parse_dim


@irdl_attr_definition
class StringType(ParametrizedAttribute, TypeAttribute):
    """A string element, `!onnx.string`."""

    name = "onnx.string"


@irdl_attr_definition
class SequenceType(ParametrizedAttribute, TypeAttribute):
    """A homogeneous sequence, `!onnx.seq<tensor<*xf32>>`."""

    name = "onnx.seq"
    element_type: Attribute


@irdl_attr_definition
class OptionalType(ParametrizedAttribute, TypeAttribute):
    """A tensor or sequence that may be absent, `!onnx.opt<...>`."""

    name = "onnx.opt"
    element_type: Attribute


@irdl_attr_definition
class SparseTensorType(ParametrizedAttribute, TypeAttribute):
    """A sparse tensor, `!onnx.sparse<tensor<...>>`."""

    name = "onnx.sparse"
    dense_type: Attribute


@irdl_attr_definition
class MapType(ParametrizedAttribute, TypeAttribute):
    """A map from an integer or string key, `!onnx.map<i64, tensor<f32>>`."""

    name = "onnx.map"
    key_type: Attribute
    value_type: Attribute


@irdl_attr_definition
class UnknownType(ParametrizedAttribute, TypeAttribute):
    """A value whose type shape inference has not found yet, `!onnx.unknown`."""

    name = "onnx.unknown"


@irdl_attr_definition
class AttributeRefAttr(ParametrizedAttribute):
    """The value of an attribute of the enclosing function, `#onnx.ref<"alpha", "FLOAT">`.

    ``kind`` is the name of an `AttributeProto.AttributeType`.
    """

    name = "onnx.ref"
    ref_name: StringAttr
    kind: StringAttr


@irdl_attr_definition
class StringTensorAttr(ParametrizedAttribute):
    """A string tensor as an attribute, `#onnx.strings<["a", "b"], tensor<2x!onnx.string>>`."""

    name = "onnx.strings"
    values: ArrayAttr[StringAttr]
    type: Attribute


@irdl_attr_definition
class TensorEncodingAttr(ParametrizedAttribute):
    """Symbolic sizes of the dynamic dimensions, in order, and the buffer's order of axes.

    ``layout`` is the permutation from the buffer's axes to the logical ones (``[0, 2, 3, 1]`` is
    channels-last for NCHW), or empty for row-major. With ``panel`` > 0 the last axis in it stands
    there twice: first for the panel's number, then for the place inside a panel of that many
    elements.
    """

    name = "onnx.tensor"
    dims: ArrayAttr[StringAttr]
    layout: DenseArrayBase
    panel: IntAttr

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> list[Attribute]:
        """`<["h", "2*w"]` [`,` `[0, 2, 3, 1]`] [`,` panel] `>`."""
        with parser.in_angle_brackets():
            square = parser.Delimiter.SQUARE
            dims = parser.parse_comma_separated_list(square, parser.parse_str_literal)
            order, panel = [], 0
            if parser.parse_optional_punctuation(","):
                order = parser.parse_comma_separated_list(square, parser.parse_integer)
                if parser.parse_optional_punctuation(","):
                    panel = parser.parse_integer()
        names = ArrayAttr([StringAttr(dim) for dim in dims])
        return [names, DenseArrayBase.from_list(i64, order), IntAttr(panel)]

    def print_parameters(self, printer: Printer) -> None:
        """The counterpart of ``parse_parameters``; what is empty at the end is left out."""
        order = ", ".join(str(axis) for axis in self.layout.get_values())
        with printer.in_angle_brackets():
            printer.print_attribute(self.dims)
            if order:
                printer.print_string(f", [{order}]")
            if self.panel.data:
                printer.print_string(f", {self.panel.data}")


f32 = Float32Type()
f64 = Float64Type()
f16 = Float16Type()
bf16 = BFloat16Type()
none_type = NoneType()
string = StringType()
unknown = UnknownType()

_UNSIGNED = Signedness.UNSIGNED

ELEMENT_TYPES: dict[np.dtype, Attribute] = {
    np.dtype(np.float32): f32,
    np.dtype(np.float64): f64,
    np.dtype(np.float16): f16,
    np.dtype(ml_dtypes.bfloat16): bf16,
    np.dtype(np.bool_): IntegerType(1),
    np.dtype(np.int8): IntegerType(8),
    np.dtype(np.int16): IntegerType(16),
    np.dtype(np.int32): IntegerType(32),
    np.dtype(np.int64): IntegerType(64),
    np.dtype(np.uint8): IntegerType(8, _UNSIGNED),
    np.dtype(np.uint16): IntegerType(16, _UNSIGNED),
    np.dtype(np.uint32): IntegerType(32, _UNSIGNED),
    np.dtype(np.uint64): IntegerType(64, _UNSIGNED),
    np.dtype(np.complex64): ComplexType(f32),
    np.dtype(np.complex128): ComplexType(f64),
    np.dtype(np.object_): string,
    np.dtype(ml_dtypes.int4): IntegerType(4),
    np.dtype(ml_dtypes.uint4): IntegerType(4, _UNSIGNED),
    np.dtype(ml_dtypes.int2): IntegerType(2),
    np.dtype(ml_dtypes.uint2): IntegerType(2, _UNSIGNED),
    np.dtype(ml_dtypes.float8_e4m3fn): Float8E4M3FNType(),
    np.dtype(ml_dtypes.float8_e4m3fnuz): Float8E4M3FNUZType(),
    np.dtype(ml_dtypes.float8_e5m2): Float8E5M2Type(),
    np.dtype(ml_dtypes.float8_e5m2fnuz): Float8E5M2FNUZType(),
    np.dtype(ml_dtypes.float8_e8m0fnu): Float8E8M0FNUType(),
    np.dtype(ml_dtypes.float4_e2m1fn): Float4E2M1FNType(),
    np.dtype(ml_dtypes.float6_e2m3fn): Float6E2M3FNType(),
    np.dtype(ml_dtypes.float6_e3m2fn): Float6E3M2FNType(),
}
"""numpy (and ml_dtypes) element types to MLIR's; strings are numpy objects."""

_DTYPES: dict[Attribute, np.dtype] = {element: dtype for dtype, element in ELEMENT_TYPES.items()}

AnyTensorType: TypeAlias = "TensorType | UnrankedTensorType"


def element_type(dtype: np.dtype | type) -> Attribute:
    """The MLIR element type of a numpy dtype. Raises KeyError for one that ONNX does not have."""
    dtype = np.dtype(dtype)
    return string if dtype.kind in "USO" else ELEMENT_TYPES[dtype]


def dtype_of(kind: Attribute) -> np.dtype:
    """The numpy dtype of an element type, or of a tensor type's elements."""
    return _DTYPES[getattr(kind, "element_type", kind) if is_tensor(kind) else kind]


def is_tensor(kind: Attribute) -> bool:
    """Whether a type is a ranked or unranked tensor."""
    return isinstance(kind, TensorType | UnrankedTensorType)


@cache
def _ranked(
    element: Attribute, dims: tuple[Dim, ...], layout: tuple[int, ...] | None, panel: int
) -> TensorType:
    shape = [dim if isinstance(dim, int) else DYNAMIC_INDEX for dim in dims]
    symbols = [StringAttr(str(dim)) for dim in dims if not isinstance(dim, int)]
    if not symbols and layout is None:
        return TensorType(element, shape)
    order = DenseArrayBase.from_list(i64, layout or ())
    return TensorType(element, shape, TensorEncodingAttr(ArrayAttr(symbols), order, IntAttr(panel)))


def tensor_type(
    element: Attribute | np.dtype | type,
    dims: Sequence[Dim] | None,
    layout: Sequence[int] | None = None,
    panel: int = 0,
) -> AnyTensorType:
    """The tensor type with these symbolic sizes; unranked when ``dims`` is None.

    A ``layout`` that is the identity counts as none.
    """
    if not isinstance(element, Attribute):
        element = element_type(element)
    if dims is None:
        return UnrankedTensorType(element)
    if layout is not None and list(layout) == list(range(len(dims))):
        layout = None
    return _ranked(element, tuple(dims), None if layout is None else tuple(layout), panel)


@cache
def dims_of(kind: Attribute) -> tuple[Dim, ...] | None:
    """Sizes of a tensor type, symbolic where dynamic; None when the rank is unknown.

    A dynamic dimension without an encoding (hand-written IR) gets the symbol ``_0``, ``_1``, ...
    """
    if not isinstance(kind, TensorType):
        return None
    encoding = kind.encoding
    names = (
        iter([entry.data for entry in encoding.dims])
        if isinstance(encoding, TensorEncodingAttr)
        else (f"_{axis}" for axis, _ in enumerate(kind.get_shape()))
    )
    return tuple(
        parse_dim(next(names)) if size == DYNAMIC_INDEX else size for size in kind.get_shape()
    )


def layout_of(kind: Attribute) -> tuple[int, ...] | None:
    """The order of axes of a tensor type's buffer, or None for row-major."""
    encoding = kind.encoding if isinstance(kind, TensorType) else None
    order = encoding.layout.get_values() if isinstance(encoding, TensorEncodingAttr) else ()
    return tuple(int(axis) for axis in order) or None


def panel_of(kind: Attribute) -> int:
    """Width of the panels that a tensor type's last axis is cut into; 0 when it is not cut."""
    encoding = kind.encoding if isinstance(kind, TensorType) else None
    return encoding.panel.data if isinstance(encoding, TensorEncodingAttr) else 0


def element_type_of(kind: Attribute) -> Attribute:
    """The element type of a tensor type."""
    assert isinstance(kind, TensorType | UnrankedTensorType)
    return kind.element_type


def is_none(value: SSAValue | Attribute) -> bool:
    """Whether a value (or type) stands for an absent optional input or output."""
    kind = value.type if isinstance(value, SSAValue) else value
    return isinstance(kind, NoneType)
