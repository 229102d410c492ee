"""onnx-form-dispatches: which operations share a kernel, and which kernels are shared."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

import numpy as np
import onnx
import pytest
from numerics.harness import check, make_model
from onnx import helper
from onnx_modules import main_of, model_of, module_of
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation

from dialects.onnx.dims import parse_dim
from dialects.onnx.ops import Const, Dispatch, NoValue, OnnxOp, Yield
from passes.onnx.assign_layouts import AssignLayouts
from passes.onnx.bind_parameters import BindParameters
from passes.onnx.form_dispatches import FormDispatches
from passes.onnx.infer_shapes import InferShapes

WEIGHTS = {
    "w": np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32),
    "s": np.random.default_rng(1).standard_normal(4).astype(np.float32),
    "i": np.array([1, 1, 0, 3]),
    "i1": np.array([1]),
    "wide": np.array([2, 8]),
    "heads": np.array([4, 4, 4]),
    "unit": np.array(0.5, np.float32),
    "last": np.array([1]),
    "around": np.array([1, 0, 0, 2]),
    "behind": np.array([0, 0, 0, 2]),
    "cut": np.array([4, 2, 3]),
    "halves": np.array([4, 2, 2]),
    "joined": np.array([4, 6]),
    "first": np.array([0, 1, 2, 3]),
}


def formed(text: str, explain: bool = False) -> tuple[onnx.ModelProto, ModuleOp]:
    """A model, with those of the weights that its text names, and its module with dispatches."""
    read = str(model_of(text).graph.node)
    model = model_of(text, {n: array for n, array in WEIGHTS.items() if f'input: "{n}"' in read})
    ctx, module = module_of(model)
    for each in (InferShapes(), BindParameters(), AssignLayouts(512), FormDispatches(explain)):
        each.apply(ctx, module)
    module.verify()
    return model, module


def computing(operations: Iterable[Operation]) -> list[OnnxOp | Dispatch]:
    """Operations without constants and terminators."""
    return [
        op
        for op in operations
        if isinstance(op, OnnxOp | Dispatch) and not isinstance(op, Const | NoValue | Yield)
    ]


def calls(module: ModuleOp, block: Block | None = None) -> list[str]:
    """For every operation of `@main` or a block, in order: its kernel's operators, or [itself]."""
    kernels = {f.sym_name.data: f for f in module.ops if isinstance(f, FuncOp)}
    found: list[str] = []
    for op in computing((main_of(module).body.block if block is None else block).ops):
        if isinstance(op, Dispatch):
            body = kernels[op.callee.root_reference.data].body.block
            inner = [each for each in computing(body.ops) if isinstance(each, OnnxOp)]
            found.append(" ".join(each.OP_TYPE for each in inner))
        else:
            found.append(f"[{op.OP_TYPE}]")
    return found


def dispatches(module: ModuleOp) -> list[Dispatch]:
    """All calls of kernels, in order."""
    return [op for op in module.walk() if isinstance(op, Dispatch)]


