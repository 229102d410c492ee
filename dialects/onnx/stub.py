"""Writes `ops.pyi`, the typed view of `ops.py`: `python -m dialects.onnx.stub`.

The hand-written part of `ops.py` gives its signatures; one class for every operator version of
the installed onnx follows. Attributes are typed `Attribute`, since inside of model-local
functions any of them may be an `AttributeRefAttr`; their ONNX kind stands in a comment.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import onnx
import onnx.defs

from dialects.onnx.ops import DOMAIN_PREFIX, class_fields

SOURCE = Path(__file__).with_name("ops.py")
TARGET = Path(__file__).with_name("ops.pyi")

_FIELD_TYPES = {
    "operand_def": "SSAValue",
    "var_operand_def": "VarOperand",
    "result_def": "OpResult",
    "var_result_def": "VarOpResult",
    "region_def": "Region",
    "var_region_def": "VarRegion",
}
_KIND_TYPES = {
    "operand": "SSAValue",
    "operands": "VarOperand",
    "result": "OpResult",
    "results": "VarOpResult",
    "region": "Region",
    "required_property": "Attribute",
    "property": "Attribute | None",
}
_WIDTH = 100


def generate() -> str:
    """The text of `ops.pyi` for the installed onnx."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    hand_written = "\n".join(line for node in tree.body for line in _statement(node))
    hand_written = re.sub(r"(?<=\w)\ndef ", "\n\ndef ", hand_written, count=1)
    schemas = sorted(
        onnx.defs.get_all_schemas_with_history(),
        key=lambda schema: (DOMAIN_PREFIX[schema.domain], schema.name, schema.since_version),
    )
    classes = "\n".join(line for schema in schemas for line in _schema_class(schema))
    body = f"{hand_written}\n{classes}\n"
    version = ".".join(onnx.__version__.split(".")[:2])
    head = f"# Written by `python -m dialects.onnx.stub` for onnx {version}; do not edit.\n\n"
    text = f"{head}{_imports(tree, body)}\n\n{body}"
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def _imports(tree: ast.Module, body: str) -> str:
    """The imports of `ops.py` that its stub needs, and those of field types."""
    words = set(re.findall(r"\w+", body))
    origins = {"OpResult": "xdsl.ir", "Region": "xdsl.ir"}
    origins |= dict.fromkeys(("VarOperand", "VarOpResult", "VarRegion"), "xdsl.irdl")
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module != "__future__":
            origins |= {alias.name: node.module or "" for alias in node.names}
    modules: dict[str, list[str]] = {}
    for name in sorted(words & origins.keys(), key=str.lower):
        if name[0].isupper():
            modules.setdefault(origins[name], []).append(name)
    lines: list[str] = []
    for module, names in sorted(modules.items()):
        head = f"from {module} import "
        lines += _fitting(f"{head}{', '.join(names)}", f"{head}(", names, ")")
    ours = next(k for k, line in enumerate(lines) if "xdsl" in line)
    return "\n".join([*lines[:ours], "", "import onnx.defs", *lines[ours:]])


def _fitting(line: str, head: str, entries: list[str], tail: str, indent: int = 0) -> list[str]:
    """The line, or where it is too long a list with an entry a line."""
    if indent + len(line) <= _WIDTH:
        return [line]
    return [head, *(f"    {entry}," for entry in entries), tail]


def _statement(node: ast.stmt) -> Iterator[str]:
    """The stub of a public statement of `ops.py`."""
    match node:
        case ast.AnnAssign(target=ast.Name(id=name)) if not name.startswith("_"):
            yield f"{name}: {ast.unparse(node.annotation)}"
        case ast.Assign(targets=[ast.Name(id=name)]) if not name.startswith("_"):
            yield ast.unparse(node)
        case ast.FunctionDef(name=name) if not name.startswith("_"):
            yield from _signature(node)
        case ast.ClassDef(name=name) if not name.startswith("_"):
            yield ""
            yield f"class {name}({', '.join(map(ast.unparse, node.bases))}):"
            yield from (f"    {line}" for member in node.body for line in _member(member))
            yield ""


def _signature(node: ast.FunctionDef, indent: int = 0) -> list[str]:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    head, tail = f"def {node.name}(", f"){returns}: ..."
    parameters = [ast.unparse(parameter) for parameter in node.args.args]
    return _fitting(f"{head}{', '.join(parameters)}{tail}", head, parameters, tail, indent)


def _member(node: ast.stmt) -> Iterator[str]:
    """The stub of a member of a hand-written operation class."""
    match node:
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield f"{name}: {ast.unparse(node.annotation)}"
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id=made))):
            if made in _FIELD_TYPES:
                yield f"{name}: {_FIELD_TYPES[made]}"
            elif made in ("prop_def", "opt_prop_def"):
                yield f"{name}: {_property_type(node.value, made)}"
        case ast.FunctionDef():
            yield from (f"@{ast.unparse(decorator)}" for decorator in node.decorator_list)
            yield from _signature(node, indent=4)


def _property_type(value: ast.expr, made: str) -> str:
    assert isinstance(value, ast.Call)
    constraint = ast.unparse(value.args[0])
    kind = "Attribute" if constraint == "AnyAttr()" else constraint
    return kind if made == "prop_def" else f"{kind} | None"


def _schema_class(schema: onnx.defs.OpSchema) -> Iterator[str]:
    prefix = DOMAIN_PREFIX[schema.domain].replace(".", "_")
    fields = class_fields(schema)
    head = f"class {prefix}{schema.name}_v{schema.since_version}(OnnxOp):"
    if not fields:
        yield f"\n{head} ...\n"
        return
    yield ""
    yield head
    for field, (kind, name) in fields.items():
        about = name if kind in ("operand", "operands", "result", "results") else ""
        if kind.endswith("property"):
            about = schema.attributes[name].type.name + (f" {name}" if name != field else "")
        comment = f"  # {about}" if about and about != field else ""
        yield f"    {field}: {_KIND_TYPES[kind]}{comment}"
    yield ""


def main() -> None:
    """Rewrites `ops.pyi`."""
    TARGET.write_text(generate(), encoding="utf-8")


if __name__ == "__main__":
    main()
