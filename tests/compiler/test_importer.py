"""What an imported model looks like: names, types, constants, subgraphs, functions, locations."""

from __future__ import annotations

import warnings

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import TensorProto, helper
from xdsl.dialects.builtin import ModuleOp, StringAttr, UnitAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation

from compiler.importer import import_model
from compiler.ir_text import new_context
from dialects.onnx.constants import constant_of, pool_of
from dialects.onnx.locations import node_of
from dialects.onnx.ops import Call, Const, Custom, NoValue, OnnxOp, Yield, python_value
from dialects.onnx.types import dims_of, element_type, is_none, tensor_type, unknown
from runtime.errors import InputError, InvalidModelError


def parsed(text: str) -> onnx.ModelProto:
    """The model of a text in ONNX's own syntax."""
    return onnx.parser.parse_model(text)


def imported(source: onnx.ModelProto | str, **options: object) -> ModuleOp:
    """The verified module of a model or its text."""
    model = parsed(source) if isinstance(source, str) else source
    module = import_model(model, new_context(), **options)  # type: ignore[arg-type]
    module.verify()
    return module


def functions(module: ModuleOp) -> dict[str, FuncOp]:
    """The module's functions by symbol."""
    return {op.sym_name.data: op for op in module.ops if isinstance(op, FuncOp)}


def nodes(module: ModuleOp, function: str = "main") -> list[Operation]:
    """The operations of a function's body, without its constants and terminator."""
    ops = list(functions(module)[function].body.block.ops)[:-1]
    return [op for op in ops if not isinstance(op, Const | NoValue)]


def only(module: ModuleOp, kind: type[Operation]) -> Operation:
    """The one operation of a class."""
    (found,) = [op for op in module.walk() if isinstance(op, kind)]
    return found


HEAD = '<ir_version: 8, opset_import: ["" : 18]>'


def test_arguments_and_results_keep_their_names_and_types() -> None:
    module = imported(f"{HEAD} g (float[N, 3] x, int64[2] y) => (float[M, 3] z) {{ z = Abs (x) }}")
    main = functions(module)["main"]
    assert [entry.data["onnx.name"].data for entry in main.arg_attrs] == ["x", "y"]
    assert dims_of(main.body.block.args[0].type)[1] == 3
    assert str(dims_of(main.body.block.args[0].type)[0]) == "N"
    assert main.body.block.args[1].type == tensor_type(np.int64, [2])
    (result,) = main.res_attrs
    assert result.data["onnx.name"] == StringAttr("z")
    assert str(dims_of(result.data["onnx.declared_type"])[0]) == "M"


def test_each_node_has_the_class_of_its_opset() -> None:
    body = "g (float[3] x) => (float[3] y) { y = Relu (x) }"
    for opset, name in ((5, "onnx.Relu.v1"), (6, "onnx.Relu.v6"), (13, "onnx.Relu.v13")):
        module = imported(f'<ir_version: 8, opset_import: ["" : {opset}]> {body}')
        assert nodes(module)[0].name == name


def test_an_operator_newer_than_the_opset_is_accepted_with_a_warning() -> None:
    text = f"{HEAD} g (float[3] x) => (float[3] y) {{ y = Gelu (x) }}"
    with pytest.warns(UserWarning, match="Gelu"):
        module = imported(text)
    assert nodes(module)[0].name == "onnx.Gelu.v20"
    (warning,) = module.attributes["onnx.warnings"]
    assert "opset 18" in warning.data and "version 20" in warning.data


def test_what_onnx_does_not_define_is_custom() -> None:
    module = imported(
        '<ir_version: 8, opset_import: ["" : 18, "com.me" : 3]> g (float[3] x) => (float[3] y) '
        '{ t = com.me.Odd <alpha = 0.5, mode = "fast", axes = [1, 2]> (x, , x) '
        "  y = NotAnOperator (t) }"
    )
    odd, unheard = nodes(module)
    assert isinstance(odd, Custom) and isinstance(unheard, Custom)
    assert (odd.domain.data, odd.op_type.data, odd.since.value.data) == ("com.me", "Odd", 3)
    assert (odd.get("alpha"), odd.get("mode"), odd.get("axes")) == (0.5, "fast", (1, 2))
    assert [is_none(value) for value in odd.inputs] == [False, True, False]
    assert (unheard.domain.data, unheard.since.value.data) == ("", 18)


