"""Writes a model as a folder that the other commands read (`benchmarks.folders`)."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from benchmarks.model_set.graph import DATA_FILE, INLINE_BYTES, GraphBuilder, aligned


def write_graph(graph: GraphBuilder, place: Path) -> None:
    """Writes `model.onnx`, its weights beside it, `inputs.npz` and `meta.json`.

    The folder appears when it is complete, in place of what was there.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=place.parent) as temporary:
        partial = Path(temporary, "model")
        partial.mkdir()
        _write_weights(graph.weights, partial / DATA_FILE)
        onnx.save(graph.model(), partial / "model.onnx")
        onnx.checker.check_model(partial / "model.onnx")
        write_feed(graph.name, graph.feed, partial)
        move_into_place(partial, place)


def move_into_place(partial: Path, place: Path) -> None:
    """Replaces a folder."""
    if place.exists():
        shutil.rmtree(place)
    partial.replace(place)


def _write_weights(weights: Mapping[str, np.ndarray], path: Path) -> None:
    large = [array for array in weights.values() if array.nbytes > INLINE_BYTES]
    if not large:
        return
    with path.open("wb") as data:
        for array in large:
            data.write(bytes(aligned(data.tell()) - data.tell()))
            data.write(np.ascontiguousarray(array).data)


def write_feed(
    name: str, feed: Mapping[str, np.ndarray], folder: Path, slack: float | None = None
) -> None:
    """Writes the inputs, and how far onnxruntime disagrees with itself if that was measured."""
    arrays: dict[str, Any] = {f"s0.i{k}": array for k, array in enumerate(feed.values())}
    np.savez(folder / "inputs.npz", **arrays)
    inputs = {name: {"key": f"s0.i{k}"} for k, name in enumerate(feed)}
    entry: dict[str, Any] = {"inputs": inputs}
    if slack is not None:
        entry["ort_opt_vs_noopt"] = {"max_abs_over_maxval": slack}
    (folder / "meta.json").write_text(json.dumps({"name": name, "sets": [entry]}, indent=1) + "\n")
