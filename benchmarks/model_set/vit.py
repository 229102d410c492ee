"""ViT-B/16 as torchvision has it, one image of 224x224: `nn.MultiheadAttention`, tokens first."""

from __future__ import annotations

import numpy as np

from benchmarks.model_set.attention import scaled_dot_product
from benchmarks.model_set.graph import GraphBuilder

SIZE, HEADS, LAYERS, PATCH, IMAGE = 768, 12, 12, 16, 224
PATCHES = (IMAGE // PATCH) ** 2
TOKENS = PATCHES + 1
EPSILON = 1e-6


def vit_b16() -> GraphBuilder:
    """86.6 million parameters, 35 GFLOP."""
    g = GraphBuilder("vit_b16")
    x = g.normal_input("input", 1, 3, IMAGE, IMAGE)
    kernel = (PATCH, PATCH)
    x = g.conv(x, 3, SIZE, kernel, stride=PATCH, padding=0, gain=1.0, name="conv_proj")
    x = g.transpose(g.reshape(x, 1, SIZE, PATCHES), 0, 2, 1)
    with g.scope("encoder"):
        token = g.op(
            "Expand", g.weight("class_token", 1, 1, SIZE, std=1.0), g.constant([1, 1, 1], np.int64)
        )
        x = g.op("Concat", token, x, axis=1)
        x = g.op("Add", x, g.weight("pos_embedding", 1, TOKENS, SIZE, std=0.2))
    for layer in range(LAYERS):
        with g.scope(f"encoder.layers.encoder_layer_{layer}"):
            x = _layer(g, x)
    x = g.layer_norm(x, SIZE, EPSILON, "encoder.ln")
    x = g.op("Gather", x, g.constant(0, np.int64), axis=1)
    g.output(g.gemm(x, SIZE, 1000, name="heads.head"), "output")
    return g


def _layer(g: GraphBuilder, x: str) -> str:
    with g.scope("self_attention"):
        y = _attention(g, g.layer_norm(x, SIZE, EPSILON, "ln_1"))
    x = g.op("Add", y, x)
    y = g.layer_norm(x, SIZE, EPSILON, "ln_2")
    y = g.erf_gelu(g.linear(y, SIZE, 4 * SIZE, name="mlp.0"))
    return g.op("Add", x, g.linear(y, 4 * SIZE, SIZE, name="mlp.3"))


def _attention(g: GraphBuilder, x: str) -> str:
    """One product for query, key and value, which are then taken apart."""
    width = SIZE // HEADS
    x = g.linear(g.transpose(x, 1, 0, 2), SIZE, 3 * SIZE, name="in_proj")
    x = g.op("Unsqueeze", g.reshape(x, TOKENS, 1, 3, SIZE), g.constant([0], np.int64))
    x = g.op("Squeeze", g.transpose(x, 3, 1, 2, 0, 4), g.constant([3], np.int64))
    parts = [_part(g, x, index, width) for index in range(3)]
    y = scaled_dot_product(g, *parts, width)
    y = g.reshape(g.transpose(y, 2, 0, 1, 3), TOKENS, SIZE)
    y = g.reshape(g.gemm(y, SIZE, SIZE, name="out_proj"), TOKENS, 1, SIZE)
    return g.transpose(y, 1, 0, 2)


def _part(g: GraphBuilder, x: str, index: int, width: int) -> str:
    part = g.op("Gather", x, g.constant(index, np.int64), axis=0)
    part = g.transpose(g.reshape(part, TOKENS, HEADS, width), 1, 0, 2)
    return g.reshape(part, 1, HEADS, TOKENS, width)
