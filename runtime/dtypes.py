"""Element types: the names that manifests use, numpy's dtypes and safetensors' codes.

The name of a type is numpy's (``float32``, ``bool``, ``bfloat16``, ``float8_e4m3fn``). numpy itself
lacks bfloat16 and what has 8 bits or less: for those, and only when one is met, ``ml_dtypes`` is
imported.
"""

from __future__ import annotations

import functools
import importlib

import numpy as np

from runtime.errors import UnsupportedError

SAFETENSORS_CODES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "uint32": "U32",
    "int32": "I32",
    "uint64": "U64",
    "int64": "I64",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
    "complex64": "C64",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2": "F8_E5M2",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
    "float8_e8m0fnu": "F8_E8M0",
}
"""dtype name -> code in a safetensors header."""

BYTE_NAMES = frozenset({"int4", "uint4", "int2", "uint2", "float4_e2m1fn"})
"""Types of less than a byte that arguments and results may have, one element in a byte."""

NAMES_OF_CODES = {code: name for name, code in SAFETENSORS_CODES.items()}

NUMPY_NAMES = frozenset(
    name for name in SAFETENSORS_CODES if not name.startswith(("bfloat", "float8"))
) | {"complex128"}


@functools.cache
def numpy_dtype(name: str) -> np.dtype:
    """The numpy dtype called ``name``, in the machine's byte order.

    Raises:
        UnsupportedError: no such element type, or it needs ``ml_dtypes``, which is not installed.
    """
    if name in NUMPY_NAMES:
        return np.dtype(name)
    if name not in SAFETENSORS_CODES and name not in BYTE_NAMES:
        raise UnsupportedError(f"element type '{name}' is not supported by the runtime")
    try:
        ml_dtypes = importlib.import_module("ml_dtypes")
    except ImportError as error:
        raise UnsupportedError(
            f"element type '{name}' needs the package ml_dtypes", hint="pip install ml_dtypes"
        ) from error
    return np.dtype(getattr(ml_dtypes, name))
