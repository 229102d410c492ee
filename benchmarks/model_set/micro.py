"""Models of one operator, or of a chain that should become one kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import sqrt
from typing import Any

from benchmarks.model_set.attention import scaled_dot_product
from benchmarks.model_set.graph import GraphBuilder
from benchmarks.model_set.small import pointwise_chain

Build = Callable[[GraphBuilder], str]
"""Adds a case to an empty graph and gives its result."""

PRODUCTS = (
    (128, 768, 3072),
    (128, 3072, 768),
    (128, 768, 768),
    (1024, 1024, 1024),
    (512, 512, 512),
    (197, 768, 768),
    (64, 64, 64),
    (8, 768, 768),
    (1, 768, 3072),
    (1, 768, 50257),
)
"""M, K, N with a constant [K, N]: BERT's and ViT's layers, squares, the single rows of decoding."""

LINEARS = ((128, 768, 3072), (1, 2048, 1000), (1, 512, 256))
"""M, K, N of `Gemm` with a bias and a constant [N, K], as `nn.Linear` keeps it."""


@dataclass(frozen=True)
class Layer:
    """A square convolution with padding of half its kernel; ``size`` is its input's height."""

    channels: int
    filters: int
    size: int
    kernel: int
    stride: int = 1
    group: int = 1

    @property
    def name(self) -> str:
        """Such as `conv_7x7s2_3-64_224`; `g32` says that it has groups."""
        stride = f"s{self.stride}" if self.stride > 1 else ""
        group = f"_g{self.group}" if self.group > 1 else ""
        sizes = f"{self.channels}-{self.filters}_{self.size}"
        return f"conv_{self.kernel}x{self.kernel}{stride}_{sizes}{group}"

    def build(self, g: GraphBuilder) -> str:
        """The convolution of one image."""
        x = g.normal_input("x", 1, self.channels, self.size, self.size)
        kernel = (self.kernel, self.kernel)
        sizes = (self.channels, self.filters, kernel)
        return g.conv(x, *sizes, stride=self.stride, group=self.group, gain=1.0)


LAYERS = (
    Layer(3, 64, 224, 7, stride=2),
    Layer(64, 64, 56, 3),
    Layer(64, 256, 56, 1),
    Layer(256, 64, 56, 1),
    Layer(128, 128, 56, 3, stride=2),
    Layer(256, 256, 14, 3),
    Layer(512, 512, 7, 3),
    Layer(3, 32, 224, 3, stride=2),
    Layer(32, 32, 112, 3, group=32),
    Layer(96, 96, 112, 3, stride=2, group=96),
    Layer(240, 240, 28, 5, group=240),
    Layer(128, 128, 56, 3, group=32),
)
"""ResNet-50's, MobileNetV2's and EfficientNet's layers, and ResNeXt's groups."""


def _product(m: int, k: int, n: int, g: GraphBuilder) -> str:
    return g.op("MatMul", g.normal_input("x", m, k), g.weight("w", k, n, std=1 / sqrt(k)))


def _linear(m: int, k: int, n: int, g: GraphBuilder) -> str:
    return g.gemm(g.normal_input("x", m, k), k, n, name="linear")


def _batch_product(g: GraphBuilder) -> str:
    return g.op("MatMul", g.normal_input("x", 12, 128, 64), g.normal_input("b", 12, 64, 128))


def _attention(tokens: int, g: GraphBuilder) -> str:
    shape = (1, 12, tokens, 64)
    return scaled_dot_product(g, *(g.normal_input(name, *shape) for name in "qkv"), 64)


def _layer_norm(g: GraphBuilder) -> str:
    return g.layer_norm(g.normal_input("x", 128, 768), 768, 1e-5, "norm")


def _chain(g: GraphBuilder) -> str:
    return pointwise_chain(g, g.normal_input("x", 128, 3072))


def _erf_gelu(g: GraphBuilder) -> str:
    return g.erf_gelu(g.normal_input("x", 128, 3072))


def _one(kind: str, shape: tuple[int, ...], attributes: dict[str, Any], g: GraphBuilder) -> str:
    return g.op(kind, g.normal_input("x", *shape), **attributes)


def _reduce(kind: str, shape: tuple[int, ...], axis: int, g: GraphBuilder) -> str:
    axes = g.constant([axis], "int64")
    return g.op(kind, g.normal_input("x", *shape), axes, keepdims=1)


SINGLE: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "softmax_12x128x128": ("Softmax", (12, 128, 128), {"axis": -1}),
    "gelu_128x3072": ("Gelu", (128, 3072), {}),
    "sigmoid_128x3072": ("Sigmoid", (128, 3072), {}),
    "transpose_1024x1024": ("Transpose", (1024, 1024), {"perm": [1, 0]}),
    "transpose_heads_128x12x64": ("Transpose", (1, 128, 12, 64), {"perm": [0, 2, 1, 3]}),
    "transpose_nchw_64x56x56": ("Transpose", (1, 64, 56, 56), {"perm": [0, 2, 3, 1]}),
    "global_average_2048x7x7": ("GlobalAveragePool", (1, 2048, 7, 7), {}),
    "max_pool_64x112x112": (
        "MaxPool",
        (1, 64, 112, 112),
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    ),
}
"""One operator on one input: its shape, its attributes."""

REDUCTIONS: dict[str, tuple[str, tuple[int, ...], int]] = {
    "reduce_mean_rows_128x768": ("ReduceMean", (128, 768), 1),
    "reduce_sum_columns_1024x1024": ("ReduceSum", (1024, 1024), 0),
    "reduce_max_rows_1024x1024": ("ReduceMax", (1024, 1024), 1),
}


def _builds() -> Iterator[tuple[str, Build]]:
    for shape in PRODUCTS:
        yield "matmul_" + "x".join(map(str, shape)), partial(_product, *shape)
    yield "matmul_batch_12x128x64x128", _batch_product
    for shape in LINEARS:
        yield "gemm_" + "x".join(map(str, shape)), partial(_linear, *shape)
    for layer in LAYERS:
        yield layer.name, layer.build
    for tokens in (128, 512):
        yield f"attention_12x{tokens}x64", partial(_attention, tokens)
    yield "layer_norm_128x768", _layer_norm
    yield "pointwise_chain_128x3072", _chain
    yield "erf_gelu_128x3072", _erf_gelu
    for name, case in SINGLE.items():
        yield name, partial(_one, *case)
    for name, case in REDUCTIONS.items():
        yield name, partial(_reduce, *case)


OPSET = 20


def _graph(name: str, build: Build) -> GraphBuilder:
    g = GraphBuilder(name, OPSET)
    g.output(build(g), "y")
    return g


MICRO: dict[str, Callable[[], GraphBuilder]] = {
    name: partial(_graph, name, build) for name, build in _builds()
}
"""All cases by name."""
