"""`onnx-apply-winograd`: convolutions with 3x3 kernels by Winograd's minimal filtering.

Requires inferred shapes and products of integers without zero points, before layouts are assigned.
Ensures that convolutions of float32, and of bytes where the target sums products of pairs, with
constant 3x3 weights, one stride of 1 or 2, group 1 and, with stride 1, one dilation that become
faster that way are `onnx.WinogradConv`, their weights transformed. Which ones, and how, says the
cost model in `passes/winograd/cost.py`.

    %1 = Conv(%x, %w, %b) {pads = 1}   ==>   %1 = WinogradConv(%x, %u, %b) {tile = 4, block = 28}

Integers stay exact (`passes/winograd/integers.py`); pairs of their transformed weights are packed
as `onnx-pack-integers` does it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, ModuleOp, i16
from xdsl.ir import Attribute, SSAValue
from xdsl.passes import ModulePass

from dialects.krnl import integer, integers
from dialects.onnx.constants import ConstantPool, array_of, make_const, pool_of
from dialects.onnx.ops import Const, OnnxOp, WinogradConv
from dialects.onnx.shape.helpers import resolve_pads
from dialects.onnx.types import dims_of, dtype_of, is_none
from passes.cost import FLOATS, INTEGERS, Machine
from passes.onnx.pack_integers import packed
from passes.winograd.cost import Costs, Layer, Plan, costs
from passes.winograd.integers import fits, transformed_integers
from passes.winograd.matrices import POINTS, TAPS, transformed_weights
from runtime.errors import InputError

PAIR = 2
"""Transformed integers are multiplied in pairs of 16 bits."""


@dataclass(frozen=True)
class ApplyWinograd(ModulePass):
    """Transforms convolutions.

    ``tile`` (2 or 4) takes tiles of that size for all layers, whatever they cost; 0 leaves it to
    the cost model. ``group`` is how many products of integers an instruction of the target sums:
    integers are transformed for pairs, as direct sums of fours are faster. The other fields
    describe the target's vector unit, both caches of one core and the shared one.
    """

    name = "onnx-apply-winograd"

    tile: int = 0
    group: int = 1
    vector_bits: int = 512
    registers: int = 32
    l1_bytes: int = 32_768
    l2_bytes: int = 524_288
    l3_bytes: int = 8_388_608

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrites every function of the module in place."""
        caches = self.l1_bytes, self.l2_bytes, self.l3_bytes
        machine = Machine(self.vector_bits // 32, self.registers, *caches)
        if self.tile not in (0, *POINTS[1]):
            known = ", ".join(map(str, POINTS[1]))
            raise InputError(f"there are no tiles of {self.tile} outputs", hint=f"try {known}")
        rewriting = _Rewriting(machine, self.tile, pool_of(ctx))
        kinds = ("Conv", "ConvInteger") if self.group == PAIR else ("Conv",)
        for node in list(op.walk()):
            if isinstance(node, OnnxOp) and not node.DOMAIN and node.OP_TYPE in kinds:
                rewriting.convolution(node)


class _Rewriting:
    """One walk; layers that share weights share the transformed ones."""

    def __init__(self, machine: Machine, tile: int, pool: ConstantPool) -> None:
        self.machine = machine
        self.tile = tile
        self.pool = pool
        self.transformed: dict[tuple[Attribute, int, int], Const] = {}

    def convolution(self, op: OnnxOp) -> None:
        """Transforms a convolution if that pays."""
        layer = layer_of(op)
        if layer is None:
            return
        found = costs(layer, self.machine)
        cycles = {"direct": integer(found.direct)}
        cycles |= {f"tile{plan.tile}": integer(plan.cycles) for plan in found.plans}
        op.attributes["onnx.cycles"] = DictionaryAttr(cycles)
        plan = self.chosen(op, found)
        if plan is not None:
            self.replace(op, plan)

    def chosen(self, op: OnnxOp, found: Costs) -> Plan | None:
        """The plan to take."""
        if not self.tile:
            return found.best_of(lambda plan: self.is_exact(op, plan))
        (plan,) = (plan for plan in found.plans if plan.tile == self.tile)
        return plan if self.is_exact(op, plan) else None

    def is_exact(self, op: OnnxOp, plan: Plan) -> bool:
        """Whether integers stay in range; floats round in any case."""
        if op.OP_TYPE == "Conv":
            return True
        data, weight = op.operands[:2]
        return fits(self.array(weight), dtype_of(data.type), plan.tile, plan.stride)

    def array(self, weight: SSAValue) -> np.ndarray:
        """The weights."""
        owner = weight.owner
        assert isinstance(owner, Const)
        return array_of(owner.value, weight.type, self.pool)

    def replace(self, op: OnnxOp, plan: Plan) -> None:
        """Puts a WinogradConv in the place of a convolution."""
        weight = self.weight(op.operands[1], plan.tile, plan.stride)
        weight.location = op.location
        block = op.parent
        assert block is not None
        attributes = dict(op.attributes)
        if op.OP_TYPE == "ConvInteger":
            attributes["onnx.packed"] = ArrayAttr([i16, i16])
        made = WinogradConv.create(
            operands=[op.operands[0], weight.result, op.operands[2]],
            result_types=[op.results[0].type],
            properties={
                "tile": integer(plan.tile),
                "stride": integer(plan.stride),
                "dilation": integer((op.get("dilations") or (1,))[0]),
                "block": integer(plan.block),
                "groups": integer(plan.groups),
                "pads": integers(_pads(op) or ()),
            },
            attributes=attributes,
            location=op.location,
        )
        block.insert_ops_before([weight, made], op)
        made.y.name_hint = op.results[0].name_hint
        op.results[0].replace_all_uses_with(made.y)
        block.erase_op(op)

    def weight(self, value: SSAValue, tile: int, stride: int) -> Const:
        """The transformed weights."""
        owner = value.owner
        assert isinstance(owner, Const)
        key = (owner.value, tile, stride)
        if key not in self.transformed:
            weights = self.array(value)
            if weights.dtype == np.float32:
                array = transformed_weights(weights, tile, stride)
            else:
                array = packed(transformed_integers(weights, tile, stride), 1, PAIR)
            self.transformed[key] = make_const(array, self.pool, "winograd")
            return self.transformed[key]
        made = self.transformed[key]
        return Const.create(result_types=[made.result.type], properties=made.properties)


def layer_of(op: OnnxOp) -> Layer | None:
    """The sizes of a convolution that can be transformed; None for others.

    Of integers only pairs of channels, without zero points: `onnx-decompose-integers` removes them.
    """
    data, weight = op.operands[:2]
    dims, kernel, result = (dims_of(v.type) for v in (data, weight, op.results[0]))
    if not isinstance(weight.owner, Const) or dims is None or kernel is None or result is None:
        return None
    strides, dilations = (set(op.get(name) or (1,)) for name in ("strides", "dilations"))
    if any(not is_none(zero) for zero in op.operands[2:] if op.OP_TYPE == "ConvInteger"):
        return None
    if len(kernel) != 4 or kernel[2:] != (TAPS, TAPS) or op.get("group") != 1:
        return None
    if len(dilations) != 1 or not (strides == {1} or (strides == {2} and dilations == {1})):
        return None
    outputs, channels = kernel[:2]
    assert isinstance(outputs, int) and isinstance(channels, int)
    is_integer = op.OP_TYPE == "ConvInteger"
    if is_integer:
        known = dtype_of(data.type) in (np.uint8, np.int8) and channels % PAIR == 0
    else:
        known = dtype_of(weight.type) == np.float32
    if not known or _pads(op) is None:
        return None
    numbers = INTEGERS if is_integer else FLOATS
    steps = strides.pop(), dilations.pop()
    return Layer(result[0], channels, outputs, result[2], result[3], *steps, numbers)


def _pads(op: OnnxOp) -> tuple[int, ...] | None:
    """The padding; None where it depends on sizes that only a run knows."""
    dims, kernel = dims_of(op.operands[0].type), dims_of(op.operands[1].type)
    assert dims is not None and kernel is not None
    before, after = resolve_pads(
        op.get("auto_pad"),
        dims[2:],
        kernel[2:],
        op.get("strides") or (1, 1),
        op.get("dilations") or (1, 1),
        op.get("pads"),
    )
    pads = (*before, *after)
    return pads if all(isinstance(pad, int) for pad in pads) else None  # type: ignore[return-value]
