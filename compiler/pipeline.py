"""Pipelines: passes in order, as text or Python, and how they are run.

    pipe = compiler.Pipeline.default().after("onnx-simplify", "my-pass{size=4}")
    net = compiler.compile("model.onnx", passes=pipe)

The text is xDSL's: names separated by commas, options in braces.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compiler import stages
from compiler.registry import find_pass, is_ours
from compiler.report import Report
from compiler.target import Target
from runtime.errors import InputError, InternalError, Place, TerraceError

if TYPE_CHECKING:
    from xdsl.context import Context
    from xdsl.dialects.builtin import ModuleOp
    from xdsl.passes import ModulePass


@dataclass(frozen=True)
class Pipeline:
    """A list of passes. Immutable: methods that change one give a new one.

    Raises InputError where a name or an option is wrong, when the passes are made.
    """

    text: str

    @staticmethod
    def default(target: str | Target = "host") -> Pipeline:
        """All passes from an imported model to the `llvm` stage of a target."""
        target = Target.named(target) if isinstance(target, str) else target
        return Pipeline(",".join(stages.default_passes(target)))

    @property
    def entries(self) -> tuple[str, ...]:
        """The text of each pass."""
        return tuple(entry.strip() for entry in _split(self.text) if entry.strip())

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each pass."""
        return tuple(map(_name, self.entries))

    @property
    def is_ours(self) -> bool:
        """Whether all passes are part of this distribution."""
        return all(map(is_ours, self.names))

    def after(self, name: str, text: str) -> Pipeline:
        """With other passes behind the last one of that name."""
        place = len(self.names) - 1 - self.names[::-1].index(self._known(name))
        return self._splice(place + 1, place + 1, text)

    def before(self, name: str, text: str) -> Pipeline:
        """With other passes in front of the first one of that name."""
        place = self.names.index(self._known(name))
        return self._splice(place, place, text)

    def replace(self, name: str, text: str) -> Pipeline:
        """With other passes (or options, or none) in place of the first one of that name."""
        place = self.names.index(self._known(name))
        return self._splice(place, place + 1, text)

    def with_option(self, name: str, option: str) -> Pipeline:
        """With another option, such as "explain=true", of the first pass of that name."""
        entry = self.entries[self.names.index(self._known(name))]
        options = entry.partition("{")[2].rpartition("}")[0]
        return self.replace(name, f"{name}{{{' '.join(filter(None, (options, option)))}}}")

    def without(self, name: str) -> Pipeline:
        """Without any pass of that name."""
        self._known(name)
        return Pipeline(",".join(e for e in self.entries if _name(e) != name))

    def until(self, name: str) -> Pipeline:
        """The passes in front of the first one of that name."""
        return Pipeline(",".join(self.entries[: self.names.index(self._known(name))]))

    def passes(self) -> tuple[ModulePass, ...]:
        """The passes themselves."""
        return tuple(map(make_pass, self.entries))

    def _known(self, name: str) -> str:
        if name not in self.names:
            raise InputError(f"the pipeline has no pass '{name}'", hint=f"it is {self.text}")
        return name

    def _splice(self, begin: int, end: int, text: str) -> Pipeline:
        entries = [*self.entries[:begin], *Pipeline(text).entries, *self.entries[end:]]
        return Pipeline(",".join(entries))

    def __str__(self) -> str:
        return self.text


def _name(entry: str) -> str:
    return entry.partition("{")[0].strip()


def _split(text: str) -> Iterator[str]:
    """Cuts at commas outside of braces."""
    depth = start = 0
    for place, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if character == "," and depth == 0:
            yield text[start:place]
            start = place + 1
    yield text[start:]


def make_pass(text: str) -> ModulePass:
    """One pass with its options. Raises InputError when name or options are wrong."""
    from xdsl.utils.arg_spec import parse_pipeline
    from xdsl.utils.exceptions import ArgSpecParseError

    try:
        specs = list(parse_pipeline(text))
    except ArgSpecParseError as error:
        raise InputError(f"'{text}' is no pass with options: {error}") from error
    if len(specs) != 1:
        raise InputError(f"'{text}' is no pass with options")
    found = find_pass(specs[0].name)
    try:
        return found.from_pass_spec(specs[0])
    except (ValueError, TypeError) as error:
        raise InputError(f"pass '{text}': {error}") from error


Observer = Callable[[str, str, "ModuleOp", "Context"], None]
"""Told (stage, pass, module, context) after each pass; the pass is "" at a stage's border."""


def run_passes(
    module: ModuleOp,
    ctx: Context,
    passes: Sequence[ModulePass],
    report: Report,
    stage: str,
    observers: Sequence[Observer] = (),
    verified: Container[str] = stages.NAMES,
) -> None:
    """Runs passes on a module that stands on ``stage``, and verifies it at each border.

    ``verified`` are the stages at whose borders each operation is verified; what may not stand
    there is found at every border.

    Raises what the passes raise; what is no TerraceError becomes an InternalError that names the
    pass.
    """
    from passes.borders import check_border

    homes = stages.homes()
    position = stages.index_of(stage)
    reached = stage
    for number, each in enumerate(passes):
        position = max(position, homes.get(each.name, position))
        name = stages.NAMES[position]
        reached = stages.ENTRIES.get(each.name, reached)
        with report.time_pass(name, each.name):
            _apply(each, ctx, module, name)
        for observer in observers:
            observer(name, each.name, module, ctx)
        following = passes[number + 1].name if number + 1 < len(passes) else ""
        if not following or homes.get(following, position) > position:
            with report.time_pass(name, "verify"):
                if reached in verified:
                    verify_operations(module, each.name)
                check_border(module, reached)
            for observer in observers:
                observer(name, "", module, ctx)


def _apply(each: ModulePass, ctx: Context, module: ModuleOp, stage: str) -> None:
    try:
        each.apply(ctx, module)
    except TerraceError:
        raise
    except RecursionError as error:
        raise InternalError(
            f"pass '{each.name}' recurses too deeply", Place(stage=stage)
        ) from error
    except Exception as error:
        # A pass that raises anything else has a bug, ours or the user's; the cause is kept.
        reason = f"{type(error).__name__}: {error}"
        raise InternalError(f"pass '{each.name}' failed: {reason}", Place(stage=stage)) from error


def verify_operations(module: ModuleOp, name: str) -> None:
    """Verifies a module. Raises InternalError that blames the pass ``name``."""
    from xdsl.utils.exceptions import VerifyException

    try:
        module.verify()
    except (VerifyException, ValueError) as error:
        raise InternalError(f"what pass '{name}' leaves does not verify: {error}") from error
