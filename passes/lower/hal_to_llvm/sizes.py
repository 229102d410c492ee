"""Symbolic sizes in machine code, and `@terrace_plan`, which tells them ahead of a run."""

from __future__ import annotations

from xdsl.dialects.builtin import (
    DictionaryAttr,
    IntegerAttr,
    StringAttr,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, SSAValue

from dialects import hal, llvm
from dialects.hal import sizes_of
from dialects.onnx.dims import Dim, DimExpr, Function, Symbol, parse_dim, symbols_of
from dialects.onnx.locations import Node, node_of
from passes.lower.affine_to_llvm.builder import new_block
from passes.lower.affine_to_llvm.function import FunctionLowering
from passes.lower.affine_to_llvm.index import Index
from passes.lower.affine_to_llvm.memory import access_properties
from passes.lower.affine_to_llvm.module import (
    ModuleLowering,
    llvm_function,
)
from passes.lower.affine_to_llvm.types import PTR
from runtime.errors import InternalError


class Sizes:
    """Computes symbolic sizes in a function that is being lowered."""

    def __init__(self, module: ModuleLowering, program: hal.ProgramOp, name: str) -> None:
        self.program = program
        self.entry = Block()
        self.low = FunctionLowering(module, name, self.entry)
        self.b = self.low.builder
        self.symbols: dict[str, Index] = {}
        self.cells: dict[str, SSAValue] = {}

    def argument(self, kind: Attribute) -> SSAValue:
        """The next argument of the function."""
        return self.entry.insert_arg(kind, len(self.entry.args))

    def size(self, dim: Dim) -> Index:
        """A size as a number or an i64."""
        if isinstance(dim, int):
            return dim
        found = self.b.recall((dim,))
        if found is None:
            found = self._computed(dim)
            # What a cell holds changes in the course of a run.
            if not isinstance(found, int) and self.cells.keys().isdisjoint(symbols_of(dim)):
                self.b.keep((dim,), found)
        return found

    def _computed(self, dim: DimExpr) -> Index:
        total: Index = 0
        for monomial, coefficient in dim.terms:
            product: Index = coefficient
            for atom in monomial:
                product = self.b.mul(product, self._atom(atom))
            total = self.b.add(total, product)
        return total

    def _atom(self, atom: Symbol | Function) -> Index:
        if isinstance(atom, Symbol):
            return self._symbol(atom.name)
        lhs, rhs = self.size(atom.lhs), self.size(atom.rhs)
        match atom.kind:
            case "//" | "%":
                # A size of 0 must not trap; what it was meant to be is found wrong by a check.
                divisor = rhs if isinstance(rhs, int) else self.b.maximum(rhs, 1)
                divide = self.b.floordiv if atom.kind == "//" else self.b.mod
                return divide(lhs, divisor)
            case "max":
                return self.b.maximum(lhs, rhs)
            case _:
                return self.b.minimum(lhs, rhs)

    def _symbol(self, name: str) -> Index:
        if name in self.symbols:
            return self.symbols[name]
        if name not in self.cells:
            raise InternalError(f"size '{name}' is used before the host program defines it")
        return self.b.value(llvm.LoadOp, (self.cells[name],), i64, access_properties(i64))

    def load_slot(self, table: SSAValue, slot: int, kind: Attribute = i64) -> SSAValue:
        """Entry ``slot`` of a table of 8-byte entries."""
        address = self.b.address(table, slot, i64)
        return self.b.value(llvm.LoadOp, (address,), kind, access_properties(i64))

    def store_slot(self, table: SSAValue, slot: int, value: Index) -> None:
        """Writes an entry of a table of 8-byte entries."""
        address = self.b.address(table, slot, i64)
        self.b.emit(llvm.StoreOp, (self.b.index(value), address), (), access_properties(i64))

    def bind_inputs(self, dims_in: SSAValue) -> list[tuple[Dim, SSAValue, str]]:
        """Reads the sizes of the inputs; gives those that must equal an expression."""
        checks: list[tuple[Dim, SSAValue, str]] = []
        slot = 0
        for entry in self.program.inputs:
            assert isinstance(entry, DictionaryAttr)
            for axis, dim in enumerate(sizes_of(entry.data["dims"])):
                if isinstance(dim, int):
                    continue
                value = self.load_slot(dims_in, slot)
                self.b.limit(value, (0, 1 << 48))
                slot += 1
                name = plain_symbol(dim)
                if name is not None and name not in self.symbols:
                    self.symbols[name] = value
                else:
                    text = entry.data["name"].data  # type: ignore[attr-defined]
                    checks.append((dim, value, f"input '{text}', dimension {axis}"))
        return checks

    @property
    def is_dynamic(self) -> bool:
        """Whether any input has a size that varies."""
        return any(
            not isinstance(dim, int)
            for entry in self.program.inputs
            for dim in sizes_of(entry.data["dims"])  # type: ignore[attr-defined]
        )

    def early_symbols(self) -> set[str]:
        """Symbols that the inputs' sizes define."""
        return set(self.symbols)


def plain_symbol(dim: Dim) -> str | None:
    """The name of a size that is a symbol and nothing else."""
    if isinstance(dim, int) or len(dim.terms) != 1:
        return None
    monomial, coefficient = dim.terms[0]
    if coefficient == 1 and len(monomial) == 1 and isinstance(monomial[0], Symbol):
        return monomial[0].name
    return None


def message(text: str, op: Operation | None = None) -> Attribute:
    """An entry of `hal.messages`: the text of an error, and the node it is about."""
    node = node_of(op.location) if op is not None else Node()
    return DictionaryAttr(
        {
            "text": StringAttr(text),
            "node": StringAttr(node.name),
            "op_type": StringAttr(node.op_type),
            "domain": StringAttr(node.domain),
            "opset": IntegerAttr(node.opset, i64),
        }
    )


class Plan(Sizes):
    """`@terrace_plan`: sizes of outputs and arena from the sizes of inputs."""

    def __init__(
        self, module: ModuleLowering, program: hal.ProgramOp, messages: list[Attribute]
    ) -> None:
        super().__init__(module, program, "terrace_plan")
        self.messages = messages

    def lower(self) -> llvm.FuncOp:
        """The function."""
        dims_in, dims_out = self.argument(PTR), self.argument(PTR)
        for dim, value, where in self.bind_inputs(dims_in):
            self._check(dim, value, where)
        slot = 0
        early = self.early_symbols()
        for entry in self.program.outputs:
            for dim in sizes_of(entry.data["dims"]):  # type: ignore[attr-defined]
                if isinstance(dim, int):
                    continue
                known = symbols_of(dim) <= early
                self.store_slot(dims_out, slot, self.size(dim) if known else -1)
                slot += 1
        arena = self.program.arena_bytes
        bytes_needed = self.size(parse_dim(arena.data)) if arena is not None else 0
        self.b.emit(llvm.ReturnOp, (self.b.index(bytes_needed),))
        self.b.finish()
        kind = llvm.LLVMFunctionType([PTR, PTR], i64)
        return llvm_function("terrace_plan", kind, self.low.region, scalar=True)

    def _check(self, dim: Dim, value: SSAValue, where: str) -> None:
        self.messages.append(message(f"{where} must be {dim}"))
        code = -len(self.messages)
        agree = self.b.compare("eq", self.size(dim), value)
        good, bad = new_block(), new_block()
        self.b.branch_if(agree, (good, ()), (bad, ()))
        self.b.start(bad)
        self.b.emit(llvm.ReturnOp, (self.b.integer(code),))
        self.b.start(good)
