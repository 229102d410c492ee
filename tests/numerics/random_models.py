"""Small random networks as exporters write them, for comparison with onnxruntime.

    python tests/numerics/random_models.py --seeds 0 200      # compares, prints what differs

A model grows from an image, a sequence or a table by steps that are drawn at random; every step is
a few nodes that real exporters write (a convolution with its normalization, a chain Shape, Gather,
Concat, Reshape, a recurrent layer, ...). A seed always gives the same model and the same inputs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

F32, I64 = np.float32, np.int64
Shape = tuple[int, ...]


@dataclass
class Value:
    """A tensor of the model: its name, and the sizes it has in the run."""

    name: str
    shape: Shape


@dataclass
class Model:
    """A model under construction."""

    rng: np.random.Generator
    opset: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    inputs: dict[str, tuple[np.ndarray, list[int | str]]] = field(default_factory=dict)
    count: int = 0

    def name(self, hint: str = "v") -> str:
        """A name not used yet."""
        self.count += 1
        return f"{hint}{self.count}"

    def op(self, kind: str, *operands: str, results: int = 1, **attributes: Any) -> Any:
        """Adds a node; gives its result's name, or a list of them."""
        names = [self.name() for _ in range(results)]
        self.nodes.append(helper.make_node(kind, operands, names, **attributes))
        return names[0] if results == 1 else names

    def const(self, array: Any) -> str:
        """A constant."""
        name = self.name("c")
        self.constants[name] = np.asarray(array)
        return name

    def weights(self, *shape: int) -> str:
        """A constant of small random numbers."""
        return self.const((self.rng.standard_normal(shape) * 0.4).astype(F32))

    def ints(self, *values: int) -> str:
        return self.const(np.array(values, I64))

    def feed(self, array: np.ndarray, dims: Sequence[int | str]) -> Value:
        """An input."""
        name = self.name("x")
        self.inputs[name] = array, list(dims)
        return Value(name, array.shape)

    def pick(self, options: Sequence[Any]) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def size(self, value: str, axis: int) -> str:
        """A size as a vector of one element, by Shape, Gather, Unsqueeze."""
        entry = self.op("Gather", self.op("Shape", value), self.const(np.array(axis, I64)), axis=0)
        return unsqueeze(self, entry, 0)


def unsqueeze(m: Model, value: str, *axes: int) -> str:
    """Unsqueeze in the form of the opset."""
    if m.opset < 13:
        return m.op("Unsqueeze", value, axes=axes)
    return m.op("Unsqueeze", value, m.ints(*axes))


def squeeze(m: Model, value: str, *axes: int) -> str:
    """Squeeze in the form of the opset."""
    if m.opset < 13:
        return m.op("Squeeze", value, axes=axes)
    return m.op("Squeeze", value, m.ints(*axes))


def reduced(m: Model, kind: str, x: Value, axes: Sequence[int], keepdims: bool) -> Value:
    """A reduction, its axes an attribute or an operand as the opset has it."""
    since = 13 if kind == "ReduceSum" else 18
    if m.opset >= since:
        name = m.op(kind, x.name, m.ints(*axes), keepdims=int(keepdims))
    else:
        name = m.op(kind, x.name, axes=list(axes), keepdims=int(keepdims))
    positive = [axis % len(x.shape) for axis in axes]
    shape = [
        1 if a in positive else d for a, d in enumerate(x.shape) if keepdims or a not in positive
    ]
    return Value(name, tuple(shape))


# Steps on any tensor -------------------------------------------------------------------------


def activation(m: Model, x: Value) -> Value:
    """A function of each element."""
    kind = m.pick(["Relu", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "Softplus", "Abs", "Neg", "Erf"])
    return Value(m.op(kind, x.name), x.shape)


def clip(m: Model, x: Value) -> Value:
    """Relu6, in the form of the opset."""
    if m.opset < 11:
        return Value(m.op("Clip", x.name, min=0.0, max=6.0), x.shape)
    low, high = m.const(F32(0)), m.const(F32(6))
    return Value(m.op("Clip", x.name, low, high), x.shape)


