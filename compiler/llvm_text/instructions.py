"""Instructions of the `llvm` dialect as LLVM IR text, one short function a family."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from xdsl.dialects.builtin import (
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    IntegerAttr,
    StringAttr,
    SymbolRefAttr,
)
from xdsl.ir import Attribute, Operation

from compiler.llvm_text.types import quoted, symbol, type_text
from dialects import llvm

if TYPE_CHECKING:
    from compiler.llvm_text.functions import FunctionText

Writer = Callable[["FunctionText", Operation], str]
"""Gives the instruction's text without `%result =`."""

WRITERS: dict[str, Writer] = {}

_OVERFLOW = ("", "nsw ", "nuw ", "nuw nsw ")
_ICMP = tuple(flag.value for flag in llvm.ALL_ICMP_FLAGS)
_FCMP = tuple(flag.value.removeprefix("_") for flag in llvm.ALL_FCMP_FLAGS)

_BINARY = "add sub mul shl udiv sdiv lshr ashr urem srem and or xor fadd fsub fmul fdiv frem"
_CASTS = (
    "trunc zext sext fptrunc fpext fptosi fptoui sitofp uitofp bitcast inttoptr ptrtoint"
    " addrspacecast"
)


def writer(*names: str) -> Callable[[Writer], Writer]:
    """Registers the decorated function for operations `llvm.<name>`."""

    def register(function: Writer) -> Writer:
        for name in names:
            WRITERS[f"llvm.{name}"] = function
        return function

    return register


def fast_math(op: Operation) -> str:
    """Fast-math flags, each followed by a space."""
    flags = op.properties.get("fastmathFlags")
    return "" if flags is None or flags is llvm.NO_FAST_MATH else _flags(flags)


@cache
def _flags(flags: Attribute) -> str:
    assert isinstance(flags, llvm.FastMathAttr)
    # A set in xDSL: put in order, because texts are keys of the object cache.
    return "".join(f"{flag} " for flag in sorted(flag.value for flag in flags.data))


def integer(attribute: Attribute | None) -> int:
    assert isinstance(attribute, IntegerAttr)
    return attribute.value.data


def optional_integer(op: Operation, name: str) -> int:
    attribute = op.properties.get(name)
    return integer(attribute) if attribute is not None else 0


def _integers(attribute: Attribute | None) -> tuple[int, ...]:
    assert isinstance(attribute, DenseArrayBase)
    return tuple(int(value) for value in attribute.get_values())


def _binary_flags(op: Operation) -> str:
    properties = op.properties
    overflow = properties.get("overflowFlags")
    if overflow is not None:
        return _OVERFLOW[integer(overflow)]
    if "isExact" in properties:
        return "exact "
    return "disjoint " if "isDisjoint" in properties else fast_math(op)


@writer(*_BINARY.split())
def _binary(function: FunctionText, op: Operation) -> str:
    names = function.names
    lhs, rhs = op.operands
    kind = type_text(lhs.type)
    return f"{op.name[5:]} {_binary_flags(op)}{kind} {names[lhs]}, {names[rhs]}"


@writer("fneg", "freeze")
def _unary(function: FunctionText, op: Operation) -> str:
    return f"{op.name[5:]} {fast_math(op)}{function.typed(op.operands[0])}"


@writer(*_CASTS.split())
def _cast(function: FunctionText, op: Operation) -> str:
    flags = "nneg " if "nonNeg" in op.properties else ""
    overflow = op.properties.get("overflowFlags")
    if isinstance(overflow, llvm.OverflowAttr):
        flags = _OVERFLOW[overflow.to_int()]
    target = type_text(op.results[0].type)
    return f"{op.name[5:]} {flags}{function.typed(op.operands[0])} to {target}"


@writer("icmp")
def _icmp(function: FunctionText, op: Operation) -> str:
    lhs, rhs = op.operands
    predicate = _ICMP[integer(op.properties["predicate"])]
    return f"icmp {predicate} {function.typed(lhs)}, {function.names[rhs]}"


@writer("fcmp")
def _fcmp(function: FunctionText, op: Operation) -> str:
    lhs, rhs = op.operands
    predicate = _FCMP[integer(op.properties["predicate"])]
    return f"fcmp {fast_math(op)}{predicate} {function.typed(lhs)}, {function.names[rhs]}"


@writer("select")
def _select(function: FunctionText, op: Operation) -> str:
    return f"select {fast_math(op)}{function.typed_list(op.operands)}"


@writer("extractelement")
def _extractelement(function: FunctionText, op: Operation) -> str:
    return f"extractelement {function.typed_list(op.operands)}"


@writer("insertelement")
def _insertelement(function: FunctionText, op: Operation) -> str:
    return f"insertelement {function.typed_list(op.operands)}"


@writer("shufflevector")
def _shufflevector(function: FunctionText, op: Operation) -> str:
    mask = _integers(op.properties["mask"])
    lanes = ", ".join("i32 poison" if lane < 0 else f"i32 {lane}" for lane in mask)
    return f"shufflevector {function.typed_list(op.operands)}, <{len(mask)} x i32> <{lanes}>"


def _positions(op: Operation) -> str:
    return "".join(f", {position}" for position in _integers(op.properties["position"]))


@writer("extractvalue")
def _extractvalue(function: FunctionText, op: Operation) -> str:
    return f"extractvalue {function.typed(op.operands[0])}{_positions(op)}"


@writer("insertvalue")
def _insertvalue(function: FunctionText, op: Operation) -> str:
    return f"insertvalue {function.typed_list(op.operands)}{_positions(op)}"


