"""`terrace opt`: a module of any stage goes in, passes run over it, its text comes out."""

from __future__ import annotations

import sys
from argparse import Namespace

from compiler.cli.output import check_absent, write_text
from compiler.cli.printing import print_after_all, print_times
from compiler.cli.progress import Progress
from compiler.driver import Request, read
from compiler.pipeline import Pipeline
from compiler.source import Source


def run(options: Namespace) -> int:
    """Runs the command."""
    check_absent(options.output, options.force)
    pipeline = Pipeline(options.passes)
    # Mistakes in the pipeline are found before a long text is parsed.
    pipeline.passes()
    source = Source("<stdin>", text=sys.stdin.read()) if options.model == "-" else options.model
    observe = options.print_ir_after_all
    observers = [print_after_all(options.elide, options.locations)] if observe else []
    with Progress() as progress:
        low = read(Request.of(source), progress)
        low.run(pipeline, observers)
        text = low.as_text(elide=options.elide, locations=options.locations)
    write_text(text, options.output, options.force)
    if options.time_passes:
        print_times(low.report)
    return 0
