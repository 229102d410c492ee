"""Runs kernels of the `affine` stage: text -> llvm dialect -> LLVM -> machine code -> ctypes."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Sequence
from functools import cache

import llvmlite.binding as binding
import numpy as np
from xdsl.dialects import func
from xdsl.dialects.builtin import DYNAMIC_INDEX, MemRefType, ModuleOp

from compiler.codegen import compile_modules, compile_text
from compiler.ir_text import new_context, parse_module
from compiler.llvm_text import kernel_modules
from compiler.object_cache import ObjectCache
from compiler.target import Target
from passes.lower.affine_to_llvm import AffineToLLVM
from passes.lower.affine_to_llvm.module import Signature, signature_of

NO_CACHE = ObjectCache(None)


def aligned(shape: int | Sequence[int], dtype: object) -> np.ndarray:
    """An array of zeros that begins at a multiple of 64 bytes, as kernels demand."""
    kind: np.dtype = np.dtype(dtype)  # pyright: ignore
    size = int(np.prod(shape)) * kind.itemsize
    room = np.zeros(size + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size].view(kind).reshape(shape)


def like(array: np.ndarray) -> np.ndarray:
    """An aligned copy."""
    copy = aligned(array.shape, array.dtype)
    copy[...] = array
    return copy


def lower(text: str, dot_products: str = "none") -> tuple[ModuleOp, dict[str, Signature]]:
    """The llvm stage of a text, and the signatures of its kernels; an option of the lowering."""
    ctx = new_context()
    module = parse_module(text, ctx)
    functions = [op for op in module.ops if isinstance(op, func.FuncOp)]
    signatures = {op.sym_name.data: signature_of(op) for op in functions}
    AffineToLLVM(dot_products).apply(ctx, module)
    module.verify()
    return module, signatures


def llvm_ir(text: str, target: Target | None = None) -> str:
    """The optimised LLVM IR of a text with one kernel."""
    target = target or Target.host()
    module, _ = lower(text)
    (kernel,) = kernel_modules(module, attributes=target.function_attributes).values()
    return compile_text(kernel, target, "llvm-ir").decode()


class Kernels:
    """The kernels of a text, ready to be called with numpy arrays and integers."""

    def __init__(self, text: str, dot_products: str = "none") -> None:
        target = Target.host()
        module, self.signatures = lower(text, dot_products)
        texts = kernel_modules(module, attributes=target.function_attributes)
        self.engine = engine(compile_modules(texts, target, NO_CACHE).values())

    def __call__(
        self, name: str, *arguments: object, context: ctypes.Structure | None = None
    ) -> None:
        signature = self.signatures[name]
        values: list[object] = []
        if signature.takes_context:
            assert context is not None
            values.append(ctypes.c_void_p(ctypes.addressof(context)))
        for kind, argument in zip(signature.arguments, arguments, strict=True):
            values += _passed(kind, argument)
        address = self.engine.get_function_address(name)
        ctypes.CFUNCTYPE(None, *map(type, values))(address)(*values)


def _passed(kind: object, argument: object) -> Sequence[object]:
    if not isinstance(kind, MemRefType):
        return [ctypes.c_int64(argument)]  # pyright: ignore[reportArgumentType]
    assert isinstance(argument, np.ndarray)
    assert argument.flags.c_contiguous and (argument.size == 0 or argument.ctypes.data % 64 == 0)
    shape = kind.get_shape()
    assert len(shape) == argument.ndim
    dynamic = [
        n for n, static in zip(argument.shape, shape, strict=True) if static == DYNAMIC_INDEX
    ]
    return [ctypes.c_void_p(argument.ctypes.data), *(ctypes.c_int64(size) for size in dynamic)]


def engine(objects: Iterable[bytes]) -> binding.ExecutionEngine:
    """Links object code into this process."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(jit=True)
    made = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
    for data in objects:
        made.add_object_file(binding.ObjectFileRef.from_data(data))
    made.finalize_object()
    return made


@cache
def kernels(text: str) -> Kernels:
    """The kernels of a text, compiled once."""
    return Kernels(text)


_BODY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
_PARALLEL_FOR = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64
)


class Context(ctypes.Structure):
    """The run's context of docs/architecture.md, with a parallel_for that runs its chunks in
    reverse order and records them in `ranges`."""

    _fields_ = [
        ("parallel_for", _PARALLEL_FOR),
        ("pool", ctypes.c_void_p),
        ("threads", ctypes.c_int64),
        ("details", ctypes.c_int64 * 4),
        ("host_call", ctypes.c_void_p),
        ("host_data", ctypes.c_void_p),
        ("trace", ctypes.c_void_p),
    ]

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int]] = []
        self.grains: list[int] = []
        super().__init__(parallel_for=_PARALLEL_FOR(self._run))

    def _run(self, context: int, body: int, closure: int, n: int, grain: int) -> None:
        assert context == ctypes.addressof(self)
        self.grains.append(grain)
        chunk = max(grain, -(-n // 3))
        function: Callable[..., None] = _BODY(body)
        for begin in reversed(range(0, n, chunk)):
            end = min(n, begin + chunk)
            self.ranges.append((begin, end))
            function(closure, begin, end)
