"""`terrace bench`: how fast a model runs, beside another runtime in the same process."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from compiler.cli.compare import Tolerance, onnxruntime_session, report
from compiler.cli.inputs import Arrays, random_inputs, read_inputs
from compiler.cli.output import check_absent
from compiler.cli.profile import write_profile
from compiler.cli.run_command import MISMATCH, open_network
from compiler.timing import Timing, interleave
from runtime.cpus import default_threads
from runtime.errors import InputError


def run(options: Namespace) -> int:
    """Runs the command."""
    check_absent(options.profile, options.force)
    threads = options.threads or default_threads()
    device = f"cpu:threads={threads}"
    network = open_network(options, device)
    feed, _ = read_inputs(options.input, network)
    feed |= random_inputs(network.inputs, options.seed, dict(options.size), feed)
    calls: dict[str, Callable[[], Any]] = {"ours": lambda: network.run(feed)}
    agree = True
    if options.against is not None:
        other = _other(options, feed, threads)
        calls[options.against] = other
        tolerance = Tolerance(options.rtol, options.atol)
        agree = report(options.against, network.run(feed), other(), tolerance)
    timings = interleave(calls, options.seconds, threads)
    _print(timings, threads, options.against)
    if options.profile is not None:
        write_profile(options, feed, device)
    return 0 if agree else MISMATCH


def _other(options: Namespace, feed: Arrays, threads: int) -> Callable[[], dict[str, Any]]:
    path = Path(options.model)
    if path.suffix in (".mlir", ".terrace"):
        raise InputError(f"{options.against} cannot run {path}", hint="give the ONNX model")
    session = onnxruntime_session(path, threads)
    names = [entry.name for entry in session.get_outputs()]
    return lambda: dict(zip(names, session.run(None, feed), strict=True))


def _print(timings: dict[str, Timing], threads: int, against: str | None) -> None:
    for name, timing in timings.items():
        median, least = timing.median_seconds * 1e3, timing.best_seconds * 1e3
        samples = f"{timing.samples} samples, {threads} threads"
        print(f"{name:11s} median {median:.4f} ms, least {least:.4f} ms of {samples}")
    if against is not None:
        ratio = timings[against].median_seconds / timings["ours"].median_seconds
        print(f"ratio       {ratio:.3f}: {against}'s median over ours, above 1 we are faster")
