"""NonMaxSuppression selects the boxes that onnxruntime and ONNX's own cases select."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numerics.harness import check, node_cases, one_node, run_case


@pytest.mark.parametrize("case", [*node_cases("NonMaxSuppression")], ids=lambda case: case.name)
def test_node_cases(case: Any) -> None:
    run_case(case)


@pytest.mark.parametrize("center", [0, 1])
@pytest.mark.parametrize("sizes", [(1, 1, 40), (2, 3, 25), (1, 2, 0)], ids=str)
def test_random_boxes(sizes: tuple[int, int, int], center: int) -> None:
    """Scores are few, so that many are equal; corners stand in any order."""
    batches, classes, count = sizes
    rng = np.random.default_rng(count + center)
    boxes = rng.uniform(0, 1, (batches, count, 4)).astype(np.float32)
    scores = (rng.integers(0, 9, (batches, classes, count)) / 8).astype(np.float32)
    constants = {"most": np.array([7]), "iou": np.float32([0.3]), "least": np.float32([0.25])}
    model = one_node(
        "NonMaxSuppression",
        {"boxes": boxes, "scores": scores},
        dims={"boxes": [batches, "n", 4], "scores": [batches, classes, "n"]},
        constants=constants,
        center_point_box=center,
        opset=11,
    )
    check(model, {"boxes": boxes, "scores": scores}, reference=False)


def test_without_a_limit_nothing_is_selected() -> None:
    boxes, scores = np.ones((1, 2, 4), np.float32), np.ones((1, 1, 2), np.float32)
    model = one_node("NonMaxSuppression", {"boxes": boxes, "scores": scores}, opset=11)
    check(model, {"boxes": boxes, "scores": scores}, reference=False)
