"""One operation class for every operator version that `onnx.defs` knows, made on demand.

    onnx.Conv.v22            ai.onnx            Conv, since_version 22
    onnx.ml.Scaler.v1        ai.onnx.ml
    onnx.preview.X.v1        ai.onnx.preview
    onnx.training.Adam.v1    ai.onnx.preview.training
    onnx.Custom              any other domain; keeps domain, op_type and version
    onnx.Call                a call of a model-local function, a private `func.func`
    onnx.Const               a constant tensor, `value` dense or dense_resource
    onnx.NoValue             an absent optional input
    onnx.Symbols             names of sizes that the elements of a tensor are
    onnx.IndexRange          the smallest and largest of some indices
    onnx.CheckRange          fails the run where they leave a tensor
    onnx.CheckCondition      fails the run where a boolean is not what shape inference relied on
    onnx.Dispatch            a call of a dispatch, see passes/onnx/form_dispatches.py
    onnx.Content             a tensor whose elements are symbolic sizes
    onnx.Recurrence          the steps of an RNN, GRU or LSTM
    onnx.WinogradConv        a convolution whose weights are transformed, by tiles of its result
    onnx.StrassenSums        the sums of blocks of a matrix that Strassen's seven products need
    onnx.StrassenMatMul      a product of matrices by seven products of blocks
    onnx.SplitMatMul         a product of bytes whose sums of pairs fit 16 bits
    onnx.Pack                neighbouring integers as one
    onnx.Yield               end of a subgraph

Every formal input that is not variadic has an operand (`onnx.NoValue`'s result when absent),
every formal output a result (type `none` when absent), every attribute a property under its ONNX
name, every subgraph attribute a region in the schema's order of names. The typed view of these
classes is `ops.pyi`, written by `python -m dialects.onnx.stub`.
"""

from __future__ import annotations

import keyword
from collections.abc import Sequence
from functools import cache
from math import prod
from typing import Any, ClassVar

import onnx
import onnx.defs
from onnx.helper import get_attribute_value
from xdsl.dialects.builtin import (
    ArrayAttr,
    BytesAttr,
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    DenseResourceAttr,
    FloatAttr,
    IntegerAttr,
    StringAttr,
    SymbolRefAttr,
    TensorType,
    UnitAttr,
)
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.irdl import (
    AnyAttr,
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
    var_region_def,
    var_result_def,
)
from xdsl.traits import IsTerminator, Pure
from xdsl.utils.exceptions import VerifyException

DOMAIN_PREFIX: dict[str, str] = {
    "": "",
    "ai.onnx": "",
    "ai.onnx.ml": "ml.",
    "ai.onnx.preview": "preview.",
    "ai.onnx.preview.training": "training.",
}
"""ONNX's own domains and what stands before the operator's name in ours."""

_IMPURE = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli"}
_IMPURE |= {"Multinomial", "Dropout"}

AttrType = onnx.defs.OpSchema.AttrType
Variadic = onnx.defs.OpSchema.FormalParameterOption.Variadic


def python_value(attribute: Attribute) -> Any:
    """A property as the Python value ONNX means: int, float, str, tuple, or the attribute itself.

    Stock xDSL reads a string with escapes as bytes; they count as a string when they are UTF-8.
    """
    match attribute:
        case IntegerAttr() | FloatAttr():
            return attribute.value.data
        case StringAttr():
            return attribute.data
        case BytesAttr():
            return _decoded(attribute.data)
        case DenseArrayBase():
            return tuple(attribute.get_values())
        case ArrayAttr():
            return tuple(python_value(entry) for entry in attribute)
        case _:
            return attribute


def text_attribute(text: bytes | str) -> StringAttr | BytesAttr:
    """A string of a model as an attribute; bytes that are not UTF-8 stay bytes."""
    text = _decoded(text) if isinstance(text, bytes) else text
    return StringAttr(text) if isinstance(text, str) else BytesAttr(text)


