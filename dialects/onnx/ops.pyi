# Written by `python -m dialects.onnx.stub` for onnx 1.23; do not edit.

from collections.abc import Sequence
from typing import Any, ClassVar

import onnx.defs
from xdsl.dialects.builtin import (
    ArrayAttr,
    BytesAttr,
    DenseArrayBase,
    IntegerAttr,
    StringAttr,
    SymbolRefAttr,
    UnitAttr,
)
from xdsl.ir import Attribute, Operation, OpResult, Region, SSAValue
from xdsl.irdl import IRDLOperation, VarOperand, VarOpResult, VarRegion

DOMAIN_PREFIX: dict[str, str]
AttrType = onnx.defs.OpSchema.AttrType
Variadic = onnx.defs.OpSchema.FormalParameterOption.Variadic

def python_value(attribute: Attribute) -> Any: ...
def text_attribute(text: bytes | str) -> StringAttr | BytesAttr: ...

class OnnxOp(IRDLOperation):
    DOMAIN: ClassVar[str]
    OP_TYPE: ClassVar[str]
    SINCE: ClassVar[int]
    SCHEMA: ClassVar[onnx.defs.OpSchema | None]
    INPUTS: ClassVar[tuple[str, ...]]
    OUTPUTS: ClassVar[tuple[str, ...]]
    DEFAULTS: ClassVar[dict[str, Any]]
    def get(self, name: str) -> Any: ...
    @property
    def node_name(self) -> str: ...

class NoValue(IRDLOperation):
    result: OpResult

class Const(IRDLOperation):
    value: Attribute
    result: OpResult
    def verify_(self) -> None: ...

class Symbols(IRDLOperation):
    tensor: SSAValue
    symbols: ArrayAttr[StringAttr]

class Content(OnnxOp):
    content: ArrayAttr[StringAttr]
    result: OpResult

class IndexRange(OnnxOp):
    indices: SSAValue
    tuples: UnitAttr | None
    result: OpResult

class CheckRange(IRDLOperation):
    range: SSAValue
    sizes: ArrayAttr[StringAttr]

class CheckCondition(IRDLOperation):
    condition: SSAValue
    expected: IntegerAttr
    reason: StringAttr

class Dispatch(IRDLOperation):
    callee: SymbolRefAttr
    symbols: ArrayAttr[StringAttr]
    inputs: VarOperand
    outputs: VarOpResult
    def __init__(
        self,
        callee: str,
        inputs: Sequence[SSAValue],
        types: Sequence[Attribute],
        symbols: ArrayAttr[StringAttr],
    ) -> None: ...

class Recurrence(OnnxOp):
    cell: StringAttr
    direction: StringAttr
    activations: ArrayAttr[StringAttr]
    alpha: ArrayAttr
    beta: ArrayAttr
    clip: Attribute | None
    layout: IntegerAttr | None
    input_forget: IntegerAttr | None
    gates: SSAValue
    recurrent: SSAValue
    recurrent_hidden: SSAValue
    recurrent_bias: SSAValue
    sequence_lens: SSAValue
    initial_h: SSAValue
    initial_c: SSAValue
    peepholes: SSAValue
    y: OpResult
    y_h: OpResult
    y_c: OpResult

class WinogradConv(OnnxOp):
    tile: IntegerAttr
    stride: IntegerAttr
    dilation: IntegerAttr
    block: IntegerAttr
    groups: IntegerAttr
    pads: DenseArrayBase
    data: SSAValue
    weight: SSAValue
    bias: SSAValue
    y: OpResult

class StrassenSums(OnnxOp):
    axis: IntegerAttr
    data: SSAValue
    sums: OpResult

class StrassenMatMul(OnnxOp):
    axis: IntegerAttr
    panel: IntegerAttr
    block: IntegerAttr
    head: IntegerAttr
    sums: SSAValue
    weight: SSAValue
    bias: SSAValue
    y: OpResult

class SplitMatMul(OnnxOp):
    panel: IntegerAttr
    lhs: SSAValue
    weight: SSAValue
    places: SSAValue
    rest: SSAValue
    y: OpResult

class Pack(OnnxOp):
    axis: IntegerAttr
    source: SSAValue
    result: OpResult

class Yield(IRDLOperation):
    values: VarOperand

class Custom(OnnxOp):
    domain: StringAttr
    op_type: StringAttr
    since: IntegerAttr
    region_names: ArrayAttr[StringAttr] | None
    inputs: VarOperand
    outputs: VarOpResult
    bodies: VarRegion
    def get(self, name: str) -> Any: ...

class Call(OnnxOp):
    callee: SymbolRefAttr
    inputs: VarOperand
    outputs: VarOpResult
    def get(self, name: str) -> Any: ...

def op_name(domain: str, op_type: str, since: int) -> str: ...
def class_fields(schema: onnx.defs.OpSchema) -> dict[str, tuple[str, str]]: ...
def class_of_schema_version(domain: str, op_type: str, since: int) -> type[OnnxOp]: ...
def since_version(domain: str, op_type: str, opset: int) -> int | None: ...
def known_operator(domain: str, op_type: str) -> bool: ...
def op_class(domain: str, op_type: str, opset: int) -> type[OnnxOp] | None: ...
def resolve(domain: str, op_type: str, opset: int) -> type[OnnxOp] | None: ...
def all_classes() -> list[type[Operation]]: ...

class Abs_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    consumed_inputs: Attribute | None  # INTS

class Abs_v6(OnnxOp):
    X: SSAValue
    Y: OpResult

class Abs_v13(OnnxOp):
    X: SSAValue
    Y: OpResult

class Acos_v7(OnnxOp):
    input: SSAValue
    output: OpResult

class Acos_v22(OnnxOp):
    input: SSAValue
    output: OpResult

class Acosh_v9(OnnxOp):
    input: SSAValue
    output: OpResult

class Acosh_v22(OnnxOp):
    input: SSAValue
    output: OpResult

