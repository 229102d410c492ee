"""Layouts that the pass `onnx-assign-layouts` chooses."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numerics.harness import make_model
from onnx import helper

import compiler
from compiler.pipeline import Pipeline


def layouts(channels: int, groups: int, pads: int) -> list[str]:
    """The types of a grouped convolution's data and weights."""
    weights = np.zeros((channels, channels // groups, 3, 3), np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], group=groups, pads=[pads] * 4)
    model = make_model([node], {"x": (np.float32, [1, channels, 9, 9])}, {"w": weights})
    passes = Pipeline.default("haswell").until("onnx-form-dispatches")
    text = compiler.lower(model, "onnx", passes=passes).as_text()
    (line,) = (line for line in text.splitlines() if "onnx.Conv" in line)
    types = line[line.rindex(" : (") : line.rindex(" -> ")]
    return re.findall(r"#onnx\.tensor<\[.*?\], (.*?)>>", types)


@pytest.mark.parametrize(
    ("channels", "groups", "pads", "data", "weights"),
    [
        # Groups of whole vectors are packed, in panels that none of two share.
        (80, 2, 0, "[0, 2, 3, 1]", "[0, 2, 3, 1, 0], 8"),
        (64, 2, 1, "[0, 2, 3, 1]", "[0, 2, 3, 1, 0], 16"),
        # 256 floats are 1 KB: places collide in caches, so the padded copy goes group by group.
        (256, 8, 1, "[0, 1, 2, 3, 1], 32", "[0, 2, 3, 1, 0], 16"),
        (256, 8, 0, "[0, 2, 3, 1]", "[0, 2, 3, 1, 0], 16"),
        # No vectors of a single group.
        (24, 2, 1, "[0, 2, 3, 1]", "[2, 3, 1, 0]"),
        (256, 256, 1, "[0, 2, 3, 1]", "[2, 3, 1, 0]"),
    ],
)
def test_groups(channels: int, groups: int, pads: int, data: str, weights: str) -> None:
    assert layouts(channels, groups, pads)[:2] == [data, weights]
