"""The `onnx` stage after its passes: types inferred, constants folded, operators simplified.

Then what lowering begins with: layouts are chosen and operations that belong together form
dispatches, each a function of its own.
"""

from pathlib import Path

import compiler

MODEL = Path(__file__).parent / "digits" / "digits.onnx"

simplified = compiler.lower(MODEL, to="onnx")
print(simplified.as_text(elide=64))

simplified.run("onnx-bind-parameters,onnx-assign-layouts,onnx-form-dispatches")
print(simplified.as_text(elide=64))