def feed(model: onnx.ModelProto, seed: int = 0) -> dict[str, np.ndarray]:
    """Random data for a model's inputs, symbolic sizes taken as 4."""
    source = np.random.default_rng(seed)
    found = {}
    for value in model.graph.input:
        kind = value.type.tensor_type
        shape = [d.dim_value or 4 for d in kind.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        found[value.name] = source.standard_normal(shape).astype(dtype)
    return found


FUSIONS = {
    "an epilogue": (
        """g (float[4,4] x, float[4,4] b) => (float[4,4] y) {
          p = MatMul(x, w)
          q = Add(p, b)
          y = Relu(q)
        }""",
        ["MatMul Add Relu"],
    ),
    "an epilogue with two results": (
        """g (float[4,4] x) => (float[4,4] y, float[4,4] q) {
          p = MatMul(x, w)
          q = Relu(p)
          y = Neg(q)
        }""",
        ["MatMul Relu Neg"],
    ),
    "an epilogue through a transposition that keeps neighbours": (
        """g (float[2,3,4,4] x) => (float[2,4,3,4] y) {
          p = MatMul(x, w)
          y = Transpose<perm = [0, 2, 1, 3]>(p)
        }""",
        ["MatMul Transpose"],
    ),
    "a transposition of columns is no epilogue of a product": (
        """g (float[4,4] x) => (float[4,4] y) {
          p = MatMul(x, w)
          y = Transpose(p)
        }""",
        ["MatMul", "Transpose"],
    ),
    "a reshape that only such a transposition uses stays a view": (
        """g (float[4,4] x) => (float[2,2,4] y) {
          p = MatMul(x, w)
          r = Reshape(p, halves)
          y = Transpose<perm = [1, 2, 0]>(r)
        }""",
        ["MatMul", "[Reshape]", "Transpose"],
    ),
    "one of whole columns goes along": (
        """g (float[4,4] x) => (float[2,4,2] y) {
          p = MatMul(x, w)
          r = Reshape(p, halves)
          y = Transpose<perm = [1, 0, 2]>(r)
        }""",
        ["MatMul Reshape Transpose"],
    ),
    "rows that data choose behind a product": (
        """g (float[4,4] x) => (float[4,4] y) {
          p = MatMul(x, w)
          b = Gather<axis = 0>(x, i)
          y = Add(p, b)
        }""",
        ["MatMul Gather Add"],
    ),
    "columns that data choose are no neighbours": (
        """g (float[4,4] x) => (float[4,4] y) {
          p = MatMul(x, w)
          b = Gather<axis = 1>(x, i)
          y = Add(p, b)
        }""",
        ["Gather", "MatMul Add"],
    ),
    "nor are those of which a run may have one or many": (
        """g (float[4,4] x, float[4,n] m, float[4,k] b) => (float[4,n] y) {
          p = MatMul(x, m)
          y = Add(p, b)
        }""",
        ["MatMul", "Add"],
    ),
    "padding behind a product": (
        """g (float[4,4] x) => (float[4,4] y, float[5,6] z) {
          p = MatMul(x, w)
          y = Relu(p)
          z = Pad(y, around)
        }""",
        ["MatMul Relu Pad"],
    ),
    "nothing behind the padding": (
        """g (float[4,4] x) => (float[5,6] z) {
          p = MatMul(x, w)
          q = Pad(p, around)
          z = Relu(q)
        }""",
        ["MatMul Pad", "Relu"],
    ),
    "no padding with what a run computes": (
        """g (float[4,4] x, float v) => (float[5,6] z) {
          p = MatMul(x, w)
          z = Pad(p, around, v)
        }""",
        ["MatMul", "Pad"],
    ),
    "a prologue": (
        """g (float[4,4] x, float[4,4] z) => (float[4] y) {
          p = Add(x, z)
          q = Transpose(p)
          r = Tanh(q)
          y = ReduceMean<axes = [1], keepdims = 0>(r)
        }""",
        ["Add Transpose Tanh ReduceMean"],
    ),
    "no prologue of a product": (
        """g (float[4,4] x) => (float[4,4] y) {
          p = Relu(x)
          y = MatMul(p, w)
        }""",
        ["Relu", "MatMul"],
    ),
    "what a product and its epilogue read is stored": (
        """g (float[4,4] x) => (float[4,4] y) {
          p = Relu(x)
          q = MatMul(p, w)
          y = Add(p, q)
        }""",
        ["Relu", "MatMul Add"],
    ),
    "what is cheap is computed again": (
        """g (float[4,4] x) => (float[4,4] y) {
          p = Relu(x)
          q = Softmax(p)
          y = Add(p, q)
        }""",
        ["Relu Softmax Add"],
    ),
    "what is costly is not": (
        """g (float[4,4] x) => (float[4,4] y) {
          p = Exp(x)
          q = Softmax(p)
          y = Add(p, q)
        }""",
        ["Exp", "Softmax Add"],
    ),
    "nor in overlapping windows": (
        """g (float[1,1,8,8] x) => (float[1,1,6,6] y) {
          p = Tanh(x)
          y = MaxPool<kernel_shape = [3, 3]>(p)
        }""",
        ["Tanh", "MaxPool"],
    ),
    "nor where it is broadcast": (
        """g (float[4] x, float[4,4] z) => (float[4,4] y) {
          p = Tanh(x)
          y = Add(p, z)
        }""",
        ["Tanh", "Add"],
    ),
    "nor through a gather": (
        """g (float[4,4] x) => (float[4,4] y) {
          p = Exp(x)
          q = Gather(p, i)
          y = Add(p, q)
        }""",
        ["Exp", "Gather Add"],
    ),
    "neighbours share a pass": (
        """g (float[4,4] x) => (float[4,4] y, float[4,4] z, float[4,4] p) {
          p = Exp(x)
          y = Neg(p)
          z = Relu(p)
        }""",
        ["Exp Neg Relu"],
    ),
    "two results of a root meet in a kernel of their own": (
        """g (float[4,4] x) => (float[4,4] y) {
          p, mean = LayerNormalization(x, s)
          y = Add(p, mean)
        }""",
        ["LayerNormalization", "Add"],
    ),
    "two results of a root with epilogues": (
        """g (float[1,1,4,4] x) => (float[1,1,2,2] y, int64[1,1,2,2] z) {
          p, q = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(x)
          y = Neg(p)
          z = Neg(q)
        }""",
        ["MaxPool Neg Neg"],
    ),
    "views cost nothing": (
        """g (float[4,4] x) => (float[2,8] y) {
          p = Relu(x)
          q = Reshape(p, wide)
          y = Neg(q)
        }""",
        ["Relu", "[Reshape]", "Neg"],
    ),
    "a view between a product and a transposition that is stored at once": (
        """g (float[4,16] x, float[16,16] v) => (float[4,4,4] y) {
          p = MatMul(x, v)
          q = Reshape(p, heads)
          y = Transpose<perm = [1, 0, 2]>(q)
        }""",
        ["MatMul Reshape Transpose"],
    ),
    "a diamond around a root": (
        """g (float[4,4] x) => (float[4,4] y) {
          p = Exp(x)
          q = MatMul(p, w)
          r = Softmax(q)
          y = Add(p, r)
        }""",
        ["Exp", "MatMul", "Softmax Add"],
    ),
    "a diamond whose sides need each other": (
        """g (float[4,4] x, float[4,4] u) => (float[4,4] y, float[4,4] z) {
          c = MatMul(x, w)
          p = Relu(u)
          t = Transpose(p)
          a = Add(c, t)
          y = Mul(p, a)
          z = Softmax(p)
        }""",
        # The product's columns would read the transposition's rows, one from each line.
        ["Relu", "Transpose", "MatMul Add Mul", "Softmax"],
    ),
    "a branch that waits for a root": (
        """g (float[4,4] x) => (float[4,4] y, float[4,4] z) {
          p = Relu(x)
          q = MatMul(p, w)
          z = Neg(p)
          y = Mul(z, q)
        }""",
        ["Relu Neg", "MatMul Mul"],
    ),
}


@pytest.mark.parametrize("case", FUSIONS)
def test_what_is_fused(case: str) -> None:
    text, wanted = FUSIONS[case]
    model, module = formed(text)
    assert calls(module) == wanted
    check(model, feed(model), rtol=1e-4, atol=1e-5)


def test_equal_groups_are_one_kernel() -> None:
    _, module = formed(
        """g (float[4,4] x, float[4,4] z) => (float[4,4] y) {
          a = MatMul(x, w)
          b = Tanh(a)
          c = MatMul(b, z)
          d = Tanh(c)
          e = MatMul(d, b)
          f = Tanh(e)
          y = Softmax<axis = 0>(f)
        }"""
    )
    names = [op.callee.root_reference.data for op in dispatches(module)]
    # The first product's right-hand side is packed, so its kernel is another one.
    assert names == [
        *("matmul_tanh_4x4", "matmul_tanh_4x4_2", "matmul_tanh_4x4_2"),
        "softmax_4x4",
    ]
    kernels = [f for f in module.ops if isinstance(f, FuncOp) and f.sym_name.data != "main"]
    assert {f.sym_name.data for f in kernels} == set(names)
    assert all("onnx.dispatch" in f.attributes for f in kernels)
    assert all(f.sym_visibility is not None for f in kernels)


@pytest.mark.parametrize(
    ("second", "shared"),
    [
        ("Add(c, d)", True),
        ("Add(d, c)", True),
        ("Add(c, c)", False),
        ("Sub(c, d)", False),
        ("Add(c, b)", False),
    ],
)
def test_what_differs_is_another_kernel(second: str, shared: bool) -> None:
    model, module = formed(
        f"""g (float[4,4] a, float[4,4] b, float[4,4] c, float[4,4] d, float[3,4] e)
            => (float[4,4] y, float[4,4] z) {{
          y = Add(a, b)
          z = {second}
        }}"""
        if "c, b" not in second
        else """g (float[4,4] a, float[4,4] b, float[4,4] c) => (float[4,4] y, float[4,4] z) {
          y = Add(a, b)
          t = Transpose(c)
          z = Add(t, b)
        }"""
    )
    names = {op.callee.root_reference.data for op in dispatches(module)}
    assert len(names) == (1 if shared else 2)
    check(model, feed(model))


def test_groups_that_differ_in_the_names_of_sizes_are_one_kernel() -> None:
    _, module = formed(
        """g (float[n,4] a, float[m,4] b, float[n,n] c, float[4,m] d) =>
           (float[n,4] w1, float[m,4] w2, float[n,n] w3, float[4,m] w4, float[k,4] w5) {
          w1 = Tanh(a)
          w2 = Tanh(b)
          w3 = Tanh(c)
          w4 = Tanh(d)
          e = Concat<axis = 0>(b, b)
          w5 = Tanh(e)
        }"""
    )
    by_name = {}
    for op in dispatches(module):
        sizes = [text.data for text in op.symbols]
        by_name.setdefault(op.callee.root_reference.data, []).append(sizes)
    assert by_name["tanh_nx4"] == [["n"], ["m"]]
    assert [sizes for name, sizes in by_name.items() if name != "tanh_nx4"] == [
        *([["n"]], [["m"]], [["m"]])
    ]
    kernel = next(f for f in module.ops if isinstance(f, FuncOp) and f.sym_name.data == "tanh_nx4")
    assert str(kernel.function_type.inputs.data[0]).count('"s0"') == 1


def test_a_kernel_is_told_the_sizes_that_its_operators_name() -> None:
    model, module = formed(
        """g (float[n,m] x) => (float[n,m] y, float[m,n] z) {
          sizes = Shape(x)
          one = Constant<value_ints = [1]>()
          zero = Constant<value_ints = [0]>()
          two = Constant<value_ints = [2]>()
          m1 = Slice(sizes, one, two)
          n1 = Slice(sizes, zero, one)
          t = Concat<axis = 0>(m1, n1)
          r = Reshape(x, t)
          y = Transpose(r)
          z = Neg(r)
        }"""
    )
    for op in dispatches(module):
        (kernel,) = [
            f
            for f in module.ops
            if isinstance(f, FuncOp) and f.sym_name.data == op.callee.root_reference.data
        ]
        names = kernel.attributes["onnx.symbols"]
        assert len(names) == len(op.symbols)  # type: ignore[arg-type]
        assert {parse_dim(text.data) for text in op.symbols} <= {parse_dim("n"), parse_dim("m")}
    source = feed(model)
    source["x"] = np.arange(12, dtype=np.float32).reshape(3, 4)
    check(model, source)


BRANCHES = """g (float[4,4] x, bool c) => (float[4,4] y) {
  p = Exp(x)
  q = If (c) <
    then_branch = then_graph () => (float[4,4] t) {
      a = Relu(p)
      b = MatMul(a, w)
      t = Neg(b)
    },
    else_branch = else_graph () => (float[4,4] e) { e = Relu(p) }
  >
  y = Neg(q)
}"""


def test_regions_have_kernels_of_their_own_and_share_equal_ones() -> None:
    _, module = formed(BRANCHES)
    assert calls(module) == ["Exp", "[If]", "Neg"]
    conditional = next(op for op in module.walk() if op.name.startswith("onnx.If"))
    then, otherwise = [region.block for region in conditional.regions]
    # The attributes' names are in order: else_branch, then_branch.
    found = sorted([calls(module, then), calls(module, otherwise)])
    assert found == [["Relu"], ["Relu", "MatMul Neg"]]
    names = [op.callee.root_reference.data for op in dispatches(module)]
    assert names.count("relu_4x4") == 2


def test_branches_compute_what_they_capture() -> None:
    model, _ = formed(BRANCHES)
    x = np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32)
    check(model, *({"x": x, "c": np.array(flag)} for flag in (True, False)), rtol=1e-4)


