"""`compile` and `lower`: a model goes in, a network or a module on some stage comes out."""

from __future__ import annotations

import gc
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

from compiler import stages
from compiler.model_cache import ProgramCache, request_key
from compiler.pipeline import Observer, Pipeline
from compiler.report import Listener, Report, ignore
from compiler.source import Model, Source
from compiler.target import Target
from runtime.errors import InputError, InvalidModelError
from runtime.program import Program

if TYPE_CHECKING:
    from xdsl.dialects.builtin import ModuleOp

    from compiler.lowered import Lowered
    from runtime.network import Network


@contextmanager
def pause_collection() -> Iterator[None]:
    """Switches the collection of cycles off for as long as a compile takes.

    All of a module is one web of cycles, needed to the end: looking through it again and again
    takes a tenth to a fifth of a compile and frees next to nothing.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@dataclass(frozen=True)
class Request:
    """What to compile and how.

    ``dims`` fixes symbolic sizes by name, ``shapes`` the shapes of inputs by name. ``passes`` None
    is the default pipeline of the target. With ``autotune`` schedules are measured.
    """

    source: Source
    target: Target
    dims: Mapping[str, int] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    passes: Pipeline | None = None
    autotune: bool = False

    @staticmethod
    def of(
        model: Model | Source,
        target: str | Target = "host",
        dims: Mapping[str, int] | None = None,
        passes: Pipeline | str | None = None,
        autotune: bool = False,
    ) -> Request:
        """A request from arguments as users give them. Raises InputError and UnsupportedError."""
        return Request(
            model if isinstance(model, Source) else Source.of(model),
            find_target(target),
            _checked_dims(dims or {}),
            passes=Pipeline(passes) if isinstance(passes, str) else passes,
            autotune=autotune,
        )


@dataclass(frozen=True)
class Built:
    """A program, what was done for it, and whether it was found in the cache."""

    program: Program
    report: Report
    cached: bool


def compile(
    model: Model,
    *,
    target: str | Target = "host",
    dims: Mapping[str, int] | None = None,
    device: str = "cpu",
    passes: Pipeline | str | None = None,
    cache: bool = True,
    autotune: bool = False,
) -> Network:
    """Compiles a model and loads it on a device.

    ``model`` is a path (`.onnx`, `.onnxtxt`, `.json`, or the `.mlir` text of any stage), the bytes
    of a model, or a `ModelProto`. ``dims`` fixes symbolic sizes of the inputs by name. ``target``
    is a CPU ("host", "haswell", "cpu@triple") and ``device`` a URI such as ``cpu:threads=2``.
    ``passes`` runs in place of the default pipeline; what it leaves undone the default passes of
    the stages below do. With ``cache`` a program compiled before is found again on disk.
    With ``autotune`` several schedules of each kernel are measured, which takes a minute or so, and
    the fastest ones kept on disk.

    Raises:
        InvalidModelError: the model is broken.
        UnsupportedError: it needs something that is not implemented; all such nodes are listed.
        InputError: ``dims``, ``passes`` or ``target`` do not fit.
        DeviceError: no such device, or it cannot run code for that target.
    """
    from runtime.network import Network

    request = Request.of(model, target, dims, passes, autotune)
    return Network(build(request, cache).program, device)


def lower(
    model: Model,
    to: str = "onnx",
    *,
    target: str | Target = "host",
    dims: Mapping[str, int] | None = None,
    passes: Pipeline | str | None = None,
) -> Lowered:
    """Lowers a model to a stage: "onnx", "krnl", "affine" or "llvm"; the rest is as in `compile`.

    Given ``passes`` run first; if they do not lead to the stage, the default passes do the rest.
    """
    return lower_request(Request.of(model, target, dims, passes), to)


@pause_collection()
def build(
    request: Request,
    cache: bool = True,
    observers: Sequence[Observer] = (),
    listener: Listener = ignore,
) -> Built:
    """The program that a request asks for, from the cache if it is there and nobody observes.

    ``listener`` is told what is being done.
    """
    key = request_key(request) if cache and not observers else None
    programs = ProgramCache.default()
    path = request.source.path
    folder = None if path is None else path.resolve().parent
    program = None if key is None else programs.find(key, folder)
    if program is not None:
        return Built(program, Report.from_json(program.manifest["report"]), True)
    verified = verified_stages(request)
    low = _begin(request, observers, listener, verified)
    if observers:
        # They want to see the module whole, down to the last stage.
        low.advance("llvm", observers, verified)
    program = low.finish(verified)
    if key is not None and low.files is not None:
        programs.keep(key, program, folder, low.files)
    return Built(program, low.report, False)


@pause_collection()
def lower_request(
    request: Request,
    to: str,
    observers: Sequence[Observer] = (),
    listener: Listener = ignore,
    verified: Container[str] = stages.NAMES,
) -> Lowered:
    """Reads and lowers a model; ``observers`` see the module after each pass.

    ``verified`` is as for `compiler.pipeline.run_passes`.
    """
    stages.index_of(to)
    low = _begin(request, observers, listener, verified)
    if request.passes is None or low.stage != to:
        low.advance(to, observers, verified)
    return low


def _begin(
    request: Request,
    observers: Sequence[Observer],
    listener: Listener,
    verified: Container[str],
) -> Lowered:
    """The model after the passes that the request names, on the krnl stage if it is tuned."""
    low = read(request, listener)
    if request.passes is not None:
        low.run(request.passes, observers)
    if request.autotune:
        from compiler.autotune import tune

        tune(low, observers, verified)
    return low


def verified_stages(request: Request) -> tuple[str, ...]:
    """The stages whose operations are verified on the way to code generation.

    What our own passes make of a model is not: that takes a fifth of a compile, the borders are
    checked anyway, and LLVM verifies what comes out. Where users wrote text or chose passes all is
    but the `llvm` stage.
    """
    ours = request.source.text is None and request.passes is None
    return stages.NAMES[:1] if ours else stages.NAMES[:-1]


def read(request: Request, listener: Listener = ignore) -> Lowered:
    """The model as a module, as it stands in the file."""
    from compiler.ir_text import new_context, parse_module
    from compiler.lowered import Lowered

    listener(f"reading {request.source.label}")
    start = perf_counter()
    source, ctx = request.source, new_context()
    files: tuple[str, ...] | None = ()
    if source.text is not None:
        if request.dims:
            raise InputError(
                "sizes of a module's text cannot be fixed",
                hint="edit its types, or start from ONNX",
            )
        module = parse_module(source.text, ctx, source.label)
    else:
        from compiler.importer import import_model

        model = source.path or source.data or source.proto
        if model is None:
            raise InvalidModelError("the data is empty")
        module = import_model(model, ctx, dims=request.dims)
        files = external_files(module)
    fix_shapes(module, request.shapes)
    report = Report(import_seconds=perf_counter() - start, listener=listener)
    report.nodes = sum(op.name.startswith("onnx.") for op in module.walk())
    return Lowered(module, ctx, request.target, report, files)


def fix_shapes(module: ModuleOp, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Gives the inputs of an imported model static types. Raises InputError where they disagree."""
    if not shapes:
        return
    from xdsl.dialects.builtin import StringAttr

    from compiler.lowered import main_function
    from dialects.onnx.types import dims_of, element_type_of, tensor_type

    main = main_function(module)
    for argument, entry in zip(main.body.block.args, main.arg_attrs or (), strict=True):
        name = entry.data["onnx.name"]
        assert isinstance(name, StringAttr)
        shape, dims = shapes[name.data], dims_of(argument.type)
        fits = dims is None or (
            len(dims) == len(shape)
            and all(d == n for d, n in zip(dims, shape, strict=True) if isinstance(d, int))
        )
        if not fits:
            raise InputError(f"input '{name.data}' has shape {list(shape)}, expected {dims}")
        argument._type = tensor_type(element_type_of(argument.type), shape)


def external_files(module: ModuleOp) -> tuple[str, ...] | None:
    """The files beside a model, relative to its folder, that hold its weights."""
    from xdsl.dialects.builtin import ArrayAttr

    named = module.attributes.get("onnx.external_data")
    if named is None:
        return ()
    return tuple(entry.data for entry in named) if isinstance(named, ArrayAttr) else None


def find_target(target: str | Target) -> Target:
    """A target from what users give. Raises UnsupportedError for an unknown one."""
    if isinstance(target, Target):
        return target
    return Target.host() if target in ("host", "cpu", "native") else Target.named(target)


def _checked_dims(dims: Mapping[str, int]) -> dict[str, int]:
    for name, size in dims.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise InputError(f"size '{name}' is fixed to {size!r}", hint="give a number >= 0")
    return dict(dims)
