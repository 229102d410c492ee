"""Locations: which ONNX node an operation comes from, carried from stage to stage.

loc("conv1"(fused<{domain = "", op_type = "Conv", opset = 13}>["model.py":10:0]))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from xdsl.dialects.builtin import (
    ArrayAttr,
    DictionaryAttr,
    FileLineColLoc,
    FusedLoc,
    IntAttr,
    IntegerAttr,
    LocationAttr,
    NameLoc,
    StringAttr,
    UnknownLoc,
    i64,
)

from runtime.errors import Place


@dataclass(frozen=True)
class Node:
    """What a location says of its ONNX node; ``sources`` are (file, line) pairs, outermost last."""

    name: str = ""
    op_type: str = ""
    domain: str = ""
    opset: int = 0
    sources: tuple[tuple[str, int], ...] = ()


def node_location(
    name: str, op_type: str, domain: str, opset: int, sources: Sequence[tuple[str, int]] = ()
) -> LocationAttr:
    """The location of an ONNX node."""
    lines = [FileLineColLoc(StringAttr(f), IntAttr(n), IntAttr(0)) for f, n in sources]
    return NameLoc(
        StringAttr(name),
        FusedLoc(ArrayAttr(lines or [UnknownLoc()]), _metadata(op_type, domain, opset)),
    )


@lru_cache(maxsize=1024)
def _metadata(op_type: str, domain: str, opset: int) -> DictionaryAttr:
    return DictionaryAttr(
        {
            "domain": StringAttr(domain),
            "op_type": StringAttr(op_type),
            "opset": IntegerAttr(opset, i64),
        }
    )


def parts_of(location: FusedLoc) -> list[LocationAttr]:
    """The locations that a fused one is made of."""
    return list(cast("ArrayAttr[LocationAttr]", location.locations))


def node_of(location: LocationAttr) -> Node:
    """The ONNX node of a location; of a fused location, the last one's that names a node."""
    if isinstance(location, FusedLoc):
        nodes = [node_of(part) for part in parts_of(location)]
        return next((node for node in reversed(nodes) if node.name or node.op_type), Node())
    if not isinstance(location, NameLoc):
        return Node()
    fused = location.location
    if not isinstance(fused, FusedLoc) or not isinstance(fused.metadata, DictionaryAttr):
        return Node(location.desc.data)
    data = fused.metadata.data
    sources = tuple(
        (part.filename.data, part.line.data)
        for part in parts_of(fused)
        if isinstance(part, FileLineColLoc)
    )
    return Node(
        location.desc.data,
        data["op_type"].data,
        data["domain"].data,
        data["opset"].value.data,
        sources,
    )


def node_names(location: LocationAttr) -> list[str]:
    """The names of all nodes of a location, in order."""
    parts = parts_of(location) if isinstance(location, FusedLoc) else [location]
    return [name for part in parts if (name := node_of(part).name)]


def place_of(location: LocationAttr, stage: str) -> Place:
    """The place of an error about the operation with this location."""
    node = node_of(location)
    return Place(node.name, node.op_type, node.domain, node.opset or None, stage)


def fuse_locations(locations: Sequence[LocationAttr]) -> LocationAttr:
    """One location that names all nodes of several, in order, each once."""
    parts: dict[LocationAttr, None] = {}
    for location in locations:
        nested = parts_of(location) if isinstance(location, FusedLoc) else [location]
        parts.update(dict.fromkeys(part for part in nested if not isinstance(part, UnknownLoc)))
    if len(parts) == 1:
        return next(iter(parts))
    return FusedLoc(ArrayAttr(list(parts)), DictionaryAttr({})) if parts else UnknownLoc()
