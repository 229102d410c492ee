"""BERT base, uncased, 128 tokens, as exported from Hugging Face's eager attention."""

from __future__ import annotations

import numpy as np

from benchmarks.model_set.attention import join_heads, split_heads
from benchmarks.model_set.graph import GraphBuilder

TOKENS, SIZE, HEADS, LAYERS, VOCABULARY = 128, 768, 12, 12, 30522
EPSILON = 1e-12


def bert_base() -> GraphBuilder:
    """110 million parameters, 22 GFLOP."""
    g = GraphBuilder("bert_base")
    ids = g.token_input("input_ids", VOCABULARY, 1, TOKENS)
    present = np.ones((1, TOKENS), np.int64)
    present[:, TOKENS - 8 :] = 0
    mask = _extended_mask(g, g.input("attention_mask", present))
    types = g.input("token_type_ids", np.zeros((1, TOKENS), np.int64))
    with g.scope("embeddings"):
        x = _embeddings(g, ids, types)
    for layer in range(LAYERS):
        with g.scope(f"encoder.layer.{layer}"):
            x = _layer(g, x, mask)
    g.output(x, "last_hidden_state")
    first = g.op("Gather", "last_hidden_state", g.constant(0, np.int64), axis=1)
    g.output(g.op("Tanh", g.gemm(first, SIZE, SIZE, name="pooler.dense")), "pooler_output")
    return g


def _extended_mask(g: GraphBuilder, present: str) -> str:
    """0 where there is a token, the lowest float where there is none: [1, 1, 1, tokens]."""
    for axis in (1, 2):
        present = g.op("Unsqueeze", present, g.constant([axis], np.int64))
    absent = g.op("Sub", g.constant(1.0), g.op("Cast", present, to=1))
    return g.op("Mul", absent, g.constant(np.finfo(np.float32).min))


def _embeddings(g: GraphBuilder, ids: str, types: str) -> str:
    words = g.weight("word_embeddings.weight", VOCABULARY, SIZE, std=1.0)
    kinds = g.weight("token_type_embeddings.weight", 2, SIZE, std=0.2)
    positions = g.weight("position_embeddings.weight", 512, SIZE, std=0.2)
    places = g.constant(np.arange(TOKENS)[None], np.int64)
    x = g.op("Add", g.op("Gather", words, ids), g.op("Gather", kinds, types))
    x = g.op("Add", x, g.op("Gather", positions, places))
    return g.layer_norm(x, SIZE, EPSILON, "LayerNorm")


def _layer(g: GraphBuilder, x: str, mask: str) -> str:
    with g.scope("attention.self"):
        y = _attention(g, x, mask)
    y = g.linear(y, SIZE, SIZE, name="attention.output.dense")
    x = g.layer_norm(g.op("Add", y, x), SIZE, EPSILON, "attention.output.LayerNorm")
    y = g.erf_gelu(g.linear(x, SIZE, 4 * SIZE, name="intermediate.dense"))
    y = g.linear(y, 4 * SIZE, SIZE, gain=2.0, name="output.dense")
    return g.layer_norm(g.op("Add", y, x), SIZE, EPSILON, "output.LayerNorm")


def _attention(g: GraphBuilder, x: str, mask: str) -> str:
    width = SIZE // HEADS
    query = g.linear(x, SIZE, SIZE, name="query")
    key = g.linear(x, SIZE, SIZE, name="key")
    value = g.linear(x, SIZE, SIZE, name="value")
    key = g.transpose(g.reshape(key, 1, TOKENS, HEADS, width), 0, 2, 3, 1)
    value = split_heads(g, value, TOKENS, HEADS, width)
    query = split_heads(g, query, TOKENS, HEADS, width)
    scores = g.op("Div", g.op("MatMul", query, key), g.constant(width**0.5))
    weights = g.op("Softmax", g.op("Add", scores, mask), axis=-1)
    return join_heads(g, g.op("MatMul", weights, value), TOKENS, SIZE)
