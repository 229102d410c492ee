"""NonMaxSuppression selects the boxes that onnxruntime and ONNX's own cases select."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numerics.harness import check, node_cases, one_node, run_case, run_model


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


def selected(boxes: np.ndarray, scores: np.ndarray, most: int, overlap: float) -> list[list[int]]:
    """One box after the other, the best first, each against all that are chosen."""
    rows: list[list[int]] = []
    for batch, classes in enumerate(scores):
        for number, row in enumerate(classes):
            chosen: list[int] = []
            order = np.argsort(np.where(np.isnan(row), np.inf, -row), kind="stable")
            for box in order[~np.isnan(row[order])]:
                corners = boxes[batch][[*chosen, box]].reshape(-1, 2, 2).astype(np.float32)
                low, high = corners.min(1), corners.max(1)
                sides = np.minimum(high, high[-1]) - np.maximum(low, low[-1])
                common = np.maximum(sides, 0).prod(1)
                area = (high - low).prod(1)
                covered = area + area[-1] - common
                with np.errstate(all="ignore"):
                    ratio = np.where((area > 0) & (area[-1] > 0), common / covered, 0)
                if len(chosen) < most and not (ratio[:-1] > overlap).any():
                    chosen.append(int(box))
            rows += [[batch, number, box] for box in chosen]
    return rows


@pytest.mark.parametrize("count", [1, 17, 300])
@pytest.mark.parametrize("most", [3, 1000])
@pytest.mark.parametrize("overlap", [0.0, 0.4, 1.0])
def test_many_boxes_of_any_kind(count: int, most: int, overlap: float) -> None:
    """Scores that are no numbers or infinite, boxes without area, the same box several times."""
    rng = np.random.default_rng(count)
    boxes = (rng.integers(0, 12, (2, count, 4)) / 8).astype(np.float32)
    scores = rng.standard_normal((2, 2, count)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.1] = np.nan
    scores[rng.random(scores.shape) < 0.1] = -np.inf
    scores[rng.random(scores.shape) < 0.1] = np.inf
    constants = {"most": np.array([most]), "iou": np.float32([overlap])}
    model = one_node(
        "NonMaxSuppression",
        {"boxes": boxes, "scores": scores},
        dims={"boxes": [2, "n", 4], "scores": [2, "c", "n"]},
        constants=constants,
        opset=11,
    )
    got = run_model(model, {"boxes": boxes, "scores": scores})["y"]
    assert got.tolist() == selected(boxes, scores, most, overlap)
