"""Metadata of one LLVM module: loop annotations and debug locations."""

from __future__ import annotations

from typing import cast

from xdsl.dialects.builtin import (
    ArrayAttr,
    CallSiteLoc,
    FileLineColLoc,
    FusedLoc,
    IntegerAttr,
    LocationAttr,
    NameLoc,
)
from xdsl.ir import Attribute, Operation

from compiler.llvm_text.types import quoted
from dialects import llvm


class Metadata:
    """Numbers and collects the metadata of a module.

    `debug` is the file name for debug locations, or empty for none. !0 and !1 are what `invariant`
    and `nontemporal` accesses refer to.
    """

    def __init__(self, debug: str = "") -> None:
        self._nodes = ["!{}", "!{i32 1}"]
        self._debug = debug
        self._known: dict[str, str] = {}
        if debug:
            self._file = self.node(f'!DIFile(filename: {quoted(debug)}, directory: ".")')
            self._unit = self.node(
                f"distinct !DICompileUnit(language: DW_LANG_C99, file: {self._file},"
                ' producer: "terrace", isOptimized: true, emissionKind: LineTablesOnly)'
            )

    def node(self, text: str) -> str:
        """A node; equal ones that are not distinct are the same."""
        found = self._known.get(text)
        if found is None:
            found = f"!{len(self._nodes)}"
            self._nodes.append(text)
            if not text.startswith("distinct"):
                self._known[text] = found
        return found

    def loop(self, annotation: llvm.LoopAnnotationAttr) -> str:
        """The node of a loop's annotation; every loop has its own."""
        parts = [self.node(text) for text in _loop_options(annotation)]
        self_reference = f"!{len(self._nodes)}"
        return self.node(f"distinct !{{{', '.join([self_reference, *parts])}}}")

    def subprogram(self, op: llvm.FuncOp) -> str:
        """The debug scope of a function, or nothing without debug locations."""
        if not self._debug:
            return ""
        name = quoted(op.sym_name.data)
        kind = self.node("!DISubroutineType(types: !0)")
        line = line_of(op.location)
        return self.node(
            f"distinct !DISubprogram(name: {name}, scope: {self._file}, file: {self._file},"
            f" line: {line}, type: {kind}, scopeLine: {line}, unit: {self._unit},"
            " spFlags: DISPFlagDefinition | DISPFlagOptimized)"
        )

    def location(self, op: Operation, scope: str) -> str:
        """The debug location that ends an instruction. LLVM wants one on every call."""
        line = line_of(op.location)
        if not line and op.name != "llvm.call":
            return ""
        return f", !dbg {self.node(f'!DILocation(line: {line}, scope: {scope})')}"

    def write(self) -> str:
        """The definitions of all nodes."""
        lines = [f"!{number} = {node}" for number, node in enumerate(self._nodes)]
        if self._debug:
            flag = f"!{len(lines)}"
            lines.append(f'{flag} = !{{i32 2, !"Debug Info Version", i32 3}}')
            lines += [f"!llvm.dbg.cu = !{{{self._unit}}}", f"!llvm.module.flags = !{{{flag}}}"]
        return "\n".join(lines) + "\n"


def line_of(location: LocationAttr | Attribute) -> int:
    """The line of a location, which for us is the number of an ONNX node; 0 if unknown."""
    if isinstance(location, FileLineColLoc):
        return location.line.data
    if isinstance(location, NameLoc):
        return line_of(location.location)
    if isinstance(location, CallSiteLoc):
        return line_of(location.callee)
    if isinstance(location, FusedLoc):
        parts = cast(ArrayAttr[Attribute], location.locations)
        return next((line for part in parts if (line := line_of(part))), 0)
    return 0


def _loop_options(annotation: llvm.LoopAnnotationAttr) -> list[str]:
    texts: list[str] = []
    for group, options in annotation.options.items():
        if isinstance(
            options, llvm.LoopVectorizeAttr | llvm.LoopInterleaveAttr | llvm.LoopUnrollAttr
        ):
            texts += [_loop_option(group, key, value) for key, value in options.data]
        elif group == "mustProgress":
            texts.append('!{!"llvm.loop.mustprogress"}')
    return texts


def _loop_option(group: str, key: str, value: Attribute) -> str:
    assert isinstance(value, IntegerAttr)
    number = value.value.data
    match group, key:
        case "vectorize", "disable":
            return f'!{{!"llvm.loop.vectorize.enable", i1 {"false" if number else "true"}}}'
        case "vectorize", "width":
            return f'!{{!"llvm.loop.vectorize.width", i32 {number}}}'
        case "vectorize", _:
            option = {"predicateEnable": "predicate", "scalableEnable": "scalable"}[key]
            flag = "true" if number else "false"
            return f'!{{!"llvm.loop.vectorize.{option}.enable", i1 {flag}}}'
        case "interleave", "count":
            return f'!{{!"llvm.loop.interleave.count", i32 {number}}}'
        case "unroll", "count":
            return f'!{{!"llvm.loop.unroll.count", i32 {number}}}'
        case "unroll", "disable":
            return f'!{{!"llvm.loop.unroll.{"disable" if number else "enable"}"}}'
        case "unroll", "full":
            return '!{!"llvm.loop.unroll.full"}'
        case _:
            return '!{!"llvm.loop.unroll.runtime.disable"}'