def test_absent_inputs_share_one_no_value_and_absent_outputs_are_none() -> None:
    module = imported(
        f"{HEAD} g (float[3] x, float hi) => (float[3] y) {{"
        "  a = Clip (x, , hi)"
        "  b = Clip (a)"
        "  y, m = Dropout (b) }"
    )
    only(module, NoValue)
    clip, bare, dropout = nodes(module)
    assert [is_none(value) for value in clip.operands] == [False, True, False]
    assert [is_none(value) for value in bare.operands] == [False, True, True]
    assert [is_none(value) for value in dropout.results] == [False, False]
    module = imported(f"{HEAD} g (float[3] x) => (float[3] y) {{ y = Dropout (x) }}")
    assert [is_none(value) for value in nodes(module)[0].results] == [False, True]


def test_attributes_become_properties_with_schema_defaults() -> None:
    module = imported(
        f"{HEAD} g (float[1,1,5,5] x, float[1,1,3,3] w) => (float[1,1,5,5] y) "
        '{ y = Conv <pads = [1, 1, 1, 1], auto_pad = "NOTSET"> (x, w) }'
    )
    conv = nodes(module)[0]
    assert isinstance(conv, OnnxOp)
    assert conv.get("pads") == (1, 1, 1, 1)
    assert conv.get("auto_pad") == "NOTSET"
    assert conv.get("group") == 1
    assert conv.get("dilations") is None


def test_values_that_are_declared_have_their_element_type() -> None:
    model = parsed(
        f"{HEAD} g (float[3] x) => (float[3] y) {{ t = Abs (x) u = Abs (t) y = Abs (u) }}"
    )
    model.graph.value_info.append(helper.make_tensor_value_info("t", TensorProto.FLOAT, [99]))
    first, second, last = nodes(imported(model))
    assert first.results[0].type == tensor_type(np.float32, None)
    assert second.results[0].type == unknown
    assert last.results[0].type == tensor_type(np.float32, None)


def test_initializers_that_are_inputs_are_constants() -> None:
    model = parsed(f"{HEAD} g (float[2] x, float[2] w) => (float[2] y) {{ y = Add (x, w) }}")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32([1, 2]), "w"))
    module = imported(model)
    assert len(functions(module)["main"].body.block.args) == 1
    const = only(module, Const)
    assert node_of(const.location).name == "w"


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("value_int = 7", np.int64(7)),
        ("value_ints = [1, 2]", np.int64([1, 2])),
        ("value_float = 0.5", np.float32(0.5)),
        ("value_floats = [0.5, 1.5]", np.float32([0.5, 1.5])),
        ('value_string = "a"', np.array("a", object)),
        ('value_strings = ["a", "b"]', np.array(["a", "b"], object)),
        ("value = int32[2] {3, 4}", np.int32([3, 4])),
    ],
)
def test_constant_nodes_are_constants(attribute: str, expected: np.ndarray) -> None:
    ctx = new_context()
    model = parsed(f"{HEAD} g () => (float y) {{ y = Constant <{attribute}> () }}")
    module = import_model(model, ctx)
    const = only(module, Const)
    array = constant_of(const.results[0], pool_of(ctx))
    assert array is not None
    assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
    assert (array == expected).all()
    assert node_of(const.location).op_type == "Constant"


def test_sparse_constants_are_made_dense() -> None:
    values = onnx.numpy_helper.from_array(np.float32([5, 6]), "s")
    indices = onnx.numpy_helper.from_array(np.int64([[0, 1], [2, 0]]), "i")
    model = parsed(f"{HEAD} g () => (float[3, 2] y) {{ y = Identity (s) }}")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [3, 2]))
    ctx = new_context()
    module = import_model(model, ctx)
    array = constant_of(only(module, Const).results[0], pool_of(ctx))
    assert array is not None and array.tolist() == [[0, 5], [0, 0], [6, 0]]


IF = """ g (bool c, float[2] x) => (float[2] y) {
    t = Abs (x)
    y = If <
        then_branch = then () => (float[2] t2) { t2 = Add (t, x) },
        else_branch = other () => (float[2] t2) { k = Neg (t) t2 = Neg (k) }
    > (c)
}"""


