"""Shapes of ONNX's own node tests, with symbolic sizes, against those of their expected outputs."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx_modules import main_of, module_of
from xdsl.dialects.func import FuncOp

from dialects.onnx.dims import parse_dim, substitute, symbols_of
from dialects.onnx.ops import Symbols
from dialects.onnx.types import dims_of, dtype_of, is_tensor
from passes.onnx.infer_shapes import InferShapes

PARTS = 6


@pytest.fixture(scope="module")
def cases() -> list[Any]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return collect_testcases(None)


def symbolic(case: Any) -> tuple[onnx.ModelProto, dict[str, int], list[Any]]:
    """The model with symbols as sizes and short vectors as constants; sizes, and inputs left."""
    model, sizes = onnx.ModelProto(), {}
    model.CopyFrom(case.model)
    kept, arrays = [], []
    for n, (info, array) in enumerate(zip(model.graph.input, case.data_sets[0][0], strict=False)):
        array = np.asarray(array) if isinstance(array, np.generic) else array
        plain = isinstance(array, np.ndarray) and array.dtype.kind in "iufb"
        if n and plain and array.ndim <= 1 and 0 < array.size <= 64:
            model.graph.initializer.append(numpy_helper.from_array(array, info.name))
            continue
        kept.append(info)
        arrays.append(array)
        if isinstance(array, np.ndarray) and info.type.HasField("tensor_type"):
            for axis, dim in enumerate(info.type.tensor_type.shape.dim):
                dim.dim_param = f"d{n}_{axis}"
                sizes[dim.dim_param] = array.shape[axis]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    return model, sizes, arrays


def bind_elements(main: FuncOp, arrays: list[Any], sizes: dict[str, int]) -> None:
    """Adds what `onnx.Symbols` calls the elements of arguments to the sizes."""
    for argument, array in zip(main.body.block.args, arrays, strict=True):
        for use in argument.uses:
            if isinstance(use.operation, Symbols):
                names = [entry.data for entry in use.operation.symbols]
                sizes.update(zip(names, np.asarray(array).reshape(-1).tolist(), strict=True))


def complaint(case: Any) -> str | None:
    """What is wrong with the inferred types of a case, or None."""
    model, sizes, arrays = symbolic(case)
    ctx, module = module_of(model)
    InferShapes().apply(ctx, module)
    main = main_of(module)
    bind_elements(main, arrays, sizes)
    results = main.body.block.last_op
    assert results is not None
    for value, wanted in zip(results.operands, case.data_sets[0][1], strict=True):
        if not is_tensor(value.type) or isinstance(wanted, list | onnx.TensorProto | dict):
            continue
        wanted, dims = np.asarray(wanted), dims_of(value.type)
        if wanted.dtype.kind in "iufb" and dtype_of(value.type) != wanted.dtype:
            return f"{value.type} instead of {wanted.dtype}"
        if dims is None:
            continue
        for dim in dims:
            # A size that the operation defines is whatever it turns out to be.
            if symbols_of(dim) == {str(dim)} and str(dim) not in sizes:
                sizes[str(dim)] = wanted.shape[dims.index(dim)]
        if tuple(substitute(dim, sizes) for dim in dims) != wanted.shape:
            return f"{dims} instead of {wanted.shape}"
    for pair in main.attributes.get("onnx.assume", ()):  # type: ignore[attr-defined]
        lhs, rhs = (substitute(parse_dim(side.data), sizes) for side in pair)
        if lhs != rhs:
            return f"assumes {pair}"
    return None


@pytest.mark.parametrize("part", range(PARTS))
def test_node_cases(cases: list[Any], part: int) -> None:
    complaints = {case.name: found for case in cases[part::PARTS] if (found := complaint(case))}
    assert complaints == {}
