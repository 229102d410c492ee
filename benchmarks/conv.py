"""`conv`: 2-D convolutions of one image with constant weights, float32."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import kernels
from benchmarks.kernels import Case
from benchmarks.options import Options
from benchmarks.results import Results


@dataclass(frozen=True)
class Layer:
    """A square convolution with padding of half its kernel; ``size`` is its input's height."""

    channels: int
    filters: int
    size: int
    kernel: int
    stride: int = 1
    group: int = 1

    def case(self) -> Case:
        """The layer as a case, called `7x7/2 3->64 @224`; `g32` says that it has groups."""
        name = f"{self.kernel}x{self.kernel}"
        name += f"/{self.stride}" if self.stride > 1 else ""
        name += f" {self.channels}->{self.filters} @{self.size}"
        name += f" g{self.group}" if self.group > 1 else ""
        pad = self.kernel // 2
        out = (self.size + 2 * pad - self.kernel) // self.stride + 1
        weight = (self.filters, self.channels // self.group, self.kernel, self.kernel)
        products = self.filters * out * out * weight[1] * self.kernel**2
        attributes = {"strides": [self.stride] * 2, "pads": [pad] * 4, "group": self.group}
        image, result = (1, self.channels, self.size, self.size), (1, self.filters, out, out)
        return Case(name, "Conv", image, weight, result, 2 * products, attributes)


LAYERS = (
    Layer(3, 64, 224, 7, stride=2),
    Layer(64, 64, 56, 3),
    Layer(64, 256, 56, 1),
    Layer(256, 64, 56, 1),
    Layer(128, 128, 56, 3, stride=2),
    Layer(256, 256, 14, 3),
    Layer(512, 512, 7, 3),
    Layer(3, 32, 224, 3, stride=2),
    Layer(32, 32, 112, 3, group=32),
    Layer(96, 96, 112, 3, stride=2, group=96),
    Layer(240, 240, 28, 5, group=240),
    Layer(128, 128, 56, 3, group=32),
)
"""ResNet-50's, MobileNetV2's and EfficientNet's layers, and ResNeXt's groups."""


def run(options: Options) -> Results:
    """Times every layer."""
    return kernels.run("conv", [layer.case() for layer in LAYERS], options)
