"""Other runtimes that stand beside onnxruntime in a comparison where they are installed: IREE.

torch.compile is not among them: torch has no importer of ONNX.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Call = Callable[[], object]

LEAST_OPSET = 17
"""IREE's importer knows the operators of this opset and of later ones."""


def installed() -> list[str]:
    """The names of the other runtimes that can be measured here."""
    parts = ("iree.compiler", "iree.runtime")
    return ["iree"] if all(_is_there(name) for name in parts) else []


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def open_iree(model: str, threads: int, feed: Mapping[str, np.ndarray]) -> Call:
    """Compiles a model with IREE for this CPU and gives a run of it on ``feed``.

    Its arguments are on the device already. Raises what IREE raises for models that it cannot
    import or compile.
    """
    runtime: Any = importlib.import_module("iree.runtime")
    if threads > 1:
        runtime.flags.parse_flags(f"--task_topology_group_count={threads}")
    config = runtime.Config("local-task" if threads > 1 else "local-sync")
    module = runtime.VmModule.copy_buffer(config.vm_instance, _compiled_by_iree(model))
    function = runtime.load_vm_module(module, config)[_graph_name(model)]
    arguments = [runtime.asdevicearray(config.device, feed[name]) for name in _inputs(model)]
    return lambda: function(*arguments)


def _compiled_by_iree(model: str) -> bytes:
    importer: Any = importlib.import_module("iree.compiler.tools.import_onnx.__main__")
    compiler: Any = importlib.import_module("iree.compiler.tools")
    with tempfile.TemporaryDirectory(prefix="benchmark-iree-") as folder:
        text = Path(folder, "model.mlir")
        arguments = [model, "-o", str(text), "--opset-version", str(LEAST_OPSET)]
        importer.main(importer.parse_arguments(arguments))
        return compiler.compile_file(
            str(text),
            input_type="onnx",
            target_backends=["llvm-cpu"],
            extra_args=["--iree-llvmcpu-target-cpu=host", "--iree-opt-level=O3"],
        )


def _graph_name(model: str) -> str:
    import onnx

    return onnx.load(model, load_external_data=False).graph.name


def _inputs(model: str) -> list[str]:
    import onnx

    graph = onnx.load(model, load_external_data=False).graph
    constants = {tensor.name for tensor in graph.initializer}
    return [entry.name for entry in graph.input if entry.name not in constants]