def hard_swish(m: Model, x: Value) -> Value:
    """x * clip(x + 3, 0, 6) / 6"""
    shifted = Value(m.op("Add", x.name, m.const(F32(3))), x.shape)
    product = m.op("Mul", x.name, clip(m, shifted).name)
    return Value(m.op("Div", product, m.const(F32(6))), x.shape)


def scale_and_shift(m: Model, x: Value) -> Value:
    """x * a + b along the last axis, or by one number."""
    width = m.pick([1, x.shape[-1]])
    return Value(m.op("Add", m.op("Mul", x.name, m.weights(width)), m.weights(width)), x.shape)


def residual(m: Model, x: Value) -> Value:
    """x + f(x)"""
    inner = m.pick([activation, hard_swish, scale_and_shift])(m, x)
    return Value(m.op(m.pick(["Add", "Mul", "Sub", "Max"]), x.name, inner.name), x.shape)


def normalized(m: Model, x: Value) -> Value:
    """(x - mean) / sqrt(variance + epsilon), spelled out."""
    mean = reduced(m, "ReduceMean", x, [-1], True)
    centered = Value(m.op("Sub", x.name, mean.name), x.shape)
    square = Value(m.op("Pow", centered.name, m.const(F32(2))), x.shape)
    variance = reduced(m, "ReduceMean", square, [-1], True)
    root = m.op("Sqrt", m.op("Add", variance.name, m.const(F32(1e-5))))
    return Value(m.op("Div", centered.name, root), x.shape)


def softmax(m: Model, x: Value) -> Value:
    """Softmax along the last axis (before 13: of the flattened tail)."""
    return Value(m.op(m.pick(["Softmax", "LogSoftmax"]), x.name, axis=len(x.shape) - 1), x.shape)


def where(m: Model, x: Value) -> Value:
    """Where(x > c, x, alternative)"""
    condition = m.op(m.pick(["Greater", "Less"]), x.name, m.const(F32(0.1)))
    other = m.pick([m.const(F32(-0.5)), m.op("Mul", x.name, m.const(F32(0.01)))])
    return Value(m.op("Where", condition, x.name, other), x.shape)


def half_island(m: Model, x: Value) -> Value:
    """A part in float16."""
    half = m.op("Cast", x.name, to=TensorProto.FLOAT16)
    half = m.op("Add", m.op("Mul", half, half), m.const(np.float16(0.5)))
    return Value(m.op("Cast", half, to=TensorProto.FLOAT), x.shape)


def transpose(m: Model, x: Value) -> Value:
    """Axes behind the batch in another order."""
    perm = [0, *(int(a) + 1 for a in m.rng.permutation(len(x.shape) - 1))]
    return Value(m.op("Transpose", x.name, perm=perm), tuple(x.shape[a] for a in perm))


def there_and_back(m: Model, x: Value) -> Value:
    """A transposition, something, and its inverse."""
    perm = [0, *(int(a) + 1 for a in m.rng.permutation(len(x.shape) - 1))]
    inner = Value(m.op("Transpose", x.name, perm=perm), tuple(x.shape[a] for a in perm))
    inner = m.pick([activation, scale_and_shift, softmax, normalized])(m, inner)
    back = [int(a) for a in np.argsort(perm)]
    return Value(m.op("Transpose", inner.name, perm=back), x.shape)


def slice_and_concat(m: Model, x: Value) -> Value:
    """Parts of an axis, one of them changed, joined in another order."""
    axis = int(m.rng.integers(1, len(x.shape)))
    cut = x.shape[axis] // 2
    if cut == 0:
        return activation(m, x)
    bounds = [(0, cut), (cut, 2**31 - 1)]
    parts = []
    for start, end in bounds:
        operands = (m.ints(start), m.ints(end), m.ints(axis))
        if m.opset < 10:
            parts.append(m.op("Slice", x.name, starts=[start], ends=[end], axes=[axis]))
        else:
            parts.append(m.op("Slice", x.name, *operands))
    parts[0] = m.op("Relu", parts[0])
    return Value(m.op("Concat", *parts[:: m.pick([1, -1])], axis=axis), x.shape)


