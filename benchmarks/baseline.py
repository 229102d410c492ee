"""What got slower and what faster since earlier results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.results import Results
from benchmarks.table import Row

THRESHOLD = 1.05
"""Factors below this are noise."""

UNITS = {"_us": 0.05, "_ms": 0.0005, "_s": 0.01}
"""The endings of keys that are times, and the differences that are too small to tell."""

PEER = "ort_"
"""How keys of onnxruntime's times begin."""


@dataclass(frozen=True)
class Change:
    """A time that is not what it was. ``factor`` is new over old; ``peer`` is the same factor of
    onnxruntime's time, which says how far the machine itself changed (None: not measured)."""

    name: str
    threads: int | None
    key: str
    old: float
    new: float
    peer: float | None

    @property
    def factor(self) -> float:
        """New over old: above 1 is slower."""
        return self.new / self.old

    def __str__(self) -> str:
        value, _, unit = self.key.rpartition("_")
        threads = "" if self.threads is None else f" ({self.threads} threads)"
        word = "slower" if self.factor > 1 else "faster"
        ratio = max(self.factor, 1 / self.factor)
        text = f"{self.name}{threads}: {value} {self.old:.4g} -> {self.new:.4g} {unit}"
        text += f", {ratio:.2f} x {word}"
        return text if self.peer is None else f"{text} (onnxruntime's time x {self.peer:.2f})"


def changes(old: Results, new: Results) -> list[Change]:
    """Our times that differ by more than the noise, the greatest slowdown first."""
    before = {_identity(row): row for row in old.rows}
    found = [
        change
        for row in new.rows
        if _identity(row) in before
        for change in _row_changes(before[_identity(row)], row)
    ]
    return sorted(found, key=lambda change: -change.factor)


def newly_failed(old: Results, new: Results) -> list[str]:
    """What is wrong now and was not before."""
    fine = {_identity(row) for row in old.rows if _problem(row) is None}
    return [
        f"{row['name']}: {problem}"
        for row in new.rows
        if (problem := _problem(row)) is not None and _identity(row) in fine
    ]


def print_changes(old: Results, new: Results) -> None:
    """Prints what changed, and says so when nothing did."""
    if old.machine["cpu"] != new.machine["cpu"]:
        print(f"the baseline was measured on another machine: {old.machine['cpu']}")
    lines = [f"FAILS NOW  {line}" for line in newly_failed(old, new)]
    lines += [str(change) for change in changes(old, new)]
    print("\n".join(lines) if lines else "no time differs from the baseline by more than 5 %")


def _identity(row: Row) -> tuple[str, int | None]:
    return row["name"], row.get("threads")


def _problem(row: Row) -> str | None:
    return row.get("error") or row.get("wrong")


def _row_changes(old: Row, new: Row) -> Iterator[Change]:
    for key, unit in _times(new):
        before, now = old.get(key), new[key]
        if not before or not now or abs(now - before) < UNITS[unit]:
            continue
        if max(now / before, before / now) > THRESHOLD:
            peer = _peer_factor(old, new, unit)
            yield Change(new["name"], new.get("threads"), key, before, now, peer)


def _times(row: Row) -> Iterator[tuple[str, str]]:
    """Keys of our own times, with their units."""
    for key in row:
        unit = "_" + key.rpartition("_")[2]
        # GB/s ends like seconds do; the least time of a run says less than the median.
        passed_over = key.startswith(PEER) or key.endswith(("_gb_s", f"best{unit}"))
        if unit in UNITS and not passed_over:
            yield key, unit


def _peer_factor(old: Row, new: Row, unit: str) -> float | None:
    key = f"{PEER}median{unit}"
    return new[key] / old[key] if old.get(key) and new.get(key) else None
