"""What ONNX Runtime tells of a model: inputs, outputs and metadata, in its words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runtime.manifest import TensorSpec
from runtime.network import Network

_ONNX_NAMES = {"float32": "float", "float64": "double", "object": "string", "str": "string"}
_SYMBOL = re.compile(r"[A-Za-z_]\w*")
_FUNCTIONS = ("max", "min")

Shape = list["int | str | None"]

UNVERSIONED = 2**63 - 1
"""What ONNX Runtime gives as the version of a model that has none."""


@dataclass(frozen=True)
class NodeArg:
    """An input or output: its type as `tensor(float)`; a size is a number, a name, or None.

    ``shape`` is empty for a scalar, and for a tensor of unknown rank too.
    """

    name: str
    type: str
    shape: Shape


@dataclass(frozen=True)
class ModelMetadata:
    """What a model says about itself."""

    producer_name: str = ""
    graph_name: str = ""
    domain: str = ""
    description: str = ""
    graph_description: str = ""
    version: int = UNVERSIONED
    custom_metadata_map: dict[str, str] = field(default_factory=dict)


def type_name(dtype: str) -> str:
    """ONNX's name of a tensor type, from a numpy dtype's name."""
    return f"tensor({_ONNX_NAMES.get(dtype, dtype)})"


def arguments_of(specs: Iterable[TensorSpec], network: Network) -> list[NodeArg]:
    """Inputs or outputs of a network, with the sizes' names in the model."""
    names = network.program.manifest.get("dim_params", {})
    return [
        NodeArg(spec.name, type_name(spec.dtype), [named_size(dim, names) for dim in spec.shape])
        for spec in specs
    ]


def named_size(dim: int | str | None, names: Mapping[str, str]) -> int | str | None:
    """A size in the model's words; None when it rests on a size that the model leaves unnamed.

    ``names`` says which symbols have another name in the model, "" for none.
    """
    if not isinstance(dim, str):
        return dim
    symbols = set(_SYMBOL.findall(dim)) - set(_FUNCTIONS)
    if not all(names.get(symbol, symbol) for symbol in symbols):
        return None
    return _SYMBOL.sub(lambda match: names.get(match.group(), match.group()), dim)


def metadata_of(entries: Mapping[str, Any]) -> ModelMetadata:
    """Metadata from a manifest's."""
    return ModelMetadata(
        producer_name=entries.get("producer_name", ""),
        graph_name=entries.get("graph_name", ""),
        domain=entries.get("domain", ""),
        description=entries.get("description", ""),
        graph_description=entries.get("graph_description", ""),
        version=entries.get("version", UNVERSIONED),
        custom_metadata_map=dict(entries.get("custom", {})),
    )