def strided_slice(m: Model, x: Value) -> Value:
    """Every second element, or the reverse, of an axis."""
    axis = int(m.rng.integers(1, len(x.shape)))
    size = x.shape[axis]
    if m.opset < 10 or size < 2:
        return activation(m, x)
    start, end, step = m.pick(
        [(0, size, 2), (-1, -(2**31), -1), (1, 2**62, 2), (-2, -size - 1, -2)]
    )
    first = start % size if start < 0 else start
    count = len(range(first, size)[::step]) if step > 0 else len(range(first, -1, step))
    name = m.op("Slice", x.name, m.ints(start), m.ints(end), m.ints(axis), m.ints(step))
    return Value(name, (*x.shape[:axis], count, *x.shape[axis + 1 :]))


def split(m: Model, x: Value) -> Value:
    """Two parts, multiplied as in a gated unit."""
    axis = int(m.rng.integers(1, len(x.shape)))
    half, rest = divmod(x.shape[axis], 2)
    if rest or half == 0:
        return activation(m, x)
    if m.opset < 13:
        a, b = m.op("Split", x.name, results=2, axis=axis, split=[half, half])
    else:
        a, b = m.op("Split", x.name, m.ints(half, half), results=2, axis=axis)
    name = m.op("Mul", a, m.op("Sigmoid", b))
    return Value(name, (*x.shape[:axis], half, *x.shape[axis + 1 :]))


def pad(m: Model, x: Value) -> Value:
    """Elements before and after the last axis."""
    mode = m.pick(["constant", "reflect", "edge"])
    before, after = (0, 0) if mode == "reflect" and x.shape[-1] < 3 else (m.pick([0, 1]), 2)
    amounts = [0] * (2 * len(x.shape))
    amounts[len(x.shape) - 1], amounts[-1] = before, after
    if m.opset < 11:
        name = m.op("Pad", x.name, pads=amounts, mode=mode)
    else:
        name = m.op("Pad", x.name, m.ints(*amounts), mode=mode)
    return Value(name, (*x.shape[:-1], x.shape[-1] + before + after))


def gather(m: Model, x: Value) -> Value:
    """Elements of an axis by constant indices."""
    axis = int(m.rng.integers(1, len(x.shape)))
    size = x.shape[axis]
    indices = m.rng.integers(-size, size, 3)
    name = m.op("Gather", x.name, m.const(indices.astype(I64)), axis=axis)
    return Value(name, (*x.shape[:axis], 3, *x.shape[axis + 1 :]))


def gathered_elements(m: Model, x: Value) -> Value:
    """Elements chosen one by one, in another order, beside all of them."""
    if m.opset < 11:
        return gather(m, x)
    along = m.rng.integers(-x.shape[-1], x.shape[-1], x.shape[1:])
    swapped = [*range(len(x.shape) - 2), len(x.shape) - 1, len(x.shape) - 2]
    shape = m.op("Shape", x.name)
    places = m.op("Expand", m.const(along), shape)
    chosen = m.op("GatherElements", x.name, places, axis=-1)
    return Value(
        m.op(
            "Add", m.op("Transpose", chosen, perm=swapped), m.op("Transpose", x.name, perm=swapped)
        ),
        (*x.shape[:-2], x.shape[-1], x.shape[-2]),
    )


def flatten_and_back(m: Model, x: Value) -> Value:
    """Reshape to [batch, -1] by a run's sizes, a function, and back."""
    target = m.op("Concat", m.size(x.name, 0), m.ints(-1), axis=0)
    flat = Value(m.op("Reshape", x.name, target), (x.shape[0], int(np.prod(x.shape[1:]))))
    flat = m.pick([activation, scale_and_shift, softmax])(m, flat)
    target = m.pick([m.ints(-1, *x.shape[1:]), m.ints(0, *x.shape[1:])])
    if m.pick([True, False]):
        target = m.op("Concat", m.size(flat.name, 0), m.ints(*x.shape[1:]), axis=0)
    return Value(m.op("Reshape", flat.name, target), x.shape)


def expanded(m: Model, x: Value) -> Value:
    """A vector broadcast to the shape of x by Expand, and added."""
    row = m.op("Expand", m.weights(x.shape[-1]), m.op("Shape", x.name))
    return Value(m.op("Add", x.name, row), x.shape)


