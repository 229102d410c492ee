"""Lowers a module: its functions and globals by the rules here, other operations by rules that
their owners register with `module_rule`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import TypeVar, cast

from xdsl.dialects import func, memref
from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    ArrayAttr,
    DenseIntOrFPElementsAttr,
    DictionaryAttr,
    IntegerAttr,
    IntegerType,
    MemRefType,
    ModuleOp,
    StringAttr,
    SymbolRefAttr,
    TensorType,
    UnitAttr,
    i32,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from dialects import llvm
from passes.lower.affine_to_llvm.builder import Properties
from passes.lower.affine_to_llvm.constants import i32_array, i64_array
from passes.lower.affine_to_llvm.function import FunctionLowering, place_of, rule
from passes.lower.affine_to_llvm.index import SIZE, Index
from passes.lower.affine_to_llvm.memory import ALIGNMENT, buffer
from passes.lower.affine_to_llvm.types import PTR, VOID, llvm_type
from runtime.errors import InternalError

POINTER_ATTRIBUTES = DictionaryAttr(
    {
        "llvm.noalias": UnitAttr(),
        "llvm.nocapture": UnitAttr(),
        "llvm.nonnull": UnitAttr(),
    }
)
"""What is promised about a memref argument's pointer. Not its alignment, which for a user's array
is only that of its elements."""

NO_ATTRIBUTES = DictionaryAttr({})

PARALLEL = "parallel"
"""Marks the declaration of a kernel that runs loops in parallel; of a body that is seen."""


@dataclass(frozen=True)
class Signature:
    """How a function of the `affine` stage is called on the `llvm` stage.

    `arguments` and `results` are the types on the `affine` stage, `type` the llvm function's.
    `takes_context`: the run's context comes first, because the function runs loops in parallel.
    """

    name: str
    arguments: tuple[Attribute, ...]
    results: tuple[Attribute, ...]
    takes_context: bool
    type: llvm.LLVMFunctionType


def signature_of(op: func.FuncOp) -> Signature:
    """The calling convention of a kernel or helper function."""
    arguments, results = op.function_type.inputs.data, op.function_type.outputs.data
    takes_context = PARALLEL in op.attributes or any(
        nested.name == "affine.parallel" for nested in op.walk()
    )
    inputs: list[Attribute] = [PTR] if takes_context else []
    for kind in arguments:
        inputs.append(llvm_type(kind))
        if isinstance(kind, MemRefType):
            inputs += [i64] * kind.get_shape().count(DYNAMIC_INDEX)
    kind = llvm.LLVMFunctionType(inputs, result_type([llvm_type(result) for result in results]))
    return Signature(op.sym_name.data, arguments, results, takes_context, kind)


def result_type(results: Sequence[Attribute]) -> Attribute:
    """The type of what a function returns: nothing, a value, or a struct of several."""
    if not results:
        return VOID
    return results[0] if len(results) == 1 else llvm.LLVMStructType.from_type_list(results)


class ModuleLowering:
    """Lowers the operations of one module. `signatures` has every function of the source module,
    `add` collects the operations of the new one. `dot_products` is the pass's option."""

    def __init__(self, source: ModuleOp, dot_products: str = "none") -> None:
        self.source = source
        self.dot_products = dot_products
        self.signatures = {
            op.sym_name.data: signature_of(op) for op in source.ops if isinstance(op, func.FuncOp)
        }
        self._ops: list[Operation] = []
        self._numbers: Counter[str] = Counter()

    def next_number(self, function: str) -> int:
        """Numbers what is outlined from a function, from 0."""
        self._numbers[function] += 1
        return self._numbers[function] - 1

    def add(self, op: Operation) -> None:
        """Adds a function or global to the new module."""
        self._ops.append(op)

    def run(self) -> None:
        """Lowers everything, then replaces the module's contents."""
        for op in self.source.ops:
            module_rule_for(op)(self, op)
        block = self.source.body.block
        for op in list(block.ops):
            block.detach_op(op)
            op.drop_all_references()
        block.add_ops(self._ops)


ModuleRule = Callable[[ModuleLowering, Operation], None]
_MODULE_RULES: dict[str, ModuleRule] = {}
_RuleT = TypeVar("_RuleT", bound=Callable[..., None])


