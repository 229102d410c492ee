"""DFT and STFT of known length, against numpy's FFT and onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from numerics.harness import check, one_node, run_model

F32 = np.float32


def pairs(values: np.ndarray) -> np.ndarray:
    """Complex numbers as a last axis (re, im)."""
    return np.stack([values.real, values.imag], -1).astype(F32)


def signal(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).standard_normal(shape).astype(F32)


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("components", [1, 2])
@pytest.mark.parametrize("length", [None, 4, 9])
@pytest.mark.parametrize("flags", [{}, {"inverse": 1}, {"onesided": 1}], ids=str)
def test_dft(
    opset: int, axis: int, components: int, length: int | None, flags: dict[str, int]
) -> None:
    """A longer transform reads zeros, a shorter one drops the end."""
    if flags.get("onesided") and components == 2:
        pytest.skip("half a spectrum is all of a real signal's")
    x = signal(2, 6, 7, components)
    constants = {} if length is None else {"length": np.array(length)}
    attributes = dict(flags)
    order = ["x", "length" if length else ""]
    if opset < 20:
        attributes["axis"] = axis
    else:
        constants["axis"] = np.array(axis)
        order.append("axis")
    model = one_node(
        "DFT", {"x": x}, opset=opset, constants=constants, order=order, **attributes,
        dims={"x": ["batch", 6, 7, components]},
    )  # fmt: skip
    values = x[..., 0] if components == 1 else x[..., 0] + 1j * x[..., 1]
    transform = np.fft.ifft if flags.get("inverse") else np.fft.fft
    if flags.get("onesided"):
        transform = np.fft.rfft
    wanted = pairs(transform(values, length, axis))
    np.testing.assert_allclose(run_model(model, {"x": x})["y"], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [None, 7, 8])
def test_half_a_spectrum_back_to_a_real_signal(length: int | None) -> None:
    given = signal(2, 9)
    half = pairs(np.fft.rfft(given, length or 8, 1))
    constants = {"length": np.array(length or 8), "axis": np.array(1)}
    order = ["x", "length" if length else "", "axis"]
    model = one_node(
        "DFT", {"x": half}, opset=20, constants=constants, order=order, inverse=1, onesided=1
    )
    wanted = np.fft.irfft(half[..., 0] + 1j * half[..., 1], length or 8, 1)[..., None]
    np.testing.assert_allclose(run_model(model, {"x": half})["y"], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("onesided", [0, 1])
@pytest.mark.parametrize("windowed", [False, True])
@pytest.mark.parametrize("rank", [2, 3])
def test_stft(onesided: int, windowed: bool, rank: int) -> None:
    """The number of samples is only known in the run."""
    x = signal(2, 50) if rank == 2 else signal(2, 50, 1)
    constants = {"step": np.array(5), "length": np.array(16)}
    if windowed:
        constants["window"] = np.hanning(16).astype(F32)
    model = one_node(
        "STFT", {"x": x}, opset=17, constants=constants, onesided=onesided,
        order=["x", "step", "window" if windowed else "", "length"],
        dims={"x": [2, "samples", *x.shape[2:]]},
    )  # fmt: skip
    if rank == 3:
        check(model, {"x": x}, rtol=1e-4, atol=1e-4, reference=False)
        return
    window = constants.get("window", np.ones(16, F32))
    frames = np.stack([x[:, i : i + 16] * window for i in range(0, 35, 5)], 1)
    wanted = pairs((np.fft.rfft if onesided else np.fft.fft)(frames))
    np.testing.assert_allclose(run_model(model, {"x": x})["y"], wanted, rtol=1e-4, atol=1e-5)
