"""Shape inference of `onnx` operations: what is known of operands in, of results out.

`infer_types` and `propagate_contents` run the rules that the modules of this package register; the
helpers do arithmetic on symbolic sizes and serve the lowerings too.
"""

from collections.abc import Sequence

import numpy as np
from xdsl.ir import Attribute

from dialects.onnx.shape import (
    content_arithmetic,
    content_movement,
    contractions,
    control,
    custom,
    custom_quantized,
    ml,
    movement,
    pointwise,
    reductions,
    sequences,
    sizes,
    windows,
)
from dialects.onnx.shape.fallback import infer_by_onnx
from dialects.onnx.shape.helpers import (
    broadcast,
    broadcast_dim,
    concat_dims,
    conv_output,
    effective_kernel,
    matmul_dims,
    normalize_axes,
    normalize_axis,
    reshape_target,
    resolve_pads,
    slice_bounds,
    slice_of,
    split_sizes,
    transposed_pads,
    unify,
)
from dialects.onnx.shape.node import (
    CONTENT_ELEMENTS,
    INFER,
    PROPAGATE,
    NodeShapes,
    Scope,
    ShapeError,
    infer,
    operator_of,
    propagate,
    shape_text,
)

__all__ = [
    "CONTENT_ELEMENTS",
    "INFER",
    "PROPAGATE",
    "NodeShapes",
    "Scope",
    "ShapeError",
    "broadcast",
    "broadcast_dim",
    "concat_dims",
    "content_arithmetic",
    "content_movement",
    "contractions",
    "control",
    "conv_output",
    "custom",
    "custom_quantized",
    "effective_kernel",
    "infer",
    "infer_types",
    "matmul_dims",
    "ml",
    "movement",
    "normalize_axes",
    "normalize_axis",
    "operator_of",
    "pointwise",
    "propagate",
    "propagate_contents",
    "reductions",
    "reshape_target",
    "resolve_pads",
    "sequences",
    "shape_text",
    "sizes",
    "slice_bounds",
    "slice_of",
    "split_sizes",
    "transposed_pads",
    "unify",
    "windows",
]


def infer_types(s: NodeShapes) -> Sequence[Attribute]:
    """The types of an operation's results, `!onnx.unknown` where nothing tells.

    Raises ShapeError when operands and attributes contradict each other.
    """
    rule = INFER.get(operator_of(s.op))
    return infer_by_onnx(s) if rule is None else rule(s)


def propagate_contents(s: NodeShapes) -> Sequence[np.ndarray | None]:
    """What is known of the elements of an operation's results."""
    rule = PROPAGATE.get(operator_of(s.op))
    found = None if rule is None else rule(s)
    return [found] if found is None or isinstance(found, np.ndarray) else found
