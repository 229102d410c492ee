"""Text of modules: to and fro without loss, and errors that name line and column."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from xdsl.dialects.builtin import BytesAttr, ModuleOp, StringAttr

from compiler.importer import import_model
from compiler.ir_text import new_context, parse_module, print_module, stage_of
from dialects.onnx.constants import constant_of, pool_of
from dialects.onnx.ops import Const
from runtime.errors import InvalidModelError

MODEL = """<ir_version: 9, opset_import: ["" : 18, "lib" : 1], doc_string: "größer\\nals">
g (float["2*N", N] x, bool c) => (float[M] y) <float[2] w = {1, 2}, string[2] s = {"a", "é"}> {
    t = lib.leaky <alpha = 0.1> (x)
    y = If <
        then_branch = a () => (float[2] v) { v = Clip (t, , w) },
        else_branch = b () => (float[2] v) { v = Neg (w) }
    > (c)
}
<domain: "lib", opset_import: ["" : 18]>
leaky <alpha: float = 0.5> (x) => (y) { y = LeakyRelu <alpha: float = @alpha> (x) }
"""


def imported() -> tuple[ModuleOp, object]:
    """A module with something of everything, and its context."""
    model = onnx.parser.parse_model(MODEL)
    big = np.arange(3000, dtype=np.float32).reshape(30, 100)
    big[0, 0] = np.nan
    model.graph.initializer.append(numpy_helper.from_array(big, "größe/1"))
    model.graph.node[0].metadata_props.add(
        key="pkg.torch.onnx.stack_trace", value='File "größe.py", line 3, in f'
    )
    model.metadata_props.add(key="a key", value='tab\t, quote " and \\ backslash')
    ctx = new_context()
    return import_model(model, ctx), ctx


@pytest.mark.parametrize("locations", [True, False])
def test_text_is_read_back_as_it_was(locations: bool) -> None:
    module, ctx = imported()
    text = print_module(module, ctx, locations=locations)
    other = new_context()
    again = parse_module(text, other)
    assert print_module(again, other, locations=locations) == text
    assert module.is_structurally_equivalent(again)
    pairs = zip(module.walk(), again.walk(), strict=True)
    if locations:
        assert all(mine.location == theirs.location for mine, theirs in pairs)
    else:
        assert "loc(" not in text
    for mine, theirs in zip(module.walk(), again.walk(), strict=True):
        if isinstance(mine, Const) and isinstance(theirs, Const):
            want = constant_of(mine.result, pool_of(ctx))
            got = constant_of(theirs.result, pool_of(other))
            assert got is not None and want is not None and got.dtype == want.dtype
            assert np.array_equal(got, want, equal_nan=want.dtype.kind == "f")


def test_every_element_type_survives() -> None:
    for kind in onnx.TensorProto.DataType.values():
        if kind == onnx.TensorProto.UNDEFINED:
            continue
        dtype = helper.tensor_dtype_to_np_dtype(kind)
        for count in (0, 3, 50):
            values = np.arange(count) % 2
            array = values.astype(str).astype(object) if kind == 8 else values.astype(dtype)
            ctx, other = new_context(), new_context()
            text = print_module(import_model(constant_model(array, kind), ctx), ctx)
            const = next(op for op in parse_module(text, other).walk() if isinstance(op, Const))
            got = constant_of(const.result, pool_of(other))
            assert got is not None and got.dtype == array.dtype and got.shape == array.shape
            assert got.tobytes() == array.tobytes() or (got == array).all()


def constant_model(array: np.ndarray, kind: int) -> onnx.ModelProto:
    """A model that gives a constant."""
    output = helper.make_tensor_value_info("y", kind, array.shape)
    initializers = [numpy_helper.from_array(array, "y")]
    opsets = [helper.make_opsetid("", 25)]
    graph = helper.make_graph([], "g", [], [output], initializers)
    return helper.make_model(graph, ir_version=13, opset_imports=opsets)


def test_strings_of_any_kind_survive() -> None:
    ctx = new_context()
    values = [
        "plain",
        'quo"te',
        "back\\slash",
        "new\nline",
        "größe",
        "tab\té",
        "\x7f\x80\u2028",
        "",
    ]
    module = ModuleOp([], {f"s{k}": StringAttr(value) for k, value in enumerate(values)})
    module.attributes["bytes"] = BytesAttr(b"\xff\x00\xfe")
    text = print_module(module, ctx)
    assert "größe" in text and len(text.splitlines()) == 2
    assert parse_module(text, new_context()).attributes == module.attributes


def test_large_constants_may_be_left_out() -> None:
    module, ctx = imported()
    full, short = (print_module(module, ctx, elide=size) for size in (None, 100))
    assert len(short) < 4000 < 24000 < len(full)
    other = new_context()
    again = parse_module(short, other)
    const = next(
        op for op in again.walk() if isinstance(op, Const) and "30x100" in str(op.result.type)
    )
    with pytest.raises(InvalidModelError, match="elided"):
        constant_of(const.result, pool_of(other))


def test_stages_are_read_off_the_operations() -> None:
    texts = {
        "onnx": 'func.func @main(%x: tensor<2xf32>) { %y = "onnx.Abs.v13"(%x) : (tensor<2xf32>) -> '
        "tensor<2xf32> func.return }",
        "affine": "func.func @f(%m: memref<4xf32>) { affine.for %i = 0 to 4 { } func.return }",
        "llvm": "llvm.func @f() { llvm.return }",
    }
    for stage, text in texts.items():
        assert stage_of(parse_module(text, new_context())) == stage
    empty = parse_module(
        "func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> { func.return %x : tensor<2xf32> }",
        new_context(),
    )
    assert stage_of(empty) == "onnx"


BROKEN = {
    "syntax": (
        "builtin.module {\n  func.func @f( {\n}",
        r"t\.mlir:2:17: .*\n.*func @f\( \{\n +\^$",
    ),
    "unknown operation": (
        'builtin.module {\n  "onnx.Nonsense.v1"() : () -> ()\n}',
        r"t\.mlir:2:\d+: .*onnx.Nonsense.v1 is not registered",
    ),
    "unknown dialect": ("%0 = foo.bar", r"t\.mlir:1:\d+: .*foo.bar is not registered"),
    "undefined value": (
        'func.func @f() {\n  "onnx.Yield"(%q) : (i32) -> ()\n}',
        r"t\.mlir:\d:\d+: .*%q",
    ),
    "value twice": (
        '%0 = "onnx.NoValue"() : () -> none\n%0 = "onnx.NoValue"() : () -> none',
        r"t\.mlir:2:1: .*already defined",
    ),
    "bad type": ('"onnx.Yield"() : () -> tensor<2xq>', r"t\.mlir:1:\d+: "),
    "bad symbolic size": (
        "func.func private @f(tensor<?xf32, #onnx.tensor<[3]>>)",
        r"t\.mlir:1:\d+: ",
    ),
    "bad resource": (
        '%0 = "onnx.Const"() <{value = dense_resource<w> : tensor<1xf32>}> : () -> tensor<1xf32>\n'
        '{-#\n dialect_resources: {\n builtin: {\n w: "nonsense" } } #-}',
        r"t\.mlir:5:\d+: .*[Bb]lob must be a hex string",
    ),
    "unended string": ('"onnx.Yield', r"t\.mlir:1:1: .*"),
    "nothing": ("", r"t\.mlir:1:1: "),
    "no terminator": (
        "builtin.module {\n  func.func @f() {\n    func.return\n  }\n"
        '  func.func @g() {\n    %0 = "onnx.NoValue"() : () -> none\n  }\n}',
        r"t\.mlir:6:5: 'onnx.NoValue' does not verify: .*terminat",
    ),
    "wrong number of operands": (
        'func.func @g(%x: f32) {\n  "onnx.Abs.v13"(%x, %x) : (f32, f32) -> f32\n  func.return\n}',
        r"t\.mlir:2:3: 'onnx.Abs.v13' does not verify: .*operand",
    ),
    "missing property": (
        'func.func @g(%x: f32) {\n  %y = "onnx.Cast.v13"(%x) : (f32) -> f32\n  func.return\n}',
        r"t\.mlir:2:3: 'onnx.Cast.v13' does not verify: .*to",
    ),
    "wrong return": (
        "func.func @g(%x: f32) -> f64 {\n  func.return %x : f32\n}",
        r"t\.mlir:2:3: 'func.return' does not verify",
    ),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_errors_name_the_place(text: str, message: str) -> None:
    with pytest.raises(InvalidModelError, match=message) as caught:
        parse_module(text, new_context(), "t.mlir")
    assert "Traceback" not in str(caught.value)


def test_a_caret_stands_under_the_error() -> None:
    with pytest.raises(InvalidModelError) as caught:
        parse_module("builtin.module {\n  func.func @f(%x: f32 f32) {}\n}", new_context(), "a.mlir")
    head, line, caret = str(caught.value).splitlines()
    assert head.startswith("a.mlir:2:24: ")
    assert line[caret.index("^") :].startswith("f32) {}")


def test_long_lines_are_shown_around_the_error() -> None:
    text = f'module attributes {{a = "{"x" * 100000}", b = ?, c = "{"y" * 100000}"}} {{ }}'
    with pytest.raises(InvalidModelError) as caught:
        parse_module(text, new_context())
    _, line, caret = str(caught.value).splitlines()
    assert len(line) <= 160 and line[caret.index("^")] == "?"


def test_a_string_that_does_not_end_is_found_at_once() -> None:
    with pytest.raises(InvalidModelError, match="string"):
        parse_module('module attributes {a = "' + "long text " * 20, new_context())


def test_deep_nesting_is_an_error_and_no_crash() -> None:
    text = "module {" * 5000 + "}" * 5000
    with pytest.raises(InvalidModelError, match="recursion"):
        parse_module(text, new_context())


SMALL = print_module(*imported(), elide=100, locations=True)


SIGNS = '{}()<>[]%@#!":,=0x f3\\'
EDIT = st.tuples(st.integers(0, len(SMALL)), st.integers(0, 30), st.text(SIGNS, max_size=3))


@settings(max_examples=60, deadline=None)
@given(st.lists(EDIT, min_size=1, max_size=3))
def test_damaged_text_gives_errors_of_ours(edits: list[tuple[int, int, str]]) -> None:
    text = SMALL
    for where, length, new in edits:
        text = text[:where] + new + text[where + length :]
    try:
        module = parse_module(text, new_context(), "t.mlir")
    except InvalidModelError as error:
        assert error.message.startswith("t.mlir:")
    else:
        module.verify()
