"""Types of the operators of `ai.onnx.ml`."""

from __future__ import annotations

from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute

from dialects.onnx.dims import Dim
from dialects.onnx.shape.node import NodeShapes, infer
from dialects.onnx.types import MapType, SequenceType, f32, string, tensor_type

ML = "ai.onnx.ml"
i64 = IntegerType(64)


def _rows(s: NodeShapes) -> Dim:
    """How many samples the operand [N, features] or [features] holds."""
    dims = s.ranked(0, 1)
    if dims is None:
        return s.fresh("rows")
    return dims[0] if len(dims) > 1 else 1


def _classifier(s: NodeShapes, strings: bool, classes: int) -> list[Attribute]:
    rows = _rows(s)
    scores = s.fresh("classes") if classes == 0 else classes
    return [tensor_type(string if strings else i64, (rows,)), tensor_type(f32, (rows, scores))]


@infer("TreeEnsembleClassifier", domain=ML)
def tree_ensemble_classifier(s: NodeShapes) -> list[Attribute]:
    """Labels [N] and scores [N, classes]; a binary one may name a single class id."""
    names = s.get("classlabels_strings")
    labels = names or s.get("classlabels_int64s") or ()
    return _classifier(s, bool(names), len(labels) or len(set(s.get("class_ids") or ())))


@infer("LinearClassifier", domain=ML)
def linear_classifier(s: NodeShapes) -> list[Attribute]:
    """Labels [N] and scores [N, classes]."""
    names = s.get("classlabels_strings")
    labels = names or s.get("classlabels_ints") or ()
    count = len(s.get("intercepts") or labels)
    # One row of coefficients for two labels is the positive class; the score of both comes out.
    return _classifier(s, bool(names), 2 if count == 1 and len(labels) == 2 else count)


@infer("SVMClassifier", domain=ML)
def svm_classifier(s: NodeShapes) -> list[Attribute]:
    """Labels [N] and scores [N, classes] (or one per pair of classes without probabilities)."""
    names = s.get("classlabels_strings")
    count = len(names or s.get("classlabels_ints") or ())
    pairwise = not s.get("prob_a") and s.get("vectors_per_class") and count > 2
    return _classifier(s, bool(names), count * (count - 1) // 2 if pairwise else count)


@infer("TreeEnsembleRegressor", domain=ML)
def tree_ensemble_regressor(s: NodeShapes) -> list[Attribute]:
    """[N, targets]"""
    targets = s.get("n_targets") or len(set(s.get("target_ids") or (0,)))
    return [tensor_type(f32, (_rows(s), targets))]


@infer("TreeEnsemble", domain=ML)
def tree_ensemble(s: NodeShapes) -> list[Attribute]:
    """[N, targets]"""
    return [s.tensor((_rows(s), s.get("n_targets", 1)))]


@infer("LinearRegressor", domain=ML)
def linear_regressor(s: NodeShapes) -> list[Attribute]:
    """[N, targets]"""
    return [tensor_type(f32, (_rows(s), s.get("targets", 1)))]


@infer("SVMRegressor", domain=ML)
def svm_regressor(s: NodeShapes) -> list[Attribute]:
    """[N, 1]"""
    return [tensor_type(f32, (_rows(s), 1))]


@infer("Scaler", "Normalizer", domain=ML)
def to_float(s: NodeShapes) -> list[Attribute]:
    """The operand's shape in f32."""
    return [s.tensor(s.dims(0), f32)]


@infer("Imputer", "Binarizer", domain=ML)
def same(s: NodeShapes) -> list[Attribute]:
    """The operand's type."""
    return [s.kind(0)]


@infer("OneHotEncoder", domain=ML)
def one_hot_encoder(s: NodeShapes) -> list[Attribute]:
    """A last axis with a place for each category."""
    dims = s.dims(0)
    count = len(s.get("cats_int64s") or s.get("cats_strings") or ())
    return [s.tensor(None if dims is None else (*dims, count), f32)]


@infer("LabelEncoder", domain=ML)
def label_encoder(s: NodeShapes) -> list[Attribute]:
    """The operand's shape; the element type of the values."""
    if s.since == 1:
        return [s.tensor(s.dims(0), i64 if s.element(0) == string else string)]
    if tensor := s.get("values_tensor"):
        return [s.tensor(s.dims(0), tensor.type.element_type)]
    for name, element in (("values_strings", string), ("values_int64s", i64)):
        if s.get(name):
            return [s.tensor(s.dims(0), element)]
    return [s.tensor(s.dims(0), f32)]


@infer("CategoryMapper", domain=ML)
def category_mapper(s: NodeShapes) -> list[Attribute]:
    """Strings to numbers or numbers to strings."""
    return [s.tensor(s.dims(0), i64 if s.element(0) == string else string)]


@infer("FeatureVectorizer", domain=ML)
def feature_vectorizer(s: NodeShapes) -> list[Attribute]:
    """[N, all features]"""
    return [
        tensor_type(f32, (_rows(s), sum(s.get("inputdimensions") or ()) or s.fresh("features")))
    ]


@infer("DictVectorizer", domain=ML)
def dict_vectorizer(s: NodeShapes) -> list[Attribute]:
    """[1, vocabulary] of the map's values."""
    kind = s.kind(0)
    if not isinstance(kind, MapType):
        s.fail(f"input 0 has type {kind}, not a map")
    count = len(s.get("string_vocabulary") or s.get("int64_vocabulary") or ())
    element = getattr(kind.value_type, "element_type", kind.value_type)
    return [tensor_type(element, (1, count))]


@infer("CastMap", domain=ML)
def cast_map(s: NodeShapes) -> list[Attribute]:
    """[1, entries]"""
    names = {"TO_FLOAT": f32, "TO_INT64": i64, "TO_STRING": string}
    dense = s.get("map_form", "DENSE") == "DENSE"
    count = s.fresh("entries") if dense else s.get("max_map", 1)
    return [tensor_type(names[s.get("cast_to", "TO_FLOAT")], (1, count))]


@infer("ZipMap", domain=ML)
def zip_map(s: NodeShapes) -> list[Attribute]:
    """A sequence of maps from label to score."""
    key = string if s.get("classlabels_strings") else i64
    return [SequenceType(MapType(key, tensor_type(f32, ())))]
