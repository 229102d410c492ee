"""The encoder of Whisper tiny: 30 s of sound as 3000 frames of 80 frequencies."""

from __future__ import annotations

from benchmarks.model_set.attention import join_heads, scaled_dot_product, split_heads
from benchmarks.model_set.graph import GraphBuilder

FRAMES, MELS, SIZE, HEADS, LAYERS = 3000, 80, 384, 6, 4
TOKENS = FRAMES // 2
WIDTH = SIZE // HEADS
EPSILON = 1e-5


def whisper_tiny_encoder() -> GraphBuilder:
    """8.2 million parameters, 37 GFLOP."""
    g = GraphBuilder("whisper_tiny_encoder")
    x = g.normal_input("input_features", 1, MELS, FRAMES)
    x = g.erf_gelu(g.conv(x, MELS, SIZE, (3,), gain=1.0, name="conv1"))
    x = g.erf_gelu(g.conv(x, SIZE, SIZE, (3,), stride=2, name="conv2"))
    x = g.transpose(x, 0, 2, 1)
    x = g.op("Add", x, g.weight("embed_positions.weight", TOKENS, SIZE, std=0.5))
    for layer in range(LAYERS):
        with g.scope(f"layers.{layer}"):
            x = _layer(g, x)
    g.output(g.layer_norm(x, SIZE, EPSILON, "layer_norm"), "last_hidden_state")
    return g


def _layer(g: GraphBuilder, x: str) -> str:
    with g.scope("self_attn"):
        y = g.layer_norm(x, SIZE, EPSILON, "layer_norm")
        parts = (("q_proj", True), ("k_proj", False), ("v_proj", True))
        projected = (g.linear(y, SIZE, SIZE, bias=bias, name=name) for name, bias in parts)
        heads = [split_heads(g, part, TOKENS, HEADS, WIDTH) for part in projected]
        y = join_heads(g, scaled_dot_product(g, *heads, WIDTH), TOKENS, SIZE)
        x = g.op("Add", x, g.linear(y, SIZE, SIZE, name="out_proj"))
    y = g.layer_norm(x, SIZE, EPSILON, "final_layer_norm")
    y = g.erf_gelu(g.linear(y, SIZE, 4 * SIZE, name="fc1"))
    return g.op("Add", x, g.linear(y, 4 * SIZE, SIZE, name="fc2"))