def top_k(m: Model, x: Value) -> Value:
    """The largest elements of the last axis."""
    count = min(3, x.shape[-1])
    if m.opset < 10:
        name = m.op("TopK", x.name, results=2, k=count)[0]
    else:
        name = m.op("TopK", x.name, m.ints(count), results=2)[0]
    return Value(name, (*x.shape[:-1], count))


def cumulated(m: Model, x: Value) -> Value:
    """A running sum along the last axis."""
    if m.opset < 11:
        return activation(m, x)
    return Value(m.op("CumSum", x.name, m.const(np.array(-1, I64))), x.shape)


def scattered(m: Model, x: Value) -> Value:
    """The first entry of axis 1 replaced, and read back, by N-dimensional indices."""
    if m.opset < 11 or len(x.shape) < 2:
        return activation(m, x)
    first = m.op("Gather", x.name, m.ints(0), axis=0)
    update = m.op("Mul", m.op("Gather", squeeze(m, first, 0), m.ints(0), axis=0), m.const(F32(2)))
    indices = m.const(np.array([[0, 0]], I64))
    changed = m.op("ScatterND", x.name, indices, update)
    return Value(changed, x.shape)


def chosen(m: Model, x: Value) -> Value:
    """An If on data, with branches of one shape."""
    largest = reduced(m, "ReduceMax", x, range(len(x.shape)), False)
    condition = m.op("Greater", largest.name, m.const(F32(0.5)))
    branches = {}
    for name, kind in (("then_branch", "Relu"), ("else_branch", "Tanh")):
        result = m.name("b")
        body = [helper.make_node(kind, [x.name], [result])]
        value = helper.make_tensor_value_info(result, TensorProto.FLOAT, None)
        branches[name] = helper.make_graph(body, name, [], [value])
    return Value(m.op("If", condition, **branches), x.shape)


