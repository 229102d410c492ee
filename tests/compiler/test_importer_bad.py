"""Broken models: each gives an error of ours that names the place, whatever is broken."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper

from compiler.importer import import_model
from compiler.ir_text import new_context
from runtime.errors import InvalidModelError, TerraceError, UnsupportedError

HEAD = '<ir_version: 8, opset_import: ["" : 18]>'
PLAIN = f"{HEAD} g (float[3] x) => (float[3] y) {{ y = Abs (x) }}"


def parsed(text: str = PLAIN) -> ModelProto:
    """The model of a text in ONNX's own syntax."""
    return onnx.parser.parse_model(text)


def with_tensor(**fields: object) -> ModelProto:
    """A model with the initializer ``w``."""
    model = parsed()
    model.graph.initializer.append(TensorProto(**{"name": "w", **fields}))  # type: ignore[arg-type]
    return model


def external(**entries: str) -> ModelProto:
    """A model whose initializer of 3 floats lies elsewhere."""
    model = with_tensor(data_type=1, dims=[3], data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        model.graph.initializer[0].external_data.add(key=key, value=value)
    return model


def edited(change: Callable[[ModelProto], object], text: str = PLAIN) -> ModelProto:
    """A model after a change."""
    model = parsed(text)
    change(model)
    return model


def nested(depth: int) -> ModelProto:
    """A model with subgraphs inside of subgraphs, built in place (protobuf copies 100 levels)."""
    model = parsed(f"{HEAD} g (float[3] x, bool c) => (float[3] y) {{ y = Abs (x) }}")
    graph = model.graph
    for _ in range(depth):
        del graph.node[:]
        node = graph.node.add(op_type="If", input=["c"], output=["y"])
        node.attribute.add(name="else_branch", type=AttributeProto.GRAPH).g.CopyFrom(GRAPH)
        node.attribute.add(name="then_branch", type=AttributeProto.GRAPH).g.CopyFrom(GRAPH)
        graph = node.attribute[1].g
    return model


GRAPH = parsed(
    '<ir_version: 8, opset_import: ["" : 18]> e () => (float[3] y) { y = Abs (x) }'
).graph
CUSTOM = (
    '<ir_version: 8, opset_import: ["" : 18, "c" : 1]> g (float[3] x) => (float[3] y) {y = c.F (x)}'
)
RECURSIVE = """<ir_version: 9, opset_import: ["" : 18, "l" : 1]>
g (float[3] x) => (float[3] y) { y = l.f (x) }
<domain: "l", opset_import: ["l" : 1]> f (x) => (y) { y = l.h (x) }
<domain: "l", opset_import: ["l" : 1]> h (x) => (y) { y = l.f (x) }"""
FUNCTION = """<ir_version: 9, opset_import: ["" : 18, "l" : 1]>
g (float[3] x) => (float[3] y) { CALL }
<domain: "l", opset_import: ["" : 18]> f <a> (x) => (y) { BODY }"""


def function(call: str = "y = l.f (x)", body: str = "y = Abs (x)") -> ModelProto:
    """A model with a function."""
    return parsed(FUNCTION.replace("CALL", call).replace("BODY", body))


def nodes(text: str) -> ModelProto:
    """A model with these nodes."""
    return parsed(f"{HEAD} g (float[3] x, float[3] z) => (float[3] y) {{ {text} }}")


INVALID: dict[str, tuple[ModelProto, str]] = {
    "no graph": (ModelProto(ir_version=8), "no graph"),
    "no opset": (edited(lambda m: m.ClearField("opset_import")), "imports no opset"),
    "opset zero": (edited(lambda m: setattr(m.opset_import[0], "version", 0)), "opset import 0"),
    "two opsets": (edited(lambda m: m.opset_import.add(domain="", version=3)), "opset import 3"),
    "ir version zero": (edited(lambda m: setattr(m, "ir_version", 0)), "IR version 0"),
    "no outputs": (edited(lambda m: m.graph.ClearField("output")), "no outputs"),
    "undefined output": (
        edited(lambda m: setattr(m.graph.output[0], "name", "q")),
        "output 'q', which nothing defines",
    ),
    "undefined input": (nodes("y = Add (x, q)"), r"'Add_0' \(ai.onnx.Add opset 18\): .*'q', which"),
    "used before outside": (nodes("t = Abs (q) y = Abs (t)"), r"'Abs_0'.*'q', which nothing"),
    "cycle": (
        nodes("a = Add (x, b) b = Abs (a) y = Abs (b)"),
        r"cycle through '[ab]': 'A\w+_\d' <-",
    ),
    "own output": (nodes("y = Add (x, y)"), r"cycle through 'y': 'Add_0'"),
    "value twice": (nodes("y = Abs (x) y = Neg (x)"), r"'Neg_1'.*'y' is defined a second time"),
    "input redefined": (nodes("x = Abs (z) y = Abs (x)"), r"'Abs_0'.*'x' is defined a second time"),
    "input twice": (
        edited(lambda m: m.graph.input.append(m.graph.input[0])),
        "'x' is defined a sec",
    ),
    "initializer twice": (
        edited(
            lambda m: m.graph.initializer.extend([numpy_helper.from_array(np.ones(1), "w")] * 2)
        ),
        "'w' is defined a second time",
    ),
    "initializer without a name": (with_tensor(data_type=1, name=""), "initializer has no name"),
    "no domain": (nodes("y = com.me.F (x)"), r"'F_0' \(com.me.F\): .*imports no opset of 'com.me'"),
    "too many inputs": (nodes("y = Abs (x, z)"), r"'Abs_0'.*it has 2 inputs, at most 1"),
    "too few inputs": (nodes("y = Add (x)"), r"'Add_0'.*lacks the input 'B'"),
    "empty variadic": (nodes("y = Concat <axis = 0> ()"), r"'Concat_0'.*0 inputs, at least 1"),
    "too many outputs": (nodes("y, t = Abs (x)"), r"'Abs_0'.*2 outputs, at most 1"),
    "unknown attribute": (
        nodes("y = Abs <color = 1> (x)"),
        r"'Abs_0'.*attribute 'color' is not one",
    ),
    "attribute kind": (nodes("y = Softmax <axis = 0.5> (x)"), r"'axis' is of kind FLOAT, not INT"),
    "attribute twice": (
        edited(lambda m: m.graph.node[0].attribute.extend([helper.make_attribute("__a", 1)] * 2)),
        "attribute '__a' is given twice",
    ),
    "attribute missing": (nodes("y = Cast (x)"), r"'Cast_0'.*lacks the attribute 'to'"),
    "subgraph missing": (nodes("y = If (x)"), r"'If_0'.*lacks the attribute '\w+_branch'"),
    "constant without value": (nodes("y = Constant ()"), r"'Constant_0'.*one value, not 0"),
    "constant with two": (nodes("y = Constant <value_int = 1, value_float = 1.0> ()"), "not 2"),
    "reference outside": (
        edited(lambda m: m.graph.node[0].attribute.add(name="__a", ref_attr_name="b", type=2)),
        "refers to a function's attribute",
    ),
    "input without type": (
        edited(lambda m: m.graph.input[0].ClearField("type")),
        "'x' has no type",
    ),
    "input of no element type": (
        edited(lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 99)),
        "'x' has the unknown element type 99",
    ),
    "absurd input": (
        parsed(PLAIN.replace("x)", "x)", 1).replace("[3] x", "[999999999, 999999999] x")),
        "input 'x' has the absurd shape",
    ),
    "name that is no text": (
        ModelProto.FromString(parsed().SerializeToString().replace(b"Abs", b"\xff\xfe\xfd")),
        "not UTF-8",
    ),
    "recursion": (parsed(RECURSIVE), "call each other in a cycle among 'l.f', 'l.h'"),
    "function twice": (
        edited(lambda m: m.functions.append(m.functions[0]), RECURSIVE),
        "'l.f' is defined twice",
    ),
    "function inputs": (
        function("y = l.f (x, x)"),
        r"'f_0' \(l.f opset 1\): .*2 inputs, the function 1",
    ),
    "function outputs": (function("y, z = l.f (x)"), "2 outputs, the function 1"),
    "function attribute": (function("y = l.f <b = 1> (x)"), "no attribute 'b'"),
    "function body": (function(body="y = Abs (q)"), r"'Abs_0'.*function 'l.f'.*'q', which nothing"),
    "function output": (function(body="z = Abs (x)"), r"function 'l.f': it has the output 'y'"),
    "function reference": (
        function(body="y = Elu <alpha: float = @b> (x)"),
        "'b', which the function does not have",
    ),
    "element type": (with_tensor(data_type=77, dims=[1]), "'w': unknown element type 77"),
    "no element type": (with_tensor(dims=[1]), "'w': unknown element type 0"),
    "negative size": (with_tensor(data_type=1, dims=[-3]), r"'w': negative size in shape \[-3\]"),
    "absurd tensor": (
        with_tensor(data_type=1, dims=[2**40], raw_data=b"1234"),
        "'w': shape|absurd",
    ),
    "overflowing tensor": (
        with_tensor(data_type=1, dims=[2**62] * 9, raw_data=b"1234"),
        "'w': absurd",
    ),
    "empty but absurd": (with_tensor(data_type=1, dims=[0, 2**62, 2**62]), "'w': absurd"),
    "many axes": (with_tensor(data_type=1, dims=[1] * 65, raw_data=b"1234"), "'w': absurd"),
    "raw data short": (with_tensor(data_type=1, dims=[3], raw_data=b"1234"), "needs 12 bytes.*4"),
    "raw data long": (with_tensor(data_type=1, dims=[1], raw_data=b"12345"), "needs 4 bytes.*5"),
    "packed data short": (with_tensor(data_type=21, dims=[3], raw_data=b"1"), "needs 2 bytes.*1"),
    "typed data short": (with_tensor(data_type=1, dims=[3], float_data=[1]), "3 elements.*1"),
    "typed data elsewhere": (with_tensor(data_type=1, dims=[1], int32_data=[1]), "1 elements.*0"),
    "packed typed data": (with_tensor(data_type=21, dims=[3], int32_data=[1]), "3 elements.*2"),
    "half a complex number": (with_tensor(data_type=14, dims=[1], float_data=[1]), "1 elements.*0"),
    "strings in raw data": (with_tensor(data_type=8, dims=[1], raw_data=b"a"), "strings cannot"),
    "strings short": (with_tensor(data_type=8, dims=[2], string_data=[b"a"]), "2 elements.*1"),
    "external data of no file": (external(location="w"), "not read from a file"),
}

