"""VGG-16 as torchvision has it (without batch normalization), one image of 224x224."""

from __future__ import annotations

from benchmarks.model_set.graph import GraphBuilder

LAYERS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
"""Filters of the convolutions; 0 is a pooling."""


def vgg16() -> GraphBuilder:
    """138 million parameters, 31 GFLOP."""
    g = GraphBuilder("vgg16")
    x = g.normal_input("input", 1, 3, 224, 224)
    channels = 3
    for place, filters in enumerate(LAYERS):
        if filters:
            x = g.op("Relu", g.conv(x, channels, filters, (3, 3), name=f"features.{place}"))
            channels = filters
        else:
            x = g.op("MaxPool", x, ceil_mode=0, kernel_shape=[2, 2], strides=[2, 2])
    # What adaptive average pooling of 7x7 to 7x7 is exported as.
    x = g.op("AveragePool", x, kernel_shape=[1, 1], strides=[1, 1])
    x = g.op("Flatten", x, axis=1)
    x = g.op("Relu", g.gemm(x, 512 * 49, 4096, gain=2.0, name="classifier.0"))
    x = g.op("Relu", g.gemm(x, 4096, 4096, gain=2.0, name="classifier.3"))
    g.output(g.gemm(x, 4096, 1000, name="classifier.6"), "output")
    return g
