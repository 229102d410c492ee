"""Operations `llvm.intr.<name>` as calls of LLVM's intrinsics, which need no declaration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Operation

from compiler.llvm_text.instructions import fast_math, integer, optional_integer, writer
from compiler.llvm_text.types import suffix, type_text

if TYPE_CHECKING:
    from compiler.llvm_text.functions import FunctionText

_OVERLOADED_ON_RESULT = (
    "sqrt fabs floor ceil trunc round roundeven rint nearbyint exp exp2 log log2 sin cos tanh"
    " maximum minimum maxnum minnum copysign pow fma fmuladd smax smin umax umin sadd.sat ssub.sat"
    " uadd.sat usub.sat fshl fshr ctpop bswap bitreverse"
)
_WITH_FLAG = {
    "ctlz": "is_zero_poison",
    "cttz": "is_zero_poison",
    "abs": "is_int_min_poison",
}
_CONVERSIONS = ("lrint",)
_REDUCTIONS = "add mul and or xor smax smin umax umin fadd fmul fmax fmin fmaximum fminimum"
_TRANSFERS = ("memcpy", "memmove")


def _intrinsics(*names: str) -> list[str]:
    return [f"intr.{name}" for name in names]


@writer(*_intrinsics(*_OVERLOADED_ON_RESULT.split()))
def _overloaded(function: FunctionText, op: Operation) -> str:
    kind = op.results[0].type
    name = f"@llvm.{op.name[10:]}.{suffix(kind)}"
    return f"call {fast_math(op)}{type_text(kind)} {name}({function.typed_list(op.operands)})"


@writer(*_intrinsics(*_CONVERSIONS))
def _conversion(function: FunctionText, op: Operation) -> str:
    source, kind = op.operands[0], op.results[0].type
    name = f"@llvm.{op.name[10:]}.{suffix(kind)}.{suffix(source.type)}"
    return f"call {type_text(kind)} {name}({function.typed(source)})"


@writer(*_intrinsics(*_WITH_FLAG))
def _with_flag(function: FunctionText, op: Operation) -> str:
    kind, name = op.results[0].type, op.name[10:]
    flag = "true" if optional_integer(op, _WITH_FLAG[name]) else "false"
    value = function.typed(op.operands[0])
    return f"call {type_text(kind)} @llvm.{name}.{suffix(kind)}({value}, i1 {flag})"


@writer(*_intrinsics(*(f"vector.reduce.{name}" for name in _REDUCTIONS.split())))
def _reduction(function: FunctionText, op: Operation) -> str:
    name = f"@llvm.{op.name[10:]}.{suffix(op.operands[-1].type)}"
    kind = type_text(op.results[0].type)
    return f"call {fast_math(op)}{kind} {name}({function.typed_list(op.operands)})"


def _aligned(function: FunctionText, op: Operation, position: int) -> str:
    """A pointer argument with the access's alignment."""
    pointer = op.operands[position]
    alignment = integer(op.properties["alignment"])
    return f"{type_text(pointer.type)} align {alignment} {function.names[pointer]}"


def _masked_read(function: FunctionText, op: Operation) -> str:
    kind = op.results[0].type
    name = f"@llvm.{op.name[10:]}.{suffix(kind)}.{suffix(op.operands[0].type)}"
    rest = function.typed_list(op.operands[1:])
    if len(op.operands) == 2:
        rest += f", {type_text(kind)} poison"
    return f"call {type_text(kind)} {name}({_aligned(function, op, 0)}, {rest})"


def _masked_write(function: FunctionText, op: Operation) -> str:
    value, pointer, mask = op.operands
    name = f"@llvm.{op.name[10:]}.{suffix(value.type)}.{suffix(pointer.type)}"
    pointer_text = _aligned(function, op, 1)
    return f"call void {name}({function.typed(value)}, {pointer_text}, {function.typed(mask)})"


writer(*_intrinsics("masked.load", "masked.gather"))(_masked_read)
writer(*_intrinsics("masked.store", "masked.scatter"))(_masked_write)


def _volatile(op: Operation) -> str:
    return "true" if optional_integer(op, "isVolatile") else "false"


@writer(*_intrinsics(*_TRANSFERS))
def _transfer(function: FunctionText, op: Operation) -> str:
    suffixes = ".".join(suffix(operand.type) for operand in op.operands)
    arguments = function.typed_list(op.operands)
    return f"call void @llvm.{op.name[10:]}.{suffixes}({arguments}, i1 {_volatile(op)})"


@writer(*_intrinsics("memset"))
def _memset(function: FunctionText, op: Operation) -> str:
    target, _, length = op.operands
    suffixes = f"{suffix(target.type)}.{suffix(length.type)}"
    arguments = function.typed_list(op.operands)
    return f"call void @llvm.memset.{suffixes}({arguments}, i1 {_volatile(op)})"


@writer(*_intrinsics("prefetch"))
def _prefetch(function: FunctionText, op: Operation) -> str:
    pointer = op.operands[0]
    options = ", ".join(f"i32 {integer(op.properties[key])}" for key in ("rw", "hint", "cache"))
    return f"call void @llvm.prefetch.{suffix(pointer.type)}({function.typed(pointer)}, {options})"


@writer(*_intrinsics("assume"))
def _assume(function: FunctionText, op: Operation) -> str:
    return f"call void @llvm.assume({function.typed(op.operands[0])})"


@writer(*_intrinsics("stacksave"))
def _stacksave(function: FunctionText, op: Operation) -> str:
    return "call ptr @llvm.stacksave.p0()"


@writer(*_intrinsics("stackrestore"))
def _stackrestore(function: FunctionText, op: Operation) -> str:
    return f"call void @llvm.stackrestore.p0({function.typed(op.operands[0])})"


@writer("call_intrinsic")
def _call_intrinsic(function: FunctionText, op: Operation) -> str:
    name = op.properties["intrin"]
    assert isinstance(name, StringAttr)
    kind = type_text(op.results[0].type) if op.results else "void"
    return f"call {fast_math(op)}{kind} @{name.data}({function.typed_list(op.operands)})"
