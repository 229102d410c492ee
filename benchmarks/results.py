"""Results as JSON: the machine, its limits, one row per measurement, a summary."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import child
from benchmarks.machine import describe
from benchmarks.table import Row

FORMAT = 1


@dataclass
class Results:
    """What one command measured. ``limits`` has the machine's limits by number of threads."""

    command: str
    machine: dict[str, Any] = field(default_factory=describe)
    limits: list[dict[str, Any]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def measure_limits(self, threads: Sequence[int]) -> None:
        """Measures and prints the machine's limits, each in a process of its own."""
        print(f"{self.machine['cpu']}, {self.machine['cores']} cores", end="")
        print(f", load average {self.machine['load_average_1_min']} at the start")
        for count in threads:
            found = child.call("benchmarks.limits:measure", {"threads": count})
            self.limits.append(found)
            print(
                f"limits of {count} thread(s): {found['fma_gflops']:.0f} GFLOP/s float32,"
                f" {found['copy_gb_s']:.1f} GB/s copied (read + written),"
                f" {found['read_gb_s']:.1f} GB/s read",
                flush=True,
            )

    def limit(self, threads: int, key: str) -> float | None:
        """A limit measured before; None if it was not."""
        return next((entry[key] for entry in self.limits if entry["threads"] == threads), None)

    def memory_gb_s(self, threads: int) -> float:
        """The memory's rate: the greater of reading's and copying's; 0 if not measured."""
        rates = (self.limit(threads, key) for key in ("copy_gb_s", "read_gb_s"))
        return max(rate or 0.0 for rate in rates)

    def save(self, path: Path) -> None:
        """Writes the results."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @staticmethod
    def load(path: Path) -> Results:
        """Reads results. Raises ValueError when they are none, or of another format."""
        data = json.loads(path.read_text())
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ValueError(f"{path} is no results file of format {FORMAT}")
        return Results(**data)
