"""The fork-join pool: any number of threads, sessions and processes; asleep when idle."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from runtime_programs import parallel_program

import runtime
from runtime import pool
from runtime.cpus import available_cpus, cpu_identity, default_threads, parse_threads
from runtime.errors import DeviceError


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize(("n", "grain"), [(1000, 1), (1000, 999), (7, 2), (100_000, 64), (1, 1)])
def test_covers_the_range(threads: int, n: int, grain: int) -> None:
    net = runtime.load(parallel_program(n, grain), f"cpu:threads={threads}")
    x = np.arange(n, dtype=np.float32)
    for _ in range(50):
        np.testing.assert_array_equal(net(x), 2 * x)


def test_nested_loops_run_inside_the_outer_one() -> None:
    net = runtime.load(parallel_program(500, 10, nested=True), "cpu:threads=4")
    x = np.arange(500, dtype=np.float32)
    for _ in range(200):
        np.testing.assert_array_equal(net(x), 2 * x)


class Context(ctypes.Structure):
    """What `parallel_for` reads of a run's context (docs/architecture.md)."""

    _fields_ = [
        ("parallel_for", ctypes.c_void_p),
        ("pool", ctypes.c_void_p),
        ("threads", ctypes.c_int64),
        ("rest", ctypes.c_byte * 64),
    ]


def test_the_caller_begins_at_the_front_and_workers_at_the_back() -> None:
    # So that a core gets in one loop what it got in the one before.
    found = pool.parallel_for(parallel_program(8, 1))
    body_type = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    prototype = (ctypes.c_void_p, body_type, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    parallel_for = ctypes.CFUNCTYPE(None, *prototype)(found.function)
    context = Context(found.function, found.pool, 2)
    caller = threading.get_ident()
    for _ in range(20):
        taken: list[tuple[bool, int]] = []

        def body(closure: int, begin: int, end: int, taken: list = taken) -> None:
            taken.append((threading.get_ident() == caller, begin))
            time.sleep(0.001)

        parallel_for(ctypes.addressof(context), body_type(body), None, 8, 1)
        mine = [begin for is_caller, begin in taken if is_caller]
        others = [begin for is_caller, begin in taken if not is_caller]
        assert mine == list(range(len(mine)))
        assert others == list(range(7, 7 - len(others), -1))
        assert len(mine) + len(others) == 8


def test_sessions_share_the_pool() -> None:
    failures: list[int] = []

    def work(seed: int) -> None:
        n = 1000 + seed
        net = runtime.load(parallel_program(n, 16, nested=seed % 2 == 0), f"cpu:threads={2 + seed}")
        x = np.full(n, seed, np.float32)
        failures.extend(seed for _ in range(300) if not np.array_equal(net(x), 2 * x))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_sleeping_pool_wakes_up_and_uses_no_cpu_meanwhile() -> None:
    net = runtime.load(parallel_program(10_000, 100), "cpu:threads=4")
    x = np.ones(10_000, np.float32)
    for _ in range(5):
        np.testing.assert_array_equal(net(x), 2 * x)
        time.sleep(0.02)
        before = time.process_time()
        time.sleep(0.1)
        assert time.process_time() - before < 0.02


def in_child(work) -> int:
    """The exit status of a forked child that does ``work``; a hang ends in SIGALRM."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        os._exit(0 if work() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_works_after_fork_even_while_another_thread_runs() -> None:
    net = runtime.load(parallel_program(10_000, 100), "cpu:threads=3")
    x = np.arange(10_000, dtype=np.float32)
    stop = threading.Event()

    def keep_busy() -> None:
        while not stop.is_set():
            net(x)

    def works() -> bool:
        return all(np.array_equal(net(x), 2 * x) for _ in range(20))

    assert works()
    thread = threading.Thread(target=keep_busy)
    thread.start()
    try:
        for _ in range(10):
            assert in_child(lambda: works() and in_child(works) == 0) == 0
    finally:
        stop.set()
        thread.join()
    assert works()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)), raising=False)
    (tmp_path / "proc/self").mkdir(parents=True)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_affinity_bounds_the_cpus(root: Path) -> None:
    assert available_cpus(root) == 6


@pytest.mark.parametrize(
    ("own", "parent", "cpus"),
    [
        ("max 100000", "max 100000", 6),
        ("250000 100000", "max 100000", 2),
        ("max 100000", "300000 100000", 3),
        ("50000 100000", "300000 100000", 1),
        ("900000 100000", "max 100000", 6),
        ("rubbish", "", 6),
    ],
)
def test_cgroup_v2_quota_bounds_the_cpus(root: Path, own: str, parent: str, cpus: int) -> None:
    write(root / "proc/self/cgroup", "0::/user/job\n")
    write(root / "sys/fs/cgroup/user/cpu.max", parent)
    write(root / "sys/fs/cgroup/user/job/cpu.max", own)
    assert available_cpus(root) == cpus


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize(("quota", "cpus"), [("-1", 6), ("400000", 4), ("10000", 1)])
def test_cgroup_v1_quota_bounds_the_cpus(root: Path, mount: str, quota: str, cpus: int) -> None:
    write(root / "proc/self/cgroup", "9:memory:/other\n4:cpu,cpuacct:/docker/abc\n")
    # Inside a container the group's own folder is the mount itself.
    write(root / f"sys/fs/cgroup/{mount}/cpu.cfs_quota_us", quota + "\n")
    write(root / f"sys/fs/cgroup/{mount}/cpu.cfs_period_us", "100000\n")
    assert available_cpus(root) == cpus


CPU = (
    "processor\t: {number}\nvendor_id\t: V\ncpu family\t: 1\nmodel\t\t: 2\nmodel name\t: N\n"
    "stepping\t: 3\ncpu MHz\t\t: {mhz}\nflags\t\t: {flags}\n\n"
)


def test_a_cpu_is_known_by_what_it_can_do(root: Path) -> None:
    def identity(text: str) -> str | None:
        write(root / "proc/cpuinfo", text)
        return cpu_identity(root)

    one = identity(CPU.format(number=0, mhz=1000, flags="avx avx2"))
    assert one is not None
    two = CPU.format(number=0, mhz=3000, flags="avx avx2") + CPU.format(number=1, mhz=1, flags="")
    assert identity(two) == one
    assert identity(CPU.format(number=0, mhz=1000, flags="avx")) not in (None, one)
    assert identity("processor : 0\nfeatures : fp asimd\n") is None
    assert identity("") is None


def test_the_environment_overrides_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERRACE_THREADS", "3")
    assert default_threads() == 3
    assert runtime.open_device("cpu").uri == "cpu:threads=3"
    monkeypatch.setenv("TERRACE_THREADS", "many")
    with pytest.raises(DeviceError, match="TERRACE_THREADS is 'many'"):
        runtime.open_device("cpu")
    monkeypatch.delenv("TERRACE_THREADS")
    assert default_threads() == available_cpus()


@pytest.mark.parametrize("text", ["0", "-1", "2.5", "", "1025", "x"])
def test_absurd_thread_counts_are_refused(text: str) -> None:
    with pytest.raises(DeviceError, match="not a number of threads"):
        parse_threads(text, "it")
