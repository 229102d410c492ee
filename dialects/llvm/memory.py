"""Memory access: plain, masked, atomic, addresses, and the memory intrinsics."""

from __future__ import annotations

from typing import ClassVar

from xdsl.dialects.builtin import (
    I32,
    BoolAttr,
    DenseArrayBase,
    IntegerAttr,
    IntegerType,
    StringAttr,
    UnitAttr,
    VectorType,
    i32,
    i64,
)
from xdsl.dialects.llvm import (
    ATOMIC_ORDERING_KEYWORDS,
    GEP_USE_SSA_VAL,
    LLVMPointerType,
    LLVMStructType,
)
from xdsl.dialects.utils import (
    parse_dynamic_index_list_without_types,
    print_dynamic_index_list,
)
from xdsl.ir import Attribute
from xdsl.irdl import (
    IRDLOperation,
    ParsePropInAttrDict,
    VarConstraint,
    base,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import MemoryReadEffect, MemoryWriteEffect, NoMemoryEffect, Pure

from dialects.llvm.arithmetic import INTEGER

_NO_ORDERING = IntegerAttr(0, i64)
_ORDERING_BY_KEYWORD = {keyword: key for key, keyword in ATOMIC_ORDERING_KEYWORDS.items()}

_POINTERS = base(LLVMPointerType) | VectorType.constr(base(LLVMPointerType))

INBOUNDS = IntegerAttr(3, i32)
"""`noWrapFlags` of an `inbounds` address (upstream: inbounds implies nusw)."""

NO_WRAP_FLAGS = IntegerAttr(0, i32)


def _parse_ordering(parser: Parser) -> IntegerAttr:
    """Parses `atomic <ordering>` if it is there."""
    if parser.parse_optional_keyword("atomic") is None:
        return _NO_ORDERING
    keyword = parser.parse_identifier()
    if keyword not in _ORDERING_BY_KEYWORD:
        parser.raise_error(f"unknown atomic ordering '{keyword}'")
    return IntegerAttr(_ORDERING_BY_KEYWORD[keyword], i64)


def _print_ordering(printer: Printer, ordering: IntegerAttr | None) -> None:
    if ordering is not None and ordering.value.data:
        printer.print_string(f" atomic {ATOMIC_ORDERING_KEYWORDS[ordering.value.data]}")


def _print_access_attributes(printer: Printer, op: LoadOp | StoreOp) -> None:
    """Prints the properties that upstream keeps in the attribute dictionary."""
    kept = ("alignment", "nontemporal")
    listed = {key: op.properties[key] for key in kept if key in op.properties}
    printer.print_op_attributes(op.attributes | listed)


def _properties(attributes: dict[str, Attribute]) -> dict[str, Attribute]:
    """Moves the properties out of a parsed attribute dictionary."""
    kept = ("alignment", "nontemporal")
    return {key: attributes.pop(key) for key in kept if key in attributes}


@irdl_op_definition
class LoadOp(IRDLOperation):
    """`invariant` promises that the memory is never written while the program can read it."""

    name = "llvm.load"

    ptr = operand_def(LLVMPointerType)
    alignment = opt_prop_def(IntegerAttr[IntegerType])
    ordering = prop_def(IntegerAttr[IntegerType], default_value=_NO_ORDERING)
    volatile_ = opt_prop_def(UnitAttr)
    nontemporal = opt_prop_def(UnitAttr)
    invariant = opt_prop_def(UnitAttr)
    dereferenced_value = result_def()

    traits = traits_def(MemoryReadEffect())

    def print(self, printer: Printer) -> None:
        if self.volatile_ is not None:
            printer.print_string(" volatile")
        printer.print_string(" ")
        printer.print_ssa_value(self.ptr)
        _print_ordering(printer, self.ordering)
        if self.invariant is not None:
            printer.print_string(" invariant")
        _print_access_attributes(printer, self)
        printer.print_string(" : ")
        printer.print_attribute(self.ptr.type)
        printer.print_string(" -> ")
        printer.print_attribute(self.dereferenced_value.type)

    @classmethod
    def parse(cls, parser: Parser) -> LoadOp:
        properties: dict[str, Attribute] = {}
        if parser.parse_optional_keyword("volatile"):
            properties["volatile_"] = UnitAttr()
        ptr = parser.parse_unresolved_operand()
        properties["ordering"] = _parse_ordering(parser)
        if parser.parse_optional_keyword("invariant"):
            properties["invariant"] = UnitAttr()
        attributes = parser.parse_optional_attr_dict()
        properties |= _properties(attributes)
        parser.parse_punctuation(":")
        ptr_type = parser.parse_type()
        parser.parse_punctuation("->")
        return cls.create(
            operands=[parser.resolve_operand(ptr, ptr_type)],
            result_types=[parser.parse_type()],
            properties=properties,
            attributes=attributes,
        )


@irdl_op_definition
class StoreOp(IRDLOperation):
    """Stores `value`; `nontemporal` bypasses the caches."""

    name = "llvm.store"

    value = operand_def()
    ptr = operand_def(LLVMPointerType)
    alignment = opt_prop_def(IntegerAttr[IntegerType])
    ordering = prop_def(IntegerAttr[IntegerType], default_value=_NO_ORDERING)
    volatile_ = opt_prop_def(UnitAttr)
    nontemporal = opt_prop_def(UnitAttr)

    traits = traits_def(MemoryWriteEffect())

    def print(self, printer: Printer) -> None:
        if self.volatile_ is not None:
            printer.print_string(" volatile")
        printer.print_string(" ")
        printer.print_list(self.operands, printer.print_ssa_value)
        _print_ordering(printer, self.ordering)
        _print_access_attributes(printer, self)
        printer.print_string(" : ")
        printer.print_list(self.operand_types, printer.print_attribute)

    @classmethod
    def parse(cls, parser: Parser) -> StoreOp:
        properties: dict[str, Attribute] = {}
        if parser.parse_optional_keyword("volatile"):
            properties["volatile_"] = UnitAttr()
        value = parser.parse_unresolved_operand()
        parser.parse_punctuation(",")
        ptr = parser.parse_unresolved_operand()
        properties["ordering"] = _parse_ordering(parser)
        attributes = parser.parse_optional_attr_dict()
        properties |= _properties(attributes)
        parser.parse_punctuation(":")
        value_type = parser.parse_type()
        parser.parse_punctuation(",")
        ptr_type = parser.parse_type()
        return cls.create(
            operands=parser.resolve_operands([value, ptr], [value_type, ptr_type], parser.pos),
            properties=properties,
            attributes=attributes,
        )


@irdl_op_definition
class GEPOp(IRDLOperation):
    """Address arithmetic, on vectors of indices lane by lane. Constant indices stand in
    `rawConstantIndices`; `GEP_USE_SSA_VAL` there takes the next of `dynamicIndices`."""

    name = "llvm.getelementptr"

    ptr = operand_def(_POINTERS)
    dynamicIndices = var_operand_def(INTEGER)
    rawConstantIndices = prop_def(DenseArrayBase.constr(i32))
    elem_type = prop_def()
    noWrapFlags = prop_def(IntegerAttr[I32], default_value=NO_WRAP_FLAGS)
    result = result_def(_POINTERS)

    traits = traits_def(Pure())

    def print(self, printer: Printer) -> None:
        if self.noWrapFlags == INBOUNDS:
            printer.print_string(" inbounds")
        printer.print_string(" ")
        printer.print_ssa_value(self.ptr)
        print_dynamic_index_list(
            printer, GEP_USE_SSA_VAL, self.dynamicIndices, self.rawConstantIndices.iter_values()
        )
        printer.print_op_attributes(self.attributes)
        printer.print_string(" : ")
        printer.print_function_type(self.operand_types, self.result_types)
        printer.print_string(", ")
        printer.print_attribute(self.elem_type)

    @classmethod
    def parse(cls, parser: Parser) -> GEPOp:
        inbounds = parser.parse_optional_keyword("inbounds") is not None
        ptr = parser.parse_unresolved_operand()
        dynamic, constant = parse_dynamic_index_list_without_types(parser, GEP_USE_SSA_VAL)
        attributes = parser.parse_optional_attr_dict()
        parser.parse_punctuation(":")
        signature = parser.parse_function_type()
        parser.parse_punctuation(",")
        return cls.create(
            operands=parser.resolve_operands([ptr, *dynamic], signature.inputs.data, parser.pos),
            result_types=signature.outputs.data,
            properties={
                "rawConstantIndices": DenseArrayBase.from_list(i32, constant),
                "elem_type": parser.parse_type(),
                "noWrapFlags": INBOUNDS if inbounds else NO_WRAP_FLAGS,
            },
            attributes=attributes,
        )


_MASK = VectorType.constr(IntegerType(1))


@irdl_op_definition
class MaskedLoadOp(IRDLOperation):
    """Loads the lanes whose mask is set; the others come from `pass_thru` (absent: undefined)."""

    name = "llvm.intr.masked.load"

    data = operand_def(LLVMPointerType)
    mask = operand_def(_MASK)
    pass_thru = var_operand_def(VectorType)
    alignment = prop_def(IntegerAttr[I32])
    nontemporal = opt_prop_def(UnitAttr)
    res = result_def(VectorType)

    traits = traits_def(MemoryReadEffect())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "operands attr-dict `:` functional-type(operands, results)"


@irdl_op_definition
class MaskedStoreOp(IRDLOperation):
    """Stores the lanes whose mask is set."""

    name = "llvm.intr.masked.store"

    value = operand_def(VectorType)
    data = operand_def(LLVMPointerType)
    mask = operand_def(_MASK)
    alignment = prop_def(IntegerAttr[I32])

    traits = traits_def(MemoryWriteEffect())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = (
        "$value `,` $data `,` $mask attr-dict `:` type($value) `,` type($mask) `into` type($data)"
    )


@irdl_op_definition
class MaskedGatherOp(IRDLOperation):
    """Loads one element per pointer of a vector of pointers, where the mask is set."""

    name = "llvm.intr.masked.gather"

    ptrs = operand_def(VectorType)
    mask = operand_def(_MASK)
    pass_thru = var_operand_def(VectorType)
    alignment = prop_def(IntegerAttr[I32])
    res = result_def(VectorType)

    traits = traits_def(MemoryReadEffect())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "operands attr-dict `:` functional-type(operands, results)"


@irdl_op_definition
class MaskedScatterOp(IRDLOperation):
    """Stores one element per pointer of a vector of pointers, where the mask is set."""

    name = "llvm.intr.masked.scatter"

    value = operand_def(VectorType)
    ptrs = operand_def(VectorType)
    mask = operand_def(_MASK)
    alignment = prop_def(IntegerAttr[I32])

    traits = traits_def(MemoryWriteEffect())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = (
        "$value `,` $ptrs `,` $mask attr-dict `:` type($value) `,` type($mask) `into` type($ptrs)"
    )


@irdl_op_definition
class MemcpyOp(IRDLOperation):
    """Copies `len` bytes between buffers that do not overlap."""

    name = "llvm.intr.memcpy"

    dst = operand_def(LLVMPointerType)
    src = operand_def(LLVMPointerType)
    len = operand_def(IntegerType)
    isVolatile = prop_def(BoolAttr)

    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())


