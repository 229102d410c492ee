"""`conv`: 2-D convolutions of one image with constant weights, float32."""

from __future__ import annotations

from benchmarks import kernels
from benchmarks.kernels import Case
from benchmarks.model_set.micro import LAYERS, Layer
from benchmarks.options import Options
from benchmarks.results import Results


def case_of(layer: Layer) -> Case:
    """A layer as a case, called `7x7/2 3->64 @224`; `g32` says that it has groups."""
    name = f"{layer.kernel}x{layer.kernel}"
    name += f"/{layer.stride}" if layer.stride > 1 else ""
    name += f" {layer.channels}->{layer.filters} @{layer.size}"
    name += f" g{layer.group}" if layer.group > 1 else ""
    pad = layer.kernel // 2
    out = (layer.size + 2 * pad - layer.kernel) // layer.stride + 1
    weight = (layer.filters, layer.channels // layer.group, layer.kernel, layer.kernel)
    products = layer.filters * out * out * weight[1] * layer.kernel**2
    attributes = {"strides": [layer.stride] * 2, "pads": [pad] * 4, "group": layer.group}
    image, result = (1, layer.channels, layer.size, layer.size), (1, layer.filters, out, out)
    return Case(name, "Conv", image, weight, result, 2 * products, attributes)


def run(options: Options) -> Results:
    """Times every layer."""
    return kernels.run("conv", [case_of(layer) for layer in LAYERS], options)