@writer("alloca")
def _alloca(function: FunctionText, op: Operation) -> str:
    kind = type_text(op.properties["elem_type"])
    count = function.typed(op.operands[0])
    return f"alloca {kind}, {count}{_alignment(op)}"


def _alignment(op: Operation) -> str:
    alignment = optional_integer(op, "alignment")
    return f", align {alignment}" if alignment else ""


@writer("getelementptr")
def _getelementptr(function: FunctionText, op: Operation) -> str:
    flags = "inbounds " if optional_integer(op, "noWrapFlags") & 1 else ""
    pointer, *dynamic = op.operands
    values = iter(dynamic)
    indices = "".join(
        f", {function.typed(next(values))}" if index == llvm.GEP_USE_SSA_VAL else f", i32 {index}"
        for index in _integers(op.properties["rawConstantIndices"])
    )
    kind = type_text(op.properties["elem_type"])
    return f"getelementptr {flags}{kind}, {function.typed(pointer)}{indices}"


def _access(op: Operation) -> tuple[str, str, str]:
    """What stands before the type of a load or store, after the pointer, and at the end."""
    properties = op.properties
    ordering = optional_integer(op, "ordering")
    before = "atomic " if ordering else ""
    after = f" {llvm.ATOMIC_ORDERING_KEYWORDS[ordering]}" if ordering else ""
    if "volatile_" in properties:
        before += "volatile "
    end = _alignment(op)
    if "invariant" in properties:
        end += ", !invariant.load !0"
    if "nontemporal" in properties:
        end += ", !nontemporal !1"
    return before, after, end


@writer("load")
def _load(function: FunctionText, op: Operation) -> str:
    before, after, end = _access(op)
    kind = type_text(op.results[0].type)
    return f"load {before}{kind}, {function.typed(op.operands[0])}{after}{end}"


@writer("store")
def _store(function: FunctionText, op: Operation) -> str:
    before, after, end = _access(op)
    return f"store {before}{function.typed_list(op.operands)}{after}{end}"


@writer("atomicrmw")
def _atomicrmw(function: FunctionText, op: Operation) -> str:
    operation = llvm.ATOMIC_BINARY_OPERATIONS[integer(op.properties["bin_op"])]
    ordering = llvm.ATOMIC_ORDERING_KEYWORDS[integer(op.properties["ordering"])]
    return f"atomicrmw {operation} {function.typed_list(op.operands)} {ordering}{_alignment(op)}"


@writer("cmpxchg")
def _cmpxchg(function: FunctionText, op: Operation) -> str:
    orderings = " ".join(
        llvm.ATOMIC_ORDERING_KEYWORDS[integer(op.properties[name])]
        for name in ("success_ordering", "failure_ordering")
    )
    weak = "weak " if "weak" in op.properties else ""
    return f"cmpxchg {weak}{function.typed_list(op.operands)} {orderings}{_alignment(op)}"


@writer("fence")
def _fence(function: FunctionText, op: Operation) -> str:
    return f"fence {llvm.ATOMIC_ORDERING_KEYWORDS[integer(op.properties['ordering'])]}"


@writer("return")
def _return(function: FunctionText, op: Operation) -> str:
    return f"ret {function.typed(op.operands[0])}" if op.operands else "ret void"


@writer("unreachable")
def _unreachable(function: FunctionText, op: Operation) -> str:
    return "unreachable"


@writer("br")
def _br(function: FunctionText, op: Operation) -> str:
    return f"br label %{function.labels[op.successors[0]]}{function.loop_metadata(op)}"


@writer("cond_br")
def _cond_br(function: FunctionText, op: Operation) -> str:
    targets = ", ".join(f"label %{function.labels[block]}" for block in op.successors)
    return f"br {function.typed(op.operands[0])}, {targets}{function.loop_metadata(op)}"


@writer("switch")
def _switch(function: FunctionText, op: Operation) -> str:
    default, *targets = (function.labels[block] for block in op.successors)
    value = op.operands[0]
    kind = type_text(value.type)
    table = op.properties.get("case_values")
    numbers = table.get_values() if isinstance(table, DenseIntOrFPElementsAttr) else ()
    cases = " ".join(
        f"{kind} {number}, label %{target}" for number, target in zip(numbers, targets, strict=True)
    )
    return f"switch {function.typed(value)}, label %{default} [ {cases} ]"


@writer("call")
def _call(function: FunctionText, op: Operation) -> str:
    callee = op.properties.get("callee")
    arguments = list(op.operands)
    if isinstance(callee, SymbolRefAttr):
        name = callee.root_reference.data
        function.called.add(name)
        target = symbol(name)
    else:
        target = function.names[arguments.pop(0)]
    signature = op.properties.get("var_callee_type")
    result = type_text(op.results[0].type) if op.results else "void"
    kind = result if signature is None else type_text(signature)
    return f"call {fast_math(op)}{kind} {target}({function.typed_list(arguments)})"


@writer("inline_asm")
def _inline_asm(function: FunctionText, op: Operation) -> str:
    properties = op.properties
    flags = " sideeffect" if "has_side_effects" in properties else ""
    flags += " inteldialect" if optional_integer(op, "asm_dialect") else ""
    code, constraints = (properties[name] for name in ("asm_string", "constraints"))
    texts = f"{quoted(_string(code))}, {quoted(_string(constraints))}"
    result = type_text(op.results[0].type) if op.results else "void"
    return f"call {result} asm{flags} {texts}({function.typed_list(op.operands)})"


def _string(attribute: Attribute) -> str:
    assert isinstance(attribute, StringAttr)
    return attribute.data
