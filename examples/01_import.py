"""The `onnx` stage as it is imported: an ONNX file as a module of operations on tensors.

Every node is an operation of the class that its version in `onnx.defs` has made; its location names
the node. Types are still unknown where the model does not say them.
"""

from pathlib import Path

from compiler.importer import import_model
from compiler.ir_text import new_context, print_module

MODEL = Path(__file__).parent / "digits" / "digits.onnx"

context = new_context()
module = import_model(MODEL, context)
print(print_module(module, context, elide=64, locations=True))
