"""The encoder of T5 small, 128 tokens: root mean square norms, relative position bias."""

from __future__ import annotations

from math import log

import numpy as np

from benchmarks.model_set.attention import join_heads, split_heads
from benchmarks.model_set.graph import GraphBuilder

TOKENS, SIZE, HEADS, LAYERS, HIDDEN, VOCABULARY = 128, 512, 8, 6, 2048, 32128
WIDTH = SIZE // HEADS
BUCKETS, FARTHEST = 32, 128


def t5_small_encoder() -> GraphBuilder:
    """35 million parameters, 5 GFLOP."""
    g = GraphBuilder("t5_small_encoder")
    ids = g.token_input("input_ids", VOCABULARY, 1, TOKENS)
    present = np.ones((1, TOKENS), np.int64)
    present[:, TOKENS - 8 :] = 0
    mask = _mask(g, g.input("attention_mask", present))
    x = g.op("Gather", g.weight("shared.weight", VOCABULARY, SIZE, std=1.0), ids)
    with g.scope("block.0.relative_attention"):
        bias = g.op("Add", _position_bias(g), mask)
    for layer in range(LAYERS):
        with g.scope(f"block.{layer}"):
            x = g.op("Add", x, _attention(g, _rms_norm(g, x, "layer.0.layer_norm"), bias))
            y = _rms_norm(g, x, "layer.1.layer_norm")
            y = g.op("Relu", g.linear(y, SIZE, HIDDEN, bias=False, name="layer.1.wi"))
            x = g.op("Add", x, g.linear(y, HIDDEN, SIZE, bias=False, name="layer.1.wo"))
    g.output(_rms_norm(g, x, "final_layer_norm"), "last_hidden_state")
    return g


def _mask(g: GraphBuilder, present: str) -> str:
    for axis in (1, 2):
        present = g.op("Unsqueeze", present, g.constant([axis], np.int64))
    absent = g.op("Sub", g.constant(1.0), g.op("Cast", present, to=1))
    return g.op("Mul", absent, g.constant(np.finfo(np.float32).min))


def _rms_norm(g: GraphBuilder, x: str, name: str) -> str:
    with g.scope(name):
        weight = g.weight("weight", SIZE, std=0.1, mean=1.0)
        square = g.op("ReduceMean", g.op("Pow", x, g.constant(2.0)), axes=[-1], keepdims=1)
        root = g.op("Sqrt", g.op("Add", square, g.constant(1e-6)))
        return g.op("Mul", weight, g.op("Mul", x, g.op("Div", g.constant(1.0), root)))


def _attention(g: GraphBuilder, x: str, bias: str) -> str:
    """T5 scales nothing: its weights are that much smaller."""
    with g.scope("layer.0.SelfAttention"):
        query, key, value = (
            g.linear(x, SIZE, SIZE, gain=gain, bias=False, name=name)
            for name, gain in (("q", 1 / WIDTH), ("k", 1.0), ("v", 1.0))
        )
        query = split_heads(g, query, TOKENS, HEADS, WIDTH)
        key = g.transpose(g.reshape(key, 1, TOKENS, HEADS, WIDTH), 0, 2, 3, 1)
        value = split_heads(g, value, TOKENS, HEADS, WIDTH)
        scores = g.op("Add", g.op("MatMul", query, key), bias)
        y = g.op("MatMul", g.op("Softmax", scores, axis=-1), value)
        return g.linear(join_heads(g, y, TOKENS, SIZE), SIZE, SIZE, bias=False, name="o")


def _position_bias(g: GraphBuilder) -> str:
    """A learned number for each head and distance: [1, heads, tokens, tokens].

    Distances below 8 have buckets of their own, farther ones share them, in each direction.
    """
    half, exact = BUCKETS // 2, BUCKETS // 4
    steps = g.op("Range", *(g.constant(value, np.int64) for value in (0, TOKENS, 1)))
    rows = g.op("Unsqueeze", steps, g.constant([1], np.int64))
    columns = g.op("Unsqueeze", steps, g.constant([0], np.int64))
    distance = g.op("Sub", columns, rows)
    after = g.op("Cast", g.op("Greater", distance, g.constant(0, np.int64)), to=7)
    after = g.op("Mul", after, g.constant(half, np.int64))
    distance = g.op("Abs", distance)
    near = g.op("Less", distance, g.constant(exact, np.int64))
    ratio = g.op("Div", g.op("Cast", distance, to=1), g.constant(exact))
    share = g.op("Div", g.op("Log", ratio), g.constant(log(FARTHEST / exact)))
    far = g.op("Cast", g.op("Mul", share, g.constant(half - exact)), to=7)
    far = g.op("Add", far, g.constant(exact, np.int64))
    far = g.op("Min", far, g.constant(half - 1, np.int64))
    bucket = g.op("Add", after, g.op("Where", near, distance, far))
    values = g.op("Gather", g.weight("bias.weight", BUCKETS, HEADS, std=1.0), bucket)
    return g.op("Unsqueeze", g.transpose(values, 2, 0, 1), g.constant([0], np.int64))
