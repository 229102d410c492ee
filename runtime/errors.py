"""The error tree of Terrace: what went wrong, where, and what to do about it.

This module is a leaf with no imports beyond the standard library; every package may import it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where in a model, and at which stage, an error belongs.

    Any field may be empty. ``opset`` is the version the model declares for ``domain``.
    """

    node: str = ""
    op_type: str = ""
    domain: str = ""
    opset: int | None = None
    stage: str = ""

    def __str__(self) -> str:
        parts: list[str] = []
        if self.op_type:
            domain = self.domain or "ai.onnx"
            opset = f" opset {self.opset}" if self.opset is not None else ""
            name = f" '{self.node}'" if self.node else ""
            parts.append(f"node{name} ({domain}.{self.op_type}{opset})")
        elif self.node:
            parts.append(f"'{self.node}'")
        if self.stage:
            parts.append(f"at stage {self.stage}")
        return " ".join(parts)


class TerraceError(Exception):
    """Base of all errors that Terrace raises on purpose.

    ``place`` names the node and stage, ``hint`` a way out; both are part of the message.
    """

    exit_code = 1

    def __init__(self, message: str, place: Place | None = None, hint: str = "") -> None:
        self.message = message
        self.place = place or Place()
        self.hint = hint
        where = str(self.place)
        text = f"{where}: {message}" if where else message
        super().__init__(f"{text}\n  hint: {hint}" if hint else text)


class InvalidModelError(TerraceError, ValueError):
    """The model, IR text or program file is malformed or contradicts itself."""


class UnsupportedError(TerraceError, NotImplementedError):
    """The model is valid but asks for something that is not implemented."""


class InputError(TerraceError, ValueError):
    """A run got inputs that do not fit the model's signature, or data that an operator forbids."""


class DeviceError(TerraceError, RuntimeError):
    """A device is absent, out of memory, or failed."""

    exit_code = 4


class InternalError(TerraceError, RuntimeError):
    """An invariant of the compiler itself is broken: a bug in Terrace."""

    exit_code = 70
