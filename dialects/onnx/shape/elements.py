"""ONNX's codes of element types (`TensorProto.DataType`)."""

from __future__ import annotations

from functools import cache

from onnx import TensorProto
from onnx.helper import np_dtype_to_tensor_dtype, tensor_dtype_to_np_dtype
from xdsl.ir import Attribute

from dialects.onnx.shape.node import ShapeError
from dialects.onnx.types import dtype_of, element_type, string


@cache
def element_of_code(code: int | str) -> Attribute:
    """The element type that an attribute like `to` means: a code, or before version 6 its name.

    Raises ShapeError for one that ONNX does not have.
    """
    if isinstance(code, str):
        codes = dict(TensorProto.DataType.items())
        if code.upper() not in codes:
            raise ShapeError(f"element type '{code}' is unknown")
        code = codes[code.upper()]
    if code == TensorProto.STRING:
        return string
    try:
        return element_type(tensor_dtype_to_np_dtype(code))
    except KeyError as error:
        raise ShapeError(f"element type {code} is unknown") from error


@cache
def code_of_element(element: Attribute) -> int:
    """The code of an element type."""
    return TensorProto.STRING if element == string else np_dtype_to_tensor_dtype(dtype_of(element))
