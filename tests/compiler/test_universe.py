"""Stock `xdsl-opt` knows our dialects and passes."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from sample_models import small_relu
from xdsl.dialects import get_all_dialects
from xdsl.transforms import get_all_passes

import compiler
from compiler.registry import PASSES, find_pass
from compiler.universe import UNIVERSE

ROOT = Path(__file__).parents[2]

# What the entry point does, for a tree that is not installed.
XDSL_OPT = """
import sys
from xdsl.universe import XDSL_UNIVERSE, Universe
from xdsl.xdsl_opt_main import xDSLOptMain
from compiler.universe import UNIVERSE
both = Universe(
    all_dialects={**XDSL_UNIVERSE.all_dialects, **UNIVERSE.all_dialects},
    all_passes={**XDSL_UNIVERSE.all_passes, **UNIVERSE.all_passes},
    all_targets=XDSL_UNIVERSE.all_targets,
)
Universe.get_multiverse = staticmethod(lambda: both)
xDSLOptMain(args=sys.argv[1:]).run()
"""


def xdsl_opt(*arguments: str, text: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", XDSL_OPT, *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_names_clash_with_none_of_xdsls() -> None:
    assert UNIVERSE.all_passes.keys().isdisjoint(get_all_passes())
    assert UNIVERSE.all_dialects.keys().isdisjoint(get_all_dialects())
    assert {"onnx", "krnl", "hal"} <= UNIVERSE.all_dialects.keys()


@pytest.mark.parametrize("name", sorted(UNIVERSE.all_passes))
def test_every_pass_loads_under_its_name(name: str) -> None:
    assert UNIVERSE.all_passes[name]().name == name
    assert find_pass(name).name == name


@pytest.mark.parametrize("name", sorted(PASSES))
def test_every_pass_of_ours_is_there(name: str) -> None:
    assert find_pass(name).name == name
    assert name in UNIVERSE.all_passes or f"terrace-{name}" in UNIVERSE.all_passes


def test_our_versions_of_dialects_hold_all_of_xdsls() -> None:
    from xdsl.universe import XDSL_UNIVERSE

    for name, load in get_all_dialects().items():
        ours = XDSL_UNIVERSE.all_dialects[name]()
        assert {op.name for op in load().operations} <= {op.name for op in ours.operations}
        assert {a.name for a in load().attributes} <= {a.name for a in ours.attributes}


def test_xdsl_opt_lowers_a_model() -> None:
    text = compiler.lower(small_relu(), to="krnl").as_text()
    affine = xdsl_opt("-p", "terrace-lower-affine,verify-stage{stage=affine}", text=text)
    assert "affine.for" in affine or "affine.parallel" in affine
    assert "llvm.func" in xdsl_opt("-p", "expand-math,lower-llvm", text=affine)


REGISTERED = """
from dataclasses import dataclass
from xdsl.dialects.builtin import UnitAttr
from xdsl.passes import ModulePass
import compiler

@compiler.register_pass
@dataclass(frozen=True)
class Mark(ModulePass):
    name = "test-mark"

    def apply(self, ctx, op):
        op.attributes["test.marked"] = UnitAttr()
"""


def test_xdsl_opt_runs_a_pass_of_the_users() -> None:
    done = subprocess.run(
        [sys.executable, "-c", REGISTERED + XDSL_OPT, "-p", "test-mark"],
        input=compiler.lower(small_relu(), to="llvm").as_text(),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "test.marked" in done.stdout


def test_the_entry_point_names_it() -> None:
    found = {entry.name: entry.value for entry in entry_points(group="xdsl.universe")}
    if "terrace" not in found:
        pytest.skip("the package is not installed here")
    assert found["terrace"] == "compiler.universe:UNIVERSE"