UNSUPPORTED: dict[str, tuple[ModelProto, str]] = {
    "newer format": (edited(lambda m: setattr(m, "ir_version", 99)), r"IR version 99"),
    "newer opset": (edited(lambda m: setattr(m.opset_import[0], "version", 999)), "opset 999"),
    "segments": (
        with_tensor(data_type=1, dims=[1], segment=TensorProto.Segment(begin=0)),
        "segments",
    ),
    "opaque type": (
        edited(lambda m: m.graph.input[0].type.opaque_type.SetInParent()),
        "kind 'opaque_type'",
    ),
    "list of graphs": (
        edited(
            lambda m: m.graph.node[0].attribute.add(name="f", type=AttributeProto.GRAPHS), CUSTOM
        ),
        "attribute 'f' is of kind GRAPHS",
    ),
    "deep subgraphs": (nested(200), "nested more than 64 deep"),
}


@pytest.mark.parametrize(("model", "message"), INVALID.values(), ids=INVALID.keys())
def test_invalid_models(model: ModelProto, message: str) -> None:
    with pytest.raises(InvalidModelError, match=f"(?s){message}"):
        import_model(model, new_context())


@pytest.mark.parametrize(("model", "message"), UNSUPPORTED.values(), ids=UNSUPPORTED.keys())
def test_unsupported_models(model: ModelProto, message: str) -> None:
    with pytest.raises(UnsupportedError, match=f"(?s){message}"):
        import_model(model, new_context())


