"""The `krnl` dialect: loop nests whose schedule stands apart from their body.

A kernel computes with scalars, loop by loop. What the loops become (tiles, vectors, threads) is
said by schedule operations on loop handles; they may be added, changed or left out without touching
the body, and the result stays the same.

    kernel   ::= `func.func` @name (memref | index)* { statement* `func.return` }
    statement::= handles | schedule | iterate | scalar
    handles  ::= %l... `=` `krnl.define_loops` n
    schedule ::= %outer, %inner `=` `krnl.block` %l size      tile of `size` iterations
               | `krnl.permute` (%l...)                       order of these loops, outermost first
               | `krnl.unroll` %l                             all iterations side by side ("jammed")
               | `krnl.vectorize` %l lanes                    `lanes` iterations as one vector
               | `krnl.tensorize` (%rows, %columns) lanes     both at once: a register tile
               | `krnl.parallel` (%l...) grain                iterations shared out to threads
               | `krnl.outline` %l                            the nest becomes a function
    iterate  ::= %r... `=` `krnl.iterate` `(` (%l `->` %iv `=` bound `to` bound),* `)`
                 [`iter_args` `(` (%acc `=` %init `:` type),* `)`] [`contraction` `(` n `,` n `)`]
                 `{` statement* [`krnl.yield` %v... `:` types] `}`
    scalar   ::= %v `=` `krnl.load` %m[index,*] | `krnl.store` %v, %m[index,*]
               | %i `=` `krnl.index` [index] | arith | math | scf.if
               | %s `=` `krnl.dot` %acc, %lhs `of` type, %rhs `of` type      packed numbers
    bound    ::= integer | %index
    index    ::= affine expression over loop variables and other index values

Loops without schedule run in the order of `krnl.iterate`. Iterations of loops that a schedule
reorders, vectorizes or runs in parallel must be independent of each other; a nest with `iter_args`
carries its values through its loops in their scheduled order.
"""

from __future__ import annotations

from xdsl.ir import Dialect

from dialects.krnl.access import IndexOp, LoadOp, StoreOp
from dialects.krnl.dot import DotOp
from dialects.krnl.kernel import INPLACE, inplace_arguments
from dialects.krnl.nest import DYNAMIC, IterateOp, YieldOp
from dialects.krnl.schedule import (
    SCHEDULE_OPS,
    BlockOp,
    DefineLoopsOp,
    LoopType,
    OutlineOp,
    ParallelOp,
    PermuteOp,
    TensorizeOp,
    UnrollOp,
    VectorizeOp,
    integer,
    integers,
    loop,
)

__all__ = [
    "DYNAMIC",
    "INPLACE",
    "SCHEDULE_OPS",
    "BlockOp",
    "DefineLoopsOp",
    "DotOp",
    "IndexOp",
    "IterateOp",
    "Krnl",
    "LoadOp",
    "LoopType",
    "OutlineOp",
    "ParallelOp",
    "PermuteOp",
    "StoreOp",
    "TensorizeOp",
    "UnrollOp",
    "VectorizeOp",
    "YieldOp",
    "inplace_arguments",
    "integer",
    "integers",
    "loop",
]

Krnl = Dialect(
    "krnl",
    [
        DefineLoopsOp,
        *SCHEDULE_OPS,
        IterateOp,
        YieldOp,
        LoadOp,
        StoreOp,
        IndexOp,
        DotOp,
    ],
    [LoopType],
)
