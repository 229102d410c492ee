"""LSTM, GRU and RNN against onnx.reference and onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numerics.harness import check, compile_model, node_cases, one_node, run_case, run_model

from compiler import lower

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
ORDER = ("x", "w", "r", "b", "lens", "h", "c", "p")


def recurrent(
    kind: str,
    *,
    steps: int = 5,
    batch: int = 3,
    inputs: int = 7,
    hidden: int = 10,
    dtype: Any = np.float32,
    given: tuple[str, ...] = ("b",),
    constant: bool = True,
    opset: int = 14,
    dims: Any = None,
    **attributes: Any,
):
    """A model of one cell with random weights, and a feed; ``given`` are its optional operands."""
    rng = np.random.default_rng(hidden)
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    gates = GATES[kind]

    def numbers(*shape: int) -> np.ndarray:
        return rng.uniform(-0.6, 0.6, shape).astype(dtype)

    batch_first = attributes.get("layout") == 1
    state = (batch, directions, hidden) if batch_first else (directions, batch, hidden)
    arrays = {
        "x": numbers(*((batch, steps, inputs) if batch_first else (steps, batch, inputs))),
        "w": numbers(directions, gates * hidden, inputs),
        "r": numbers(directions, gates * hidden, hidden),
        "b": numbers(directions, 2 * gates * hidden),
        "lens": np.arange(steps, steps - batch, -1).clip(1).astype(np.int32),
        "h": numbers(*state),
        "c": numbers(*state),
        "p": numbers(directions, 3 * hidden),
    }
    names = [name if name in ("x", "w", "r", *given) else "" for name in ORDER]
    while not names[-1]:
        names.pop()
    weights = {n: arrays[n] for n in ("w", "r", "b", "p") if n in names and constant}
    feed = {n: arrays[n] for n in names if n and n not in weights}
    made = one_node(
        kind,
        feed,
        opset=opset,
        dims=dims,
        constants=weights,
        order=names,
        outputs=["y", "yh", "yc"][: 3 if kind == "LSTM" else 2],
        hidden_size=hidden,
        **attributes,
    )
    return made, feed


@pytest.mark.parametrize("case", list(node_cases("LSTM", "GRU", "RNN")), ids=lambda c: c.name)
def test_suite(case: Any) -> None:
    run_case(case)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_directions_with_lengths_and_initial_states(kind: str, direction: str) -> None:
    given = ("b", "lens", "h", "c")[: 4 if kind == "LSTM" else 3]
    check(*recurrent(kind, direction=direction, given=given), reference=False)


@pytest.mark.parametrize("kind", GATES)
def test_sizes_that_a_run_knows(kind: str) -> None:
    made, feed = recurrent(kind, dims={"x": ["s", "b", 7]}, direction="bidirectional")
    rng = np.random.default_rng(0)
    more = [
        {"x": rng.standard_normal((s, b, 7), np.float32)} for s, b in ((1, 1), (3, 13), (2, 25))
    ]
    check(made, feed, *more)
    empty = compile_model(made).run({"x": np.zeros((0, 2, 7), np.float32)})
    assert empty["y"].shape == (0, 2, 2, 10)
    assert not empty["yh"].any()


@pytest.mark.parametrize("kind", GATES)
def test_batch_first(kind: str) -> None:
    # onnxruntime has no layout 1, and the reference wants one direction only.
    check(*recurrent(kind, layout=1, given=("b", "h")), onnxruntime=False)


@pytest.mark.parametrize("opset", [7, 14, 22])
@pytest.mark.parametrize("kind", GATES)
def test_versions_and_weights_that_a_run_brings(kind: str, opset: int) -> None:
    made, feed = recurrent(kind, opset=opset, constant=False, steps=2)
    check(made, feed, onnxruntime=opset < 22)


def test_gru_that_resets_behind_the_product() -> None:
    check(*recurrent("GRU", linear_before_reset=1, direction="bidirectional"))
    check(*recurrent("GRU", linear_before_reset=1, given=()))


def test_lstm_with_peepholes_coupled_gates_and_clip() -> None:
    check(*recurrent("LSTM", given=("b", "p")))
    made = recurrent("LSTM", given=("b", "p", "h", "c"), input_forget=1, clip=0.4)
    check(*made, reference=False)


@pytest.mark.parametrize(
    "names",
    [
        ("Relu", "Softsign", "Softplus"),
        ("Affine", "LeakyRelu", "ThresholdedRelu"),
        ("HardSigmoid", "ScaledTanh", "Elu"),
        ("sigmoid", "TANH", "tanh"),
    ],
)
def test_activations(names: tuple[str, ...]) -> None:
    made = recurrent(
        "LSTM",
        activations=list(names),
        activation_alpha=[0.3, 0.4, 0.2],
        activation_beta=[0.5, 0.1, 0.2],
    )
    check(*made, reference=False)


def test_directions_with_different_activations() -> None:
    names = ["Sigmoid", "Tanh", "HardSigmoid", "Relu"]
    made = recurrent("GRU", direction="bidirectional", activations=names, clip=0.7)
    check(*made, reference=False)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_single_sequence_shares_out_each_step(kind: str) -> None:
    model, feed = recurrent(kind, steps=3, batch=1, inputs=5, hidden=261)
    # The product with the inputs is too small for that.
    assert "krnl.parallel" in lower(model, "krnl").as_text()
    check(model, feed, rtol=1e-4, atol=1e-5)


def test_wide_cells_fill_several_panels() -> None:
    check(*recurrent("LSTM", hidden=96, batch=1, steps=3), rtol=1e-4, atol=1e-5)
    check(*recurrent("GRU", hidden=96, batch=14, steps=3), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", GATES)
def test_other_floats(kind: str) -> None:
    check(*recurrent(kind, dtype=np.float64), onnxruntime=False, rtol=1e-10, atol=1e-10)
    made, feed = recurrent(kind, dtype=np.float16)
    wide, wide_feed = recurrent(kind, dtype=np.float32)
    got, want = run_model(made, feed), run_model(wide, wide_feed)
    for name, array in got.items():
        assert array.dtype == np.float16
        np.testing.assert_allclose(array.astype(np.float32), want[name], atol=3e-3)
