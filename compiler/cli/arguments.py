"""What may be typed. Nothing here imports xdsl or onnx: parsing takes milliseconds."""

from __future__ import annotations

import argparse
from pathlib import Path

from compiler.stages import CODE, NAMES
from compiler.version import PRODUCER

COMMANDS = ("compile", "run", "bench", "opt", "inspect", "doctor")

_MODEL = "a model: .onnx, .onnxtxt, .json, .textproto, or .mlir text of any stage"


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    """The options; `compile` is implied. Exits as argparse does when they are wrong."""
    general = ("-h", "--help", "--version")
    if argv and argv[0] not in COMMANDS and argv[0] not in general:
        argv = ["compile", *argv]
    parser = _parser()
    options = parser.parse_args(argv or ["--help"])
    if options.command is None:
        parser.error(f"give a command ({', '.join(COMMANDS)}) or a model")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="terrace",
        description="Compiles ONNX models. `terrace MODEL` is short for `terrace compile MODEL`.",
    )
    parser.add_argument("--version", action="version", version=PRODUCER)
    commands = parser.add_subparsers(dest="command", metavar="|".join(COMMANDS))
    _compile(_command(commands, "compile", "compile a model and say what came of it"))
    _run(_command(commands, "run", "run a model on given or random inputs"))
    _bench(_command(commands, "bench", "time a model, beside onnxruntime if that is wanted"))
    _opt(_command(commands, "opt", "run passes over a module's text"))
    _inspect(_command(commands, "inspect", "list a model's operators, kernels and memory"))
    _doctor(_command(commands, "doctor", "say what this machine and installation offer"))
    return parser


def _command(commands: argparse._SubParsersAction, name: str, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text.capitalize() + ".")
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    return parser


def _dim(text: str) -> tuple[str, int]:
    name, equals, size = text.rpartition("=")
    if not equals or not name or not size.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not of the form NAME=SIZE")
    return name, int(size)


def _compiling(parser: argparse.ArgumentParser) -> None:
    """Options of every command that compiles."""
    parser.add_argument("model", help=_MODEL)
    parser.add_argument(
        "--dim",
        type=_dim,
        action="append",
        default=[],
        metavar="NAME=SIZE",
        help="fix a symbolic size of the inputs",
    )
    parser.add_argument("-p", "--passes", metavar="PIPELINE", help="run these passes first")
    parser.add_argument("--no-cache", action="store_true", help="neither read nor write the cache")


def _tuning(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--autotune", action="store_true", help="measure schedules of each kernel, keep the fastest"
    )


def _printing(parser: argparse.ArgumentParser) -> None:
    """Options of every command that prints modules."""
    parser.add_argument(
        "--print-ir-after-all", action="store_true", help="print each pass's result (stderr)"
    )
    parser.add_argument("--time-passes", action="store_true", help="print times (stderr)")
    parser.add_argument(
        "--elide", type=int, metavar="BYTES", help="leave out constants of more bytes than this"
    )
    parser.add_argument(
        "--locations", action="store_true", help="print which node operations come from"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write to a file")
    _force(parser)


def _force(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="overwrite files that exist")


def _target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--target-cpu",
        default="host",
        metavar="CPU",
        help="a CPU (haswell), an architecture (aarch64), or CPU@TRIPLE; default: this machine",
    )


def _compile(parser: argparse.ArgumentParser) -> None:
    _compiling(parser)
    _target(parser)
    _tuning(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--emit", choices=[*NAMES, *CODE], help="what to print or write")
    what.add_argument(
        "--explain",
        action="store_true",
        help="say why each kernel got its schedule, and what it was not fused with",
    )
    parser.add_argument("--dump-stages", type=Path, metavar="DIR", help="write each stage's text")
    _printing(parser)


def _run(parser: argparse.ArgumentParser) -> None:
    _compiling(parser)
    _running(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.npz", help="write the outputs")
    parser.add_argument("--compare", choices=["onnxruntime", "reference"], help="with whom")
    parser.add_argument(
        "--intermediates",
        action="store_true",
        help="with --compare: name the first node whose result differs",
    )
    parser.add_argument("--repeat", type=int, default=1, help="run more often, and print times")
    _force(parser)


def _bench(parser: argparse.ArgumentParser) -> None:
    _compiling(parser)
    _running(parser)
    parser.add_argument("--against", choices=["onnxruntime"], help="time another one in turn")
    text = "time each side for so long (default 2)"
    parser.add_argument("--seconds", type=float, default=2.0, help=text)
    _force(parser)


def _running(parser: argparse.ArgumentParser) -> None:
    """Options of the commands that run a model."""
    _tuning(parser)
    parser.add_argument(
        "-i",
        "--input",
        action="append",
        default=[],
        metavar="INPUT",
        help="NAME=@FILE.npy, NAME=@FILE.npz, NAME=@FILE.pb, NAME=JSON, @FILE.npz with all "
        "inputs, or a folder with input_0.pb ... (and output_0.pb ... to compare with)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of random inputs (default 0)")
    parser.add_argument(
        "--size",
        type=_dim,
        action="append",
        default=[],
        metavar="NAME=SIZE",
        help="a symbolic size of random inputs (default 1)",
    )
    parser.add_argument("--rtol", type=float, default=1e-3, help="default 1e-3")
    parser.add_argument("--atol", type=float, default=1e-4, help="default 1e-4, of the largest")
    parser.add_argument("--threads", type=int, help="default: all cores this process may use")
    parser.add_argument(
        "--profile",
        type=Path,
        metavar="TRACE.json",
        help="write the kernels' times in a run, for Perfetto or chrome://tracing",
    )


def _opt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help=f"{_MODEL}; - reads a module's text from standard input")
    parser.add_argument("-p", "--passes", default="", metavar="PIPELINE", help="what to run")
    _printing(parser)


def _inspect(parser: argparse.ArgumentParser) -> None:
    _compiling(parser)
    _target(parser)


def _doctor(parser: argparse.ArgumentParser) -> None:
    del parser
