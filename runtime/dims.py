"""Symbolic sizes: the shapes of a program's signature, and what they say about actual shapes.

An entry of a shape is an int, an expression over symbols, or None (any size). Grammar of an
expression, with Python's meaning and precedence:

    sum     = product { ("+" | "-") product }
    product = unary { ("*" | "//" | "%") unary }
    unary   = "-" unary | integer | symbol | ("max" | "min") "(" sum { "," sum } ")" | "(" sum ")"

A symbol is any identifier, Python's keywords included, which is why this is not Python's own
parser.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Mapping, Sequence

from runtime.errors import InputError, InvalidModelError

Dim = int | str | None
Shape = tuple[Dim, ...]
_Instruction = int | str | tuple[Callable[..., int], int]

_TOKEN = re.compile(r"\s*(?:(?P<int>\d+)|(?P<name>[^\W\d]\w*)|(?P<mark>//|[-+*%(),]))")
_MAX_LENGTH = 4096
_MAX_DEPTH = 50
_MAX_SIZE = 2**63 - 1

_BINARY: dict[str, Callable[..., int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
}
_FUNCTIONS: dict[str, Callable[..., int]] = {
    "max": lambda *sizes: max(sizes),
    "min": lambda *sizes: min(sizes),
}


def _negate(size: int) -> int:
    return -size


class Expression:
    """A parsed expression. ``symbols`` are the names in it.

    Raises:
        InvalidModelError: the text does not follow the grammar.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._code = _Parser(text).parse()
        self.symbols = frozenset(item for item in self._code if isinstance(item, str))

    def evaluate(self, symbols: Mapping[str, int]) -> int:
        """The value with ``symbols`` bound; all of ``self.symbols`` must be in it.

        Raises:
            InputError: a division by zero.
        """
        stack: list[int] = []
        for item in self._code:
            if isinstance(item, int):
                stack.append(item)
            elif isinstance(item, str):
                stack.append(symbols[item])
            else:
                function, arity = item
                operands = stack[-arity:]
                del stack[-arity:]
                stack.append(self._apply(function, operands))
        return stack[0]

    def _apply(self, function: Callable[..., int], operands: list[int]) -> int:
        try:
            return function(*operands)
        except ZeroDivisionError as error:
            raise InputError(f"the size '{self.text}' divides by zero") from error


