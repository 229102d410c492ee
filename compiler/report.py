"""What a compile did: times, kernels, sizes. Kept in the program's manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

Listener = Callable[[str], None]
"""Is told what is being done, in a few words."""


def ignore(note: str) -> None:
    """Listens to nothing."""


@dataclass
class Report:
    """Seconds by what they went to, and counts.

    ``passes`` has (stage, pass, seconds) in the order in which they ran, verification at the
    stages' borders as a pass `verify`. ``dispatches`` is how often kernels are called from the host
    program, ``kernels`` how many different ones there are.
    """

    import_seconds: float = 0.0
    passes: list[tuple[str, str, float]] = field(default_factory=list)
    code_seconds: float = 0.0
    nodes: int = 0
    dispatches: int = 0
    kernels: int = 0
    object_bytes: int = 0
    constant_bytes: int = 0
    listener: Listener = field(default=ignore, repr=False, compare=False)

    @contextmanager
    def time_pass(self, stage: str, name: str) -> Iterator[None]:
        """Notes how long the block takes."""
        self.listener(f"{stage} stage: {name}")
        start = perf_counter()
        try:
            yield
        finally:
            self.passes.append((stage, name, perf_counter() - start))

    def add_passes(self, other: Report) -> None:
        """Takes over what a report of parts of the module says, each pass once."""
        total: dict[tuple[str, str], float] = {}
        for stage, name, seconds in other.passes:
            total[stage, name] = total.get((stage, name), 0.0) + seconds
        self.passes += [(stage, name, seconds) for (stage, name), seconds in total.items()]

    @property
    def seconds(self) -> float:
        """Import, passes and code generation together."""
        return self.import_seconds + sum(entry[2] for entry in self.passes) + self.code_seconds

    @property
    def shared(self) -> float:
        """The share of dispatches that need no kernel of their own, 0 to 1."""
        return 1 - self.kernels / self.dispatches if self.dispatches else 0.0

    def stage_seconds(self) -> dict[str, float]:
        """Seconds of passes by stage."""
        total: dict[str, float] = {}
        for stage, _, seconds in self.passes:
            total[stage] = total.get(stage, 0.0) + seconds
        return total

    def as_json(self) -> dict[str, Any]:
        """The report as JSON."""
        rounded = [[stage, name, round(seconds, 6)] for stage, name, seconds in self.passes]
        return {
            "import_seconds": round(self.import_seconds, 6),
            "passes": rounded,
            "code_seconds": round(self.code_seconds, 6),
            "nodes": self.nodes,
            "dispatches": self.dispatches,
            "kernels": self.kernels,
            "object_bytes": self.object_bytes,
            "constant_bytes": self.constant_bytes,
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> Report:
        """The report of a program that was read from a file."""
        passes = [(stage, name, seconds) for stage, name, seconds in value.get("passes", ())]
        return Report(**{**value, "passes": passes})