def test_errors_carry_the_place() -> None:
    with pytest.raises(InvalidModelError) as caught:
        import_model(nodes("t = Abs (x) y = Add (t)"), new_context())
    place = caught.value.place
    assert (place.node, place.op_type, place.domain, place.opset) == ("Add_1", "Add", "", 18)


def test_subgraphs_may_be_nested() -> None:
    module = import_model(nested(40), new_context())
    module.verify()
    assert sum(op.name == "onnx.If.v16" for op in module.walk()) == 40


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.onnx", b"", "the file is empty"),
        ("m.onnx", b"\x89PNG\r\n\x1a\n" * 10, "no ONNX model, or it is truncated or corrupt"),
        ("m.onnx", parsed().SerializeToString()[:-3], "truncated or corrupt"),
        ("m.onnx", b"<html>not a model</html>", "no ONNX model"),
        ("m.onnxtxt", b"<ir_version: 8> g (float", "onnxtxt syntax error"),
        ("m.onnxtxt", b"\xff\xfe", "onnxtxt syntax error"),
        ("m.json", b'{"irVersion": ', "json syntax error"),
        ("m.textproto", b"ir_version: x", "textproto syntax error"),
    ],
)
def test_files_that_are_no_model(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InvalidModelError, match=f"{name}.*{message}"):
        import_model(path, new_context())


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidModelError, match=r"gone\.onnx: there is no such file"):
        import_model(tmp_path / "gone.onnx", new_context())
    with pytest.raises(InvalidModelError, match="cannot be read"):
        import_model(tmp_path, new_context())
    with pytest.raises(InvalidModelError, match="empty"):
        import_model(b"", new_context())
    with pytest.raises(InvalidModelError, match="cannot be read"):
        import_model("nul\0byte.onnx", new_context())


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"location": "gone.bin"}, "'gone.bin' is missing"),
        ({"location": ""}, "without a location"),
        ({"location": "../secret.bin"}, "lies outside of the model's folder"),
        ({"location": "sub/../../secret.bin"}, "lies outside of the model's folder"),
        ({"location": "/etc/passwd"}, "lies outside of the model's folder"),
        ({"location": "link.bin"}, "lies outside of the model's folder"),
        ({"location": "folder/secret.bin"}, "lies outside of the model's folder"),
        ({"location": "w\0.bin"}, "without a location"),
        ({"location": "."}, "cannot be read"),
        ({"location": "w.bin", "offset": "8"}, r"at 8 to 20 lies beyond the end .* \(12 bytes\)"),
        ({"location": "w.bin", "offset": "-4"}, "with offset '-4'"),
        ({"location": "w.bin", "length": "-12"}, "with length '-12'"),
        ({"location": "w.bin", "length": "8"}, "has 8 bytes, its shape needs 12"),
        ({"location": "w.bin", "offset": "9" * 30}, "with offset"),
        ({"location": "empty.bin"}, r"lies beyond the end of 'empty.bin' \(0 bytes\)"),
    ],
)
def test_external_data(tmp_path: Path, entries: dict[str, str], message: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(b"x" * 12)
    (folder / "w.bin").write_bytes(b"x" * 12)
    (folder / "empty.bin").write_bytes(b"")
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "folder").symlink_to(tmp_path, target_is_directory=True)
    path = folder / "m.onnx"
    path.write_bytes(external(**entries).SerializeToString())
    with pytest.raises(InvalidModelError, match=f"initializer 'w': .*{message}"):
        import_model(path, new_context())


