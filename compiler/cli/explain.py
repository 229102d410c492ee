"""`--explain`: why kernels are what they are, from the passes that decided on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from compiler.cli.progress import Progress
from compiler.driver import Request, lower_request
from compiler.pipeline import Pipeline

DECIDING = ("onnx-form-dispatches", "krnl-schedule")
"""Passes with an option `explain`, which leaves remarks on the kernels."""


def explain(request: Request, progress: Progress) -> Iterator[str]:
    """Lines: each kernel, the nodes that it computes, and the passes' remarks.

    Raises what lowering to the `krnl` stage raises.
    """
    from xdsl.dialects.builtin import ArrayAttr, StringAttr
    from xdsl.dialects.func import FuncOp

    from dialects.onnx.locations import node_names

    passes = request.passes or Pipeline.default(request.target).until("lower-affine")
    for name in DECIDING:
        passes = passes.with_option(name, "explain=true")
    module = lower_request(replace(request, passes=passes), "krnl", (), progress).module
    for kernel in module.ops:
        if not isinstance(kernel, FuncOp):
            continue
        yield f"{kernel.sym_name.data}: {', '.join(node_names(kernel.location))}"
        remarks = kernel.attributes.get("remarks")
        for remark in remarks if isinstance(remarks, ArrayAttr) else ():
            assert isinstance(remark, StringAttr)
            yield f"  {remark.data}"
