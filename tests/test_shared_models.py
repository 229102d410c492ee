"""Real models, which are not part of the repository: folders below `$TERRACE_SHARED/models/core`.

Each has a model, inputs, and what onnxruntime made of them. They run through `InferenceSession`,
and saved in a process that has neither compiler nor xdsl nor onnx.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import compiler

SHARED = Path(os.environ.get("TERRACE_SHARED", ""))
FOLDERS = sorted(path.parent for path in SHARED.glob("models/core/*/model.onnx"))

pytestmark = pytest.mark.skipif(
    "TERRACE_SHARED" not in os.environ, reason="TERRACE_SHARED names no folder with models"
)
ROOT = Path(__file__).parents[1]


def checker() -> ModuleType:
    """The script that says what counts as equal."""
    spec = importlib.util.spec_from_file_location("check", SHARED / "tools" / "check_models.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RUN_SAVED = """
import sys
sys.modules.update(dict.fromkeys(("xdsl", "onnx", "compiler", "passes", "dialects")))
import numpy as np
import runtime
program, inputs, outputs = sys.argv[1:]
network = runtime.load(program)
arrays = np.load(inputs)
np.savez(outputs, **network.run({spec.name: arrays[spec.name] for spec in network.inputs}))
"""


def run_saved(network: Any, feed: dict[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    program, inputs, outputs = (folder / n for n in ("m.terrace", "in.npz", "out.npz"))
    network.save(program)
    np.savez(inputs, **feed)  # type: ignore[arg-type]
    command = [sys.executable, "-c", RUN_SAVED, str(program), str(inputs), str(outputs)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(np.load(outputs))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_real_model_is_right(folder: Path, tmp_path: Path) -> None:
    same = checker().same
    sets = json.loads((folder / "meta.json").read_text())["sets"]
    inputs, expected = np.load(folder / "inputs.npz"), np.load(folder / "expected.npz")
    session = compiler.InferenceSession(folder / "model.onnx")
    for number, entry in enumerate(sets):
        feed = {name: inputs[spec["key"]] for name, spec in entry["inputs"].items()}
        names = list(entry["outputs"])
        results = [dict(zip(names, session.run(names, feed), strict=True))]
        if number == 0 and session.network is not None:
            results.append(run_saved(session.network, feed, tmp_path))
        slack = (entry.get("ort_opt_vs_noopt") or {}).get("max_abs_over_maxval") or 0.0
        for got in results:
            for name, specs in entry["outputs"].items():
                wrong = same(got[name], expected[specs[0]["key"]], slack=slack)
                assert wrong is None, f"set {number}, output {name}: {wrong}"
