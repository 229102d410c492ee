"""One function of the `llvm` dialect as LLVM IR text: names, blocks, phi nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseArrayBase,
    DictionaryAttr,
    IntegerAttr,
    StringAttr,
)
from xdsl.ir import Attribute, Block, Operation, SSAValue

import compiler.llvm_text.intrinsics  # noqa: F401  (registers its writers)
from compiler.llvm_text.instructions import WRITERS, integer
from compiler.llvm_text.metadata import Metadata
from compiler.llvm_text.types import constant_text, quoted, symbol, type_text
from dialects import llvm
from runtime.errors import InternalError, Place

_ARGUMENT_ATTRIBUTES = {
    "llvm.noalias": "noalias",
    "llvm.nocapture": "captures(none)",
    "llvm.nonnull": "nonnull",
    "llvm.readonly": "readonly",
    "llvm.writeonly": "writeonly",
    "llvm.noundef": "noundef",
    "llvm.signext": "signext",
    "llvm.zeroext": "zeroext",
}
_SIZED_ATTRIBUTES = {"llvm.align": "align {}", "llvm.dereferenceable": "dereferenceable({})"}
_VISIBILITY = ("", "hidden ", "protected ")

Edge = tuple[Block, Sequence[SSAValue]]
"""A predecessor, and the values that it passes as block arguments."""


class FunctionText:
    """Writes one function. Afterwards `called` holds the functions and globals it names."""

    def __init__(self, op: llvm.FuncOp, metadata: Metadata, attributes: str) -> None:
        self.names: dict[SSAValue, str] = {}
        self.labels: dict[Block, str] = {}
        self.called: set[str] = set()
        self._op = op
        self._metadata = metadata
        self._attributes = attributes
        self._typed: dict[SSAValue, str] = {}

    def typed(self, value: SSAValue) -> str:
        """A value with its type."""
        return self._typed[value]

    def typed_list(self, values: Iterable[SSAValue]) -> str:
        """Values with their types, separated by commas."""
        typed = self._typed
        return ", ".join([typed[value] for value in values])

    def loop_metadata(self, op: Operation) -> str:
        """The reference to a branch's loop annotation."""
        annotation = op.properties.get("loop_annotation")
        if isinstance(annotation, llvm.LoopAnnotationAttr):
            return f", !llvm.loop {self._metadata.loop(annotation)}"
        return ""

    def write(self) -> str:
        """The whole definition."""
        op, scope = self._op, self._metadata.subprogram(self._op)
        blocks = list(op.body.blocks)
        self._name_values(blocks)
        edges = _incoming_edges(blocks)
        lines = [self._header(blocks[0].args, scope)]
        for position, block in enumerate(blocks):
            if position:
                lines.append(f"{self.labels[block]}:")
                self._write_phis(block, edges[block], lines)
            self._write_block(block, lines, scope)
        lines.append("}\n")
        return "\n".join(lines)

    def _name(self, value: SSAValue, name: str) -> None:
        self.names[value] = name
        self._typed[value] = f"{type_text(value.type)} {name}"

    def _name_values(self, blocks: Sequence[Block]) -> None:
        count = 0
        for position, block in enumerate(blocks):
            self.labels[block] = f"b{position}"
            for argument in block.args:
                self._name(argument, f"%{count}")
                count += 1
            for op in block.ops:
                literal = _LITERALS.get(op.name)
                for result in op.results:
                    if literal is None:
                        self._name(result, f"%{count}")
                        count += 1
                    else:
                        self._name(result, literal(op, self))

    def _header(self, arguments: Sequence[SSAValue], scope: str) -> str:
        op = self._op
        attributes = op.arg_attrs.data if op.arg_attrs else [DictionaryAttr({})] * len(arguments)
        parameters = ", ".join(
            f"{type_text(argument.type)} {_argument_attributes(each)}{self.names[argument]}"
            for argument, each in zip(arguments, attributes, strict=True)
        )
        result = type_text(op.function_type.output)
        linkage = op.linkage.linkage.data
        before = "" if linkage == "external" else f"{linkage} "
        before += _VISIBILITY[op.visibility_.value.data]
        after = f"{_function_attributes(op)}{self._attributes}{scope and f' !dbg {scope}'}"
        return f"define {before}{result} {symbol(op.sym_name.data)}({parameters}){after} {{\nb0:"

    def _write_phis(self, block: Block, edges: Sequence[Edge], lines: list[str]) -> None:
        names, labels = self.names, self.labels
        for position, argument in enumerate(block.args):
            incoming = ", ".join(
                f"[ {names[values[position]]}, %{labels[predecessor]} ]"
                for predecessor, values in edges
            )
            lines.append(f"  {names[argument]} = phi {type_text(argument.type)} {incoming}")

    def _write_block(self, block: Block, lines: list[str], scope: str) -> None:
        for op in block.ops:
            name = op.name
            if name in _LITERALS:
                continue
            write = WRITERS.get(name)
            if write is None:
                message = f"{name} has no form in LLVM IR"
                raise InternalError(message, Place(stage="llvm", node=self._op.sym_name.data))
            text = write(self, op)
            if scope:
                text += self._metadata.location(op, scope)
            results = op.results
            lines.append(f"  {self.names[results[0]]} = {text}" if results else f"  {text}")