def test_subgraphs_use_outer_values_directly() -> None:
    module = imported(HEAD + IF)
    absolute, choice = nodes(module)
    other, then = choice.regions
    add = then.block.first_op
    assert add is not None and add.operands[0] is absolute.results[0]
    assert isinstance(other.block.last_op, Yield)
    assert [node_of(op.location).name for op in other.block.ops][:2] == ["If_1/Neg_0", "If_1/Neg_1"]


def test_loop_bodies_have_their_inputs_as_block_arguments() -> None:
    module = imported(
        f"{HEAD} g (int64 n, bool go, float[2] x) => (float[2] y) {{"
        "  y = Loop <body = b (int64 i, bool c, float[2] a) => (bool c2, float[2] a2) {"
        "    c2 = Identity (c)  a2 = Add (a, x) }> (n, go, x) }"
    )
    (loop,) = nodes(module)
    block = loop.regions[0].block
    assert [argument.name_hint for argument in block.args] == ["i", "c", "a"]
    assert block.args[2].type == tensor_type(np.float32, None)


def test_inner_names_hide_outer_ones_from_where_they_are_defined() -> None:
    module = imported(
        f"{HEAD} g (bool c, float[2] x) => (float[2] y) {{"
        "  y = If <"
        "    then_branch = a () => (float[2] y) { x = Abs (x) y = Neg (x) },"
        "    else_branch = b () => (float[2] y) { y = Neg (x) }> (c) }"
    )
    (choice,) = nodes(module)
    other, then = choice.regions
    outer = functions(module)["main"].body.block.args[1]
    absolute, negated, _ = then.block.ops
    assert absolute.operands[0] is outer
    assert negated.operands[0] is absolute.results[0]
    assert other.block.first_op is not None and other.block.first_op.operands[0] is outer


def test_names_of_a_subgraph_are_not_visible_outside() -> None:
    text = IF.replace("y = If", "z = If").replace("> (c)", "> (c) y = Abs (t2)")
    with pytest.raises(InvalidModelError, match=r"'Abs_2'.*'t2', which nothing defines"):
        imported(HEAD + text)


def test_nodes_out_of_order_are_sorted() -> None:
    model = parsed(HEAD + IF)
    ordered = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(reversed(ordered))
    assert [op.name for op in nodes(imported(model))] == ["onnx.Abs.v13", "onnx.If.v16"]


FUNCTION = """<ir_version: 9, opset_import: ["" : 18, "lib" : 1]>
g (float[3] x) => (float[3] y) {
    t = lib.leaky <alpha = 0.25> (x)
    y, unused = lib.twice (t)
}
<domain: "lib", opset_import: ["" : 18]>
leaky <alpha: float = 0.5, top> (x, bias) => (y) {
    y = LeakyRelu <alpha: float = @alpha> (x)
}
<domain: "lib", opset_import: ["" : 18, "lib" : 1]>
twice (x) => (y, z) {
    c = Constant <value_int = 3> ()
    t = lib.leaky <top = 1> (x)
    y = Add (t, t)
    z = Identity (t)
}
"""


def test_functions_are_private_and_called() -> None:
    module = imported(FUNCTION)
    found = functions(module)
    assert list(found) == ["main", "lib::leaky", "lib::twice"]
    leaky = found["lib::leaky"]
    assert leaky.sym_visibility == StringAttr("private")
    about = leaky.attributes["onnx.function"].data
    assert (about["domain"].data, about["name"].data) == ("lib", "leaky")
    assert python_value(about["attributes"]) == ("top",)
    assert python_value(about["defaults"].data["alpha"]) == 0.5
    (body,) = nodes(module, "lib::leaky")
    reference = body.properties["alpha"]
    assert str(reference) == '#onnx.ref<"alpha", "FLOAT">'
    call, second = nodes(module)
    assert isinstance(call, Call) and isinstance(second, Call)
    assert call.callee.string_value() == "lib::leaky"
    assert call.get("alpha") == 0.25
    assert [is_none(value) for value in call.operands] == [False, True]
    assert node_of(call.location).op_type == "leaky"
    assert len(second.results) == 2