def test_names_say_what_a_kernel_does() -> None:
    lines = [f"v{n + 1} = {op}(v{n})" for n, op in enumerate(["Exp", "Neg", "Abs", "Relu", "Tanh"])]
    _, module = formed("g (float[2,n] v0) => (float[2,n] v5) {" + "\n".join(lines) + "}")
    assert [op.callee.root_reference.data for op in dispatches(module)] == [
        "exp_neg_2_more_tanh_2xn"
    ]
    _, module = formed(
        """g (float[1,4,8,8] x, float[4,4,3,3] k) => (float[1,4,6,6] y) {
          c = Conv(x, k)
          y = Relu(c)
        }"""
    )
    names = [op.callee.root_reference.data for op in dispatches(module)]
    assert "conv3x3_relu_1x4x6x6" in names


def test_locations_name_all_nodes_of_a_kernel() -> None:
    model = model_of("g (float[4] x) => (float[4] y) {\n a = Exp(x)\n y = Neg(a)\n}")
    for node, name in zip(model.graph.node, ("first", "second"), strict=True):
        node.name = name
    ctx, module = module_of(model)
    for each in (InferShapes(), FormDispatches()):
        each.apply(ctx, module)
    text = str(dispatches(module)[0].location)
    assert "first" in text and "second" in text


