"""What users pass to a run, checked against the signature: inputs of any kind, arrays to fill."""

from __future__ import annotations

from typing import Any

import numpy as np

from runtime import memory
from runtime.dims import show
from runtime.errors import InputError
from runtime.manifest import TensorSpec

_PLAIN_PYTHON = (bool, int, float, complex, str, bytes, list, tuple, dict, type(None))


def as_array(value: Any, what: str) -> np.ndarray:
    """``value`` as a numpy array, without a copy: an array, a numpy scalar, or an object with
    ``__array_interface__``, ``__array__`` or ``__dlpack__``. ``what`` names it in errors.

    Raises:
        InputError: plain Python data, which has no dtype, or memory that the host cannot read.
    """
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, np.generic):
        return np.asarray(value)
    if isinstance(value, _PLAIN_PYTHON):
        raise InputError(
            f"{what} is a Python {type(value).__name__}, not an array",
            hint="numpy.asarray(value, dtype=...) makes one",
        )
    try:
        only_dlpack = hasattr(value, "__dlpack__") and not hasattr(value, "__array__")
        array = np.from_dlpack(value) if only_dlpack else np.asarray(value)
    except (TypeError, ValueError, BufferError, RuntimeError) as error:
        raise InputError(f"{what} cannot be read as an array: {error}") from error
    if array.dtype == object:
        raise InputError(f"{what} is a {type(value).__name__}, not an array")
    return array


def accept(spec: TensorSpec, dtype: np.dtype, value: Any) -> np.ndarray:
    """``value`` as a C-contiguous, aligned, native array of exactly ``dtype``; copied only if it is
    not one.

    Raises:
        InputError: no array, or of another dtype; the shape is not looked at.
    """
    array = as_array(value, f"input '{spec.name}'")
    if array.dtype != dtype and array.dtype.newbyteorder("=") != dtype:
        raise InputError(
            f"input '{spec.name}' has dtype {array.dtype}, expected {dtype}",
            hint=f"convert it with .astype('{dtype}')",
        )
    if array.dtype != dtype or not (array.flags.c_contiguous and array.flags.aligned):
        copy = memory.aligned_empty(array.shape, dtype)
        copy[...] = array
        return copy
    # A view gives the array this very dtype object (equal ones may differ in metadata) and class.
    return array.view(dtype, np.ndarray)


def accept_output(
    spec: TensorSpec, dtype: np.dtype, shape: tuple[int, ...], value: Any
) -> np.ndarray:
    """``value`` as the array that output ``spec`` of ``shape`` is to be written into.

    Raises:
        InputError: native code cannot write there: dtype, shape, layout or read-only memory.
    """
    array = as_array(value, f"output '{spec.name}'")
    if array.dtype != dtype:
        raise InputError(f"output '{spec.name}' has dtype {array.dtype}, expected {dtype}")
    if -1 not in shape:
        check_shape(spec, shape, array.shape)
    flags = array.flags
    for fits, word in (
        (flags.c_contiguous, "C-contiguous"),
        (flags.aligned, "aligned to its elements"),
        (flags.writeable, "writeable"),
    ):
        if not fits:
            raise InputError(f"output '{spec.name}' is not {word}, so it cannot be written into")
    return array


def check_shape(spec: TensorSpec, shape: tuple[int, ...], given: tuple[int, ...]) -> None:
    """Raises InputError unless what is ``given`` for output ``spec`` has the run's ``shape``."""
    if given != shape:
        raise InputError(
            f"output '{spec.name}' has shape {show(given)}, the run gives {show(shape)}"
        )
