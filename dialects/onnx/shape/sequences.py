"""Types of sequences, optionals, strings and images."""

from __future__ import annotations

from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute

from dialects.onnx.shape.elements import element_of_code
from dialects.onnx.shape.helpers import normalize_axis
from dialects.onnx.shape.node import NodeShapes, infer
from dialects.onnx.types import (
    OptionalType,
    SequenceType,
    dims_of,
    is_tensor,
    string,
    tensor_type,
    unknown,
)

i1 = IntegerType(1)
i64 = IntegerType(64)
ui8 = element_of_code(2)


def common_type(kinds: list[Attribute]) -> Attribute:
    """The type that covers several: equal sizes are kept, others and ranks are unknown."""
    first = kinds[0]
    if all(kind == first for kind in kinds) or not all(map(is_tensor, kinds)):
        return first
    return tensor_type(first.element_type, None)  # type: ignore[attr-defined]


@infer("SequenceConstruct")
def sequence_construct(s: NodeShapes) -> list[Attribute]:
    """A sequence of the operands' common type."""
    return [SequenceType(common_type([operand.type for operand in s.op.operands]))]


@infer("SequenceEmpty")
def sequence_empty(s: NodeShapes) -> list[Attribute]:
    """A sequence of tensors of any shape."""
    return [SequenceType(tensor_type(element_of_code(s.get("dtype", 1)), None))]


@infer("SequenceInsert")
def sequence_insert(s: NodeShapes) -> list[Attribute]:
    """The sequence's type, wide enough for the new tensor."""
    return [SequenceType(common_type([element_of_sequence(s, 0), s.kind(1)]))]


@infer("SequenceErase")
def sequence_erase(s: NodeShapes) -> list[Attribute]:
    """The sequence's type."""
    return [s.kind(0)]


@infer("SequenceAt")
def sequence_at(s: NodeShapes) -> list[Attribute]:
    """One of the sequence's tensors; sizes of a shared symbolic shape stay."""
    return [element_of_sequence(s, 0)]


@infer("SequenceLength")
def sequence_length(s: NodeShapes) -> list[Attribute]:
    """A scalar."""
    return [tensor_type(i64, ())]


def element_of_sequence(s: NodeShapes, i: int) -> Attribute:
    """The type of a sequence operand's elements. Raises ShapeError when it is no sequence."""
    kind = s.kind(i)
    if not isinstance(kind, SequenceType):
        s.fail(f"input {i} has type {kind}, not a sequence")
    return kind.element_type


@infer("SplitToSequence")
def split_to_sequence(s: NodeShapes) -> list[Attribute]:
    """Tensors of one size along `axis`; without axis when `keepdims` is 0 and no split is given."""
    dims = s.ranked(0, 1)
    if dims is None:
        return [SequenceType(s.tensor(None))]
    axis = normalize_axis(s.get("axis", 0), len(dims))
    if not s.present(1) and not s.get("keepdims", 1):
        return [SequenceType(s.tensor((*dims[:axis], *dims[axis + 1 :])))]
    sizes = s.ints(1) if s.present(1) else [1]
    if sizes is not None and s.present(1) and s.rank(1) == 0 and not _divides(dims[axis], sizes[0]):
        sizes = None
    if not sizes or any(size != sizes[0] for size in sizes):
        return [SequenceType(s.tensor(None))]
    return [SequenceType(s.tensor((*dims[:axis], sizes[0], *dims[axis + 1 :])))]


def _divides(dim: object, part: object) -> bool:
    return isinstance(dim, int) and isinstance(part, int) and part > 0 and dim % part == 0


@infer("ConcatFromSequence")
def concat_from_sequence(s: NodeShapes) -> list[Attribute]:
    """The tensors joined along `axis`, or stacked along a new one."""
    kind = element_of_sequence(s, 0)
    dims = dims_of(kind)
    element = kind.element_type  # type: ignore[attr-defined]
    if dims is None:
        return [tensor_type(element, None)]
    if s.get("new_axis", 0):
        axis = normalize_axis(s.get("axis"), len(dims) + 1)
        return [tensor_type(element, (*dims[:axis], s.fresh("stacked"), *dims[axis:]))]
    axis = normalize_axis(s.get("axis"), len(dims))
    return [tensor_type(element, (*dims[:axis], s.fresh("joined"), *dims[axis + 1 :]))]


@infer("Optional")
def optional(s: NodeShapes) -> list[Attribute]:
    """An optional of the operand's type, or of the attribute `type`."""
    kind = s.kind(0) if s.present(0) else s.get("type", unknown)
    return [OptionalType(kind)]


@infer("OptionalGetElement")
def optional_get_element(s: NodeShapes) -> list[Attribute]:
    """What the optional holds; since version 18 anything counts as its own optional."""
    kind = s.kind(0)
    return [kind.element_type if isinstance(kind, OptionalType) else kind]


@infer("OptionalHasElement")
def optional_has_element(s: NodeShapes) -> list[Attribute]:
    """A scalar."""
    return [tensor_type(i1, ())]


@infer("StringConcat")
def string_concat(s: NodeShapes) -> list[Attribute]:
    """Broadcast."""
    from dialects.onnx.shape.pointwise import broadcast_of

    return [s.tensor(broadcast_of(s, (0, 1)))]


@infer("StringSplit")
def string_split(s: NodeShapes) -> list[Attribute]:
    """[..., most pieces of a string], and the number of pieces of each."""
    dims = s.dims(0)
    pieces = None if dims is None else (*dims, s.fresh("pieces"))
    return [s.tensor(pieces, string), s.tensor(dims, i64)]


@infer("StringNormalizer")
def string_normalizer(s: NodeShapes) -> list[Attribute]:
    """Strings that are no stopwords; only the last axis shrinks."""
    dims = s.ranked(0, 1, 2)
    if dims is None or not s.get("stopwords"):
        return [s.kind(0)]
    return [s.tensor((*dims[:-1], s.fresh("words")))]


@infer("RegexFullMatch")
def regex_full_match(s: NodeShapes) -> list[Attribute]:
    """A boolean per string."""
    return [s.tensor(s.dims(0), i1)]


@infer("ImageDecoder")
def image_decoder(s: NodeShapes) -> list[Attribute]:
    """[height, width, channels]"""
    channels = 1 if s.get("pixel_format", "RGB") == "Grayscale" else 3
    return [tensor_type(ui8, (s.fresh("height"), s.fresh("width"), channels))]
