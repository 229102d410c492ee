"""The `onnx` dialect: ONNX operators on tensors with symbolic sizes.

Comes in: a model, through `compiler.importer`. Goes out: dispatches on their way to `krnl`.
"""

from xdsl.ir import Dialect

from dialects.onnx.ops import all_classes
from dialects.onnx.types import (
    AttributeRefAttr,
    MapType,
    OptionalType,
    SequenceType,
    SparseTensorType,
    StringTensorAttr,
    StringType,
    TensorEncodingAttr,
    UnknownType,
)


def get_dialect() -> Dialect:
    """The dialect with every operator version: 0.1 s, for parsing text; importing needs less."""
    return Dialect(
        "onnx",
        all_classes(),
        [
            StringType,
            SequenceType,
            OptionalType,
            SparseTensorType,
            MapType,
            UnknownType,
            TensorEncodingAttr,
            AttributeRefAttr,
            StringTensorAttr,
        ],
    )
