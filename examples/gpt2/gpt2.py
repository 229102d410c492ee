"""GPT-2 as an ONNX graph: the configuration, the parameters' shapes, the nodes.

The network is that of Radford et al., "Language Models are Unsupervised Multitask Learners"
(2019), with Hugging Face's parameter names and the nodes that an export from PyTorch has:
``input_ids`` int64 ``[batch, sequence]`` to ``logits`` float32 ``[batch, sequence, vocab]``.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

OPSET = 17
Array = np.ndarray
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Config:
    """The sizes of a GPT-2. The defaults are those of the smallest published one (124M)."""

    layers: int = 12
    heads: int = 12
    embedding: int = 768
    vocab: int = 50257
    context: int = 1024

    def __post_init__(self) -> None:
        if min(self.layers, self.heads, self.embedding, self.vocab, self.context) < 1:
            raise ValueError(f"every size must be at least 1: {self}")
        if self.embedding % self.heads:
            raise ValueError(f"{self.heads} heads do not divide an embedding of {self.embedding}")

    def parameter_shapes(self) -> dict[str, Shape]:
        """Every parameter's name and shape, in the order in which a forward pass uses them."""
        width = self.embedding
        shapes: dict[str, Shape] = {
            "wte.weight": (self.vocab, width),
            "wpe.weight": (self.context, width),
        }
        per_layer: dict[str, Shape] = {
            "ln_1.weight": (width,),
            "ln_1.bias": (width,),
            "attn.c_attn.weight": (width, 3 * width),
            "attn.c_attn.bias": (3 * width,),
            "attn.c_proj.weight": (width, width),
            "attn.c_proj.bias": (width,),
            "ln_2.weight": (width,),
            "ln_2.bias": (width,),
            "mlp.c_fc.weight": (width, 4 * width),
            "mlp.c_fc.bias": (4 * width,),
            "mlp.c_proj.weight": (4 * width, width),
            "mlp.c_proj.bias": (width,),
        }
        for layer in range(self.layers):
            shapes |= {f"h.{layer}.{name}": shape for name, shape in per_layer.items()}
        return shapes | {"ln_f.weight": (width,), "ln_f.bias": (width,)}


