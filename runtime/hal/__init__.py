"""The hardware abstraction: what stands between a network and a machine.

driver          a family of devices (``cpu``, ``null``); finds and opens them
device          allocates buffers, loads programs, takes work; its URI is ``cpu:threads=1``
buffer          bytes on a device; a buffer view gives them a shape and a dtype
executable      a program loaded on a device (``runtime.executable``)
command buffer  a recorded, replayable sequence of dispatches, copies and fills
semaphore       a timeline of numbers that only grow; a fence is a set of points on timelines, and
                the only thing that orders submitted work
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from runtime.errors import DeviceError

if TYPE_CHECKING:
    from runtime.hal.device import Device
    from runtime.hal.driver import Driver

DRIVERS = {
    "cpu": "runtime.hal.cpu:CpuDriver",
    "null": "runtime.hal.null:NullDriver",
}
"""Driver name -> where its class is. Another package's driver may be added before it is opened."""

_opened: dict[str, Driver] = {}


def get_driver(name: str) -> Driver:
    """The driver called ``name``.

    Raises:
        DeviceError: there is none.
    """
    if name not in DRIVERS:
        raise DeviceError(f"there is no driver '{name}'", hint=f"there are {', '.join(DRIVERS)}")
    if name not in _opened:
        module, _, class_name = DRIVERS[name].partition(":")
        _opened.setdefault(name, getattr(importlib.import_module(module), class_name)())
    return _opened[name]


def open_device(uri: str = "cpu") -> Device:
    """The device at ``uri``: a driver's name, then after a colon and separated by commas the
    device's ordinal and options, ``cpu:threads=1``. The same device with the same options is the
    same object.

    Raises:
        DeviceError: no such driver, device or option.
    """
    name, _, rest = uri.partition(":")
    ordinal = ""
    options: dict[str, str] = {}
    for item in rest.split(",") if rest else ():
        key, equals, value = item.partition("=")
        if equals:
            options[key] = value
        else:
            ordinal = key
    return get_driver(name).open(ordinal, options)
