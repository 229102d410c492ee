"""The `llvm` stage, and the code that LLVM makes of it for two machines.

Everything is in the `llvm` dialect here: kernels and the host program, whose entry point is
`terrace_run`. The text is compiled on from, like that of every stage.
"""

from pathlib import Path

import compiler
from compiler.emit import assembly

MODEL = Path(__file__).parent / "digits" / "digits.onnx"

low = compiler.lower(MODEL, to="llvm", dims={"batch": 1})
print(low.as_text(elide=64))

for cpu in ("x86-64-v3", "aarch64"):
    lines = assembly(compiler.lower(MODEL, to="llvm", target=cpu), MODEL.name).splitlines()
    multiplications = [line for line in lines if "fmadd" in line or "fmla" in line]
    print(f"{cpu}: {len(lines)} lines of assembly, such as{multiplications[0]}")
