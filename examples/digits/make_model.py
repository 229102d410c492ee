"""Train the digit recogniser and write ``digits.onnx``, ``digit.npy`` and ``digits_test.npz``.

    python examples/digits/make_model.py [--folder examples/digits]

The data are scikit-learn's 1797 handwritten digits (8x8 grey images with values 0 to 16; a
part of the UCI data set "Optical Recognition of Handwritten Digits"), which the package carries:
nothing is downloaded. The same seed on the same machine gives the same bytes.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from network import Conv3x3, Flatten, Gemm, Layer, MaxPool2x2, Relu, predict, train
from onnx import TensorProto, helper, numpy_helper

SEED = 0
HELD_OUT = 360
EPOCHS = 30
OPSET = 17

Array = np.ndarray


@dataclass(frozen=True)
class Split:
    """Images ``float32 [n, 1, 8, 8]``, values 0 to 16, and labels ``int64 [n]``, in two parts."""

    train_images: Array
    train_labels: Array
    test_images: Array
    test_labels: Array

    @property
    def description(self) -> str:
        return (
            f"scikit-learn load_digits(), shuffled with numpy default_rng({SEED}): "
            f"{len(self.train_images)} images to train on, {len(self.test_images)} held out"
        )


def load_split(rng: np.random.Generator) -> Split:
    """The shuffled digits; the first ``HELD_OUT`` are never trained on."""
    from sklearn.datasets import load_digits

    data: Any = load_digits()
    order = rng.permutation(len(data.target))
    images = data.images.astype(np.float32)[order, None]
    labels = data.target.astype(np.int64)[order]
    return Split(images[HELD_OUT:], labels[HELD_OUT:], images[:HELD_OUT], labels[:HELD_OUT])


def make_layers(rng: np.random.Generator) -> list[Layer]:
    """The untrained network from scaled images ``[batch, 1, 8, 8]`` to logits ``[batch, 10]``."""
    return [
        Conv3x3.create(rng, 1, 16, padding=1),
        Relu(),
        Conv3x3.create(rng, 16, 32, padding=0),
        Relu(),
        MaxPool2x2(),
        Flatten(),
        Gemm.create(rng, 32 * 3 * 3, 64),
        Relu(),
        Gemm.create(rng, 64, 10),
    ]


def trained_layers(split: Split, rng: np.random.Generator) -> list[Layer]:
    """The network after training. One BLAS thread, so that the sums keep their order."""
    from threadpoolctl import threadpool_limits

    layers = make_layers(rng)
    with threadpool_limits(1):
        images = split.train_images / 16
        train(layers, images, split.train_labels, rng, epochs=EPOCHS, batch=64, rate=2e-3)
    return layers


NODE_DOCS = {
    "scale": "Grey values 0..16 to 0..1.",
    "conv1": "Strokes: 16 filters over the image, zero-padded.",
    "conv2": "Parts of digits: 32 filters over the strokes, not padded.",
    "pool": "The strongest answer of each 2x2 block.",
    "softmax": "Scores to probabilities.",
}


def make_nodes() -> list[onnx.NodeProto]:
    """The graph's nodes, from ``image`` to ``probabilities``."""

    def node(name: str, op_type: str, *operands: str, output: str = "", **attributes: Any):
        return helper.make_node(
            op_type,
            list(operands),
            [output or f"{name}_out"],
            name=name,
            doc_string=NODE_DOCS.get(name, ""),
            **attributes,
        )

    window: dict[str, Any] = {"kernel_shape": [3, 3], "strides": [1, 1]}
    return [
        node("scale", "Mul", "image", "scale.factor"),
        node(
            "conv1", "Conv", "scale_out", "conv1.weight", "conv1.bias", pads=[1, 1, 1, 1], **window
        ),
        node("relu1", "Relu", "conv1_out"),
        node("conv2", "Conv", "relu1_out", "conv2.weight", "conv2.bias", **window),
        node("relu2", "Relu", "conv2_out"),
        node("pool", "MaxPool", "relu2_out", kernel_shape=[2, 2], strides=[2, 2]),
        node("flatten", "Flatten", "pool_out", axis=1),
        node("hidden", "Gemm", "flatten_out", "hidden.weight", "hidden.bias", transB=1),
        node("relu3", "Relu", "hidden_out"),
        node("scores", "Gemm", "relu3_out", "scores.weight", "scores.bias", transB=1),
        node("softmax", "Softmax", "scores_out", output="probabilities", axis=1),
    ]


def make_model(layers: list[Layer], metadata: dict[str, str]) -> onnx.ModelProto:
    """The trained network as a checked ONNX model, with the scaling by 1/16 in front."""
    arrays = {"scale.factor": np.float32(1 / 16)}
    with_parameters = [layer for layer in layers if layer.parameters]
    for name, layer in zip(("conv1", "conv2", "hidden", "scores"), with_parameters, strict=True):
        arrays |= {f"{name}.{key}": value for key, value in layer.parameters.items()}
    image = helper.make_tensor_value_info(
        "image",
        TensorProto.FLOAT,
        ["batch", 1, 8, 8],
        "Grey images, 0 (paper) to 16 (ink).",
    )
    probabilities = helper.make_tensor_value_info(
        "probabilities", TensorProto.FLOAT, ["batch", 10], "How likely each digit 0..9 is."
    )
    graph = helper.make_graph(
        make_nodes(),
        "digits",
        [image],
        [probabilities],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
        doc_string="A convolutional network that recognises handwritten digits.",
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
        producer_name="onnx-terrace examples/digits/make_model.py",
        producer_version="1",
        doc_string="Handwritten digits, 8x8 pixels, ten classes.",
    )
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the digit recogniser and write it.")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    folder: Path = parser.parse_args().folder

    start = time.perf_counter()
    rng = np.random.default_rng(SEED)
    split = load_split(rng)
    layers = trained_layers(split, rng)
    hits = predict(layers, split.test_images / 16) == split.test_labels
    accuracy = f"{hits.mean():.4f} ({hits.sum()} of {len(hits)} held-out images)"
    metadata = {
        "data": split.description,
        "training": f"Adam, {EPOCHS} epochs, batches of 64, seed {SEED}",
        "test_accuracy": accuracy,
        "classes": "0 1 2 3 4 5 6 7 8 9",
    }
    onnx.save(make_model(layers, metadata), folder / "digits.onnx")
    np.save(folder / "digit.npy", split.test_images[:1])
    # numpy stamps the members of an archive with 1980-01-01, so these bytes repeat as well.
    np.savez_compressed(
        folder / "digits_test.npz", image=split.test_images, label=split.test_labels
    )
    size = (folder / "digits.onnx").stat().st_size
    print(f"data:          {split.description}")
    print(f"test accuracy: {accuracy}")
    print(f"wrote {folder / 'digits.onnx'} ({size / 1000:.0f} kB), digit.npy, digits_test.npz")
    print(f"in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
