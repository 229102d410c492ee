"""`terrace doctor`: what this machine and installation offer, and whether they work."""

from __future__ import annotations

import platform
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from compiler.cli.printing import byte_text
from compiler.driver import compile
from compiler.object_cache import ObjectCache
from compiler.target import Target
from compiler.version import PRODUCER
from runtime.cpus import available_cpus, default_threads
from runtime.errors import TerraceError

PACKAGES = ("xdsl", "onnx", "numpy", "llvmlite", "numba", "ml_dtypes", "onnxruntime")
TOOLS = ("mlir-opt-22", "mlir-translate-22")

_SHOWN_FEATURES = ("avx", "fma", "f16c", "amx", "neon", "sve", "bf16", "dotprod", "i8mm", "v")

DEVICE = 4

SELF_TEST = """
<ir_version: 10, opset_import: ["" : 21]>
terrace_self_test (float[512, 1024] x) => (float[512, 1024] y) { y = Tanh(x) }
"""
"""Large enough to be shared out to threads."""


def run(options: Namespace) -> int:
    """Runs the command."""
    del options
    print("\n".join([*_versions(), *_machine(), *_installation()]))
    failure = _self_test()
    print(f"threads     {'work' if not failure else f'FAIL: {failure}'}")
    return DEVICE if failure else 0


def _versions() -> Iterator[str]:
    yield f"terrace     {PRODUCER}, Python {platform.python_version()} at {sys.executable}"
    for name in PACKAGES:
        try:
            yield f"{name:11s} {version(name)}"
        except PackageNotFoundError:
            yield f"{name:11s} not installed"


def _machine() -> Iterator[str]:
    target = Target.host()
    features = [f[1:] for f in target.features.split(",") if f.startswith("+")]
    shown = [f for f in features if f.startswith(_SHOWN_FEATURES)]
    yield f"cpu         {target.cpu} ({target.triple})"
    yield f"vectors     {target.vector_registers} of {target.vector_bits} bits: {' '.join(shown)}"
    caches = (target.l1_bytes, target.l2_bytes, target.l3_bytes)
    yield f"caches      {', '.join(map(byte_text, caches))}"
    yield f"cores       {available_cpus()} for this process, {default_threads()} threads by default"


def _installation() -> Iterator[str]:
    cache = ObjectCache.default()
    if cache.directory is None:
        yield "cache       switched off"
    else:
        entries, size = cache.size()
        limit = byte_text(cache.limit_bytes)
        yield f"cache       {cache.directory}: {entries} entries, {byte_text(size)} of {limit}"
    for name in TOOLS:
        yield f"{name:11s} {shutil.which(name) or 'not found (Debian package mlir-22-tools)'}"


def _self_test() -> str:
    """Compiles and runs a kernel on all threads; gives what went wrong, or nothing."""
    import onnx

    x = np.linspace(-4, 4, 512 * 1024, dtype=np.float32).reshape(512, 1024)
    try:
        network = compile(onnx.parser.parse_model(SELF_TEST))
        worst = max(float(np.abs(network(x) - np.tanh(x)).max()) for _ in range(100))
    except TerraceError as error:
        return str(error)
    return "" if worst < 1e-5 else f"results differ by {worst}"
