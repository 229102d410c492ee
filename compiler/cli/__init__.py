"""The command line: `terrace`, or `python -m compiler`.

`arguments` says what may be typed; each command has a file of its name. Data go to standard output,
everything else to standard error. Exit codes: 0 done, 1 something wrong that is diagnosed, 2 wrong
usage, 3 a comparison failed, 4 a device failed, 70 a bug in Terrace, 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Sequence

from compiler.cli.arguments import parse_arguments
from runtime.errors import TerraceError

OK, DIAGNOSED, USAGE, MISMATCH, DEVICE, INTERNAL, INTERRUPTED = 0, 1, 2, 3, 4, 70, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and gives its exit code."""
    try:
        options = parse_arguments(sys.argv[1:] if argv is None else list(argv))
    except SystemExit as request:
        # argparse has printed help or what was wrong.
        return request.code if isinstance(request.code, int) else USAGE
    warnings.showwarning = _show_warning
    try:
        command = importlib.import_module(f"compiler.cli.{options.command}_command")
        code = command.run(options)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("terrace: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python must not try to flush it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except (TerraceError, OSError) as error:
        _show(f"error: {error}", options.debug)
        return error.exit_code if isinstance(error, TerraceError) else DIAGNOSED
    except Exception as error:
        # The last resort of a program: anything that arrives here is a bug of ours.
        _show(f"internal error: {type(error).__name__}: {error}", options.debug)
        print("  hint: please report this; --debug shows where it happened", file=sys.stderr)
        return INTERNAL


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"terrace: warning: {message}", file=sys.stderr)


def _show(message: str, debug: bool) -> None:
    print(f"terrace: {message}", file=sys.stderr)
    if debug:
        traceback.print_exc()