def random_model(source: random.Random) -> onnx.ModelProto:
    """Products, normalisations, maps and pointwise operations that use each other's results."""
    values, nodes = ["x", "u"], []
    for number in range(source.randint(4, 12)):
        a, b = (source.choice(values[-6:]) for _ in range(2))
        out = f"t{number}"
        unary = source.choice(["Relu", "Neg", "Tanh", "Transpose"])
        made = {
            "unary": lambda a=a, out=out, unary=unary: [([a], [out], unary, {})],
            "binary": lambda a=a, b=b, out=out: [([a, b], [out], "Add", {})],
            "product": lambda a=a, out=out: [([a, "w"], [out], "MatMul", {})],
            "softmax": lambda a=a, out=out: [([a], [out], "Softmax", {"axis": 0})],
            "gather": lambda a=a, out=out: [([a, "i"], [out], "Gather", {"axis": 1})],
            "normalize": lambda a=a, b=b, out=out: [
                ([a, "s"], [f"{out}y", f"{out}m"], "LayerNormalization", {}),
                ([source.choice([f"{out}y", b]), f"{out}m"], [out], "Add", {}),
            ],
            "windows": lambda a=a, out=out: [
                ([a, "behind"], [f"{out}p"], "Pad", {}),
                ([f"{out}p", "cut"], [f"{out}c"], "Reshape", {}),
                ([f"{out}c"], [f"{out}t"], "Transpose", {"perm": [1, 0, 2]}),
                ([f"{out}t", "joined"], [f"{out}j"], "Reshape", {}),
                ([f"{out}j", "first"], [out], "Gather", {"axis": 1}),
            ],
            "reshape": lambda a=a, out=out: [
                ([a, "wide"], [f"{out}r"], "Reshape", {}),
                ([f"{out}r"], [f"{out}n"], "Neg", {}),
                ([f"{out}n", "square"], [out], "Reshape", {}),
            ],
        }
        kinds = [*made, "unary", "unary", "binary", "binary", "binary"]
        for inputs, outputs, op_type, attributes in made[source.choice(kinds)]():
            nodes.append(helper.make_node(op_type, inputs, outputs, **attributes))
        values.append(out)
    results = {values[-1], *source.sample(values[2:], 2)}
    constants = {name: WEIGHTS[name] for name in WEIGHTS if WEIGHTS[name].ndim}
    constants["square"] = np.array([4, 4])
    square = (np.float32, [4, 4])
    return make_model(nodes, {"x": square, "u": square}, constants, sorted(results))


