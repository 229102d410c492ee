"""Which passes there are: ours, the user's and those that installed packages bring.

    @compiler.register_pass
    @dataclass(frozen=True)
    class MyPass(ModulePass):
        name = "my-pass"

makes `my-pass` known to `compiler.Pipeline` and to `-p`. A package names its passes in the entry
point group `terrace.passes` (`my-pass = "package.module:MyPass"`); those are known to stock
`xdsl-opt` too.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, TypeVar

from runtime.errors import InputError

if TYPE_CHECKING:
    from xdsl.passes import ModulePass

PASSES = {
    "affine-prefetch": "passes.affine.prefetch:AffinePrefetch",
    "expand-math": "passes.affine.expand_math:ExpandMath",
    "hal-plan-memory": "passes.hal.plan_memory:PlanMemory",
    "hal-profile": "passes.hal.profile:Profile",
    "krnl-schedule": "passes.krnl.schedule:ScheduleKrnl",
    "lower-affine": "passes.lower.krnl_to_affine:KrnlToAffine",
    "lower-krnl": "passes.lower.onnx_to_krnl:OnnxToKrnl",
    "lower-llvm": "passes.lower.affine_to_llvm:AffineToLLVM",
    "onnx-apply-strassen": "passes.onnx.apply_strassen:ApplyStrassen",
    "onnx-apply-winograd": "passes.onnx.apply_winograd:ApplyWinograd",
    "onnx-slice-strides": "passes.onnx.slice_strides:SliceStrides",
    "onnx-pack-integers": "passes.onnx.pack_integers:PackIntegers",
    "onnx-assign-layouts": "passes.onnx.assign_layouts:AssignLayouts",
    "onnx-check-indices": "passes.onnx.check_indices:CheckIndices",
    "onnx-bind-parameters": "passes.onnx.bind_parameters:BindParameters",
    "onnx-result-sizes": "passes.onnx.result_sizes:ResultSizes",
    "onnx-align-operands": "passes.onnx.align_operands:AlignOperands",
    "onnx-check-operators": "passes.onnx.check_operators:CheckOperators",
    "onnx-decompose-integers": "passes.onnx.decompose_integers:DecomposeIntegers",
    "onnx-decompose-rnn": "passes.onnx.decompose_rnn:DecomposeRnn",
    "onnx-expand-functions": "passes.onnx.expand_functions:ExpandFunctions",
    "onnx-fold": "passes.onnx.fold_constants:FoldConstants",
    "onnx-form-dispatches": "passes.onnx.form_dispatches:FormDispatches",
    "onnx-infer-shapes": "passes.onnx.infer_shapes:InferShapes",
    "onnx-legalize": "passes.onnx.legalize:Legalize",
    "onnx-multiply-integers": "passes.onnx.multiply_integers:MultiplyIntegers",
    "onnx-normalize-scan": "passes.onnx.normalize_scan:NormalizeScan",
    "onnx-simplify": "passes.onnx.simplify:Simplify",
    "verify-stage": "passes.borders:VerifyStage",
}
"""Our passes by name, and where they are."""

RULES = {"lower-llvm": ("passes.lower.hal_to_llvm",)}
"""Modules that register rules with a pass, and which nothing else imports."""

GROUP = "terrace.passes"

PREFIX = "terrace-"
"""Stands before the name of a pass of ours where xDSL has another one of that name."""

PassClass = TypeVar("PassClass", bound="type[ModulePass]")

_registered: dict[str, type[ModulePass]] = {}


def register_pass(cls: PassClass) -> PassClass:
    """Makes an xDSL `ModulePass` available under its name; a class decorator.

    Raises InputError when the name belongs to another pass.
    """
    name = cls.name
    other = _registered.get(name, cls)
    # A module that is reloaded defines its classes anew.
    if name in PASSES or (other.__module__, other.__qualname__) != (
        cls.__module__,
        cls.__qualname__,
    ):
        raise InputError(f"there is a pass '{name}' already", hint="give yours another name")
    _registered[name] = cls
    return cls


def registered() -> tuple[str, ...]:
    """Names of the passes that were registered in this process."""
    return tuple(_registered)


def find_pass(name: str) -> type[ModulePass]:
    """The pass of a name: ours, a registered one, an installed one, or one of xDSL's.

    Raises InputError when there is none.
    """
    if name.removeprefix(PREFIX) in PASSES:
        return load_prefixed(name)
    if name in _registered:
        return _registered[name]
    if name in installed():
        return installed()[name]()
    from xdsl.transforms import get_all_passes

    upstream = get_all_passes()
    if name in upstream:
        return upstream[name]()
    raise InputError(f"there is no pass '{name}'", hint=_similar(name, [*PASSES, *_registered]))


def load_pass(name: str) -> type[ModulePass]:
    """Imports one of our passes and what registers rules with it."""
    for module in RULES.get(name, ()):
        importlib.import_module(module)
    return _load(PASSES[name])


def load_prefixed(name: str) -> type[ModulePass]:
    """A pass of ours under its name or, with the prefix, under that one."""
    found = load_pass(name.removeprefix(PREFIX))
    return found if found.name == name else type(found.__name__, (found,), {"name": name})


def is_ours(name: str) -> bool:
    """Whether a pass is part of this distribution, so that its version says what it does."""
    return name.removeprefix(PREFIX) in PASSES


@cache
def installed() -> dict[str, Callable[[], type[ModulePass]]]:
    """Loaders of the passes that installed packages bring, by name."""
    from importlib.metadata import entry_points

    return {entry.name: partial(_load_entry, entry) for entry in entry_points(group=GROUP)}


def _load_entry(entry: object) -> type[ModulePass]:
    return entry.load()  # type: ignore[attr-defined]


def _load(home: str) -> type[ModulePass]:
    module, _, name = home.partition(":")
    return getattr(importlib.import_module(module), name)


def _similar(name: str, known: list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, known, 3)
    return f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(known)}"
