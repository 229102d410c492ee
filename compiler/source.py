"""What a user may give as a model: a path, bytes, a `ModelProto`, or a module's text."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from runtime.errors import InputError, InvalidModelError

if TYPE_CHECKING:
    import onnx

Model: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | onnx.ModelProto"


@dataclass(frozen=True)
class Source:
    """A model that is not read yet.

    Exactly one of ``path``, ``data`` (a serialized model), ``text`` (a module of any stage) and
    ``proto`` is set. ``label`` names it in messages.
    """

    label: str
    path: Path | None = None
    data: bytes | None = None
    text: str | None = None
    proto: onnx.ModelProto | None = None

    @staticmethod
    def of(model: Model) -> Source:
        """A source from what the user gave. Raises InputError for what cannot be a model."""
        if isinstance(model, str | os.PathLike):
            path = Path(model)
            if path.suffix == ".terrace":
                raise InputError(f"{path} is compiled already", hint="runtime.load loads it")
            if path.suffix == ".mlir":
                return Source(str(path), text=_read_text(path))
            return Source(str(path), path=path)
        if isinstance(model, bytes | bytearray | memoryview):
            return Source("model", data=bytes(model))
        if type(model).__name__ == "ModelProto":
            return Source("model", proto=model)
        raise InputError(
            f"a {type(model).__name__} is no model",
            hint="give a path, bytes or an onnx.ModelProto",
        )


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InvalidModelError(f"{path}: there is no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidModelError(f"{path}: cannot be read: {error}") from error
