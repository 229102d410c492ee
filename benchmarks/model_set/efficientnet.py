"""EfficientNet-B0 as torchvision has it, one image of 224x224."""

from __future__ import annotations

from benchmarks.model_set.graph import GraphBuilder

STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
"""Expansion, kernel, stride of the first block, filters, blocks."""

SILU_GAIN = 2.2
"""What makes up for the variance that SiLU takes."""


def efficientnet_b0() -> GraphBuilder:
    """5.3 million parameters, 0.8 GFLOP."""
    g = GraphBuilder("efficientnet_b0")
    x = g.normal_input("input", 1, 3, 224, 224)
    x = g.silu(g.conv(x, 3, 32, (3, 3), stride=2, name="features.0"))
    channels = 32
    for stage, (expansion, kernel, first_stride, filters, blocks) in enumerate(STAGES, 1):
        for block in range(blocks):
            stride = 1 if block else first_stride
            with g.scope(f"features.{stage}.{block}"):
                x = _block(g, x, channels, filters, kernel, stride, expansion)
            channels = filters
    x = g.silu(g.conv(x, channels, 1280, (1, 1), gain=SILU_GAIN, name="features.8"))
    x = g.op("Flatten", g.op("GlobalAveragePool", x), axis=1)
    g.output(g.gemm(x, 1280, 1000, name="classifier.1"), "output")
    return g


def _block(
    g: GraphBuilder,
    x: str,
    channels: int,
    filters: int,
    kernel: int,
    stride: int,
    expansion: int,
) -> str:
    """Expand, depthwise, squeeze and excite, project."""
    residual = stride == 1 and channels == filters
    hidden, y = expansion * channels, x
    if expansion > 1:
        y = g.silu(g.conv(y, channels, hidden, (1, 1), gain=SILU_GAIN, name="expand"))
    y = g.conv(
        y,
        hidden,
        hidden,
        (kernel, kernel),
        stride=stride,
        group=hidden,
        gain=SILU_GAIN,
        name="depthwise",
    )
    y = _squeeze_excite(g, g.silu(y), hidden, channels // 4)
    # The excitation halves what passes.
    y = g.conv(y, hidden, filters, (1, 1), gain=0.5 if residual else 4.0, name="project")
    return g.op("Add", y, x) if residual else y


def _squeeze_excite(g: GraphBuilder, x: str, channels: int, squeezed: int) -> str:
    with g.scope("se"):
        scale = g.op("GlobalAveragePool", x)
        scale = g.silu(g.conv(scale, channels, squeezed, (1, 1), gain=SILU_GAIN, name="fc1"))
        scale = g.conv(scale, squeezed, channels, (1, 1), gain=SILU_GAIN, name="fc2")
        return g.op("Mul", g.op("Sigmoid", scale), x)
