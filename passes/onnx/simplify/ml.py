"""Operators of `ai.onnx.ml` on numbers, as standard ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.ir import SSAValue

from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.ml import ML
from passes.onnx.simplify.rewriter import Replacement, Rewriter, rewrite

FLOAT = 1
"""ONNX's number of float32."""


def _floats(r: Rewriter, value: SSAValue) -> SSAValue:
    """A tensor as float32."""
    return value if r.dtype(value) == np.float32 else r.make("Cast", value, to=FLOAT)


def _vector(r: Rewriter, values: Sequence[float], hint: str) -> SSAValue:
    return r.const(np.array(values, np.float32), hint)


@rewrite("Scaler", domain=ML)
def scaler(r: Rewriter, op: OnnxOp) -> Replacement:
    """Scaler(x) -> (x - offset) * scale"""
    offset, scale = op.get("offset"), op.get("scale")
    if not offset or not scale:
        return None
    shifted = r.make("Sub", _floats(r, op.operands[0]), _vector(r, offset, "offset"))
    return r.make("Mul", shifted, _vector(r, scale, "scale"))


@rewrite("Normalizer", domain=ML)
def normalizer(r: Rewriter, op: OnnxOp) -> Replacement:
    """Normalizer(x) -> x / norm of its row; a row whose norm is 0 stays"""
    x = _floats(r, op.operands[0])
    axes, norm = r.const([-1], "axes"), op.get("norm")
    if norm == "MAX":
        size = r.make("ReduceMax", x, axes, keepdims=1)
    else:
        size = r.make("ReduceL1" if norm == "L1" else "ReduceL2", x, axes, keepdims=1)
    is_zero = r.make("Equal", size, r.number(0, size))
    return r.make("Div", x, r.make("Where", is_zero, r.number(1, size), size))


def _linear(r: Rewriter, op: OnnxOp, rows: int) -> SSAValue | None:
    """x times the transposed coefficients, plus the intercepts; None for a vector."""
    x, coefficients = _floats(r, op.operands[0]), op.get("coefficients")
    if not coefficients or len(r.dims(x) or ()) != 2 or len(coefficients) % rows:
        return None
    weights = np.array(coefficients, np.float32).reshape(rows, -1).T
    value = r.make("MatMul", x, r.const(np.ascontiguousarray(weights), "coefficients"))
    intercepts = op.get("intercepts")
    return r.make("Add", value, _vector(r, intercepts, "intercepts")) if intercepts else value


def _transformed(r: Rewriter, scores: SSAValue, name: str) -> SSAValue | None:
    """Scores after a `post_transform`; None for one that has no standard operator."""
    match name:
        case "NONE":
            return scores
        case "LOGISTIC":
            return r.make("Sigmoid", scores)
        case "SOFTMAX":
            return r.make("Softmax", scores, axis=1)
    return None


@rewrite("LinearRegressor", domain=ML)
def linear_regressor(r: Rewriter, op: OnnxOp) -> Replacement:
    """LinearRegressor(x) -> x * coefficients + intercepts"""
    value = _linear(r, op, op.get("targets"))
    return None if value is None else _transformed(r, value, op.get("post_transform"))


@rewrite("LinearClassifier", domain=ML)
def linear_classifier(r: Rewriter, op: OnnxOp) -> Replacement:
    """LinearClassifier(x) -> the label of the highest score, and the scores"""
    labels = op.get("classlabels_ints")
    rows = len(op.get("intercepts") or labels or ())
    if not labels or len(labels) != rows or rows < 2:
        return None
    scores = _linear(r, op, rows)
    if scores is None:
        return None
    transformed = _transformed(r, scores, op.get("post_transform"))
    if transformed is None:
        return None
    best = r.make("ArgMax", scores, axis=1, keepdims=0)
    chosen = r.make("Gather", r.const(np.array(labels, np.int64), "labels"), best, axis=0)
    return [chosen, transformed]


@rewrite("Binarizer", domain=ML)
def binarizer(r: Rewriter, op: OnnxOp) -> Replacement:
    """Binarizer(x) -> 1 where x > threshold, else 0"""
    x = op.operands[0]
    above = r.make("Greater", x, r.number(op.get("threshold"), x))
    return r.make("Where", above, r.number(1, x), r.number(0, x))


@rewrite("ArrayFeatureExtractor", domain=ML)
def array_feature_extractor(r: Rewriter, op: OnnxOp) -> Replacement:
    """ArrayFeatureExtractor(x, i) -> Gather of columns"""
    x, indices = op.operands
    dims, listed = r.dims(x), r.dims(indices)
    if dims is None or listed is None or len(dims) < 2:
        return None
    flat = indices if len(listed) == 1 else r.make("Reshape", indices, r.const([-1], "shape"))
    return r.make("Gather", x, flat, axis=len(dims) - 1)


@rewrite("FeatureVectorizer", domain=ML)
def feature_vectorizer(r: Rewriter, op: OnnxOp) -> Replacement:
    """FeatureVectorizer(x, y, ...) -> Concat of float32 matrices of the sizes it expects"""
    sizes = op.get("inputdimensions")
    shapes = [r.dims(value) for value in op.operands]
    if not sizes or [dims[-1] if dims and len(dims) == 2 else None for dims in shapes] != [*sizes]:
        return None
    return r.make("Concat", *(_floats(r, value) for value in op.operands), axis=1)
