"""Drivers: families of devices."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from runtime.errors import DeviceError
from runtime.hal.device import Device


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A device that a driver found: what to open it with, and what it is in words."""

    uri: str
    description: str


class Driver(ABC):
    """A family of devices. ``name`` begins their URIs."""

    name: str

    @abstractmethod
    def enumerate(self) -> list[DeviceInfo]:
        """The devices there are; the first one is the default."""

    @abstractmethod
    def open(self, ordinal: str, options: Mapping[str, str]) -> Device:
        """The device with this ordinal, "" for the default; the same options give the same object.

        Raises:
            DeviceError: no such device or option.
        """

    def _refuse_unknown(self, options: Mapping[str, str], known: tuple[str, ...]) -> None:
        if unknown := [key for key in options if key not in known]:
            accepted = f"options are {', '.join(known)}" if known else "it has no options"
            raise DeviceError(f"driver '{self.name}' has no option '{unknown[0]}'", hint=accepted)

    def _refuse_ordinal(self, ordinal: str) -> None:
        if ordinal not in ("", "0"):
            raise DeviceError(f"driver '{self.name}' has one device, there is no '{ordinal}'")
