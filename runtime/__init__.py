"""The runtime: compiled programs come in, arrays go through them and out.

    net = runtime.load("model.terrace", device="cpu:threads=1")
    y = net(x)

It needs numpy and llvmlite and nothing of the compiler. Devices, buffers, command buffers and
timelines are in ``runtime.hal``. Names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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
    from runtime.hal import open_device
    from runtime.manifest import TensorSpec
    from runtime.network import Network, load
    from runtime.program import Program

__all__ = [
    "DeviceError",
    "InputError",
    "InternalError",
    "InvalidModelError",
    "Network",
    "Place",
    "Program",
    "TensorSpec",
    "TerraceError",
    "UnsupportedError",
    "load",
    "open_device",
]

_HOMES = {
    "Network": "runtime.network",
    "Program": "runtime.program",
    "TensorSpec": "runtime.manifest",
    "load": "runtime.network",
    "open_device": "runtime.hal",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'runtime' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
