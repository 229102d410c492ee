"""From the llvm dialect to machine code: text, targets, compilation in this and other processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from native_kernel import Kernels, aligned, engine, lower
from xdsl.dialects.builtin import ModuleOp

import compiler.codegen as codegen
from compiler.codegen import compile_modules, compile_text, object_key
from compiler.ir_text import new_context, parse_module
from compiler.llvm_text import kernel_modules, module_text
from compiler.object_cache import ObjectCache
from compiler.target import Target
from passes.lower.affine_to_llvm import AffineToLLVM
from runtime.errors import InternalError, UnsupportedError

ROOT = Path(__file__).parents[2]


def llvm_module(text: str) -> ModuleOp:
    return parse_module(text, new_context())


def body(text: str) -> str:
    """The LLVM IR of a function with this body; LLVM has accepted it."""
    arguments = "%x: f32, %n: i64, %p: !llvm.ptr, %v: vector<4xf32>, %c: i1"
    module = llvm_module(f"llvm.func @f({arguments}) {{\n{text}\nllvm.return\n}}")
    written = module_text(module)
    compile_text(written, Target.host(), "llvm-ir")
    return written


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("%r = llvm.add %n, %n overflow<nsw, nuw> : i64", "add nuw nsw i64 %1, %1"),
        ("%r = llvm.sdiv exact %n, %n : i64", "sdiv exact i64 %1, %1"),
        ("%r = llvm.or disjoint %n, %n : i64", "or disjoint i64 %1, %1"),
        ("%r = llvm.trunc %n : i64 to i8", "trunc i64 %1 to i8"),
        ("%r = llvm.uitofp %n : i64 to f32", "uitofp i64 %1 to float"),
        (
            '%r = llvm.fcmp "olt" %v, %v {fastmathFlags = #llvm.fastmath<nnan>} : vector<4xf32>',
            "fcmp nnan olt <4 x float> %3, %3",
        ),
        ("%r = llvm.intr.fma(%x, %x, %x) : (f32, f32, f32) -> f32", "@llvm.fma.f32(float %0, "),
        (
            "%r = llvm.fmul %x, %x {fastmathFlags = #llvm.fastmath<reassoc, contract>} : f32",
            "fmul contract reassoc float %0, %0",
        ),
        (
            "%r = llvm.getelementptr inbounds %p[%n, 1] : (!llvm.ptr, i64) -> !llvm.ptr,"
            " !llvm.array<3 x f32>",
            "getelementptr inbounds [3 x float], ptr %2, i64 %1, i32 1",
        ),
        (
            "%r = llvm.load volatile %p invariant {alignment = 4 : i64, nontemporal}"
            " : !llvm.ptr -> f32",
            "load volatile float, ptr %2, align 4, !invariant.load !0, !nontemporal !1",
        ),
        (
            '%r = "llvm.atomicrmw"(%p, %n) <{bin_op = 1 : i64, ordering = 6 : i64}>'
            " : (!llvm.ptr, i64) -> i64",
            "atomicrmw add ptr %2, i64 %1 acq_rel",
        ),
        (
            '%r = "llvm.cmpxchg"(%p, %n, %n) <{success_ordering = 6 : i64,'
            " failure_ordering = 2 : i64}> : (!llvm.ptr, i64, i64) -> !llvm.struct<(i64, i1)>",
            "cmpxchg ptr %2, i64 %1, i64 %1 acq_rel monotonic",
        ),
        ('"llvm.fence"() <{ordering = 7 : i64}> : () -> ()', "fence seq_cst"),
        (
            '%r = "llvm.intr.ctlz"(%n) <{is_zero_poison = false}> : (i64) -> i64',
            "call i64 @llvm.ctlz.i64(i64 %1, i1 false)",
        ),
        (
            '%r = "llvm.intr.vector.reduce.fadd"(%x, %v) <{fastmathFlags ='
            " #llvm.fastmath<reassoc>}> : (f32, vector<4xf32>) -> f32",
            "call reassoc float @llvm.vector.reduce.fadd.v4f32(float %0, <4 x float> %3)",
        ),
        (
            '"llvm.intr.memcpy"(%p, %p, %n) <{isVolatile = false}>'
            " : (!llvm.ptr, !llvm.ptr, i64) -> ()",
            "call void @llvm.memcpy.p0.p0.i64(ptr %2, ptr %2, i64 %1, i1 false)",
        ),
        (
            '"llvm.intr.prefetch"(%p) <{rw = 0 : i32, hint = 3 : i32, cache = 1 : i32}>'
            " : (!llvm.ptr) -> ()",
            "call void @llvm.prefetch.p0(ptr %2, i32 0, i32 3, i32 1)",
        ),
        (
            "%r = llvm.intr.strip.invariant.group %p : !llvm.ptr",
            "call ptr @llvm.strip.invariant.group.p0(ptr %2)",
        ),
        (
            "%r = llvm.shufflevector %v, %v [0, 5, -1] : vector<4xf32>",
            "<3 x i32> <i32 0, i32 5, i32 poison>",
        ),
        ("llvm.intr.assume %c : i1", "call void @llvm.assume(i1 %4)"),
    ],
)
def test_instructions(operation: str, expected: str) -> None:
    assert expected in body(operation)


@pytest.mark.parametrize(
    ("constant", "literal"),
    [
        ("(0.1 : f32) : f32", "float 0x3FB99999A0000000"),
        ("(0x7FC00001 : f32) : f32", "float 0x7FF8000020000000"),
        ("(0xFF800000 : f32) : f32", "float 0xFFF0000000000000"),
        ("(0.1 : f64) : f64", "double 0x3FB999999999999A"),
        ("(1.5 : f16) : f16", "half 0xH3E00"),
        ("(1.0 : bf16) : bf16", "bfloat 0xR3F80"),
        ("(true) : i1", "i1 true"),
        ("(-3 : i8) : i8", "i8 -3"),
        ("(dense<2.0> : vector<4xf32>) : vector<4xf32>", "splat (float 0x4000000000000000)"),
        ("(dense<[1, 2]> : vector<2xi16>) : vector<2xi16>", "<2 x i16> <i16 1, i16 2>"),
        ("(dense<[true, false]> : vector<2xi1>) : vector<2xi1>", "<i1 true, i1 false>"),
    ],
)
def test_constants_are_exact(constant: str, literal: str) -> None:
    kind = constant.rpartition(" : ")[2]
    use = f"llvm.store %k, %p : {kind}, !llvm.ptr"
    assert literal in body(f"%k = llvm.mlir.constant{constant}\n{use}")


def test_block_arguments_become_phi_nodes() -> None:
    module = llvm_module("""
    llvm.func @f(%n: i32, %x: f32, %y: f32) -> f32 {
      "llvm.switch"(%n, %x, %y, %x)[^bb1, ^bb1, ^bb2] <{
        case_values = dense<[3, -4]> : vector<2xi32>, case_operand_segments = array<i32: 1, 1>,
        operandSegmentSizes = array<i32: 1, 1, 2>}> : (i32, f32, f32, f32) -> ()
    ^bb1(%a: f32):
      llvm.return %a : f32
    ^bb2(%b: f32):
      llvm.return %b : f32
    }""")
    text = module_text(module)
    assert "switch i32 %0, label %b1 [ i32 3, label %b1 i32 -4, label %b2 ]" in text
    assert "phi float [ %1, %b0 ], [ %2, %b0 ]" in text


def test_loop_annotations_become_metadata() -> None:
    module, _ = lower("""
    func.func @f(%a: memref<64xf32>) {
      affine.for %i = 0 to 64 {
        %x = affine.load %a[%i] : memref<64xf32>
        affine.store %x, %a[63 - %i] : memref<64xf32>
      } {vectorize_disable, unroll_count = 4 : i64}
      return
    }""")
    text = module_text(module)
    assert ", !llvm.loop !4" in text
    assert '!{!"llvm.loop.vectorize.enable", i1 false}' in text
    assert '!{!"llvm.loop.unroll.count", i32 4}' in text
    assert "!4 = distinct !{!4, !2, !3}" in text


def test_strings_and_globals() -> None:
    module = llvm_module("""
    llvm.mlir.global internal constant @text("a\\22\\00b") {addr_space = 0 : i32}
        : !llvm.array<4 x i8>
    llvm.mlir.global external @table(dense<[1, 2]> : tensor<2xi32>) {addr_space = 0 : i32}
        : !llvm.array<2 x i32>
    llvm.mlir.global external @elsewhere() {addr_space = 0 : i32} : i32
    llvm.func @f() -> !llvm.ptr {
      %p = llvm.mlir.addressof @text : !llvm.ptr
      llvm.return %p : !llvm.ptr
    }""")
    text = module_text(module)
    assert '@text = internal constant [4 x i8] c"a\\22\\00b"' in text
    assert "@table = global [2 x i32] [i32 1, i32 2]" in text
    assert "@elsewhere = external global i32" in text
    assert "ret ptr @text" in text


TWO_KERNELS = """
func.func private @square(%x: f32) -> f32 attributes {alwaysinline} {
  %y = arith.mulf %x, %x : f32
  return %y : f32
}
func.func @one(%a: memref<4xf32>) {
  %x = affine.load %a[0] : memref<4xf32>
  %y = func.call @square(%x) : (f32) -> f32
  affine.store %y, %a[0] : memref<4xf32>
  return
}
func.func @two(%a: memref<4xf32>) {
  func.call @one(%a) : (memref<4xf32>) -> ()
  func.call @one(%a) : (memref<4xf32>) -> ()
  return
}
"""


def test_each_kernel_is_a_module_of_its_own() -> None:
    module, _ = lower(TWO_KERNELS)
    texts = kernel_modules(module)
    assert list(texts) == ["one", "two"]
    assert "define internal float @square(float %0) nounwind alwaysinline" in texts["one"]
    assert "square" not in texts["two"]
    assert "declare void @one(ptr)" in texts["two"]
    assert module_text(module).count("define") == 3
    array = aligned(4, np.float32)
    array[0] = 2
    Kernels(TWO_KERNELS)("two", array)
    assert array[0] == 16


def test_text_of_the_llvm_stage_compiles_on() -> None:
    module, _ = lower(TWO_KERNELS)
    again = llvm_module(str(module))
    assert kernel_modules(again) == kernel_modules(module)


def test_debug_locations_name_the_node_in_the_assembly() -> None:
    ctx = new_context()
    module = parse_module(
        """func.func @f(%a: memref<64xf32>, %b: memref<64xf32>) {
          affine.for %i = 0 to 64 {
            %x = affine.load %a[%i] : memref<64xf32> loc("model.onnx":42:0)
            %y = arith.mulf %x, %x : f32 loc("model.onnx":42:0)
            affine.store %y, %b[%i] : memref<64xf32> loc("Relu_1"("model.onnx":43:0))
          }
          return
        }""",
        ctx,
    )
    AffineToLLVM().apply(ctx, module)
    assert "!dbg" not in module_text(module)
    text = module_text(module, debug="model.onnx")
    assembly = compile_text(text, Target.host(), "asm").decode()
    assert '"model.onnx"' in assembly
    assert "\t.loc\t" in assembly
    assert {"42", "43"} <= {line.split()[2] for line in assembly.splitlines() if ".loc" in line}


def test_compiled_modules_come_from_the_cache(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path)
    texts = kernel_modules(lower(TWO_KERNELS)[0])
    first = compile_modules(texts, Target.host(), cache)
    for path in tmp_path.glob("??/*"):
        path.rename(path.with_name("elsewhere"))
    key = object_key(texts["one"], Target.host())
    cache.put(key, b"from the cache")
    second = compile_modules(texts, Target.host(), cache)
    assert second["one"] == b"from the cache"
    assert second["two"] == first["two"]


def test_the_target_is_part_of_the_key() -> None:
    keys = {object_key("text", Target.named(name)) for name in ("haswell", "skylake", "aarch64")}
    assert len(keys) == 3


def test_helper_processes_compile_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {f"f{n}": f"define i32 @f{n}() {{ ret i32 {n} }}" for n in range(8)}
    serial = compile_modules(texts, Target.host(), ObjectCache(None))
    monkeypatch.setattr(codegen, "PARALLEL_SECONDS", 0.0)
    monkeypatch.setattr(codegen, "available_cpus", lambda: 2)
    # This thread waits, so that the helper has to do the work.
    monkeypatch.setattr(codegen, "compile_text", _slow_compile)
    parallel = compile_modules(texts, Target.host(), ObjectCache(None))
    assert parallel.keys() == texts.keys()
    assert len(_slow_names) < len(texts)
    for name in texts.keys() - set(_slow_names):
        assert parallel[name] == serial[name]
    linked = engine([parallel[name] for name in texts if name not in _slow_names])
    assert linked.get_function_address(next(n for n in texts if n not in _slow_names))


_slow_names: list[str] = []


def _slow_compile(text: str, target: Target, name: str) -> bytes:
    import time

    _slow_names.append(name)
    time.sleep(0.3)
    return b""


def test_a_rejected_module_is_named_also_from_a_helper(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InternalError, match="LLVM rejects @bad"):
        compile_modules({"bad": "define nonsense"}, Target.host(), ObjectCache(None))
    monkeypatch.setattr(codegen, "PARALLEL_SECONDS", 0.0)
    monkeypatch.setattr(codegen, "available_cpus", lambda: 2)
    monkeypatch.setattr(codegen, "compile_text", _slow_compile)
    texts = {f"bad{n}": f"define nonsense {n}" for n in range(6)}
    with pytest.raises(InternalError, match="LLVM rejects @bad"):
        compile_modules(texts, Target.host(), ObjectCache(None))


def test_helpers_work_in_a_script_read_from_standard_input() -> None:
    script = """
