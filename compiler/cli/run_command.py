"""`terrace run`: run a model, time it, and compare with others."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from compiler.cli.compare import Tolerance, report, run_other
from compiler.cli.compile_command import request_of
from compiler.cli.inputs import Arrays, random_inputs, read_inputs
from compiler.cli.output import check_absent, write_file
from compiler.cli.profile import write_profile
from compiler.cli.progress import Progress
from compiler.driver import Request, build
from compiler.source import Source
from runtime.dims import show
from runtime.errors import InputError
from runtime.network import Network, load

MISMATCH = 3


def run(options: Namespace) -> int:
    """Runs the command."""
    check_absent(options.output, options.force)
    check_absent(options.profile, options.force)
    if options.intermediates and options.compare is None:
        raise InputError("--intermediates needs --compare", hint="with onnxruntime or reference")
    device = "cpu" if options.threads is None else f"cpu:threads={options.threads}"
    network = open_network(options, device)
    feed, expected = read_inputs(options.input, network)
    feed |= random_inputs(network.inputs, options.seed, dict(options.size), feed)
    results, seconds = _timed(network, feed, max(1, options.repeat))
    print("\n".join(_shown(results)))
    if options.repeat > 1:
        median, least = np.median(seconds) * 1e3, min(seconds) * 1e3
        print(f"time        median {median:.3f} ms, least {least:.3f} ms of {options.repeat} runs")
    if options.profile is not None:
        write_profile(options, feed, device)
    if options.output is not None:
        arrays: dict[str, Any] = dict(results)
        write_file(options.output, options.force, lambda path: np.savez(path, **arrays))
    tolerance = Tolerance(options.rtol, options.atol)
    agree = report("the test set", results, expected, tolerance) if expected else True
    if options.compare is not None:
        agree &= _compare(options, feed, results, tolerance)
    return 0 if agree else MISMATCH


def open_network(options: Namespace, device: str) -> Network:
    """The network that a command is to run: compiled, or loaded from a program file."""
    if Path(options.model).suffix == ".terrace":
        return load(options.model, device)
    with Progress() as progress:
        program = build(request_of(options), not options.no_cache, listener=progress).program
    return Network(program, device)


def _timed(network: Network, feed: Arrays, count: int) -> tuple[Arrays, list[float]]:
    results: Arrays = {}
    seconds: list[float] = []
    for _ in range(count):
        start = perf_counter()
        results = network.run(feed)
        seconds.append(perf_counter() - start)
    return results, seconds


def _shown(results: Mapping[str, np.ndarray]) -> Iterator[str]:
    for name, array in results.items():
        text = f"{name}: {array.dtype}{show(array.shape)}"
        if array.size and array.dtype.kind in "biuf":
            text += f"  min {array.min():.6g}  mean {array.mean():.6g}  max {array.max():.6g}"
        yield text


def _compare(options: Namespace, feed: Arrays, results: Arrays, tolerance: Tolerance) -> bool:
    path = Path(options.model)
    if path.suffix in (".mlir", ".terrace"):
        raise InputError(
            f"{options.compare} cannot run {path}",
            hint="run the ONNX model with -o, and compare the two files",
        )
    want = run_other(options.compare, path, feed)
    close = report(options.compare, results, want, tolerance)
    if options.intermediates:
        close &= _compare_nodes(options, path, feed, tolerance)
    return close


def _compare_nodes(options: Namespace, path: Path, feed: Arrays, tolerance: Tolerance) -> bool:
    from compiler.cli.intermediates import exposed, first_divergence

    model = exposed(path)
    request = request_of(options)
    request = Request(Source(str(path), proto=model), request.target, request.dims)
    got = Network(build(request, not options.no_cache).program).run(feed)
    found = first_divergence(model, got, run_other(options.compare, model, feed), tolerance)
    if found is None:
        print(f"nodes       all {len(got)} tensors agree, each computed as an output")
        return True
    print(f"first divergence: {found}")
    return False