@pytest.mark.parametrize("seed", range(12))
def test_random_graphs_compute_what_they_did(seed: int) -> None:
    model = random_model(random.Random(seed))
    source = np.random.default_rng(seed)
    arrays = {name: source.standard_normal((4, 4)).astype(np.float32) for name in ("x", "u")}
    check(model, arrays, rtol=1e-3, atol=1e-4, reference=False)


def test_levels_of_a_pyramid_are_one_kernel() -> None:
    model, module = formed(
        """g (float[n,2,h,w] x, float[2,2,1,1] k) => (float[n,2,p,q] y) {
          a = Conv(x, k)
          b = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(a)
          c = Conv(b, k)
          d = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(c)
          y = Conv(d, k)
        }"""
    )
    calls = [
        (op.callee.root_reference.data, [text.data for text in op.symbols])
        for op in dispatches(module)
    ]
    convolutions = [sizes for name, sizes in calls if name == "conv1x1_nx2xnxn"]
    assert convolutions[0] == ["n", "h", "w"]
    assert convolutions[1:] == [
        ["n", "(h // 2)", "(w // 2)"],
        ["n", str(parse_dim("h // 2 // 2")), str(parse_dim("w // 2 // 2"))],
    ]
    for size in (8, 9, 11):
        random = np.random.default_rng(size)
        x = random.standard_normal((2, 2, size, size + 2)).astype(np.float32)
        check(model, {"x": x, "k": random.standard_normal((2, 2, 1, 1)).astype(np.float32)})


