"""`matmul`: x[M, K] times a constant w[K, N], float32."""

from __future__ import annotations

from benchmarks import kernels
from benchmarks.kernels import Case
from benchmarks.options import Options
from benchmarks.results import Results

SHAPES = (
    (128, 768, 3072),
    (128, 3072, 768),
    (128, 768, 768),
    (1024, 1024, 1024),
    (512, 512, 512),
    (197, 768, 768),
    (64, 64, 64),
    (8, 768, 768),
    (1, 768, 3072),
    (1, 768, 50257),
)
"""M, K, N: BERT's and ViT's layers, squares, the single rows of decoding."""


def run(options: Options) -> Results:
    """Times every shape."""
    return kernels.run("matmul", [case_of(*shape) for shape in SHAPES], options)


def case_of(m: int, k: int, n: int) -> Case:
    """A product of these sizes, called `MxKxN`."""
    return Case(f"{m}x{k}x{n}", "MatMul", (m, k), (k, n), (m, n), 2 * m * k * n, {})
