"""`matmul`: x[M, K] times a constant w[K, N], float32."""

from __future__ import annotations

from benchmarks import kernels
from benchmarks.kernels import Case
from benchmarks.model_set.micro import PRODUCTS
from benchmarks.options import Options
from benchmarks.results import Results


def run(options: Options) -> Results:
    """Times every shape."""
    return kernels.run("matmul", [case_of(*shape) for shape in PRODUCTS], options)


def case_of(m: int, k: int, n: int) -> Case:
    """A product of these sizes, called `MxKxN`."""
    return Case(f"{m}x{k}x{n}", "MatMul", (m, k), (k, n), (m, n), 2 * m * k * n, {})
