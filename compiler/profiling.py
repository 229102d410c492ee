"""Profiles: when each kernel of a run began and ended.

The program is compiled again with `hal-profile`; its kernels are the same code. Of several runs the
fastest is kept: the one that other programs on the machine disturbed least.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from compiler.driver import Request, build
from compiler.pipeline import Pipeline
from compiler.report import Listener, ignore
from compiler.work import Work, WorkObserver
from runtime.errors import InputError
from runtime.executable import NativeExecutable
from runtime.network import Network

RUNS, LEAST_RUNS, SECONDS = 50, 3, 2.0
"""So many runs at most, and no more than the least number when they take longer than this."""

_PASS = "hal-profile"


@dataclass(frozen=True)
class Span:
    """A kernel (or copy) in a run: nanoseconds since the run began, and how long it took.

    ``least_ns`` is the shortest time that this call took in any run, which no other program on the
    machine stretched. ``work`` is None where nobody knows.
    """

    name: str
    nodes: Sequence[str]
    begin_ns: int
    duration_ns: int
    least_ns: int
    work: Work | None

    @property
    def gflops(self) -> float | None:
        """GFLOP/s."""
        return self.work.flops / max(self.duration_ns, 1) if self.work else None

    @property
    def gb_per_second(self) -> float | None:
        """GB/s of the least traffic."""
        return self.work.bytes / max(self.duration_ns, 1) if self.work else None


@dataclass(frozen=True)
class Profile:
    """One run: its spans in order, how long it took, and how many events found no place."""

    spans: Sequence[Span]
    duration_ns: int
    lost: int

    def by_kernel(self) -> list[tuple[str, list[Span]]]:
        """The spans of each kernel, those that took longest together first."""
        groups: dict[str, list[Span]] = {}
        for span in self.spans:
            groups.setdefault(span.name, []).append(span)
        return sorted(groups.items(), key=lambda item: -sum(s.least_ns for s in item[1]))


def profile(
    request: Request,
    feed: Mapping[str, Any],
    device: str = "cpu",
    listener: Listener = ignore,
) -> Profile:
    """Compiles a model for profiling and runs it.

    Raises InputError for a module's text below the `onnx` stage, and what compiling and running
    raise.
    """
    if request.source.text is not None:
        raise InputError("a profile needs a model", hint=f"-p {_PASS} works on a module's text")
    observer = WorkObserver()
    pipeline = request.passes or Pipeline.default(request.target).until("lower-affine")
    request = replace(request, passes=pipeline.after("hal-plan-memory", _PASS))
    program = build(request, observers=[observer], listener=listener).program
    return record(Network(program, device), feed, observer.work)


def record(network: Network, feed: Mapping[str, Any], work: Mapping[str, Work]) -> Profile:
    """Runs a network that was compiled with `hal-profile`; gives the fastest run."""
    executable = network.executable
    assert isinstance(executable, NativeExecutable) and executable.trace is not None
    trace = executable.trace
    network.run(feed)
    found: list[Profile] = []
    start = perf_counter()
    for run in range(RUNS):
        if run >= LEAST_RUNS and perf_counter() - start > SECONDS:
            break
        trace.clear()
        network.run(feed)
        found.append(_read(network, list(trace.events()), trace.lost, work))
    fastest = min(found, key=lambda run: run.duration_ns)
    return replace(fastest, spans=_with_least(fastest.spans, found))


def _with_least(spans: Sequence[Span], runs: Sequence[Profile]) -> list[Span]:
    """The spans with their shortest times in those runs that made the same calls."""
    names = [span.name for span in spans]
    alike = [run.spans for run in runs if [span.name for span in run.spans] == names]
    columns = zip(*alike, strict=True)
    return [
        replace(span, least_ns=min(other.duration_ns for other in column))
        for span, column in zip(spans, columns, strict=True)
    ]


def _read(
    network: Network, events: Sequence[tuple[int, int]], lost: int, work: Mapping[str, Work]
) -> Profile:
    described = network.program.signature.spans
    begun: dict[int, int] = {}
    spans: list[Span] = []
    first = last = events[0][1]
    for event, time in events:
        number, ends = divmod(event, 2)
        last = time
        if not ends:
            begun[number] = time
        elif number and number in begun:
            name, nodes = described[number].name, described[number].nodes
            begin = begun[number]
            took = time - begin
            spans.append(Span(name, nodes, begin - first, took, took, work.get(name)))
    return Profile(spans, last - first, lost)


def chrome_trace(run: Profile, process: str) -> dict[str, Any]:
    """The profile in the Trace Event Format, which Perfetto and chrome://tracing read."""
    return {"displayTimeUnit": "ns", "traceEvents": list(_trace_events(run, process))}


def _trace_events(run: Profile, process: str) -> Iterator[dict[str, Any]]:
    place = {"pid": 1, "tid": 1}
    yield {"name": "process_name", "ph": "M", **place, "args": {"name": process}}
    yield {"name": "run", "cat": "run", "ph": "X", "ts": 0, "dur": run.duration_ns / 1e3, **place}
    for span in run.spans:
        arguments: dict[str, Any] = {"nodes": list(span.nodes)}
        if span.work is not None:
            arguments |= {"flops": span.work.flops, "bytes": span.work.bytes}
            arguments |= {"GFLOP/s": span.gflops, "GB/s": span.gb_per_second}
        times = {"ts": span.begin_ns / 1e3, "dur": span.duration_ns / 1e3}
        yield {
            "name": span.name,
            "cat": "kernel",
            "ph": "X",
            **times,
            **place,
            "args": arguments,
        }
