"""Models that went in and come out again say and compute the same."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.utils.test_value import create_ssa_value

from compiler.exporter import export_model, save_model
from compiler.exporter.opsets import choose_opsets
from compiler.importer import import_model
from compiler.ir_text import new_context, parse_module, print_module
from compiler.pipeline import Pipeline
from compiler.stages import STAGES
from compiler.target import Target
from dialects.onnx.dims import parse_dim
from dialects.onnx.ops import class_of_schema_version
from dialects.onnx.types import tensor_type
from runtime.errors import InvalidModelError, UnsupportedError

HEAD = '<ir_version: 8, opset_import: ["" : 18]>'


def parsed(text: str) -> ModelProto:
    """The model of a text in ONNX's own syntax."""
    return onnx.parser.parse_model(text)


def again(source: ModelProto | str | Path) -> ModelProto:
    """A model after its way through a module and the module's text."""
    model = parsed(source) if isinstance(source, str) else source
    ctx = new_context()
    text = print_module(import_model(model, ctx), ctx, locations=True)
    ctx = new_context()
    result = export_model(parse_module(text, ctx), ctx)
    onnx.checker.check_model(result)
    return result


def run(model: ModelProto, feeds: dict[str, Any]) -> list[Any]:
    """What onnxruntime computes, without its graph optimizations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, feeds)


def equal(got: Any, want: Any) -> bool:
    """Whether two outputs are the same, sequences and maps of them included."""
    if isinstance(want, list):
        return len(got) == len(want) and all(map(equal, got, want))
    if isinstance(want, dict):
        return got == want
    same_type = got.dtype == want.dtype and got.shape == want.shape
    return same_type and bool(((got == want) | ((got != got) & (want != want))).all())


BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "optional inputs": (
        "g (float[3] x, float hi) => (float[3] y) { t = Clip (x, , hi) y = Clip (t) }",
        {"x": np.float32([-1, 2, 9]), "hi": np.array(3, np.float32)},
    ),
    "optional outputs": (
        "g (float[N] x) => (float[K] y, int64[M] z) { y, , z = Unique (x) }",
        {"x": np.float32([2, 1, 2])},
    ),
    "branches": (
        "g (bool c, float[2] x) => (float[2] y) { t = Abs (x) y = If <"
        "  then_branch = a () => (float[2] v) { v = Add (t, x) },"
        "  else_branch = b () => (float[2] v) { v = Identity (t) }> (c) }",
        {"c": np.array(False), "x": np.float32([-1, 2])},
    ),
    "branches that give constants": (
        "g (bool c) => (float[2] y) { y = If <"
        "  then_branch = a () => (float[2] k) { k = Constant <value_floats = [1.0, 2.0]> () },"
        "  else_branch = b () => (float[2] k) <float[2] k = {3, 4}> { }> (c) }",
        {"c": np.array(False)},
    ),
    "loop": (
        "g (int64 n, bool go, float[2] x) => (float[2] y, float[K, 2] all) {"
        "  y, all = Loop <body = b (int64 i, bool c, float[2] a)"
        "    => (bool c, float[2] a2, float[2] s) {"
        "    a2 = Add (a, x)  s = Identity (a2) }> (n, go, x) }",
        {"n": np.array(3), "go": np.array(True), "x": np.float32([1, 2])},
    ),
    "outputs that are inputs, constants or the same": (
        "g (float[2] x) => (float[2] x, float[2] y, float[2] z, float[2] w, float[2] k)"
        " <float[2] k = {1, 2}> { y = Abs (x) z = Identity (y) w = Identity (k) }",
        {"x": np.float32([-1, 2])},
    ),
    "an output given twice": (
        "g (float[2] x) => (float[2] y, float[2] y) { y = Abs (x) }",
        {"x": np.float32([-1, 2])},
    ),
    "strings": (
        'g (string[2] x) => (string[4] y) <string[2] k = {"a", "b"}>'
        " { y = Concat <axis = 0> (x, k) }",
        {"x": np.array(["ab", "cdé"], object)},
    ),
    "sequences": (
        "g (float[2] x) => (float[4] y) { q = SequenceConstruct (x, x)"
        "  y = ConcatFromSequence <axis = 0> (q) }",
        {"x": np.float32([1, 2])},
    ),
    "constants of all kinds": (
        "g (float[2] x) => (float[2] y, int64 i, string s) {"
        "  c = Constant <value_float = 0.1> ()  y = Add (x, c)"
        '  i = Constant <value_int = -3> ()  s = Constant <value_string = "größe"> () }',
        {"x": np.float32([1, 2])},
    ),
    "values that are not finite": (
        "g (float[2] x) => (float[2] y) { a = Constant <value_floats = [3.0e38, -3.0e38]> ()"
        "  b = Constant <value_floats = [inf, nan]> () t = Mul (x, a) y = Add (t, b) }",
        {"x": np.float32([1, 0])},
    ),
}


@pytest.mark.parametrize(("body", "feeds"), BODIES.values(), ids=BODIES.keys())
def test_small_models_compute_the_same(body: str, feeds: dict[str, Any]) -> None:
    model = parsed(f"{HEAD} {body}")
    result = again(model)
    assert [value.name for value in result.graph.output] == [v.name for v in model.graph.output]
    assert equal(run(result, feeds), run(model, feeds))


def test_branches_that_give_outer_values_get_an_identity() -> None:
    result = again(
        f"{HEAD} g (bool c, float[2] x) => (float[2] y) {{ t = Abs (x) y = If <"
        "  then_branch = a () => (float[2] x) { },"
        "  else_branch = b () => (float[2] t) { }> (c) }"
    )
    for condition, expected in ((True, [-1, 2]), (False, [1, 2])):
        (y,) = run(result, {"c": np.array(condition), "x": np.float32([-1, 2])})
        assert y.tolist() == expected


def test_outputs_that_a_schema_requires_have_names() -> None:
    result = again(f"{HEAD} g (float[N] x) => (int64[M] y) {{ , , y = Unique (x) }}")
    assert run(result, {"x": np.float32([2, 1, 2])})[0].tolist() == [1, 0, 1]


FUNCTIONS = """<ir_version: 9, opset_import: ["" : 18, "lib" : 1], producer_name: "me">
g (float[3] x) => (float[3] y) {
    t = lib.leaky <alpha = 0.25> (x)
    y = lib.twice (t)
}
<domain: "lib", opset_import: ["" : 18]>
leaky <alpha: float = 0.5, beta> (x, bias) => (y) {
    y = LeakyRelu <alpha: float = @alpha> (x)
}
<domain: "lib", opset_import: ["" : 18, "lib" : 1]>
twice (x) => (y) {
    c = Constant <value_float = 3.0> ()
    t = lib.leaky (x)
    y = Add (t, c)
}
"""


def test_functions_come_back() -> None:
    model = parsed(FUNCTIONS)
    model.functions[0].metadata_props.add(key="k", value="v")
    result = again(model)
    feeds = {"x": np.float32([-4, 0, 2])}
    assert equal(run(result, feeds), run(model, feeds))
    assert [node.name for node in result.graph.node] == ["leaky_0", "twice_1"]
    for got, want in zip(result.functions, model.functions, strict=True):
        for field in ("domain", "name", "overload", "input", "output", "attribute"):
            assert getattr(got, field) == getattr(want, field)
        assert got.attribute_proto == want.attribute_proto
        assert got.metadata_props == want.metadata_props
        assert {o.domain: o.version for o in got.opset_import} == {
            o.domain: o.version for o in want.opset_import
        }
    (reference,) = result.functions[0].node[0].attribute
    assert (reference.ref_attr_name, reference.type) == ("alpha", AttributeProto.FLOAT)


def test_metadata_and_names_come_back() -> None:
    model = parsed(f"{HEAD} name_of_graph (float[3] x) => (float[3] y) {{ y = Abs (x) }}")
    model.graph.node[0].name = "my/abs"
    model.producer_name, model.producer_version, model.domain = "p", "1", "d"
    model.model_version, model.doc_string = 7, "about\nthis"
    model.graph.doc_string = "über"
    helper.set_model_props(model, {"a key": "größe"})
    result = again(model)
    for field in ("ir_version", "producer_name", "producer_version", "domain", "model_version"):
        assert getattr(result, field) == getattr(model, field), field
    assert result.doc_string == model.doc_string
    assert result.graph.doc_string == model.graph.doc_string
    assert result.metadata_props == model.metadata_props
    assert result.graph.name == "name_of_graph"
    assert result.graph.node[0].name == "my/abs"


@pytest.mark.parametrize("ir_version", [8, 10])
def test_stack_traces_come_back(ir_version: int) -> None:
    model = parsed(f"{HEAD} g (float[3] x) => (float[3] y) {{ y = Abs (x) }}")
    trace = 'File "model.py", line 3, in <module>\nFile "layers.py", line 10, in f\n'
    model.graph.node[0].metadata_props.add(key="pkg.torch.onnx.stack_trace", value=trace)
    model.ir_version = ir_version
    first = import_model(model, new_context())
    second = import_model(again(model), new_context())
    locations = [
        next(op.location for op in m.walk() if op.name == "onnx.Abs.v13") for m in (first, second)
    ]
    assert locations[0] == locations[1]


def test_symbolic_sizes_come_back_as_they_were_written() -> None:
    shape = ["batch", None, "2*batch + 1", "a b", 3]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["height_out", None, 3, "a b", 7])
    graph = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "g", [x], [y])
    opsets = [helper.make_opsetid("", 18)]
    result = again(helper.make_model(graph, ir_version=8, opset_imports=opsets))
    assert list(result.graph.input) == [x]
    assert list(result.graph.output) == [y]


def test_inferred_types_are_written() -> None:
    ctx = new_context()
    model = parsed(f"{HEAD} g (float[N, 3] x) => (float[A, B] y) {{ t = Abs (x) y = Neg (t) }}")
    module = import_model(model, ctx)
    kind = tensor_type(np.float32, [parse_dim("2*N"), 3])
    main = next(op for op in module.ops if isinstance(op, FuncOp))
    for op in list(main.body.block.ops)[:-1]:
        op.results[0]._type = kind
    main.update_function_type()
    main.properties["function_type"] = type(main.function_type).from_lists(
        main.function_type.inputs.data, [kind]
    )
    result = export_model(module, ctx)
    expected = helper.make_tensor_type_proto(TensorProto.FLOAT, ["2*N", 3])
    assert result.graph.output[0].type == expected
    (inner,) = result.graph.value_info
    assert (inner.name, inner.type) == ("t", expected)


def test_unknown_operators_come_back() -> None:
    model = parsed(
        '<ir_version: 8, opset_import: ["" : 18, "c" : 3]> g (float[3] x) => (float[3] y) {'
        ' t = c.Odd <f = 0.5, i = 3, s = "a", fs = [0.5, 1.5], is = [1], ss = ["a", "b"],'
        "  t = float[2] {1, 2}> (x, , x)"
        "  y = c.Body <body = b (float[3] a) => (float[3] d) { d = Add (a, t) }> (t) }"
    )
    model.graph.node[0].attribute.extend(
        [
            helper.make_attribute("tp", helper.make_tensor_type_proto(TensorProto.FLOAT, [3])),
            helper.make_attribute("st", numpy_helper.from_array(np.array(["a"], object))),
            helper.make_attribute("ts", [numpy_helper.from_array(np.int8([1, 2]))] * 2),
            helper.make_attribute("inf", [1.0, float("inf")]),
            helper.make_attribute("raw", b"\xff\xfe"),
        ]
    )
    result = again(model)
    got, want = result.graph.node[0], model.graph.node[0]
    assert (got.domain, got.op_type, list(got.input)) == ("c", "Odd", ["x", "", "x"])
    for mine, theirs in zip(got.attribute, want.attribute, strict=True):
        if theirs.type == AttributeProto.TENSOR:
            ours, original = numpy_helper.to_array(mine.t), numpy_helper.to_array(theirs.t)
            assert ours.dtype == original.dtype and (ours == original).all()
        else:
            assert mine == theirs
    (body,) = result.graph.node[1].attribute
    assert body.g.node[0].input[1] == result.graph.node[0].output[0]


def test_initializers_stay_initializers_and_constants_nodes() -> None:
    model = parsed(
        f"{HEAD} g (float[2] x) => (float[2] y) <float[2] w = {{1, 2}}> {{"
        "  c = Constant <value_floats = [3.0, 4.0]> () t = Add (x, w) y = Mul (t, c) }"
    )
    result = again(model)
    assert [tensor.name for tensor in result.graph.initializer] == ["w"]
    assert [node.op_type for node in result.graph.node] == ["Constant", "Add", "Mul"]


def test_initializers_of_old_formats_need_not_be_inputs() -> None:
    model = parsed(
        '<ir_version: 3, opset_import: ["" : 8]> g (float[2] x, float[2] w) =>'
        " (float[2] y) <float[2] w = {1, 2}> { y = Add (x, w) }"
    )
    result = again(model)
    assert result.ir_version == 4
    assert equal(run(result, {"x": np.float32([1, 2])}), [np.float32([2, 4])])


def test_packed_types_come_back() -> None:
    for kind in (TensorProto.INT4, TensorProto.UINT2, TensorProto.FLOAT4E2M1, TensorProto.BFLOAT16):
        array = np.arange(-1, 2).astype(helper.tensor_dtype_to_np_dtype(kind))
        graph = helper.make_graph(
            [helper.make_node("Identity", ["w"], ["y"])],
            "g",
            [],
            [helper.make_tensor_value_info("y", kind, [3])],
            [numpy_helper.from_array(array, "w")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)])
        (tensor,) = again(model).graph.initializer
        assert tensor == model.graph.initializer[0]


def test_the_opset_is_the_declared_one_or_the_smallest_that_fits() -> None:
    def ops(*names: tuple[str, int]) -> list[Any]:
        x = create_ssa_value(tensor_type(np.float32, [2, 3, 4]))
        classes = [class_of_schema_version("", *name) for name in names]
        return [made.create(operands=[x], result_types=[x.type]) for made in classes]

    assert choose_opsets(ops(("Relu", 14), ("Add", 14)), {"": 17}) == {"": 17}
    assert choose_opsets(ops(("Relu", 14), ("Add", 14)), {"": 13}) == {"": 14}
    assert choose_opsets(ops(("Relu", 6), ("Softmax", 1)), {}) == {"": 6}
    assert choose_opsets(ops(("Relu", 14), ("Gelu", 20)), {"": 18}) == {"": 20}
    # These versions differ in nothing but the types they allow.
    assert choose_opsets(ops(("Relu", 6), ("Add", 13), ("Gelu", 20)), {"": 13}) == {"": 20}
    assert choose_opsets(ops(("Relu", 6), ("Add", 14)), {"": 17}) == {"": 17}
    with pytest.raises(UnsupportedError, match=r"opset 14, the first with onnx.Add.v14.*Softmax"):
        choose_opsets(ops(("Add", 14), ("Softmax", 1)), {"": 18})
    with pytest.raises(UnsupportedError, match=r"changes the meaning of onnx.Upsample.v9"):
        choose_opsets(ops(("Gelu", 20), ("Upsample", 9)), {"": 9})
    # Some exporters declare an opset older than their operators; what came so may go so.
    old = {"": 9}
    assert choose_opsets(ops(("Gelu", 20), ("Upsample", 9)), old, lenient=True) == old


def test_node_names_are_unique() -> None:
    model = parsed(f"{HEAD} g (float[2] x) => (float[2] y) {{ t = Abs (x) y = Neg (t) }}")
    for node in model.graph.node:
        node.name = "same"
    assert [node.name for node in again(model).graph.node] == ["same", "same_1"]


def test_what_is_not_onnx_is_refused() -> None:
    ctx = new_context()
    module = parse_module(
        "func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {\n"
        "  %y = func.call @f(%x) : (tensor<2xf32>) -> tensor<2xf32>\n"
        "  func.return %y : tensor<2xf32>\n}\n"
        "func.func private @f(tensor<2xf32>) -> tensor<2xf32>",
        ctx,
    )
    with pytest.raises(UnsupportedError, match="before onnx-legalize"):
        export_model(module, ctx)


def test_constants_that_a_text_left_out_are_missed() -> None:
    model = parsed(f"{HEAD} g (float[99] x) => (float[99] y) {{ y = Add (x, w) }}")
    model.graph.initializer.append(numpy_helper.from_array(np.ones(99, np.float32), "w"))
    ctx = new_context()
    text = print_module(import_model(model, ctx), ctx, elide=100)
    ctx = new_context()
    module = parse_module(text, ctx)
    with pytest.raises(InvalidModelError, match="constant 'w' is elided"):
        export_model(module, ctx)


def test_outputs_with_one_name_must_be_one_value() -> None:
    ctx = new_context()
    y = 'tensor<f32> {onnx.name = "y"}'
    module = parse_module(
        f"func.func @main(%x: tensor<f32>, %z: tensor<f32>) -> ({y}, {y}) {{\n"
        "  func.return %x, %z : tensor<f32>, tensor<f32>\n}",
        ctx,
    )
    with pytest.raises(InvalidModelError, match="two values are the output 'y'"):
        export_model(module, ctx)


def test_hand_written_modules_need_no_attributes() -> None:
    ctx = new_context()
    module = parse_module(
        "func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {\n"
        '  %y = "onnx.Relu.v14"(%x) : (tensor<2xf32>) -> tensor<2xf32>\n'
        "  func.return %y : tensor<2xf32>\n}",
        ctx,
    )
    model = export_model(module, ctx)
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == ["x"]
    (y,) = run(model, {"x": np.float32([-1, 2])})
    assert y.tolist() == [0, 2]


@pytest.fixture
def weighty() -> ModelProto:
    """A model with some weights of different types."""
    rng = np.random.default_rng(1)
    weights = {
        "a": rng.random((64, 64), np.float32),
        "b": rng.random((64, 64)).astype(np.float16),
        "small": np.float32([1, 2]),
        "flags": rng.random(2048) > 0.5,
    }
    outputs = [
        helper.make_tensor_value_info(f"{n}2", helper.np_dtype_to_tensor_dtype(w.dtype), w.shape)
        for n, w in weights.items()
    ]
    graph = helper.make_graph(
        [helper.make_node("Identity", [n], [f"{n}2"]) for n in weights],
        "g",
        [],
        outputs,
        [numpy_helper.from_array(w, n) for n, w in weights.items()],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 18)])


def write(model: ModelProto, path: Path, location: str) -> None:
    """Saves a model with its data beside it; onnx changes the model it saves."""
    copy = ModelProto()
    copy.CopyFrom(model)
    onnx.save(copy, path, save_as_external_data=True, location=location, size_threshold=0)


def load(path: Path) -> tuple[ModuleOp, Any]:
    """The module of a file and its context."""
    ctx = new_context()
    return import_model(path, ctx), ctx


def test_external_data_stays_external(tmp_path: Path, weighty: ModelProto) -> None:
    source = tmp_path / "in.onnx"
    write(weighty, source, "in.onnx.data")
    module, ctx = load(source)
    target = tmp_path / "out.onnx"
    save_model(module, ctx, target)
    written = onnx.load(target, load_external_data=False)
    places = {t.name: {e.key: e.value for e in t.external_data} for t in written.graph.initializer}
    assert {name for name, place in places.items() if place} == {"a", "b", "flags"}
    assert all(int(place["offset"]) % 64 == 0 for place in places.values() if place)
    assert places["a"]["location"] == "out.onnx.data"
    session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    assert equal(session.run(None, {}), run(weighty, {}))
    names = {"in.onnx", "in.onnx.data", "out.onnx", "out.onnx.data"}
    assert set(os.listdir(tmp_path)) == names


def test_a_model_may_be_saved_over_itself(tmp_path: Path, weighty: ModelProto) -> None:
    path = tmp_path / "m.onnx"
    write(weighty, path, "m.onnx.data")
    module, ctx = load(path)
    save_model(module, ctx, path)
    save_model(module, ctx, path)
    assert equal(run(onnx.load(path), {}), run(weighty, {}))


def test_embedded_constants_stay_embedded(tmp_path: Path, weighty: ModelProto) -> None:
    source, target = tmp_path / "in.onnx", tmp_path / "out.onnx"
    onnx.save(weighty, source)
    save_model(*load(source), target)
    assert sorted(os.listdir(tmp_path)) == ["in.onnx", "out.onnx"]
    assert onnx.load(target).graph.initializer == weighty.graph.initializer


def test_too_many_constants_get_a_file(
    tmp_path: Path, weighty: ModelProto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compiler.exporter.saving.EMBEDDED_BYTES", 1000)
    ctx = new_context()
    module = import_model(weighty, ctx)
    with pytest.raises(UnsupportedError, match=r"(?s)too many for one.*save the model"):
        export_model(module, ctx)
    save_model(module, ctx, tmp_path / "m.onnx")
    assert equal(run(onnx.load(tmp_path / "m.onnx"), {}), run(weighty, {}))


def test_a_failed_save_leaves_nothing_behind(tmp_path: Path) -> None:
    module = import_model(
        parsed(f"{HEAD} g (float[2] x) => (float[2] y) {{ y = Abs (x) }}"), ctx := new_context()
    )
    module.attributes["onnx.dim_params"] = StringAttr("odd")
    main = next(op for op in module.ops if isinstance(op, FuncOp))
    main.sym_name = StringAttr("other")
    (tmp_path / "m.onnx").write_bytes(b"old")
    with pytest.raises(Exception, match="@main"):
        save_model(module, ctx, tmp_path / "m.onnx")
    assert os.listdir(tmp_path) == ["m.onnx"]
    assert (tmp_path / "m.onnx").read_bytes() == b"old"


SHARED = os.environ.get("TERRACE_SHARED")
REAL = sorted(Path(SHARED).glob("models/*/*/model.onnx")) if SHARED else []


def shared_feeds(path: Path) -> dict[str, Any]:
    """The first set of inputs of a shared model."""
    about = json.loads(path.with_name("meta.json").read_text())
    arrays = np.load(path.with_name("inputs.npz"))
    feeds = {name: arrays[entry["key"]] for name, entry in about["sets"][0]["inputs"].items()}
    return {k: a.astype(object) if a.dtype.kind == "U" else a for k, a in feeds.items()}


@pytest.mark.skipif(not SHARED, reason="TERRACE_SHARED names no folder with models")
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.parent.name)
def test_real_models_compute_the_same(path: Path) -> None:
    ctx = new_context()
    result = export_model(import_model(path, ctx), ctx)
    onnx.checker.check_model(result)
    feeds = shared_feeds(path)
    assert equal(run(result, feeds), run(onnx.load(path), feeds))


@pytest.mark.skipif(not SHARED, reason="TERRACE_SHARED names no folder with models")
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.parent.name)
def test_real_models_go_out_after_the_passes_of_their_stage(path: Path) -> None:
    ctx = new_context()
    module = import_model(path, ctx)
    for made in Pipeline(",".join(STAGES[0].passes(Target.host()))).passes():
        made.apply(ctx, module)
    result = export_model(module, ctx)
    onnx.checker.check_model(result, full_check=True)
    feeds = shared_feeds(path)
    for got, want in zip(run(result, feeds), run(onnx.load(path), feeds), strict=True):
        if isinstance(want, list) or want.dtype.kind in "OU":
            assert equal(got, want)
        else:
            scale = max(1.0, float(np.abs(want).max(initial=0)))
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5 * scale)