@dataclass
class Gpt2Graph:
    """Builds the nodes. ``static`` fixes ``(batch, sequence)``; None leaves both symbolic.

    After ``build()``, ``nodes`` are the graph's nodes and ``constants`` the arrays they read
    apart from the parameters; parameters are read by name and stand in neither.
    """

    config: Config
    static: tuple[int, int] | None
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    names: Counter[str] = field(default_factory=Counter)

    def build(self) -> None:
        """Fill ``nodes`` and ``constants``."""
        positions, mask, split_heads, merge_heads = (
            self.dynamic_values() if self.static is None else self.static_values(*self.static)
        )
        tokens = self.op("/wte", "Gather", "wte.weight", "input_ids")
        places = self.op("/wpe", "Gather", "wpe.weight", positions)
        hidden = self.op("", "Add", tokens, places)
        for layer in range(self.config.layers):
            scope = f"/h.{layer}"
            normal = self.layer_norm(f"{scope}/ln_1", hidden)
            attended = self.attention(f"{scope}/attn", normal, mask, split_heads, merge_heads)
            hidden = self.op(scope, "Add", hidden, attended)
            normal = self.layer_norm(f"{scope}/ln_2", hidden)
            hidden = self.op(scope, "Add", hidden, self.mlp(f"{scope}/mlp", normal))
        hidden = self.layer_norm("/ln_f", hidden)
        # The embedding is tied to the output: no second matrix of vocab x embedding is stored.
        head = self.op("/lm_head", "Transpose", "wte.weight", perm=[1, 0])
        self.op("/lm_head", "MatMul", hidden, head, output="logits")

    def dynamic_values(self) -> tuple[str, str, str, str]:
        """Positions ``[1, sequence]``, mask ``[1, 1, sequence, sequence]``, the shapes
        ``[batch, sequence, heads, head]`` and ``[batch, sequence, embedding]``, at run time."""
        shape = self.op("", "Shape", "input_ids")
        batch = self.op("", "Gather", shape, self.constant("index.0", np.int64(0)), axis=0)
        sequence = self.op("", "Gather", shape, self.constant("index.1", np.int64(1)), axis=0)
        zero, one = self.constant("zero", np.int64(0)), self.constant("one", np.int64(1))
        axis = self.constant("axis.0", np.array([0]))
        positions = self.op("", "Unsqueeze", self.op("", "Range", zero, sequence, one), axis)

        batch = self.op("", "Unsqueeze", batch, axis)
        sequence = self.op("", "Unsqueeze", sequence, axis)
        mask = self.op(
            "/mask",
            "Slice",
            self.constant("causal_mask", causal_mask(self.config.context)),
            self.constant("slice.starts", np.array([0, 0])),
            self.op("/mask", "Concat", sequence, sequence, axis=0),
            self.constant("slice.axes", np.array([2, 3])),
        )
        heads, width = self.config.heads, self.config.embedding
        split = self.constant("split_heads", np.array([heads, width // heads]))
        merge = self.constant("merge_heads", np.array([width]))
        split_heads = self.op("/split_heads", "Concat", batch, sequence, split, axis=0)
        merge_heads = self.op("/merge_heads", "Concat", batch, sequence, merge, axis=0)
        return positions, mask, split_heads, merge_heads

    def static_values(self, batch: int, sequence: int) -> tuple[str, str, str, str]:
        """The same four values as constants."""
        heads, width = self.config.heads, self.config.embedding
        return (
            self.constant("positions", np.arange(sequence)[None]),
            self.constant("causal_mask", causal_mask(sequence)),
            self.constant("split_heads", np.array([batch, sequence, heads, width // heads])),
            self.constant("merge_heads", np.array([batch, sequence, width])),
        )

    def attention(self, scope: str, x: str, mask: str, split_heads: str, merge_heads: str) -> str:
        """Causal attention of all heads; ``x`` and the result are ``[batch, sequence, width]``."""
        width, heads = self.config.embedding, self.config.heads
        sizes = self.constant("split.sizes", np.array([width] * 3))
        qkv = self.linear(f"{scope}/c_attn", x)
        query, key, value = self.split(scope, qkv, sizes, parts=3)

        def by_head(tensor: str, perm: list[int]) -> str:
            return self.op(
                scope, "Transpose", self.op(scope, "Reshape", tensor, split_heads), perm=perm
            )

        scores = self.op(scope, "MatMul", by_head(query, [0, 2, 1, 3]), by_head(key, [0, 2, 3, 1]))
        root = self.constant("sqrt_head", np.float32(math.sqrt(width // heads)))
        scores = self.op(scope, "Div", scores, root)
        lowest = self.constant("masked", np.finfo(np.float32).min)
        scores = self.op(scope, "Where", mask, scores, lowest)
        weights = self.op(scope, "Softmax", scores, axis=-1)
        mixed = self.op(scope, "MatMul", weights, by_head(value, [0, 2, 1, 3]))
        mixed = self.op(scope, "Transpose", mixed, perm=[0, 2, 1, 3])
        return self.linear(f"{scope}/c_proj", self.op(scope, "Reshape", mixed, merge_heads))

    def mlp(self, scope: str, x: str) -> str:
        """Two linear layers with a Gelu between; ``x`` is ``[batch, sequence, width]``."""
        return self.linear(
            f"{scope}/c_proj", self.gelu(f"{scope}/act", self.linear(f"{scope}/c_fc", x))
        )

    def gelu(self, scope: str, x: str) -> str:
        """``0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))``, node by node.

        Source: Hendrycks and Gimpel, arXiv:1606.08415.
        """
        cube = self.op(scope, "Pow", x, self.constant("gelu.exponent", np.float32(3)))
        cube = self.op(scope, "Mul", cube, self.constant("gelu.cubic", np.float32(0.044715)))
        inner = self.op(scope, "Add", x, cube)
        scale = self.constant("gelu.scale", np.float32(math.sqrt(2 / math.pi)))
        tanh = self.op(scope, "Tanh", self.op(scope, "Mul", inner, scale))
        gate = self.op(scope, "Add", tanh, self.constant("gelu.one", np.float32(1)))
        half = self.op(scope, "Mul", x, self.constant("gelu.half", np.float32(0.5)))
        return self.op(scope, "Mul", half, gate)

    def linear(self, scope: str, x: str) -> str:
        """``x @ weight + bias`` with the parameters named after ``scope``."""
        name = scope[1:].replace("/", ".")
        return self.op(scope, "Add", self.op(scope, "MatMul", x, f"{name}.weight"), f"{name}.bias")

    def layer_norm(self, scope: str, x: str) -> str:
        """LayerNormalization over the last axis, with the parameters named after ``scope``."""
        name = scope[1:].replace("/", ".")
        operands = (x, f"{name}.weight", f"{name}.bias")
        return self.op(scope, "LayerNormalization", *operands, axis=-1, epsilon=1e-5)

    def constant(self, name: str, value: Array | np.generic) -> str:
        """Name a constant; a second call with the same name must bring the same value."""
        self.constants.setdefault(name, np.asarray(value))
        return name

    def op(
        self, scope: str, op_type: str, *operands: str, output: str = "", **attributes: Any
    ) -> str:
        """Add a node with one output, named ``scope/op_type`` as PyTorch names it."""
        name = self.unique_name(scope, op_type)
        output = output or f"{name}_output_0"
        self.nodes.append(helper.make_node(op_type, operands, [output], name=name, **attributes))
        return output

    def split(self, scope: str, x: str, sizes: str, parts: int) -> list[str]:
        """Split the last axis of ``x`` into ``parts``."""
        name = self.unique_name(scope, "Split")
        outputs = [f"{name}_output_{index}" for index in range(parts)]
        self.nodes.append(helper.make_node("Split", [x, sizes], outputs, name=name, axis=-1))
        return outputs

    def unique_name(self, scope: str, op_type: str) -> str:
        base = f"{scope}/{op_type}"
        self.names[base] += 1
        return base if self.names[base] == 1 else f"{base}_{self.names[base] - 1}"


def causal_mask(size: int) -> Array:
    """bool ``[1, 1, size, size]``: a position (row) sees itself and those before it."""
    return np.tril(np.ones((size, size), np.bool_))[None, None]


def make_model(
    config: Config,
    static: tuple[int, int] | None,
    initializers: list[TensorProto],
    graph: Gpt2Graph,
    metadata: dict[str, str],
) -> onnx.ModelProto:
    """Put a built graph and its initializers into a model with named inputs and metadata."""
    batch, sequence = static or ("batch", "sequence")
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, [batch, sequence])
    logits = helper.make_tensor_value_info(
        "logits", TensorProto.FLOAT, [batch, sequence, config.vocab]
    )
    model = helper.make_model(
        helper.make_graph(graph.nodes, "gpt2", [ids], [logits], initializers),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
        producer_name="onnx-terrace examples/gpt2/make_model.py",
        producer_version="1",
        doc_string="GPT-2: token ids to the logits of the next token, without a key/value cache.",
    )
    helper.set_model_props(model, metadata)
    return model