REMARKS = {
    "Transpose is not fused with MatMul: columns would no longer be neighbours in memory": """
        g (float[4,4] x) => (float[4,4] y) {
          p = MatMul(x, w)
          y = Transpose(p)
        }""",
    "Add is not fused with MatMul: it is broadcast": """
        g (float[4] x, float[4,4] z) => (float[4,4] y) {
          p = MatMul(x, w)
          y = Add(p, z)
        }""",
    "Add is not fused with Softmax: another operand is computed from the kernel's own result": """
        g (float[4,4] x) => (float[4,4] y) {
          p = Softmax(x)
          q = MatMul(p, w)
          r = Softmax(q)
          y = Add(p, r)
        }""",
    "MatMul is not fused with Tanh: MatMul computes nothing in front of it": """
        g (float[4,4] x) => (float[4,4] y) {
          p = Tanh(x)
          y = MatMul(p, w)
        }""",
    "Softmax is not fused with Tanh: Softmax reads elements again that are costly to compute": """
        g (float[4,4] x) => (float[4,4] y) {
          p = Tanh(x)
          y = Softmax(p)
        }""",
    "ReduceSum is not fused with Sub: MatMul takes its result, too": """
        g (float[4,4] x) => (float[4,4] y, float[4] z) {
          p = Neg(x)
          y = MatMul(p, w)
          q = Sub(p, x)
          z = ReduceSum<keepdims = 0>(q, i1)
        }""",
}


@pytest.mark.parametrize("remark", REMARKS)
def test_kernels_say_why_they_are_not_one(remark: str) -> None:
    _, module = formed(REMARKS[remark], explain=True)
    found = [text.data for f in module.ops for text in f.attributes.get("remarks", ())]
    assert [re.sub(" '[^']*'", "", text) for text in found].count(remark) == 1
    _, module = formed(REMARKS[remark])
    assert not any("remarks" in f.attributes for f in module.ops)


def test_bytes_are_dequantized_where_they_are_read() -> None:
    text = """g (uint8[8, 4] t, int64[3] n, float[3, 4] x) => (float[3, 4] y, float[3] z) {
        a = Gather(t, n)
        b = DequantizeLinear(a, unit)
        q = QuantizeLinear(x, unit)
        c = DequantizeLinear(q, unit)
        y = Add(b, c)
        d = DequantizeLinear(q, unit)
        z = ReduceSum <keepdims = 0> (d, last)
    }"""
    _, module = formed(text)
    assert calls(module) == [
        "Gather DequantizeLinear QuantizeLinear DequantizeLinear Add",
        "DequantizeLinear ReduceSum",
    ]


def test_what_stands_behind_a_root_joins_it_whatever_stands_beside() -> None:
    """The other side of an addition is dequantized between the product and the addition."""
    text = """g (float[4, 4] x, uint8[4, 4] q) => (float[4, 4] y) {
        p = MatMul(x, w)
        d = DequantizeLinear(q, unit)
        y = Add(p, d) }"""
    _, module = formed(text)
    assert calls(module) == ["MatMul DequantizeLinear Add"]


def test_windows_of_what_is_padded_behind_a_root() -> None:
    text = """g (float[4, 4] x) => (float[4, 4] l, float[2, 4, 3] y) {
        l = LayerNormalization(x, s)
        p = Pad(l, behind)
        c = Reshape(p, cut)
        y = Transpose<perm = [1, 0, 2]>(c) }"""
    model, module = formed(text)
    assert calls(module) == ["LayerNormalization Pad", "[Reshape]", "Transpose"]
    check(model, feed(model))
