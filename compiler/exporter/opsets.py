"""Which opset of each domain a model imports: one under which all its operations can be written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import onnx.defs
from xdsl.ir import Operation

from compiler.exporter.upgrades import upgrades
from dialects.onnx.ops import Custom, OnnxOp, op_class, resolve
from runtime.errors import UnsupportedError


def choose_opsets(
    ops: Iterable[Operation], declared: Mapping[str, int], lenient: bool = False
) -> dict[str, int]:
    """Opset versions by domain for these operations, the default domain written "".

    The ``declared`` version where all operations have the versions that it gives them, else the
    smallest such one, else the smallest under which they can be written as newer versions. With
    ``lenient`` operators may at last be newer than the declared version, as in a model that came
    in so. Raises UnsupportedError when no version will do.
    """
    needed: dict[str, list[OnnxOp]] = {}
    opsets = dict(declared)
    for op in ops:
        if isinstance(op, Custom):
            _custom(op, opsets, declared)
        elif isinstance(op, OnnxOp) and op.SCHEMA is not None:
            needed.setdefault(op.DOMAIN, []).append(op)
    for domain, found in needed.items():
        opsets[domain] = _opset(domain, found, declared.get(domain), lenient)
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


def _opset(domain: str, ops: Sequence[OnnxOp], declared: int | None, lenient: bool) -> int:
    newest = onnx.defs.C.schema_version_map()[domain][1]
    oldest = max(op.SINCE for op in ops)
    before = [] if declared is None else [declared]
    versions = [*before, *range(oldest, newest + 1)]
    writable = [version for version in versions if version >= oldest]
    attempts: list[tuple[Callable[[OnnxOp, int], bool], list[int]]] = [
        (_current, versions),
        (lambda op, version: upgrades(op, version) is not None, writable),
        (_as_imported, before if lenient else []),
    ]
    for fits, candidates in attempts:
        for version in candidates:
            if all(fits(op, version) for op in ops):
                return version
    raise UnsupportedError(
        f"no opset of '{domain or 'ai.onnx'}' has all the operator versions of this module: "
        f"{_conflict(ops, oldest)}"
    )


def _current(op: OnnxOp, version: int) -> bool:
    return op_class(op.DOMAIN, op.OP_TYPE, version) is type(op)


def _as_imported(op: OnnxOp, version: int) -> bool:
    return resolve(op.DOMAIN, op.OP_TYPE, version) is type(op)


def _conflict(ops: Sequence[OnnxOp], oldest: int) -> str:
    newest = min(op.name for op in ops if oldest == op.SINCE)
    replaced = ", ".join(sorted({op.name for op in ops if upgrades(op, oldest) is None}))
    return f"opset {oldest}, the first with {newest}, changes the meaning of {replaced}"
