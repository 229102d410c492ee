"""Builds one graph: nodes and values named as torch's exporter names them, seeded weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod, sqrt
from typing import Any
from zlib import crc32

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper, shape_inference

INLINE_BYTES = 1024
"""Smaller weights stay in the model's file, where shape inference sees them."""

DATA_FILE = "model.onnx.data"


class GraphBuilder:
    """A graph in the making. A value is its name.

    ``feed`` collects the inputs' arrays, ``weights`` the initializers.
    """

    def __init__(self, name: str, opset: int = 17) -> None:
        self.name = name
        self.opset = opset
        self.rng = np.random.default_rng(crc32(name.encode()))
        self.feed: dict[str, np.ndarray] = {}
        self.weights: dict[str, np.ndarray] = {}
        self._nodes: list[Any] = []
        self._outputs: list[str] = []
        self._scope: list[str] = []
        self._used: Counter[str] = Counter()

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Nodes and weights made inside are named after this module of the network."""
        self._scope.append(name)
        yield
        self._scope.pop()

    def input(self, name: str, array: np.ndarray) -> str:
        """An input of the graph, of this array's type and shape."""
        self.feed[name] = array
        return name

    def normal_input(self, name: str, *shape: int) -> str:
        """A float32 input with normally distributed values."""
        return self.input(name, self.rng.standard_normal(shape, np.float32))

    def token_input(self, name: str, vocabulary: int, *shape: int) -> str:
        """An input of int64 ids."""
        return self.input(name, self.rng.integers(0, vocabulary, shape, np.int64))

    def weight(self, name: str, *shape: int, std: float, mean: float = 0.0) -> str:
        """A float32 initializer with normally distributed values."""
        array = self.rng.standard_normal(shape, np.float32)
        array *= np.float32(std)
        array += np.float32(mean)
        return self.initializer(name, array)

    def initializer(self, name: str, array: np.ndarray) -> str:
        """An initializer with these values."""
        full = self._unique(".".join([*self._scope, name]), ".")
        self.weights[full] = array
        return full

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """A small constant, as a `Constant` node."""
        tensor = numpy_helper.from_array(np.asarray(value, dtype))
        return self.op("Constant", value=tensor)

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node with one result; an input "" is absent."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, results: int, *inputs: str, **attributes: Any) -> list[str]:
        """A node with several results."""
        name = self._unique("/" + "/".join([*self._scope, kind]), "_")
        outputs = [f"{name}_output_{k}" for k in range(results)]
        self._nodes.append(helper.make_node(kind, inputs, outputs, name, **attributes))
        return outputs

    def output(self, value: str, name: str, first: bool = False) -> None:
        """Makes a value that a node computes an output of the graph, under this name.

        Outputs stand in the order of these calls, but ``first`` puts one in front.
        """
        for node in self._nodes:
            for names in (node.input, node.output):
                for place, used in enumerate(names):
                    if used == value:
                        names[place] = name
        self._outputs.insert(0 if first else len(self._outputs), name)

    def model(self) -> ModelProto:
        """The model; weights of more than `INLINE_BYTES` are in `DATA_FILE`, in order."""
        inputs = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
            )
            for name, array in self.feed.items()
        ]
        outputs = [helper.make_empty_tensor_value_info(name) for name in self._outputs]
        graph = helper.make_graph(
            self._nodes, self.name, inputs, outputs, list(_tensors(self.weights))
        )
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=helper.find_min_ir_version_for(opsets),
            producer_name="onnx-terrace benchmarks",
        )
        inferred = shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        for place, entry in enumerate(inferred.graph.output):
            model.graph.output[place].CopyFrom(entry)
        return model

    def _unique(self, name: str, separator: str) -> str:
        count = self._used[name]
        self._used[name] += 1
        return f"{name}{separator}{count}" if count else name

    # Layers that many networks have ---------------------------------------------------------

    def conv(
        self,
        x: str,
        channels: int,
        filters: int,
        kernel: Sequence[int],
        *,
        stride: int = 1,
        group: int = 1,
        padding: int | None = None,
        gain: float = 2.0,
        name: str = "conv",
    ) -> str:
        """A convolution with bias, which is where batch normalization went.

        ``padding`` None is half of the kernel. ``gain`` is the variance that each result has for
        inputs of variance 1.
        """
        pads = [size // 2 if padding is None else padding for size in kernel]
        fan_in = channels // group * prod(kernel)
        with self.scope(name):
            weight = self.weight(
                "weight", filters, channels // group, *kernel, std=sqrt(gain / fan_in)
            )
            return self.op(
                "Conv",
                x,
                weight,
                self.weight("bias", filters, std=0.05),
                dilations=[1] * len(kernel),
                group=group,
                kernel_shape=list(kernel),
                pads=pads * 2,
                strides=[stride] * len(kernel),
            )

    def gemm(self, x: str, inputs: int, outputs: int, *, gain: float = 1.0, name: str) -> str:
        """`nn.Linear` on a matrix."""
        with self.scope(name):
            weight = self.weight("weight", outputs, inputs, std=sqrt(gain / inputs))
            bias = self.weight("bias", outputs, std=0.05)
            return self.op("Gemm", x, weight, bias, transB=1)

    def linear(
        self,
        x: str,
        inputs: int,
        outputs: int,
        *,
        gain: float = 1.0,
        bias: bool = True,
        name: str,
    ) -> str:
        """`nn.Linear` on more than two dimensions; the exporter has transposed the weight."""
        with self.scope(name):
            weight = self.weight("weight", inputs, outputs, std=sqrt(gain / inputs))
            product = self.op("MatMul", x, weight)
            if not bias:
                return product
            return self.op("Add", self.weight("bias", outputs, std=0.05), product)

    def layer_norm(self, x: str, size: int, epsilon: float, name: str) -> str:
        """`nn.LayerNorm` over the last dimension."""
        with self.scope(name):
            scale = self.weight("weight", size, std=0.1, mean=1.0)
            bias = self.weight("bias", size, std=0.05)
            return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=epsilon)

    def erf_gelu(self, x: str) -> str:
        """`nn.GELU` before operator set 20."""
        erf = self.op("Erf", self.op("Div", x, self.constant(sqrt(2.0))))
        doubled = self.op("Mul", x, self.op("Add", erf, self.constant(1.0)))
        return self.op("Mul", doubled, self.constant(0.5))

    def silu(self, x: str) -> str:
        """`nn.SiLU`."""
        return self.op("Mul", x, self.op("Sigmoid", x))

    def reshape(self, x: str, *shape: int) -> str:
        """A reshape to a constant shape."""
        return self.op("Reshape", x, self.constant(shape, np.int64), allowzero=0)

    def transpose(self, x: str, *perm: int) -> str:
        """A transposition."""
        return self.op("Transpose", x, perm=list(perm))


def _tensors(weights: dict[str, np.ndarray]) -> Iterator[TensorProto]:
    """Small weights with their values, the others as places in the data file."""
    offset = 0
    for name, array in weights.items():
        if array.nbytes <= INLINE_BYTES:
            yield numpy_helper.from_array(array, name)
            continue
        offset = aligned(offset)
        tensor = TensorProto(
            name=name,
            data_type=helper.np_dtype_to_tensor_dtype(array.dtype),
            dims=array.shape,
            data_location=TensorProto.EXTERNAL,
        )
        place = {"location": DATA_FILE, "offset": str(offset), "length": str(array.nbytes)}
        for key, text in place.items():
            tensor.external_data.add(key=key, value=text)
        yield tensor
        offset += array.nbytes


def aligned(offset: int) -> int:
    """The next offset in the data file at which a weight may begin: a page of memory."""
    return (offset + 4095) // 4096 * 4096