def module_rule(*kinds: type[Operation]) -> Callable[[_RuleT], _RuleT]:
    """Registers the decorated function `(ModuleLowering, op) -> None` as the lowering of these
    operations of a module's top level, such as a host program."""

    def register(function: _RuleT) -> _RuleT:
        for kind in kinds:
            if kind.name in _MODULE_RULES:
                raise ValueError(f"{kind.name} has two rules")
            _MODULE_RULES[kind.name] = function
        return function

    return register


def module_rule_for(op: Operation) -> ModuleRule:
    """The rule for a top-level operation. Operations of the llvm dialect stay as they are."""
    found = _MODULE_RULES.get(op.name)
    if found is not None:
        return found
    if op.name.startswith("llvm."):
        return _keep
    raise InternalError(f"{op.name} cannot stand in a module of the affine stage", place_of(op))


def _keep(module: ModuleLowering, op: Operation) -> None:
    module.add(op.clone())


def llvm_function(
    name: str,
    kind: llvm.LLVMFunctionType,
    body: Region,
    *,
    internal: bool = False,
    always_inline: bool = False,
    no_inline: bool = False,
    scalar: bool = False,
    argument_attributes: Sequence[DictionaryAttr] = (),
) -> llvm.FuncOp:
    """An `llvm.func`; without blocks in `body` a declaration.

    LLVM is not to look for vectors in a `scalar` one: a host program stores thousands of sizes and
    pointers, which took longer to search than half of a model's kernels to compile.
    """
    passthrough = [StringAttr("nounwind")]
    if scalar:
        passthrough.append(StringAttr("noimplicitfloat"))
    if always_inline:
        passthrough.append(StringAttr("alwaysinline"))
    if no_inline:
        passthrough.append(StringAttr("noinline"))
    properties: dict[str, Attribute] = {
        "sym_name": StringAttr(name),
        "function_type": kind,
        "CConv": llvm.CallingConventionAttr("ccc"),
        "linkage": llvm.LinkageAttr("internal" if internal else "external"),
        "visibility_": IntegerAttr(0, i64),
        "passthrough": ArrayAttr(passthrough),
    }
    if any(attributes.data for attributes in argument_attributes):
        properties["arg_attrs"] = ArrayAttr(argument_attributes)
    return llvm.FuncOp.create(properties=properties, regions=[body])


def argument_attributes(signature: Signature) -> list[DictionaryAttr]:
    """The attributes of a function's llvm arguments."""
    attributes = [NO_ATTRIBUTES] if signature.takes_context else []
    for kind in signature.arguments:
        if isinstance(kind, MemRefType):
            attributes.append(POINTER_ATTRIBUTES)
            attributes += [NO_ATTRIBUTES] * kind.get_shape().count(DYNAMIC_INDEX)
        else:
            attributes.append(NO_ATTRIBUTES)
    return attributes


@module_rule(func.FuncOp)
def lower_function(module: ModuleLowering, op: func.FuncOp) -> None:
    """A kernel or helper; private ones become internal."""
    signature = module.signatures[op.sym_name.data]
    region = Region()
    if op.body.blocks:
        region = _lower_body(module, op, signature)
    private = op.sym_visibility is not None and op.sym_visibility.data == "private"
    function = llvm_function(
        signature.name,
        signature.type,
        region,
        internal=private and bool(op.body.blocks),
        always_inline="alwaysinline" in op.attributes,
        argument_attributes=argument_attributes(signature),
    )
    function.location = op.location
    module.add(function)


def _lower_body(module: ModuleLowering, op: func.FuncOp, signature: Signature) -> Region:
    entry = Block(arg_types=signature.type.inputs.data)
    low = FunctionLowering(module, signature.name, entry)
    block = op.body.block
    bind_arguments(low, block.args, entry.args, signature.takes_context)
    low.lower_ops(block)
    terminator = block.last_op
    if not isinstance(terminator, func.ReturnOp):
        raise InternalError(f"@{signature.name} does not end in func.return", place_of(op))
    return_values(low, [low.values[operand] for operand in terminator.operands])
    low.builder.finish()
    return low.region


