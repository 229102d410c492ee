"""ONNX's test sets: folders with `input_0.pb`, ..., `output_0.pb`, ..."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runtime.errors import InputError
from runtime.network import Network


def is_test_set(path: Path) -> bool:
    """Whether a path is a folder with tensors of inputs."""
    return path.is_dir() and any(path.glob("input_*.pb"))


def read_test_set(
    folder: Path, network: Network
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The inputs and expected outputs of a test set, by name."""
    return (
        _read(folder, "input", [spec.name for spec in network.inputs]),
        _read(folder, "output", [spec.name for spec in network.outputs]),
    )


def _read(folder: Path, kind: str, names: list[str]) -> dict[str, np.ndarray]:
    paths = sorted(folder.glob(f"{kind}_*.pb"), key=lambda path: int(path.stem.split("_")[1]))
    if len(paths) > len(names):
        raise InputError(f"{folder} has {len(paths)} {kind}s, the model {len(names)}")
    return {name: read_tensor(path) for name, path in zip(names, paths, strict=False)}


def read_tensor(path: Path) -> np.ndarray:
    """The tensor in a `.pb` file. Raises InputError for what is none."""
    import onnx
    from google.protobuf.message import DecodeError

    tensor = onnx.TensorProto()
    try:
        tensor.ParseFromString(path.read_bytes())
        return onnx.numpy_helper.to_array(tensor)
    except (DecodeError, ValueError, TypeError) as error:
        raise InputError(f"{path} holds no tensor: {error}") from error
