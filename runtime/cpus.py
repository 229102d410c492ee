"""The machine's CPUs: how many threads this process may sensibly run, and what model they are."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from runtime.errors import DeviceError

MAX_THREADS = 1024
VARIABLE = "TERRACE_THREADS"

_IDENTIFYING = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags")
"""What Linux says of an x86 CPU that decides which code suits it and runs on it."""


def available_cpus(root: Path = Path("/")) -> int:
    """The CPUs this process may use: those of its affinity mask, within its cgroup's quota.

    ``root`` is where ``proc`` and ``sys`` are looked for.
    """
    affine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    # Rounded down: threads that together exceed the quota are all stopped for the rest of the
    # period, and a fork-join then waits for the slowest.
    quota = min(_quotas(root), default=float("inf"))
    return max(1, int(min(affine or 1, quota)))


def default_threads() -> int:
    """The threads of a device that is not told: ``TERRACE_THREADS``, else ``available_cpus()``.

    Raises:
        DeviceError: the variable is set to something that is not a number of threads.
    """
    text = os.environ.get(VARIABLE)
    return parse_threads(text, VARIABLE) if text else available_cpus()


def parse_threads(text: str, what: str) -> int:
    """The number of threads written as ``text``; ``what`` says in errors where it was found.

    Raises:
        DeviceError: not a whole number between 1 and 1024.
    """
    if not text.isdecimal() or not 1 <= int(text) <= MAX_THREADS:
        raise DeviceError(f"{what} is '{text}', not a number of threads from 1 to {MAX_THREADS}")
    return int(text)


def cpu_identity(root: Path = Path("/")) -> str | None:
    """Equal for machines that run the same code; None where the system does not say enough.

    Asking LLVM for the CPU's name and features takes 0.1 s and 67 MB, because it has to be loaded:
    what it said of this CPU before holds as long as the identity does.
    """
    first, _, _ = _read(root / "proc/cpuinfo").partition("\n\n")
    fields = (line.partition(":") for line in first.splitlines())
    known = {name.strip(): value.strip() for name, _, value in fields}
    if not all(name in known for name in _IDENTIFYING):
        return None
    parts = [platform.system(), platform.machine(), *(known[name] for name in _IDENTIFYING)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _quotas(root: Path) -> Iterator[float]:
    """The CPU quotas that bind this process, in CPUs: of its cgroups and all their ancestors."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            for folder in _ancestors(root / "sys/fs/cgroup", path):
                yield from _ratio(_read(folder / "cpu.max").split())
        elif "cpu" in controllers.split(","):
            for mount in ("cpu", controllers):
                for folder in _ancestors(root / "sys/fs/cgroup" / mount, path):
                    files = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
                    yield from _ratio([_read(folder / file).strip() for file in files])


def _ancestors(mount: Path, path: str) -> Iterator[Path]:
    """The folders from ``mount`` down to the cgroup ``path``; in a container some are hidden."""
    yield mount
    for part in path.strip("/").split("/"):
        mount = mount / part
        yield mount


def _ratio(quota_and_period: list[str]) -> Iterator[float]:
    """Quota over period; nothing for ``max`` (cgroup v2), -1 (v1) and absent files."""
    if len(quota_and_period) == 2 and all(text.isdecimal() for text in quota_and_period):
        quota, period = map(int, quota_and_period)
        if period > 0:
            yield quota / period


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
