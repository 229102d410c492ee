"""Results: text on standard output, files that replace nothing unless that is asked for."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from runtime.errors import InputError


def check_absent(path: Path | None, force: bool) -> None:
    """Raises InputError if a file is in the way: before the work, not after it."""
    if path is None or force:
        return
    if path.is_dir():
        raise InputError(f"{path} is a folder")
    if path.exists():
        raise InputError(f"{path} exists", hint="--force overwrites it")


def write_text(text: str, path: Path | None, force: bool) -> None:
    """Writes text to a file, or to standard output without one."""
    if path is None:
        sys.stdout.write(text)
    else:
        write_bytes(text.encode(), path, force)


def write_bytes(data: bytes, path: Path | None, force: bool) -> None:
    """Writes bytes to a file, or to standard output, if that is no terminal, without one."""
    if path is not None:
        write_file(path, force, lambda temporary: temporary.write_bytes(data))
    elif sys.stdout.isatty():
        raise InputError("binary data do not go to a terminal", hint="give a file with -o")
    else:
        sys.stdout.buffer.write(data)


def write_file(path: Path, force: bool, writer: Callable[[Path], object]) -> None:
    """Has ``writer`` write a file beside its place and moves it there when it is complete.

    Without ``force`` a file that is there by then stays, and that is an InputError.
    """
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        writer(temporary)
        for made in sorted(Path(folder).iterdir(), reverse=True):
            _move(made, path.with_name(made.name), force)


def _move(made: Path, target: Path, force: bool) -> None:
    if not force:
        # Unlike a check followed by a renaming, a link is never made over a file.
        try:
            os.link(made, target)
            return
        except FileExistsError as error:
            raise InputError(f"{target} exists", hint="--force overwrites it") from error
        except OSError:
            # A file system without links.
            check_absent(target, force)
    os.replace(made, target)
