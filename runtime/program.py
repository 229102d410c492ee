"""The program: what a compiler hands to the runtime, in memory and as a ``.terrace`` file.

A file is trusted like any other executable: its object code runs with the rights of the process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from runtime import safetensors
from runtime.errors import InvalidModelError
from runtime.manifest import Manifest, Message, Target, TensorSpec, parse_manifest

_OBJECT = "object/"
_CONSTANT = "constant/"
EAGER_BYTES = 64 * 1024 * 1024
"""Files up to this size have all checksums compared on loading, which runs at 2 GB/s."""


class Program:
    """A compiled model, not bound to a device.

    Args:
        manifest: the JSON value described in docs/architecture.md.
        objects: object code by name.
        constants: the arrays named in ``manifest["constants"]``. Those that do not lie on a 64-byte
            boundary are copied when the program is loaded on a device;
            ``runtime.memory.aligned_empty`` makes such that do.

    Raises:
        InvalidModelError: the manifest is malformed or does not fit the constants.
    """

    def __init__(
        self,
        manifest: dict[str, Any],
        objects: Mapping[str, bytes],
        constants: Mapping[str, np.ndarray],
    ) -> None:
        self.manifest = manifest
        self.objects = dict(objects)
        self.constants = dict(constants)
        self.signature: Manifest = parse_manifest(manifest)
        if missing := set(self.signature.constants) ^ self.constants.keys():
            names = ", ".join(sorted(missing))
            raise InvalidModelError(f"manifest and constants differ about {names}")

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self.signature.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self.signature.outputs

    @property
    def target(self) -> Target:
        return self.signature.target

    @property
    def messages(self) -> tuple[Message, ...]:
        return self.signature.messages

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the model says about itself: producer, graph name, version, custom entries."""
        return MappingProxyType(dict(self.signature.metadata))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the program file, replacing what is at ``path``; a failure leaves that untouched.

        Raises:
            UnsupportedError: a constant's element type has no place in the file format
                (complex128).
            OSError: the folder cannot be written to.
        """
        tensors = {_OBJECT + k: np.frombuffer(v, np.uint8) for k, v in self.objects.items()}
        tensors.update((_CONSTANT + k, v) for k, v in self.constants.items())
        metadata = {"format": "terrace", "manifest": json.dumps(self.manifest)}
        selected = {_CONSTANT + name for name in self.signature.selected}
        safetensors.write(Path(path), tensors, metadata, selected)

    @staticmethod
    def load(path: str | os.PathLike[str], verify: bool | None = None) -> Program:
        """Maps the program file at ``path``; constants are read-only views of it.

        Header and object code are always compared with their checksums; the constants if ``verify``
        is True, or None and the file is small enough (``EAGER_BYTES``) for it not to be felt.

        Raises:
            InvalidModelError: no program file, damaged, or of another version; the message names
                the file.
            OSError: the file cannot be opened.
        """
        path = Path(path)
        if verify is None:
            verify = path.stat().st_size <= EAGER_BYTES
        metadata, tensors = safetensors.read(path, unchecked="" if verify else _CONSTANT)
        objects: dict[str, bytes] = {}
        constants: dict[str, np.ndarray] = {}
        for name, tensor in tensors.items():
            if name.startswith(_OBJECT):
                objects[name.removeprefix(_OBJECT)] = tensor.tobytes()
            elif name.startswith(_CONSTANT):
                constants[name.removeprefix(_CONSTANT)] = tensor
            else:
                raise InvalidModelError(f"{path}: not a program file: it holds tensor '{name}'")
        try:
            return Program(_decode(metadata), objects, constants)
        except InvalidModelError as error:
            raise InvalidModelError(f"{path}: {error.message}") from error


def _decode(metadata: Mapping[str, str]) -> Any:
    if "manifest" not in metadata:
        raise InvalidModelError("not a program file: it has no manifest")
    try:
        return json.loads(metadata["manifest"])
    except (ValueError, RecursionError) as error:
        raise InvalidModelError(f"the manifest is not JSON: {error}") from error