class Add_v1(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult
    axis: Attribute | None  # INT
    broadcast: Attribute | None  # INT
    consumed_inputs: Attribute | None  # INTS

class Add_v6(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult
    axis: Attribute | None  # INT
    broadcast: Attribute | None  # INT

class Add_v7(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class Add_v13(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class Add_v14(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class AffineGrid_v20(OnnxOp):
    theta: SSAValue
    size: SSAValue
    grid: OpResult
    align_corners: Attribute | None  # INT

class And_v1(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult
    axis: Attribute | None  # INT
    broadcast: Attribute | None  # INT

class And_v7(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class ArgMax_v1(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axis: Attribute | None  # INT
    keepdims: Attribute | None  # INT

class ArgMax_v11(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axis: Attribute | None  # INT
    keepdims: Attribute | None  # INT

class ArgMax_v12(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axis: Attribute | None  # INT
    keepdims: Attribute | None  # INT
    select_last_index: Attribute | None  # INT

class ArgMax_v13(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axis: Attribute | None  # INT
    keepdims: Attribute | None  # INT
    select_last_index: Attribute | None  # INT

class ArgMin_v1(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axis: Attribute | None  # INT
    keepdims: Attribute | None  # INT

class ArgMin_v11(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axis: Attribute | None  # INT
    keepdims: Attribute | None  # INT

class ArgMin_v12(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axis: Attribute | None  # INT
    keepdims: Attribute | None  # INT
    select_last_index: Attribute | None  # INT

class ArgMin_v13(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axis: Attribute | None  # INT
    keepdims: Attribute | None  # INT
    select_last_index: Attribute | None  # INT

class Asin_v7(OnnxOp):
    input: SSAValue
    output: OpResult

class Asin_v22(OnnxOp):
    input: SSAValue
    output: OpResult

class Asinh_v9(OnnxOp):
    input: SSAValue
    output: OpResult

class Asinh_v22(OnnxOp):
    input: SSAValue
    output: OpResult

class Atan_v7(OnnxOp):
    input: SSAValue
    output: OpResult

class Atan_v22(OnnxOp):
    input: SSAValue
    output: OpResult

class Atanh_v9(OnnxOp):
    input: SSAValue
    output: OpResult

class Atanh_v22(OnnxOp):
    input: SSAValue
    output: OpResult

class Attention_v23(OnnxOp):
    Q: SSAValue
    K: SSAValue
    V: SSAValue
    attn_mask: SSAValue
    past_key: SSAValue
    past_value: SSAValue
    Y: OpResult
    present_key: OpResult
    present_value: OpResult
    qk_matmul_output: OpResult
    is_causal: Attribute | None  # INT
    kv_num_heads: Attribute | None  # INT
    q_num_heads: Attribute | None  # INT
    qk_matmul_output_mode: Attribute | None  # INT
    scale: Attribute | None  # FLOAT
    softcap: Attribute | None  # FLOAT
    softmax_precision: Attribute | None  # INT

class Attention_v24(OnnxOp):
    Q: SSAValue
    K: SSAValue
    V: SSAValue
    attn_mask: SSAValue
    past_key: SSAValue
    past_value: SSAValue
    nonpad_kv_seqlen: SSAValue
    Y: OpResult
    present_key: OpResult
    present_value: OpResult
    qk_matmul_output: OpResult
    is_causal: Attribute | None  # INT
    kv_num_heads: Attribute | None  # INT
    q_num_heads: Attribute | None  # INT
    qk_matmul_output_mode: Attribute | None  # INT
    scale: Attribute | None  # FLOAT
    softcap: Attribute | None  # FLOAT
    softmax_precision: Attribute | None  # INT

class Attention_v25(OnnxOp):
    Q: SSAValue
    K: SSAValue
    V: SSAValue
    attn_mask: SSAValue
    past_key: SSAValue
    past_value: SSAValue
    nonpad_kv_seqlen: SSAValue
    Y: OpResult
    present_key: OpResult
    present_value: OpResult
    qk_matmul_output: OpResult
    is_causal: Attribute | None  # INT
    kv_num_heads: Attribute | None  # INT
    left_window_size: Attribute | None  # INT
    q_num_heads: Attribute | None  # INT
    qk_matmul_output_mode: Attribute | None  # INT
    right_window_size: Attribute | None  # INT
    scale: Attribute | None  # FLOAT
    softcap: Attribute | None  # FLOAT
    softmax_precision: Attribute | None  # INT

class AveragePool_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    auto_pad: Attribute | None  # STRING
    kernel_shape: Attribute  # INTS
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class AveragePool_v7(OnnxOp):
    X: SSAValue
    Y: OpResult
    auto_pad: Attribute | None  # STRING
    count_include_pad: Attribute | None  # INT
    kernel_shape: Attribute  # INTS
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class AveragePool_v10(OnnxOp):
    X: SSAValue
    Y: OpResult
    auto_pad: Attribute | None  # STRING
    ceil_mode: Attribute | None  # INT
    count_include_pad: Attribute | None  # INT
    kernel_shape: Attribute  # INTS
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class AveragePool_v11(OnnxOp):
    X: SSAValue
    Y: OpResult
    auto_pad: Attribute | None  # STRING
    ceil_mode: Attribute | None  # INT
    count_include_pad: Attribute | None  # INT
    kernel_shape: Attribute  # INTS
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class AveragePool_v19(OnnxOp):
    X: SSAValue
    Y: OpResult
    auto_pad: Attribute | None  # STRING
    ceil_mode: Attribute | None  # INT
    count_include_pad: Attribute | None  # INT
    dilations: Attribute | None  # INTS
    kernel_shape: Attribute  # INTS
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class AveragePool_v22(OnnxOp):
    X: SSAValue
    Y: OpResult
    auto_pad: Attribute | None  # STRING
    ceil_mode: Attribute | None  # INT
    count_include_pad: Attribute | None  # INT
    dilations: Attribute | None  # INTS
    kernel_shape: Attribute  # INTS
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class BatchNormalization_v1(OnnxOp):
    X: SSAValue
    scale: SSAValue
    B: SSAValue
    mean: SSAValue
    var: SSAValue
    Y: OpResult
    mean_out: OpResult  # mean
    var_out: OpResult  # var
    saved_mean: OpResult
    saved_var: OpResult
    consumed_inputs: Attribute  # INTS
    epsilon: Attribute | None  # FLOAT
    is_test: Attribute | None  # INT
    momentum: Attribute | None  # FLOAT
    spatial: Attribute | None  # INT

class BatchNormalization_v6(OnnxOp):
    X: SSAValue
    scale: SSAValue
    B: SSAValue
    mean: SSAValue
    var: SSAValue
    Y: OpResult
    mean_out: OpResult  # mean
    var_out: OpResult  # var
    saved_mean: OpResult
    saved_var: OpResult
    epsilon: Attribute | None  # FLOAT
    is_test: Attribute | None  # INT
    momentum: Attribute | None  # FLOAT
    spatial: Attribute | None  # INT

class BatchNormalization_v7(OnnxOp):
    X: SSAValue
    scale: SSAValue
    B: SSAValue
    mean: SSAValue
    var: SSAValue
    Y: OpResult
    mean_out: OpResult  # mean
    var_out: OpResult  # var
    saved_mean: OpResult
    saved_var: OpResult
    epsilon: Attribute | None  # FLOAT
    momentum: Attribute | None  # FLOAT
    spatial: Attribute | None  # INT

class BatchNormalization_v9(OnnxOp):
    X: SSAValue
    scale: SSAValue
    B: SSAValue
    mean: SSAValue
    var: SSAValue
    Y: OpResult
    mean_out: OpResult  # mean
    var_out: OpResult  # var
    saved_mean: OpResult
    saved_var: OpResult
    epsilon: Attribute | None  # FLOAT
    momentum: Attribute | None  # FLOAT

class BatchNormalization_v14(OnnxOp):
    X: SSAValue
    scale: SSAValue
    B: SSAValue
    input_mean: SSAValue
    input_var: SSAValue
    Y: OpResult
    running_mean: OpResult
    running_var: OpResult
    epsilon: Attribute | None  # FLOAT
    momentum: Attribute | None  # FLOAT
    training_mode: Attribute | None  # INT

class BatchNormalization_v15(OnnxOp):
    X: SSAValue
    scale: SSAValue
    B: SSAValue
    input_mean: SSAValue
    input_var: SSAValue
    Y: OpResult
    running_mean: OpResult
    running_var: OpResult
    epsilon: Attribute | None  # FLOAT
    momentum: Attribute | None  # FLOAT
    training_mode: Attribute | None  # INT

class Bernoulli_v15(OnnxOp):
    input: SSAValue
    output: OpResult
    dtype: Attribute | None  # INT
    seed: Attribute | None  # FLOAT

class Bernoulli_v22(OnnxOp):
    input: SSAValue
    output: OpResult
    dtype: Attribute | None  # INT
    seed: Attribute | None  # FLOAT

class BitCast_v26(OnnxOp):
    input: SSAValue
    output: OpResult
    to: Attribute  # INT

class BitShift_v11(OnnxOp):
    X: SSAValue
    Y: SSAValue
    Z: OpResult
    direction: Attribute  # STRING

class BitShift_v28(OnnxOp):
    X: SSAValue
    Y: SSAValue
    Z: OpResult
    direction: Attribute  # STRING

class BitwiseAnd_v18(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class BitwiseNot_v18(OnnxOp):
    X: SSAValue
    Y: OpResult

class BitwiseOr_v18(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class BitwiseXor_v18(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class BlackmanWindow_v17(OnnxOp):
    size: SSAValue
    output: OpResult
    output_datatype: Attribute | None  # INT
    periodic: Attribute | None  # INT

class Cast_v1(OnnxOp):
    input: SSAValue
    output: OpResult
    to: Attribute  # STRING

class Cast_v6(OnnxOp):
    input: SSAValue
    output: OpResult
    to: Attribute  # INT

class Cast_v9(OnnxOp):
    input: SSAValue
    output: OpResult
    to: Attribute  # INT

class Cast_v13(OnnxOp):
    input: SSAValue
    output: OpResult
    to: Attribute  # INT

class Cast_v19(OnnxOp):
    input: SSAValue
    output: OpResult
    saturate: Attribute | None  # INT
    to: Attribute  # INT

class Cast_v21(OnnxOp):
    input: SSAValue
    output: OpResult
    saturate: Attribute | None  # INT
    to: Attribute  # INT

class Cast_v23(OnnxOp):
    input: SSAValue
    output: OpResult
    saturate: Attribute | None  # INT
    to: Attribute  # INT

class Cast_v24(OnnxOp):
    input: SSAValue
    output: OpResult
    round_mode: Attribute | None  # STRING
    saturate: Attribute | None  # INT
    to: Attribute  # INT

class Cast_v25(OnnxOp):
    input: SSAValue
    output: OpResult
    round_mode: Attribute | None  # STRING
    saturate: Attribute | None  # INT
    to: Attribute  # INT

class Cast_v28(OnnxOp):
    input: SSAValue
    output: OpResult
    round_mode: Attribute | None  # STRING
    saturate: Attribute | None  # INT
    to: Attribute  # INT

class CastLike_v15(OnnxOp):
    input: SSAValue
    target_type: SSAValue
    output: OpResult

class CastLike_v19(OnnxOp):
    input: SSAValue
    target_type: SSAValue
    output: OpResult
    saturate: Attribute | None  # INT

class CastLike_v21(OnnxOp):
    input: SSAValue
    target_type: SSAValue
    output: OpResult
    saturate: Attribute | None  # INT

class CastLike_v23(OnnxOp):
    input: SSAValue
    target_type: SSAValue
    output: OpResult
    saturate: Attribute | None  # INT

class CastLike_v24(OnnxOp):
    input: SSAValue
    target_type: SSAValue
    output: OpResult
    round_mode: Attribute | None  # STRING
    saturate: Attribute | None  # INT

class CastLike_v25(OnnxOp):
    input: SSAValue
    target_type: SSAValue
    output: OpResult
    round_mode: Attribute | None  # STRING
    saturate: Attribute | None  # INT

class CausalConvWithState_v27(OnnxOp):
    input: SSAValue
    weight: SSAValue
    bias: SSAValue
    past_state: SSAValue
    output: OpResult
    present_state: OpResult
    activation: Attribute | None  # STRING

class Ceil_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    consumed_inputs: Attribute | None  # INTS

class Ceil_v6(OnnxOp):
    X: SSAValue
    Y: OpResult

class Ceil_v13(OnnxOp):
    X: SSAValue
    Y: OpResult

class Celu_v12(OnnxOp):
    X: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT

class Celu_v28(OnnxOp):
    X: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT

class CenterCropPad_v18(OnnxOp):
    input_data: SSAValue
    shape: SSAValue
    output_data: OpResult
    axes: Attribute | None  # INTS

class Clip_v1(OnnxOp):
    input: SSAValue
    output: OpResult
    consumed_inputs: Attribute | None  # INTS
    max: Attribute | None  # FLOAT
    min: Attribute | None  # FLOAT

class Clip_v6(OnnxOp):
    input: SSAValue
    output: OpResult
    max: Attribute | None  # FLOAT
    min: Attribute | None  # FLOAT

class Clip_v11(OnnxOp):
    input: SSAValue
    min: SSAValue
    max: SSAValue
    output: OpResult

class Clip_v12(OnnxOp):
    input: SSAValue
    min: SSAValue
    max: SSAValue
    output: OpResult

class Clip_v13(OnnxOp):
    input: SSAValue
    min: SSAValue
    max: SSAValue
    output: OpResult

class Col2Im_v18(OnnxOp):
    input: SSAValue
    image_shape: SSAValue
    block_shape: SSAValue
    output: OpResult
    dilations: Attribute | None  # INTS
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class Compress_v9(OnnxOp):
    input: SSAValue
    condition: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class Compress_v11(OnnxOp):
    input: SSAValue
    condition: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class Compress_v28(OnnxOp):
    input: SSAValue
    condition: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class Concat_v1(OnnxOp):
    inputs: VarOperand
    concat_result: OpResult
    axis: Attribute | None  # INT

class Concat_v4(OnnxOp):
    inputs: VarOperand
    concat_result: OpResult
    axis: Attribute  # INT

class Concat_v11(OnnxOp):
    inputs: VarOperand
    concat_result: OpResult
    axis: Attribute  # INT

class Concat_v13(OnnxOp):
    inputs: VarOperand
    concat_result: OpResult
    axis: Attribute  # INT

class ConcatFromSequence_v11(OnnxOp):
    input_sequence: SSAValue
    concat_result: OpResult
    axis: Attribute  # INT
    new_axis: Attribute | None  # INT

class Constant_v1(OnnxOp):
    output: OpResult
    value: Attribute  # TENSOR

class Constant_v9(OnnxOp):
    output: OpResult
    value: Attribute  # TENSOR

class Constant_v11(OnnxOp):
    output: OpResult
    sparse_value: Attribute | None  # SPARSE_TENSOR
    value: Attribute | None  # TENSOR

class Constant_v12(OnnxOp):
    output: OpResult
    sparse_value: Attribute | None  # SPARSE_TENSOR
    value: Attribute | None  # TENSOR
    value_float: Attribute | None  # FLOAT
    value_floats: Attribute | None  # FLOATS
    value_int: Attribute | None  # INT
    value_ints: Attribute | None  # INTS
    value_string: Attribute | None  # STRING
    value_strings: Attribute | None  # STRINGS

class Constant_v13(OnnxOp):
    output: OpResult
    sparse_value: Attribute | None  # SPARSE_TENSOR
    value: Attribute | None  # TENSOR
    value_float: Attribute | None  # FLOAT
    value_floats: Attribute | None  # FLOATS
    value_int: Attribute | None  # INT
    value_ints: Attribute | None  # INTS
    value_string: Attribute | None  # STRING
    value_strings: Attribute | None  # STRINGS

class Constant_v19(OnnxOp):
    output: OpResult
    sparse_value: Attribute | None  # SPARSE_TENSOR
    value: Attribute | None  # TENSOR
    value_float: Attribute | None  # FLOAT
    value_floats: Attribute | None  # FLOATS
    value_int: Attribute | None  # INT
    value_ints: Attribute | None  # INTS
    value_string: Attribute | None  # STRING
    value_strings: Attribute | None  # STRINGS

class Constant_v21(OnnxOp):
    output: OpResult
    sparse_value: Attribute | None  # SPARSE_TENSOR
    value: Attribute | None  # TENSOR
    value_float: Attribute | None  # FLOAT
    value_floats: Attribute | None  # FLOATS
    value_int: Attribute | None  # INT
    value_ints: Attribute | None  # INTS
    value_string: Attribute | None  # STRING
    value_strings: Attribute | None  # STRINGS

class Constant_v23(OnnxOp):
    output: OpResult
    sparse_value: Attribute | None  # SPARSE_TENSOR
    value: Attribute | None  # TENSOR
    value_float: Attribute | None  # FLOAT
    value_floats: Attribute | None  # FLOATS
    value_int: Attribute | None  # INT
    value_ints: Attribute | None  # INTS
    value_string: Attribute | None  # STRING
    value_strings: Attribute | None  # STRINGS

class Constant_v24(OnnxOp):
    output: OpResult
    sparse_value: Attribute | None  # SPARSE_TENSOR
    value: Attribute | None  # TENSOR
    value_float: Attribute | None  # FLOAT
    value_floats: Attribute | None  # FLOATS
    value_int: Attribute | None  # INT
    value_ints: Attribute | None  # INTS
    value_string: Attribute | None  # STRING
    value_strings: Attribute | None  # STRINGS

class Constant_v25(OnnxOp):
    output: OpResult
    sparse_value: Attribute | None  # SPARSE_TENSOR
    value: Attribute | None  # TENSOR
    value_float: Attribute | None  # FLOAT
    value_floats: Attribute | None  # FLOATS
    value_int: Attribute | None  # INT
    value_ints: Attribute | None  # INTS
    value_string: Attribute | None  # STRING
    value_strings: Attribute | None  # STRINGS

class ConstantOfShape_v9(OnnxOp):
    input: SSAValue
    output: OpResult
    value: Attribute | None  # TENSOR

class ConstantOfShape_v20(OnnxOp):
    input: SSAValue
    output: OpResult
    value: Attribute | None  # TENSOR

class ConstantOfShape_v21(OnnxOp):
    input: SSAValue
    output: OpResult
    value: Attribute | None  # TENSOR

class ConstantOfShape_v23(OnnxOp):
    input: SSAValue
    output: OpResult
    value: Attribute | None  # TENSOR

class ConstantOfShape_v24(OnnxOp):
    input: SSAValue
    output: OpResult
    value: Attribute | None  # TENSOR

class ConstantOfShape_v25(OnnxOp):
    input: SSAValue
    output: OpResult
    value: Attribute | None  # TENSOR

class Conv_v1(OnnxOp):
    X: SSAValue
    W: SSAValue
    B: SSAValue
    Y: OpResult
    auto_pad: Attribute | None  # STRING
    dilations: Attribute | None  # INTS
    group: Attribute | None  # INT
    kernel_shape: Attribute | None  # INTS
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class Conv_v11(OnnxOp):
    X: SSAValue
    W: SSAValue
    B: SSAValue
    Y: OpResult
    auto_pad: Attribute | None  # STRING
    dilations: Attribute | None  # INTS
    group: Attribute | None  # INT
    kernel_shape: Attribute | None  # INTS
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class Conv_v22(OnnxOp):
    X: SSAValue
    W: SSAValue
    B: SSAValue
    Y: OpResult
    auto_pad: Attribute | None  # STRING
    dilations: Attribute | None  # INTS
    group: Attribute | None  # INT
    kernel_shape: Attribute | None  # INTS
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class ConvInteger_v10(OnnxOp):
    x: SSAValue
    w: SSAValue
    x_zero_point: SSAValue
    w_zero_point: SSAValue
    y: OpResult
    auto_pad: Attribute | None  # STRING
    dilations: Attribute | None  # INTS
    group: Attribute | None  # INT
    kernel_shape: Attribute | None  # INTS
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class ConvTranspose_v1(OnnxOp):
    X: SSAValue
    W: SSAValue
    B: SSAValue
    Y: OpResult
    auto_pad: Attribute | None  # STRING
    dilations: Attribute | None  # INTS
    group: Attribute | None  # INT
    kernel_shape: Attribute | None  # INTS
    output_padding: Attribute | None  # INTS
    output_shape: Attribute | None  # INTS
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class ConvTranspose_v11(OnnxOp):
    X: SSAValue
    W: SSAValue
    B: SSAValue
    Y: OpResult
    auto_pad: Attribute | None  # STRING
    dilations: Attribute | None  # INTS
    group: Attribute | None  # INT
    kernel_shape: Attribute | None  # INTS
    output_padding: Attribute | None  # INTS
    output_shape: Attribute | None  # INTS
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class ConvTranspose_v22(OnnxOp):
    X: SSAValue
    W: SSAValue
    B: SSAValue
    Y: OpResult
    auto_pad: Attribute | None  # STRING
    dilations: Attribute | None  # INTS
    group: Attribute | None  # INT
    kernel_shape: Attribute | None  # INTS
    output_padding: Attribute | None  # INTS
    output_shape: Attribute | None  # INTS
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class Cos_v7(OnnxOp):
    input: SSAValue
    output: OpResult

class Cos_v22(OnnxOp):
    input: SSAValue
    output: OpResult

class Cosh_v9(OnnxOp):
    input: SSAValue
    output: OpResult

class Cosh_v22(OnnxOp):
    input: SSAValue
    output: OpResult

class CumProd_v26(OnnxOp):
    x: SSAValue
    axis: SSAValue
    y: OpResult
    exclusive: Attribute | None  # INT
    reverse: Attribute | None  # INT

class CumSum_v11(OnnxOp):
    x: SSAValue
    axis: SSAValue
    y: OpResult
    exclusive: Attribute | None  # INT
    reverse: Attribute | None  # INT

class CumSum_v14(OnnxOp):
    x: SSAValue
    axis: SSAValue
    y: OpResult
    exclusive: Attribute | None  # INT
    reverse: Attribute | None  # INT

class DFT_v17(OnnxOp):
    input: SSAValue
    dft_length: SSAValue
    output: OpResult
    axis: Attribute | None  # INT
    inverse: Attribute | None  # INT
    onesided: Attribute | None  # INT

class DFT_v20(OnnxOp):
    input: SSAValue
    dft_length: SSAValue
    axis: SSAValue
    output: OpResult
    inverse: Attribute | None  # INT
    onesided: Attribute | None  # INT

class DeformConv_v19(OnnxOp):
    X: SSAValue
    W: SSAValue
    offset: SSAValue
    B: SSAValue
    mask: SSAValue
    Y: OpResult
    dilations: Attribute | None  # INTS
    group: Attribute | None  # INT
    kernel_shape: Attribute | None  # INTS
    offset_group: Attribute | None  # INT
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class DeformConv_v22(OnnxOp):
    X: SSAValue
    W: SSAValue
    offset: SSAValue
    B: SSAValue
    mask: SSAValue
    Y: OpResult
    dilations: Attribute | None  # INTS
    group: Attribute | None  # INT
    kernel_shape: Attribute | None  # INTS
    offset_group: Attribute | None  # INT
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class DepthToSpace_v1(OnnxOp):
    input: SSAValue
    output: OpResult
    blocksize: Attribute  # INT

class DepthToSpace_v11(OnnxOp):
    input: SSAValue
    output: OpResult
    blocksize: Attribute  # INT
    mode: Attribute | None  # STRING

class DepthToSpace_v13(OnnxOp):
    input: SSAValue
    output: OpResult
    blocksize: Attribute  # INT
    mode: Attribute | None  # STRING

class DepthToSpace_v28(OnnxOp):
    input: SSAValue
    output: OpResult
    blocksize: Attribute  # INT
    mode: Attribute | None  # STRING

class DequantizeLinear_v10(OnnxOp):
    x: SSAValue
    x_scale: SSAValue
    x_zero_point: SSAValue
    y: OpResult

class DequantizeLinear_v13(OnnxOp):
    x: SSAValue
    x_scale: SSAValue
    x_zero_point: SSAValue
    y: OpResult
    axis: Attribute | None  # INT

class DequantizeLinear_v19(OnnxOp):
    x: SSAValue
    x_scale: SSAValue
    x_zero_point: SSAValue
    y: OpResult
    axis: Attribute | None  # INT

class DequantizeLinear_v21(OnnxOp):
    x: SSAValue
    x_scale: SSAValue
    x_zero_point: SSAValue
    y: OpResult
    axis: Attribute | None  # INT
    block_size: Attribute | None  # INT

class DequantizeLinear_v23(OnnxOp):
    x: SSAValue
    x_scale: SSAValue
    x_zero_point: SSAValue
    y: OpResult
    axis: Attribute | None  # INT
    block_size: Attribute | None  # INT
    output_dtype: Attribute | None  # INT

class DequantizeLinear_v24(OnnxOp):
    x: SSAValue
    x_scale: SSAValue
    x_zero_point: SSAValue
    y: OpResult
    axis: Attribute | None  # INT
    block_size: Attribute | None  # INT
    output_dtype: Attribute | None  # INT

class DequantizeLinear_v25(OnnxOp):
    x: SSAValue
    x_scale: SSAValue
    x_zero_point: SSAValue
    y: OpResult
    axis: Attribute | None  # INT
    block_size: Attribute | None  # INT
    output_dtype: Attribute | None  # INT

class DequantizeLinear_v28(OnnxOp):
    x: SSAValue
    x_scale: SSAValue
    x_zero_point: SSAValue
    y: OpResult
    axis: Attribute | None  # INT
    block_size: Attribute | None  # INT
    output_dtype: Attribute | None  # INT

class Det_v11(OnnxOp):
    X: SSAValue
    Y: OpResult

class Det_v22(OnnxOp):
    X: SSAValue
    Y: OpResult

class Div_v1(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult
    axis: Attribute | None  # INT
    broadcast: Attribute | None  # INT
    consumed_inputs: Attribute | None  # INTS

class Div_v6(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult
    axis: Attribute | None  # INT
    broadcast: Attribute | None  # INT

class Div_v7(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class Div_v13(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class Div_v14(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class Dropout_v1(OnnxOp):
    data: SSAValue
    output: OpResult
    mask: OpResult
    consumed_inputs: Attribute | None  # INTS
    is_test: Attribute | None  # INT
    ratio: Attribute | None  # FLOAT

class Dropout_v6(OnnxOp):
    data: SSAValue
    output: OpResult
    mask: OpResult
    is_test: Attribute | None  # INT
    ratio: Attribute | None  # FLOAT

class Dropout_v7(OnnxOp):
    data: SSAValue
    output: OpResult
    mask: OpResult
    ratio: Attribute | None  # FLOAT

class Dropout_v10(OnnxOp):
    data: SSAValue
    output: OpResult
    mask: OpResult
    ratio: Attribute | None  # FLOAT

class Dropout_v12(OnnxOp):
    data: SSAValue
    ratio: SSAValue
    training_mode: SSAValue
    output: OpResult
    mask: OpResult
    seed: Attribute | None  # INT

class Dropout_v13(OnnxOp):
    data: SSAValue
    ratio: SSAValue
    training_mode: SSAValue
    output: OpResult
    mask: OpResult
    seed: Attribute | None  # INT

class Dropout_v22(OnnxOp):
    data: SSAValue
    ratio: SSAValue
    training_mode: SSAValue
    output: OpResult
    mask: OpResult
    seed: Attribute | None  # INT

class DynamicQuantizeLinear_v11(OnnxOp):
    x: SSAValue
    y: OpResult
    y_scale: OpResult
    y_zero_point: OpResult

class Einsum_v12(OnnxOp):
    Inputs: VarOperand
    Output: OpResult
    equation: Attribute  # STRING

class Einsum_v28(OnnxOp):
    Inputs: VarOperand
    Output: OpResult
    equation: Attribute  # STRING

class Elu_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT
    consumed_inputs: Attribute | None  # INTS

class Elu_v6(OnnxOp):
    X: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT

class Elu_v22(OnnxOp):
    X: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT

class Equal_v1(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult
    axis: Attribute | None  # INT
    broadcast: Attribute | None  # INT

class Equal_v7(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class Equal_v11(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class Equal_v13(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class Equal_v19(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class Erf_v9(OnnxOp):
    input: SSAValue
    output: OpResult

class Erf_v13(OnnxOp):
    input: SSAValue
    output: OpResult

class Exp_v1(OnnxOp):
    input: SSAValue
    output: OpResult
    consumed_inputs: Attribute | None  # INTS

class Exp_v6(OnnxOp):
    input: SSAValue
    output: OpResult

class Exp_v13(OnnxOp):
    input: SSAValue
    output: OpResult

class Expand_v8(OnnxOp):
    input: SSAValue
    shape: SSAValue
    output: OpResult

class Expand_v13(OnnxOp):
    input: SSAValue
    shape: SSAValue
    output: OpResult

class EyeLike_v9(OnnxOp):
    input: SSAValue
    output: OpResult
    dtype: Attribute | None  # INT
    k: Attribute | None  # INT

class EyeLike_v22(OnnxOp):
    input: SSAValue
    output: OpResult
    dtype: Attribute | None  # INT
    k: Attribute | None  # INT

class Flatten_v1(OnnxOp):
    input: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class Flatten_v9(OnnxOp):
    input: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class Flatten_v11(OnnxOp):
    input: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class Flatten_v13(OnnxOp):
    input: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class Flatten_v21(OnnxOp):
    input: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class Flatten_v23(OnnxOp):
    input: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class Flatten_v24(OnnxOp):
    input: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class Flatten_v25(OnnxOp):
    input: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class Floor_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    consumed_inputs: Attribute | None  # INTS

class Floor_v6(OnnxOp):
    X: SSAValue
    Y: OpResult

class Floor_v13(OnnxOp):
    X: SSAValue
    Y: OpResult

class GRU_v1(OnnxOp):
    X: SSAValue
    W: SSAValue
    R: SSAValue
    B: SSAValue
    sequence_lens: SSAValue
    initial_h: SSAValue
    Y: OpResult
    Y_h: OpResult
    activation_alpha: Attribute | None  # FLOATS
    activation_beta: Attribute | None  # FLOATS
    activations: Attribute | None  # STRINGS
    clip: Attribute | None  # FLOAT
    direction: Attribute | None  # STRING
    hidden_size: Attribute | None  # INT
    output_sequence: Attribute | None  # INT

class GRU_v3(OnnxOp):
    X: SSAValue
    W: SSAValue
    R: SSAValue
    B: SSAValue
    sequence_lens: SSAValue
    initial_h: SSAValue
    Y: OpResult
    Y_h: OpResult
    activation_alpha: Attribute | None  # FLOATS
    activation_beta: Attribute | None  # FLOATS
    activations: Attribute | None  # STRINGS
    clip: Attribute | None  # FLOAT
    direction: Attribute | None  # STRING
    hidden_size: Attribute | None  # INT
    linear_before_reset: Attribute | None  # INT
    output_sequence: Attribute | None  # INT

class GRU_v7(OnnxOp):
    X: SSAValue
    W: SSAValue
    R: SSAValue
    B: SSAValue
    sequence_lens: SSAValue
    initial_h: SSAValue
    Y: OpResult
    Y_h: OpResult
    activation_alpha: Attribute | None  # FLOATS
    activation_beta: Attribute | None  # FLOATS
    activations: Attribute | None  # STRINGS
    clip: Attribute | None  # FLOAT
    direction: Attribute | None  # STRING
    hidden_size: Attribute | None  # INT
    linear_before_reset: Attribute | None  # INT

class GRU_v14(OnnxOp):
    X: SSAValue
    W: SSAValue
    R: SSAValue
    B: SSAValue
    sequence_lens: SSAValue
    initial_h: SSAValue
    Y: OpResult
    Y_h: OpResult
    activation_alpha: Attribute | None  # FLOATS
    activation_beta: Attribute | None  # FLOATS
    activations: Attribute | None  # STRINGS
    clip: Attribute | None  # FLOAT
    direction: Attribute | None  # STRING
    hidden_size: Attribute | None  # INT
    layout: Attribute | None  # INT
    linear_before_reset: Attribute | None  # INT

class GRU_v22(OnnxOp):
    X: SSAValue
    W: SSAValue
    R: SSAValue
    B: SSAValue
    sequence_lens: SSAValue
    initial_h: SSAValue
    Y: OpResult
    Y_h: OpResult
    activation_alpha: Attribute | None  # FLOATS
    activation_beta: Attribute | None  # FLOATS
    activations: Attribute | None  # STRINGS
    clip: Attribute | None  # FLOAT
    direction: Attribute | None  # STRING
    hidden_size: Attribute | None  # INT
    layout: Attribute | None  # INT
    linear_before_reset: Attribute | None  # INT

class Gather_v1(OnnxOp):
    data: SSAValue
    indices: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class Gather_v11(OnnxOp):
    data: SSAValue
    indices: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class Gather_v13(OnnxOp):
    data: SSAValue
    indices: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class GatherElements_v11(OnnxOp):
    data: SSAValue
    indices: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class GatherElements_v13(OnnxOp):
    data: SSAValue
    indices: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class GatherND_v11(OnnxOp):
    data: SSAValue
    indices: SSAValue
    output: OpResult

class GatherND_v12(OnnxOp):
    data: SSAValue
    indices: SSAValue
    output: OpResult
    batch_dims: Attribute | None  # INT

class GatherND_v13(OnnxOp):
    data: SSAValue
    indices: SSAValue
    output: OpResult
    batch_dims: Attribute | None  # INT

class Gelu_v20(OnnxOp):
    X: SSAValue
    Y: OpResult
    approximate: Attribute | None  # STRING

class Gemm_v1(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT
    beta: Attribute | None  # FLOAT
    broadcast: Attribute | None  # INT
    transA: Attribute | None  # INT
    transB: Attribute | None  # INT

class Gemm_v6(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT
    beta: Attribute | None  # FLOAT
    broadcast: Attribute | None  # INT
    transA: Attribute | None  # INT
    transB: Attribute | None  # INT

class Gemm_v7(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT
    beta: Attribute | None  # FLOAT
    transA: Attribute | None  # INT
    transB: Attribute | None  # INT

class Gemm_v9(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT
    beta: Attribute | None  # FLOAT
    transA: Attribute | None  # INT
    transB: Attribute | None  # INT

class Gemm_v11(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT
    beta: Attribute | None  # FLOAT
    transA: Attribute | None  # INT
    transB: Attribute | None  # INT

class Gemm_v13(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT
    beta: Attribute | None  # FLOAT
    transA: Attribute | None  # INT
    transB: Attribute | None  # INT

class GlobalAveragePool_v1(OnnxOp):
    X: SSAValue
    Y: OpResult

class GlobalAveragePool_v22(OnnxOp):
    X: SSAValue
    Y: OpResult

class GlobalLpPool_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    p: Attribute | None  # FLOAT

class GlobalLpPool_v2(OnnxOp):
    X: SSAValue
    Y: OpResult
    p: Attribute | None  # INT

class GlobalLpPool_v22(OnnxOp):
    X: SSAValue
    Y: OpResult
    p: Attribute | None  # INT

class GlobalMaxPool_v1(OnnxOp):
    X: SSAValue
    Y: OpResult

class GlobalMaxPool_v22(OnnxOp):
    X: SSAValue
    Y: OpResult

class Greater_v1(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult
    axis: Attribute | None  # INT
    broadcast: Attribute | None  # INT

class Greater_v7(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class Greater_v9(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class Greater_v13(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class GreaterOrEqual_v12(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class GreaterOrEqual_v16(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class GridSample_v16(OnnxOp):
    X: SSAValue
    grid: SSAValue
    Y: OpResult
    align_corners: Attribute | None  # INT
    mode: Attribute | None  # STRING
    padding_mode: Attribute | None  # STRING

class GridSample_v20(OnnxOp):
    X: SSAValue
    grid: SSAValue
    Y: OpResult
    align_corners: Attribute | None  # INT
    mode: Attribute | None  # STRING
    padding_mode: Attribute | None  # STRING

class GridSample_v22(OnnxOp):
    X: SSAValue
    grid: SSAValue
    Y: OpResult
    align_corners: Attribute | None  # INT
    mode: Attribute | None  # STRING
    padding_mode: Attribute | None  # STRING

class GroupNormalization_v18(OnnxOp):
    X: SSAValue
    scale: SSAValue
    bias: SSAValue
    Y: OpResult
    epsilon: Attribute | None  # FLOAT
    num_groups: Attribute  # INT

class GroupNormalization_v21(OnnxOp):
    X: SSAValue
    scale: SSAValue
    bias: SSAValue
    Y: OpResult
    epsilon: Attribute | None  # FLOAT
    num_groups: Attribute  # INT
    stash_type: Attribute | None  # INT

class HammingWindow_v17(OnnxOp):
    size: SSAValue
    output: OpResult
    output_datatype: Attribute | None  # INT
    periodic: Attribute | None  # INT

class HannWindow_v17(OnnxOp):
    size: SSAValue
    output: OpResult
    output_datatype: Attribute | None  # INT
    periodic: Attribute | None  # INT

class HardSigmoid_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT
    beta: Attribute | None  # FLOAT
    consumed_inputs: Attribute | None  # INTS

class HardSigmoid_v6(OnnxOp):
    X: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT
    beta: Attribute | None  # FLOAT

class HardSigmoid_v22(OnnxOp):
    X: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT
    beta: Attribute | None  # FLOAT

class HardSwish_v14(OnnxOp):
    X: SSAValue
    Y: OpResult

class HardSwish_v22(OnnxOp):
    X: SSAValue
    Y: OpResult

class Hardmax_v1(OnnxOp):
    input: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class Hardmax_v11(OnnxOp):
    input: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class Hardmax_v13(OnnxOp):
    input: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class Identity_v1(OnnxOp):
    input: SSAValue
    output: OpResult

class Identity_v13(OnnxOp):
    input: SSAValue
    output: OpResult

class Identity_v14(OnnxOp):
    input: SSAValue
    output: OpResult

class Identity_v16(OnnxOp):
    input: SSAValue
    output: OpResult

class Identity_v19(OnnxOp):
    input: SSAValue
    output: OpResult

class Identity_v21(OnnxOp):
    input: SSAValue
    output: OpResult

class Identity_v23(OnnxOp):
    input: SSAValue
    output: OpResult

class Identity_v24(OnnxOp):
    input: SSAValue
    output: OpResult

class Identity_v25(OnnxOp):
    input: SSAValue
    output: OpResult

class If_v1(OnnxOp):
    cond: SSAValue
    outputs: VarOpResult
    else_branch: Region
    then_branch: Region

class If_v11(OnnxOp):
    cond: SSAValue
    outputs: VarOpResult
    else_branch: Region
    then_branch: Region

class If_v13(OnnxOp):
    cond: SSAValue
    outputs: VarOpResult
    else_branch: Region
    then_branch: Region

class If_v16(OnnxOp):
    cond: SSAValue
    outputs: VarOpResult
    else_branch: Region
    then_branch: Region

class If_v19(OnnxOp):
    cond: SSAValue
    outputs: VarOpResult
    else_branch: Region
    then_branch: Region

class If_v21(OnnxOp):
    cond: SSAValue
    outputs: VarOpResult
    else_branch: Region
    then_branch: Region

class If_v23(OnnxOp):
    cond: SSAValue
    outputs: VarOpResult
    else_branch: Region
    then_branch: Region

class If_v24(OnnxOp):
    cond: SSAValue
    outputs: VarOpResult
    else_branch: Region
    then_branch: Region

class If_v25(OnnxOp):
    cond: SSAValue
    outputs: VarOpResult
    else_branch: Region
    then_branch: Region

class ImageDecoder_v20(OnnxOp):
    encoded_stream: SSAValue
    image: OpResult
    pixel_format: Attribute | None  # STRING

class InstanceNormalization_v1(OnnxOp):
    input: SSAValue
    scale: SSAValue
    B: SSAValue
    output: OpResult
    consumed_inputs: Attribute | None  # INTS
    epsilon: Attribute | None  # FLOAT

class InstanceNormalization_v6(OnnxOp):
    input: SSAValue
    scale: SSAValue
    B: SSAValue
    output: OpResult
    epsilon: Attribute | None  # FLOAT

class InstanceNormalization_v22(OnnxOp):
    input: SSAValue
    scale: SSAValue
    B: SSAValue
    output: OpResult
    epsilon: Attribute | None  # FLOAT

class IsInf_v10(OnnxOp):
    X: SSAValue
    Y: OpResult
    detect_negative: Attribute | None  # INT
    detect_positive: Attribute | None  # INT

class IsInf_v20(OnnxOp):
    X: SSAValue
    Y: OpResult
    detect_negative: Attribute | None  # INT
    detect_positive: Attribute | None  # INT

class IsNaN_v9(OnnxOp):
    X: SSAValue
    Y: OpResult

class IsNaN_v13(OnnxOp):
    X: SSAValue
    Y: OpResult

class IsNaN_v20(OnnxOp):
    X: SSAValue
    Y: OpResult

class LRN_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT
    beta: Attribute | None  # FLOAT
    bias: Attribute | None  # FLOAT
    size: Attribute  # INT

class LRN_v13(OnnxOp):
    X: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT
    beta: Attribute | None  # FLOAT
    bias: Attribute | None  # FLOAT
    size: Attribute  # INT

class LSTM_v1(OnnxOp):
    X: SSAValue
    W: SSAValue
    R: SSAValue
    B: SSAValue
    sequence_lens: SSAValue
    initial_h: SSAValue
    initial_c: SSAValue
    P: SSAValue
    Y: OpResult
    Y_h: OpResult
    Y_c: OpResult
    activation_alpha: Attribute | None  # FLOATS
    activation_beta: Attribute | None  # FLOATS
    activations: Attribute | None  # STRINGS
    clip: Attribute | None  # FLOAT
    direction: Attribute | None  # STRING
    hidden_size: Attribute | None  # INT
    input_forget: Attribute | None  # INT
    output_sequence: Attribute | None  # INT

class LSTM_v7(OnnxOp):
    X: SSAValue
    W: SSAValue
    R: SSAValue
    B: SSAValue
    sequence_lens: SSAValue
    initial_h: SSAValue
    initial_c: SSAValue
    P: SSAValue
    Y: OpResult
    Y_h: OpResult
    Y_c: OpResult
    activation_alpha: Attribute | None  # FLOATS
    activation_beta: Attribute | None  # FLOATS
    activations: Attribute | None  # STRINGS
    clip: Attribute | None  # FLOAT
    direction: Attribute | None  # STRING
    hidden_size: Attribute | None  # INT
    input_forget: Attribute | None  # INT

class LSTM_v14(OnnxOp):
    X: SSAValue
    W: SSAValue
    R: SSAValue
    B: SSAValue
    sequence_lens: SSAValue
    initial_h: SSAValue
    initial_c: SSAValue
    P: SSAValue
    Y: OpResult
    Y_h: OpResult
    Y_c: OpResult
    activation_alpha: Attribute | None  # FLOATS
    activation_beta: Attribute | None  # FLOATS
    activations: Attribute | None  # STRINGS
    clip: Attribute | None  # FLOAT
    direction: Attribute | None  # STRING
    hidden_size: Attribute | None  # INT
    input_forget: Attribute | None  # INT
    layout: Attribute | None  # INT

class LSTM_v22(OnnxOp):
    X: SSAValue
    W: SSAValue
    R: SSAValue
    B: SSAValue
    sequence_lens: SSAValue
    initial_h: SSAValue
    initial_c: SSAValue
    P: SSAValue
    Y: OpResult
    Y_h: OpResult
    Y_c: OpResult
    activation_alpha: Attribute | None  # FLOATS
    activation_beta: Attribute | None  # FLOATS
    activations: Attribute | None  # STRINGS
    clip: Attribute | None  # FLOAT
    direction: Attribute | None  # STRING
    hidden_size: Attribute | None  # INT
    input_forget: Attribute | None  # INT
    layout: Attribute | None  # INT

class LayerNormalization_v17(OnnxOp):
    X: SSAValue
    Scale: SSAValue
    B: SSAValue
    Y: OpResult
    Mean: OpResult
    InvStdDev: OpResult
    axis: Attribute | None  # INT
    epsilon: Attribute | None  # FLOAT
    stash_type: Attribute | None  # INT

class LeakyRelu_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT
    consumed_inputs: Attribute | None  # INTS

class LeakyRelu_v6(OnnxOp):
    X: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT

class LeakyRelu_v16(OnnxOp):
    X: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT

class Less_v1(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult
    axis: Attribute | None  # INT
    broadcast: Attribute | None  # INT

class Less_v7(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class Less_v9(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class Less_v13(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class LessOrEqual_v12(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class LessOrEqual_v16(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class LinearAttention_v27(OnnxOp):
    query: SSAValue
    key: SSAValue
    value: SSAValue
    past_state: SSAValue
    decay: SSAValue
    beta: SSAValue
    output: OpResult
    present_state: OpResult
    chunk_size: Attribute | None  # INT
    kv_num_heads: Attribute  # INT
    q_num_heads: Attribute  # INT
    scale: Attribute | None  # FLOAT
    update_rule: Attribute | None  # STRING

class Log_v1(OnnxOp):
    input: SSAValue
    output: OpResult
    consumed_inputs: Attribute | None  # INTS

class Log_v6(OnnxOp):
    input: SSAValue
    output: OpResult

class Log_v13(OnnxOp):
    input: SSAValue
    output: OpResult

class LogSoftmax_v1(OnnxOp):
    input: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class LogSoftmax_v11(OnnxOp):
    input: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class LogSoftmax_v13(OnnxOp):
    input: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class Loop_v1(OnnxOp):
    M: SSAValue
    cond: SSAValue
    v_initial: VarOperand
    v_final_and_scan_outputs: VarOpResult
    body: Region

class Loop_v11(OnnxOp):
    M: SSAValue
    cond: SSAValue
    v_initial: VarOperand
    v_final_and_scan_outputs: VarOpResult
    body: Region

class Loop_v13(OnnxOp):
    M: SSAValue
    cond: SSAValue
    v_initial: VarOperand
    v_final_and_scan_outputs: VarOpResult
    body: Region

class Loop_v16(OnnxOp):
    M: SSAValue
    cond: SSAValue
    v_initial: VarOperand
    v_final_and_scan_outputs: VarOpResult
    body: Region

class Loop_v19(OnnxOp):
    M: SSAValue
    cond: SSAValue
    v_initial: VarOperand
    v_final_and_scan_outputs: VarOpResult
    body: Region

class Loop_v21(OnnxOp):
    M: SSAValue
    cond: SSAValue
    v_initial: VarOperand
    v_final_and_scan_outputs: VarOpResult
    body: Region

class Loop_v23(OnnxOp):
    M: SSAValue
    cond: SSAValue
    v_initial: VarOperand
    v_final_and_scan_outputs: VarOpResult
    body: Region

class Loop_v24(OnnxOp):
    M: SSAValue
    cond: SSAValue
    v_initial: VarOperand
    v_final_and_scan_outputs: VarOpResult
    body: Region

class Loop_v25(OnnxOp):
    M: SSAValue
    cond: SSAValue
    v_initial: VarOperand
    v_final_and_scan_outputs: VarOpResult
    body: Region

class LpNormalization_v1(OnnxOp):
    input: SSAValue
    output: OpResult
    axis: Attribute | None  # INT
    p: Attribute | None  # INT

class LpNormalization_v22(OnnxOp):
    input: SSAValue
    output: OpResult
    axis: Attribute | None  # INT
    p: Attribute | None  # INT

class LpPool_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    auto_pad: Attribute | None  # STRING
    kernel_shape: Attribute | None  # INTS
    p: Attribute | None  # FLOAT
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class LpPool_v2(OnnxOp):
    X: SSAValue
    Y: OpResult
    auto_pad: Attribute | None  # STRING
    kernel_shape: Attribute  # INTS
    p: Attribute | None  # INT
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class LpPool_v11(OnnxOp):
    X: SSAValue
    Y: OpResult
    auto_pad: Attribute | None  # STRING
    kernel_shape: Attribute  # INTS
    p: Attribute | None  # INT
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class LpPool_v18(OnnxOp):
    X: SSAValue
    Y: OpResult
    auto_pad: Attribute | None  # STRING
    ceil_mode: Attribute | None  # INT
    dilations: Attribute | None  # INTS
    kernel_shape: Attribute  # INTS
    p: Attribute | None  # INT
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class LpPool_v22(OnnxOp):
    X: SSAValue
    Y: OpResult
    auto_pad: Attribute | None  # STRING
    ceil_mode: Attribute | None  # INT
    dilations: Attribute | None  # INTS
    kernel_shape: Attribute  # INTS
    p: Attribute | None  # INT
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class MatMul_v1(OnnxOp):
    A: SSAValue
    B: SSAValue
    Y: OpResult

class MatMul_v9(OnnxOp):
    A: SSAValue
    B: SSAValue
    Y: OpResult

class MatMul_v13(OnnxOp):
    A: SSAValue
    B: SSAValue
    Y: OpResult

class MatMulInteger_v10(OnnxOp):
    A: SSAValue
    B: SSAValue
    a_zero_point: SSAValue
    b_zero_point: SSAValue
    Y: OpResult

class Max_v1(OnnxOp):
    data_0: VarOperand
    max: OpResult
    consumed_inputs: Attribute | None  # INTS

class Max_v6(OnnxOp):
    data_0: VarOperand
    max: OpResult

class Max_v8(OnnxOp):
    data_0: VarOperand
    max: OpResult

class Max_v12(OnnxOp):
    data_0: VarOperand
    max: OpResult

class Max_v13(OnnxOp):
    data_0: VarOperand
    max: OpResult

class MaxPool_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    auto_pad: Attribute | None  # STRING
    kernel_shape: Attribute  # INTS
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class MaxPool_v8(OnnxOp):
    X: SSAValue
    Y: OpResult
    Indices: OpResult
    auto_pad: Attribute | None  # STRING
    kernel_shape: Attribute  # INTS
    pads: Attribute | None  # INTS
    storage_order: Attribute | None  # INT
    strides: Attribute | None  # INTS

class MaxPool_v10(OnnxOp):
    X: SSAValue
    Y: OpResult
    Indices: OpResult
    auto_pad: Attribute | None  # STRING
    ceil_mode: Attribute | None  # INT
    dilations: Attribute | None  # INTS
    kernel_shape: Attribute  # INTS
    pads: Attribute | None  # INTS
    storage_order: Attribute | None  # INT
    strides: Attribute | None  # INTS

class MaxPool_v11(OnnxOp):
    X: SSAValue
    Y: OpResult
    Indices: OpResult
    auto_pad: Attribute | None  # STRING
    ceil_mode: Attribute | None  # INT
    dilations: Attribute | None  # INTS
    kernel_shape: Attribute  # INTS
    pads: Attribute | None  # INTS
    storage_order: Attribute | None  # INT
    strides: Attribute | None  # INTS

class MaxPool_v12(OnnxOp):
    X: SSAValue
    Y: OpResult
    Indices: OpResult
    auto_pad: Attribute | None  # STRING
    ceil_mode: Attribute | None  # INT
    dilations: Attribute | None  # INTS
    kernel_shape: Attribute  # INTS
    pads: Attribute | None  # INTS
    storage_order: Attribute | None  # INT
    strides: Attribute | None  # INTS

class MaxPool_v22(OnnxOp):
    X: SSAValue
    Y: OpResult
    Indices: OpResult
    auto_pad: Attribute | None  # STRING
    ceil_mode: Attribute | None  # INT
    dilations: Attribute | None  # INTS
    kernel_shape: Attribute  # INTS
    pads: Attribute | None  # INTS
    storage_order: Attribute | None  # INT
    strides: Attribute | None  # INTS

class MaxRoiPool_v1(OnnxOp):
    X: SSAValue
    rois: SSAValue
    Y: OpResult
    pooled_shape: Attribute  # INTS
    spatial_scale: Attribute | None  # FLOAT

class MaxRoiPool_v22(OnnxOp):
    X: SSAValue
    rois: SSAValue
    Y: OpResult
    pooled_shape: Attribute  # INTS
    spatial_scale: Attribute | None  # FLOAT

class MaxUnpool_v9(OnnxOp):
    X: SSAValue
    I: SSAValue
    output_shape: SSAValue
    output: OpResult
    kernel_shape: Attribute  # INTS
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class MaxUnpool_v11(OnnxOp):
    X: SSAValue
    I: SSAValue
    output_shape: SSAValue
    output: OpResult
    kernel_shape: Attribute  # INTS
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class MaxUnpool_v22(OnnxOp):
    X: SSAValue
    I: SSAValue
    output_shape: SSAValue
    output: OpResult
    kernel_shape: Attribute  # INTS
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class Mean_v1(OnnxOp):
    data_0: VarOperand
    mean: OpResult
    consumed_inputs: Attribute | None  # INTS

class Mean_v6(OnnxOp):
    data_0: VarOperand
    mean: OpResult

class Mean_v8(OnnxOp):
    data_0: VarOperand
    mean: OpResult

class Mean_v13(OnnxOp):
    data_0: VarOperand
    mean: OpResult

class MeanVarianceNormalization_v9(OnnxOp):
    X: SSAValue
    Y: OpResult
    axes: Attribute | None  # INTS

class MeanVarianceNormalization_v13(OnnxOp):
    X: SSAValue
    Y: OpResult
    axes: Attribute | None  # INTS

class MelWeightMatrix_v17(OnnxOp):
    num_mel_bins: SSAValue
    dft_length: SSAValue
    sample_rate: SSAValue
    lower_edge_hertz: SSAValue
    upper_edge_hertz: SSAValue
    output: OpResult
    output_datatype: Attribute | None  # INT

class Min_v1(OnnxOp):
    data_0: VarOperand
    min: OpResult
    consumed_inputs: Attribute | None  # INTS

class Min_v6(OnnxOp):
    data_0: VarOperand
    min: OpResult

class Min_v8(OnnxOp):
    data_0: VarOperand
    min: OpResult

class Min_v12(OnnxOp):
    data_0: VarOperand
    min: OpResult

class Min_v13(OnnxOp):
    data_0: VarOperand
    min: OpResult

class Mish_v18(OnnxOp):
    X: SSAValue
    Y: OpResult

class Mish_v22(OnnxOp):
    X: SSAValue
    Y: OpResult

class Mod_v10(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult
    fmod: Attribute | None  # INT

class Mod_v13(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult
    fmod: Attribute | None  # INT

class Mod_v28(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult
    fmod: Attribute | None  # INT

class Mul_v1(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult
    axis: Attribute | None  # INT
    broadcast: Attribute | None  # INT
    consumed_inputs: Attribute | None  # INTS

class Mul_v6(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult
    axis: Attribute | None  # INT
    broadcast: Attribute | None  # INT

class Mul_v7(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class Mul_v13(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class Mul_v14(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class Multinomial_v7(OnnxOp):
    input: SSAValue
    output: OpResult
    dtype: Attribute | None  # INT
    sample_size: Attribute | None  # INT
    seed: Attribute | None  # FLOAT

class Multinomial_v22(OnnxOp):
    input: SSAValue
    output: OpResult
    dtype: Attribute | None  # INT
    sample_size: Attribute | None  # INT
    seed: Attribute | None  # FLOAT

class Neg_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    consumed_inputs: Attribute | None  # INTS

class Neg_v6(OnnxOp):
    X: SSAValue
    Y: OpResult

class Neg_v13(OnnxOp):
    X: SSAValue
    Y: OpResult

class NegativeLogLikelihoodLoss_v12(OnnxOp):
    input: SSAValue
    target: SSAValue
    weight: SSAValue
    loss: OpResult
    ignore_index: Attribute | None  # INT
    reduction: Attribute | None  # STRING

class NegativeLogLikelihoodLoss_v13(OnnxOp):
    input: SSAValue
    target: SSAValue
    weight: SSAValue
    loss: OpResult
    ignore_index: Attribute | None  # INT
    reduction: Attribute | None  # STRING

class NegativeLogLikelihoodLoss_v22(OnnxOp):
    input: SSAValue
    target: SSAValue
    weight: SSAValue
    loss: OpResult
    ignore_index: Attribute | None  # INT
    reduction: Attribute | None  # STRING

class NonMaxSuppression_v10(OnnxOp):
    boxes: SSAValue
    scores: SSAValue
    max_output_boxes_per_class: SSAValue
    iou_threshold: SSAValue
    score_threshold: SSAValue
    selected_indices: OpResult
    center_point_box: Attribute | None  # INT

class NonMaxSuppression_v11(OnnxOp):
    boxes: SSAValue
    scores: SSAValue
    max_output_boxes_per_class: SSAValue
    iou_threshold: SSAValue
    score_threshold: SSAValue
    selected_indices: OpResult
    center_point_box: Attribute | None  # INT

class NonZero_v9(OnnxOp):
    X: SSAValue
    Y: OpResult

class NonZero_v13(OnnxOp):
    X: SSAValue
    Y: OpResult

class Not_v1(OnnxOp):
    X: SSAValue
    Y: OpResult

class OneHot_v9(OnnxOp):
    indices: SSAValue
    depth: SSAValue
    values: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class OneHot_v11(OnnxOp):
    indices: SSAValue
    depth: SSAValue
    values: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class OneHot_v28(OnnxOp):
    indices: SSAValue
    depth: SSAValue
    values: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class Optional_v15(OnnxOp):
    input: SSAValue
    output: OpResult
    type: Attribute | None  # TYPE_PROTO

class Optional_v28(OnnxOp):
    input: SSAValue
    output: OpResult
    type: Attribute | None  # TYPE_PROTO

class OptionalGetElement_v15(OnnxOp):
    input: SSAValue
    output: OpResult

class OptionalGetElement_v18(OnnxOp):
    input: SSAValue
    output: OpResult

class OptionalGetElement_v28(OnnxOp):
    input: SSAValue
    output: OpResult

class OptionalHasElement_v15(OnnxOp):
    input: SSAValue
    output: OpResult

class OptionalHasElement_v18(OnnxOp):
    input: SSAValue
    output: OpResult

class OptionalHasElement_v28(OnnxOp):
    input: SSAValue
    output: OpResult

class Or_v1(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult
    axis: Attribute | None  # INT
    broadcast: Attribute | None  # INT

class Or_v7(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class PRelu_v1(OnnxOp):
    X: SSAValue
    slope: SSAValue
    Y: OpResult
    consumed_inputs: Attribute | None  # INTS

class PRelu_v6(OnnxOp):
    X: SSAValue
    slope: SSAValue
    Y: OpResult

class PRelu_v7(OnnxOp):
    X: SSAValue
    slope: SSAValue
    Y: OpResult

class PRelu_v9(OnnxOp):
    X: SSAValue
    slope: SSAValue
    Y: OpResult

class PRelu_v16(OnnxOp):
    X: SSAValue
    slope: SSAValue
    Y: OpResult

class Pad_v1(OnnxOp):
    data: SSAValue
    output: OpResult
    mode: Attribute | None  # STRING
    paddings: Attribute  # INTS
    value: Attribute | None  # FLOAT

class Pad_v2(OnnxOp):
    data: SSAValue
    output: OpResult
    mode: Attribute | None  # STRING
    pads: Attribute  # INTS
    value: Attribute | None  # FLOAT

class Pad_v11(OnnxOp):
    data: SSAValue
    pads: SSAValue
    constant_value: SSAValue
    output: OpResult
    mode: Attribute | None  # STRING

class Pad_v13(OnnxOp):
    data: SSAValue
    pads: SSAValue
    constant_value: SSAValue
    output: OpResult
    mode: Attribute | None  # STRING

class Pad_v18(OnnxOp):
    data: SSAValue
    pads: SSAValue
    constant_value: SSAValue
    axes: SSAValue
    output: OpResult
    mode: Attribute | None  # STRING

class Pad_v19(OnnxOp):
    data: SSAValue
    pads: SSAValue
    constant_value: SSAValue
    axes: SSAValue
    output: OpResult
    mode: Attribute | None  # STRING

class Pad_v21(OnnxOp):
    data: SSAValue
    pads: SSAValue
    constant_value: SSAValue
    axes: SSAValue
    output: OpResult
    mode: Attribute | None  # STRING

class Pad_v23(OnnxOp):
    data: SSAValue
    pads: SSAValue
    constant_value: SSAValue
    axes: SSAValue
    output: OpResult
    mode: Attribute | None  # STRING

class Pad_v24(OnnxOp):
    data: SSAValue
    pads: SSAValue
    constant_value: SSAValue
    axes: SSAValue
    output: OpResult
    mode: Attribute | None  # STRING

class Pad_v25(OnnxOp):
    data: SSAValue
    pads: SSAValue
    constant_value: SSAValue
    axes: SSAValue
    output: OpResult
    mode: Attribute | None  # STRING

class Pow_v1(OnnxOp):
    X: SSAValue
    Y: SSAValue
    Z: OpResult
    axis: Attribute | None  # INT
    broadcast: Attribute | None  # INT

class Pow_v7(OnnxOp):
    X: SSAValue
    Y: SSAValue
    Z: OpResult

class Pow_v12(OnnxOp):
    X: SSAValue
    Y: SSAValue
    Z: OpResult

class Pow_v13(OnnxOp):
    X: SSAValue
    Y: SSAValue
    Z: OpResult

class Pow_v15(OnnxOp):
    X: SSAValue
    Y: SSAValue
    Z: OpResult

class QLinearConv_v10(OnnxOp):
    x: SSAValue
    x_scale: SSAValue
    x_zero_point: SSAValue
    w: SSAValue
    w_scale: SSAValue
    w_zero_point: SSAValue
    y_scale: SSAValue
    y_zero_point: SSAValue
    B: SSAValue
    y: OpResult
    auto_pad: Attribute | None  # STRING
    dilations: Attribute | None  # INTS
    group: Attribute | None  # INT
    kernel_shape: Attribute | None  # INTS
    pads: Attribute | None  # INTS
    strides: Attribute | None  # INTS

class QLinearMatMul_v10(OnnxOp):
    a: SSAValue
    a_scale: SSAValue
    a_zero_point: SSAValue
    b: SSAValue
    b_scale: SSAValue
    b_zero_point: SSAValue
    y_scale: SSAValue
    y_zero_point: SSAValue
    y: OpResult

class QLinearMatMul_v21(OnnxOp):
    a: SSAValue
    a_scale: SSAValue
    a_zero_point: SSAValue
    b: SSAValue
    b_scale: SSAValue
    b_zero_point: SSAValue
    y_scale: SSAValue
    y_zero_point: SSAValue
    y: OpResult

class QuantizeLinear_v10(OnnxOp):
    x: SSAValue
    y_scale: SSAValue
    y_zero_point: SSAValue
    y: OpResult

class QuantizeLinear_v13(OnnxOp):
    x: SSAValue
    y_scale: SSAValue
    y_zero_point: SSAValue
    y: OpResult
    axis: Attribute | None  # INT

class QuantizeLinear_v19(OnnxOp):
    x: SSAValue
    y_scale: SSAValue
    y_zero_point: SSAValue
    y: OpResult
    axis: Attribute | None  # INT
    saturate: Attribute | None  # INT

class QuantizeLinear_v21(OnnxOp):
    x: SSAValue
    y_scale: SSAValue
    y_zero_point: SSAValue
    y: OpResult
    axis: Attribute | None  # INT
    block_size: Attribute | None  # INT
    output_dtype: Attribute | None  # INT
    saturate: Attribute | None  # INT

class QuantizeLinear_v23(OnnxOp):
    x: SSAValue
    y_scale: SSAValue
    y_zero_point: SSAValue
    y: OpResult
    axis: Attribute | None  # INT
    block_size: Attribute | None  # INT
    output_dtype: Attribute | None  # INT
    precision: Attribute | None  # INT
    saturate: Attribute | None  # INT

class QuantizeLinear_v24(OnnxOp):
    x: SSAValue
    y_scale: SSAValue
    y_zero_point: SSAValue
    y: OpResult
    axis: Attribute | None  # INT
    block_size: Attribute | None  # INT
    output_dtype: Attribute | None  # INT
    precision: Attribute | None  # INT
    saturate: Attribute | None  # INT

class QuantizeLinear_v25(OnnxOp):
    x: SSAValue
    y_scale: SSAValue
    y_zero_point: SSAValue
    y: OpResult
    axis: Attribute | None  # INT
    block_size: Attribute | None  # INT
    output_dtype: Attribute | None  # INT
    precision: Attribute | None  # INT
    saturate: Attribute | None  # INT

class QuantizeLinear_v28(OnnxOp):
    x: SSAValue
    y_scale: SSAValue
    y_zero_point: SSAValue
    y: OpResult
    axis: Attribute | None  # INT
    block_size: Attribute | None  # INT
    output_dtype: Attribute | None  # INT
    precision: Attribute | None  # INT
    saturate: Attribute | None  # INT

class RMSNormalization_v23(OnnxOp):
    X: SSAValue
    scale: SSAValue
    Y: OpResult
    axis: Attribute | None  # INT
    epsilon: Attribute | None  # FLOAT
    stash_type: Attribute | None  # INT

class RNN_v1(OnnxOp):
    X: SSAValue
    W: SSAValue
    R: SSAValue
    B: SSAValue
    sequence_lens: SSAValue
    initial_h: SSAValue
    Y: OpResult
    Y_h: OpResult
    activation_alpha: Attribute | None  # FLOATS
    activation_beta: Attribute | None  # FLOATS
    activations: Attribute | None  # STRINGS
    clip: Attribute | None  # FLOAT
    direction: Attribute | None  # STRING
    hidden_size: Attribute | None  # INT
    output_sequence: Attribute | None  # INT

class RNN_v7(OnnxOp):
    X: SSAValue
    W: SSAValue
    R: SSAValue
    B: SSAValue
    sequence_lens: SSAValue
    initial_h: SSAValue
    Y: OpResult
    Y_h: OpResult
    activation_alpha: Attribute | None  # FLOATS
    activation_beta: Attribute | None  # FLOATS
    activations: Attribute | None  # STRINGS
    clip: Attribute | None  # FLOAT
    direction: Attribute | None  # STRING
    hidden_size: Attribute | None  # INT

class RNN_v14(OnnxOp):
    X: SSAValue
    W: SSAValue
    R: SSAValue
    B: SSAValue
    sequence_lens: SSAValue
    initial_h: SSAValue
    Y: OpResult
    Y_h: OpResult
    activation_alpha: Attribute | None  # FLOATS
    activation_beta: Attribute | None  # FLOATS
    activations: Attribute | None  # STRINGS
    clip: Attribute | None  # FLOAT
    direction: Attribute | None  # STRING
    hidden_size: Attribute | None  # INT
    layout: Attribute | None  # INT

class RNN_v22(OnnxOp):
    X: SSAValue
    W: SSAValue
    R: SSAValue
    B: SSAValue
    sequence_lens: SSAValue
    initial_h: SSAValue
    Y: OpResult
    Y_h: OpResult
    activation_alpha: Attribute | None  # FLOATS
    activation_beta: Attribute | None  # FLOATS
    activations: Attribute | None  # STRINGS
    clip: Attribute | None  # FLOAT
    direction: Attribute | None  # STRING
    hidden_size: Attribute | None  # INT
    layout: Attribute | None  # INT

class RandomNormal_v1(OnnxOp):
    output: OpResult
    dtype: Attribute | None  # INT
    mean: Attribute | None  # FLOAT
    scale: Attribute | None  # FLOAT
    seed: Attribute | None  # FLOAT
    shape: Attribute  # INTS

class RandomNormal_v22(OnnxOp):
    output: OpResult
    dtype: Attribute | None  # INT
    mean: Attribute | None  # FLOAT
    scale: Attribute | None  # FLOAT
    seed: Attribute | None  # FLOAT
    shape: Attribute  # INTS

class RandomNormalLike_v1(OnnxOp):
    input: SSAValue
    output: OpResult
    dtype: Attribute | None  # INT
    mean: Attribute | None  # FLOAT
    scale: Attribute | None  # FLOAT
    seed: Attribute | None  # FLOAT

class RandomNormalLike_v22(OnnxOp):
    input: SSAValue
    output: OpResult
    dtype: Attribute | None  # INT
    mean: Attribute | None  # FLOAT
    scale: Attribute | None  # FLOAT
    seed: Attribute | None  # FLOAT

class RandomUniform_v1(OnnxOp):
    output: OpResult
    dtype: Attribute | None  # INT
    high: Attribute | None  # FLOAT
    low: Attribute | None  # FLOAT
    seed: Attribute | None  # FLOAT
    shape: Attribute  # INTS

class RandomUniform_v22(OnnxOp):
    output: OpResult
    dtype: Attribute | None  # INT
    high: Attribute | None  # FLOAT
    low: Attribute | None  # FLOAT
    seed: Attribute | None  # FLOAT
    shape: Attribute  # INTS

class RandomUniformLike_v1(OnnxOp):
    input: SSAValue
    output: OpResult
    dtype: Attribute | None  # INT
    high: Attribute | None  # FLOAT
    low: Attribute | None  # FLOAT
    seed: Attribute | None  # FLOAT

class RandomUniformLike_v22(OnnxOp):
    input: SSAValue
    output: OpResult
    dtype: Attribute | None  # INT
    high: Attribute | None  # FLOAT
    low: Attribute | None  # FLOAT
    seed: Attribute | None  # FLOAT

class Range_v11(OnnxOp):
    start: SSAValue
    limit: SSAValue
    delta: SSAValue
    output: OpResult

class Range_v27(OnnxOp):
    start: SSAValue
    limit: SSAValue
    delta: SSAValue
    output: OpResult
    stash_type: Attribute | None  # INT

class Reciprocal_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    consumed_inputs: Attribute | None  # INTS

class Reciprocal_v6(OnnxOp):
    X: SSAValue
    Y: OpResult

class Reciprocal_v13(OnnxOp):
    X: SSAValue
    Y: OpResult

class ReduceL1_v1(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceL1_v11(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceL1_v13(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceL1_v18(OnnxOp):
    data: SSAValue
    axes: SSAValue
    reduced: OpResult
    keepdims: Attribute | None  # INT
    noop_with_empty_axes: Attribute | None  # INT

class ReduceL2_v1(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceL2_v11(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceL2_v13(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceL2_v18(OnnxOp):
    data: SSAValue
    axes: SSAValue
    reduced: OpResult
    keepdims: Attribute | None  # INT
    noop_with_empty_axes: Attribute | None  # INT

class ReduceLogSum_v1(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceLogSum_v11(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceLogSum_v13(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceLogSum_v18(OnnxOp):
    data: SSAValue
    axes: SSAValue
    reduced: OpResult
    keepdims: Attribute | None  # INT
    noop_with_empty_axes: Attribute | None  # INT

class ReduceLogSum_v28(OnnxOp):
    data: SSAValue
    axes: SSAValue
    reduced: OpResult
    keepdims: Attribute | None  # INT
    noop_with_empty_axes: Attribute | None  # INT

class ReduceLogSumExp_v1(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceLogSumExp_v11(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceLogSumExp_v13(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceLogSumExp_v18(OnnxOp):
    data: SSAValue
    axes: SSAValue
    reduced: OpResult
    keepdims: Attribute | None  # INT
    noop_with_empty_axes: Attribute | None  # INT

class ReduceLogSumExp_v28(OnnxOp):
    data: SSAValue
    axes: SSAValue
    reduced: OpResult
    keepdims: Attribute | None  # INT
    noop_with_empty_axes: Attribute | None  # INT

class ReduceMax_v1(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceMax_v11(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceMax_v12(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceMax_v13(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceMax_v18(OnnxOp):
    data: SSAValue
    axes: SSAValue
    reduced: OpResult
    keepdims: Attribute | None  # INT
    noop_with_empty_axes: Attribute | None  # INT

class ReduceMax_v20(OnnxOp):
    data: SSAValue
    axes: SSAValue
    reduced: OpResult
    keepdims: Attribute | None  # INT
    noop_with_empty_axes: Attribute | None  # INT

class ReduceMean_v1(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceMean_v11(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceMean_v13(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceMean_v18(OnnxOp):
    data: SSAValue
    axes: SSAValue
    reduced: OpResult
    keepdims: Attribute | None  # INT
    noop_with_empty_axes: Attribute | None  # INT

class ReduceMin_v1(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceMin_v11(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceMin_v12(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceMin_v13(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceMin_v18(OnnxOp):
    data: SSAValue
    axes: SSAValue
    reduced: OpResult
    keepdims: Attribute | None  # INT
    noop_with_empty_axes: Attribute | None  # INT

class ReduceMin_v20(OnnxOp):
    data: SSAValue
    axes: SSAValue
    reduced: OpResult
    keepdims: Attribute | None  # INT
    noop_with_empty_axes: Attribute | None  # INT

class ReduceProd_v1(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceProd_v11(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceProd_v13(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceProd_v18(OnnxOp):
    data: SSAValue
    axes: SSAValue
    reduced: OpResult
    keepdims: Attribute | None  # INT
    noop_with_empty_axes: Attribute | None  # INT

class ReduceSum_v1(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceSum_v11(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceSum_v13(OnnxOp):
    data: SSAValue
    axes: SSAValue
    reduced: OpResult
    keepdims: Attribute | None  # INT
    noop_with_empty_axes: Attribute | None  # INT

class ReduceSumSquare_v1(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceSumSquare_v11(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceSumSquare_v13(OnnxOp):
    data: SSAValue
    reduced: OpResult
    axes: Attribute | None  # INTS
    keepdims: Attribute | None  # INT

class ReduceSumSquare_v18(OnnxOp):
    data: SSAValue
    axes: SSAValue
    reduced: OpResult
    keepdims: Attribute | None  # INT
    noop_with_empty_axes: Attribute | None  # INT

class RegexFullMatch_v20(OnnxOp):
    X: SSAValue
    Y: OpResult
    pattern: Attribute | None  # STRING

class Relu_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    consumed_inputs: Attribute | None  # INTS

class Relu_v6(OnnxOp):
    X: SSAValue
    Y: OpResult

class Relu_v13(OnnxOp):
    X: SSAValue
    Y: OpResult

class Relu_v14(OnnxOp):
    X: SSAValue
    Y: OpResult

class Reshape_v1(OnnxOp):
    data: SSAValue
    reshaped: OpResult
    consumed_inputs: Attribute | None  # INTS
    shape: Attribute | None  # INTS

class Reshape_v5(OnnxOp):
    data: SSAValue
    shape: SSAValue
    reshaped: OpResult

class Reshape_v13(OnnxOp):
    data: SSAValue
    shape: SSAValue
    reshaped: OpResult

class Reshape_v14(OnnxOp):
    data: SSAValue
    shape: SSAValue
    reshaped: OpResult
    allowzero: Attribute | None  # INT

class Reshape_v19(OnnxOp):
    data: SSAValue
    shape: SSAValue
    reshaped: OpResult
    allowzero: Attribute | None  # INT

class Reshape_v21(OnnxOp):
    data: SSAValue
    shape: SSAValue
    reshaped: OpResult
    allowzero: Attribute | None  # INT

class Reshape_v23(OnnxOp):
    data: SSAValue
    shape: SSAValue
    reshaped: OpResult
    allowzero: Attribute | None  # INT

class Reshape_v24(OnnxOp):
    data: SSAValue
    shape: SSAValue
    reshaped: OpResult
    allowzero: Attribute | None  # INT

class Reshape_v25(OnnxOp):
    data: SSAValue
    shape: SSAValue
    reshaped: OpResult
    allowzero: Attribute | None  # INT

class Resize_v10(OnnxOp):
    X: SSAValue
    scales: SSAValue
    Y: OpResult
    mode: Attribute | None  # STRING

class Resize_v11(OnnxOp):
    X: SSAValue
    roi: SSAValue
    scales: SSAValue
    sizes: SSAValue
    Y: OpResult
    coordinate_transformation_mode: Attribute | None  # STRING
    cubic_coeff_a: Attribute | None  # FLOAT
    exclude_outside: Attribute | None  # INT
    extrapolation_value: Attribute | None  # FLOAT
    mode: Attribute | None  # STRING
    nearest_mode: Attribute | None  # STRING

class Resize_v13(OnnxOp):
    X: SSAValue
    roi: SSAValue
    scales: SSAValue
    sizes: SSAValue
    Y: OpResult
    coordinate_transformation_mode: Attribute | None  # STRING
    cubic_coeff_a: Attribute | None  # FLOAT
    exclude_outside: Attribute | None  # INT
    extrapolation_value: Attribute | None  # FLOAT
    mode: Attribute | None  # STRING
    nearest_mode: Attribute | None  # STRING

class Resize_v18(OnnxOp):
    X: SSAValue
    roi: SSAValue
    scales: SSAValue
    sizes: SSAValue
    Y: OpResult
    antialias: Attribute | None  # INT
    axes: Attribute | None  # INTS
    coordinate_transformation_mode: Attribute | None  # STRING
    cubic_coeff_a: Attribute | None  # FLOAT
    exclude_outside: Attribute | None  # INT
    extrapolation_value: Attribute | None  # FLOAT
    keep_aspect_ratio_policy: Attribute | None  # STRING
    mode: Attribute | None  # STRING
    nearest_mode: Attribute | None  # STRING

class Resize_v19(OnnxOp):
    X: SSAValue
    roi: SSAValue
    scales: SSAValue
    sizes: SSAValue
    Y: OpResult
    antialias: Attribute | None  # INT
    axes: Attribute | None  # INTS
    coordinate_transformation_mode: Attribute | None  # STRING
    cubic_coeff_a: Attribute | None  # FLOAT
    exclude_outside: Attribute | None  # INT
    extrapolation_value: Attribute | None  # FLOAT
    keep_aspect_ratio_policy: Attribute | None  # STRING
    mode: Attribute | None  # STRING
    nearest_mode: Attribute | None  # STRING

class ReverseSequence_v10(OnnxOp):
    input: SSAValue
    sequence_lens: SSAValue
    Y: OpResult
    batch_axis: Attribute | None  # INT
    time_axis: Attribute | None  # INT

class ReverseSequence_v28(OnnxOp):
    input: SSAValue
    sequence_lens: SSAValue
    Y: OpResult
    batch_axis: Attribute | None  # INT
    time_axis: Attribute | None  # INT

class RoiAlign_v10(OnnxOp):
    X: SSAValue
    rois: SSAValue
    batch_indices: SSAValue
    Y: OpResult
    mode: Attribute | None  # STRING
    output_height: Attribute | None  # INT
    output_width: Attribute | None  # INT
    sampling_ratio: Attribute | None  # INT
    spatial_scale: Attribute | None  # FLOAT

class RoiAlign_v16(OnnxOp):
    X: SSAValue
    rois: SSAValue
    batch_indices: SSAValue
    Y: OpResult
    coordinate_transformation_mode: Attribute | None  # STRING
    mode: Attribute | None  # STRING
    output_height: Attribute | None  # INT
    output_width: Attribute | None  # INT
    sampling_ratio: Attribute | None  # INT
    spatial_scale: Attribute | None  # FLOAT

class RoiAlign_v22(OnnxOp):
    X: SSAValue
    rois: SSAValue
    batch_indices: SSAValue
    Y: OpResult
    coordinate_transformation_mode: Attribute | None  # STRING
    mode: Attribute | None  # STRING
    output_height: Attribute | None  # INT
    output_width: Attribute | None  # INT
    sampling_ratio: Attribute | None  # INT
    spatial_scale: Attribute | None  # FLOAT

class RotaryEmbedding_v23(OnnxOp):
    X: SSAValue
    cos_cache: SSAValue
    sin_cache: SSAValue
    position_ids: SSAValue
    Y: OpResult
    interleaved: Attribute | None  # INT
    num_heads: Attribute | None  # INT
    rotary_embedding_dim: Attribute | None  # INT

class Round_v11(OnnxOp):
    X: SSAValue
    Y: OpResult

class Round_v22(OnnxOp):
    X: SSAValue
    Y: OpResult

class STFT_v17(OnnxOp):
    signal: SSAValue
    frame_step: SSAValue
    window: SSAValue
    frame_length: SSAValue
    output: OpResult
    onesided: Attribute | None  # INT

class Scan_v8(OnnxOp):
    sequence_lens: SSAValue
    initial_state_and_scan_inputs: VarOperand
    final_state_and_scan_outputs: VarOpResult
    body: Region
    directions: Attribute | None  # INTS
    num_scan_inputs: Attribute  # INT

class Scan_v9(OnnxOp):
    initial_state_and_scan_inputs: VarOperand
    final_state_and_scan_outputs: VarOpResult
    body: Region
    num_scan_inputs: Attribute  # INT
    scan_input_axes: Attribute | None  # INTS
    scan_input_directions: Attribute | None  # INTS
    scan_output_axes: Attribute | None  # INTS
    scan_output_directions: Attribute | None  # INTS

class Scan_v11(OnnxOp):
    initial_state_and_scan_inputs: VarOperand
    final_state_and_scan_outputs: VarOpResult
    body: Region
    num_scan_inputs: Attribute  # INT
    scan_input_axes: Attribute | None  # INTS
    scan_input_directions: Attribute | None  # INTS
    scan_output_axes: Attribute | None  # INTS
    scan_output_directions: Attribute | None  # INTS

class Scan_v16(OnnxOp):
    initial_state_and_scan_inputs: VarOperand
    final_state_and_scan_outputs: VarOpResult
    body: Region
    num_scan_inputs: Attribute  # INT
    scan_input_axes: Attribute | None  # INTS
    scan_input_directions: Attribute | None  # INTS
    scan_output_axes: Attribute | None  # INTS
    scan_output_directions: Attribute | None  # INTS

class Scan_v19(OnnxOp):
    initial_state_and_scan_inputs: VarOperand
    final_state_and_scan_outputs: VarOpResult
    body: Region
    num_scan_inputs: Attribute  # INT
    scan_input_axes: Attribute | None  # INTS
    scan_input_directions: Attribute | None  # INTS
    scan_output_axes: Attribute | None  # INTS
    scan_output_directions: Attribute | None  # INTS

class Scan_v21(OnnxOp):
    initial_state_and_scan_inputs: VarOperand
    final_state_and_scan_outputs: VarOpResult
    body: Region
    num_scan_inputs: Attribute  # INT
    scan_input_axes: Attribute | None  # INTS
    scan_input_directions: Attribute | None  # INTS
    scan_output_axes: Attribute | None  # INTS
    scan_output_directions: Attribute | None  # INTS

class Scan_v23(OnnxOp):
    initial_state_and_scan_inputs: VarOperand
    final_state_and_scan_outputs: VarOpResult
    body: Region
    num_scan_inputs: Attribute  # INT
    scan_input_axes: Attribute | None  # INTS
    scan_input_directions: Attribute | None  # INTS
    scan_output_axes: Attribute | None  # INTS
    scan_output_directions: Attribute | None  # INTS

class Scan_v24(OnnxOp):
    initial_state_and_scan_inputs: VarOperand
    final_state_and_scan_outputs: VarOpResult
    body: Region
    num_scan_inputs: Attribute  # INT
    scan_input_axes: Attribute | None  # INTS
    scan_input_directions: Attribute | None  # INTS
    scan_output_axes: Attribute | None  # INTS
    scan_output_directions: Attribute | None  # INTS

class Scan_v25(OnnxOp):
    initial_state_and_scan_inputs: VarOperand
    final_state_and_scan_outputs: VarOpResult
    body: Region
    num_scan_inputs: Attribute  # INT
    scan_input_axes: Attribute | None  # INTS
    scan_input_directions: Attribute | None  # INTS
    scan_output_axes: Attribute | None  # INTS
    scan_output_directions: Attribute | None  # INTS

class Scatter_v9(OnnxOp):
    data: SSAValue
    indices: SSAValue
    updates: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class Scatter_v11(OnnxOp):
    data: SSAValue
    indices: SSAValue
    updates: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class ScatterElements_v11(OnnxOp):
    data: SSAValue
    indices: SSAValue
    updates: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class ScatterElements_v13(OnnxOp):
    data: SSAValue
    indices: SSAValue
    updates: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class ScatterElements_v16(OnnxOp):
    data: SSAValue
    indices: SSAValue
    updates: SSAValue
    output: OpResult
    axis: Attribute | None  # INT
    reduction: Attribute | None  # STRING

class ScatterElements_v18(OnnxOp):
    data: SSAValue
    indices: SSAValue
    updates: SSAValue
    output: OpResult
    axis: Attribute | None  # INT
    reduction: Attribute | None  # STRING

class ScatterND_v11(OnnxOp):
    data: SSAValue
    indices: SSAValue
    updates: SSAValue
    output: OpResult

class ScatterND_v13(OnnxOp):
    data: SSAValue
    indices: SSAValue
    updates: SSAValue
    output: OpResult

class ScatterND_v16(OnnxOp):
    data: SSAValue
    indices: SSAValue
    updates: SSAValue
    output: OpResult
    reduction: Attribute | None  # STRING

class ScatterND_v18(OnnxOp):
    data: SSAValue
    indices: SSAValue
    updates: SSAValue
    output: OpResult
    reduction: Attribute | None  # STRING

class Selu_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT
    consumed_inputs: Attribute | None  # INTS
    gamma: Attribute | None  # FLOAT

class Selu_v6(OnnxOp):
    X: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT
    gamma: Attribute | None  # FLOAT

class Selu_v22(OnnxOp):
    X: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT
    gamma: Attribute | None  # FLOAT

class SequenceAt_v11(OnnxOp):
    input_sequence: SSAValue
    position: SSAValue
    tensor: OpResult

class SequenceConstruct_v11(OnnxOp):
    inputs: VarOperand
    output_sequence: OpResult

class SequenceEmpty_v11(OnnxOp):
    output: OpResult
    dtype: Attribute | None  # INT

class SequenceErase_v11(OnnxOp):
    input_sequence: SSAValue
    position: SSAValue
    output_sequence: OpResult

class SequenceInsert_v11(OnnxOp):
    input_sequence: SSAValue
    tensor: SSAValue
    position: SSAValue
    output_sequence: OpResult

class SequenceLength_v11(OnnxOp):
    input_sequence: SSAValue
    length: OpResult

class SequenceMap_v17(OnnxOp):
    input_sequence: SSAValue
    additional_inputs: VarOperand
    out_sequence: VarOpResult
    body: Region

class Shape_v1(OnnxOp):
    data: SSAValue
    shape: OpResult

class Shape_v13(OnnxOp):
    data: SSAValue
    shape: OpResult

class Shape_v15(OnnxOp):
    data: SSAValue
    shape: OpResult
    end: Attribute | None  # INT
    start: Attribute | None  # INT

class Shape_v19(OnnxOp):
    data: SSAValue
    shape: OpResult
    end: Attribute | None  # INT
    start: Attribute | None  # INT

class Shape_v21(OnnxOp):
    data: SSAValue
    shape: OpResult
    end: Attribute | None  # INT
    start: Attribute | None  # INT

class Shape_v23(OnnxOp):
    data: SSAValue
    shape: OpResult
    end: Attribute | None  # INT
    start: Attribute | None  # INT

class Shape_v24(OnnxOp):
    data: SSAValue
    shape: OpResult
    end: Attribute | None  # INT
    start: Attribute | None  # INT

class Shape_v25(OnnxOp):
    data: SSAValue
    shape: OpResult
    end: Attribute | None  # INT
    start: Attribute | None  # INT

class Shrink_v9(OnnxOp):
    input: SSAValue
    output: OpResult
    bias: Attribute | None  # FLOAT
    lambd: Attribute | None  # FLOAT

class Sigmoid_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    consumed_inputs: Attribute | None  # INTS

class Sigmoid_v6(OnnxOp):
    X: SSAValue
    Y: OpResult

class Sigmoid_v13(OnnxOp):
    X: SSAValue
    Y: OpResult

class Sign_v9(OnnxOp):
    input: SSAValue
    output: OpResult

class Sign_v13(OnnxOp):
    input: SSAValue
    output: OpResult

class Sin_v7(OnnxOp):
    input: SSAValue
    output: OpResult

class Sin_v22(OnnxOp):
    input: SSAValue
    output: OpResult

class Sinh_v9(OnnxOp):
    input: SSAValue
    output: OpResult

class Sinh_v22(OnnxOp):
    input: SSAValue
    output: OpResult

class Size_v1(OnnxOp):
    data: SSAValue
    size: OpResult

class Size_v13(OnnxOp):
    data: SSAValue
    size: OpResult

class Size_v19(OnnxOp):
    data: SSAValue
    size: OpResult

class Size_v21(OnnxOp):
    data: SSAValue
    size: OpResult

class Size_v23(OnnxOp):
    data: SSAValue
    size: OpResult

class Size_v24(OnnxOp):
    data: SSAValue
    size: OpResult

class Size_v25(OnnxOp):
    data: SSAValue
    size: OpResult

class Slice_v1(OnnxOp):
    data: SSAValue
    output: OpResult
    axes: Attribute | None  # INTS
    ends: Attribute  # INTS
    starts: Attribute  # INTS

class Slice_v10(OnnxOp):
    data: SSAValue
    starts: SSAValue
    ends: SSAValue
    axes: SSAValue
    steps: SSAValue
    output: OpResult

class Slice_v11(OnnxOp):
    data: SSAValue
    starts: SSAValue
    ends: SSAValue
    axes: SSAValue
    steps: SSAValue
    output: OpResult

class Slice_v13(OnnxOp):
    data: SSAValue
    starts: SSAValue
    ends: SSAValue
    axes: SSAValue
    steps: SSAValue
    output: OpResult

class Softmax_v1(OnnxOp):
    input: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class Softmax_v11(OnnxOp):
    input: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class Softmax_v13(OnnxOp):
    input: SSAValue
    output: OpResult
    axis: Attribute | None  # INT

class SoftmaxCrossEntropyLoss_v12(OnnxOp):
    scores: SSAValue
    labels: SSAValue
    weights: SSAValue
    output: OpResult
    log_prob: OpResult
    ignore_index: Attribute | None  # INT
    reduction: Attribute | None  # STRING

class SoftmaxCrossEntropyLoss_v13(OnnxOp):
    scores: SSAValue
    labels: SSAValue
    weights: SSAValue
    output: OpResult
    log_prob: OpResult
    ignore_index: Attribute | None  # INT
    reduction: Attribute | None  # STRING

class Softplus_v1(OnnxOp):
    X: SSAValue
    Y: OpResult

class Softplus_v22(OnnxOp):
    X: SSAValue
    Y: OpResult

class Softsign_v1(OnnxOp):
    input: SSAValue
    output: OpResult

class Softsign_v22(OnnxOp):
    input: SSAValue
    output: OpResult

class SpaceToDepth_v1(OnnxOp):
    input: SSAValue
    output: OpResult
    blocksize: Attribute  # INT

class SpaceToDepth_v13(OnnxOp):
    input: SSAValue
    output: OpResult
    blocksize: Attribute  # INT

class SpaceToDepth_v28(OnnxOp):
    input: SSAValue
    output: OpResult
    blocksize: Attribute  # INT
    mode: Attribute | None  # STRING

class Split_v1(OnnxOp):
    input: SSAValue
    split: SSAValue
    outputs: VarOpResult  # outputs...
    axis: Attribute | None  # INT
    split_attr: Attribute | None  # INTS split

class Split_v2(OnnxOp):
    input: SSAValue
    outputs: VarOpResult
    axis: Attribute | None  # INT
    split: Attribute | None  # INTS

class Split_v11(OnnxOp):
    input: SSAValue
    outputs: VarOpResult
    axis: Attribute | None  # INT
    split: Attribute | None  # INTS

class Split_v13(OnnxOp):
    input: SSAValue
    split: SSAValue
    outputs: VarOpResult
    axis: Attribute | None  # INT

class Split_v18(OnnxOp):
    input: SSAValue
    split: SSAValue
    outputs: VarOpResult
    axis: Attribute | None  # INT
    num_outputs: Attribute | None  # INT

class SplitToSequence_v11(OnnxOp):
    input: SSAValue
    split: SSAValue
    output_sequence: OpResult
    axis: Attribute | None  # INT
    keepdims: Attribute | None  # INT

class SplitToSequence_v24(OnnxOp):
    input: SSAValue
    split: SSAValue
    output_sequence: OpResult
    axis: Attribute | None  # INT
    keepdims: Attribute | None  # INT

class Sqrt_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    consumed_inputs: Attribute | None  # INTS

class Sqrt_v6(OnnxOp):
    X: SSAValue
    Y: OpResult

class Sqrt_v13(OnnxOp):
    X: SSAValue
    Y: OpResult

class Squeeze_v1(OnnxOp):
    data: SSAValue
    squeezed: OpResult
    axes: Attribute | None  # INTS

class Squeeze_v11(OnnxOp):
    data: SSAValue
    squeezed: OpResult
    axes: Attribute | None  # INTS

class Squeeze_v13(OnnxOp):
    data: SSAValue
    axes: SSAValue
    squeezed: OpResult

class Squeeze_v21(OnnxOp):
    data: SSAValue
    axes: SSAValue
    squeezed: OpResult

class Squeeze_v23(OnnxOp):
    data: SSAValue
    axes: SSAValue
    squeezed: OpResult

class Squeeze_v24(OnnxOp):
    data: SSAValue
    axes: SSAValue
    squeezed: OpResult

class Squeeze_v25(OnnxOp):
    data: SSAValue
    axes: SSAValue
    squeezed: OpResult

class StringConcat_v20(OnnxOp):
    X: SSAValue
    Y: SSAValue
    Z: OpResult

class StringNormalizer_v10(OnnxOp):
    X: SSAValue
    Y: OpResult
    case_change_action: Attribute | None  # STRING
    is_case_sensitive: Attribute | None  # INT
    locale: Attribute | None  # STRING
    stopwords: Attribute | None  # STRINGS

class StringSplit_v20(OnnxOp):
    X: SSAValue
    Y: OpResult
    Z: OpResult
    delimiter: Attribute | None  # STRING
    maxsplit: Attribute | None  # INT

class Sub_v1(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult
    axis: Attribute | None  # INT
    broadcast: Attribute | None  # INT
    consumed_inputs: Attribute | None  # INTS

class Sub_v6(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult
    axis: Attribute | None  # INT
    broadcast: Attribute | None  # INT

class Sub_v7(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class Sub_v13(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class Sub_v14(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class Sum_v1(OnnxOp):
    data_0: VarOperand
    sum: OpResult
    consumed_inputs: Attribute | None  # INTS

class Sum_v6(OnnxOp):
    data_0: VarOperand
    sum: OpResult

class Sum_v8(OnnxOp):
    data_0: VarOperand
    sum: OpResult

class Sum_v13(OnnxOp):
    data_0: VarOperand
    sum: OpResult

class SwiGLU_v28(OnnxOp):
    A: SSAValue
    B: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT

class Swish_v24(OnnxOp):
    X: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT

class Tan_v7(OnnxOp):
    input: SSAValue
    output: OpResult

class Tan_v22(OnnxOp):
    input: SSAValue
    output: OpResult

class Tanh_v1(OnnxOp):
    input: SSAValue
    output: OpResult
    consumed_inputs: Attribute | None  # INTS

class Tanh_v6(OnnxOp):
    input: SSAValue
    output: OpResult

class Tanh_v13(OnnxOp):
    input: SSAValue
    output: OpResult

class TensorScatter_v24(OnnxOp):
    past_cache: SSAValue
    update: SSAValue
    write_indices: SSAValue
    present_cache: OpResult
    axis: Attribute | None  # INT
    mode: Attribute | None  # STRING

class TfIdfVectorizer_v9(OnnxOp):
    X: SSAValue
    Y: OpResult
    max_gram_length: Attribute  # INT
    max_skip_count: Attribute  # INT
    min_gram_length: Attribute  # INT
    mode: Attribute  # STRING
    ngram_counts: Attribute  # INTS
    ngram_indexes: Attribute  # INTS
    pool_int64s: Attribute | None  # INTS
    pool_strings: Attribute | None  # STRINGS
    weights: Attribute | None  # FLOATS

class ThresholdedRelu_v10(OnnxOp):
    X: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT

class ThresholdedRelu_v22(OnnxOp):
    X: SSAValue
    Y: OpResult
    alpha: Attribute | None  # FLOAT

class Tile_v1(OnnxOp):
    input: SSAValue
    tiles: SSAValue
    axis: SSAValue
    output: OpResult

class Tile_v6(OnnxOp):
    input: SSAValue
    repeats: SSAValue
    output: OpResult

class Tile_v13(OnnxOp):
    input: SSAValue
    repeats: SSAValue
    output: OpResult

class TopK_v1(OnnxOp):
    X: SSAValue
    Values: OpResult
    Indices: OpResult
    axis: Attribute | None  # INT
    k: Attribute  # INT

class TopK_v10(OnnxOp):
    X: SSAValue
    K: SSAValue
    Values: OpResult
    Indices: OpResult
    axis: Attribute | None  # INT

class TopK_v11(OnnxOp):
    X: SSAValue
    K: SSAValue
    Values: OpResult
    Indices: OpResult
    axis: Attribute | None  # INT
    largest: Attribute | None  # INT
    sorted: Attribute | None  # INT

class TopK_v24(OnnxOp):
    X: SSAValue
    K: SSAValue
    Values: OpResult
    Indices: OpResult
    axis: Attribute | None  # INT
    largest: Attribute | None  # INT
    sorted: Attribute | None  # INT

class Transpose_v1(OnnxOp):
    data: SSAValue
    transposed: OpResult
    perm: Attribute | None  # INTS

class Transpose_v13(OnnxOp):
    data: SSAValue
    transposed: OpResult
    perm: Attribute | None  # INTS

class Transpose_v21(OnnxOp):
    data: SSAValue
    transposed: OpResult
    perm: Attribute | None  # INTS

class Transpose_v23(OnnxOp):
    data: SSAValue
    transposed: OpResult
    perm: Attribute | None  # INTS

class Transpose_v24(OnnxOp):
    data: SSAValue
    transposed: OpResult
    perm: Attribute | None  # INTS

class Transpose_v25(OnnxOp):
    data: SSAValue
    transposed: OpResult
    perm: Attribute | None  # INTS

class Trilu_v14(OnnxOp):
    input: SSAValue
    k: SSAValue
    output: OpResult
    upper: Attribute | None  # INT

class Unique_v11(OnnxOp):
    X: SSAValue
    Y: OpResult
    indices: OpResult
    inverse_indices: OpResult
    counts: OpResult
    axis: Attribute | None  # INT
    sorted: Attribute | None  # INT

class Unique_v28(OnnxOp):
    X: SSAValue
    Y: OpResult
    indices: OpResult
    inverse_indices: OpResult
    counts: OpResult
    axis: Attribute | None  # INT
    sorted: Attribute | None  # INT

class Unsqueeze_v1(OnnxOp):
    data: SSAValue
    expanded: OpResult
    axes: Attribute  # INTS

class Unsqueeze_v11(OnnxOp):
    data: SSAValue
    expanded: OpResult
    axes: Attribute  # INTS

class Unsqueeze_v13(OnnxOp):
    data: SSAValue
    axes: SSAValue
    expanded: OpResult

class Unsqueeze_v21(OnnxOp):
    data: SSAValue
    axes: SSAValue
    expanded: OpResult

class Unsqueeze_v23(OnnxOp):
    data: SSAValue
    axes: SSAValue
    expanded: OpResult

class Unsqueeze_v24(OnnxOp):
    data: SSAValue
    axes: SSAValue
    expanded: OpResult

class Unsqueeze_v25(OnnxOp):
    data: SSAValue
    axes: SSAValue
    expanded: OpResult

class Upsample_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    height_scale: Attribute  # FLOAT
    mode: Attribute | None  # STRING
    width_scale: Attribute  # FLOAT

class Upsample_v7(OnnxOp):
    X: SSAValue
    Y: OpResult
    mode: Attribute | None  # STRING
    scales: Attribute  # FLOATS

class Upsample_v9(OnnxOp):
    X: SSAValue
    scales: SSAValue
    Y: OpResult
    mode: Attribute | None  # STRING

class Upsample_v10(OnnxOp):
    X: SSAValue
    scales: SSAValue
    Y: OpResult
    mode: Attribute | None  # STRING

class Where_v9(OnnxOp):
    condition: SSAValue
    X: SSAValue
    Y: SSAValue
    output: OpResult

class Where_v16(OnnxOp):
    condition: SSAValue
    X: SSAValue
    Y: SSAValue
    output: OpResult

class Xor_v1(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult
    axis: Attribute | None  # INT
    broadcast: Attribute | None  # INT

class Xor_v7(OnnxOp):
    A: SSAValue
    B: SSAValue
    C: OpResult

class ml_ArrayFeatureExtractor_v1(OnnxOp):
    X: SSAValue
    Y: SSAValue
    Z: OpResult

class ml_Binarizer_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    threshold: Attribute | None  # FLOAT

class ml_CastMap_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    cast_to: Attribute | None  # STRING
    map_form: Attribute | None  # STRING
    max_map: Attribute | None  # INT

class ml_CategoryMapper_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    cats_int64s: Attribute | None  # INTS
    cats_strings: Attribute | None  # STRINGS
    default_int64: Attribute | None  # INT
    default_string: Attribute | None  # STRING

class ml_DictVectorizer_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    int64_vocabulary: Attribute | None  # INTS
    string_vocabulary: Attribute | None  # STRINGS

class ml_FeatureVectorizer_v1(OnnxOp):
    X: VarOperand
    Y: OpResult
    inputdimensions: Attribute | None  # INTS

class ml_Imputer_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    imputed_value_floats: Attribute | None  # FLOATS
    imputed_value_int64s: Attribute | None  # INTS
    replaced_value_float: Attribute | None  # FLOAT
    replaced_value_int64: Attribute | None  # INT

class ml_LabelEncoder_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    classes_strings: Attribute | None  # STRINGS
    default_int64: Attribute | None  # INT
    default_string: Attribute | None  # STRING

class ml_LabelEncoder_v2(OnnxOp):
    X: SSAValue
    Y: OpResult
    default_float: Attribute | None  # FLOAT
    default_int64: Attribute | None  # INT
    default_string: Attribute | None  # STRING
    keys_floats: Attribute | None  # FLOATS
    keys_int64s: Attribute | None  # INTS
    keys_strings: Attribute | None  # STRINGS
    values_floats: Attribute | None  # FLOATS
    values_int64s: Attribute | None  # INTS
    values_strings: Attribute | None  # STRINGS

class ml_LabelEncoder_v4(OnnxOp):
    X: SSAValue
    Y: OpResult
    default_float: Attribute | None  # FLOAT
    default_int64: Attribute | None  # INT
    default_string: Attribute | None  # STRING
    default_tensor: Attribute | None  # TENSOR
    keys_floats: Attribute | None  # FLOATS
    keys_int64s: Attribute | None  # INTS
    keys_strings: Attribute | None  # STRINGS
    keys_tensor: Attribute | None  # TENSOR
    values_floats: Attribute | None  # FLOATS
    values_int64s: Attribute | None  # INTS
    values_strings: Attribute | None  # STRINGS
    values_tensor: Attribute | None  # TENSOR

class ml_LinearClassifier_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    Z: OpResult
    classlabels_ints: Attribute | None  # INTS
    classlabels_strings: Attribute | None  # STRINGS
    coefficients: Attribute  # FLOATS
    intercepts: Attribute | None  # FLOATS
    multi_class: Attribute | None  # INT
    post_transform: Attribute | None  # STRING

class ml_LinearRegressor_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    coefficients: Attribute | None  # FLOATS
    intercepts: Attribute | None  # FLOATS
    post_transform: Attribute | None  # STRING
    targets: Attribute | None  # INT

class ml_Normalizer_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    norm: Attribute | None  # STRING

class ml_OneHotEncoder_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    cats_int64s: Attribute | None  # INTS
    cats_strings: Attribute | None  # STRINGS
    zeros: Attribute | None  # INT

class ml_SVMClassifier_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    Z: OpResult
    classlabels_ints: Attribute | None  # INTS
    classlabels_strings: Attribute | None  # STRINGS
    coefficients: Attribute | None  # FLOATS
    kernel_params: Attribute | None  # FLOATS
    kernel_type: Attribute | None  # STRING
    post_transform: Attribute | None  # STRING
    prob_a: Attribute | None  # FLOATS
    prob_b: Attribute | None  # FLOATS
    rho: Attribute | None  # FLOATS
    support_vectors: Attribute | None  # FLOATS
    vectors_per_class: Attribute | None  # INTS

class ml_SVMRegressor_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    coefficients: Attribute | None  # FLOATS
    kernel_params: Attribute | None  # FLOATS
    kernel_type: Attribute | None  # STRING
    n_supports: Attribute | None  # INT
    one_class: Attribute | None  # INT
    post_transform: Attribute | None  # STRING
    rho: Attribute | None  # FLOATS
    support_vectors: Attribute | None  # FLOATS

class ml_Scaler_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    offset: Attribute | None  # FLOATS
    scale: Attribute | None  # FLOATS

class ml_TreeEnsemble_v5(OnnxOp):
    X: SSAValue
    Y: OpResult
    aggregate_function: Attribute | None  # INT
    leaf_targetids: Attribute  # INTS
    leaf_weights: Attribute  # TENSOR
    membership_values: Attribute | None  # TENSOR
    n_targets: Attribute | None  # INT
    nodes_falseleafs: Attribute  # INTS
    nodes_falsenodeids: Attribute  # INTS
    nodes_featureids: Attribute  # INTS
    nodes_hitrates: Attribute | None  # TENSOR
    nodes_missing_value_tracks_true: Attribute | None  # INTS
    nodes_modes: Attribute  # TENSOR
    nodes_splits: Attribute  # TENSOR
    nodes_trueleafs: Attribute  # INTS
    nodes_truenodeids: Attribute  # INTS
    post_transform: Attribute | None  # INT
    tree_roots: Attribute  # INTS

class ml_TreeEnsembleClassifier_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    Z: OpResult
    base_values: Attribute | None  # FLOATS
    class_ids: Attribute | None  # INTS
    class_nodeids: Attribute | None  # INTS
    class_treeids: Attribute | None  # INTS
    class_weights: Attribute | None  # FLOATS
    classlabels_int64s: Attribute | None  # INTS
    classlabels_strings: Attribute | None  # STRINGS
    nodes_falsenodeids: Attribute | None  # INTS
    nodes_featureids: Attribute | None  # INTS
    nodes_hitrates: Attribute | None  # FLOATS
    nodes_missing_value_tracks_true: Attribute | None  # INTS
    nodes_modes: Attribute | None  # STRINGS
    nodes_nodeids: Attribute | None  # INTS
    nodes_treeids: Attribute | None  # INTS
    nodes_truenodeids: Attribute | None  # INTS
    nodes_values: Attribute | None  # FLOATS
    post_transform: Attribute | None  # STRING

class ml_TreeEnsembleClassifier_v3(OnnxOp):
    X: SSAValue
    Y: OpResult
    Z: OpResult
    base_values: Attribute | None  # FLOATS
    base_values_as_tensor: Attribute | None  # TENSOR
    class_ids: Attribute | None  # INTS
    class_nodeids: Attribute | None  # INTS
    class_treeids: Attribute | None  # INTS
    class_weights: Attribute | None  # FLOATS
    class_weights_as_tensor: Attribute | None  # TENSOR
    classlabels_int64s: Attribute | None  # INTS
    classlabels_strings: Attribute | None  # STRINGS
    nodes_falsenodeids: Attribute | None  # INTS
    nodes_featureids: Attribute | None  # INTS
    nodes_hitrates: Attribute | None  # FLOATS
    nodes_hitrates_as_tensor: Attribute | None  # TENSOR
    nodes_missing_value_tracks_true: Attribute | None  # INTS
    nodes_modes: Attribute | None  # STRINGS
    nodes_nodeids: Attribute | None  # INTS
    nodes_treeids: Attribute | None  # INTS
    nodes_truenodeids: Attribute | None  # INTS
    nodes_values: Attribute | None  # FLOATS
    nodes_values_as_tensor: Attribute | None  # TENSOR
    post_transform: Attribute | None  # STRING

class ml_TreeEnsembleClassifier_v5(OnnxOp):
    X: SSAValue
    Y: OpResult
    Z: OpResult
    base_values: Attribute | None  # FLOATS
    base_values_as_tensor: Attribute | None  # TENSOR
    class_ids: Attribute | None  # INTS
    class_nodeids: Attribute | None  # INTS
    class_treeids: Attribute | None  # INTS
    class_weights: Attribute | None  # FLOATS
    class_weights_as_tensor: Attribute | None  # TENSOR
    classlabels_int64s: Attribute | None  # INTS
    classlabels_strings: Attribute | None  # STRINGS
    nodes_falsenodeids: Attribute | None  # INTS
    nodes_featureids: Attribute | None  # INTS
    nodes_hitrates: Attribute | None  # FLOATS
    nodes_hitrates_as_tensor: Attribute | None  # TENSOR
    nodes_missing_value_tracks_true: Attribute | None  # INTS
    nodes_modes: Attribute | None  # STRINGS
    nodes_nodeids: Attribute | None  # INTS
    nodes_treeids: Attribute | None  # INTS
    nodes_truenodeids: Attribute | None  # INTS
    nodes_values: Attribute | None  # FLOATS
    nodes_values_as_tensor: Attribute | None  # TENSOR
    post_transform: Attribute | None  # STRING

class ml_TreeEnsembleRegressor_v1(OnnxOp):
    X: SSAValue
    Y: OpResult
    aggregate_function: Attribute | None  # STRING
    base_values: Attribute | None  # FLOATS
    n_targets: Attribute | None  # INT
    nodes_falsenodeids: Attribute | None  # INTS
    nodes_featureids: Attribute | None  # INTS
    nodes_hitrates: Attribute | None  # FLOATS
    nodes_missing_value_tracks_true: Attribute | None  # INTS
    nodes_modes: Attribute | None  # STRINGS
    nodes_nodeids: Attribute | None  # INTS
    nodes_treeids: Attribute | None  # INTS
    nodes_truenodeids: Attribute | None  # INTS
    nodes_values: Attribute | None  # FLOATS
    post_transform: Attribute | None  # STRING
    target_ids: Attribute | None  # INTS
    target_nodeids: Attribute | None  # INTS
    target_treeids: Attribute | None  # INTS
    target_weights: Attribute | None  # FLOATS

class ml_TreeEnsembleRegressor_v3(OnnxOp):
    X: SSAValue
    Y: OpResult
    aggregate_function: Attribute | None  # STRING
    base_values: Attribute | None  # FLOATS
    base_values_as_tensor: Attribute | None  # TENSOR
    n_targets: Attribute | None  # INT
    nodes_falsenodeids: Attribute | None  # INTS
    nodes_featureids: Attribute | None  # INTS
    nodes_hitrates: Attribute | None  # FLOATS
    nodes_hitrates_as_tensor: Attribute | None  # TENSOR
    nodes_missing_value_tracks_true: Attribute | None  # INTS
    nodes_modes: Attribute | None  # STRINGS
    nodes_nodeids: Attribute | None  # INTS
    nodes_treeids: Attribute | None  # INTS
    nodes_truenodeids: Attribute | None  # INTS
    nodes_values: Attribute | None  # FLOATS
    nodes_values_as_tensor: Attribute | None  # TENSOR
    post_transform: Attribute | None  # STRING
    target_ids: Attribute | None  # INTS
    target_nodeids: Attribute | None  # INTS
    target_treeids: Attribute | None  # INTS
    target_weights: Attribute | None  # FLOATS
    target_weights_as_tensor: Attribute | None  # TENSOR

class ml_TreeEnsembleRegressor_v5(OnnxOp):
    X: SSAValue
    Y: OpResult
    aggregate_function: Attribute | None  # STRING
    base_values: Attribute | None  # FLOATS
    base_values_as_tensor: Attribute | None  # TENSOR
    n_targets: Attribute | None  # INT
    nodes_falsenodeids: Attribute | None  # INTS
    nodes_featureids: Attribute | None  # INTS
    nodes_hitrates: Attribute | None  # FLOATS
    nodes_hitrates_as_tensor: Attribute | None  # TENSOR
    nodes_missing_value_tracks_true: Attribute | None  # INTS
    nodes_modes: Attribute | None  # STRINGS
    nodes_nodeids: Attribute | None  # INTS
    nodes_treeids: Attribute | None  # INTS
    nodes_truenodeids: Attribute | None  # INTS
    nodes_values: Attribute | None  # FLOATS
    nodes_values_as_tensor: Attribute | None  # TENSOR
    post_transform: Attribute | None  # STRING
    target_ids: Attribute | None  # INTS
    target_nodeids: Attribute | None  # INTS
    target_treeids: Attribute | None  # INTS
    target_weights: Attribute | None  # FLOATS
    target_weights_as_tensor: Attribute | None  # TENSOR

class ml_ZipMap_v1(OnnxOp):
    X: SSAValue
    Z: OpResult
    classlabels_int64s: Attribute | None  # INTS
    classlabels_strings: Attribute | None  # STRINGS

class preview_FlexAttention_v1(OnnxOp):
    Q: SSAValue
    K: SSAValue
    V: SSAValue
    Y: OpResult
    prob_mod: Region
    scale: Attribute | None  # FLOAT
    score_mod: Region
    softmax_precision: Attribute | None  # INT

class training_Adagrad_v1(OnnxOp):
    R: SSAValue
    T: SSAValue
    inputs: VarOperand
    outputs: VarOpResult
    decay_factor: Attribute | None  # FLOAT
    epsilon: Attribute | None  # FLOAT
    norm_coefficient: Attribute | None  # FLOAT

class training_Adam_v1(OnnxOp):
    R: SSAValue
    T: SSAValue
    inputs: VarOperand
    outputs: VarOpResult
    alpha: Attribute | None  # FLOAT
    beta: Attribute | None  # FLOAT
    epsilon: Attribute | None  # FLOAT
    norm_coefficient: Attribute | None  # FLOAT
    norm_coefficient_post: Attribute | None  # FLOAT

class training_Gradient_v1(OnnxOp):
    Inputs: VarOperand
    Outputs: VarOpResult
    xs: Attribute  # STRINGS
    y: Attribute  # STRING
    zs: Attribute | None  # STRINGS

class training_Momentum_v1(OnnxOp):
    R: SSAValue
    T: SSAValue
    inputs: VarOperand
    outputs: VarOpResult
    alpha: Attribute  # FLOAT
    beta: Attribute  # FLOAT
    mode: Attribute  # STRING
    norm_coefficient: Attribute  # FLOAT
