"""Tables in plain text, printed row by row while measurements go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any

Row = dict[str, Any]
"""One measurement. Keys end in their units: `ours_ms`, `peak_mb`; `name` and `threads` identify
it, `error` stands in place of results."""


@dataclass(frozen=True)
class Column:
    """A value of a row: its key, its heading, its format, the column's width."""

    key: str
    heading: str
    style: str = ""
    width: int = 10

    def cell(self, row: Mapping[str, Any]) -> str:
        """The value as text; "-" where there is none."""
        value = row.get(self.key)
        return "-" if value is None else format(value, self.style)


@dataclass(frozen=True)
class Table:
    """Columns; the first one is aligned to the left."""

    columns: Sequence[Column]

    def print_heading(self) -> None:
        """Prints the columns' headings."""
        print(self._line([column.heading for column in self.columns]), flush=True)

    def print_row(self, row: Row) -> None:
        """Prints a row; one that failed as its name, threads and error."""
        if "error" in row:
            threads = f" ({row['threads']} threads)" if "threads" in row else ""
            print(f"{row['name']}{threads}: {row['error']}", flush=True)
        else:
            print(self._line([column.cell(row) for column in self.columns]), flush=True)

    def _line(self, cells: Sequence[str]) -> str:
        first, *rest = zip(self.columns, cells, strict=True)
        parts = [first[1].ljust(first[0].width)]
        parts += [cell.rjust(column.width) for column, cell in rest]
        return " ".join(parts).rstrip()


def geometric_mean(values: Sequence[float]) -> float | None:
    """The geometric mean; None of no values."""
    return exp(sum(map(log, values)) / len(values)) if values else None