class _Parser:
    """Recursive descent to postfix code; postfix so that evaluating a long sum does not recurse."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split(text)
        self._next = 0
        self._depth = 0
        self._code: list[_Instruction] = []

    def parse(self) -> tuple[_Instruction, ...]:
        self._sum()
        if self._peek():
            raise self._error(f"unexpected '{self._peek()}'")
        return tuple(self._code)

    def _split(self, text: str) -> list[str]:
        if len(text) > _MAX_LENGTH:
            raise InvalidModelError(f"a size expression has {len(text)} characters")
        tokens: list[str] = []
        position = 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise self._error(f"unexpected '{text[position]}'")
            tokens.append(match.group().strip())
            position = match.end()
        return tokens

    def _sum(self) -> None:
        self._chain(self._product, ("+", "-"))

    def _product(self) -> None:
        self._chain(self._unary, ("*", "//", "%"))

    def _chain(self, operand: Callable[[], None], marks: tuple[str, ...]) -> None:
        operand()
        while (mark := self._peek()) in marks:
            self._next += 1
            operand()
            self._code.append((_BINARY[mark], 2))

    def _unary(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._error("nested too deeply")
        token = self._take()
        if token == "-":
            self._unary()
            self._code.append((_negate, 1))
        elif token == "(":
            self._sum()
            self._expect(")")
        elif token.isdecimal():
            self._code.append(self._integer(token))
        elif token in _FUNCTIONS and self._peek() == "(":
            self._call(_FUNCTIONS[token])
        elif token.isidentifier():
            self._code.append(token)
        else:
            raise self._error(f"unexpected '{token}'" if token else "it ends too early")
        self._depth -= 1

    def _integer(self, token: str) -> int:
        if len(token) > 19:
            raise self._error("a number is too large")
        return int(token)

    def _call(self, function: Callable[..., int]) -> None:
        self._expect("(")
        self._sum()
        arity = 1
        while self._peek() == ",":
            self._next += 1
            self._sum()
            arity += 1
        self._expect(")")
        self._code.append((function, arity))

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._next += 1
        return token

    def _expect(self, mark: str) -> None:
        if self._take() != mark:
            raise self._error(f"'{mark}' is missing")

    def _error(self, reason: str) -> InvalidModelError:
        return InvalidModelError(f"'{self._text}' is not a size expression: {reason}")


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> Expression:
    """The expression written as ``text``.

    Raises:
        InvalidModelError: the text does not follow the grammar.
    """
    return Expression(text)


def evaluate(dim: Dim, symbols: Mapping[str, int]) -> int | None:
    """The size of ``dim``; None if it is unknown or a symbol in it is not bound.

    Raises:
        InputError: the size is negative, too large, or divides by zero.
    """
    if not isinstance(dim, str):
        return dim
    expression = parse(dim)
    if not expression.symbols <= symbols.keys():
        return None
    size = expression.evaluate(symbols)
    if not 0 <= size <= _MAX_SIZE:
        raise InputError(f"the size '{dim}' is {size} for {_values(expression, symbols)}")
    return size


def bind(
    signature: Sequence[tuple[str, Shape]], shapes: Sequence[tuple[int, ...]]
) -> dict[str, int]:
    """The values of the symbols when the inputs (name, shape) have the actual ``shapes``.

    Dimensions that are a lone symbol bind it, first come first served; expressions are checked once
    their symbols are bound, and say nothing if one of them stays free.

    Raises:
        InputError: a rank or size contradicts the signature; names input, axis, the expected and
            the actual size.
    """
    symbols: dict[str, int] = {}
    origins: dict[str, str] = {}
    for (name, dims), shape in zip(signature, shapes, strict=True):
        _check_rank(name, dims, shape)
        for axis, (dim, size) in enumerate(zip(dims, shape, strict=True)):
            if isinstance(dim, str) and dim.isidentifier() and dim not in symbols:
                symbols[dim] = size
                origins[dim] = f"input '{name}' axis {axis}"
    for (name, dims), shape in zip(signature, shapes, strict=True):
        for axis, (dim, size) in enumerate(zip(dims, shape, strict=True)):
            expected = evaluate(dim, symbols)
            if expected is not None and expected != size:
                raise _mismatch(name, dims, shape, axis, expected, origins)
    return symbols


def show(dims: Sequence[Dim]) -> str:
    """A shape as text: ``[1, batch, ?]``."""
    return "[" + ", ".join("?" if dim is None else str(dim) for dim in dims) + "]"


def _check_rank(name: str, dims: Shape, shape: tuple[int, ...]) -> None:
    if len(dims) != len(shape):
        raise InputError(
            f"input '{name}' has rank {len(shape)}, shape {show(shape)}; "
            f"expected rank {len(dims)}, shape {show(dims)}"
        )


def _mismatch(
    name: str,
    dims: Shape,
    shape: tuple[int, ...],
    axis: int,
    expected: int,
    origins: Mapping[str, str],
) -> InputError:
    dim = dims[axis]
    meaning = f"'{dim}' = {expected}" if isinstance(dim, str) else str(expected)
    givers = [origins[s] for s in sorted(parse(dim).symbols)] if isinstance(dim, str) else []
    given = f" (given by {', '.join(givers)})" if givers else ""
    return InputError(
        f"input '{name}' axis {axis} has size {shape[axis]}, expected {meaning}{given}; "
        f"its shape is {show(shape)}, expected {show(dims)}"
    )


def _values(expression: Expression, symbols: Mapping[str, int]) -> str:
    return ", ".join(f"{name} = {symbols[name]}" for name in sorted(expression.symbols))