def _constant(op: Operation, function: FunctionText) -> str:
    return constant_text(op.properties["value"], op.results[0].type)


def _zero(op: Operation, function: FunctionText) -> str:
    pointer = isinstance(op.results[0].type, llvm.LLVMPointerType)
    return "null" if pointer else "zeroinitializer"


def _address_of(op: Operation, function: FunctionText) -> str:
    assert isinstance(op, llvm.AddressOfOp)
    name = op.global_name.root_reference.data
    function.called.add(name)
    return symbol(name)


_LITERALS = {
    "llvm.mlir.constant": _constant,
    "llvm.mlir.zero": _zero,
    "llvm.mlir.addressof": _address_of,
    "llvm.mlir.poison": lambda op, function: "poison",
    "llvm.mlir.undef": lambda op, function: "undef",
}


def _incoming_edges(blocks: Iterable[Block]) -> dict[Block, list[Edge]]:
    edges: dict[Block, list[Edge]] = {block: [] for block in blocks}
    for block in edges:
        terminator = block.last_op
        if terminator is None:
            raise InternalError("a block has no terminator", Place(stage="llvm"))
        successors = terminator.successors
        for successor, values in zip(successors, _passed(terminator), strict=True):
            edges[successor].append((block, values))
    return edges


def _passed(terminator: Operation) -> list[Sequence[SSAValue]]:
    """The values that a terminator passes to each of its successors."""
    operands = terminator.operands
    if not terminator.successors:
        return []
    if len(terminator.successors) == 1 and terminator.name == "llvm.br":
        return [operands]
    _, first, second = _sizes(terminator.properties["operandSegmentSizes"])
    sizes = [first, second]
    if terminator.name == "llvm.switch":
        sizes = [first, *_sizes(terminator.properties["case_operand_segments"])]
    passed: list[Sequence[SSAValue]] = []
    start = 1
    for size in sizes:
        passed.append(operands[start : start + size])
        start += size
    return passed


def _sizes(attribute: Attribute) -> tuple[int, ...]:
    assert isinstance(attribute, DenseArrayBase)
    return tuple(int(value) for value in attribute.get_values())


def _argument_attributes(attributes: DictionaryAttr) -> str:
    """An argument's attributes, each followed by a space."""
    parts: list[str] = []
    for name, value in attributes.data.items():
        if name in _SIZED_ATTRIBUTES and isinstance(value, IntegerAttr):
            parts.append(_SIZED_ATTRIBUTES[name].format(integer(value)))
        elif name in _ARGUMENT_ATTRIBUTES:
            parts.append(_ARGUMENT_ATTRIBUTES[name])
        else:
            message = f"argument attribute {name} has no form in LLVM IR"
            raise InternalError(message, Place(stage="llvm"))
    return "".join(f"{part} " for part in parts)


def _function_attributes(op: llvm.FuncOp) -> str:
    """The attributes that `passthrough` lists, each preceded by a space."""
    # xDSL's parser files it under the attributes, its generic one under the properties.
    listed = op.properties.get("passthrough") or op.attributes.get("passthrough")
    text = ""
    for attribute in listed.data if isinstance(listed, ArrayAttr) else ():
        if isinstance(attribute, StringAttr):
            text += f" {attribute.data}"
        elif isinstance(attribute, ArrayAttr):
            key, value = (str(each.data) for each in attribute.data)
            text += f" {quoted(key)}={quoted(value)}"
    return text
