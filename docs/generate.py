"""Writes the pages that follow from the code: `dialects.md` and `passes.md`.

    python docs/generate.py [FOLDER]

FOLDER is where they go, by default beside this file. A test compares them.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import onnx
from xdsl.dialects import get_all_dialects
from xdsl.ir import Dialect, Operation
from xdsl.irdl import IRDLOperation, OptionalDef, VariadicDef

from compiler import stages
from compiler.ir_text import new_context
from compiler.registry import PASSES, load_pass
from compiler.target import Target

OURS = ("krnl", "hal")
EXTENDED = ("affine", "vector", "arith", "math", "llvm")
DOMAINS = {
    "": "onnx.{name}.v{version}",
    "ai.onnx.ml": "onnx.ml.{name}.v{version}",
    "ai.onnx.preview": "onnx.preview.{name}.v{version}",
    "ai.onnx.preview.training": "onnx.training.{name}.v{version}",
}


def dialects_page() -> Iterator[str]:
    """The dialects, operation by operation."""
    yield "# Dialects"
    yield (
        "Written by `docs/generate.py` from the definitions of the operations. In the tables, `*` "
        "stands for any number, `?` for none or one."
    )
    yield from onnx_section()
    for name in OURS:
        yield f"## `{name}`"
        yield f"```text\n{module_text(name)}\n```"
        yield operations_table(dialect(name).operations)
    for name in EXTENDED:
        upstream = {op.name: op for op in get_all_dialects()[name]().operations}
        ours = dialect(name).operations
        yield f"## `{name}`"
        yield f"```text\n{module_text(name)}\n```"
        yield "Operations that xDSL lacks, or that stand in the place of its:"
        yield operations_table([op for op in ours if upstream.get(op.name) is not op])


def onnx_section() -> Iterator[str]:
    """Operators by domain with their versions, and the operations that are no operators."""
    yield "## `onnx`"
    yield f"```text\n{inspect.getdoc(importlib.import_module('dialects.onnx.ops'))}\n```"
    yield "Operations that stand for no operator of ONNX:"
    special = [
        op
        for op in dialect("onnx").operations
        if ".v" not in op.name and not op.name.startswith("onnx.ml.")
    ]
    yield operations_table(special)
    versions: dict[str, dict[str, list[int]]] = {domain: {} for domain in DOMAINS}
    for schema in onnx.defs.get_all_schemas_with_history():
        found = versions[schema.domain].setdefault(schema.name, [])
        if schema.since_version not in found:
            found.append(schema.since_version)
    for domain, form in DOMAINS.items():
        names = versions[domain]
        yield f"Operators of {domain or 'ai.onnx'}, as `{form}`, with their versions:"
        yield ", ".join(
            f"{name} ({' '.join(map(str, sorted(found)))})" for name, found in sorted(names.items())
        )


def dialect(name: str) -> Dialect:
    """A dialect as the stages use it."""
    found = new_context().get_optional_dialect(name)
    assert found is not None
    return found


def module_text(name: str) -> str:
    """The docstring of a dialect's module, which has its grammar."""
    return inspect.getdoc(importlib.import_module(f"dialects.{name}")) or ""


def operations_table(operations: Iterator[type[Operation]] | list[type[Operation]]) -> str:
    """A row for each operation: name, parts, meaning."""
    rows = ["| operation | operands | results | properties | meaning |", "|---|---|---|---|---|"]
    for op in sorted(operations, key=lambda op: op.name):
        assert issubclass(op, IRDLOperation)
        parts = op.get_irdl_definition()
        cells = [
            f"`{op.name}`",
            *(" ".join(map(part_text, part)) for part in (parts.operands, parts.results)),
            " ".join(map(part_text, parts.properties.items())),
            first_paragraph(op),
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def part_text(part: tuple[str, object]) -> str:
    """An operand, result or property with the mark of its number."""
    name, definition = part
    if isinstance(definition, OptionalDef):
        return f"{name}?"
    return f"{name}\\*" if isinstance(definition, VariadicDef) else name


def first_paragraph(cls: type) -> str:
    """The first paragraph of a class's own docstring on one line."""
    text = inspect.cleandoc(cls.__dict__.get("__doc__") or "").partition("\n\n")[0]
    return " ".join(text.split()).replace("|", "\\|")


def summary(name: str, cls: type) -> str:
    """What the docstring of a pass's module says first, after the name; else that of the pass."""
    module = importlib.import_module(PASSES[name].partition(":")[0])
    text = " ".join((module.__doc__ or "").partition("\n\n")[0].split())
    head, _, rest = text.partition(": ")
    found = rest if head.strip("`") == name else first_paragraph(cls)
    return found.replace("|", "\\|")


def passes_page() -> Iterator[str]:
    """The passes, with their options, stage by stage."""
    yield "# Passes"
    yield (
        "Written by `docs/generate.py`. The first column says on which stage a pass stands in the "
        "default pipeline (see [pipeline](pipeline.md)); the docstring of its module says what it "
        "requires and ensures."
    )
    host = Target(triple="", cpu="")
    order = [text.partition("{")[0] for text in stages.default_passes(host)]
    homes = stages.homes()
    names = [*dict.fromkeys(order), *sorted(PASSES.keys() - set(order))]
    rows = ["| stage | pass | options | what it does |", "|---|---|---|---|"]
    for name in names:
        cls = load_pass(name)
        stage = stages.NAMES[homes[name]] if name in homes else "any"
        options = ", ".join(
            f"`{field.name.replace('_', '-')}`" for field in dataclasses.fields(cls)
        )
        home = PASSES[name].partition(":")[0].replace(".", "/")
        folder = Path(__file__).parents[1] / home
        path = f"../{home}/__init__.py" if folder.is_dir() else f"../{home}.py"
        rows.append(f"| {stage} | [`{name}`]({path}) | {options} | {summary(name, cls)} |")
    yield "\n".join(rows)


PAGES = {"dialects.md": dialects_page, "passes.md": passes_page}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for name, page in PAGES.items():
        (folder / name).write_text("\n\n".join(page()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
