"""Types of If, Loop, Scan and SequenceMap: their subgraphs are inferred with the types they get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

import numpy as np
from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute, Region

from dialects.onnx.dims import SIGNED_PREFIX, Dim, maximum, symbols_of
from dialects.onnx.shape.contents import Equality
from dialects.onnx.shape.helpers import normalize_axis
from dialects.onnx.shape.node import NodeShapes, infer
from dialects.onnx.shape.sequences import element_of_sequence
from dialects.onnx.types import SequenceType, dims_of, is_tensor, tensor_type
from runtime.errors import InvalidModelError

i1 = IntegerType(1)
i64 = IntegerType(64)


def region_of(s: NodeShapes, name: str) -> Region:
    """The subgraph attribute ``name``; regions stand in the schema's order of names."""
    schema = s.op.SCHEMA
    assert schema is not None
    graphs = sorted(n for n, a in schema.attributes.items() if a.type.name == "GRAPH")
    return s.op.regions[graphs.index(name)]


def merge_types(s: NodeShapes, lhs: Attribute, rhs: Attribute) -> Attribute:
    """The type of a value that has one of two types: sizes that differ become new symbols."""
    if lhs == rhs:
        return lhs
    if isinstance(lhs, SequenceType) and isinstance(rhs, SequenceType):
        return SequenceType(merge_types(s, lhs.element_type, rhs.element_type))
    if not (is_tensor(lhs) and is_tensor(rhs)):
        return lhs
    element = lhs.element_type  # type: ignore[attr-defined]
    if element != rhs.element_type:  # type: ignore[attr-defined]
        s.fail(f"the branches give {element} and {rhs.element_type}")  # type: ignore[attr-defined]
    a, b = dims_of(lhs), dims_of(rhs)
    if a is None or b is None or len(a) != len(b):
        return tensor_type(element, None)
    merged = [x if x == y else s.fresh() for x, y in zip(a, b, strict=True)]
    return tensor_type(element, merged)


def decided_branch(s: NodeShapes) -> str | None:
    """The branch an If takes in every run, when its condition is known."""
    entry = condition_of(s)
    if not isinstance(entry, bool | np.bool_):
        return None
    return "then_branch" if entry else "else_branch"


def condition_of(s: NodeShapes) -> object:
    """What is known of an If's condition: a boolean, an `Equality`, or None."""
    condition = s.value(0)
    return None if condition is None or condition.size != 1 else condition.reshape(-1)[0]


@infer("If")
def if_(s: NodeShapes) -> list[Attribute]:
    """The types that both branches give, merged; of one branch when the other cannot run.

    A branch cannot run when the condition excludes it, or when its shapes contradict each other.
    When the branches differ in rank and the condition asks whether two sizes are equal, they are
    assumed to be. What the condition does not tell at compile time, a run checks.
    """
    if (taken := decided_branch(s)) is not None:
        return s.scope.take_branch(region_of(s, taken))
    kinds: dict[str, list[Attribute]] = {}
    failures: dict[str, InvalidModelError] = {}
    for name in ("then_branch", "else_branch"):
        try:
            kinds[name] = s.scope.infer_region(region_of(s, name), (), ())
        except InvalidModelError as error:
            failures[name] = error
    if not kinds:
        raise failures["else_branch"]
    if len(kinds) == 1:
        ((name, error),) = failures.items()
        return s.scope.take_branch(region_of(s, *kinds), f"the {name} cannot run: {error}")
    condition = condition_of(s)
    pairs = list(zip(*kinds.values(), strict=True))
    if _asks_sizes(condition) and any(_ranks_differ(a, b) for a, b in pairs):
        # `x.squeeze(axis)` as PyTorch exports it: whoever wrote it expects a size of 1.
        name, other = ("else_branch", "then_branch")[:: 1 if condition.negated else -1]
        why = f"the {other} gives a tensor of another rank, which the model was not compiled for"
        return s.scope.take_branch(region_of(s, name), why)
    return [merge_types(s, a, b) for a, b in pairs]


def _asks_sizes(condition: object) -> TypeGuard[Equality]:
    """Whether a condition compares sizes of tensors, and not numbers that the data hold."""
    if not isinstance(condition, Equality):
        return False
    names = symbols_of(condition.lhs) | symbols_of(condition.rhs)
    return not any(name.startswith(SIGNED_PREFIX) for name in names)


def _ranks_differ(lhs: Attribute, rhs: Attribute) -> bool:
    a, b = dims_of(lhs), dims_of(rhs)
    return a is not None and b is not None and len(a) != len(b)


@infer("Loop")
def loop(s: NodeShapes) -> list[Attribute]:
    """The carried values' types, then [iterations, ...] for each scan output.

    The types of carried values are iterated to a fixed point: a size that an iteration may change
    is a symbol of the iteration inside, and another symbol outside.
    """
    body = region_of(s, "body")
    carried: list[Attribute] = [operand.type for operand in s.op.operands[2:]]
    changing: set[Dim] = set()
    while True:
        kinds = [tensor_type(i64, ()), tensor_type(i1, ()), *carried]
        # Whatever the condition is, it holds where the body runs.
        known = [None, np.array(True), *[None] * len(carried)]
        given = s.scope.infer_region(body, kinds, known)
        pairs = zip(carried, given[1:], strict=False)
        widened = [_widen(s, old, new, changing) for old, new in pairs]
        if widened == carried:
            break
        carried = widened
    trips = trip_count(s)
    scans = [_stacked(s, kind, trips) for kind in given[1 + len(carried) :]]
    return [_outside(s, kind, changing) for kind in (*carried, *scans)]


