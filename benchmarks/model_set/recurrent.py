"""`nn.LSTM(256, 256, num_layers=2)` and `nn.GRU` of the same size, 64 steps, one sequence."""

from __future__ import annotations

import numpy as np

from benchmarks.model_set.graph import GraphBuilder

SIZE, STEPS, LAYERS = 256, 64, 2


def lstm() -> GraphBuilder:
    """1.05 million parameters."""
    g = GraphBuilder("lstm")
    _layers(g, "LSTM", 4, {})
    return g


def gru() -> GraphBuilder:
    """0.79 million parameters."""
    g = GraphBuilder("gru")
    _layers(g, "GRU", 3, {"linear_before_reset": 1})
    return g


def _layers(g: GraphBuilder, kind: str, gates: int, attributes: dict[str, int]) -> None:
    states = ["h_n", "c_n"] if kind == "LSTM" else ["h_n"]
    x = g.normal_input("input", STEPS, 1, SIZE)
    last: list[list[str]] = []
    for layer in range(LAYERS):
        weights = [
            g.weight(f"weight_{part}_l{layer}", 1, gates * SIZE, SIZE, std=SIZE**-0.5)
            for part in ("ih", "hh")
        ]
        bias = g.weight(f"bias_l{layer}", 1, 2 * gates * SIZE, std=0.05)
        start = [g.constant(np.zeros((1, 1, SIZE))) for _ in states]
        inputs = [x, *weights, bias, "", *start]
        results = g.ops(kind, 1 + len(states), *inputs, hidden_size=SIZE, **attributes)
        x = g.op("Squeeze", results[0], g.constant([1], np.int64))
        last.append(results[1:])
    g.output(x, "output")
    for name, parts in zip(states, zip(*last, strict=True), strict=True):
        g.output(g.op("Concat", *parts, axis=0), name)
