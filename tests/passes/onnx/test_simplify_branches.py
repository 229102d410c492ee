"""onnx-simplify: convolutions side by side become one where their taps read the same places."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_modules import check_simplified, floats

WIDE = "kernel_shape = [3, 3], pads = [1, 1, 1, 1]"
POINT = "kernel_shape = [1, 1]"

MERGED = {
    "a point in a window": (WIDE, POINT, 1),
    "the wide one second": (POINT, WIDE, 1),
    "two of one size": (WIDE, WIDE, 1),
    "strides": (f"{WIDE}, strides = [2, 2]", f"{POINT}, strides = [2, 2]", 1),
    "depthwise": (WIDE, POINT, 6),
    "groups": (WIDE, POINT, 2),
    "a line in a window": (WIDE, "kernel_shape = [1, 3], pads = [0, 1, 0, 1]", 1),
    "a corner": ("kernel_shape = [3, 3], pads = [0, 0, 2, 2]", POINT, 1),
    "taps apart": (
        "kernel_shape = [3, 3], pads = [2, 2, 2, 2], dilations = [2, 2]",
        "kernel_shape = [3, 3], pads = [2, 2, 2, 2], dilations = [2, 2]",
        1,
    ),
    "every other tap": (
        "kernel_shape = [5, 5], pads = [2, 2, 2, 2]",
        "kernel_shape = [3, 3], pads = [2, 2, 2, 2], dilations = [2, 2]",
        1,
    ),
}

APART = {
    "taps of other places": (
        "kernel_shape = [3, 3], pads = [2, 2, 2, 2], dilations = [2, 2]",
        WIDE,
        (1, 1),
    ),
    "a place outside of the window": (
        "kernel_shape = [2, 2], pads = [1, 1, 0, 0]",
        "kernel_shape = [2, 2], pads = [0, 0, 1, 1]",
        (1, 1),
    ),
    "other groups": (WIDE, POINT, (1, 2)),
}


def text_of(first: str, second: str, groups: tuple[int, int], more: str = "") -> str:
    """Two convolutions of 6 channels of an image, or of different data, added."""
    size = "5, 5" if "strides" in first else "9, 9"
    return f"""g (float[2, 6, 9, 9] x) => (float[2, 6, {size}] y) {{
        {more or "z = Identity(x)"}
        a = Conv<{first}, group = {groups[0]}>(x, w, b)
        c = Conv<{second}, group = {groups[1]}>(z, v)
        s = Add(a, c)
        y = Relu(s)
    }}"""


def constants_of(first: str, second: str, groups: tuple[int, int]) -> dict[str, np.ndarray]:
    kernels = [
        [int(n) for n in text.partition("[")[2].partition("]")[0].split(",")]
        for text in (first, second)
    ]
    w, v = (floats(6, 6 // g, *k) for g, k in zip(groups, kernels, strict=True))
    return {"w": w, "v": v * np.float32(0.5), "b": floats(6)}


@pytest.mark.parametrize("name", MERGED)
def test_branches_of_the_same_data(name: str) -> None:
    first, second, group = MERGED[name]
    groups = group, group
    constants = constants_of(first, second, groups)
    check_simplified(text_of(first, second, groups), ["Conv", "Relu"], constants)


@pytest.mark.parametrize("name", APART)
def test_branches_whose_taps_differ_stay(name: str) -> None:
    first, second, groups = APART[name]
    constants = constants_of(first, second, groups)
    check_simplified(text_of(first, second, groups), ["Conv", "Conv", "Add", "Relu"], constants)


def test_branches_of_other_data_stay() -> None:
    groups = 1, 1
    constants = constants_of(WIDE, POINT, groups)
    text = text_of(WIDE, POINT, groups, "z = Tanh(x)")
    check_simplified(text, ["Tanh", "Conv", "Conv", "Add", "Relu"], constants)


def test_a_branch_that_others_read_stays() -> None:
    text = text_of(WIDE, POINT, (1, 1)).replace("y = Relu(s)", "t = Relu(s) y = Mul(t, c)")
    constants = constants_of(WIDE, POINT, (1, 1))
    check_simplified(text, ["Conv", "Conv", "Add", "Relu", "Mul"], constants)


NORMALIZED = """g (float[2, 6, 9, 9] x) => (float[2, 6, 9, 9] y) {{
    a = Conv<{window}, group = {group}>(x, w, b)
    n = BatchNormalization(x, gamma, beta, mean, variance)
    y = Add({order})
}}"""


@pytest.mark.parametrize("group", [1, 2, 6])
@pytest.mark.parametrize("order", ["a, n", "n, a"])
@pytest.mark.parametrize("window", [WIDE, POINT, "kernel_shape = [2, 3], pads = [0, 2, 1, 0]"])
def test_a_normalization_beside_a_convolution(window: str, order: str, group: int) -> None:
    constants = constants_of(window, POINT, (group, group)) | {
        "gamma": floats(6),
        "beta": floats(6),
        "mean": floats(6),
        "variance": np.abs(floats(6)) + np.float32(0.5),
    }
    del constants["v"]
    text = NORMALIZED.format(window=window, group=group, order=order)
    check_simplified(text, ["Conv"], constants)


def test_a_normalization_beside_a_window_in_steps_stays() -> None:
    constants = {
        "w": floats(6, 6, 1, 1),
        "b": floats(6),
        "s": floats(6, 1, 1),
        "t": floats(6, 1, 1),
    }
    text = """g (float[2, 6, 1, 1] x) => (float[2, 6, 1, 1] y) {
        a = Conv<strides = [2, 2]>(x, w, b)
        m = Mul(x, s)
        n = Add(m, t)
        y = Add(a, n)
    }"""
    check_simplified(text, ["Conv", "Mul", "Add", "Add"], constants)
