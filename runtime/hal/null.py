"""The ``null`` driver: checks everything a run checks and computes nothing. Outputs are zeros.

It loads programs for any target, and shows what calls cost without the work in them. Sizes come
from the manifest's expressions; one that only the data tell is 0.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence

import numpy as np

from runtime.executable import DataDependent, Executable
from runtime.hal.driver import DeviceInfo, Driver
from runtime.hal.host import HostDevice
from runtime.plan import Plan, Planner
from runtime.program import Program


class NullExecutable(Executable):
    """A program whose code is not even loaded."""

    def __init__(self, program: Program) -> None:
        super().__init__(program, Planner(program))

    def invoke(
        self, plan: Plan, inputs: Sequence[int], outputs: Sequence[int]
    ) -> DataDependent | None:
        for address, (_, _, nbytes) in zip(outputs, plan.outputs, strict=True):
            if nbytes:
                ctypes.memset(address, 0, nbytes)
        if not plan.unknown:
            return None
        return [(index, _nothing(*plan.outputs[index][:2])) for index in plan.unknown]


def _nothing(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    return np.zeros([max(size, 0) for size in shape], dtype)


class NullDevice(HostDevice):
    """Host memory without a processor."""

    def __init__(self) -> None:
        super().__init__("null")

    def load(self, program: Program) -> NullExecutable:
        return NullExecutable(program)


class NullDriver(Driver):
    """One device without options."""

    name = "null"

    def __init__(self) -> None:
        self._device = NullDevice()

    def enumerate(self) -> list[DeviceInfo]:
        return [DeviceInfo("null", "checks and computes nothing")]

    def open(self, ordinal: str, options: Mapping[str, str]) -> NullDevice:
        self._refuse_ordinal(ordinal)
        self._refuse_unknown(options, ())
        return self._device
