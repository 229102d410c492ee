"""Operators of `ai.onnx.ml` on numbers give what onnxruntime gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numerics.harness import check, make_model
from onnx import helper

F32, INT = np.float32, np.int64
X = np.float32([[1, -2, 0.5], [0, 0, 0], [-3, 4, 8], [-1, -2, -4]])
COEFFICIENTS = [0.5, -1.0, 2.0, 1.5, 0.25, -0.75, -2.0, 1.0, 0.5]
LINEAR = {"coefficients": COEFFICIENTS, "intercepts": [0.1, -0.2, 0.3]}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "Scaler": ("Scaler", {"offset": [1.0, -1.0, 0.5], "scale": [2.0, 0.5, 3.0]}),
    "Scaler by one number": ("Scaler", {"offset": [1.0], "scale": [2.0]}),
    **{f"Normalizer {norm}": ("Normalizer", {"norm": norm}) for norm in ("MAX", "L1", "L2")},
    "Binarizer": ("Binarizer", {"threshold": 0.5}),
    "LinearRegressor": ("LinearRegressor", {**LINEAR, "targets": 3}),
    "LinearRegressor without intercepts": ("LinearRegressor", {"coefficients": COEFFICIENTS[:3]}),
    **{
        f"LinearClassifier {name}": (
            "LinearClassifier",
            {**LINEAR, "classlabels_ints": [7, 3, 5], "post_transform": name},
        )
        for name in ("NONE", "SOFTMAX", "LOGISTIC")
    },
}


def compare(op_type: str, inputs: dict[str, np.ndarray], **attributes: Any) -> None:
    outputs = ["y", "z"] if op_type == "LinearClassifier" else ["y"]
    node = helper.make_node(op_type, [*inputs], outputs, domain="ai.onnx.ml", **attributes)
    signature = {name: (array.dtype, ["n", *array.shape[1:]]) for name, array in inputs.items()}
    model = make_model([node], signature, outputs=outputs, opset=18)
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
    check(model, inputs, reference=False)


@pytest.mark.parametrize(("op_type", "attributes"), CASES.values(), ids=CASES)
def test_rows_of_floats(op_type: str, attributes: dict[str, Any]) -> None:
    compare(op_type, {"x": X}, **attributes)


def test_scaler_of_integers() -> None:
    compare("Scaler", {"x": X.astype(INT)}, offset=[1.0], scale=[0.5])


def test_feature_vectorizer() -> None:
    compare("FeatureVectorizer", {"a": X, "b": X[:, :2] * 2}, inputdimensions=[3, 2])


def test_array_feature_extractor() -> None:
    node = helper.make_node("ArrayFeatureExtractor", ["x", "i"], ["y"], domain="ai.onnx.ml")
    model = make_model([node], {"x": (F32, ["n", 3])}, {"i": np.array([[2, 0]])}, opset=18)
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
    check(model, {"x": X}, reference=False)
