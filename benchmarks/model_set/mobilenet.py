"""MobileNetV2 as torchvision has it, one image of 224x224."""

from __future__ import annotations

from benchmarks.model_set.graph import GraphBuilder

STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, filters, blocks, stride of the first block."""


def mobilenet_v2() -> GraphBuilder:
    """3.5 million parameters, 0.6 GFLOP."""
    g = GraphBuilder("mobilenet_v2")
    x = g.normal_input("input", 1, 3, 224, 224)
    x = _relu6(g, g.conv(x, 3, 32, (3, 3), stride=2, name="features.0"))
    channels, place = 32, 1
    for expansion, filters, blocks, first_stride in STAGES:
        for block in range(blocks):
            stride = 1 if block else first_stride
            with g.scope(f"features.{place}"):
                x = _inverted_residual(g, x, channels, filters, stride, expansion)
            channels, place = filters, place + 1
    x = _relu6(g, g.conv(x, channels, 1280, (1, 1), name=f"features.{place}"))
    x = g.op("Flatten", g.op("GlobalAveragePool", x), axis=1)
    g.output(g.gemm(x, 1280, 1000, name="classifier.1"), "output")
    return g


def _inverted_residual(
    g: GraphBuilder, x: str, channels: int, filters: int, stride: int, expansion: int
) -> str:
    residual = stride == 1 and channels == filters
    hidden, y = expansion * channels, x
    if expansion > 1:
        y = _relu6(g, g.conv(y, channels, hidden, (1, 1), name="conv.0"))
    y = _relu6(g, g.conv(y, hidden, hidden, (3, 3), stride=stride, group=hidden, name="conv.1"))
    y = g.conv(y, hidden, filters, (1, 1), gain=0.5 if residual else 2.0, name="conv.2")
    return g.op("Add", x, y) if residual else y


def _relu6(g: GraphBuilder, x: str) -> str:
    return g.op("Clip", x, g.constant(0.0), g.constant(6.0))
