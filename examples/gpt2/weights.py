"""Where GPT-2's parameters come from: seeded random numbers, a safetensors file, an ONNX file.

Every source is read one parameter at a time, as ``source.read(name, shape)`` with Hugging Face's
names (``h.0.attn.c_attn.weight``), and gives a little-endian contiguous float32 array.
"""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import external_data_helper, numpy_helper

Array = np.ndarray
Shape = tuple[int, ...]

PREFIXES = ("transformer.", "model.", "module.")


class WeightsError(ValueError):
    """A weights file is damaged or lacks a parameter of the wanted shape."""


class Weights(Protocol):
    """A source of parameters; ``description`` goes into the model's metadata."""

    @property
    def description(self) -> str: ...

    def read(self, name: str, shape: Shape) -> Array:
        """The parameter ``name`` as float32 of ``shape``. Raises WeightsError."""
        ...


@dataclass
class RandomWeights:
    """GPT-2's initial distribution: deviation 0.02, less for what adds to the residual stream.

    Biases and LayerNorm's gains, which GPT-2 starts at exactly 0 and 1, get the same noise, so
    that a compiler that mixes them up is found out. A parameter depends on ``seed``, ``layers``,
    its name and its shape alone.
    """

    seed: int
    layers: int

    @property
    def description(self) -> str:
        return f"random, seed {self.seed}"

    def read(self, name: str, shape: Shape) -> Array:
        rng = np.random.default_rng([self.seed, zlib.crc32(name.encode())])
        values = rng.standard_normal(shape, dtype=np.float32)
        residual = ".c_proj." in name
        values *= np.float32(0.02 / math.sqrt(2 * self.layers) if residual else 0.02)
        if ".ln_" in f".{name}" and name.endswith(".weight"):
            values += np.float32(1)
        return values


class SafetensorsWeights:
    """A ``.safetensors`` file: an 8-byte header length, a JSON header, the tensors' bytes."""

    DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}

    def __init__(self, path: Path) -> None:
        self.path = path
        self.description = f"from {path.name}"
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = file.read(min(length, path.stat().st_size))
        try:
            self.entries = {
                strip_prefix(name): (entry["dtype"], tuple(entry["shape"]), *entry["data_offsets"])
                for name, entry in json.loads(header).items()
                if name != "__metadata__"
            }
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise WeightsError(f"{path}: no valid safetensors header: {error}") from error
        self.start = 8 + length

    def read(self, name: str, shape: Shape) -> Array:
        if name not in self.entries:
            raise WeightsError(f"{self.path} has no parameter {name}")
        dtype, found, begin, end = self.entries[name]
        check_shape(self.path, name, found, shape)
        if dtype not in self.DTYPES:
            raise WeightsError(f"{self.path}: {name} has the data type {dtype}, not a float's")
        stored = np.dtype(self.DTYPES[dtype])
        values = np.fromfile(self.path, stored, math.prod(shape), offset=self.start + begin)
        if not values.nbytes == end - begin == math.prod(shape) * stored.itemsize:
            raise WeightsError(f"{self.path}: the data of {name} are cut short")
        if dtype == "BF16":
            # The upper half of a float32 is the bfloat16 of the same value.
            values = (values.astype("<u4") << 16).view("<f4")
        return values.astype("<f4", copy=False).reshape(shape)


class OnnxWeights:
    """The initializers of another ONNX file of GPT-2, with or without external data.

    A parameter is found by its name. Exporters rename some; those are found by their shape, in
    the order in which the nodes first use them, which in every export is the order of the forward
    pass. ``shapes`` lists the wanted parameters in that order.
    """

    def __init__(self, path: Path, shapes: dict[str, Shape]) -> None:
        self.path = path
        self.description = f"from {path.name}"
        try:
            graph = onnx.load(path, load_external_data=False).graph
        except DecodeError as error:
            raise WeightsError(f"{path} is not an ONNX file: {error}") from error
        tensors = {tensor.name: tensor for tensor in graph.initializer}
        named = {strip_prefix(name): tensor for name, tensor in tensors.items()}
        self.tensors = {name: named[name] for name in shapes if name in named}

        taken = {tensor.name for tensor in self.tensors.values()}
        used = dict.fromkeys(name for node in graph.node for name in node.input)
        unnamed = [tensors[name] for name in used if name in tensors and name not in taken]
        missing = [name for name in shapes if name not in self.tensors]
        for shape in {shapes[name] for name in missing}:
            names = [name for name in missing if shapes[name] == shape]
            found = [tensor for tensor in unnamed if tuple(tensor.dims) == shape]
            if len(names) != len(found):
                raise WeightsError(
                    f"{path}: {len(found)} unknown initializers have the shape {list(shape)}, "
                    f"and {len(names)} parameters need one: {', '.join(names[:3])} ..."
                )
            self.tensors |= zip(names, found, strict=True)

    def read(self, name: str, shape: Shape) -> Array:
        tensor = self.tensors[name]
        check_shape(self.path, name, tuple(tensor.dims), shape)
        loaded = onnx.TensorProto()
        loaded.CopyFrom(tensor)
        if external_data_helper.uses_external_data(tensor):
            try:
                external_data_helper.load_external_data_for_tensor(loaded, str(self.path.parent))
            except onnx.checker.ValidationError as error:
                raise WeightsError(f"{self.path}: {error}") from error
        return np.ascontiguousarray(numpy_helper.to_array(loaded), "<f4")


def strip_prefix(name: str) -> str:
    """``transformer.h.0.ln_1.bias`` to ``h.0.ln_1.bias``: names differ by the wrapping module."""
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


def check_shape(path: Path, name: str, found: Shape, wanted: Shape) -> None:
    """Raise WeightsError unless the shape in the file is the one the options ask for."""
    if found != wanted:
        raise WeightsError(
            f"{path}: {name} has shape {list(found)}, the options ask for {list(wanted)}"
        )


def open_weights(path: Path, shapes: dict[str, Shape]) -> Weights:
    """The source for a file, by its suffix. Raises WeightsError."""
    if not path.is_file():
        raise WeightsError(f"no file {path}")
    if path.suffix == ".safetensors":
        return SafetensorsWeights(path)
    if path.suffix == ".onnx":
        return OnnxWeights(path, shapes)
    raise WeightsError(f"{path}: expected a .safetensors or an .onnx file")
