"""Einsum's equations: labels of axes, as numpy's einsum reads them (ONNX spec, Einsum).

parse("...ij,jk->...ik", (4, 2))    terms ("...1", "...0", "i", "j"), ("j", "k")
                                    result ("...1", "...0", "i", "k")
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dialects.onnx.shape.node import ShapeError

Labels = tuple[str, ...]

_TERM = re.compile(r"([A-Za-z]*)(\.\.\.)?([A-Za-z]*)")


@dataclass(frozen=True)
class Equation:
    """The labels of every operand's axes and of the result's.

    The axes that `...` stands for have the labels ``...0``, ``...1`` and so on, counted from the
    last one.
    """

    terms: tuple[Labels, ...]
    result: Labels


def parse(equation: str, ranks: Sequence[int]) -> Equation:
    """An equation over operands of these ranks.

    Without an arrow the result has the ellipsis and then, by alphabet, the letters that occur once.
    Raises ShapeError where the equation is malformed or does not fit the ranks.
    """
    text, arrow, after = equation.replace(" ", "").partition("->")
    pieces = text.split(",")
    if len(pieces) != len(ranks):
        raise ShapeError(f"equation '{equation}' has {len(pieces)} terms for {len(ranks)} operands")
    terms = tuple(_term(piece, rank) for piece, rank in zip(pieces, ranks, strict=True))
    labels = [label for term in terms for label in term]
    hidden = sorted({label for label in labels if _is_hidden(label)}, key=_place, reverse=True)
    if not arrow:
        once = [label for label in labels if not _is_hidden(label) and labels.count(label) == 1]
        return Equation(terms, (*hidden, *sorted(once)))
    result = _result(after, hidden)
    unknown = [label for label in result if label not in labels]
    if unknown or len(set(result)) < len(result):
        problem = f"has no term with '{unknown[0]}'" if unknown else "repeats a label of the result"
        raise ShapeError(f"equation '{equation}' {problem}")
    return Equation(terms, result)


def _is_hidden(label: str) -> bool:
    return label.startswith("...")


def _place(label: str) -> int:
    return int(label[3:])


def _parts(text: str) -> tuple[str, bool, str]:
    """The letters before and behind an ellipsis, and whether there is one."""
    match = _TERM.fullmatch(text)
    if match is None:
        raise ShapeError(f"term '{text}' is not made of letters and one ellipsis")
    before, ellipsis, behind = match.groups()
    return before, ellipsis is not None, behind


def _term(text: str, rank: int) -> Labels:
    before, has_ellipsis, behind = _parts(text)
    hidden = rank - len(before) - len(behind)
    if hidden < 0 or (hidden and not has_ellipsis):
        raise ShapeError(f"term '{text}' does not fit {rank} dimensions")
    return (*before, *(f"...{n}" for n in reversed(range(hidden))), *behind)


def _result(text: str, hidden: Sequence[str]) -> Labels:
    before, has_ellipsis, behind = _parts(text)
    return (*before, *(hidden if has_ellipsis else ()), *behind)
