"""Model-local functions: a call becomes a clone of the function's body."""

from __future__ import annotations

from collections.abc import Mapping

from xdsl.dialects.builtin import DictionaryAttr, LocationAttr, ModuleOp, NameLoc, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation, SSAValue

from dialects.onnx.constants import ConstantPool, constant_node
from dialects.onnx.locations import node_of, place_of
from dialects.onnx.ops import Call, Custom, OnnxOp
from dialects.onnx.types import AttributeRefAttr
from passes.onnx.editing import replace_value
from runtime.errors import InvalidModelError

FUNCTION = "onnx.function"


class Functions:
    """The functions of a module: model-local ones by symbol, and the others."""

    def __init__(self, module: ModuleOp) -> None:
        functions = [op for op in module.body.block.ops if isinstance(op, FuncOp)]
        self.local = {f.sym_name.data: f for f in functions if FUNCTION in f.attributes}
        self.entries = [f for f in functions if FUNCTION not in f.attributes]

    def erase(self) -> None:
        """Takes the model-local functions out of the module."""
        for function in self.local.values():
            function.detach()
            function.erase()


def inline_call(call: Call, functions: Functions, pool: ConstantPool) -> list[Call]:
    """Puts the body of the function that is called in the call's place; gives the calls in it.

    Raises InvalidModelError for a function that the module does not have.
    """
    name = call.callee.root_reference.data
    function = functions.local.get(name)
    if function is None or call.parent is None:
        raise InvalidModelError(
            f"function '{name}' is not defined", place_of(call.location, "onnx")
        )
    given = _arguments(call, function)
    prefix = node_of(call.location).name
    mapping: dict[SSAValue, SSAValue] = dict(
        zip(function.body.block.args, call.operands, strict=True)
    )
    last = function.body.block.last_op
    assert last is not None
    clones: list[Operation] = []
    for op in function.body.block.ops:
        if op is not last:
            clones.append(op.clone(mapping))
            call.parent.insert_op_before(clones[-1], call)
    for result, value in zip(call.results, last.operands, strict=True):
        replace_value(result, mapping[value])
    call.parent.erase_op(call)
    inner = [op for clone in clones for op in clone.walk()]
    for op in inner:
        op.location = prefixed(op.location, prefix)
        _resolve_references(op, given, pool)
    return [op for op in inner if isinstance(op, Call)]


def _arguments(call: Call, function: FuncOp) -> dict[str, Attribute]:
    """What each attribute of the function is in this call; absent ones are left out."""
    info = function.attributes[FUNCTION]
    defaults = info.data.get("defaults") if isinstance(info, DictionaryAttr) else None
    given = dict(defaults.data) if isinstance(defaults, DictionaryAttr) else {}
    return given | call.attributes


def _resolve_references(op: Operation, given: Mapping[str, Attribute], pool: ConstantPool) -> None:
    """Puts the call's attributes in the place of references to them."""
    fields = op.attributes if isinstance(op, Custom | Call) else op.properties
    references = {n: a for n, a in fields.items() if isinstance(a, AttributeRefAttr)}
    for name, reference in references.items():
        value = given.get(reference.ref_name.data)
        if value is None:
            del fields[name]
        else:
            fields[name] = value
    if references and isinstance(op, OnnxOp) and op.OP_TYPE == "Constant":
        _to_const(op, pool)


def _to_const(op: OnnxOp, pool: ConstantPool) -> None:
    made = constant_node(op.properties, pool)
    made.location = op.location
    assert op.parent is not None
    op.parent.insert_op_before(made, op)
    replace_value(op.results[0], made.result)
    op.parent.erase_op(op)


def prefixed(location: LocationAttr, prefix: str) -> LocationAttr:
    """The location with ``prefix`` and a slash before the node's name."""
    if isinstance(location, NameLoc) and prefix:
        return NameLoc(StringAttr(f"{prefix}/{location.desc.data}"), location.location)
    return location