@irdl_op_definition
class MemmoveOp(IRDLOperation):
    """Copies `len` bytes between buffers that may overlap."""

    name = "llvm.intr.memmove"

    dst = operand_def(LLVMPointerType)
    src = operand_def(LLVMPointerType)
    len = operand_def(IntegerType)
    isVolatile = prop_def(BoolAttr)

    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())


@irdl_op_definition
class MemsetOp(IRDLOperation):
    """Sets `len` bytes to `val`."""

    name = "llvm.intr.memset"

    dst = operand_def(LLVMPointerType)
    val = operand_def(IntegerType(8))
    len = operand_def(IntegerType)
    isVolatile = prop_def(BoolAttr)

    traits = traits_def(MemoryWriteEffect())


@irdl_op_definition
class PrefetchOp(IRDLOperation):
    """Asks for a cache line: `rw` 1 to write; `hint` 0 (no locality) .. 3; `cache` 1 = data."""

    name = "llvm.intr.prefetch"

    addr = operand_def(LLVMPointerType)
    rw = prop_def(IntegerAttr[I32])
    hint = prop_def(IntegerAttr[I32])
    cache = prop_def(IntegerAttr[I32])

    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())


@irdl_op_definition
class StripInvariantGroupOp(IRDLOperation):
    """The same address, of which LLVM's analysis of loops does not know where it stems from."""

    name = "llvm.intr.strip.invariant.group"

    T: ClassVar = VarConstraint("T", base(LLVMPointerType))

    ptr = operand_def(T)
    res = result_def(T)

    traits = traits_def(Pure())
    assembly_format = "$ptr attr-dict `:` type($ptr)"


