"""What our dialects print is read back, and read by upstream as the text it came from was.

`dialects/<name>.mlir` holds the operations that xDSL lacks or that we replace.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.printer import Printer

from compiler.ir_text import new_context, parse_module

CASES = sorted((Path(__file__).parent / "dialects").glob("*.mlir"))
FORMS = pytest.mark.parametrize("generic", [False, True], ids=["pretty", "generic"])
FILES = pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)


def printed(module: ModuleOp, generic: bool) -> str:
    stream = io.StringIO()
    Printer(stream, print_generic_format=generic).print_op(module)
    return stream.getvalue()


def upstream_reading(text: str) -> str:
    """The generic form of a text, after upstream has parsed and verified it."""
    tool = shutil.which("mlir-opt-22")
    if tool is None:
        pytest.skip("mlir-opt-22 is not installed (Debian package mlir-22-tools)")
    command = [tool, "--mlir-print-op-generic"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}\n{text}"
    return done.stdout


@FORMS
@FILES
def test_round_trip(case: Path, generic: bool) -> None:
    # Once through the parser first: xDSL's reads the attributes of llvm.func in either form into
    # another place.
    first = printed(parse_module(case.read_text(), new_context()), generic)
    text = printed(parse_module(first, new_context()), generic)
    assert printed(parse_module(text, new_context()), generic) == text
    assert text.count("\n") == first.count("\n")


@FILES
def test_upstream_reads_the_same(case: Path) -> None:
    source = case.read_text()
    module = parse_module(source, new_context())
    assert upstream_reading(printed(module, False)) == upstream_reading(source)


@pytest.mark.parametrize("case", [c for c in CASES if c.stem != "affine"], ids=lambda c: c.stem)
def test_upstream_reads_the_generic_form(case: Path) -> None:
    # xDSL makes symbols of the subscripts of affine accesses that it parses, which upstream takes
    # in their own syntax only; accesses made by our passes use dimensions.
    source = case.read_text()
    module = parse_module(source, new_context())
    assert upstream_reading(printed(module, True)) == upstream_reading(source)


@FILES
def test_we_read_what_upstream_prints(case: Path) -> None:
    reading = upstream_reading(case.read_text())
    module = parse_module(reading, new_context())
    assert upstream_reading(printed(module, False)) == reading
