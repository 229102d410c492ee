"""onnx-infer-shapes: types, contents, symbols, control flow, contradictions."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_modules import after, main_of, operators, result_dims
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from dialects.onnx.ops import Const, OnnxOp, Symbols
from dialects.onnx.types import dims_of
from passes.onnx.infer_shapes import InferShapes, content_of
from runtime.errors import InvalidModelError


def inferred(text: str, **constants: np.ndarray) -> ModuleOp:
    passes: list[ModulePass] = [InferShapes()]
    return after(text, *passes, constants=constants)[1]


def first(module: ModuleOp, name: str) -> OnnxOp:
    return next(op for op in module.walk() if isinstance(op, OnnxOp) and name == op.OP_TYPE)


def assumptions(module: ModuleOp, name: str = "onnx.assume") -> list[list[str]]:
    found = main_of(module).attributes.get(name, ())
    return [[side.data for side in pair] for pair in found]  # type: ignore[attr-defined]


I64 = np.int64


def test_sizes_travel_through_a_reshape_whose_target_is_computed() -> None:
    module = inferred(
        """g (float[N, 4, 6] x) => (float[a, b] y) {
            s = Shape(x)
            n = Gather(s, zero)
            n1 = Unsqueeze(n, zero1)
            t = Concat<axis = 0>(n1, rest)
            y = Reshape(x, t)
        }""",
        zero=np.array(0, I64),
        zero1=np.array([0], I64),
        rest=np.array([-1], I64),
    )
    assert result_dims(module) == ["N, 24"]
    content = content_of(first(module, "Concat").results[0])
    assert content is not None and [str(entry) for entry in content] == ["N", "-1"]


def test_a_static_shape_computation_becomes_a_constant() -> None:
    module = inferred(
        """g (float[2, 4, 6] x) => (float[a, b] y) {
            s = Shape(x)
            h = Slice(s, one, three)
            p = ReduceProd<keepdims = 1>(h)
            t = Concat<axis = 0>(minus, p)
            y = Reshape(x, t)
        }""",
        one=np.array([1], I64),
        three=np.array([3], I64),
        minus=np.array([-1], I64),
    )
    assert result_dims(module) == ["2, 24"]
    assert operators(module) == ["Reshape"]
    target = first(module, "Reshape").operands[1]
    assert isinstance(target.owner, Const)
    content = content_of(target)
    assert content is not None and content.tolist() == [-1, 24]


def test_upsampling_by_a_factor_computed_in_floats() -> None:
    module = inferred(
        """g (float[1, 3, H, W] x) => (float[a, b, c, d] y) {
            s = Shape(x)
            hw = Slice(s, two, four)
            f = Cast<to = 1>(hw)
            m = Mul(f, factor)
            r = Floor(m)
            i = Cast<to = 7>(r)
            nc = Slice(s, zero, two)
            sizes = Concat<axis = 0>(nc, i)
            y = Resize(x, , , sizes)
        }""",
        zero=np.array([0], I64),
        two=np.array([2], I64),
        four=np.array([4], I64),
        factor=np.array(1.5, np.float32),
    )
    assert result_dims(module) == ["1, 3, (H // 2) + H, (W // 2) + W"]


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        ("7", "1, 3, 4, 9"),
        ("8", "1, 3, 4, 9"),
        ("W", "1, 3, 4, W + max(0, 2*((W + 1) // 2) - W + 1)"),
    ],
)
def test_padding_computed_in_floats(width: str, expected: str) -> None:
    """As exporters write what TensorFlow calls SAME, with a Clip at 0."""
    module = inferred(
        f"""g (float[1, 3, 4, {width}] x) => (float[a, b, c, d] y) {{
            s = Shape<start = 3>(x)
            n = Cast<to = 1>(s)
            h = Div(n, two)
            c = Ceil(h)
            m = Mul(c, two)
            e = Add(m, one)
            d = Sub(e, n)
            p = Clip(d, zero)
            half = Div(p, two)
            i = Cast<to = 7>(half)
            f = Cast<to = 1>(i)
            r = Sub(p, f)
            j = Cast<to = 7>(r)
            pads = Concat<axis = 0>(none, i, none, j)
            y = Pad(x, pads)
        }}""",
        zero=np.array(0, np.float32),
        one=np.array(1, np.float32),
        two=np.array(2, np.float32),
        none=np.array([0, 0, 0], I64),
    )
    assert result_dims(module) == [expected]


@pytest.mark.parametrize(("name", "expected"), [("Round", "2"), ("Sqrt", "1"), ("Reciprocal", "0")])
def test_a_size_of_rounded_floats(name: str, expected: str) -> None:
    module = inferred(
        f"""g (float[1, 5] x) => (float[a, b] y) {{
            s = Shape<start = 1>(x)
            n = Cast<to = 1>(s)
            h = Div(n, two)
            r = {name}(h)
            i = Cast<to = 7>(r)
            t = Concat<axis = 0>(one, i)
            y = Expand(f, t)
        }}""",
        one=np.array([1], I64),
        two=np.array(2, np.float32),
        f=np.array([[1]], np.float32),
    )
    assert result_dims(module) == [f"1, {expected}"]


def test_run_time_sizes_get_symbols_behind_their_producer() -> None:
    module = inferred(
        """g (float[N] x, int64[2] size) => (float[a, b] y) {
            y = Expand(x, size)
        }"""
    )
    symbols = first_symbols(module)
    assert [entry.data for entry in symbols.symbols] == ["signed_size_0", "signed_size_1"]
    assert symbols.tensor is main_of(module).body.block.args[1]
    assert symbols.prev_op is None
    assert result_dims(module) == ["signed_size_0, max(N, signed_size_1)"]


def first_symbols(module: ModuleOp) -> Symbols:
    return next(op for op in module.walk() if isinstance(op, Symbols))


def test_unused_symbols_leave_no_trace() -> None:
    module = inferred("g (int64[2] a, int64[2] b) => (int64[2] y) { y = Add(a, b) }")
    assert not any(isinstance(op, Symbols) for op in module.walk())
    assert "onnx.content" not in first(module, "Add").attributes


def test_data_decide_the_size_of_nonzero_once() -> None:
    module = inferred(
        """g (float[N] x) => (float[k] y, int64[k] z) {
            i = NonZero(x)
            z = Squeeze(i, zero)
            y = Gather(x, z)
        }""",
        zero=np.array([0], I64),
    )
    assert result_dims(module) == ["nonzero", "nonzero"]


def test_the_pass_runs_again_with_the_same_result() -> None:
    text = """g (float[N, M] x, int64[2] size, bool c) => (float[a, b] y) {
        i = NonZero(x)
        e = Expand(x, size)
        t = Reshape(e, flat)
        y = If(c) <
            then_branch = g1 () => (float[p] u) { u = Concat<axis = 0>(t, t) },
            else_branch = g2 () => (float[q] v) { v = Identity(t) }
        >
    }"""
    constants = {"flat": np.array([-1], I64)}
    once = after(text, InferShapes(), constants=constants)[1]
    twice = after(text, InferShapes(), InferShapes(), constants=constants)[1]
    assert str(once) == str(twice)


def test_branches_merge_to_a_new_size() -> None:
    module = inferred(
        """g (float[N, 3] x, bool c) => (float[a, 3] y) {
            y = If(c) <
                then_branch = g1 () => (float[p, 3] u) { u = Concat<axis = 0>(x, x) },
                else_branch = g2 () => (float[q, 3] v) { v = Identity(x) }
            >
        }"""
    )
    assert result_dims(module) == ["_if, 3"]


def test_a_decided_if_is_its_branch() -> None:
    module = inferred(
        """g (float[2, 3] x) => (float[a] y) {
            s = Shape(x)
            n = Gather(s, one)
            c = Equal(n, three)
            y = If(c) <
                then_branch = g1 () => (float[p, 3] u) { u = Relu(x) },
                else_branch = g2 () => (float[q] v) { v = Squeeze(x, one) }
            >
        }""",
        one=np.array([1], I64),
        three=np.array([3], I64),
    )
    assert operators(module) == ["Relu"]
    assert result_dims(module) == ["2, 3"]


def test_an_impossible_branch_is_dropped() -> None:
    module = inferred(
        """g (float[2, 3] x, bool c) => (float[a] y) {
            y = If(c) <
                then_branch = g1 () => (float[p] u) { u = Squeeze(x, one) },
                else_branch = g2 () => (float[q, 3] v) { v = Relu(x) }
            >
        }""",
        one=np.array([1], I64),
    )
    assert operators(module) == ["Relu"]


def test_a_squeeze_that_depends_on_a_symbolic_size_is_taken() -> None:
    module = inferred(
        """g (float[N, M] x) => (float[a] y) {
            s = Shape(x)
            n = Gather(s, one)
            c = Equal(n, one)
            y = If(c) <
                then_branch = g1 () => (float[p] u) { u = Squeeze(x, one) },
                else_branch = g2 () => (float[q, r] v) { v = Identity(x) }
            >
        }""",
        one=np.array([1], I64),
    )
    assert result_dims(module) == ["N"]
    assert ["M", "1"] in assumptions(module)


LOOP = """g (int64 n, bool c, float[N] x, float[3] z) => (float[a] y, float[b] w, float[k, 3] all) {
    y, w, all = Loop(n, c, x, z) <
        body = b (int64 i, bool d, float[p] u, float[3] v) => (bool e, float[q] r, float[3] t,
        float[3] s) {
            e = Identity(d)
            r = Concat<axis = 0>(u, v)
            t = Relu(v)
            s = Neg(v)
        }
    >
}"""


def test_a_size_that_a_loop_changes_is_unknown_outside() -> None:
    module = inferred(LOOP)
    y, w, stacked = result_dims(module)
    assert w == "3"
    assert y.startswith("loop") and stacked == "iterations, 3"
    body = first(module, "Loop").regions[0].block
    inside = dims_of(body.args[2].type)
    assert inside is not None and str(inside[0]) != y


def test_a_loop_that_only_counts_runs_that_often() -> None:
    text = LOOP.replace("Loop(n, c,", "Loop(n, ,").replace("bool c, ", "")
    assert result_dims(inferred(text))[2] == "max(0, signed_n), 3"
    text = text.replace("int64 n, ", "")
    assert result_dims(inferred(text, n=np.array(7, I64)))[2] == "7, 3"


def test_scan_stacks_along_the_axes_it_is_told() -> None:
    module = inferred(
        """g (float[4] s, float[2, T] x) => (float[4] f, float[5, T] y) {
            f, y = Scan <
                body = b (float[4] a, float[2] u) => (float[4] c, float[5] v) {
                    c = Relu(a)
                    v = Concat<axis = 0>(a, one)
                },
                num_scan_inputs = 1, scan_input_axes = [1], scan_output_axes = [1]
            > (s, x)
        }""",
        one=np.zeros(1, np.float32),
    )
    assert result_dims(module) == ["4", "5, T"]


def test_sizes_that_must_agree_are_noted() -> None:
    module = inferred("g (float[A, K] x, float[L, B] y) => (float[c, d] z) { z = MatMul(x, y) }")
    assert result_dims(module) == ["A, B"]
    assert assumptions(module) == [["K", "L"]]
    module = inferred("g (float[A] x, float[B] y) => (float[c] z) { z = Add(x, y) }")
    assert assumptions(module) == []
    assert assumptions(module, "onnx.assume_broadcast") == [["A", "B"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "g (float[2, 3] x, float[4, 5] y) => (float[a, b] z) { z = MatMul(x, y) }",
            "inner sizes of \\[2, 3\\] and \\[4, 5\\] must be equal, but are 3 and 4",
        ),
        (
            "g (float[2, 3] x, float[4] y) => (float[a, b] z) { z = Add(x, y) }",
            "\\[2, 3\\] and \\[4\\] do not broadcast",
        ),
        (
            "g (float[2, 3] x) => (float[a, b] z) { z = Transpose<perm = [0, 2]>(x) }",
            "perm \\[0, 2\\] is no permutation",
        ),
        (
            "g (float[2, 3] x, float[3, 3] y) => (float[a, b] z) { z = Concat<axis = 1>(x, y) }",
            "must be equal, but are 2 and 3",
        ),
        (
            "g (float[2, 3] x) => (float[a] z) { z = ArgMax<axis = 2>(x) }",
            "axis 2 does not exist",
        ),
        (
            "g (float[1, 3, 8] x, float[4, 2, 3] w) => (float[a, b, c] z) { z = Conv(x, w) }",
            "channels of data",
        ),
    ],
)
def test_contradictions_name_the_node_and_the_shapes(text: str, message: str) -> None:
    with pytest.raises(InvalidModelError, match=message) as caught:
        inferred(text)
    assert caught.value.place.op_type and caught.value.place.stage == "onnx"