@irdl_op_definition
class AssumeOp(IRDLOperation):
    """Promises that `cond` holds."""

    name = "llvm.intr.assume"

    cond = operand_def(IntegerType(1))
    op_bundle_sizes = prop_def(
        DenseArrayBase.constr(i32), default_value=DenseArrayBase.from_list(i32, ())
    )

    traits = traits_def(MemoryWriteEffect())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$cond attr-dict `:` type($cond)"


ATOMIC_BINARY_OPERATIONS = (
    "xchg",
    "add",
    "sub",
    "and",
    "nand",
    "or",
    "xor",
    "max",
    "min",
    "umax",
    "umin",
    "fadd",
    "fsub",
    "fmax",
    "fmin",
    "uinc_wrap",
    "udec_wrap",
)
"""`bin_op` of an `atomicrmw` is an index into this list (upstream's AtomicBinOp)."""


@irdl_op_definition
class AtomicRMWOp(IRDLOperation):
    """Atomically replaces `*ptr` by `bin_op(*ptr, val)` and gives the old value."""

    name = "llvm.atomicrmw"

    ptr = operand_def(LLVMPointerType)
    val = operand_def()
    bin_op = prop_def(IntegerAttr[IntegerType])
    ordering = prop_def(IntegerAttr[IntegerType])
    alignment = opt_prop_def(IntegerAttr[IntegerType])
    res = result_def()

    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())


@irdl_op_definition
class AtomicCmpXchgOp(IRDLOperation):
    """Stores `val` if `*ptr == cmp`; gives the old value and whether it was equal."""

    name = "llvm.cmpxchg"

    ptr = operand_def(LLVMPointerType)
    cmp = operand_def()
    val = operand_def()
    success_ordering = prop_def(IntegerAttr[IntegerType])
    failure_ordering = prop_def(IntegerAttr[IntegerType])
    alignment = opt_prop_def(IntegerAttr[IntegerType])
    weak = opt_prop_def(UnitAttr)
    res = result_def(LLVMStructType)

    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())


@irdl_op_definition
class FenceOp(IRDLOperation):
    """Orders memory accesses around it."""

    name = "llvm.fence"

    ordering = prop_def(IntegerAttr[IntegerType])
    syncscope = opt_prop_def(StringAttr)

    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())


@irdl_op_definition
class AddrSpaceCastOp(IRDLOperation):
    """Converts a pointer to another address space."""

    name = "llvm.addrspacecast"

    arg = operand_def(LLVMPointerType)
    res = result_def(LLVMPointerType)

    traits = traits_def(NoMemoryEffect())
    assembly_format = "$arg attr-dict `:` type($arg) `to` type($res)"