def looped(m: Model, x: Value) -> Value:
    """A Loop of three iterations that carries x."""
    names = {key: m.name(key) for key in ("i", "go", "state", "next", "kept", "half")}
    body = helper.make_graph(
        [
            helper.make_node("Tanh", [names["state"]], [names["half"]]),
            helper.make_node("Add", [names["half"], x.name], [names["next"]]),
            helper.make_node("Identity", [names["go"]], [names["kept"]]),
        ],
        "body",
        [
            helper.make_tensor_value_info(names["i"], TensorProto.INT64, []),
            helper.make_tensor_value_info(names["go"], TensorProto.BOOL, []),
            helper.make_tensor_value_info(names["state"], TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info(names["kept"], TensorProto.BOOL, []),
            helper.make_tensor_value_info(names["next"], TensorProto.FLOAT, None),
        ],
    )
    trips, go = m.const(np.array(3, I64)), m.const(np.array(True))
    return Value(m.op("Loop", trips, go, x.name, body=body), x.shape)


ANY: list[Callable[[Model, Value], Value]] = [
    *[activation, clip, hard_swish, scale_and_shift, residual, normalized, softmax, where],
    *[half_island, transpose, there_and_back, slice_and_concat, strided_slice, split, pad],
    *[gather, gathered_elements, flatten_and_back, expanded, top_k, cumulated, scattered],
    *[chosen, looped],
]


# Steps on images -----------------------------------------------------------------------------


def convolution(m: Model, x: Value) -> Value:
    """A convolution (plain, grouped, depthwise, strided, dilated), often normalized, activated."""
    channels, group = x.shape[1], m.pick([1, 1, x.shape[1]])
    kernel, stride = m.pick([1, 3, 3, 5]), m.pick([1, 1, 2])
    out = m.pick([1, 2]) * channels if group > 1 else m.pick([3, 4, 8, 16])
    auto = m.pick(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER"])
    options: dict[str, Any] = {
        "kernel_shape": [kernel] * 2,
        "strides": [stride] * 2,
        "group": group,
    }
    options |= {"pads": [kernel // 2] * 4} if auto == "NOTSET" else {"auto_pad": auto}
    operands = [x.name, m.weights(out, channels // group, kernel, kernel)]
    operands += [m.weights(out)] if m.pick([True, False]) else []
    name = m.op("Conv", *operands, **options)
    sizes = [-(-d // stride) for d in x.shape[2:]]
    y = Value(name, (x.shape[0], out, *sizes))
    if m.pick([True, False]):
        spread = m.const(np.abs(m.rng.standard_normal(out)).astype(F32) + 0.5)
        y.name = m.op(
            "BatchNormalization", y.name, m.weights(out), m.weights(out), m.weights(out), spread
        )
    return m.pick([activation, clip, hard_swish, lambda _, v: v])(m, y)


def pooling(m: Model, x: Value) -> Value:
    """Maximum or average over windows."""
    if min(x.shape[2:]) < 2:
        return activation(m, x)
    kind, ceil = m.pick(["MaxPool", "AveragePool"]), m.pick([0, 1]) if m.opset >= 10 else 0
    name = m.op(
        kind, x.name, kernel_shape=[2, 2], strides=[2, 2], **({"ceil_mode": 1} if ceil else {})
    )
    return Value(name, (*x.shape[:2], *((d + ceil) // 2 for d in x.shape[2:])))


def upsampled(m: Model, x: Value) -> Value:
    """Twice as large, by Upsample or Resize."""
    shape = (*x.shape[:2], *(2 * d for d in x.shape[2:]))
    scales = m.const(np.array([1, 1, 2, 2], F32))
    mode = m.pick(["nearest", "linear"])
    if m.opset < 9:
        return Value(m.op("Upsample", x.name, mode="nearest", scales=[1.0, 1.0, 2.0, 2.0]), shape)
    if m.opset == 9:
        return Value(m.op("Upsample", x.name, scales, mode=mode), shape)
    if m.opset == 10:
        return Value(m.op("Resize", x.name, scales, mode=mode), shape)
    if m.pick([True, False]):
        sizes = m.op("Concat", m.size(x.name, 0), m.ints(*shape[1:]), axis=0)
        operands = (m.const(np.zeros(0, F32)) if m.opset < 13 else "", sizes)
        name = m.op("Resize", x.name, "" if m.opset >= 13 else operands[0], *operands, mode=mode)
        return Value(name, shape)
    transform = m.pick(["asymmetric", "align_corners", "half_pixel", "pytorch_half_pixel"])
    options = {"coordinate_transformation_mode": transform, "mode": mode}
    options |= {"nearest_mode": "floor"} if mode == "nearest" else {}
    roi = m.const(np.zeros(0, F32)) if m.opset < 13 else ""
    return Value(m.op("Resize", x.name, roi, scales, **options), shape)


def squeeze_and_excite(m: Model, x: Value) -> Value:
    """Channels weighted by a small network on their means."""
    channels = x.shape[1]
    pooled = Value(m.op("GlobalAveragePool", x.name), (*x.shape[:2], 1, 1))
    hidden = m.op("Relu", m.op("Conv", pooled.name, m.weights(4, channels, 1, 1), m.weights(4)))
    gates = m.op(
        "HardSigmoid", m.op("Conv", hidden, m.weights(channels, 4, 1, 1), m.weights(channels))
    )
    return Value(m.op("Mul", x.name, gates), x.shape)


def transposed_convolution(m: Model, x: Value) -> Value:
    """A learned upsampling."""
    weights = m.weights(x.shape[1], 4, 2, 2)
    name = m.op("ConvTranspose", x.name, weights, m.weights(4), kernel_shape=[2, 2], strides=[2, 2])
    return Value(name, (x.shape[0], 4, *(2 * d for d in x.shape[2:])))


def shuffled(m: Model, x: Value) -> Value:
    """A channel shuffle: Reshape, Transpose, Reshape."""
    _, channels, *sizes = x.shape
    if channels % 2:
        return activation(m, x)
    y = m.op("Reshape", x.name, m.ints(-1, 2, channels // 2, *sizes))
    y = m.op("Transpose", y, perm=[0, 2, 1, 3, 4])
    return Value(m.op("Reshape", y, m.ints(-1, channels, *sizes)), x.shape)


def depth_to_space(m: Model, x: Value) -> Value:
    """Blocks of channels as pixels."""
    n, channels, *sizes = x.shape
    if channels % 4:
        return activation(m, x)
    mode = {"mode": m.pick(["DCR", "CRD"])} if m.opset >= 11 else {}
    name = m.op("DepthToSpace", x.name, blocksize=2, **mode)
    return Value(name, (n, channels // 4, *(2 * d for d in sizes)))


IMAGE: list[Callable[[Model, Value], Value]] = [
    *[convolution] * 6,
    *[pooling, upsampled, squeeze_and_excite, transposed_convolution, shuffled, depth_to_space],
]


# Steps on sequences and tables ---------------------------------------------------------------


def dense(m: Model, x: Value) -> Value:
    """A product with weights, and a bias."""
    width = m.pick([3, 8, 17])
    if len(x.shape) == 2 and m.pick([True, False]):
        weights = m.weights(width, x.shape[-1])
        return Value(m.op("Gemm", x.name, weights, m.weights(width), transB=1), (x.shape[0], width))
    product = m.op("MatMul", x.name, m.weights(x.shape[-1], width))
    return Value(m.op("Add", product, m.weights(width)), (*x.shape[:-1], width))


def recurrent(m: Model, x: Value) -> Value:
    """A recurrent layer over [batch, steps, features], as PyTorch and Keras write it."""
    kind, both = m.pick(["LSTM", "GRU", "RNN"]), m.pick([False, True])
    gates, hidden, directions = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind], 5, 1 + both
    batch, steps, width = x.shape
    operands = [
        m.op("Transpose", x.name, perm=[1, 0, 2]),
        m.weights(directions, gates * hidden, width),
        m.weights(directions, gates * hidden, hidden),
        m.weights(directions, 2 * gates * hidden),
    ]
    if m.pick([False, True]):
        lengths = m.rng.integers(1, steps + 1, batch).astype(np.int32)
        operands.append(m.feed(lengths, ["batch"]).name)
    options: dict[str, Any] = {"hidden_size": hidden}
    options |= {"direction": "bidirectional" if both else m.pick(["forward", "reverse"])}
    options |= {"linear_before_reset": m.pick([0, 1])} if kind == "GRU" else {}
    y = m.op(kind, *operands, results=2, **options)[0]
    if both:
        y = m.op("Reshape", m.op("Transpose", y, perm=[0, 2, 1, 3]), m.ints(0, 0, -1))
    else:
        y = squeeze(m, y, 1)
    return Value(m.op("Transpose", y, perm=[1, 0, 2]), (batch, steps, directions * hidden))


def attention(m: Model, x: Value) -> Value:
    """Self attention of two heads, spelled out."""
    width = x.shape[-1]
    heads, size = 2, 4

    def head(perm: list[int]) -> str:
        y = m.op(
            "Add", m.op("MatMul", x.name, m.weights(width, heads * size)), m.weights(heads * size)
        )
        return m.op("Transpose", m.op("Reshape", y, m.ints(0, -1, heads, size)), perm=perm)

    q, k, v = head([0, 2, 1, 3]), head([0, 2, 3, 1]), head([0, 2, 1, 3])
    scores = m.op("Div", m.op("MatMul", q, k), m.const(F32(2)))
    mixed = m.op("MatMul", m.op("Softmax", scores, axis=3), v)
    mixed = m.op(
        "Reshape", m.op("Transpose", mixed, perm=[0, 2, 1, 3]), m.ints(0, -1, heads * size)
    )
    return Value(m.op("MatMul", mixed, m.weights(heads * size, width)), x.shape)


def one_dimensional(m: Model, x: Value) -> Value:
    """A convolution over steps between transpositions."""
    batch, steps, width = x.shape
    y = m.op("Transpose", x.name, perm=[0, 2, 1])
    y = m.op("Conv", y, m.weights(6, width, 3), kernel_shape=[3], pads=[1, 1])
    return Value(m.op("Transpose", m.op("Relu", y), perm=[0, 2, 1]), (batch, steps, 6))


def last_axes(m: Model, x: Value) -> Value:
    """A reduction that keeps its axis, subtracted."""
    kind = m.pick(
        ["ReduceMax", "ReduceMin", "ReduceSum", "ReduceMean", "ReduceL2", "ReduceSumSquare"]
    )
    return Value(m.op("Sub", x.name, reduced(m, kind, x, [m.pick([1, -1])], True).name), x.shape)


SEQUENCE: list[Callable[[Model, Value], Value]] = [
    *[dense, dense, recurrent, attention, one_dimensional, last_axes]
]
TABLE: list[Callable[[Model, Value], Value]] = [dense, dense, last_axes]


def random_model(seed: int, steps: int = 9) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """The model of a seed, and inputs for it."""
    rng = np.random.default_rng(seed)
    m = Model(rng, int(rng.choice([8, 9, 10, 11, 12, 13, 16, 18, 21])))
    shape, own = m.pick([((2, 4, 9, 12), IMAGE), ((3, 7, 6), SEQUENCE), ((5, 10), TABLE)])
    batch = m.pick([1, shape[0]])
    sizes: list[int | str] = [m.pick(["batch", batch]), *shape[1:]]
    if own is IMAGE and m.pick([True, False]):
        sizes[2:] = ["height", "width"]
    if own is SEQUENCE and m.pick([True, False]):
        sizes[1] = "steps"
    x = m.feed(rng.standard_normal((batch, *shape[1:])).astype(F32), sizes)
    # What the steps know of sizes must not go into constants where the model leaves them open.
    values = [x]
    for _ in range(steps):
        rules = own if len(x.shape) == len(shape) and rng.random() < 0.6 else ANY
        x = m.pick(rules)(m, x)
        values.append(x)
    outputs = [x.name]
    if len(values) > 4 and values[3].name != x.name and values[3].name not in m.inputs:
        outputs.append(values[3].name)
    return finish(m, list(dict.fromkeys(outputs)))


def finish(m: Model, outputs: Sequence[str]) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """The model with its inputs and constants declared."""
    kind = helper.np_dtype_to_tensor_dtype
    graph = helper.make_graph(
        m.nodes,
        "random",
        [helper.make_tensor_value_info(n, kind(a.dtype), d) for n, (a, d) in m.inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in m.constants.items()],
    )
    imports = [helper.make_opsetid("", m.opset)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    return model, {name: array for name, (array, _) in m.inputs.items()}


def differences(seed: int, steps: int = 9) -> str | None:
    """What onnxruntime and we disagree on for a seed; "" if nothing, None where it cannot run."""
    from numerics.harness import compile_model

    model, feed = random_model(seed, steps)
    session = reference(model)
    if session is None:
        return None
    try:
        expected = session.run(None, feed)
    except Exception:  # onnxruntime refuses a model whose constants do not fit its open sizes.
        return None
    got = compile_model(model).run(feed)
    halves = any(
        helper.get_node_attr_value(n, "to") == 10 for n in model.graph.node if n.op_type == "Cast"
    )
    for output, wanted in zip(model.graph.output, expected, strict=True):
        if (wrong := unlike(got[output.name], wanted, halves)) is not None:
            return f"output {output.name}: {wrong}"
    return ""


def reference(model: onnx.ModelProto) -> Any:
    """onnxruntime without its own rewriting, or None where it refuses the model."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception:
        return None


def unlike(got: np.ndarray, wanted: np.ndarray, halves: bool = False) -> str | None:
    """How two results differ beyond rounding (with ``halves`` to float16), or None."""
    if got.shape != wanted.shape:
        return f"shape {got.shape} instead of {wanted.shape}"
    scale = max(1.0, float(np.nanmax(np.abs(wanted), initial=0)))
    atol = (2e-2 if halves else 2e-4) * scale
    if not np.allclose(got, wanted, rtol=1e-3, atol=atol, equal_nan=True):
        return f"largest difference {np.nanmax(np.abs(got - wanted)):.3g} at scale {scale:.3g}"
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 100))
    arguments = parser.parse_args()
    compared = 0
    for seed in range(*arguments.seeds):
        try:
            wrong = differences(seed)
        except Exception as error:
            wrong = f"{type(error).__name__}: {str(error)[:300]}"
        compared += wrong is not None
        if wrong:
            print(f"seed {seed}: {wrong}", flush=True)
    print(f"{compared} models compared")


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
    main()
