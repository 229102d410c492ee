"""Reading a schedule: which loops a nest becomes, in which order, and how each of them runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.ir import Operation, SSAValue

from dialects import krnl
from runtime.errors import InvalidModelError, Place


@dataclass(eq=False)
class Leaf:
    """One loop of a scheduled nest.

    ``root`` is the handle that `krnl.iterate` binds. ``step`` iterations of it make one of this
    loop. ``outer`` is the loop whose iterations this one subdivides, ``inner`` the loop that
    subdivides this one. ``mode``: "loop", "unroll", "vector". A nest with a loop that
    ``is_outlined`` becomes a function.
    """

    root: SSAValue
    step: int = 1
    outer: Leaf | None = None
    mode: str = "loop"
    lanes: int = 1
    parallel: bool = False
    grain: int = 1
    is_outlined: bool = False
    inner: Leaf | None = field(default=None, repr=False)

    def is_block_of(self, lanes: int) -> bool:
        """Whether this is a block of neighbouring iterations that makes whole vectors."""
        return self.outer is not None and self.step == 1 and self.outer.step % lanes == 0

    def block(self, size: int) -> tuple[Leaf, Leaf]:
        """This loop in steps of ``size``, and the loop inside one step."""
        outer = Leaf(
            self.root,
            size * self.step,
            self.outer,
            parallel=self.parallel,
            is_outlined=self.is_outlined,
        )
        inner = Leaf(self.root, self.step, outer)
        outer.inner, inner.inner = inner, self.inner
        if self.inner is not None:
            self.inner.outer = inner
        if self.outer is not None:
            self.outer.inner = outer
        return outer, inner


class Schedule:
    """The loops that the handles of one block stand for, as schedule operations transform them."""

    def __init__(self) -> None:
        self.of_handle: dict[SSAValue, Leaf] = {}
        self.order: list[Leaf] = []

    def apply(self, op: Operation) -> None:
        """Takes in one operation that makes or transforms handles."""
        match op:
            case krnl.DefineLoopsOp():
                for handle in op.results:
                    self.of_handle[handle] = Leaf(handle)
                    self.order.append(self.of_handle[handle])
            case krnl.BlockOp():
                pair = self._split(op.handle, op.size.value.data)
                self.of_handle[op.outer], self.of_handle[op.inner] = pair
            case krnl.PermuteOp():
                leaves = [self._leaf(handle) for handle in op.handles]
                if len(set(leaves)) != len(leaves):
                    raise invalid("krnl.permute names a loop twice")
                places = sorted(self.order.index(leaf) for leaf in leaves)
                for place, leaf in zip(places, leaves, strict=True):
                    self.order[place] = leaf
            case krnl.UnrollOp():
                self._leaf(op.handle).mode = "unroll"
            case krnl.VectorizeOp():
                lanes = op.lanes.value.data
                inner = self._leaf(op.handle)
                if not inner.is_block_of(lanes):
                    _, inner = self._split(op.handle, lanes)
                inner.mode, inner.lanes = "vector", lanes
            case krnl.TensorizeOp():
                rows, columns = self._leaf(op.rows), self._leaf(op.columns)
                if rows is columns:
                    raise invalid("krnl.tensorize needs two loops, one of rows and one of columns")
                rows.mode = "unroll"
                columns.mode, columns.lanes = "vector", op.lanes.value.data
            case krnl.ParallelOp():
                for handle in op.handles:
                    leaf = self._leaf(handle)
                    leaf.parallel, leaf.grain = True, op.grain.value.data
            case krnl.OutlineOp():
                self._leaf(op.handle).is_outlined = True
            case _:
                raise AssertionError(op.name)

    def _leaf(self, handle: SSAValue) -> Leaf:
        leaf = self.of_handle.get(handle)
        if leaf is None or leaf not in self.order:
            raise invalid("a loop handle is used after krnl.block or krnl.vectorize replaced it")
        return leaf

    def _split(self, handle: SSAValue, size: int) -> tuple[Leaf, Leaf]:
        leaf = self._leaf(handle)
        pair = leaf.block(size)
        place = self.order.index(leaf)
        self.order[place : place + 1] = pair
        return pair

    def nest(self, op: krnl.IterateOp) -> list[Leaf]:
        """The loops of a nest, outermost first.

        Raises InvalidModelError for an impossible schedule.
        """
        leaves = [leaf for leaf in self.order if leaf.root in op.loops]
        if len({leaf.root for leaf in leaves}) != len(op.loops):
            raise invalid("krnl.iterate binds a handle that krnl.define_loops did not make here")
        _check(leaves, bool(op.inits))
        return leaves


def _check(leaves: list[Leaf], carries: bool) -> None:
    """Says what is wrong with a schedule, before anything is built from it."""
    modes = [leaf.mode != "loop" for leaf in leaves]
    if sorted(modes) != modes:
        raise invalid("unrolled, vectorized and tensorized loops must be the innermost ones")
    if sum(leaf.mode == "vector" for leaf in leaves) > 1:
        raise invalid("only one loop of a nest can run as vectors")
    if carries and any(leaf.mode == "vector" or leaf.parallel for leaf in leaves):
        raise invalid("a loop that carries values cannot run as vectors or in parallel")
    if any(leaf.parallel and leaf.mode != "loop" for leaf in leaves):
        raise invalid("a loop cannot run in parallel and be unrolled or vectorized: block it")
    if any(leaf.parallel and leaf.outer is not None and leaf.outer.parallel for leaf in leaves):
        raise invalid("a block's outer and inner loop cannot both run in parallel")
    parallel = [not leaf.parallel for leaf in leaves]
    if sorted(parallel) != parallel:
        raise invalid("parallel loops must be the outermost ones")
    for place, leaf in enumerate(leaves):
        if leaf.outer is not None and leaf.outer not in leaves[:place]:
            raise invalid("a block's inner loop must stand inside of its outer loop")
        if leaf.mode != "loop" and leaf.inner is not None:
            raise invalid("a loop that is split further cannot be unrolled or vectorized")


def invalid(message: str) -> InvalidModelError:
    """An error about a schedule."""
    return InvalidModelError(
        message, Place(stage="krnl"), "see docs/krnl.md for what schedules may do"
    )


def is_schedule(op: Operation) -> bool:
    """Whether an operation only makes or transforms loop handles."""
    return isinstance(op, (krnl.DefineLoopsOp, *krnl.SCHEDULE_OPS))
