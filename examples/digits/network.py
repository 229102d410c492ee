"""A small convolutional network and its training in plain numpy: forward, backward, Adam.

Images are float32 ``[batch, channels, height, width]``, as in ONNX. Every layer has ``forward(x)``
and ``backward(gradient)``; ``backward`` belongs to the last ``forward``, fills ``gradients``
and returns the gradient of the layer's input.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Array = np.ndarray


class Layer(Protocol):
    """One step of a network; ``parameters`` and ``gradients`` have the same keys and shapes."""

    parameters: dict[str, Array]
    gradients: dict[str, Array]

    def forward(self, x: Array) -> Array: ...

    def backward(self, gradient: Array) -> Array: ...


@dataclass
class Conv3x3:
    """3x3 convolution, stride 1, ``padding`` zeros on each side.

    Parameters: ``weight [out, in, 3, 3]`` and ``bias [out]``.
    """

    parameters: dict[str, Array]
    padding: int
    gradients: dict[str, Array] = field(default_factory=dict)

    @staticmethod
    def create(rng: np.random.Generator, inputs: int, outputs: int, padding: int) -> Conv3x3:
        return Conv3x3(he_parameters(rng, (outputs, inputs, 3, 3)), padding)

    def forward(self, x: Array) -> Array:
        pad = self.padding
        self.padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        windows = sliding_window_view(self.padded, (3, 3), axis=(2, 3))
        batch, _, height, width = windows.shape[:4]
        # One row per output pixel, one column per weight of a filter: convolution as a product.
        self.rows = windows.transpose(0, 2, 3, 1, 4, 5).reshape(batch * height * width, -1)
        weight, bias = self.parameters["weight"], self.parameters["bias"]
        y = self.rows @ weight.reshape(len(weight), -1).T + bias
        return y.reshape(batch, height, width, -1).transpose(0, 3, 1, 2)

    def backward(self, gradient: Array) -> Array:
        batch, outputs, height, width = gradient.shape
        weight = self.parameters["weight"]
        flat = gradient.transpose(0, 2, 3, 1).reshape(-1, outputs)
        self.gradients["weight"] = (flat.T @ self.rows).reshape(weight.shape)
        self.gradients["bias"] = flat.sum(axis=0)
        taps = (flat @ weight.reshape(outputs, -1)).reshape(batch, height, width, -1, 3, 3)
        padded = np.zeros_like(self.padded)
        for row in range(3):
            for column in range(3):
                tap = taps[..., row, column].transpose(0, 3, 1, 2)
                padded[:, :, row : row + height, column : column + width] += tap
        pad = self.padding
        return padded[:, :, pad : padded.shape[2] - pad, pad : padded.shape[3] - pad]


@dataclass
class Gemm:
    """``y = x @ weight.T + bias`` with ``weight [out, in]``, ONNX's Gemm with ``transB=1``."""

    parameters: dict[str, Array]
    gradients: dict[str, Array] = field(default_factory=dict)

    @staticmethod
    def create(rng: np.random.Generator, inputs: int, outputs: int) -> Gemm:
        return Gemm(he_parameters(rng, (outputs, inputs)))

    def forward(self, x: Array) -> Array:
        self.x = x
        return x @ self.parameters["weight"].T + self.parameters["bias"]

    def backward(self, gradient: Array) -> Array:
        self.gradients["weight"] = gradient.T @ self.x
        self.gradients["bias"] = gradient.sum(axis=0)
        return gradient @ self.parameters["weight"]


@dataclass
class Relu:
    """``max(x, 0)``."""

    parameters: dict[str, Array] = field(default_factory=dict)
    gradients: dict[str, Array] = field(default_factory=dict)

    def forward(self, x: Array) -> Array:
        self.positive = x > 0
        return x * self.positive

    def backward(self, gradient: Array) -> Array:
        return gradient * self.positive


