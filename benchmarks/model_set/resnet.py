"""ResNet-50 as torchvision has it (stride in the 3x3 convolution), one image of 224x224."""

from __future__ import annotations

from benchmarks.model_set.graph import GraphBuilder

BLOCKS = (3, 4, 6, 3)
EXPANSION = 4


def resnet50() -> GraphBuilder:
    """25.6 million parameters, 8.2 GFLOP."""
    g = GraphBuilder("resnet50")
    x = g.normal_input("input", 1, 3, 224, 224)
    x = g.op("Relu", g.conv(x, 3, 64, (7, 7), stride=2, name="conv1"))
    x = g.op(
        "MaxPool",
        x,
        ceil_mode=0,
        dilations=[1, 1],
        kernel_shape=[3, 3],
        pads=[1, 1, 1, 1],
        strides=[2, 2],
    )
    channels = 64
    for layer, count in enumerate(BLOCKS):
        width = 64 << layer
        for block in range(count):
            stride = 2 if layer and not block else 1
            with g.scope(f"layer{layer + 1}.{block}"):
                x = _bottleneck(g, x, channels, width, stride)
            channels = EXPANSION * width
    x = g.op("Flatten", g.op("GlobalAveragePool", x), axis=1)
    g.output(g.gemm(x, channels, 1000, name="fc"), "output")
    return g


def _bottleneck(g: GraphBuilder, x: str, channels: int, width: int, stride: int) -> str:
    filters = EXPANSION * width
    y = g.op("Relu", g.conv(x, channels, width, (1, 1), name="conv1"))
    y = g.op("Relu", g.conv(y, width, width, (3, 3), stride=stride, name="conv2"))
    # The branch adds little to the variance, so that it does not double in every block.
    y = g.conv(y, width, filters, (1, 1), gain=0.2, name="conv3")
    if channels != filters:
        x = g.conv(x, channels, filters, (1, 1), stride=stride, gain=1.0, name="downsample")
    return g.op("Relu", g.op("Add", y, x))