def test_a_model_reached_through_a_link_finds_its_data(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "w.bin").write_bytes(b"x" * 12)
    (folder / "m.onnx").write_bytes(external(location="w.bin").SerializeToString())
    link = tmp_path / "link.onnx"
    os.symlink(folder / "m.onnx", link)
    import_model(link, new_context()).verify()


@pytest.mark.parametrize(
    ("indices", "message"),
    [([[0, 9]], "lies outside"), ([[-1, 0]], "lies outside"), ([[0]], "lies outside")],
)
def test_sparse_tensors(indices: list[list[int]], message: str) -> None:
    model = parsed()
    values = numpy_helper.from_array(np.float32([1]), "s")
    places = numpy_helper.from_array(np.array(indices, np.int64), "i")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [2, 2]))
    with pytest.raises(InvalidModelError, match=f"'s'.*{message}"):
        import_model(model, new_context())


def test_sparse_tensors_that_would_not_fit_in_memory() -> None:
    model = parsed()
    values = numpy_helper.from_array(np.float32([1]), "s")
    places = numpy_helper.from_array(np.int64([0]), "i")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [2**20, 2**20]))
    with pytest.raises(UnsupportedError, match=r"'s'.*too large"):
        import_model(model, new_context())


SMALL = [
    parsed(RECURSIVE.replace("y = l.f (x) }", "y = Abs (x) }")),
    parsed(
        f'{HEAD} g (float[N, "2*N"] x, seq(float[M]) q, bool c) => (float[M] y)'
        ' <float[2] w = {1, 2}, string[1] s = {"a"}> {'
        "  k = Constant <value_ints = [1, 2]> ()  t = Dropout (x)"
        '  u = Conv <pads = [1, 2, 3, 4], auto_pad = "NOTSET"> (t, w)'
        "  y = If <then_branch = a () => (float[2] v) { v = Add (u, w) },"
        "          else_branch = b () => (float[2] v) { v = Neg (k) }> (c) }"
    ),
]
DATA = [model.SerializeToString() for model in SMALL]

