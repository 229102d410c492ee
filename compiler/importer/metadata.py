"""What a model says about itself, as attributes: opset imports, names, metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import onnx
import onnx.defs
from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, IntegerAttr, StringAttr, i64
from xdsl.ir import Attribute

from compiler.importer.names import plain_domain, text
from dialects.onnx.types import unknown
from runtime.errors import InvalidModelError, UnsupportedError


def checked_opsets(proto: onnx.ModelProto) -> dict[str, int]:
    """The model's opset versions by domain, the default domain written "".

    Raises UnsupportedError for an IR version or opset newer than the installed onnx knows.
    """
    if proto.ir_version > onnx.IR_VERSION:
        raise UnsupportedError(
            f"the model has IR version {proto.ir_version}, onnx {onnx.__version__} knows "
            f"{onnx.IR_VERSION}",
            hint="install a newer onnx",
        )
    if proto.ir_version < 1:
        raise InvalidModelError(f"the model has IR version {proto.ir_version}")
    opsets = opset_imports(proto.opset_import)
    if not opsets and proto.ir_version < 3:
        return {"": 1}
    if not opsets:
        raise InvalidModelError("the model imports no opset")
    return opsets


def opset_imports(imports: Iterable[onnx.OperatorSetIdProto]) -> dict[str, int]:
    """Opset versions by domain. Raises InvalidModelError for contradictions."""
    known = onnx.defs.C.schema_version_map()
    opsets: dict[str, int] = {}
    for entry in imports:
        domain, version = plain_domain(text(entry.domain)), entry.version
        if version < 1 or opsets.setdefault(domain, version) != version:
            raise InvalidModelError(f"bad opset import {version} of '{domain or 'ai.onnx'}'")
        if domain in known and version > known[domain][1]:
            raise UnsupportedError(
                f"the model imports opset {version} of '{domain or 'ai.onnx'}', onnx "
                f"{onnx.__version__} knows {known[domain][1]}",
                hint="install a newer onnx",
            )
    return opsets


def opset_attribute(opsets: Mapping[str, int]) -> DictionaryAttr:
    """Opset versions by domain, the default one written `ai.onnx`."""
    return DictionaryAttr(
        {domain or "ai.onnx": IntegerAttr(v, i64) for domain, v in opsets.items()}
    )


def string_dictionary(entries: Mapping[str, str]) -> DictionaryAttr:
    """A dictionary of strings."""
    return DictionaryAttr({key: StringAttr(value) for key, value in entries.items()})


def custom_metadata(props: Iterable[onnx.StringStringEntryProto]) -> DictionaryAttr:
    """Entries of a `metadata_props` field."""
    return string_dictionary({text(entry.key): text(entry.value) for entry in props})


def names_attribute(
    names: Sequence[str], declared: Sequence[Attribute] = ()
) -> ArrayAttr[DictionaryAttr]:
    """`onnx.name` (and `onnx.declared_type`, where known) of each argument or result."""
    entries: list[dict[str, Attribute]] = [{"onnx.name": StringAttr(name)} for name in names]
    for entry, kind in zip(entries, declared, strict=False):
        if kind != unknown:
            entry["onnx.declared_type"] = kind
    return ArrayAttr(map(DictionaryAttr, entries))


def model_metadata(proto: onnx.ModelProto) -> DictionaryAttr:
    """Producer, names and documentation of a model, those that are there."""
    fields: dict[str, Attribute] = {}
    for name, value in (
        ("producer_name", proto.producer_name),
        ("producer_version", proto.producer_version),
        ("domain", proto.domain),
        ("doc_string", proto.doc_string),
        ("graph_name", proto.graph.name),
        ("graph_doc_string", proto.graph.doc_string),
    ):
        if value:
            fields[name] = StringAttr(text(value))
    if proto.model_version:
        fields["model_version"] = IntegerAttr(proto.model_version, i64)
    if proto.metadata_props:
        fields["custom"] = custom_metadata(proto.metadata_props)
    return DictionaryAttr(fields)
