"""What every command is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """``paths`` are models or folders of them, ``only`` names to pick, ``threads`` the numbers of
    threads to measure with, ``seconds`` the time budget of each side of one comparison.
    ``lengths`` and ``batch`` are the sequences that GPT-2 is given, ``passes`` asks for the slowest
    passes, ``plot`` is where a roofline is drawn."""

    paths: Sequence[Path] = ()
    only: Sequence[str] = ()
    threads: Sequence[int] = (1,)
    seconds: float = 2.0
    lengths: Sequence[int] = ()
    batch: int = 1
    passes: bool = False
    plot: Path | None = None
