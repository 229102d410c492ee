"""Groups of operations that will be kernels, and who takes whose values.

Used by `onnx-form-dispatches`. The three questions it asks (what stands behind what, may two be
joined, in which order do they run) are short walks here: networkx answers them too, but takes
0.2 s to import, a fifth of what a small model takes to compile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from xdsl.ir import Operation, SSAValue

from dialects.onnx.ops import OnnxOp


@dataclass(eq=False)
class Group:
    """Operations that will be one kernel.

    ``number`` says where the model has it. ``rank`` is higher than the ranks of all groups whose
    values it takes; these are its ``sources``, those that take its values its ``users``.
    ``paths`` has, for every value behind the root, which of the root's results it comes from, and
    the maps in between. ``reduced`` takes one of them and is computed along; nothing else joins
    then. ``remarks`` say why it is not joined with others.
    """

    ops: list[OnnxOp]
    root: OnnxOp | None = None
    reduced: OnnxOp | None = None
    number: int = 0
    rank: int = 0
    paths: dict[SSAValue, tuple[SSAValue | Operation, ...]] = field(default_factory=dict)
    sources: dict[Group, None] = field(default_factory=dict)
    users: dict[Group, None] = field(default_factory=dict)
    remarks: dict[str, None] = field(default_factory=dict)

    def is_behind(self, op: Operation) -> bool:
        """Whether an operation computes with the root's results, each element of them once."""
        return op is not self.root and any(result in self.paths for result in op.results)

    def reaches(self, other: Group) -> bool:
        """Whether another group is computed from this one, by whatever way."""
        seen: set[Group] = {self}
        pending: list[Group] = [self]
        while pending:
            for user in pending.pop().users:
                if user is other:
                    return True
                # Ranks rise along every way: what is ranked as high does not lead there.
                if user not in seen and user.rank < other.rank:
                    seen.add(user)
                    pending.append(user)
        return False


def link(before: Group, after: Group) -> None:
    """Notes that a group takes values of another one, and keeps ranks in order."""
    if before is after:
        return
    before.users[after] = after.sources[before] = None
    pending = [(before, after)]
    while pending:
        low, high = pending.pop()
        if high.rank <= low.rank:
            high.rank = low.rank + 1
            pending += [(high, further) for further in high.users]


def take_sources(source: Group, target: Group) -> None:
    """Gives the sources of a group that only the target takes values of to the target."""
    for before in source.sources:
        del before.users[source]
        link(before, target)
    for after in source.users:
        del after.sources[source]
    source.sources, source.users = {}, {}


def in_order(groups: list[Group]) -> Iterator[Group]:
    """Groups so that producers stand before users, otherwise by their numbers."""
    missing = {group: len(group.sources) for group in groups}
    ready = [(group.number, place) for place, group in enumerate(groups) if not missing[group]]
    place_of = {group: place for place, group in enumerate(groups)}
    heapify(ready)
    while ready:
        group = groups[heappop(ready)[1]]
        yield group
        for user in group.users:
            missing[user] -= 1
            if not missing[user]:
                heappush(ready, (user.number, place_of[user]))
