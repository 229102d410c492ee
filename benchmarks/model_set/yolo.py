"""YOLOv8n, the detector, for one image of 640x640, with its decoding of boxes."""

from __future__ import annotations

import numpy as np

from benchmarks.model_set.graph import GraphBuilder

SIZE = 640
CLASSES = 80
BINS = 16
SILU_GAIN = 2.2


def yolov8n() -> GraphBuilder:
    """3.2 million parameters, 8.7 GFLOP."""
    g = GraphBuilder("yolov8n")
    x = g.normal_input("images", 1, 3, SIZE, SIZE)
    x = _conv(g, x, 3, 16, 3, 2, "model.0")
    x = _conv(g, x, 16, 32, 3, 2, "model.1")
    x = _c2f(g, x, 32, 32, 1, True, "model.2")
    x = _conv(g, x, 32, 64, 3, 2, "model.3")
    p3 = _c2f(g, x, 64, 64, 2, True, "model.4")
    x = _conv(g, p3, 64, 128, 3, 2, "model.5")
    p4 = _c2f(g, x, 128, 128, 2, True, "model.6")
    x = _conv(g, p4, 128, 256, 3, 2, "model.7")
    x = _c2f(g, x, 256, 256, 1, True, "model.8")
    p5 = _sppf(g, x, 256, "model.9")
    up4 = g.op("Concat", _upsample(g, p5), p4, axis=1)
    up4 = _c2f(g, up4, 384, 128, 1, False, "model.12")
    up3 = g.op("Concat", _upsample(g, up4), p3, axis=1)
    out3 = _c2f(g, up3, 192, 64, 1, False, "model.15")
    down4 = g.op("Concat", _conv(g, out3, 64, 64, 3, 2, "model.16"), up4, axis=1)
    out4 = _c2f(g, down4, 192, 128, 1, False, "model.18")
    down5 = g.op("Concat", _conv(g, out4, 128, 128, 3, 2, "model.19"), p5, axis=1)
    out5 = _c2f(g, down5, 384, 256, 1, False, "model.21")
    with g.scope("model.22"):
        g.output(_detect(g, [(out3, 64), (out4, 128), (out5, 256)]), "output0")
    return g


def _conv(
    g: GraphBuilder, x: str, channels: int, filters: int, kernel: int, stride: int, name: str
) -> str:
    kernels = (kernel, kernel)
    return g.silu(g.conv(x, channels, filters, kernels, stride=stride, gain=SILU_GAIN, name=name))


def _c2f(
    g: GraphBuilder, x: str, channels: int, filters: int, blocks: int, shortcut: bool, name: str
) -> str:
    """Two halves; one passes through bottlenecks, and everything is joined."""
    half = filters // 2
    with g.scope(name):
        x = _conv(g, x, channels, filters, 1, 1, "cv1")
        parts = g.ops("Split", 2, x, g.constant([half, half], np.int64), axis=1)
        for block in range(blocks):
            with g.scope(f"m.{block}"):
                y = _conv(g, parts[-1], half, half, 3, 1, "cv1")
                y = _conv(g, y, half, half, 3, 1, "cv2")
                parts.append(g.op("Add", parts[-1], y) if shortcut else y)
        x = g.op("Concat", *parts, axis=1)
        return _conv(g, x, (2 + blocks) * half, filters, 1, 1, "cv2")


def _sppf(g: GraphBuilder, x: str, channels: int, name: str) -> str:
    with g.scope(name):
        parts = [_conv(g, x, channels, channels // 2, 1, 1, "cv1")]
        for _ in range(3):
            pooled = g.op(
                "MaxPool",
                parts[-1],
                ceil_mode=0,
                dilations=[1, 1],
                kernel_shape=[5, 5],
                pads=[2, 2, 2, 2],
                strides=[1, 1],
            )
            parts.append(pooled)
        return _conv(g, g.op("Concat", *parts, axis=1), 2 * channels, channels, 1, 1, "cv2")


def _upsample(g: GraphBuilder, x: str) -> str:
    return g.op(
        "Resize",
        x,
        "",
        g.constant([1.0, 1.0, 2.0, 2.0]),
        coordinate_transformation_mode="asymmetric",
        cubic_coeff_a=-0.75,
        mode="nearest",
        nearest_mode="floor",
    )


def _detect(g: GraphBuilder, levels: list[tuple[str, int]]) -> str:
    """Boxes and class scores of all places: [1, 4 + classes, 8400]."""
    found = []
    for level, (x, channels) in enumerate(levels):
        boxes = _head(g, x, channels, 64, 4 * BINS, f"cv2.{level}")
        scores = _head(g, x, channels, CLASSES, CLASSES, f"cv3.{level}")
        found.append(g.reshape(g.op("Concat", boxes, scores, axis=1), 1, 4 * BINS + CLASSES, -1))
    joined = g.op("Concat", *found, axis=2)
    sizes = g.constant([4 * BINS, CLASSES], np.int64)
    boxes, scores = g.ops("Split", 2, joined, sizes, axis=1)
    anchors, strides = _anchors()
    distances = _distances(g, boxes, anchors.shape[-1])
    near, far = (_rows(g, distances, first) for first in (0, 2))
    centers = g.initializer("anchors", anchors)
    low, high = g.op("Sub", centers, near), g.op("Add", centers, far)
    middle = g.op("Div", g.op("Add", low, high), g.constant(2.0))
    boxes = g.op("Concat", middle, g.op("Sub", high, low), axis=1)
    boxes = g.op("Mul", boxes, g.initializer("strides", strides))
    return g.op("Concat", boxes, g.op("Sigmoid", scores), axis=1)


def _head(g: GraphBuilder, x: str, channels: int, hidden: int, filters: int, name: str) -> str:
    with g.scope(name):
        x = _conv(g, x, channels, hidden, 3, 1, "0")
        x = _conv(g, x, hidden, hidden, 3, 1, "1")
        return g.conv(x, hidden, filters, (1, 1), gain=SILU_GAIN, name="2")


def _distances(g: GraphBuilder, boxes: str, places: int) -> str:
    """The expected bin of each side of each box: a softmax, and a convolution with 0..15."""
    with g.scope("dfl"):
        x = g.transpose(g.reshape(boxes, 1, 4, BINS, places), 0, 2, 1, 3)
        x = g.op("Softmax", x, axis=1)
        bins = np.arange(BINS, dtype=np.float32).reshape(1, BINS, 1, 1)
        weight = g.initializer("conv.weight", bins)
        x = g.op(
            "Conv",
            x,
            weight,
            dilations=[1, 1],
            group=1,
            kernel_shape=[1, 1],
            pads=[0, 0, 0, 0],
            strides=[1, 1],
        )
        return g.reshape(x, 1, 4, places)


def _rows(g: GraphBuilder, x: str, first: int) -> str:
    bounds = [g.constant([value], np.int64) for value in (first, first + 2, 1)]
    return g.op("Slice", x, bounds[0], bounds[1], bounds[2], bounds[2])


def _anchors() -> tuple[np.ndarray, np.ndarray]:
    """Centers [1, 2, places] in cells, and the cells' sizes in pixels [1, places]."""
    centers, strides = [], []
    for stride in (8, 16, 32):
        steps = np.arange(SIZE // stride, dtype=np.float32) + 0.5
        y, x = np.meshgrid(steps, steps, indexing="ij")
        centers.append(np.stack([x.ravel(), y.ravel()]))
        strides.append(np.full(x.size, stride, np.float32))
    return np.concatenate(centers, 1)[None], np.concatenate(strides)[None]
