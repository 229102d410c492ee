"""U-Net for segmentation of an image of 256x256, with 32 filters in its first level."""

from __future__ import annotations

from math import sqrt

from benchmarks.model_set.graph import GraphBuilder

FILTERS = 32
LEVELS = 4


def unet() -> GraphBuilder:
    """7.8 million parameters, 27 GFLOP."""
    g = GraphBuilder("unet")
    x = g.normal_input("input", 1, 3, 256, 256)
    channels, skipped = 3, []
    for level in range(LEVELS):
        filters = FILTERS << level
        x = _double(g, x, channels, filters, f"encoder{level + 1}")
        skipped.append(x)
        x = g.op("MaxPool", x, ceil_mode=0, kernel_shape=[2, 2], strides=[2, 2])
        channels = filters
    x = _double(g, x, channels, FILTERS << LEVELS, "bottleneck")
    for level in reversed(range(LEVELS)):
        filters = FILTERS << level
        x = _upsample(g, x, filters, f"upconv{level + 1}")
        x = g.op("Concat", x, skipped[level], axis=1)
        x = _double(g, x, 2 * filters, filters, f"decoder{level + 1}")
    x = g.conv(x, FILTERS, 1, (1, 1), gain=1.0, name="conv")
    g.output(g.op("Sigmoid", x), "output")
    return g


def _double(g: GraphBuilder, x: str, channels: int, filters: int, name: str) -> str:
    with g.scope(name):
        x = g.op("Relu", g.conv(x, channels, filters, (3, 3), name="conv1"))
        return g.op("Relu", g.conv(x, filters, filters, (3, 3), name="conv2"))


def _upsample(g: GraphBuilder, x: str, filters: int, name: str) -> str:
    """Each input meets one weight of each filter: windows do not overlap."""
    with g.scope(name):
        weight = g.weight("weight", 2 * filters, filters, 2, 2, std=sqrt(1 / filters))
        return g.op(
            "ConvTranspose",
            x,
            weight,
            g.weight("bias", filters, std=0.05),
            dilations=[1, 1],
            group=1,
            kernel_shape=[2, 2],
            pads=[0, 0, 0, 0],
            strides=[2, 2],
        )
