"""Whether anything works at all: run first, done in seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

import compiler
import runtime

ROOT = Path(__file__).parents[1]
DIGITS = ROOT / "examples" / "digits"


def test_a_model_compiles_runs_saves_and_loads(tmp_path: Path) -> None:
    image = np.load(DIGITS / "digit.npy")
    net = compiler.compile(DIGITS / "digits.onnx")
    probabilities = net(image)
    assert probabilities.argmax() == 6
    assert abs(probabilities.sum() - 1) < 1e-5
    net.save(tmp_path / "digits.terrace")
    loaded = runtime.load(tmp_path / "digits.terrace")
    np.testing.assert_array_equal(loaded(image), probabilities)
    (ours,) = compiler.InferenceSession(DIGITS / "digits.onnx").run(None, {"image": image})
    np.testing.assert_array_equal(ours, probabilities)


def test_every_stage_has_text() -> None:
    signs = {"onnx": "onnx.Conv", "krnl": "krnl.iterate", "affine": "affine.for", "llvm": "llvm."}
    for stage, sign in signs.items():
        assert sign in compiler.lower(DIGITS / "digits.onnx", to=stage).as_text(elide=64)


def test_the_command_line_answers() -> None:
    command = [sys.executable, "-m", "compiler", "--version"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("onnx-terrace ")