def test_a_constant_that_a_function_attribute_decides_stays_a_node() -> None:
    module = imported(
        '<ir_version: 9, opset_import: ["" : 18, "lib" : 1]>'
        "g (float[3] x) => (int64 y) { y = lib.f <n = 3> (x) }"
        '<domain: "lib", opset_import: ["" : 18]> f <n> (x) => (y) '
        "{ y = Constant <value_int: int = @n> () }"
    )
    (constant,) = nodes(module, "lib::f")
    assert constant.name == "onnx.Constant.v13"
    assert str(constant.properties["value_int"]) == '#onnx.ref<"n", "INT">'


def test_metadata_is_kept_on_the_module() -> None:
    model = parsed(f"{HEAD} graph_of_mine (float[3] x) => (float[3] y) {{ y = Abs (x) }}")
    model.producer_name, model.model_version, model.doc_string = "me", 4, "two\nlines, größer"
    helper.set_model_props(model, {"a key": "a value"})
    module = imported(model)
    entries = module.attributes["onnx.metadata"].data
    assert {key: python_value(value) for key, value in entries.items() if key != "custom"} == {
        "producer_name": "me",
        "graph_name": "graph_of_mine",
        "model_version": 4,
        "doc_string": "two\nlines, größer",
    }
    assert python_value(entries["custom"].data["a key"]) == "a value"
    assert python_value(module.attributes["onnx.opset_imports"].data["ai.onnx"]) == 18
    assert python_value(module.attributes["onnx.ir_version"]) == 8


def test_locations_name_node_and_source_lines() -> None:
    model = parsed(
        f"{HEAD} g (float[3] x) => (float[3] y) {{ t = Abs (x) u = Neg (t) y = Sin (u) }}"
    )
    first, second, _ = model.graph.node
    first.name = "my/abs"
    trace = 'File "model.py", line 3, in <module>\n  y = f(x)\nFile "layers.py", line 10, in f\n'
    first.metadata_props.add(key="pkg.torch.onnx.stack_trace", value=trace)
    second.doc_string = "/a/layers.py(7): forward\n/a/model.py(70): __call__\n"
    ops = [node_of(op.location) for op in nodes(imported(model))]
    assert [(op.name, op.op_type, op.opset) for op in ops] == [
        ("my/abs", "Abs", 18),
        ("Neg_1", "Neg", 18),
        ("Sin_2", "Sin", 18),
    ]
    assert ops[0].sources == (("layers.py", 10), ("model.py", 3))
    assert ops[1].sources == (("/a/layers.py", 7), ("/a/model.py", 70))
    assert ops[2].sources == ()


