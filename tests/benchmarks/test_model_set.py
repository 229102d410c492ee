"""The model set: real architectures by their parameter counts, the same bytes each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import models
from benchmarks.__main__ import main
from benchmarks.folders import find_models, load_feed
from benchmarks.model_set import catalog
from benchmarks.model_set.graph import DATA_FILE, GraphBuilder
from benchmarks.model_set.micro import MICRO

PARAMETERS = {
    "resnet50": 25_557_032 - 26_560,
    "mobilenet_v2": 3_504_872 - 17_056,
    "efficientnet_b0": 5_288_548 - 21_008,
    "unet": 7_763_041 - 2_944,
    "yolov8n": 3_151_904,
    "lstm": 1_052_672,
    "gru": 789_504,
    "mlp": 535_818,
}
"""Weights and biases, as the architectures' authors count them: the scales of batch normalization,
which are subtracted here, went into the weights."""


@pytest.mark.parametrize("name", PARAMETERS)
def test_networks_have_their_parameters(name: str):
    graph = catalog.FLOAT[name]()
    counted = {
        key: array
        for key, array in graph.weights.items()
        if key not in ("model.22.anchors", "model.22.strides")
    }
    assert sum(array.size for array in counted.values()) == PARAMETERS[name]
    for entry in graph.model().graph.output:
        assert all(dim.dim_value for dim in entry.type.tensor_type.shape.dim)


@pytest.mark.parametrize("name", [name for name in MICRO if "50257" not in name])
def test_micro_cases_are_valid(name: str):
    (output,) = MICRO[name]().model().graph.output
    assert all(dim.dim_value for dim in output.type.tensor_type.shape.dim)


def test_weights_depend_on_the_name_only():
    first, again = MICRO["matmul_64x64x64"](), MICRO["matmul_64x64x64"]()
    for left, right in ((first.weights, again.weights), (first.feed, again.feed)):
        assert all(np.array_equal(left[key], right[key]) for key in left)
    assert not np.array_equal(first.feed["x"], MICRO["matmul_8x768x768"]().feed["x"][:, :64])


def test_written_models_run_on_both_sides(tmp_path: Path):
    assert main(["write", "mlp", "softmax_12x128x128", "--to", str(tmp_path)]) == 0
    mlp, softmax = find_models([tmp_path])
    assert (mlp.parent / DATA_FILE).exists() and not (softmax.parent / DATA_FILE).exists()
    feed, slack = load_feed(softmax)
    assert feed["x"].shape == (12, 128, 128) and slack == 0
    for path in (mlp, softmax):
        assert "wrong" not in models.measure(str(path), threads=1, seconds=0.0)


def test_names_stand_for_models():
    assert catalog.names_of(["mlp", "models"])[0] == "mlp"
    assert set(catalog.names_of([])) == {*catalog.FLOAT, *catalog.INT8, *MICRO}
    with pytest.raises(ValueError, match="no such model: alexnet"):
        catalog.names_of(["alexnet"])


def test_outputs_may_stand_in_front():
    graph = GraphBuilder("two")
    x = graph.normal_input("x", 2)
    graph.output(graph.op("Neg", x), "second")
    graph.output(graph.op("Abs", "second"), "first", first=True)
    assert [entry.name for entry in graph.model().graph.output] == ["first", "second"]
