"""All models by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.model_set import (
    bert,
    efficientnet,
    gpt2,
    micro,
    mobilenet,
    quantized,
    recurrent,
    resnet,
    small,
    t5,
    unet,
    vgg,
    vit,
    whisper,
    yolo,
)
from benchmarks.model_set.folder import write_graph
from benchmarks.model_set.graph import GraphBuilder

FLOAT: dict[str, Callable[[], GraphBuilder]] = {
    "resnet50": resnet.resnet50,
    "mobilenet_v2": mobilenet.mobilenet_v2,
    "efficientnet_b0": efficientnet.efficientnet_b0,
    "vgg16": vgg.vgg16,
    "unet": unet.unet,
    "yolov8n": yolo.yolov8n,
    "bert_base": bert.bert_base,
    "vit_b16": vit.vit_b16,
    "gpt2_prefill": gpt2.gpt2_prefill,
    "gpt2_decode": gpt2.gpt2_decode,
    "t5_small_encoder": t5.t5_small_encoder,
    "whisper_tiny_encoder": whisper.whisper_tiny_encoder,
    "lstm": recurrent.lstm,
    "gru": recurrent.gru,
    "mlp": small.mlp,
    "pointwise": small.pointwise,
}
"""The float32 models."""

INT8: dict[str, Callable[[Path], None]] = {
    "bert_base_int8": quantized.write_bert,
    "resnet50_int8": quantized.write_resnet,
}
"""Models that onnxruntime makes of float32 ones; each is written into a folder."""


GROUPS: dict[str, tuple[str, ...]] = {
    "models": (*FLOAT, *INT8),
    "micro": tuple(micro.MICRO),
}
"""Names that stand for several models."""


def names_of(asked: Sequence[str]) -> list[str]:
    """The models that names of models and groups stand for; all of them without any.

    Raises ValueError for a name that is neither.
    """
    known = {**GROUPS, **{name: (name,) for group in GROUPS.values() for name in group}}
    if unknown := [name for name in asked if name not in known]:
        raise ValueError(f"no such model: {', '.join(unknown)}; there are {', '.join(known)}")
    return list(dict.fromkeys(name for each in asked or GROUPS for name in known[each]))


def write(name: str, place: Path) -> None:
    """Writes a model's folder."""
    if name in INT8:
        INT8[name](place)
    else:
        write_graph({**FLOAT, **micro.MICRO}[name](), place)
