"""`--profile`: the trace of a run as a file, and the kernels that take longest as a table."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.cli.compile_command import request_of
from compiler.cli.inputs import Arrays
from compiler.cli.output import write_text
from compiler.cli.progress import Progress
from runtime.errors import InputError

if TYPE_CHECKING:
    from compiler.profiling import Profile, Span

SHOWN_KERNELS = 15
SHOWN_NODES = 3


def write_profile(options: Namespace, feed: Arrays, device: str) -> None:
    """Profiles a run on these inputs, writes the trace and prints the table."""
    from compiler.profiling import chrome_trace, profile

    if Path(options.model).suffix == ".terrace":
        raise InputError("a program file cannot be profiled", hint="profile the model")
    with Progress() as progress:
        run = profile(request_of(options), feed, device, listener=progress)
    text = json.dumps(chrome_trace(run, Path(options.model).name), indent=1) + "\n"
    write_text(text, options.profile, options.force)
    print("\n".join(profile_lines(run)))


def profile_lines(run: Profile) -> Iterator[str]:
    """Kernels by the least times of all their calls, as a share of these; the host program last."""
    outside = run.duration_ns - sum(span.duration_ns for span in run.spans)
    total = max(1, outside + sum(span.least_ns for span in run.spans))
    yield f"profile     {run.duration_ns / 1e6:.3f} ms, the fastest run, {len(run.spans)} calls"
    yield f"{'ms':>11s} {'share':>6s} {'calls':>5s} {'GFLOP/s':>8s} {'GB/s':>7s}  kernel: nodes"
    kernels = run.by_kernel()
    for name, spans in kernels[:SHOWN_KERNELS]:
        yield _line(name, spans, total)
    rest = [span for _, spans in kernels[SHOWN_KERNELS:] for span in spans]
    if rest:
        others = f"{len(kernels) - SHOWN_KERNELS} other kernels"
        yield _numbers(sum(span.least_ns for span in rest), total, len(rest)) + f"  {others}"
    yield f"{outside / 1e6:11.4f} {outside / total:6.1%} {'':22s}  between kernels"
    if run.lost:
        yield f"the last {run.lost} events found no place in the trace"


def _line(name: str, spans: Sequence[Span], total: int) -> str:
    nanoseconds = sum(span.least_ns for span in spans)
    works = [span.work for span in spans if span.work is not None]
    rates = None
    if len(works) == len(spans):
        flops, moved = sum(work.flops for work in works), sum(work.bytes for work in works)
        rates = (flops / max(nanoseconds, 1), moved / max(nanoseconds, 1))
    nodes = list(dict.fromkeys(node for span in spans for node in span.nodes))
    shown = ", ".join(nodes[:SHOWN_NODES]) + (", ..." if len(nodes) > SHOWN_NODES else "")
    return f"{_numbers(nanoseconds, total, len(spans), rates)}  {name}: {shown}"


def _numbers(
    nanoseconds: int, total: int, calls: int, rates: tuple[float, float] | None = None
) -> str:
    text = f"{nanoseconds / 1e6:11.4f} {nanoseconds / total:6.1%} {calls:5d}"
    if rates is None:
        return f"{text} {'-':>8s} {'-':>7s}"
    return f"{text} {rates[0]:8.1f} {rates[1]:7.1f}"
