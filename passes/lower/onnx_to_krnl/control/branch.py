"""If."""

from __future__ import annotations

from xdsl.ir import Region, SSAValue

from dialects import hal
from dialects.onnx.dims import symbols_of
from dialects.onnx.ops import OnnxOp
from dialects.onnx.types import is_none
from passes.lower.onnx_to_krnl.control.places import Control, body_of, sizes, yielded
from passes.lower.onnx_to_krnl.program import Place, ProgramBuilder
from passes.lower.onnx_to_krnl.registry import host


@host("If")
def branch(b: ProgramBuilder, op: OnnxOp) -> None:
    """One of two subgraphs."""
    control = Control(b, op)
    condition = b.buffer(op.operands[0])
    wanted = [number for number, result in enumerate(op.results) if not is_none(result)]
    results = [op.results[number] for number in wanted]
    places = [control.place(result) for result in results]
    regions: list[Region] = []
    for name in ("then_branch", "else_branch"):
        block = body_of(op, name)
        values = [yielded(block)[number] for number in wanted]
        with b.region() as region:
            aimed: dict[SSAValue, Place] = {}
            for value, place in zip(values, places, strict=True):
                aimed.setdefault(value, place)
            b.places.update(aimed)
            b.run(block)
            for value, place in zip(values, places, strict=True):
                if b.places.pop(value, None) is not None or aimed[value] is not place:
                    control.deliver(value, place)
            pairs = zip(results, values, strict=True)
            control.bind_sizes([(sizes(result), sizes(value)) for result, value in pairs])
        regions.append(region)
    made = hal.IfOp.create(operands=[condition], regions=regions, location=op.location)
    b.add(made)
    for result in results:
        b.known |= {name for dim in sizes(result) for name in symbols_of(dim)}
