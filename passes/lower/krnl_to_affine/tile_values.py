"""What a tile is made of: its dimensions, and values that exist once for each coordinate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from xdsl.dialects.builtin import VectorType
from xdsl.ir import Attribute, SSAValue

from passes.lower.index import Affine, Var
from runtime.errors import InvalidModelError, Place

Coordinates = tuple[int, ...]


@dataclass(eq=False)
class TileDim:
    """A dimension of a tile: ``count`` rows, or ``count`` vectors of ``lanes`` columns.

    ``variable`` stands for the offset inside the tile in index expressions. ``valid`` is the number
    of columns when the last vector is not full, as a number or as an expression.
    """

    variable: Var
    count: int
    lanes: int = 0
    valid: int | Affine | None = None

    @property
    def is_vector(self) -> bool:
        """Whether coordinates of this dimension are vectors."""
        return self.lanes > 0


def vector_dim(dims: tuple[TileDim, ...]) -> TileDim | None:
    """The dimension of vectors among some, of which there is at most one."""
    return next((dim for dim in dims if dim.is_vector), None)


def lanes_of(dims: tuple[TileDim, ...]) -> int:
    """Lanes of the values that depend on some dimensions; 0 for scalars."""
    dim = vector_dim(dims)
    return 0 if dim is None else dim.lanes


@dataclass
class Varied:
    """A value of the body: one SSA value for each coordinate of the dimensions it depends on."""

    dims: tuple[TileDim, ...]
    values: dict[Coordinates, SSAValue]

    def at(self, dims: tuple[TileDim, ...], coordinates: Coordinates) -> SSAValue:
        """The value at coordinates of some more dimensions."""
        if self.dims == dims:
            return self.values[coordinates]
        place = dict(zip(dims, coordinates, strict=True))
        return self.values[tuple(place[dim] for dim in self.dims)]


@cache
def vector_type(lanes: int, element: Attribute) -> VectorType:
    """A memoised vector type."""
    return VectorType(element, [lanes])


def unsupported(what: str) -> InvalidModelError:
    """An error about a nest that cannot run side by side as its schedule asks."""
    return InvalidModelError(
        f"the schedule runs iterations side by side in a nest with {what}",
        Place(stage="krnl"),
        "vectorize or unroll another loop, or leave this nest to LLVM's vectorizer",
    )
