"""The linker of x86-64 ELF objects: right where it links, and modest about everything else."""

from __future__ import annotations

import ctypes
import platform
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime_programs import compile_ir

from compiler.codegen import compile_text
from compiler.target import Target
from runtime import elf
from runtime.jit import load_objects

pytestmark = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="links x86-64 Linux only"
)

TABLE = """
@ready = internal global i64 40
@zeros = internal global [8 x i64] zeroinitializer, align 64
@table = internal constant [2 x ptr] [ptr @first, ptr @second]
declare double @cos(double)
declare i64 @elsewhere(i64)
define internal i64 @first(i64 %x) {
  %r = load i64, ptr @ready
  %n = add i64 %r, 1
  store i64 %n, ptr @ready
  ret i64 %n
}
define internal i64 @second(i64 %x) {
  %f = call double @cos(double 0.0)
  %i = fptosi double %f to i64
  %e = call i64 @elsewhere(i64 %x)
  %s = add i64 %i, %e
  %p = getelementptr i64, ptr @zeros, i64 %x
  %z = load i64, ptr %p
  %t = add i64 %s, %z
  ret i64 %t
}
define i64 @choose(i64 %which, i64 %x) {
  %p = getelementptr ptr, ptr @table, i64 %which
  %f = load ptr, ptr %p
  %r = call i64 %f(i64 %x)
  ret i64 %r
}
"""
ELSEWHERE = "define i64 @elsewhere(i64 %x) {\n  %y = mul i64 %x, 10\n  ret i64 %y\n}\n"
EXTERNAL_DATA = """
@environ = external global ptr
define ptr @where() {
  ret ptr @environ
}
"""


def test_tables_data_and_functions_of_other_objects_and_of_the_process() -> None:
    linked = elf.link([compile_ir(TABLE), compile_ir(ELSEWHERE)])
    choose = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(
        linked.addresses["choose"]
    )
    assert [choose(0, 0), choose(0, 0)] == [41, 42]
    assert choose(1, 3) == 31
    linked.release()


def test_what_is_not_linked_here_llvm_links() -> None:
    image = compile_ir(EXTERNAL_DATA)
    with pytest.raises(elf.Unlinkable):
        elf.link([image])
    library = load_objects([image], ["where"])
    where = ctypes.CFUNCTYPE(ctypes.c_void_p)(library.addresses["where"])
    process = ctypes.CDLL(None)
    assert where() == ctypes.addressof(ctypes.c_void_p.in_dll(process, "environ"))


@pytest.mark.parametrize("name", ["aarch64", "riscv64"])
def test_other_machines_are_refused(name: str) -> None:
    with pytest.raises(elf.Unlinkable, match="x86-64"):
        elf.link([compile_text(ELSEWHERE, Target.named(name))])


def test_a_symbol_has_one_definition() -> None:
    with pytest.raises(elf.Unlinkable, match="elsewhere is defined twice"):
        elf.link([compile_ir(ELSEWHERE), compile_ir(ELSEWHERE)])


@settings(deadline=None)
@given(st.data())
def test_damaged_objects_are_refused_or_linked(data: st.DataObject) -> None:
    image = bytearray(compile_ir(TABLE))
    for _ in range(data.draw(st.integers(1, 4))):
        image[data.draw(st.integers(0, len(image) - 1))] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(image)))
    try:
        elf.link([bytes(image[:cut]), compile_ir(ELSEWHERE)]).release()
    except elf.Unlinkable:
        return
