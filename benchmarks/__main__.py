"""The command line: `python -m benchmarks COMMAND`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import baseline
from benchmarks.folders import default_folder
from benchmarks.options import Options
from benchmarks.results import Results
from runtime.cpus import available_cpus

MODULES = {
    "models": ("benchmarks.models", "models beside onnxruntime"),
    "roofline": ("benchmarks.roofline", "every kernel beside what the machine could do"),
    "compile": ("benchmarks.compile_times", "compile time by phase, cold and from the cache"),
    "overhead": ("benchmarks.overhead", "one call of a tiny static model"),
    "gpt2": ("benchmarks.gpt2", "GPT-2: logits, prefill, decode, compile time, memory"),
}
"""A command's module, which has `run(options) -> Results`, and what it measures."""


_PATHS: dict[str, Any] = {
    "nargs": "*",
    "type": Path,
    "metavar": "PATH",
    "default": [default_folder()],
    "help": "models or folders of them; default: those that `write` wrote",
}


def make_parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures Terrace.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (_, text) in MODULES.items():
        command = commands.add_parser(name, help=text, description=text.capitalize() + ".")
        if name in ("models", "roofline", "compile", "gpt2"):
            command.add_argument("paths", **_PATHS)
        _add_common(command)
        if name == "compile":
            command.add_argument("--passes", action="store_true", help="print the slowest passes")
        else:
            _add_threads(command)
        if name not in ("compile", "roofline"):
            _add_seconds(command)
        if name == "roofline":
            command.add_argument("--plot", type=Path, metavar="OUT.svg", help="draw them")
        if name == "gpt2":
            lengths = {"type": _positive, "default": [8, 32, 128], "metavar": "TOKENS"}
            command.add_argument("--lengths", nargs="+", help="default 8 32 128", **lengths)
            command.add_argument("--batch", type=_positive, default=1, help="default 1")
    _add_write(commands)
    _add_report(commands)
    return parser


def _add_write(commands: argparse._SubParsersAction) -> None:
    text = "write the models that benchmarks run"
    command = commands.add_parser("write", help=text, description=text.capitalize() + ".")
    text = "a model, or 'models' or 'micro'; default: all"
    command.add_argument("names", nargs="*", metavar="NAME", help=text)
    text = f"a folder for each model in here; default {default_folder()}"
    command.add_argument("--to", type=Path, default=default_folder(), metavar="DIR", help=text)


def _add_report(commands: argparse._SubParsersAction) -> None:
    text = "write a page of results, with a plot of the kernels"
    command = commands.add_parser("report", help=text, description=text.capitalize() + ".")
    text = "results of `models` and `roofline`, each with the title of its section"
    command.add_argument("results", nargs="+", type=_titled, metavar="TITLE=FILE.json", help=text)
    command.add_argument("--to", type=Path, default=Path("docs/performance.md"), metavar="OUT.md")


def _titled(text: str) -> tuple[str, Path]:
    title, equals, path = text.rpartition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"'{text}' is not TITLE=FILE.json")
    return title, Path(path)


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only these")
    command.add_argument("--json", type=Path, metavar="OUT", help="write the results")
    text = "earlier results: print what got slower and faster"
    command.add_argument("--baseline", type=Path, metavar="OLD.json", help=text)


def _add_threads(command: argparse.ArgumentParser) -> None:
    cores = sorted({1, available_cpus()})
    text = f"numbers of threads; default {' '.join(map(str, cores))}"
    command.add_argument("--threads", nargs="+", type=_positive, default=cores, help=text)


def _add_seconds(command: argparse.ArgumentParser) -> None:
    text = "measure each side of a comparison for so long; default 2"
    command.add_argument("--seconds", type=float, default=2.0, help=text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number above 0")
    return int(text)


def _write(parser: argparse.ArgumentParser, names: Sequence[str], to: Path) -> int:
    from benchmarks.model_set import catalog

    try:
        for name in catalog.names_of(names):
            catalog.write(name, to / name)
            print(to / name, flush=True)
    except (ValueError, OSError, ImportError) as error:
        parser.error(str(error))
    return 0


def _report(parser: argparse.ArgumentParser, results: Sequence[tuple[str, Path]], to: Path) -> int:
    from benchmarks import report

    try:
        report.write(results, to)
    except (ValueError, OSError, ImportError) as error:
        parser.error(str(error))
    print(to)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; without one, `models`.

    The exit status is 1 if something failed or computed wrong results.
    """
    parser = make_parser()
    words = list(sys.argv[1:] if arguments is None else arguments) or ["models"]
    given = vars(parser.parse_args(words))
    command = given.pop("command")
    if command == "write":
        return _write(parser, **given)
    if command == "report":
        return _report(parser, **given)
    out, old = given.pop("json"), given.pop("baseline")
    try:
        earlier = Results.load(old) if old else None
        results = importlib.import_module(MODULES[command][0]).run(Options(**given))
    except (ValueError, OSError, ImportError) as error:
        parser.error(str(error))
    if out:
        results.save(out)
    if earlier:
        baseline.print_changes(earlier, results)
    return int(any("error" in row or "wrong" in row for row in results.rows))


if __name__ == "__main__":
    sys.exit(main())