def bind_arguments(
    low: FunctionLowering,
    old: Sequence[SSAValue],
    new: Sequence[SSAValue],
    takes_context: bool,
) -> None:
    """Maps a function's old arguments to its new ones."""
    arguments = iter(new)
    if takes_context:
        low.context = next(arguments)
    for argument in old:
        value = next(arguments)
        kind = argument.type
        if isinstance(kind, MemRefType):
            count = kind.get_shape().count(DYNAMIC_INDEX)
            sizes: list[Index] = [next(arguments) for _ in range(count)]
            for size in sizes:
                low.builder.limit(size, SIZE)
            low.memrefs[argument] = buffer(low.builder, kind, value, sizes)
        else:
            low.values[argument] = value


def return_values(low: FunctionLowering, values: Sequence[SSAValue]) -> None:
    """Ends a function, returning several values as a struct."""
    if len(values) > 1:
        kind = result_type([value.type for value in values])
        packed = low.builder.value(llvm.PoisonOp, (), kind)
        for position, value in enumerate(values):
            place = {"position": i64_array(position)}
            packed = low.builder.value(llvm.InsertValueOp, (packed, value), kind, place)
        values = [packed]
    low.builder.emit(llvm.ReturnOp, values)


@rule(func.CallOp)
def lower_call(low: FunctionLowering, op: func.CallOp) -> None:
    """Calls a function of the module in its llvm calling convention."""
    name = op.callee.root_reference.data
    signature = low.module.signatures.get(name)
    if signature is None:
        raise InternalError(f"call of @{name}, which the module does not have", place_of(op))
    arguments: list[SSAValue] = []
    if signature.takes_context:
        if low.context is None:
            raise InternalError(f"@{low.name} has no context to give to @{name}", place_of(op))
        arguments.append(low.context)
    for operand in op.arguments:
        arguments += flattened(low, operand)
    results = call(low, name, arguments, [llvm_type(result.type) for result in op.results])
    low.values.update(zip(op.results, results, strict=True))


def flattened(low: FunctionLowering, value: SSAValue) -> list[SSAValue]:
    """What a value is passed as: a memref as its pointer and dynamic sizes."""
    if not isinstance(value.type, MemRefType):
        return [low.values[value]]
    buffer = low.memrefs[value]
    sizes = zip(buffer.type.get_shape(), buffer.sizes, strict=True)
    dynamic = [low.builder.index(size) for static, size in sizes if static == DYNAMIC_INDEX]
    return [buffer.ptr, *dynamic]


def call(
    low: FunctionLowering, name: str, arguments: Sequence[SSAValue], results: Sequence[Attribute]
) -> list[SSAValue]:
    """Calls a function by name and unpacks what it returns."""
    builder = low.builder
    properties = {"callee": SymbolRefAttr(name), **call_properties(len(arguments))}
    types = [result_type(results)] if results else []
    returned = builder.emit(llvm.CallOp, arguments, types, properties).results
    if len(results) < 2:
        return list(returned)
    return [
        builder.value(
            llvm.ExtractValueOp,
            returned,
            kind,
            {"position": i64_array(position)},
        )
        for position, kind in enumerate(results)
    ]


@cache
def call_properties(operands: int) -> Properties:
    """The properties of an `llvm.call` but the callee; `operands` counts a callee pointer too."""
    return {
        "fastmathFlags": llvm.NO_FAST_MATH,
        "CConv": llvm.CallingConventionAttr("ccc"),
        "TailCallKind": llvm.TailCallKindAttr(llvm.TailCallKind.NONE),
        "op_bundle_sizes": i32_array(),
        "operandSegmentSizes": i32_array(operands, 0),
    }


@module_rule(memref.GlobalOp)
def lower_global(module: ModuleLowering, op: memref.GlobalOp) -> None:
    """A table of constants, or a zeroed buffer, as an internal global."""
    count = prod(op.type.get_shape())
    element = llvm_type(op.type.element_type)
    properties: dict[str, Attribute] = {
        "global_type": llvm.LLVMArrayType(count, element),
        "sym_name": op.sym_name,
        "linkage": llvm.LinkageAttr("internal"),
        "addr_space": IntegerAttr(0, i32),
        "alignment": IntegerAttr(ALIGNMENT, i64),
        "dso_local": UnitAttr(),
    }
    if op.constant is not None:
        properties["constant"] = UnitAttr()
    if isinstance(op.initial_value, DenseIntOrFPElementsAttr):
        kind = TensorType(cast(IntegerType, element), [count])
        properties["value"] = DenseIntOrFPElementsAttr(kind, op.initial_value.data)
    module.add(llvm.GlobalOp.create(properties=properties, regions=[Region()]))
