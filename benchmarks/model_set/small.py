"""Two that measure overhead and memory: a perceptron, and a chain of pointwise operators."""

from __future__ import annotations

from benchmarks.model_set.graph import GraphBuilder


def mlp() -> GraphBuilder:
    """Three layers on one vector: 0.5 million parameters, each used once."""
    g = GraphBuilder("mlp")
    x = g.normal_input("input", 1, 784)
    x = g.op("Relu", g.gemm(x, 784, 512, gain=2.0, name="0"))
    x = g.op("Relu", g.gemm(x, 512, 256, gain=2.0, name="2"))
    g.output(g.gemm(x, 256, 10, name="4"), "output")
    return g


def pointwise() -> GraphBuilder:
    """8 operators over 4 million floats."""
    g = GraphBuilder("pointwise")
    x = g.normal_input("input", 2048, 2048)
    g.output(pointwise_chain(g, x), "output")
    return g


def pointwise_chain(g: GraphBuilder, x: str) -> str:
    """8 cheap operators in a row."""
    x = g.op("Add", g.op("Mul", x, g.constant(1.5)), g.constant(0.25))
    x = g.op("Sub", g.op("Relu", x), g.constant(0.5))
    x = g.op("Abs", g.op("Mul", x, g.constant(0.75)))
    return g.op("Neg", g.op("Max", x, g.constant(0.125)))