edit = st.tuples(
    st.sampled_from(["set", "flip", "cut", "insert", "delete", "repeat"]),
    st.integers(0, 1 << 16),
    st.integers(0, 255),
)


def damaged(data: bytes, edits: list[tuple[str, int, int]]) -> bytes:
    """A copy of the data with bytes changed, cut off, put in, taken out or repeated."""
    result = bytearray(data)
    for kind, where, what in edits:
        at = where % max(len(result), 1)
        match kind:
            case "set":
                result[at : at + 1] = bytes([what])
            case "flip" if result:
                result[at] ^= 1 << what % 8
            case "cut":
                del result[at:]
            case "insert":
                result[at:at] = bytes([what])
            case "delete":
                del result[at : at + what % 8]
            case "repeat":
                result[at:at] = result[at : at + what]
    return bytes(result)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(DATA), st.lists(edit, min_size=1, max_size=4))
def test_damaged_bytes_give_errors_of_ours(data: bytes, edits: list[tuple[str, int, int]]) -> None:
    assert imports_or_refuses(damaged(data, edits))


names = st.sampled_from(
    ["", "x", "y", "t", "w", "l", "f", "If", "Abs", "Constant", "body", "2*N", "é"]
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SMALL), st.data())
def test_damaged_fields_give_errors_of_ours(model: ModelProto, data: st.DataObject) -> None:
    changed = ModelProto()
    changed.CopyFrom(model)
    for _ in range(data.draw(st.integers(1, 3))):
        message = changed
        while True:
            fields = [field for field, _ in message.ListFields()]
            field = data.draw(st.sampled_from(fields)) if fields else None
            if field is None or field.message_type is None:
                break
            inner = getattr(message, field.name)
            if field.is_repeated and data.draw(st.integers(0, 9)) == 0:
                del inner[0]
                break
            message = data.draw(st.sampled_from(list(inner))) if field.is_repeated else inner
        if field is not None and field.message_type is None:
            change_field(message, field, data)
    assert imports_or_refuses(changed)


def change_field(message: object, field: object, data: st.DataObject) -> None:
    """Gives a scalar field of a proto another value, or clears it."""
    value = getattr(message, field.name)  # type: ignore[attr-defined]
    first = value[0] if field.is_repeated else value  # type: ignore[attr-defined]
    drawn = {
        str: names,
        bytes: st.binary(max_size=24),
        int: st.sampled_from([0, 1, 2, -1, 7, 8, 18, 2**31 - 1, -(2**31)]),
        float: st.floats(width=32),
    }[type(first)]
    new = data.draw(st.none() | drawn)
    try:
        if new is None:
            message.ClearField(field.name)  # type: ignore[attr-defined]
        elif field.is_repeated:  # type: ignore[attr-defined]
            value[0] = new
        else:
            setattr(message, field.name, new)  # type: ignore[attr-defined]
    except ValueError:
        return  # a closed enumeration refuses the number


def imports_or_refuses(source: bytes | ModelProto) -> bool:
    """Whether a source becomes a module that verifies, or an error of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import_model(source, new_context()).verify()
        except TerraceError as error:
            return bool(error.message)
    return True
