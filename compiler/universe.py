"""Our dialects and passes for xDSL's tools: `xdsl-opt` finds `UNIVERSE` by its entry point.

A tool refuses two dialects or passes of one name.

* Dialects of ours that extend xDSL's (`affine`, `arith`, `llvm`, ...) take the place of xDSL's, in
  whose table they are entered: they hold all of xDSL's operations.
* A pass of ours whose name is taken gets the prefix `terrace-`, for xDSL's pass of that name does
  something else. `compiler.Pipeline` knows it under both names.

Passes registered before this module is imported are known, too. Nothing is imported before a text
or a pipeline needs it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial

from xdsl.ir import Dialect
from xdsl.passes import ModulePass
from xdsl.universe import XDSL_UNIVERSE, Universe

from compiler.ir_text import DIALECTS, new_context
from compiler.registry import (
    PASSES,
    PREFIX,
    find_pass,
    installed,
    load_prefixed,
    registered,
)


def _dialects() -> dict[str, Callable[[], Dialect]]:
    ours: dict[str, Callable[[], Dialect]] = {}
    for name in DIALECTS:
        if importlib.util.find_spec(f"dialects.{name}") is None:
            continue
        upstream = name in XDSL_UNIVERSE.all_dialects
        table = XDSL_UNIVERSE.all_dialects if upstream else ours
        table[name] = partial(_load_dialect, name)
    return ours


def _load_dialect(name: str) -> Dialect:
    found = new_context().get_optional_dialect(name)
    assert found is not None
    return found


def _passes() -> dict[str, Callable[[], type[ModulePass]]]:
    taken = XDSL_UNIVERSE.all_passes.keys()
    names = [f"{PREFIX}{name}" if name in taken else name for name in PASSES]
    ours = {name: partial(load_prefixed, name) for name in names}
    return {**ours, **installed(), **{name: partial(find_pass, name) for name in registered()}}


UNIVERSE = Universe(all_dialects=_dialects(), all_passes=_passes())
