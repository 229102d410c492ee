"""onnx-expand-functions: puts bodies in the place of functions.

    %y = "onnx.Call"(%x) <{callee = @"pkg::leaky"}> {alpha = 0.2 : f32}
  becomes the body of `@"pkg::leaky"`, with 0.2 where it refers to `alpha`, and
    %y = "onnx.SwiGLU.v28"(%a, %b)
  becomes the operators of its ONNX function body, unless `keep` has it.

Requires: the importer's form of model-local functions; with `keep`, types from `onnx-infer-shapes`.

Ensures: no `onnx.Call` and no model-local function is left. With `keep`, no operator that ONNX
defines by a body is left that `keep` does not name (bodies are expanded in turn). The location of
an expanded operation is the call's name, a slash, and its own. Values made here have the type
`!onnx.unknown` until the next `onnx-infer-shapes`; where bodies need types, this pass runs it.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass

from dialects.onnx.constants import ConstantPool, pool_of
from dialects.onnx.ops import Call, OnnxOp
from dialects.onnx.types import unknown
from passes.onnx.editing import replace_value, update_function_type
from passes.onnx.expand_functions.calls import Functions, inline_call
from passes.onnx.expand_functions.schemas import body_of_operator, has_body
from passes.onnx.infer_shapes import InferShapes

__all__ = ["ExpandFunctions"]


@dataclass(frozen=True)
class ExpandFunctions(ModulePass):
    """Expands calls, and operators without a lowering; see the package's docstring.

    ``keep`` lists operators that stay: by name (`Gelu`, `ai.onnx.ml.Scaler`) or by version
    (`onnx.Gelu.v20`). None expands calls only.
    """

    name = "onnx-expand-functions"

    keep: tuple[str, ...] | None = None

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Expands every function that is not a model-local one; erases those that are."""
        functions = Functions(op)
        pool = pool_of(ctx)
        for function in functions.entries:
            _expand_calls(function, functions, pool)
            update_function_type(function)
        functions.erase()
        if self.keep is not None:
            while self._expand_operators(op, pool):
                InferShapes().apply(ctx, op)

    def _expand_operators(self, module: ModuleOp, pool: ConstantPool) -> bool:
        kept = frozenset(self.keep or ())
        found = [
            op
            for op in module.walk()
            if isinstance(op, OnnxOp) and has_body(op) and not stays(op, kept)
        ]
        return sum(_expand_operator(op, pool) for op in found) > 0


def stays(op: OnnxOp, keep: frozenset[str]) -> bool:
    """Whether ``keep`` names an operator."""
    name = f"{op.DOMAIN}.{op.OP_TYPE}" if op.DOMAIN else op.OP_TYPE
    return name in keep or op.name in keep


def _expand_calls(function: FuncOp, functions: Functions, pool: ConstantPool) -> None:
    """Replaces calls until none is left; the importer refuses recursion."""
    calls = [op for op in function.walk() if isinstance(op, Call)]
    while calls:
        calls = [inner for call in calls for inner in inline_call(call, functions, pool)]


def _expand_operator(op: OnnxOp, pool: ConstantPool) -> bool:
    """Expands one operator; one whose operands have just been made waits for their types."""
    if any(operand.type == unknown for operand in op.operands):
        return False
    body = body_of_operator(op, pool)
    if body is None or op.parent is None:
        return False
    operations, values = body
    op.parent.insert_ops_before(operations, op)
    for result, value in zip(op.results, values, strict=True):
        if value is not None:
            replace_value(result, value)
    op.parent.erase_op(op)
    return True
