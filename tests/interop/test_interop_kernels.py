"""Upstream's tools accept the affine and llvm stages, and translate the latter to LLVM IR that
computes what ours computes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from native_kernel import Context, aligned, engine, kernels, like, lower
from xdsl.printer import Printer

from compiler.codegen import compile_text
from compiler.ir_text import new_context, parse_module, print_module
from compiler.target import Target

LOWERED = Path(__file__).parents[1] / "passes/lower/affine_to_llvm"

SOFTMAX_LIKE = """
func.func private @shifted(%x: f32, %m: f32) -> f32 attributes {alwaysinline} {
  %d = arith.subf %x, %m : f32
  %h = arith.mulf %d, %d fastmath<contract> : f32
  return %h : f32
}
func.func @rows(%a: memref<?x33xf32>, %r: memref<?x33xf32>, %f: memref<?xi8>) {
  %c0 = arith.constant 0 : index
  %low = arith.constant 0xFF800000 : f32
  %one = arith.constant 1.0 : f32
  %n = memref.dim %a, %c0 : memref<?x33xf32>
  affine.parallel (%i) = (0) to (%n) {
    %max = affine.for %j = 0 to 33 iter_args(%m = %low) -> (f32) {
      %x = affine.load %a[%i, %j] : memref<?x33xf32>
      %y = arith.maximumf %x, %m : f32
      affine.yield %y : f32
    }
    affine.for %j = 0 to 33 {
      %x = affine.load %a[%i, %j] : memref<?x33xf32>
      %s = func.call @shifted(%x, %max) : (f32, f32) -> f32
      %t = arith.addf %s, %one : f32
      %u = math.sqrt %t : f32
      %v = affine.if affine_set<(d0) : (d0 mod 3 == 0)>(%j) -> f32 {
        affine.yield %u : f32
      } else {
        affine.yield %s : f32
      }
      affine.store %v, %r[%i, %j] : memref<?x33xf32>
    } {unroll_disable}
    %p = arith.cmpf ogt, %max, %one : f32
    %q = arith.extui %p : i1 to i8
    affine.store %q, %f[%i] : memref<?xi8>
  } {grain = 2 : i64}
  return
}
"""

VECTORS = """
func.func @gather(%a: memref<?xf32>, %at: memref<32xi64>, %r: memref<32xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %zeros = arith.constant dense<0.0> : vector<16xf32>
  %two = arith.constant 2.0 : f32
  affine.for %i = 0 to 32 step 16 {
    %l = affine.apply affine_map<(d0)[s0] -> (s0 - d0)>(%i)[%n]
    %mask = vector.create_mask %l : vector<16xi1>
    %lanes = vector.load %at[%i] : memref<32xi64>, vector<16xi64>
    %x = vector.gather %a[%c0] [%lanes], %mask, %zeros
        : memref<?xf32>, vector<16xi64>, vector<16xi1>, vector<16xf32> into vector<16xf32>
    %b = vector.broadcast %two : f32 to vector<16xf32>
    %y = vector.fma %x, %b, %b : vector<16xf32>
    %e, %o = vector.deinterleave %y : vector<16xf32> -> vector<8xf32>
    %z = vector.interleave %o, %e : vector<8xf32> -> vector<16xf32>
    vector.maskedstore %r[%i], %mask, %z : memref<32xf32>, vector<16xi1>, vector<16xf32>
  }
  return
}
"""

TABLES = """
"memref.global"() <{sym_name = "table", sym_visibility = "private", type = memref<2x2xf32>,
    initial_value = dense<[[1.0, 2.5], [-3.0, 0.1]]> : tensor<2x2xf32>, constant}> : () -> ()
"memref.global"() <{sym_name = "bits", sym_visibility = "private", type = memref<3xi8>,
    initial_value = dense<[1, 0, 1]> : tensor<3xi8>, constant}> : () -> ()
func.func @tables(%a: memref<2x2xf32>, %b: memref<3xi8>) {
  %t = memref.get_global @table : memref<2x2xf32>
  %u = memref.get_global @bits : memref<3xi8>
  affine.for %i = 0 to 2 {
    %x = affine.load %t[%i, 1] : memref<2x2xf32>
    affine.store %x, %a[1, %i] : memref<2x2xf32>
    %y = affine.load %u[%i] : memref<3xi8>
    affine.store %y, %b[%i + 1] : memref<3xi8>
  }
  return
}
"""

CASES = {path.stem: path.read_text() for path in sorted(LOWERED.glob("*.mlir"))} | {
    "rows": SOFTMAX_LIKE,
    "gather": VECTORS,
    "tables": TABLES,
}


def run(tool: str, text: str, *options: str) -> str:
    """Runs a tool on a text. Skips the test if the tool is not installed."""
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is not installed (Debian package mlir-22-tools)")
    done = subprocess.run([path, *options], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}\n{text}"
    return done.stdout


@pytest.mark.parametrize("case", CASES)
def test_mlir_opt_accepts_the_affine_stage(case: str) -> None:
    ctx = new_context()
    run("mlir-opt-22", print_module(parse_module(CASES[case], ctx), ctx))


@pytest.mark.parametrize("generic", [False, True], ids=["pretty", "generic"])
@pytest.mark.parametrize("case", CASES)
def test_mlir_opt_accepts_the_llvm_stage(case: str, generic: bool, tmp_path: Path) -> None:
    module, _ = lower(CASES[case])
    with (tmp_path / "out.mlir").open("w") as stream:
        Printer(stream, print_generic_format=generic).print_op(module)
    run("mlir-opt-22", (tmp_path / "out.mlir").read_text())


@pytest.mark.parametrize("case", CASES)
def test_mlir_translate_takes_the_llvm_stage(case: str) -> None:
    module, _ = lower(CASES[case])
    translated = run("mlir-translate-22", str(module), "--mlir-to-llvmir")
    assert compile_text(translated, Target.host(), name=case)


def _translated(text: str):
    """The kernels of a text, by way of mlir-translate."""
    ours = kernels(text)
    translated = run("mlir-translate-22", str(lower(text)[0]), "--mlir-to-llvmir")
    theirs = object.__new__(type(ours))
    theirs.signatures = ours.signatures
    theirs.engine = engine([compile_text(translated, Target.host())])
    return theirs


def test_rows_agree_with_numpy_and_upstream() -> None:
    a = like(np.random.default_rng(0).standard_normal((7, 33)).astype(np.float32))
    results = []
    for native in (kernels(SOFTMAX_LIKE), _translated(SOFTMAX_LIKE)):
        result, flags = aligned((7, 33), np.float32), aligned(7, np.int8)
        native("rows", a, result, flags, context=Context())
        results.append((result, flags))
    shifted = (a - a.max(1, keepdims=True)) ** 2
    expected = np.where(np.arange(33) % 3 == 0, np.sqrt(shifted + 1), shifted)
    np.testing.assert_allclose(results[0][0], expected, rtol=1e-6)
    np.testing.assert_array_equal(results[0][1], a.max(1) > 1)
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_gathers_agree_with_numpy_and_upstream() -> None:
    a = like(np.random.default_rng(1).standard_normal(50).astype(np.float32))
    at = like(np.random.default_rng(2).integers(0, 50, 32))
    expected = np.zeros(32, np.float32)
    gathered = np.where(np.arange(32) < 21, a[at], 0) * 2 + 2
    expected[:] = gathered.reshape(16, 2)[:, ::-1].ravel()
    expected[21:] = 0
    for native in (kernels(VECTORS), _translated(VECTORS)):
        result = aligned(32, np.float32)
        native("gather", a, at, result, 21)
        np.testing.assert_array_equal(result, expected)
