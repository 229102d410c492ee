"""A module on some stage, to look at, change and compile on from."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import TYPE_CHECKING

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp

from compiler import stages
from compiler.ir_text import print_module, stage_of
from compiler.pipeline import Observer, Pipeline, make_pass, run_passes
from compiler.report import Report
from compiler.target import Target
from runtime.errors import InputError, InvalidModelError

if TYPE_CHECKING:
    from xdsl.context import Context

    from runtime.network import Network
    from runtime.program import Program


class Lowered:
    """A module and all that belongs to it.

    ``module`` may be changed at will before it is lowered on; ``ctx`` is its xDSL context, which
    holds the large constants; ``report`` says what was done so far; ``files`` are the files beside
    the model that its weights were read from.
    """

    def __init__(
        self,
        module: ModuleOp,
        ctx: Context,
        target: Target,
        report: Report | None = None,
        files: tuple[str, ...] | None = (),
    ) -> None:
        self.module = module
        self.ctx = ctx
        self.target = target
        self.report = Report() if report is None else report
        self.files = files

    @property
    def stage(self) -> str:
        """The stage that the module stands on, read off its operations."""
        return stage_of(self.module)

    def as_text(self, *, elide: int | None = None, locations: bool = False) -> str:
        """The module's text.

        ``elide`` leaves out the data of constants of more than that many bytes; such text is for
        reading only. ``locations`` prints where operations come from.
        """
        return print_module(self.module, self.ctx, elide=elide, locations=locations)

    def run(self, pipeline: Pipeline | str, observers: Sequence[Observer] = ()) -> None:
        """Runs passes on the module in place. Raises what the passes raise."""
        pipeline = Pipeline(pipeline) if isinstance(pipeline, str) else pipeline
        run_passes(self.module, self.ctx, pipeline.passes(), self.report, self.stage, observers)

    def advance(
        self,
        to: str,
        observers: Sequence[Observer] = (),
        verified: Container[str] = stages.NAMES,
    ) -> None:
        """Runs the default passes from the module's stage to another, in place.

        ``verified`` is as for `compiler.pipeline.run_passes`. Raises InputError when the module
        stands below that stage already.
        """
        passes = [make_pass(text) for text in remaining_passes(self.module, to, self.target)]
        run_passes(self.module, self.ctx, passes, self.report, self.stage, observers, verified)

    def lower(self, to: str, verified: Container[str] = stages.NAMES) -> Lowered:
        """A copy of the module on a later stage; this one stays as it is."""
        copy = Lowered(self.module.clone(), self.ctx, self.target)
        copy.advance(to, verified=verified)
        return copy

    def program(self) -> Program:
        """The module as a program; it stays as it is."""
        return Lowered(self.module.clone(), self.ctx, self.target).finish(stages.NAMES[:-1])

    def finish(self, verified: Container[str] = stages.NAMES) -> Program:
        """The module as a program, which takes it apart: it is of no use after.

        ``verified`` is as for `compiler.pipeline.run_passes`.
        """
        from compiler.kernels import link_kernels
        from compiler.linking import link

        if stages.index_of(self.stage) < stages.index_of("krnl"):
            self.advance("krnl", verified=verified)
        if self.stage == "llvm":
            return link(self.module, self.ctx, self.target, report=self.report)
        return link_kernels(self, verified)

    def compile(self, device: str = "cpu") -> Network:
        """The module as a network on a device; it stays as it is."""
        from runtime.network import Network

        return Network(self.program(), device)


def remaining_passes(module: ModuleOp, to: str, target: Target) -> list[str]:
    """The default passes that a module still has to take to come to a stage.

    Raises InputError when it stands below that stage already.
    """
    here, there = stages.index_of(stage_of(module)), stages.index_of(to)
    if here > there:
        raise InputError(f"the module stands on the {stages.NAMES[here]} stage, below {to}")
    rows = [list(stage.passes(target)) for stage in stages.STAGES]
    # What stands on the first stage need not have taken its passes; on the others it has.
    done = here + 1 if here else 0
    if here == 0 and has_dispatches(module):
        done = 1
        names = [text.partition("{")[0] for text in rows[1]]
        rows[1] = rows[1][names.index(stages.STAGES[1].entry) :]
    return [text for row in rows[done : there + 1] for text in row]


def has_dispatches(module: ModuleOp) -> bool:
    """Whether dispatches are formed, after which the passes of the `onnx` stage are done."""
    return any("onnx.dispatch" in op.attributes for op in module.ops)


def main_function(module: ModuleOp) -> FuncOp:
    """The function that a module on the `onnx` stage stands for.

    Raises InvalidModelError when there is none.
    """
    for op in module.ops:
        if isinstance(op, FuncOp) and op.sym_name.data == "main":
            return op
    raise InvalidModelError("the module has no function @main")
