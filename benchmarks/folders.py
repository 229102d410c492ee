"""Folders of real models: `model.onnx`, `inputs.npz`, `meta.json`.

`meta.json` lists `sets` of inputs; each says under which key of `inputs.npz` an input lies.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def default_folder() -> Path:
    """Where models are kept unless somebody says otherwise: in the user's cache directory."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "onnx-terrace-benchmarks"


def find_models(places: Sequence[Path], only: Sequence[str] = ()) -> list[Path]:
    """The model files at ``places``, by name: a model, its folder, or a folder of such folders.

    ``only`` picks some by name. Raises ValueError when there is none.
    """
    found: list[Path] = []
    for place in places:
        direct = place if place.is_file() else place / "model.onnx"
        found += [direct] if direct.is_file() else sorted(place.glob("*/model.onnx"))
    if only:
        if unknown := set(only) - {name_of(path) for path in found}:
            raise ValueError(f"no such model: {', '.join(sorted(unknown))}")
        found = [path for path in found if name_of(path) in only]
    if not found:
        raise ValueError(f"no model in {', '.join(map(str, places))}")
    return found


def name_of(model: Path) -> str:
    """What a model is called: its folder, or its file if that is not `model.onnx`."""
    return model.resolve().parent.name if model.name == "model.onnx" else model.stem


def load_feed(model: Path, number: int = 0) -> tuple[dict[str, np.ndarray], float]:
    """The inputs of one set, and how far onnxruntime with and without optimizations disagree.

    Raises OSError when `meta.json` or `inputs.npz` is missing.
    """
    entry: dict[str, Any] = json.loads((model.parent / "meta.json").read_text())["sets"][number]
    # Strings are stored as objects.
    arrays = np.load(model.parent / "inputs.npz", allow_pickle=True)
    feed = {name: arrays[spec["key"]] for name, spec in entry["inputs"].items() if "key" in spec}
    slack = (entry.get("ort_opt_vs_noopt") or {}).get("max_abs_over_maxval") or 0.0
    return feed, float(slack)
