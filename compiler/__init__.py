"""The driver: models come in, programs go out.

    session = compiler.InferenceSession("model.onnx")        # ONNX Runtime's constructor and run()
    net = compiler.compile("model.onnx", dims={"batch": 8})  # a runtime.Network
    low = compiler.lower("model.onnx", to="affine")          # low.module, low.as_text()

`importer` reads ONNX, `stages` says which passes take a model from one stage to the next,
`pipeline` runs them, `linking` and `codegen` make native code, `model_cache` finds a finished
program again. Names are imported when they are first used, so that a program that is in the cache
runs without xdsl and onnx.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from compiler.version import VERSION as __version__
from runtime.errors import (
    DeviceError,
    InputError,
    InternalError,
    InvalidModelError,
    Place,
    TerraceError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from compiler.driver import compile, lower
    from compiler.lowered import Lowered
    from compiler.pipeline import Pipeline
    from compiler.registry import register_pass
    from compiler.session import InferenceSession, RunOptions, SessionOptions
    from compiler.target import Target

__all__ = [
    "DeviceError",
    "InferenceSession",
    "InputError",
    "InternalError",
    "InvalidModelError",
    "Lowered",
    "Pipeline",
    "Place",
    "RunOptions",
    "SessionOptions",
    "Target",
    "TerraceError",
    "UnsupportedError",
    "__version__",
    "compile",
    "lower",
    "register_pass",
]

_HOMES = {
    "InferenceSession": "compiler.session",
    "Lowered": "compiler.lowered",
    "Pipeline": "compiler.pipeline",
    "RunOptions": "compiler.session",
    "SessionOptions": "compiler.session",
    "Target": "compiler.target",
    "compile": "compiler.driver",
    "lower": "compiler.driver",
    "register_pass": "compiler.registry",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'compiler' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
