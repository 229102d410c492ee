"""One node at a time through `onnx.reference`: the operators that have no numpy function here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import helper

from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.fallback import node_proto, type_proto


def evaluate_by_reference(
    op: OnnxOp, inputs: Sequence[np.ndarray | None]
) -> list[np.ndarray] | None:
    """The operation's results by ONNX's reference implementation; None where that fails."""
    node = node_proto(op)
    if node is None:
        return None
    # Imported here: it costs a quarter of a second, which models without such constants need not
    # pay.
    from onnx.reference import ReferenceEvaluator

    feeds = {name: array for name, array in zip(node.input, inputs, strict=False) if name}
    arguments = [
        helper.make_value_info(name, type_proto(value.type))
        for name, value in zip(node.input, op.operands, strict=False)
        if name
    ]
    outputs = [name for name in node.output if name]
    results = [
        helper.make_value_info(name, type_proto(op.results[i].type))
        for i, name in enumerate(node.output)
        if name
    ]
    graph = helper.make_graph([node], "fold", arguments, results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(op.DOMAIN, op.SINCE)])
    try:
        found = ReferenceEvaluator(model).run(outputs, feeds)
    except Exception:
        # The reference implementation raises whatever its numpy code runs into, on models it does
        # not cover.
        return None
    by_name = dict(zip(outputs, found, strict=True))
    return [np.asarray(by_name[name]) if name else np.empty(0) for name in node.output]
