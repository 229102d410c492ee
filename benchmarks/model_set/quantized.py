"""Two int8 models: what onnxruntime's quantization makes of BERT and ResNet-50."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.model_set import bert, resnet
from benchmarks.model_set.folder import move_into_place, write_feed, write_graph
from benchmarks.model_set.graph import GraphBuilder

CALIBRATION_IMAGES = 4


def write_bert(place: Path) -> None:
    """BERT base with dynamically quantized products: `DynamicQuantizeLinear`, `MatMulInteger`."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def quantize(source: Path, target: Path, graph: GraphBuilder) -> None:
        del graph
        quantize_dynamic(source, target, weight_type=QuantType.QInt8, use_external_data_format=True)

    _write("bert_base_int8", bert.bert_base(), quantize, place)


def write_resnet(place: Path) -> None:
    """ResNet-50 between `QuantizeLinear` and `DequantizeLinear`, weights by channel."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    def quantize(source: Path, target: Path, graph: GraphBuilder) -> None:
        quantize_static(
            source,
            target,
            _Images(graph),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            use_external_data_format=True,
        )

    _write("resnet50_int8", resnet.resnet50(), quantize, place)


class _Images:
    """Calibration data, as onnxruntime asks for it: one feed after the other, then None."""

    def __init__(self, graph: GraphBuilder) -> None:
        ((name, first),) = graph.feed.items()
        images = [
            first,
            *(
                graph.rng.standard_normal(first.shape, np.float32)
                for _ in range(CALIBRATION_IMAGES - 1)
            ),
        ]
        self._feeds = iter([{name: image} for image in images])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next feed."""
        return next(self._feeds, None)


def _write(
    name: str,
    graph: GraphBuilder,
    quantize: Callable[[Path, Path, GraphBuilder], None],
    place: Path,
) -> None:
    """Writes the float32 model to a temporary place and what becomes of it to ``place``."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=place.parent) as temporary:
        write_graph(graph, Path(temporary, "float"))
        partial = Path(temporary, "model")
        partial.mkdir()
        quantize(Path(temporary, "float", "model.onnx"), partial / "model.onnx", graph)
        write_feed(name, graph.feed, partial, _disagreement(partial / "model.onnx", graph.feed))
        move_into_place(partial, place)


def _disagreement(model: Path, feed: dict[str, np.ndarray]) -> float:
    """How far onnxruntime's results with and without optimizations differ, as part of the scale."""
    import onnxruntime

    results: list[Any] = []
    levels = onnxruntime.GraphOptimizationLevel
    for level in (levels.ORT_ENABLE_ALL, levels.ORT_DISABLE_ALL):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = level
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        results.append(session.run(None, feed))
    return max(
        float(np.abs(fast - plain).max() / np.abs(plain).max())
        for fast, plain in zip(*results, strict=True)
    )
