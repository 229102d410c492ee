"""onnx-expand-functions: model-local functions and operators that ONNX defines by a body."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx.reference import ReferenceEvaluator
from onnx_modules import after, interpret, main_of, model_of, module_of, operators

from dialects.onnx.locations import node_of
from dialects.onnx.ops import Call, OnnxOp
from passes.onnx.expand_functions import ExpandFunctions
from passes.onnx.infer_shapes import InferShapes
from passes.onnx.simplify import Simplify

FUNCTIONS = """
<ir_version: 10, opset_import: ["" : 17, "pkg" : 1]>
g (float[N] x) => (float[N] y) {
    [first] a = pkg.twice<alpha = 0.5>(x)
    [second] y = pkg.twice(a)
}
<domain: "pkg", opset_import: ["" : 17]>
leaky <slope> (u) => (w) {
    s = Constant<value_float: float = @slope>()
    m = Mul(u, s)
    w = Max(u, m)
}
<domain: "pkg", opset_import: ["" : 17, "pkg" : 1]>
twice <alpha: float = 0.25> (u) => (w) {
    [inner] v = pkg.leaky<slope: float = @alpha>(u)
    [outer] w = pkg.leaky<slope: float = @alpha>(v)
}
"""


def functions() -> onnx.ModelProto:
    return onnx.parser.parse_model(FUNCTIONS)


def test_nested_calls_with_attributes() -> None:
    ctx, module = after(functions(), ExpandFunctions(), InferShapes())
    assert operators(module) == ["Mul", "Max"] * 4
    assert len(list(module.body.block.ops)) == 1
    x = np.array([-8, -1, 3], np.float32)
    (found,) = interpret(ctx, module, [x])
    np.testing.assert_array_equal(found, np.where(x < 0, x * 0.5**2 * 0.25**2, x))


def test_locations_say_which_calls_lead_to_a_node() -> None:
    _, module = after(functions(), ExpandFunctions())
    names = [node_of(op.location).name for op in module.walk() if isinstance(op, OnnxOp)]
    assert [name.rpartition("/")[0] for name in names] == [
        path
        for path in ("first/inner", "first/outer", "second/inner", "second/outer")
        for _ in "ab"
    ]


def test_no_call_is_left_inside_of_branches() -> None:
    text = FUNCTIONS.replace(
        "[second] y = pkg.twice(a)",
        """c = Constant<value = bool {1}>()
           y = If(c) <then_branch = t () => (p) { p = pkg.twice(a) },
                      else_branch = e () => (q) { q = pkg.leaky<slope = 0.1>(a) }>""",
    )
    _, module = after(onnx.parser.parse_model(text), ExpandFunctions())
    assert not any(isinstance(op, Call) for op in module.walk())


BODIES = {
    "Softmax<axis = 0>(x)": 17,
    "LayerNormalization<axis = -1>(x, g)": 17,
    "HardSwish(x)": 17,
    "MeanVarianceNormalization<axes = [0]>(x)": 17,
    "LogSoftmax(x)": 17,
    'Gelu<approximate = "tanh">(x)': 20,
    "ReduceSumSquare<keepdims = 0>(x)": 18,
}


@pytest.mark.parametrize("expression", BODIES)
def test_bodies_of_operators_give_the_same_numbers(expression: str) -> None:
    model = model_of(
        f"g (float[4, 6] x) => (float[a, b] y) {{ y = {expression} }}",
        {"g": np.linspace(1, 2, 6, dtype=np.float32)},
        BODIES[expression],
    )
    ctx, module = module_of(model)
    for each in (InferShapes(), ExpandFunctions(keep=()), InferShapes()):
        each.apply(ctx, module)
    name = expression.partition("(")[0].partition("<")[0]
    assert name not in operators(module)
    Simplify().apply(ctx, module)
    module.verify()
    x = np.random.default_rng(1).standard_normal((4, 6)).astype(np.float32)
    (wanted,) = ReferenceEvaluator(model).run(None, {"x": x})
    np.testing.assert_allclose(interpret(ctx, module, [x])[0], wanted, rtol=1e-4, atol=1e-6)


def test_operators_to_keep_stay_by_name_or_version() -> None:
    text = "g (float[4] x) => (float[4] y) { a = HardSwish(x) y = Softmax(a) }"
    passes = (InferShapes(), ExpandFunctions(keep=("HardSwish", "onnx.Softmax.v13")))
    assert operators(after(text, *passes)[1]) == ["HardSwish", "Softmax"]
    passes = (InferShapes(), ExpandFunctions(keep=("onnx.HardSwish.v22",)))
    assert "HardSwish" not in operators(after(text, *passes)[1])


def test_expanded_nodes_keep_the_name_of_theirs() -> None:
    text = "g (float[4] x) => (float[4] y) { [act] y = HardSwish(x) }"
    _, module = after(text, InferShapes(), ExpandFunctions(keep=("Clip",)))
    names = {
        node_of(op.location).name for op in main_of(module).body.block.ops if isinstance(op, OnnxOp)
    }
    assert names and all(name.startswith("act/") for name in names)
