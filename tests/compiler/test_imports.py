"""Who may import whom, and what imports cost."""

from __future__ import annotations

import ast
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sample_models import DIGITS

import compiler

ROOT = Path(__file__).parents[2]

MAY_IMPORT = {
    "compiler": {"compiler", "passes", "dialects", "runtime"},
    "passes": {"passes", "dialects"},
    "dialects": {"dialects"},
    "runtime": {"runtime"},
}
"""Packages of ours by package; everyone may import `runtime.errors`, which imports nothing."""

NEVER = {
    "runtime": {"xdsl", "onnx"},
    "passes": {"argparse", "llvmlite", "onnxruntime"},
    "dialects": {"argparse", "llvmlite", "onnxruntime"},
    "compiler": set(),
}

ONLY_WHEN_USED = {"numba", "networkx", "onnxruntime"}
"""Too slow, or not always installed, to be imported with a module that may not need them."""

LIGHT = [
    *("compiler", "compiler.driver", "compiler.model_cache", "compiler.session"),
    *("compiler.cli", "compiler.cli.arguments", "compiler.cli.compile_command"),
    *("compiler.cli.run_command", "compiler.stages", "compiler.target"),
]
"""What a program that is in the cache goes through."""


def modules(package: str) -> Iterator[Path]:
    return (ROOT / package).rglob("*.py")


def imported(path: Path, nested: bool) -> Iterator[tuple[str, int]]:
    """Modules that a file imports, with the line; those in `if TYPE_CHECKING` do not count."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            assert node.module
            yield node.module, node.lineno
        if nested or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_run_one_way(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in modules(package)
        for name, line in imported(path, nested=True)
        if (
            (top := name.partition(".")[0]) in MAY_IMPORT.keys() - MAY_IMPORT[package]
            and name != "runtime.errors"
        )
        or top in NEVER[package]
    ]
    assert wrong == []


def test_errors_stand_on_nothing() -> None:
    names = {name for name, _ in imported(ROOT / "runtime" / "errors.py", nested=True)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


@pytest.mark.parametrize("package", ["compiler", "dialects", "runtime"])
def test_heavy_packages_are_imported_when_used(package: str) -> None:
    # Passes are themselves imported when they are used.
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in modules(package)
        for name, line in imported(path, nested=False)
        if name.partition(".")[0] in ONLY_WHEN_USED
    ]
    assert wrong == []


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", LIGHT)
def test_light_modules_import_neither_xdsl_nor_onnx(name: str) -> None:
    loaded = python(f"import sys, {name}; print(' '.join(sys.modules))").split()
    assert not {"xdsl", "onnx", "numba", "networkx", "ml_dtypes"} & set(loaded)


def test_the_runtime_imports_neither_compiler_nor_xdsl() -> None:
    code = "import sys, runtime, runtime.network; print(' '.join(sys.modules))"
    assert not {"xdsl", "onnx", "numba", "compiler"} & set(python(code).split())


def seconds(module: str) -> float:
    """The processor's time for an import, the least of three processes: others do not count."""
    code = f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
    return min(float(python(code)) for _ in range(3))


@pytest.mark.parametrize(("module", "limit"), [("compiler", 0.7), ("runtime", 0.35)])
def test_imports_are_fast(module: str, limit: float) -> None:
    assert seconds(module) < limit


def test_every_name_of_the_public_face_is_there() -> None:
    assert all(getattr(compiler, name) is not None for name in compiler.__all__)
    assert compiler._HOMES.keys() <= set(compiler.__all__)
    with pytest.raises(AttributeError, match="no attribute 'frobnicate'"):
        _ = compiler.frobnicate


RUN_CACHED = """
import sys
import compiler
import numpy as np
network = compiler.compile({path!r})
network(np.zeros((1, 1, 8, 8), np.float32))
print(' '.join(sys.modules))
"""


def test_a_cached_model_runs_without_xdsl_onnx_and_llvm() -> None:
    # What this process knows of its CPU it may have put into another test's cache.
    python(RUN_CACHED.format(path=str(DIGITS)))
    loaded = python(RUN_CACHED.format(path=str(DIGITS))).split()
    unwanted = {"xdsl", "onnx", "numba", "networkx"}
    # Elsewhere LLVM links and says what CPU this is.
    linked_here = (sys.platform, platform.machine()) == ("linux", "x86_64")
    assert not (unwanted | ({"llvmlite"} if linked_here else set())) & set(loaded)


SAVE_AND_LOAD = """
import sys
sys.modules.update(dict.fromkeys(("xdsl", "onnx", "compiler", "passes", "dialects")))
import numpy as np
import runtime
network = runtime.load({path!r})
print(network(np.zeros((1, 1, 8, 8), np.float32)).argmax())
"""


def test_a_saved_program_runs_with_the_runtime_alone(tmp_path: Path) -> None:
    path = tmp_path / "digits.terrace"
    compiler.compile(DIGITS).save(path)
    assert python(SAVE_AND_LOAD.format(path=str(path))).strip().isdigit()
