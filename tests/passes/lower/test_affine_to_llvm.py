"""The text that `lower-llvm` makes of the files in `affine_to_llvm/`, by FileCheck; its errors."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from filecheck.finput import FInput
from filecheck.matcher import Matcher
from filecheck.options import Options
from filecheck.parser import Parser, pattern_for_opts
from native_kernel import llvm_ir, lower
from xdsl.dialects.builtin import FileLineColLoc, IntAttr, StringAttr

from compiler.ir_text import new_context, parse_module
from compiler.target import Target
from passes.lower.affine_to_llvm import AffineToLLVM
from runtime.errors import InternalError

CASES = sorted((Path(__file__).parent / "affine_to_llvm").glob("*.mlir"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_filecheck(case: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = case.read_text()
    module, _ = lower(text)
    options = Options(str(case))
    checks = Parser(options, io.StringIO(text), *pattern_for_opts(options))
    failed = Matcher(options, FInput("output", str(module)), checks).run()
    assert not failed, f"{capfd.readouterr().err}\n{module}"


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ("%y = math.exp %x : f32", "math.exp cannot be lowered"),
        ("%y = memref.alloca(%n) : memref<?xf32>", "dynamic size"),
        ('"memref.dealloc"(%a) : (memref<?xf32>) -> ()', "memref.dealloc cannot be lowered"),
    ],
)
def test_operations_without_a_lowering_are_named(operation: str, message: str) -> None:
    text = f"""
    func.func @f(%a: memref<?xf32>, %n: index) {{
      %x = affine.load %a[0] : memref<?xf32>
      {operation}
      return
    }}"""
    with pytest.raises(InternalError, match=message):
        lower(text)


def test_locations_reach_the_llvm_stage() -> None:
    ctx = new_context()
    module = parse_module(
        """func.func @f(%a: memref<4xf32>) {
          %x = affine.load %a[1] : memref<4xf32> loc("model.onnx":42:0)
          affine.store %x, %a[2] : memref<4xf32> loc("model.onnx":43:0)
          return
        }""",
        ctx,
    )
    AffineToLLVM().apply(ctx, module)
    lines = {op.name: op.location for op in module.walk()}
    node_42 = FileLineColLoc(StringAttr("model.onnx"), IntAttr(42), IntAttr(0))
    assert lines["llvm.load"] == node_42
    assert lines["llvm.store"] != node_42


def test_pointwise_loop_uses_whole_vector_registers() -> None:
    text = """
    func.func @f(%a: memref<?xf32>, %b: memref<?xf32>, %c: memref<?xf32>, %n: index) {
      %zero = arith.constant 0.0 : f32
      affine.for %i = 0 to %n {
        %x = affine.load %a[%i] : memref<?xf32>
        %y = affine.load %b[%i] : memref<?xf32>
        %s = arith.addf %x, %y : f32
        %r = arith.maximumf %s, %zero : f32
        affine.store %r, %c[%i] : memref<?xf32>
      }
      return
    }"""
    assert "<16 x float>" in llvm_ir(text, Target.named("skylake-avx512"))
    assert "<8 x float>" in llvm_ir(text, Target.named("haswell"))
    assert "<4 x float>" in llvm_ir(text, Target.named("aarch64"))


def test_normalization_vectorizes_when_sums_may_be_reordered() -> None:
    text = """
    func.func @f(%a: memref<?x768xf32>, %r: memref<?x768xf32>) {
      %c0 = arith.constant 0 : index
      %zero = arith.constant 0.0 : f32
      %size = arith.constant 768.0 : f32
      %n = memref.dim %a, %c0 : memref<?x768xf32>
      affine.for %i = 0 to %n {
        %sum, %squares = affine.for %j = 0 to 768 iter_args(%s = %zero, %q = %zero) -> (f32, f32) {
          %x = affine.load %a[%i, %j] : memref<?x768xf32>
          %t = arith.addf %s, %x fastmath<reassoc,nsz,contract> : f32
          %xx = arith.mulf %x, %x fastmath<reassoc,nsz,contract> : f32
          %u = arith.addf %q, %xx fastmath<reassoc,nsz,contract> : f32
          affine.yield %t, %u : f32, f32
        }
        %mean = arith.divf %sum, %size : f32
        affine.for %j = 0 to 768 {
          %x = affine.load %a[%i, %j] : memref<?x768xf32>
          %y = arith.subf %x, %mean : f32
          %z = arith.divf %y, %squares : f32
          affine.store %z, %r[%i, %j] : memref<?x768xf32>
        }
      }
      return
    }"""
    optimised = llvm_ir(text, Target.named("skylake-avx512"))
    assert "llvm.vector.reduce.fadd.v16f32" in optimised
    assert "fdiv <16 x float>" in optimised


@pytest.mark.parametrize(
    ("rows", "columns", "unrolled"),
    [("%n", "4", False), ("9", "4", False), ("8", "%n", True), ("%n", "1", True)],
)
def test_loops_around_loops_are_not_unrolled(rows: str, columns: str, unrolled: bool) -> None:
    module, _ = lower(
        f"""func.func @f(%a: memref<?x64xf32>, %n: index) {{
          affine.for %i = 0 to {rows} {{
            affine.for %j = 0 to {columns} {{
              %x = affine.load %a[%i, %j] : memref<?x64xf32>
              affine.store %x, %a[%i, %j + 8] : memref<?x64xf32>
            }}
          }}
          return
        }}"""
    )
    assert str(module).count("#llvm.loop_annotation") == (0 if unrolled else 1)


@pytest.mark.parametrize("columns", [8, 49, 64])
def test_a_sum_that_llvm_unrolls_gathers_nothing(columns: int) -> None:
    """Its terms are vectors of neighbours, not elements of several rows."""
    text = f"""func.func @f(%a: memref<?x{columns}xf32>, %r: memref<?xf32>, %n: index) {{
      %zero = arith.constant 0.0 : f32
      affine.for %i = 0 to %n {{
        %sum = affine.for %j = 0 to {columns} iter_args(%s = %zero) -> (f32) {{
          %x = affine.load %a[%i, %j] : memref<?x{columns}xf32>
          %t = arith.addf %s, %x fastmath<reassoc,nsz> : f32
          affine.yield %t : f32
        }}
        affine.store %sum, %r[%i] : memref<?xf32>
      }}
      return
    }}"""
    optimised = llvm_ir(text, Target.named("skylake-avx512"))
    assert "gather" not in optimised
    assert "llvm.vector.reduce.fadd" in optimised
