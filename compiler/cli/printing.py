"""Observers of passes, and tables of times."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.cli.output import write_text
from compiler.pipeline import Observer
from compiler.report import Report

if TYPE_CHECKING:
    from xdsl.context import Context
    from xdsl.dialects.builtin import ModuleOp

ELIDED_BYTES = 256
"""Larger constants are left out of what is printed only to be read."""


def print_after_all(elide: int | None, locations: bool) -> Observer:
    """Prints the module after each pass on standard error."""
    limit = ELIDED_BYTES if elide is None else elide

    def observe(stage: str, name: str, module: ModuleOp, ctx: Context) -> None:
        from compiler.ir_text import print_module

        if name:
            text = print_module(module, ctx, elide=limit, locations=locations)
            print(f"// ---- after {name} ({stage}) ----\n{text}", file=sys.stderr)

    return observe


def dump_stages(folder: Path, force: bool) -> Observer:
    """Writes the module at each border to `<stage>.mlir`, complete, to be compiled on from."""

    def observe(stage: str, name: str, module: ModuleOp, ctx: Context) -> None:
        from compiler.ir_text import print_module

        if not name:
            folder.mkdir(parents=True, exist_ok=True)
            write_text(print_module(module, ctx), folder / f"{stage}.mlir", force)

    return observe


def print_times(report: Report) -> None:
    """Seconds of each pass on standard error."""
    for line in time_lines(report):
        print(line, file=sys.stderr)


def time_lines(report: Report) -> Iterator[str]:
    """A table: seconds, share, stage, pass."""
    total = report.seconds or 1.0
    rows = [("", "import", report.import_seconds), *report.passes]
    rows.append(("", "code generation", report.code_seconds))
    for stage, name, seconds in rows:
        yield f"{seconds:9.4f} s {seconds / total:6.1%}  {stage:7s} {name}"
    yield f"{report.seconds:9.4f} s 100.0%          total"


def byte_text(count: int) -> str:
    """A number of bytes for people."""
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