def _decoded(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


class OnnxOp(IRDLOperation):
    """Base of all operations that stand for an ONNX node."""

    DOMAIN: ClassVar[str] = ""
    OP_TYPE: ClassVar[str] = ""
    SINCE: ClassVar[int] = 1
    SCHEMA: ClassVar[onnx.defs.OpSchema | None] = None
    INPUTS: ClassVar[tuple[str, ...]] = ()
    OUTPUTS: ClassVar[tuple[str, ...]] = ()
    DEFAULTS: ClassVar[dict[str, Any]] = {}

    def get(self, name: str) -> Any:
        """The Python value of attribute ``name``, else the schema's default, else None."""
        attribute = self.properties.get(name)
        return self.DEFAULTS.get(name) if attribute is None else python_value(attribute)

    @property
    def node_name(self) -> str:
        """The ONNX node's name, from the location."""
        from dialects.onnx.locations import node_of

        return node_of(self.location).name


@irdl_op_definition
class NoValue(IRDLOperation):
    """Stands for an absent optional input."""

    name = "onnx.NoValue"
    result = result_def()
    traits = traits_def(Pure())


@irdl_op_definition
class Const(IRDLOperation):
    """A constant tensor: an initializer or a folded value.

    ``value`` is a dense attribute (small), a `dense_resource` (large, kept in the context's
    constant pool), or an array of strings.
    """

    name = "onnx.Const"
    value = prop_def(AnyAttr())
    result = result_def()
    traits = traits_def(Pure())

    def verify_(self) -> None:
        """The value has the result's element type and shape."""
        kind, value = self.result.type, self.value
        if not isinstance(kind, TensorType):
            raise VerifyException(f"a constant is a ranked tensor, not {kind}")
        if isinstance(value, ArrayAttr):
            fits = len(value) == prod(kind.get_shape())
        elif isinstance(value, DenseIntOrFPElementsAttr | DenseResourceAttr):
            given = value.type
            same_element = given.get_element_type() == kind.element_type
            fits = same_element and given.get_shape() == kind.get_shape()
        else:
            raise VerifyException(f"a constant has no value of the form {value}")
        if not fits:
            raise VerifyException(f"the value does not fit the type {kind}")


@irdl_op_definition
class Symbols(IRDLOperation):
    """Names the elements of a small integer tensor: element ``i`` is the size ``symbols[i]``.

    Shape inference writes it behind the producer of a tensor whose content decides a size. An entry
    is a new symbol, which this operation defines, or an expression that holds in every run.
    """

    name = "onnx.Symbols"
    tensor = operand_def()
    symbols = prop_def(ArrayAttr[StringAttr])


@irdl_op_definition
class Content(OnnxOp):
    """A small integer tensor whose elements are symbolic sizes: ``content`` lists them.

    Stands for a computation on shapes whose outcome shape inference knows, where a run needs it as
    data.
    """

    name = "onnx.Content"
    content = prop_def(ArrayAttr[StringAttr])
    result = result_def()
    traits = traits_def(Pure())


Content.OP_TYPE = "Content"


@irdl_op_definition
class IndexRange(OnnxOp):
    """Smallest and largest of some indices: ``tensor<2xKxi64>``.

    With ``tuples`` the last axis of the operand holds index tuples of K components, each with a
    range of its own; else K is 1.
    """

    name = "onnx.IndexRange"
    indices = operand_def()
    tuples = opt_prop_def(UnitAttr)
    result = result_def()
    traits = traits_def(Pure())


IndexRange.OP_TYPE = "IndexRange"


@irdl_op_definition
class CheckRange(IRDLOperation):
    """Ends the run with an error unless ``-size <= index < size`` holds for an `IndexRange`."""

    name = "onnx.CheckRange"
    range = operand_def()
    sizes = prop_def(ArrayAttr[StringAttr])


@irdl_op_definition
class CheckCondition(IRDLOperation):
    """Ends the run with an error unless a boolean is ``expected``.

    Shape inference writes it where it leaves out a branch of an If: ``reason`` says why the branch
    cannot run. The operand is absent where `onnx.assume` says the same of sizes.
    """

    name = "onnx.CheckCondition"
    condition = operand_def()
    expected = prop_def(IntegerAttr)
    reason = prop_def(StringAttr)


@irdl_op_definition
class Dispatch(IRDLOperation):
    """Runs a dispatch: the function ``callee``, whose types speak of its own symbols.

    ``symbols`` gives the sizes that stand for them here, in the order of the function's
    `onnx.symbols`.
    """

    name = "onnx.Dispatch"
    callee = prop_def(SymbolRefAttr)
    symbols = prop_def(ArrayAttr[StringAttr])
    inputs = var_operand_def()
    outputs = var_result_def()

    def __init__(
        self,
        callee: str,
        inputs: Sequence[SSAValue],
        types: Sequence[Attribute],
        symbols: ArrayAttr[StringAttr],
    ) -> None:
        super().__init__(
            operands=[inputs],
            result_types=[types],
            properties={"callee": SymbolRefAttr(callee), "symbols": symbols},
        )


@irdl_op_definition
class Recurrence(OnnxOp):
    """The steps of an RNN, GRU or LSTM, once the inputs' share of the gates is computed.

    With S steps, batch B, D directions, H hidden units and G gates in ONNX's order:

    * ``gates`` [S, B, D*G*H] (with ``layout`` 1 [B, S, D*G*H]): X * W^T plus all biases that are
      added to it; direction outermost, then the gate.
    * ``recurrent`` [D, G*H, H]: R; of a GRU without `linear_before_reset` only gates z and r.
    * ``recurrent_hidden`` [D, H, H]: the rest of R of such a GRU, absent for all others.
    * ``recurrent_bias`` [D, H]: of a GRU with `linear_before_reset`, the bias in r * (...).
    * ``sequence_lens`` [B], ``initial_h``, ``initial_c``, ``peepholes`` [D, 3*H] and the results
      are ONNX's.

    All but the first two operands may be absent. ``cell`` is RNN, GRU or LSTM; ``activations``,
    ``alpha`` and ``beta`` list all functions of all directions; ``input_forget`` and ``clip`` are
    ONNX's.
    """

    name = "onnx.Recurrence"
    cell = prop_def(StringAttr)
    direction = prop_def(StringAttr)
    activations = prop_def(ArrayAttr[StringAttr])
    alpha = prop_def(ArrayAttr)
    beta = prop_def(ArrayAttr)
    clip = opt_prop_def(AnyAttr())
    layout = opt_prop_def(IntegerAttr)
    input_forget = opt_prop_def(IntegerAttr)
    gates = operand_def()
    recurrent = operand_def()
    recurrent_hidden = operand_def()
    recurrent_bias = operand_def()
    sequence_lens = operand_def()
    initial_h = operand_def()
    initial_c = operand_def()
    peepholes = operand_def()
    y = result_def()
    y_h = result_def()
    y_c = result_def()
    traits = traits_def(Pure())


Recurrence.OP_TYPE = "Recurrence"


@irdl_op_definition
class WinogradConv(OnnxOp):
    """A convolution with a 3x3 kernel and stride 1 or 2, by Winograd's minimal filtering.

    * ``data`` [N, C, H, W] and ``bias`` [K] (may be absent) are ONNX's.
    * ``weight`` [n^2, C, K] for n = stride * (tile - 1) + 3: the transformed kernels
      (`passes/winograd/matrices.py`); of integers pairs along C, as `onnx.packed` says
      (`passes/winograd/integers.py`).

    ``tile`` is the length of a square of outputs that is computed from a square of data. ``block``
    such tiles are transformed at a time, again for each of ``groups`` parts of the output channels,
    which are computed independently. ``pads`` are ONNX's, resolved; ``dilation`` is that of both
    axes, 1 with stride 2: elements of a tile, of the data and of the result, lie so far apart.
    """

    name = "onnx.WinogradConv"
    tile = prop_def(IntegerAttr)
    stride = prop_def(IntegerAttr)
    dilation = prop_def(IntegerAttr)
    block = prop_def(IntegerAttr)
    groups = prop_def(IntegerAttr)
    pads = prop_def(DenseArrayBase)
    data = operand_def()
    weight = operand_def()
    bias = operand_def()
    y = result_def()
    traits = traits_def(Pure())


WinogradConv.OP_TYPE = "WinogradConv"


@irdl_op_definition
class StrassenSums(OnnxOp):
    """What the seven products of Strassen's method have on their left (`passes/strassen.py`).

    ``data`` counts as a matrix: its columns lie along ``axis``, all others are rows, in the order
    of memory. ``sums`` [blocks of half of the columns, 7, half of the rows, columns of a block]: of
    each row and the one that is half of all rows behind it, zeros where there is none. Behind these
    rows there may be one that nobody writes or reads (`rows_of_plane`).
    """

    name = "onnx.StrassenSums"
    axis = prop_def(IntegerAttr)
    data = operand_def()
    sums = result_def()
    traits = traits_def(Pure())


StrassenSums.OP_TYPE = "StrassenSums"


@irdl_op_definition
class StrassenMatMul(OnnxOp):
    """A product of a matrix whose `StrassenSums` are given with a constant one, plus ``bias``.

    ``bias`` [N] (may be absent). The columns of ``y`` lie along ``axis``. Those of the constant
    matrix [K, N] are taken in pairs of panels, each ``panel`` columns wide, zeros standing behind
    the last one, and its depth in the blocks of the sums: ``weight`` [2 K, N / 2] has such blocks
    one below the other, in each the four quarters (upper left, upper right, lower left, lower
    right) of all pairs. ``block`` rows of each half are multiplied at a time, the first ``head`` of
    them while sums of the weights are formed.
    """

    name = "onnx.StrassenMatMul"
    axis = prop_def(IntegerAttr)
    panel = prop_def(IntegerAttr)
    block = prop_def(IntegerAttr)
    head = prop_def(IntegerAttr)
    sums = operand_def()
    weight = operand_def()
    bias = operand_def()
    y = result_def()
    traits = traits_def(Pure())


StrassenMatMul.OP_TYPE = "StrassenMatMul"


@irdl_op_definition
class SplitMatMul(OnnxOp):
    """A product of bytes whose weights are split so that sums of pairs of products fit 16 bits.

    For a row of ``lhs`` [..., K / 4], unsigned bytes packed in fours, and column n of panel p =
    n // ``panel``:

        y[n] = sum over k of lhs[k] . weight[k, n]  +  sum over q of lhs[places[p, q]] . rest[q, n]

    with the dot products of four bytes: ``weight`` [K / 4, N] and ``rest`` [Q, N] are signed ones,
    ``places`` [N / panel, Q] are indices.
    """

    name = "onnx.SplitMatMul"
    panel = prop_def(IntegerAttr)
    lhs = operand_def()
    weight = operand_def()
    places = operand_def()
    rest = operand_def()
    y = result_def()
    traits = traits_def(Pure())


SplitMatMul.OP_TYPE = "SplitMatMul"


@irdl_op_definition
class Pack(OnnxOp):
    """Neighbours along ``axis`` as one integer, the first in its lowest bits; a view of memory.

    The attribute `onnx.packed` of a product says what the elements of its operands hold.
    ``result`` has the widths of `group` numbers, and as many times fewer of them along ``axis``.
    """

    name = "onnx.Pack"
    axis = prop_def(IntegerAttr)
    source = operand_def()
    result = result_def()
    traits = traits_def(Pure())


Pack.OP_TYPE = "Pack"


@irdl_op_definition
class Yield(IRDLOperation):
    """Ends a subgraph and gives its outputs."""

    name = "onnx.Yield"
    values = var_operand_def()
    traits = traits_def(IsTerminator())


@irdl_op_definition
class Custom(OnnxOp):
    """A node that `onnx.defs` does not know; its attributes stand in ``attributes``.

    Its subgraphs are ``bodies``, in the order of ``region_names``.
    """

    name = "onnx.Custom"
    domain = prop_def(StringAttr)
    op_type = prop_def(StringAttr)
    since = prop_def(IntegerAttr)
    region_names = opt_prop_def(ArrayAttr[StringAttr])
    inputs = var_operand_def()
    outputs = var_result_def()
    bodies = var_region_def()

    def get(self, name: str) -> Any:
        """The Python value of node attribute ``name``, or None."""
        attribute = self.attributes.get(name)
        return None if attribute is None else python_value(attribute)


@irdl_op_definition
class Call(OnnxOp):
    """A call of a model-local function; the node's attributes stand in ``attributes``.

    ``callee`` is a private `func.func` with an `onnx.function` attribute. Operands and results
    are as many as the function's; absent ones are `onnx.NoValue` and type `none`.
    """

    name = "onnx.Call"
    callee = prop_def(SymbolRefAttr)
    inputs = var_operand_def()
    outputs = var_result_def()

    def get(self, name: str) -> Any:
        """The Python value of node attribute ``name``, or None (the default is the function's)."""
        attribute = self.attributes.get(name)
        return None if attribute is None else python_value(attribute)


def _default(attribute: onnx.defs.OpSchema.Attribute) -> Any:
    value = attribute.default_value
    if not value.type:
        return None
    decoded = get_attribute_value(value)
    if isinstance(decoded, bytes):
        return decoded.decode()
    if isinstance(decoded, list):
        return tuple(v.decode() if isinstance(v, bytes) else v for v in decoded)
    return decoded


class _Names:
    """Python field names that do not collide with Operation's own, keywords, or each other."""

    def __init__(self) -> None:
        self.taken = {n for n in dir(IRDLOperation) if not n.startswith("__")} | {
            "get",
            "node_name",
        }
        self.taken |= {"DOMAIN", "OP_TYPE", "SINCE", "SCHEMA", "INPUTS", "OUTPUTS", "DEFAULTS"}

    def field(self, name: str, suffix: str) -> str:
        name = "".join(c if c.isidentifier() or c.isdigit() else "_" for c in name).rstrip("_")
        if keyword.iskeyword(name) or name in self.taken:
            name += suffix
        self.taken.add(name)
        return name


def op_name(domain: str, op_type: str, since: int) -> str:
    """The dialect's name of an operator version, ``onnx.Conv.v22``."""
    return f"onnx.{DOMAIN_PREFIX[domain]}{op_type}.v{since}"


def class_fields(schema: onnx.defs.OpSchema) -> dict[str, tuple[str, str]]:
    """Python fields of a schema's class: name -> (kind, ONNX name).

    Kinds: operand, operands, result, results, property, required_property, region.
    """
    names, fields = _Names(), {}
    for formal in schema.inputs:
        kind = "operands" if formal.option == Variadic else "operand"
        fields[names.field(formal.name, "_")] = (kind, formal.name)
    for formal in schema.outputs:
        kind = "results" if formal.option == Variadic else "result"
        fields[names.field(formal.name, "_out")] = (kind, formal.name)
    for name, attribute in sorted(schema.attributes.items()):
        if attribute.type == AttrType.GRAPH:
            kind = "region"
        else:
            kind = "required_property" if attribute.required else "property"
        fields[names.field(name, "_attr")] = (kind, name)
    return fields


_DEFINITIONS = {
    "operand": lambda _: operand_def(),
    "operands": lambda _: var_operand_def(),
    "result": lambda _: result_def(),
    "results": lambda _: var_result_def(),
    "property": lambda name: opt_prop_def(AnyAttr(), prop_name=name),
    "required_property": lambda name: prop_def(AnyAttr(), prop_name=name),
    "region": lambda _: region_def(),
}


@cache
def class_of_schema_version(domain: str, op_type: str, since: int) -> type[OnnxOp]:
    """The class of one operator version. Raises KeyError when onnx does not define it."""
    schema = _schemas().get((domain, op_type, since))
    if schema is None:
        raise KeyError((domain, op_type, since))
    fields = class_fields(schema)
    body: dict[str, Any] = {
        "name": op_name(domain, op_type, since),
        "__doc__": f"{domain or 'ai.onnx'}.{op_type}, since version {since}.",
        "__module__": __name__,
        "traits": traits_def() if op_type in _IMPURE else traits_def(Pure()),
    }
    for field, (kind, name) in fields.items():
        body[field] = _DEFINITIONS[kind](name)
    made = irdl_op_definition(type(f"{op_type}_v{since}", (OnnxOp,), body))
    made.DOMAIN, made.OP_TYPE, made.SINCE, made.SCHEMA = domain, op_type, since, schema
    made.INPUTS = tuple(formal.name for formal in schema.inputs)
    made.OUTPUTS = tuple(formal.name for formal in schema.outputs)
    made.DEFAULTS = {n: _default(a) for n, a in schema.attributes.items() if a.default_value.type}
    return made


@cache
def _schemas() -> dict[tuple[str, str, int], onnx.defs.OpSchema]:
    return {
        (schema.domain, schema.name, schema.since_version): schema
        for schema in onnx.defs.get_all_schemas_with_history()
    }


@cache
def _versions() -> dict[tuple[str, str], list[int]]:
    versions: dict[tuple[str, str], list[int]] = {}
    for domain, op_type, since in _schemas():
        versions.setdefault((domain, op_type), []).append(since)
    return versions


def since_version(domain: str, op_type: str, opset: int) -> int | None:
    """The newest version of an operator that ``opset`` of its domain includes, or None."""
    known = _versions().get((domain, op_type), ())
    return max((version for version in known if version <= opset), default=None)


def known_operator(domain: str, op_type: str) -> bool:
    """Whether any version of onnx.defs has this operator."""
    return (domain, op_type) in _versions()


def op_class(domain: str, op_type: str, opset: int) -> type[OnnxOp] | None:
    """The class an operator has under ``opset`` of its domain, or None when it has none."""
    domain = "" if domain == "ai.onnx" else domain
    since = since_version(domain, op_type, opset)
    return None if since is None else class_of_schema_version(domain, op_type, since)


@cache
def resolve(domain: str, op_type: str, opset: int) -> type[OnnxOp] | None:
    """The class that a node of a model with this opset has, or None when `onnx.defs` has none.

    An operator newer than the opset, which exporters write, has its oldest version.
    """
    domain = "" if domain == "ai.onnx" else domain
    if made := op_class(domain, op_type, opset):
        return made
    known = _versions().get((domain, op_type))
    return class_of_schema_version(domain, op_type, min(known)) if known else None


def all_classes() -> list[type[Operation]]:
    """Every operation class of the dialect; makes those that do not stand yet."""
    made = [class_of_schema_version(*key) for key in _schemas()]
    checks = [IndexRange, CheckRange, CheckCondition]
    steps = [Recurrence, WinogradConv, StrassenSums, StrassenMatMul, SplitMatMul, Pack]
    hand_written = [NoValue, Const, Symbols, Content, *checks, Dispatch, *steps]
    return [*hand_written, Yield, Custom, Call, *made]


def __getattr__(name: str) -> type[OnnxOp]:
    """``ops.Conv_v22`` and ``ops.ml_Scaler_v1``: the class of an operator version by name."""
    stem, _, version = name.rpartition("_v")
    prefix, _, op_type = stem.rpartition("_")
    domains = {p.rstrip("."): d for d, p in DOMAIN_PREFIX.items() if d != "ai.onnx"}
    key = (domains.get(prefix, ""), op_type if prefix in domains else stem)
    if version.isdigit() and (*key, int(version)) in _schemas():
        return class_of_schema_version(*key, int(version))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
