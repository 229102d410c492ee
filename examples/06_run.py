"""From a model to numbers: compile, run, save, load, and run as with ONNX Runtime."""

import tempfile
from pathlib import Path

import numpy as np

import compiler
import runtime

MODEL = Path(__file__).parent / "digits" / "digits.onnx"
image = np.load(MODEL.with_name("digit.npy"))

net = compiler.compile(MODEL)
print(net)
print("a", net(image).argmax())

session = compiler.InferenceSession(MODEL)
(probabilities,) = session.run(None, {session.get_inputs()[0].name: image})
print("a", probabilities.argmax(), f"with probability {probabilities.max():.2%}")

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "digits.terrace"
    net.save(path)
    print(f"saved in {path.stat().st_size} bytes, for machines without a compiler")
    print("a", runtime.load(path, device="cpu:threads=1")(image).argmax())
