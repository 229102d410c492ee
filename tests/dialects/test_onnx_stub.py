"""The committed stub is what the generator writes, and says of classes what they are."""

from __future__ import annotations

import ast
import re

import onnx
import pytest

from dialects.onnx import ops
from dialects.onnx.stub import TARGET, generate


def test_the_committed_stub_is_current() -> None:
    text = TARGET.read_text(encoding="utf-8")
    version = re.search(r"for onnx (\d+\.\d+)", text)
    assert version is not None
    if not onnx.__version__.startswith(version[1] + "."):
        pytest.skip(f"the stub is for onnx {version[1]}, installed is {onnx.__version__}")
    assert text == generate(), "run `python -m dialects.onnx.stub`"


def test_the_stub_names_every_class_and_field() -> None:
    tree = ast.parse(generate())
    stubs = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for made in ops.all_classes():
        stub = stubs.pop(python_name(made))
        fields = {
            member.target.id
            for member in stub.body
            if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name)
        }
        definition = made.get_irdl_definition()
        parts = (*definition.operands, *definition.results, *definition.regions)
        assert {name for name, _ in parts} | definition.accessor_names.keys() <= fields, made.name
    assert set(stubs) == {"OnnxOp"}


def python_name(made: type) -> str:
    """A class's name in `ops`: with the prefix of its domain if it is made from a schema."""
    if getattr(made, "SCHEMA", None) is None:
        return made.__name__
    prefix = ops.DOMAIN_PREFIX[made.DOMAIN].replace(".", "_")
    return f"{prefix}{made.OP_TYPE}_v{made.SINCE}"


@pytest.mark.parametrize("name", ["Conv_v22", "ml_Scaler_v1", "training_Adam_v1", "If_v16"])
def test_stub_names_are_names_in_the_module(name: str) -> None:
    assert re.search(rf"^class {name}\(OnnxOp\):", generate(), re.MULTILINE)
    assert issubclass(getattr(ops, name), ops.OnnxOp)


def test_unknown_names_are_attribute_errors() -> None:
    for name in ("Conv_v2", "Nonsense_v1", "ml_Conv_v11", "Conv"):
        with pytest.raises(AttributeError, match=name):
            getattr(ops, name)
