"""Whether results agree with someone else's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.errors import UnsupportedError

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Tolerance:
    """Floats may differ by ``atol`` times the largest magnitude of the tensor (at least 1), plus
    ``rtol`` times the wanted value; everything else must be equal."""

    rtol: float
    atol: float


@dataclass(frozen=True)
class Difference:
    """How far a result is from the wanted one. ``reason`` is empty when it is close enough."""

    largest: float
    reason: str = ""


def difference(got: Any, want: Any, tolerance: Tolerance) -> Difference:
    """Compares two tensors."""
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape:
        return Difference(np.inf, f"shape {list(got.shape)} instead of {list(want.shape)}")
    if got.dtype != want.dtype:
        return Difference(np.inf, f"{got.dtype} instead of {want.dtype}")
    if not _is_inexact(want.dtype):
        wrong = int((got != want).sum())
        return Difference(wrong, f"{wrong} of {want.size} elements differ" if wrong else "")
    wide = np.complex128 if want.dtype.kind == "c" else np.float64
    got, want = got.astype(wide), want.astype(wide)
    odd = ~np.isfinite(want)
    if not np.array_equal(got[odd], want[odd], equal_nan=True):
        return Difference(np.inf, "NaN or infinity in other places")
    error, size = np.abs(got[~odd] - want[~odd]), np.abs(want[~odd])
    if not error.size:
        return Difference(0.0)
    limit = tolerance.atol * max(1.0, float(size.max())) + tolerance.rtol * size
    largest = float(error.max())
    # Written so that a NaN fails.
    return Difference(largest, "" if (error <= limit).all() else f"differs by {largest:.3g}")


def _is_inexact(dtype: np.dtype) -> bool:
    return dtype.kind in "fc" or dtype.name.startswith(("bfloat", "float"))


def report(
    who: str, results: Mapping[str, Any], want: Mapping[str, Any], tolerance: Tolerance
) -> bool:
    """Prints how the results differ from others'; gives whether all are close."""
    close = True
    for name, value in want.items():
        found = difference(results[name], value, tolerance)
        close &= not found.reason
        verdict = f"DIFFERS: {found.reason}" if found.reason else f"agrees ({found.largest:.3g})"
        print(f"{name}: {verdict}, compared with {who}")
    return close


def run_other(
    name: str, model: Path | onnx.ModelProto, feed: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """The outputs that onnxruntime or onnx's reference evaluator computes.

    Raises UnsupportedError when it is not installed or cannot run the model.
    """
    try:
        return _onnxruntime(model, feed) if name == "onnxruntime" else _reference(model, feed)
    except ImportError as error:
        raise _not_installed(name) from error
    except Exception as error:
        # What another program raises about a model is its own affair; it is passed on.
        raise UnsupportedError(f"{name} cannot run the model: {error}") from error


def onnxruntime_session(model: Path | onnx.ModelProto, threads: int = 0) -> Any:
    """onnxruntime's session on the CPU; 0 threads are its default.

    Raises UnsupportedError when it is not installed or cannot run the model.
    """
    try:
        return _session(model, threads)
    except ImportError as error:
        raise _not_installed("onnxruntime") from error
    except Exception as error:
        raise UnsupportedError(f"onnxruntime cannot run the model: {error}") from error


def _not_installed(name: str) -> UnsupportedError:
    return UnsupportedError(f"{name} is not installed", hint="pip install 'onnx-terrace[compare]'")


def _session(model: Path | onnx.ModelProto, threads: int = 0) -> Any:
    import onnxruntime

    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def _onnxruntime(model: Path | onnx.ModelProto, feed: Mapping[str, np.ndarray]) -> dict[str, Any]:
    session = _session(model)
    names = [entry.name for entry in session.get_outputs()]
    return dict(zip(names, session.run(None, dict(feed)), strict=True))


def _reference(model: Path | onnx.ModelProto, feed: Mapping[str, np.ndarray]) -> dict[str, Any]:
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(str(model) if isinstance(model, Path) else model)
    names = [str(name) for name in evaluator.output_names]
    return dict(zip(names, evaluator.run(None, dict(feed)), strict=True))
