"""`terrace compile`: a model goes in, text, code or a summary comes out."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from compiler import stages
from compiler.cli.explain import explain
from compiler.cli.output import check_absent, write_bytes, write_file, write_text
from compiler.cli.printing import byte_text, dump_stages, print_after_all, print_times
from compiler.cli.progress import Progress
from compiler.driver import Built, Request, build, lower_request
from compiler.pipeline import Observer, Pipeline
from compiler.report import Report
from runtime.errors import InputError

_KINDS = {
    ".terrace": "program",
    ".ll": "llvm-ir",
    ".s": "asm",
    ".o": "obj",
    ".onnx": "onnx",
    ".onnxtxt": "onnx",
    ".json": "onnx",
    ".textproto": "onnx",
}
"""What a file is to hold, where --emit does not say."""


def run(options: Namespace) -> int:
    """Runs the command."""
    output: Path | None = options.output
    kind = options.emit or (output and _KINDS.get(output.suffix))
    if output is not None and kind is None and not options.explain:
        raise InputError(f"what to write to {output}?", hint="say so with --emit")
    if output is None and kind == "program":
        raise InputError("a program does not go to standard output", hint="give a file with -o")
    if options.explain and options.autotune:
        raise InputError(
            "--explain says why a schedule was chosen, --autotune measures",
            hint="--autotune --emit=krnl shows what was measured to be faster",
        )
    check_absent(output, options.force)
    request = request_of(options)
    observers = _observers(options)
    with Progress() as progress:
        if options.explain:
            write_text("\n".join(explain(request, progress)) + "\n", output, options.force)
            return 0
        if kind in (None, "program"):
            built = build(request, not options.no_cache, observers, progress)
            report = built.report
            if output is not None:
                write_file(output, options.force, built.program.save)
            else:
                print("\n".join(_summary(request, built)))
        else:
            report = _emit(request, kind, options, observers, progress)
    if options.time_passes:
        print_times(report)
    return 0


def request_of(options: Namespace) -> Request:
    """What the options of a command that compiles ask for."""
    return Request.of(
        options.model,
        getattr(options, "target_cpu", "host"),
        dict(options.dim),
        None if options.passes is None else Pipeline(options.passes),
        getattr(options, "autotune", False),
    )


def _observers(options: Namespace) -> list[Observer]:
    observers: list[Observer] = []
    if options.print_ir_after_all:
        observers.append(print_after_all(options.elide, options.locations))
    if options.dump_stages is not None:
        for name in stages.NAMES:
            check_absent(options.dump_stages / f"{name}.mlir", options.force)
        observers.append(dump_stages(options.dump_stages, options.force))
    return observers


def _emit(
    request: Request,
    kind: str,
    options: Namespace,
    observers: list[Observer],
    progress: Progress,
) -> Report:
    from compiler import emit

    output: Path | None = options.output
    stage = kind if kind in stages.NAMES else "llvm"
    low = lower_request(request, stage, observers, progress)
    progress(f"writing {kind}")
    label = Path(request.source.label).name
    if kind == "onnx" and output is not None and output.suffix in emit.ONNX_SUFFIXES:
        write_file(output, options.force, lambda path: emit.write_onnx(low, path))
    elif kind in stages.NAMES:
        text = low.as_text(elide=options.elide, locations=options.locations)
        write_text(text, output, options.force)
    elif kind == "llvm-ir":
        write_text(emit.llvm_ir(low, label), output, options.force)
    elif kind == "asm":
        write_text(emit.assembly(low, label), output, options.force)
    else:
        write_bytes(emit.object_code(low, label), output, options.force)
    return low.report


def _summary(request: Request, built: Built) -> Iterator[str]:
    program, report = built.program, built.report
    yield f"model       {request.source.label}"
    yield f"inputs      {', '.join(map(str, program.inputs))}"
    yield f"outputs     {', '.join(map(str, program.outputs))}"
    yield f"target      {request.target.cpu} ({request.target.triple})"
    shared = f", {report.shared:.0%} of the calls share one" if report.dispatches else ""
    yield (
        f"kernels     {report.kernels} for {report.dispatches} dispatches of "
        f"{report.nodes} nodes{shared}"
    )
    arena = program.signature.arena_bytes
    yield (
        f"sizes       code {byte_text(report.object_bytes)}, "
        f"constants {byte_text(report.constant_bytes)}, "
        f"arena {'by input sizes' if arena is None else byte_text(arena)}"
    )
    parts = {"import": report.import_seconds, **report.stage_seconds(), "code": report.code_seconds}
    text = ", ".join(f"{name} {seconds:.3f}" for name, seconds in parts.items())
    origin = " (when it was compiled; now from the cache)" if built.cached else ""
    yield f"seconds     {report.seconds:.3f}: {text}{origin}"