def input_dims(shape: list[object], **options: object) -> tuple[ModuleOp, list[str]]:
    """Sizes of the input ``in/x`` that has this declared shape."""
    value = helper.make_tensor_value_info("in/x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node("Abs", ["in/x"], ["y"])], "g", [value], [y])
    opset = [helper.make_opsetid("", 18)]
    module = imported(helper.make_model(graph, ir_version=8, opset_imports=opset), **options)
    kind = functions(module)["main"].body.block.args[0].type
    return module, [str(dim) for dim in dims_of(kind) or ()]


def test_sizes_become_symbols() -> None:
    module, dims = input_dims(["batch", None, 0, -1, 3, "batch"])
    assert dims == ["batch", "in_x_1", "in_x_2", "in_x_3", "3", "batch"]
    renamed = module.attributes["onnx.dim_params"].data
    assert {key: value.data for key, value in renamed.items()} == dict.fromkeys(dims[1:4], "")


def test_expressions_over_known_symbols_stay_expressions() -> None:
    _, dims = input_dims(["seq", "2*seq + 1", "seq//2", "2*other", "past + seq"])
    assert dims == ["seq", "2*seq + 1", "(seq // 2)", "_2_other", "past___seq"]


def test_different_texts_stay_different_symbols() -> None:
    texts = ["a b", "a.b", "a_b", "lambda", "max", "9", "x+y", "größe", "signed_x", ""]
    _, dims = input_dims(list(texts))
    assert len(set(dims)) == len(texts)
    assert dims[2] == "a_b"
    assert all(dim.isidentifier() for dim in dims)


@pytest.mark.parametrize(
    "text", ["1//0*s", "s" * 5000, "(" * 300, "-" * 5000 + "s", "a\0b", "s**s"]
)
def test_hostile_size_texts_are_opaque_symbols(text: str) -> None:
    _, dims = input_dims(["s", text])
    assert dims[0] == "s" and dims[1] != "s" and dims[1].isidentifier()


def test_dims_fix_symbols() -> None:
    _, dims = input_dims(
        ["batch", "2*batch", "a b", None], dims={"batch": 4, "a b": 5, "in_x_3": 6}
    )
    assert dims == ["4", "8", "5", "6"]
    with pytest.raises(InputError, match=r"(?s)'height'.*'batch'"):
        input_dims(["batch"], dims={"height": 4})
    with pytest.raises(InputError, match="negative"):
        input_dims(["n", "n - 5"], dims={"n": 2})


def test_types_beyond_tensors() -> None:
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, ["n", 2])
    sequence = helper.make_sequence_type_proto(tensor)
    kinds = [
        sequence,
        helper.make_optional_type_proto(sequence),
        helper.make_map_type_proto(TensorProto.STRING, tensor),
        helper.make_sparse_tensor_type_proto(TensorProto.FLOAT, [3]),
        helper.make_tensor_type_proto(TensorProto.STRING, [1]),
    ]
    inputs = [helper.make_value_info(f"x{k}", kind) for k, kind in enumerate(kinds)]
    output = helper.make_tensor_value_info("y", TensorProto.INT64, None)
    node = helper.make_node("SequenceLength", ["x0"], ["y"])
    model = helper.make_model(helper.make_graph([node], "g", inputs, [output]), ir_version=8)
    types = functions(imported(model))["main"].function_type.inputs
    assert list(map(str, types)) == [
        "!onnx.seq<tensor<*xf32>>",
        "!onnx.opt<!onnx.seq<tensor<*xf32>>>",
        "!onnx.map<!onnx.string, tensor<*xf32>>",
        "!onnx.sparse<tensor<3xf32>>",
        "tensor<1x!onnx.string>",
    ]


def test_unchecked_attributes_are_discardable() -> None:
    model = parsed(f"{HEAD} g (float[3] x) => (float[3] y) {{ y = Abs <__mark = 3> (x) }}")
    (op,) = nodes(imported(model))
    assert not op.properties
    assert python_value(op.attributes["__mark"]) == 3


def test_opset_one_is_implied_before_ir_version_three() -> None:
    model = parsed(f"{HEAD} g (float[3] x) => (float[3] y) {{ y = Abs (x) }}")
    del model.opset_import[:]
    model.ir_version = 2
    assert nodes(imported(model))[0].name == "onnx.Abs.v1"


def test_attribute_kinds_that_old_models_leave_out_are_guessed() -> None:
    model = parsed(f"{HEAD} g (float[3] x) => (float[3] y) {{ y = Softmax <axis = 0> (x) }}")
    model.graph.node[0].attribute[0].ClearField("type")
    (op,) = nodes(imported(model))
    assert isinstance(op, OnnxOp) and op.get("axis") == 0


def test_floats_that_are_not_finite_survive() -> None:
    model = parsed(
        '<ir_version: 8, opset_import: ["" : 18, "m" : 1]> g (float[3] x) => (float[3] y) '
        "{ y = m.Odd (x) }"
    )
    model.graph.node[0].attribute.append(helper.make_attribute("v", [1.0, float("inf")]))
    (op,) = nodes(imported(model))
    assert isinstance(op, Custom) and op.get("v") == (1.0, float("inf"))


def test_a_model_without_oddities_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module = imported(HEAD + IF)
    assert "onnx.warnings" not in module.attributes
    assert not any(isinstance(value, UnitAttr) for value in module.attributes.values())


def test_every_element_type_has_a_type() -> None:
    for number in TensorProto.DataType.values():
        if number == TensorProto.UNDEFINED:
            continue
        x = helper.make_tensor_value_info("x", number, [2])
        y = helper.make_tensor_value_info("y", number, [2])
        node = helper.make_node("Identity", ["x"], ["y"])
        model = helper.make_model(helper.make_graph([node], "g", [x], [y]), ir_version=8)
        kind = functions(imported(model))["main"].function_type.inputs.data[0]
        assert kind.element_type == element_type(helper.tensor_dtype_to_np_dtype(number))