def _widen(s: NodeShapes, old: Attribute, new: Attribute, changing: set[Dim]) -> Attribute:
    """The type ``old`` with a new symbol, kept in ``changing``, where ``new`` has another size."""
    if isinstance(old, SequenceType) and isinstance(new, SequenceType):
        return SequenceType(_widen(s, old.element_type, new.element_type, changing))
    a, b = dims_of(old), dims_of(new)
    if old == new or not is_tensor(old) or a is None:
        return old
    if b is None or len(a) != len(b):
        return tensor_type(old.element_type, None)  # type: ignore[attr-defined]
    sizes = [x if x == y or x in changing else s.fresh() for x, y in zip(a, b, strict=True)]
    changing.update(size for size, x in zip(sizes, a, strict=True) if size != x)
    return tensor_type(old.element_type, sizes)  # type: ignore[attr-defined]


def _outside(s: NodeShapes, kind: Attribute, changing: set[Dim]) -> Attribute:
    """The type with other symbols for sizes that depend on the iteration."""
    dims = dims_of(kind)
    if dims is None or not changing:
        return kind
    names = {str(symbol) for symbol in changing}
    sizes = [s.fresh() if symbols_of(dim) & names else dim for dim in dims]
    return tensor_type(kind.element_type, sizes)  # type: ignore[attr-defined]


def trip_count(s: NodeShapes) -> Dim | None:
    """How often a Loop runs when its condition is constantly true and the count is known."""
    counts = s.ints(0) if s.present(0) else None
    condition = s.value(1) if s.present(1) else np.array(True)
    block = region_of(s, "body").block
    kept = block.last_op
    assert kept is not None
    goes_on = s.scope.content(kept.operands[0])
    passes_on = kept.operands[0] is block.args[1]
    always = passes_on or _is_true(goes_on)
    known = counts is not None and _is_true(condition) and always
    return maximum(counts[0], 0) if known and counts else None


def _is_true(content: np.ndarray | None) -> bool:
    return content is not None and content.reshape(-1)[0] in (True, np.True_)


def _stacked(s: NodeShapes, kind: Attribute, count: Dim | None) -> Attribute:
    dims = dims_of(kind)
    element = kind.element_type  # type: ignore[attr-defined]
    if dims is None:
        return tensor_type(element, None)
    return tensor_type(element, (s.fresh("iterations") if count is None else count, *dims))


def _axes(s: NodeShapes, name: str, count: int) -> Sequence[int]:
    return s.get(name) or (0,) * count


@infer("Scan")
def scan(s: NodeShapes) -> list[Attribute]:
    """The states' types, then a stack of each scan output.

    Version 8 has a first operand `sequence_lens` and a batch axis in front of everything.
    """
    batched = int(s.since == 8)
    operands = s.op.operands[batched:]
    scanned = s.get("num_scan_inputs")
    states = len(operands) - scanned
    length: Dim | None = None
    batch: Dim | None = None
    kinds: list[Attribute] = []
    axes = (0,) * scanned if batched else _axes(s, "scan_input_axes", scanned)
    for i, operand in enumerate(operands):
        dims = dims_of(operand.type)
        element = operand.type.element_type  # type: ignore[attr-defined]
        if dims is not None and batched:
            batch, dims = dims[0], dims[1:]
        if i >= states and dims is not None:
            axis = normalize_axis(axes[i - states], len(dims))
            length = (
                dims[axis] if length is None else s.equal(length, dims[axis], "scanned lengths")
            )
            dims = (*dims[:axis], *dims[axis + 1 :])
        kinds.append(tensor_type(element, dims))
    given = s.scope.infer_region(region_of(s, "body"), kinds, [None] * len(kinds))
    length = s.fresh("scan") if length is None else length
    outputs = [_with_batch(kind, batch) for kind in given[:states]]
    out_axes = (0,) * len(given) if batched else _axes(s, "scan_output_axes", len(given) - states)
    for kind, axis in zip(given[states:], out_axes, strict=False):
        dims = dims_of(kind)
        if dims is not None:
            axis = normalize_axis(axis, len(dims) + 1)
            dims = (*dims[:axis], length, *dims[axis:])
        outputs.append(_with_batch(tensor_type(kind.element_type, dims), batch))  # type: ignore[attr-defined]
    return outputs


def _with_batch(kind: Attribute, batch: Dim | None) -> Attribute:
    dims = dims_of(kind)
    if batch is None or dims is None:
        return kind
    return tensor_type(kind.element_type, (batch, *dims))  # type: ignore[attr-defined]


@infer("SequenceMap")
def sequence_map(s: NodeShapes) -> list[Attribute]:
    """Sequences of what the body gives for one element of each sequence operand."""
    kinds = [
        element_of_sequence(s, i) if isinstance(operand.type, SequenceType) else operand.type
        for i, operand in enumerate(s.op.operands)
    ]
    given = s.scope.infer_region(region_of(s, "body"), kinds, [None] * len(kinds))
    return [SequenceType(kind) for kind in given]
