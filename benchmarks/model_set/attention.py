"""Attention, spelled out as exporters do."""

from __future__ import annotations

from math import sqrt

from benchmarks.model_set.graph import GraphBuilder


def split_heads(g: GraphBuilder, x: str, tokens: int, heads: int, width: int) -> str:
    """[1, tokens, heads * width] -> [1, heads, tokens, width]"""
    return g.transpose(g.reshape(x, 1, tokens, heads, width), 0, 2, 1, 3)


def join_heads(g: GraphBuilder, x: str, tokens: int, size: int) -> str:
    """[1, heads, tokens, width] -> [1, tokens, size]"""
    return g.reshape(g.transpose(x, 0, 2, 1, 3), 1, tokens, size)


def scaled_dot_product(
    g: GraphBuilder, query: str, key: str, value: str, width: int, mask: str = ""
) -> str:
    """`torch.nn.functional.scaled_dot_product_attention` of [1, heads, tokens, width].

    Both factors are scaled by the root of the scale; ``mask`` is added to the scores.
    """
    scale = 1 / sqrt(sqrt(width))
    query = g.op("Mul", query, g.constant(scale))
    key = g.op("Mul", g.transpose(key, 0, 1, 3, 2), g.constant(scale))
    scores = g.op("MatMul", query, key)
    if mask:
        scores = g.op("Add", scores, mask)
    return g.op("MatMul", g.op("Softmax", scores, axis=-1), value)
