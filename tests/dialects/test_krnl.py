"""The krnl dialect: what is printed parses back, and what makes no sense does not verify."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import AffineMapAttr, IndexType, MemRefType, ModuleOp, f32
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region
from xdsl.ir.affine import AffineExpr, AffineMap
from xdsl.utils.exceptions import VerifyException

from compiler.ir_text import new_context, parse_module, print_module
from dialects import krnl
from runtime.errors import InvalidModelError

index = IndexType()

MATMUL = """\
builtin.module {
  func.func @mm(%a: memref<?x8xf32>, %b: memref<8x5xf32>, %c: memref<?x5xf32>, %m: index) {
    %i, %j = krnl.define_loops 2
    %i0, %i1 = krnl.block %i 4
    krnl.permute(%i0, %j, %i1)
    krnl.unroll %i1
    krnl.vectorize %j 8
    krnl.tensorize(%i1, %j) 16
    krnl.parallel(%i0, %j) 3
    krnl.outline %i0
    krnl.iterate (%i -> %row = 0 to %m, %j -> %column = -1 to 5) contraction(0, 1) {
      %zero = arith.constant 0.000000e+00 : f32
      %k = krnl.define_loops 1
      %sum = krnl.iterate (%k -> %tap = %m to %m) iter_args(%acc = %zero : f32) {
        %x = krnl.load %a[%row, %tap] : memref<?x8xf32>
        %y = krnl.load %b[%tap, %column + 1] : memref<8x5xf32>
        %z = arith.mulf %x, %y : f32
        %next = arith.addf %acc, %z : f32
        krnl.yield %next : f32
      }
      krnl.store %sum, %c[%row, %column + 1] : memref<?x5xf32>
    }
    func.return
  }
}
"""


def round_trip(text: str) -> str:
    ctx = new_context()
    return print_module(parse_module(text, ctx), ctx)


def test_a_kernel_prints_as_it_is_written() -> None:
    assert round_trip(MATMUL).strip() == MATMUL.strip()


def test_schedules_and_bounds_are_what_the_text_says() -> None:
    module = parse_module(MATMUL, new_context())
    ops = {op.name: op for op in module.walk()}
    block, vectorize, parallel = ops["krnl.block"], ops["krnl.vectorize"], ops["krnl.parallel"]
    assert isinstance(block, krnl.BlockOp) and block.size.value.data == 4
    assert isinstance(vectorize, krnl.VectorizeOp) and vectorize.lanes.value.data == 8
    assert isinstance(parallel, krnl.ParallelOp) and parallel.grain.value.data == 3
    outer, inner = [op for op in module.walk() if isinstance(op, krnl.IterateOp)]
    size = next(iter(module.ops)).regions[0].block.args[-1]
    assert outer.extents == [(0, size), (-1, 5)]
    assert inner.extents == [(size, size)]
    assert outer.contraction is not None and outer.contraction.get_values() == (0, 1)
    assert [v.name_hint for v in outer.induction_variables] == ["row", "column"]
    assert isinstance(inner.body.block.last_op, krnl.YieldOp)
    assert isinstance(outer.body.block.last_op, krnl.YieldOp), "the syntax leaves it out"


def test_nests_may_be_empty_and_carry_several_values() -> None:
    text = """
    func.func @f(%n: index, %x: f32) {
      krnl.iterate () {
      }
      %l = krnl.define_loops 1
      %a, %b = krnl.iterate (%l -> %i = 0 to 3) iter_args(%p = %n : index, %q = %x : f32) {
        %r = krnl.index [%p + %i]
        krnl.yield %r, %q : index, f32
      }
      %c = arith.addf %b, %b : f32
      return
    }"""
    assert round_trip(round_trip(text)) == round_trip(text)
    inner = [op for op in parse_module(text, new_context()).walk() if op.name == "krnl.iterate"][1]
    assert isinstance(inner, krnl.IterateOp) and len(inner.inits) == len(inner.results) == 2


EXPRESSIONS = st.recursive(
    st.one_of(
        st.integers(0, 2).map(AffineExpr.dimension), st.integers(-9, 9).map(AffineExpr.constant)
    ),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: pair[0] + pair[1]),
        st.tuples(inner, inner).map(lambda pair: pair[0] - pair[1]),
        st.tuples(inner, st.integers(-5, 5)).map(lambda pair: pair[0] * pair[1]),
        st.tuples(inner, st.integers(1, 5)).map(lambda pair: pair[0] // pair[1]),
        st.tuples(inner, st.integers(1, 5)).map(lambda pair: pair[0] % pair[1]),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS, st.tuples(*[st.integers(-20, 20)] * 3))
def test_index_expressions_keep_their_value(expression: AffineExpr, at: tuple[int, ...]) -> None:
    block = Block(arg_types=[index] * 3)
    made = krnl.IndexOp(block.args, AffineMapAttr(AffineMap(3, 0, (expression,))))
    block.add_ops([made, ReturnOp()])
    ctx = new_context()
    text = print_module(ModuleOp([FuncOp("f", ([index] * 3, []), Region(block))]), ctx)
    parsed = parse_module(text, ctx)
    (read,) = [op for op in parsed.walk() if isinstance(op, krnl.IndexOp)]
    arguments = next(iter(parsed.ops)).regions[0].block.args
    values = [at[list(arguments).index(value)] for value in read.indices]
    assert read.map.data.eval(values, []) == made.map.data.eval(at, []), text


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("%o, %p = krnl.block %l 0", "krnl.block needs a size of at least 1"),
        ("krnl.vectorize %l -4", "krnl.vectorize needs a number of lanes of at least 1"),
        ("krnl.tensorize(%l, %k) 0", "krnl.tensorize needs a number of lanes of at least 1"),
        ("krnl.parallel(%l) 0", "krnl.parallel needs a grain of at least 1"),
        ("krnl.iterate (%l -> %i = 0 to 4) contraction(0, 1) {}", "names two of its loops"),
        ("krnl.iterate (%l -> %i = 0 to 4) contraction(0) {}", "names two of its loops"),
        (
            "%r = krnl.iterate (%l -> %i = 0 to 4) iter_args(%a = %x : f32) {}",
            "ends in krnl.yield of iter_args' next values",
        ),
        ("%v = krnl.load %m[%n] : memref<4x4xf32>", "krnl.load needs 2 indices, not 1"),
        ("krnl.store %x, %m[%n, 0, 1] : memref<4x4xf32>", "krnl.store needs 2 indices, not 3"),
        ("%v = krnl.index [%n, %n]", "krnl.index needs 1 indices, not 2"),
        ("krnl.unroll %x", "!krnl.loop"),
        ("krnl.iterate (%x -> %i = 0 to 4) {}", "!krnl.loop"),
        ("krnl.iterate (%l -> %i = 0 to) {}", "integer"),
    ],
)
def test_mistakes_are_errors_with_their_place(statement: str, message: str) -> None:
    text = f"""func.func @f(%m: memref<4x4xf32>, %n: index, %x: f32) {{
      %l, %k = krnl.define_loops 2
      {statement}
      return
    }}"""
    with pytest.raises(InvalidModelError) as caught:
        parse_module(text, new_context(), "kernel.mlir")
    assert message in str(caught.value)
    assert str(caught.value).startswith(("kernel.mlir:3:", "kernel.mlir:4:"))


def test_what_python_builds_wrongly_does_not_verify() -> None:
    loops = krnl.DefineLoopsOp(1)
    nest = krnl.IterateOp(loops.results, [(0, 4)])
    nest.body.block.add_op(krnl.YieldOp())
    nest.verify()
    nest.properties["upper"] = krnl.integers((krnl.DYNAMIC,))
    with pytest.raises(VerifyException, match="an operand for every dynamic bound"):
        nest.verify()
    nest.properties["upper"] = krnl.integers((4, 4))
    with pytest.raises(VerifyException, match="a lower and an upper bound for every loop"):
        nest.verify()
    buffer = Block(arg_types=[MemRefType(f32, [4])]).args[0]
    load = krnl.LoadOp(buffer, [], AffineMapAttr(AffineMap(1, 0, (AffineExpr.dimension(0),))))
    with pytest.raises(VerifyException, match="an index value for every dimension"):
        load.verify()
    load = krnl.LoadOp(buffer, [], AffineMapAttr(AffineMap(0, 0, (AffineExpr.constant(0),))))
    load.verify()
    wrong = krnl.LoadOp.create(operands=[buffer], result_types=[index], properties=load.properties)
    with pytest.raises(VerifyException, match="takes or gives f32 here, not index"):
        wrong.verify()
