"""The interface of ONNX's backend tests: `onnx.backend.base.Backend`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx.backend.base import Backend, BackendRep, Device, DeviceType

from compiler.session import InferenceSession, SessionOptions


class TerraceRep(BackendRep):
    """A compiled model."""

    def __init__(self, session: InferenceSession) -> None:
        self.session = session

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Runs on inputs in order, by name, or on a single array."""
        if isinstance(inputs, Mapping):
            feed = dict(inputs)
        else:
            arrays = inputs if isinstance(inputs, list | tuple) else [inputs]
            names = [entry.name for entry in self.session.get_inputs()]
            feed = dict(zip(names, arrays, strict=False))
        return tuple(self.session.run(None, feed))


class TerraceBackend(Backend):
    """Compiles models for the CPU."""

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> TerraceRep:
        """Compiles a model; ``threads`` limits how many a run may use.

        The model is checked by our importer, which accepts some that onnx's checker refuses.

        Raises what `compiler.compile` raises.
        """
        options = SessionOptions(intra_op_num_threads=kwargs.get("threads", 0))
        return TerraceRep(InferenceSession(model, options))

    @classmethod
    def run_model(
        cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU", **kwargs: Any
    ) -> tuple[Any, ...]:
        """Compiles and runs a model."""
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Sequence[tuple[np.dtype, tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """Compiles and runs a model of one node, of the newest opset unless ``opset_version``
        says otherwise."""
        arrays = inputs if isinstance(inputs, list | tuple) else [inputs]
        present = [name for name in node.input if name]
        declared = [_value(name, array) for name, array in zip(present, arrays, strict=True)]
        results = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
        graph = helper.make_graph([node], "node", declared, results)
        opset = kwargs.get("opset_version", onnx.defs.onnx_opset_version())
        imports = [helper.make_opsetid(node.domain, opset)]
        return cls.run_model(helper.make_model(graph, opset_imports=imports), arrays, device)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Only the CPU."""
        return Device(device).type == DeviceType.CPU


def _value(name: str, array: np.ndarray) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor_value_info(name, kind, array.shape)


prepare = TerraceBackend.prepare
run_model = TerraceBackend.run_model
run_node = TerraceBackend.run_node
supports_device = TerraceBackend.supports_device
