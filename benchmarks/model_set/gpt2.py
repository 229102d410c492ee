"""GPT-2 (124M) with its key/value cache as inputs and outputs, as exported for decoding."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np

from benchmarks.model_set.attention import join_heads, scaled_dot_product, split_heads
from benchmarks.model_set.graph import GraphBuilder

SIZE, HEADS, LAYERS, VOCABULARY, CONTEXT = 768, 12, 12, 50257, 1024
WIDTH = SIZE // HEADS
EPSILON = 1e-5


def gpt2_prefill() -> GraphBuilder:
    """128 tokens, nothing before them: 32 GFLOP."""
    return _gpt2("gpt2_prefill", 128, 0)


def gpt2_decode() -> GraphBuilder:
    """One token behind 127: reads 0.5 GB of weights."""
    return _gpt2("gpt2_decode", 1, 127)


def _gpt2(name: str, tokens: int, past: int) -> GraphBuilder:
    g = GraphBuilder(name)
    ids = g.token_input("input_ids", VOCABULARY, 1, tokens)
    total = past + tokens
    mask = _mask(g, g.input("attention_mask", np.ones((1, total), np.int64)), tokens, total)
    places = g.input("position_ids", np.arange(past, total)[None])
    caches = [_cache(g, layer, past) for layer in range(LAYERS)]
    words = g.weight("wte.weight", VOCABULARY, SIZE, std=0.3)
    x = g.op("Gather", words, ids)
    x = g.op("Add", x, g.op("Gather", g.weight("wpe.weight", CONTEXT, SIZE, std=0.1), places))
    for layer, cache in enumerate(caches):
        with g.scope(f"h.{layer}"):
            x = _block(g, x, cache, mask, tokens, layer)
    x = g.layer_norm(x, SIZE, EPSILON, "ln_f")
    # The exporter folds the transposition of the shared weight into one of its own.
    transposed = np.ascontiguousarray(g.weights[words].T) * np.float32(0.1)
    logits = g.op("MatMul", x, g.initializer("lm_head.weight", transposed))
    g.output(logits, "logits", first=True)
    return g


def _cache(g: GraphBuilder, layer: int, past: int) -> list[str]:
    """The keys and values of the tokens before; none if there are none."""
    if not past:
        return []
    names = (f"past_key_values.{layer}.{part}" for part in ("key", "value"))
    return [g.normal_input(name, 1, HEADS, past, WIDTH) for name in names]


def _mask(g: GraphBuilder, present: str, tokens: int, total: int) -> str:
    """What is added to the scores: the lowest float behind a token and where none is."""
    past = total - tokens
    causal = np.tri(tokens, total, past, dtype=np.bool_)[None, None]
    for axis in (1, 2):
        present = g.op("Unsqueeze", present, g.constant([axis], np.int64))
    visible = g.op("And", g.initializer("causal_mask", causal), g.op("Cast", present, to=9))
    return g.op("Where", visible, g.constant(0.0), g.constant(np.finfo(np.float32).min))


def _block(g: GraphBuilder, x: str, cache: list[str], mask: str, tokens: int, layer: int) -> str:
    with g.scope("attn"):
        y = _conv1d(g, g.layer_norm(x, SIZE, EPSILON, "ln_1"), tokens, SIZE, 3 * SIZE, "c_attn")
        sizes = g.constant([SIZE] * 3, np.int64)
        parts = g.ops("Split", 3, y, sizes, axis=2)
        query, key, value = (split_heads(g, part, tokens, HEADS, WIDTH) for part in parts)
        if cache:
            key = g.op("Concat", cache[0], key, axis=-2)
            value = g.op("Concat", cache[1], value, axis=-2)
        names = [f"present.{layer}.{part}" for part in ("key", "value")]
        for made, name in zip((key, value), names, strict=True):
            g.output(made, name)
        y = scaled_dot_product(g, query, *names, WIDTH, mask)
        y = _conv1d(g, join_heads(g, y, tokens, SIZE), tokens, SIZE, SIZE, "c_proj")
    x = g.op("Add", y, x)
    with g.scope("mlp"):
        y = _conv1d(g, g.layer_norm(x, SIZE, EPSILON, "ln_2"), tokens, SIZE, 4 * SIZE, "c_fc")
        y = _conv1d(g, _gelu_new(g, y), tokens, 4 * SIZE, SIZE, "c_proj")
    return g.op("Add", x, y)


def _conv1d(g: GraphBuilder, x: str, tokens: int, inputs: int, outputs: int, name: str) -> str:
    """Hugging Face's `Conv1D`: a product of the flattened tokens with an [in, out] weight."""
    with g.scope(name):
        weight = g.weight("weight", inputs, outputs, std=sqrt(0.5 / inputs))
        bias = g.weight("bias", outputs, std=0.05)
        product = g.op("Gemm", g.reshape(x, -1, inputs), weight, bias)
        return g.reshape(product, 1, tokens, outputs)


def _gelu_new(g: GraphBuilder, x: str) -> str:
    """The approximation of GELU by tanh."""
    cubed = g.op("Mul", g.op("Pow", x, g.constant(3.0)), g.constant(0.044715))
    inner = g.op("Mul", g.op("Add", x, cubed), g.constant(sqrt(2 / pi)))
    factor = g.op("Add", g.op("Tanh", inner), g.constant(1.0))
    return g.op("Mul", g.op("Mul", x, g.constant(0.5)), factor)
