"""`onnx` stage to `krnl` stage: dispatches become kernels, the main function the host program.

The rules stand by family: `pointwise`, `maps`, `contractions`, `movement`, `reductions`, ...; what
they may use is `kernel.Kernel`. `registry` says which kinds of rules there are.
"""

from passes.lower.onnx_to_krnl import (
    attention,
    checks,
    contractions,
    control,
    conv_transpose,
    einsum,
    fills,
    gathers,
    maps,
    movement,
    normalization,
    padding,
    pointwise,
    pooling,
    quantization,
    recurrent,
    reductions,
    regions,
    resize,
    sampling,
    scans,
    scatters,
    selections,
    slices,
    softmax,
    suppression,
    unique,
)
from passes.lower.onnx_to_krnl.lowering import OnnxToKrnl
from passes.lower.onnx_to_krnl.registry import is_lowered

__all__ = [
    "OnnxToKrnl",
    "attention",
    "checks",
    "contractions",
    "control",
    "conv_transpose",
    "einsum",
    "fills",
    "gathers",
    "is_lowered",
    "maps",
    "movement",
    "normalization",
    "padding",
    "pointwise",
    "pooling",
    "quantization",
    "recurrent",
    "reductions",
    "regions",
    "resize",
    "sampling",
    "scans",
    "scatters",
    "selections",
    "slices",
    "softmax",
    "suppression",
    "unique",
]