@dataclass
class MaxPool2x2:
    """The greatest of each 2x2 block; height and width must be even.

    Among equal greatest values each gets the gradient. Behind a Relu such ties are almost always
    zeros, and the Relu stops their gradient.
    """

    parameters: dict[str, Array] = field(default_factory=dict)
    gradients: dict[str, Array] = field(default_factory=dict)

    def forward(self, x: Array) -> Array:
        batch, channels, height, width = x.shape
        blocks = x.reshape(batch, channels, height // 2, 2, width // 2, 2)
        greatest = blocks.max(axis=(3, 5), keepdims=True)
        self.chosen = blocks == greatest
        return greatest[:, :, :, 0, :, 0]

    def backward(self, gradient: Array) -> Array:
        blocks = self.chosen * gradient[:, :, :, None, :, None]
        batch, channels, rows, _, columns, _ = blocks.shape
        return blocks.reshape(batch, channels, 2 * rows, 2 * columns)


@dataclass
class Flatten:
    """``[batch, ...]`` to ``[batch, elements]``."""

    parameters: dict[str, Array] = field(default_factory=dict)
    gradients: dict[str, Array] = field(default_factory=dict)

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, gradient: Array) -> Array:
        return gradient.reshape(self.shape)


def he_parameters(rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Array]:
    """Weights with variance 2 / fan-in (He et al., arXiv:1502.01852) and zero biases."""
    scale = np.sqrt(2.0 / np.prod(shape[1:]))
    weight = (rng.standard_normal(shape) * scale).astype(np.float32)
    return {"weight": weight, "bias": np.zeros(shape[0], np.float32)}


@dataclass
class Adam:
    """Adam (Kingma and Ba, arXiv:1412.6980) over the parameters of ``layers``."""

    layers: list[Layer]
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    steps: int = 0
    moments: dict[tuple[int, str], tuple[Array, Array]] = field(default_factory=dict)

    def step(self, rate: float) -> None:
        """Move every parameter once, by its gradient and the learning rate ``rate``."""
        self.steps += 1
        rate *= np.sqrt(1 - self.beta2**self.steps) / (1 - self.beta1**self.steps)
        for index, layer in enumerate(self.layers):
            for name, parameter in layer.parameters.items():
                gradient = layer.gradients[name]
                zeros = np.zeros_like(parameter)
                first, second = self.moments.get((index, name), (zeros, zeros))
                first = self.beta1 * first + (1 - self.beta1) * gradient
                second = self.beta2 * second + (1 - self.beta2) * gradient**2
                self.moments[index, name] = first, second
                parameter -= rate * first / (np.sqrt(second) + self.epsilon)


def predict(layers: list[Layer], images: Array) -> Array:
    """The classes ``int64 [batch]`` that the network finds in ``images``."""
    x = images
    for layer in layers:
        x = layer.forward(x)
    return x.argmax(axis=1)


def cross_entropy_gradient(logits: Array, labels: Array) -> Array:
    """Gradient of the mean of ``-log softmax(logits)[label]`` with respect to ``logits``."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    gradient = shifted / shifted.sum(axis=1, keepdims=True)
    gradient[np.arange(len(labels)), labels] -= 1
    return gradient / len(labels)


def train(
    layers: list[Layer],
    images: Array,
    labels: Array,
    rng: np.random.Generator,
    *,
    epochs: int,
    batch: int,
    rate: float,
) -> None:
    """Train ``layers`` in place; the learning rate falls from ``rate`` to 0 along a half cosine."""
    optimizer = Adam(layers)
    total = epochs * -(-len(images) // batch)
    for _ in range(epochs):
        order = rng.permutation(len(images))
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            x = images[chosen]
            for layer in layers:
                x = layer.forward(x)
            gradient = cross_entropy_gradient(x, labels[chosen])
            for layer in reversed(layers):
                gradient = layer.backward(gradient)
            optimizer.step(rate * 0.5 * (1 + np.cos(np.pi * optimizer.steps / total)))
