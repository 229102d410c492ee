"""Modules of the `onnx` stage from ONNX text, a slow interpreter for them, a check of rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnx.parser
import onnxruntime
from onnx import helper, numpy_helper
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, ModuleOp
from xdsl.dialects.func import Func, FuncOp
from xdsl.passes import ModulePass

from compiler.importer import import_model
from dialects.onnx.constants import array_of, pool_of
from dialects.onnx.ops import Const, Custom, OnnxOp
from dialects.onnx.shape.fallback import node_proto, type_proto
from dialects.onnx.types import dims_of, is_none
from passes.onnx.fold_constants import FoldConstants
from passes.onnx.fold_constants.reference import evaluate_by_reference
from passes.onnx.infer_shapes import InferShapes
from passes.onnx.simplify import Simplify


def model_of(
    text: str, constants: Mapping[str, np.ndarray] | None = None, opset: int = 17
) -> onnx.ModelProto:
    """A model from the text of a graph (`g (float[N] x) => (float y) { ... }`)."""
    imports = f'"" : {opset}, "com.microsoft" : 1, "ai.onnx.ml" : 3'
    model = onnx.parser.parse_model(f"<ir_version: 10, opset_import: [{imports}]>\n{text}")
    for name, array in (constants or {}).items():
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return model


def module_of(model: onnx.ModelProto) -> tuple[Context, ModuleOp]:
    """The imported model and its context."""
    ctx = Context()
    ctx.load_dialect(Builtin)
    ctx.load_dialect(Func)
    return ctx, import_model(model, ctx)


def after(
    model: onnx.ModelProto | str,
    *passes: ModulePass,
    constants: Mapping[str, np.ndarray] | None = None,
) -> tuple[Context, ModuleOp]:
    """A module after some passes."""
    model = model_of(model, constants) if isinstance(model, str) else model
    ctx, module = module_of(model)
    for each in passes:
        each.apply(ctx, module)
    module.verify()
    return ctx, module


def main_of(module: ModuleOp) -> FuncOp:
    """The function `main`."""
    functions = [op for op in module.body.block.ops if isinstance(op, FuncOp)]
    return next(f for f in functions if f.sym_name.data == "main")


def result_dims(module: ModuleOp) -> list[str]:
    """Shapes of the results of `main`, as text."""
    last = main_of(module).body.block.last_op
    assert last is not None
    shapes = [dims_of(value.type) for value in last.operands]
    return ["*" if dims is None else ", ".join(map(str, dims)) for dims in shapes]


def operators(module: ModuleOp) -> list[str]:
    """Operators of all `onnx` operations in order, without constants."""
    return [
        op.op_type.data if isinstance(op, Custom) else op.OP_TYPE
        for op in module.walk()
        if isinstance(op, OnnxOp)
    ]


def evaluate_by_onnxruntime(op: OnnxOp, inputs: Sequence[np.ndarray | None]) -> list[np.ndarray]:
    """What onnxruntime gives for one operation, for those that the reference does not cover."""
    node = node_proto(op)
    assert node is not None
    feeds = {name: array for name, array in zip(node.input, inputs, strict=False) if name}
    arguments = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in feeds.items()
        if a is not None
    ]
    kinds = zip(node.output, op.results, strict=True)
    results = [helper.make_value_info(o, type_proto(r.type)) for o, r in kinds if o]
    graph = helper.make_graph([node], "one", arguments, results)
    imports = [helper.make_opsetid(op.DOMAIN, op.SINCE)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    return session_of(model).run(None, feeds)


def session_of(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """A session without graph optimizations, some of which change results."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def interpret(ctx: Context, module: ModuleOp, feeds: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Runs `main`, one operation at a time in `onnx.reference`; no control flow."""
    block, pool = main_of(module).body.block, pool_of(ctx)
    values = dict(zip(block.args, feeds, strict=True))
    for op in block.ops:
        if isinstance(op, Const):
            values[op.result] = array_of(op.value, op.result.type, pool)
        elif isinstance(op, OnnxOp):
            inputs = [None if is_none(v) else values[v] for v in op.operands]
            found = evaluate_by_reference(op, inputs)
            found = evaluate_by_onnxruntime(op, inputs) if found is None else found
            values.update(zip(op.results, found, strict=False))
    assert block.last_op is not None
    return [values[value] for value in block.last_op.operands]


RANDOM = np.random.default_rng(7)


def floats(*shape: int) -> np.ndarray:
    """Seeded numbers."""
    return RANDOM.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    """A list of sizes."""
    return np.array(values, np.int64)


def scalar(value: float) -> np.ndarray:
    """A number."""
    return np.array(value, np.float32)


def check_simplified(
    text: str,
    wanted: list[str],
    constants: dict[str, np.ndarray],
    sizes: dict[str, int] | None = None,
) -> None:
    """Simplifies a graph, compares the operators left, and the numbers with onnxruntime's."""
    opset = 20 if "Gelu" in wanted and "microsoft" not in text else 17
    model = model_of(text, constants, opset)
    ctx, module = module_of(model)
    for each in (InferShapes(), FoldConstants(), Simplify()) * 2:
        each.apply(ctx, module)
    module.verify()
    assert operators(module) == wanted
    feeds = {}
    for info in model.graph.input:
        tensor = info.type.tensor_type
        shape = [
            (sizes or {}).get(d.dim_param, 2) if d.dim_param else d.dim_value
            for d in tensor.shape.dim
        ]
        kinds = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_}
        numbers = RANDOM.standard_normal(shape) * 2
        # Integers are indices of tables with a few rows.
        numbers = np.abs(numbers) % 4 if tensor.elem_type in (6, 7) else numbers
        feeds[info.name] = numbers.astype(kinds[tensor.elem_type])
    found = interpret(ctx, module, list(feeds.values()))
    for got, expected in zip(found, session_of(model).run(None, feeds), strict=True):
        assert got.dtype == expected.dtype and got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