import compiler.codegen as codegen
from compiler.object_cache import ObjectCache
from compiler.target import Target
codegen.PARALLEL_SECONDS = 0.0
codegen.available_cpus = lambda: 2
texts = {f"f{n}": f"define i32 @f{n}() {{ ret i32 {n} }}" for n in range(20)}
print(len(codegen.compile_modules(texts, Target.host(), ObjectCache(None))))
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    run = subprocess.run(
        [sys.executable], input=script, capture_output=True, text=True, env=environment, check=False
    )
    assert (run.stdout, run.stderr) == ("20\n", "")


@pytest.mark.parametrize(
    ("name", "instruction"),
    [("haswell", "%ymm"), ("skylake-avx512", "%zmm"), ("aarch64", "fadd\tv"), ("riscv64", "vfadd")],
)
def test_other_machines(name: str, instruction: str) -> None:
    module, _ = lower("""
    func.func @f(%a: memref<1024xf32>, %b: memref<1024xf32>) {
      affine.for %i = 0 to 1024 {
        %x = affine.load %a[%i] : memref<1024xf32>
        %y = arith.addf %x, %x : f32
        affine.store %y, %b[%i] : memref<1024xf32>
      }
      return
    }""")
    target = Target.named(name)
    text = module_text(module, attributes=target.function_attributes)
    assert instruction in compile_text(text, target, "asm").decode()
    assert compile_text(text, target)[:4] == b"\x7fELF"


def test_target_descriptions() -> None:
    host = Target.host()
    assert host is Target.named("host") and host.cores >= 1 and host.is_host
    assert Target.named("haswell").lanes(32) == 8
    server = Target.named("skylake-avx512")
    assert (server.lanes(32), server.vector_registers) == (16, 32)
    graviton = Target.named("neoverse-v1@aarch64-unknown-linux-gnu")
    assert (graviton.architecture, graviton.cpu, graviton.lanes(32)) == (
        "aarch64",
        "neoverse-v1",
        4,
    )
    with pytest.raises(UnsupportedError, match="unknown CPU 'pentium9'"):
        Target.named("pentium9")
    with pytest.raises(UnsupportedError, match="no code is generated for 'vax'"):
        Target.named("vax@vax-dec-vms")
