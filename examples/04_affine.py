"""The `affine` stage: kernels in upstream MLIR's loops, memrefs and vectors.

`mlir-opt-22 --allow-unregistered-dialect` reads this text.
"""

from pathlib import Path

import compiler

MODEL = Path(__file__).parent / "digits" / "digits.onnx"

print(compiler.lower(MODEL, to="affine").as_text(elide=64))
