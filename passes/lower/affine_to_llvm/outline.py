"""Parts of a function that become functions of their own, and what they take from the first one.

    affine.for %i = 0 to 64 { body } {outline}    in @kernel

becomes

    @kernel.part0(captured...)    the loop, never inlined
    in @kernel: a call of it

Values of the function around it are arguments of the new one, so that memrefs are `noalias` there
too. Constants are not captured but made again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.dialects.builtin import DictionaryAttr, SymbolRefAttr
from xdsl.ir import Attribute, Block, SSAValue

from dialects import affine, llvm
from passes.lower.affine_to_llvm.function import FunctionLowering, MemRef
from passes.lower.affine_to_llvm.index import Index
from passes.lower.affine_to_llvm.module import (
    NO_ATTRIBUTES,
    POINTER_ATTRIBUTES,
    call_properties,
    llvm_function,
)


class _Values(dict[SSAValue, SSAValue]):
    """The values of an outlined function; those of the one around it are captured on first use."""

    def __init__(self, function: OutlinedFunction) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, old: SSAValue) -> SSAValue:
        function = self._function
        self[old] = function.capture(function.outer.values[old], NO_ATTRIBUTES)
        return self[old]


class _MemRefs(dict[SSAValue, MemRef]):
    """The buffers of an outlined function, captured like its values."""

    def __init__(self, function: OutlinedFunction) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, old: SSAValue) -> MemRef:
        function, outer = self._function, self._function.outer.memrefs[old]
        ptr = function.capture(outer.ptr, POINTER_ATTRIBUTES)
        # Strides too: computed here they would belong to the block that uses the buffer first.
        sizes = tuple(function.capture_index(size) for size in outer.sizes)
        strides = tuple(function.capture_index(stride) for stride in outer.strides)
        self[old] = MemRef(outer.type, ptr, sizes, strides)
        return self[old]


class OutlinedFunction(FunctionLowering):
    """A function for a part of another one.

    `captured` are the outer function's values that it takes as its first arguments, `own` the types
    of those behind them.
    """

    def __init__(self, outer: FunctionLowering, name: str, own: Sequence[Attribute] = ()) -> None:
        entry = Block(arg_types=own)
        super().__init__(outer.module, name, entry)
        self.outer = outer
        self.values = _Values(self)
        self.memrefs = _MemRefs(self)
        self.entry = entry
        self.captured: list[SSAValue] = []
        self._attributes: list[DictionaryAttr] = []
        self._arguments: dict[SSAValue, SSAValue] = {}

    def capture(self, value: SSAValue, attributes: DictionaryAttr) -> SSAValue:
        """The argument that brings an outer value. Constants are made again instead."""
        owner = value.owner
        if isinstance(owner, llvm.ConstantOp):
            known = self.outer.builder.known.get(value)
            if known is not None:
                return self.builder.integer(known)
            return self.builder.constant(owner.value, value.type)
        if value not in self._arguments:
            argument = self.entry.insert_arg(value.type, len(self.captured))
            self._arguments[value] = argument
            self.captured.append(value)
            self._attributes.append(attributes)
            if value in self.outer.builder.ranges:
                self.builder.limit(argument, self.outer.builder.ranges[value])
        return self._arguments[value]

    def capture_index(self, index: Index) -> Index:
        """An outer index."""
        return index if isinstance(index, int) else self.capture(index, NO_ATTRIBUTES)

    def finish(self, *, no_inline: bool = False) -> llvm.FuncOp:
        """The finished function."""
        self.builder.emit(llvm.ReturnOp, ())
        self.builder.finish()
        arguments = self.entry.args
        attributes = [*self._attributes, *[NO_ATTRIBUTES] * (len(arguments) - len(self.captured))]
        kind = llvm.LLVMFunctionType([argument.type for argument in arguments])
        return llvm_function(
            self.name,
            kind,
            self.region,
            internal=True,
            no_inline=no_inline,
            argument_attributes=attributes,
        )


def outline(
    low: FunctionLowering,
    op: affine.ForOp,
    lower: Callable[[FunctionLowering, affine.ForOp], None],
) -> None:
    """Has a loop lowered into a function, and calls that. The loop carries no values."""
    part = OutlinedFunction(low, f"{low.name}.part{low.module.next_number(low.name)}")
    part.builder.location = op.location
    lower(part, op)
    function = part.finish(no_inline=True)
    function.location = op.location
    low.module.add(function)
    low.loops += 1
    properties = {"callee": SymbolRefAttr(part.name), **call_properties(len(part.captured))}
    low.builder.emit(llvm.CallOp, part.captured, (), properties)
