"""Progress is shown on a terminal, after a while, and leaves nothing behind."""

from __future__ import annotations

import io
import time

import pytest

from compiler.cli import progress
from compiler.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def use(stream: io.StringIO, delay: float, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not in a fixture: pytest puts its own streams in place before the test begins.
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(progress, "DELAY_SECONDS", delay)
    monkeypatch.setattr(progress, "_PERIOD_SECONDS", 0.01)


def test_a_line_says_what_takes_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    use(terminal, 0.02, monkeypatch)
    with Progress() as note:
        note("onnx stage: onnx-fold")
        time.sleep(0.15)
    text = terminal.getvalue()
    assert "onnx stage: onnx-fold" in text
    assert text.endswith("\r\033[K")


def test_what_is_quick_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    use(terminal, 5, monkeypatch)
    with Progress() as note:
        note("quick")
    assert terminal.getvalue() == ""


def test_files_get_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    use(stream, 0, monkeypatch)
    with Progress():
        time.sleep(0.05)
    assert stream.getvalue() == ""
