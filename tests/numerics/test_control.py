"""If, Loop and Scan in the host program."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from numerics.harness import check, compile_model, node_cases, run_case
from onnx import numpy_helper, parser

UNSUPPORTED = ("seq", "opt")
"""Cases of ONNX's suite with sequences and optionals, which wait."""


def model(signature: str, body: str, opset: int = 16):
    """A model in ONNX's text format."""
    return parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : {opset}]>\ng {signature} {{ {body} }}'
    )


def floats(*shape: int) -> np.ndarray:
    """Some numbers, the same for the same shape."""
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def true(value: bool) -> np.ndarray:
    return np.array(value)


BOTH = [{"c": true(True)}, {"c": true(False)}]


def with_x(feeds, x: np.ndarray):
    """Every feed with one more input."""
    return [{**feed, "x": x} for feed in feeds]


CASES = [
    case
    for case in node_cases("If", "Loop", "Scan")
    if not any(word in case.name for word in UNSUPPORTED)
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_suite(case) -> None:
    run_case(case)


# If ---------------------------------------------------------------------------------------------


def test_if_reads_outer_values_and_gives_one_directly() -> None:
    made = model(
        "(bool c, float[2,3] x) => (float[2,3] y, float[2,3] z)",
        """
        d = Exp(x)
        y, z = If (c) <
          then_branch = t () => (a, b) { a = Add(x, d)  b = Identity(d) },
          else_branch = e () => (a, b) { a = Sub(x, d)  b = Mul(a, d) }
        >""",
    )
    check(made, *with_x(BOTH, floats(2, 3)))


def test_if_gives_constants_one_value_twice_and_an_input() -> None:
    made = model(
        "(bool c, float[3] x) => (y, z, w)",
        """
        y, z, w = If (c) <
          then_branch = t () => (a, a2, b) {
            a = Mul(x, x)  a2 = Identity(a)  b = Constant <value = float[3] {1, 2, 3}> () },
          else_branch = e () => (a, a2, b) {
            a = Constant <value = float[3] {4, 5, 6}> ()  a2 = Neg(x)  b = Identity(x) }
        >
        """,
    )
    check(made, *with_x(BOTH, floats(3)))


def test_if_with_results_of_different_sizes() -> None:
    made = model(
        "(bool c, float[n,4] x) => (y, s)",
        """
        v = If (c) <
          then_branch = t () => (a) { a = Concat <axis = 0> (x, x) },
          else_branch = e () => (a) { a = ReduceSum <keepdims = 1> (x, zero) }
        >
        y = Relu(v)
        s = Shape(v)""",
    )
    made.graph.initializer.append(numpy_helper.from_array(np.array([0]), "zero"))
    check(made, *with_x(BOTH, floats(3, 4)), *with_x(BOTH, floats(1, 4)))


def test_if_nested_with_results_of_different_sizes() -> None:
    made = model(
        "(bool c, bool d, float[n] x) => (y)",
        """
        y = If (c) <
          then_branch = t () => (a) {
            a = If (d) <
              then_branch = tt () => (p) { p = Concat <axis = 0> (x, x, x) },
              else_branch = te () => (p) { p = Identity(x) }
            > },
          else_branch = e () => (a) { b = Concat <axis = 0> (x, x)  a = Neg(b) }
        >""",
    )
    feeds = [
        {"c": true(c), "d": true(d), "x": floats(5)} for c in (True, False) for d in (True, False)
    ]
    check(made, *feeds)


def test_if_on_a_computed_condition_of_rank_one() -> None:
    made = model(
        "(float[4] x) => (y)",
        """
        t = ReduceSum <keepdims = 0> (x)
        zero = Constant <value_float = 0.0> ()
        c = Greater(t, zero)
        y = If (c) <
          then_branch = a () => (p) { p = Sqrt(t) },
          else_branch = b () => (p) { p = Neg(t) }
        >""",
    )
    check(made, {"x": np.ones(4, np.float32)}, {"x": -np.ones(4, np.float32)})


# Loop -------------------------------------------------------------------------------------------


def test_loop_counts_and_stacks() -> None:
    made = model(
        "(int64 n, bool c, float[2] x) => (float[2] y, s, k)",
        """
        y, s, k = Loop (n, c, x) <
          body = b (int64 i, bool go, float[2] v) => (bool o, float[2] w, float[2] q, int64 j) {
            o = Identity(go)  w = Add(v, x)  q = Mul(w, v)  j = Add(i, i) }
        >""",
    )
    feeds = [{"n": np.array(n), "c": true(c), "x": floats(2)} for n in (0, 1, 5) for c in (1, 0)]
    check(made, *[{**feed, "c": feed["c"].astype(bool)} for feed in feeds], reference=False)


def test_loop_with_constant_count_stacks_in_place() -> None:
    made = model(
        "(float[3] x) => (float[3] y, float[4,3] s)",
        """
        n = Constant <value_int = 4> ()
        none = Constant <value = bool {1}> ()
        y, s = Loop (n, none, x) <
          body = b (int64 i, bool go, float[3] v) => (bool o, float[3] w, float[3] q) {
            o = Identity(go)  q = Mul(v, v)  w = Add(q, x) }
        >""",
    )
    check(made, {"x": floats(3)})


def test_loop_until_a_condition_computed_inside() -> None:
    made = model(
        "(float x) => (float y, s)",
        """
        one = Constant <value = bool {1}> ()
        limit = Constant <value_float = 100.0> ()
        y, s = Loop ( , one, x) <
          body = b (int64 i, bool go, float v) => (bool o, float w, float q) {
            w = Add(v, v)  o = Less(w, limit)  q = Neg(w) }
        >""",
    )
    feeds = [{"x": np.array(start, np.float32)} for start in (3.0, 200.0)]
    check(made, *feeds, reference=False)  # onnx.reference stacks scalars as [n, 1]


def test_loop_exchanges_carried_values() -> None:
    made = model(
        "(int64 n, float[4] x, float[4] z) => (float[4] p, float[4] q, float[4] r)",
        """
        go = Constant <value = bool {1}> ()
        p, q, r = Loop (n, go, x, z, x) <
          body = b (int64 i, bool g, float[4] a, float[4] c, float[4] d)
                 => (bool o, float[4] e, float[4] f, float[4] h) {
            o = Identity(g)  e = Identity(c)  f = Identity(a)  h = Add(d, a) }
        >""",
    )
    feed = {"x": floats(4), "z": floats(4) + 1}
    check(made, *({**feed, "n": np.array(n)} for n in (0, 1, 2, 3, 1, 0, 5)), reference=False)


def test_loop_carries_values_that_grow() -> None:
    made = model(
        "(int64 n, float[k,2] x) => (y, m)",
        """
        go = Constant <value = bool {1}> ()
        v, w = Loop (n, go, x, x) <
          body = b (int64 i, bool g, float[p,2] a, float[q,2] c) => (bool o, e, f) {
            o = Identity(g)  e = Concat <axis = 0> (a, c)  f = Identity(a) }
        >
        y = Relu(v)
        m = Neg(w)""",
    )
    # A run takes what the one before it has left, be that too small or too large.
    counts = (0, 1, 2, 6, 3, 0, 7, 1, 6)
    check(made, *({"n": np.array(n), "x": floats(3, 2)} for n in counts), reference=False)


def test_what_runs_leave_on_the_heap_goes_with_the_network(monkeypatch) -> None:
    made = model(
        "(float[n] x) => (float[m] y)",
        "i = NonZero(x)  k = Transpose(i)  g = GatherND(x, k)  e = Exp(g)  y = Neg(e)",
    )
    network = compile_model(made)
    count = network.program.signature.heap_buffers
    assert count
    freed: list[int] = []
    monkeypatch.setattr("runtime.executable.memory.free", freed.append)
    for size in (3, 40_000, 7, 0, 50_000):
        x = floats(size)
        x[::3] = 0
        np.testing.assert_allclose(network.run({"x": x})["y"], -np.exp(x[x != 0]), rtol=1e-6)
    assert not freed
    del network
    gc.collect()
    assert len(freed) == count and all(freed)


def test_loop_in_a_loop_and_if_in_a_loop() -> None:
    made = model(
        "(int64 n, float[3] x) => (float[3] y, s)",
        """
        go = Constant <value = bool {1}> ()
        two = Constant <value_int = 2> ()
        y, s = Loop (n, go, x) <
          body = outer (int64 i, bool g, float[3] a) => (bool o, float[3] e, f) {
            o = Identity(g)
            m = Mod(i, two)
            odd = Cast <to = 9> (m)
            c = If (odd) <
              then_branch = t () => (p) { p = Neg(a) },
              else_branch = u () => (p) { p = Add(a, x) }
            >
            e, f = Loop (two, g, c) <
              body = inner (int64 j, bool h, float[3] d) => (bool r, float[3] w, float[3] z) {
                r = Identity(h)  w = Mul(d, x)  z = Sub(w, a) }
            >
          }
        >""",
    )
    check(made, *({"n": np.array(n), "x": floats(3)} for n in (1, 4)), reference=False)


def test_results_that_nobody_names() -> None:
    made = model(
        "(bool c, int64 n, float[3] x) => (y, z)",
        """
        , y = If (c) <
          then_branch = t () => (a, b) { a = Neg(x)  b = Exp(x) },
          else_branch = e () => (a, b) { a = Exp(x)  b = Neg(x) }
        >
        , z, = Loop (n, c, x, x) <
          body = l (int64 i, bool g, float[3] d, float[3] e)
                 => (bool o, float[3] p, float[3] q, float[3] r) {
            o = Identity(g)  p = Add(d, e)  q = Mul(d, e)  r = Neg(d) }
        >""",
    )
    # onnxruntime wants every result of a Loop named, onnx.reference at least one iteration.
    network, x = compile_model(made), floats(3)
    for condition, n in ((True, 3), (False, 3), (True, 0)):
        got = network.run({"c": np.array(condition), "n": np.array(n), "x": x})
        total, product = x, x
        for _ in range(n if condition else 0):
            total, product = total + product, total * product
        np.testing.assert_allclose(got["y"], np.exp(x) if condition else -x, rtol=1e-6)
        np.testing.assert_allclose(got["z"], product, rtol=1e-6)


# Scan -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opset", [9, 11, 16, 21])
def test_scan_axes_and_directions(opset: int) -> None:
    made = model(
        "(float[2] a, float[2,n] x, float[n,3] z) => (float[2] b, y, w)",
        """
        b, y, w = Scan <num_scan_inputs = 2, scan_input_axes = [1, 0], scan_output_axes = [1, 0],
                        scan_input_directions = [0, 1], scan_output_directions = [1, 0],
          body = s (float[2] c, float[2] d, float[3] e) => (float[2] f, float[2] g, float[3] h) {
            f = Add(c, d)  g = Mul(f, d)  h = Exp(e) }
        > (a, x, z)""",
        opset,
    )
    check(made, {"a": floats(2), "x": floats(2, 5), "z": floats(5, 3)}, reference=False)


def test_scan_of_batches() -> None:
    made = model(
        "(int64[2] l, float[2,3] a, float[2,4,3] x) => (float[2,3] b, float[2,4,3] y)",
        """
        b, y = Scan <num_scan_inputs = 1,
          body = s (float[3] c, float[3] d) => (float[3] e, float[3] f) {
            e = Add(c, d)  f = Mul(e, d) }
        > (l, a, x)""",
        8,
    )
    feed = {"l": np.array([4, 2]), "a": floats(2, 3), "x": floats(2, 4, 3)}
    check(made, feed, reference=False)
