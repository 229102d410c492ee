"""The ``cpu`` driver: native code on this machine's cores, ``threads`` of them in a run."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from runtime.cpus import available_cpus, default_threads, parse_threads
from runtime.executable import NativeExecutable
from runtime.hal.driver import DeviceInfo, Driver
from runtime.hal.host import HostDevice
from runtime.program import Program


class CpuDevice(HostDevice):
    """This machine, with up to ``threads`` threads per run, the caller's included."""

    def __init__(self, threads: int) -> None:
        super().__init__(f"cpu:threads={threads}")
        self.threads = threads

    def load(self, program: Program) -> NativeExecutable:
        return NativeExecutable(program, self.threads)


class CpuDriver(Driver):
    """One device for every number of threads."""

    name = "cpu"

    def __init__(self) -> None:
        self._devices: dict[int, CpuDevice] = {}

    def enumerate(self) -> list[DeviceInfo]:
        return [DeviceInfo("cpu", f"{platform.machine()}, {available_cpus()} CPUs available")]

    def open(self, ordinal: str, options: Mapping[str, str]) -> CpuDevice:
        self._refuse_ordinal(ordinal)
        self._refuse_unknown(options, ("threads",))
        text = options.get("threads")
        threads = default_threads() if text is None else parse_threads(text, "option 'threads'")
        return self._devices.setdefault(threads, CpuDevice(threads))
