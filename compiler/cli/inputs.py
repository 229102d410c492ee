"""Inputs of a run: from files, from the command line, or random."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compiler.cli.testset import is_test_set, read_tensor, read_test_set
from runtime.dims import evaluate, parse
from runtime.dtypes import numpy_dtype
from runtime.errors import InputError
from runtime.manifest import TensorSpec
from runtime.network import Network

Arrays = dict[str, np.ndarray]

_LARGEST_RANDOM_INTEGER = 1


def read_inputs(texts: Sequence[str], network: Network) -> tuple[Arrays, Arrays]:
    """The inputs that ``--input`` options name, and the outputs expected by a test set.

    Raises InputError for what is no input of the network or cannot be read.
    """
    feed: Arrays = {}
    expected: Arrays = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if is_test_set(Path(text)):
            inputs, outputs = read_test_set(Path(text), network)
            feed |= inputs
            expected |= outputs
        elif text.startswith("@"):
            feed |= {k: v for k, v in _npz(Path(text[1:])).items() if _find(network, k)}
        elif equals and (spec := _find(network, name)):
            feed[name] = _value(spec, value)
        else:
            known = ", ".join(spec.name for spec in network.inputs)
            raise InputError(f"'{text}' is no input of the model", hint=f"its inputs are {known}")
    return feed, expected


def _find(network: Network, name: str) -> TensorSpec | None:
    return next((spec for spec in network.inputs if spec.name == name), None)


def _value(spec: TensorSpec, text: str) -> np.ndarray:
    if text.startswith("@"):
        return _file(spec, Path(text[1:]))
    try:
        return np.asarray(json.loads(text), numpy_dtype(spec.dtype))
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(
            f"input '{spec.name}': '{text}' is no {spec.dtype} array: {error}",
            hint="give JSON such as [[1, 2]], or a file as @FILE",
        ) from error


def _file(spec: TensorSpec, path: Path) -> np.ndarray:
    if path.suffix == ".pb":
        return read_tensor(path)
    if path.suffix == ".npz":
        arrays = _npz(path)
        if spec.name not in arrays and len(arrays) != 1:
            raise InputError(f"{path} has no array '{spec.name}'", hint=f"it has {list(arrays)}")
        return arrays[spec.name] if spec.name in arrays else next(iter(arrays.values()))
    loaded = _load(path)
    if not isinstance(loaded, np.ndarray):
        raise InputError(f"{path} is no .npy file")
    return loaded


def _npz(path: Path) -> Arrays:
    loaded = _load(path)
    if isinstance(loaded, np.ndarray):
        raise InputError(f"{path} is no .npz file")
    with loaded:
        return dict(loaded)


def _load(path: Path) -> Any:
    try:
        return np.load(path)
    except (ValueError, EOFError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def random_inputs(
    specs: Sequence[TensorSpec], seed: int, sizes: Mapping[str, int], given: Mapping[str, Any]
) -> Arrays:
    """Random arrays for the inputs that are not given.

    Floats are normally distributed, integers and booleans 0 or 1, which most models take as indices
    too. Symbolic sizes are those in ``sizes``, else those that the given inputs have, else 1.
    """
    generator = np.random.default_rng(seed)
    known = dict(sizes)
    for spec in specs:
        if spec.name in given:
            for dim, size in zip(spec.shape, np.shape(given[spec.name]), strict=False):
                if isinstance(dim, str):
                    known.setdefault(dim, size)
    return {spec.name: _random(generator, spec, known) for spec in specs if spec.name not in given}


def _random(
    generator: np.random.Generator, spec: TensorSpec, sizes: Mapping[str, int]
) -> np.ndarray:
    shape = [_size(dim, sizes) for dim in spec.shape]
    dtype = numpy_dtype(spec.dtype)
    if dtype.kind in "fcV" or spec.dtype.startswith(("bfloat", "float8")):
        return generator.standard_normal(shape).astype(dtype)
    return generator.integers(0, _LARGEST_RANDOM_INTEGER, shape, endpoint=True).astype(dtype)


def _size(dim: int | str | None, sizes: Mapping[str, int]) -> int:
    if not isinstance(dim, str):
        return 1 if dim is None else dim
    symbols = {name: sizes.get(name, 1) for name in parse(dim).symbols}
    return evaluate(dim, symbols) or 0
