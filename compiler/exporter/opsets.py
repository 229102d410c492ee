"""Which opset of each domain gives every operation the version it has in the IR."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx.defs
from xdsl.ir import Operation

from dialects.onnx.ops import Custom, OnnxOp, op_class, resolve
from runtime.errors import UnsupportedError


def choose_opsets(ops: Iterable[Operation], declared: Mapping[str, int]) -> dict[str, int]:
    """Opset versions by domain for these operations, the default domain written "".

    ``declared`` versions are kept where they fit. Raises UnsupportedError when no version of a
    domain has all the operations at once.
    """
    needed: dict[str, set[type[OnnxOp]]] = {}
    opsets = dict(declared)
    for op in ops:
        if isinstance(op, Custom):
            _custom(op, opsets, declared)
        elif isinstance(op, OnnxOp) and op.SCHEMA is not None:
            needed.setdefault(op.DOMAIN, set()).add(type(op))
    for domain, classes in needed.items():
        opsets[domain] = _opset(domain, classes, declared.get(domain))
    return opsets


def _custom(op: Custom, opsets: dict[str, int], declared: Mapping[str, int]) -> None:
    domain, version = op.domain.data, op.since.value.data
    if domain in onnx.defs.C.schema_version_map() and domain in declared:
        return
    if opsets.setdefault(domain, version) != version:
        raise UnsupportedError(
            f"the module has operations of '{domain}' from opset {opsets[domain]} and from "
            f"{version}; a model can import only one"
        )


def _opset(domain: str, classes: set[type[OnnxOp]], declared: int | None) -> int:
    if declared is not None and all(
        resolve(domain, made.OP_TYPE, declared) is made for made in classes
    ):
        return declared
    newest = onnx.defs.C.schema_version_map()[domain][1]
    oldest = max(made.SINCE for made in classes)
    for version in range(oldest, newest + 1):
        if all(op_class(domain, made.OP_TYPE, version) is made for made in classes):
            return version
    raise UnsupportedError(
        f"no opset of '{domain or 'ai.onnx'}' has all the operator versions of this module: "
        f"{_conflict(domain, classes, oldest)}"
    )


def _conflict(domain: str, classes: set[type[OnnxOp]], oldest: int) -> str:
    newest = min(made.name for made in classes if oldest == made.SINCE)
    others = (m for m in classes if op_class(domain, m.OP_TYPE, oldest) is not m)
    replaced = ", ".join(sorted(made.name for made in others))
    return f"opset {oldest}, the first with {newest}, replaces {replaced}"
