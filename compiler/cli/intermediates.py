"""Which node goes wrong: every tensor of a model made an output, and compared in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from compiler.cli.compare import Tolerance, difference
from runtime.errors import InvalidModelError


@dataclass(frozen=True)
class Divergence:
    """The first node with a result that differs."""

    node: onnx.NodeProto
    output: str
    reason: str

    def __str__(self) -> str:
        name = self.node.name or self.output
        domain = self.node.domain or "ai.onnx"
        return (
            f"node '{name}' ({domain}.{self.node.op_type}), output '{self.output}': {self.reason}"
        )


def exposed(path: Path) -> onnx.ModelProto:
    """The model with every tensor that a node of the main graph makes as an output.

    Tensors whose type is not known beforehand stay inside.
    """
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    known = {value.name: value for value in model.graph.value_info}
    declared = {value.name for value in model.graph.output}
    for node in model.graph.node:
        for name in node.output:
            if name not in declared and _is_plain_tensor(known.get(name)):
                model.graph.output.append(known[name])
                declared.add(name)
    if model.ByteSize() >= onnx.checker.MAXIMUM_PROTOBUF:
        raise InvalidModelError(f"{path}: too large for --intermediates, which needs it in memory")
    return model


def _is_plain_tensor(value: onnx.ValueInfoProto | None) -> bool:
    if value is None or not value.type.HasField("tensor_type"):
        return False
    kind = value.type.tensor_type.elem_type
    return kind not in (onnx.TensorProto.UNDEFINED, onnx.TensorProto.STRING)


def first_divergence(
    model: onnx.ModelProto, got: Mapping[str, Any], want: Mapping[str, Any], tolerance: Tolerance
) -> Divergence | None:
    """The first node, in the model's order, with a result that differs."""
    return next(_divergences(model, got, want, tolerance), None)


def _divergences(
    model: onnx.ModelProto, got: Mapping[str, Any], want: Mapping[str, Any], tolerance: Tolerance
) -> Iterator[Divergence]:
    for node in model.graph.node:
        for name in node.output:
            if name in got and name in want:
                found = difference(got[name], want[name], tolerance)
                if found.reason:
                    yield Divergence(node, name, found.reason)
