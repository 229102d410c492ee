"""Which opset of each domain gives every operation the version it has in the IR.

A new version of an operator often only allows more types; an operation may then be written as the
newer one. Two versions count as the same when the schemas agree in formals, attributes and
description.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import pairwise

import onnx.defs
from xdsl.ir import Operation

from dialects.onnx.ops import Custom, OnnxOp, op_class, resolve
from runtime.errors import UnsupportedError

_SAME_AS_BEFORE: dict[int, tuple[str, ...]] = {
    12: ("MaxPool", "ReduceMax", "ReduceMin"),
    13: (
        *("Abs", "ArgMax", "ArgMin", "Ceil", "Clip", "DepthToSpace", "Floor", "Gather"),
        *("GatherElements", "GatherND", "Gemm", "LRN", "Mod", "Pad", "ReduceL1", "ReduceL2"),
        *("ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin"),
        *("ReduceProd", "ReduceSumSquare", "Slice"),
    ),
    14: ("Add", "Div", "Mul", "Sub"),
    15: ("BatchNormalization",),
    22: ("MaxPool",),
}
"""Versions that only allow more types although their description was reworded."""

_Fits = Callable[[type[OnnxOp], int], bool]


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
    newest = onnx.defs.C.schema_version_map()[domain][1]
    oldest = max(made.SINCE for made in classes)
    later = range(oldest, newest + 1)
    before = [] if declared is None else [declared]
    attempts: list[tuple[_Fits, Iterable[int]]] = [
        (_as_imported, before),
        (_current, later),
        (_replaceable, (version for version in before if version >= oldest)),
        (_replaceable, later),
    ]
    for fits, versions in attempts:
        for version in versions:
            if all(fits(made, version) for made in classes):
                return version
    raise UnsupportedError(
        f"no opset of '{domain or 'ai.onnx'}' has all the operator versions of this module: "
        f"{_conflict(classes, oldest)}"
    )


def _as_imported(made: type[OnnxOp], version: int) -> bool:
    return resolve(made.DOMAIN, made.OP_TYPE, version) is made


def _current(made: type[OnnxOp], version: int) -> bool:
    return op_class(made.DOMAIN, made.OP_TYPE, version) is made


def _replaceable(made: type[OnnxOp], version: int) -> bool:
    """Whether the operator means the same in all its versions up to that opset's."""
    later = {op_class(made.DOMAIN, made.OP_TYPE, opset) for opset in range(made.SINCE, version + 1)}
    chain = sorted(filter(None, later), key=lambda entry: entry.SINCE)
    return all(_same(old, new) for old, new in pairwise(chain))


@cache
def _same(old: type[OnnxOp], new: type[OnnxOp]) -> bool:
    before, after = old.SCHEMA, new.SCHEMA
    assert before is not None and after is not None
    reworded = old.DOMAIN == "" and old.OP_TYPE in _SAME_AS_BEFORE.get(new.SINCE, ())
    same_text = before.doc == after.doc or reworded
    return same_text and not after.deprecated and _interface(before) == _interface(after)


def _interface(schema: onnx.defs.OpSchema) -> object:
    formals = ([(f.name, f.option) for f in side] for side in (schema.inputs, schema.outputs))
    attributes = {
        name: (attribute.type, attribute.required, attribute.default_value.SerializeToString())
        for name, attribute in schema.attributes.items()
    }
    return [*formals, attributes]


def _conflict(classes: set[type[OnnxOp]], oldest: int) -> str:
    newest = min(made.name for made in classes if oldest == made.SINCE)
    replaced = ", ".join(sorted(made.name for made in classes if not _replaceable(made, oldest)))
    return f"opset {oldest}, the first with {newest}, changes the meaning of {replaced}"
