"""Runs one measurement in a process of its own.

A measurement then neither inherits memory, threads and warm caches from the one before it, nor
takes the others with it when it crashes. Arguments and results are JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 900.0


class ChildError(Exception):
    """The measurement failed; the message says how, in one line."""


def call(
    function: str,
    arguments: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Any:
    """Calls ``function`` ("package.module:name") with keyword arguments in a new process.

    ``environment`` adds to ours. Raises ChildError when it raises, crashes or takes too long.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        answer = Path(folder, "answer.json")
        request = json.dumps([function, dict(arguments), str(answer)])
        command = [sys.executable, "-m", "benchmarks.child", request]
        # The child finds what we find, whatever its directory.
        paths = os.pathsep.join(filter(None, [os.getcwd(), *sys.path]))
        variables = {**os.environ, "PYTHONPATH": paths, **(environment or {})}
        try:
            ended = subprocess.run(
                command, env=variables, capture_output=True, text=True, timeout=timeout_seconds
            )
        except subprocess.TimeoutExpired as error:
            raise ChildError(f"no result after {timeout_seconds:.0f} s") from error
        if ended.returncode or not answer.exists():
            raise ChildError(_reason(ended))
        result = json.loads(answer.read_text())
    if "raised" in result:
        raise ChildError(result["raised"])
    return result["value"]


def _reason(ended: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in ended.stderr.splitlines() if line.strip()]
    if ended.returncode < 0:
        lines.append(f"killed by {signal.Signals(-ended.returncode).name}")
    return lines[-1].strip() if lines else f"exit status {ended.returncode} without a message"


def seconds_since(monotonic: float) -> float:
    """Seconds since a `time.monotonic()` of another process of this machine."""
    return time.monotonic() - monotonic


def peak_megabytes() -> float:
    """The greatest resident memory that this process had, in 10^6 bytes.

    Linux's VmHWM starts anew with each program; `getrusage` also counts what the parent had.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _rusage_unit() / 1e6
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def _rusage_unit() -> int:
    return 1 if sys.platform == "darwin" else 1024


def main() -> None:
    """The child's side."""
    function, arguments, answer = json.loads(sys.argv[1])
    module, _, name = function.partition(":")
    try:
        result = {"value": getattr(importlib.import_module(module), name)(**arguments)}
    except Exception as error:
        # Whatever it is, it belongs in the results; a crash is noticed by the parent.
        result = {"raised": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
    Path(answer).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
