"""Text of a module of any stage, to and fro.

xDSL's printer and parser do the work. Three things are added: string literals outside of ASCII
stay readable and strings, locations with metadata (`fused<{...}>["model.py":10:0]`) are parsed
back, and errors name file, line and column whatever went wrong.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import re
from functools import partial
from typing import Any

from xdsl.context import Context
from xdsl.dialects import get_all_dialects
from xdsl.dialects.builtin import FusedLoc, LocationAttr, ModuleOp, NoneAttr
from xdsl.ir import Dialect, Operation
from xdsl.parser import Parser
from xdsl.parser.generic_parser import ParserState
from xdsl.printer import Printer
from xdsl.utils.exceptions import ParseError, VerifyException
from xdsl.utils.lexer import Input, Span, Token
from xdsl.utils.mlir_lexer import MLIRLexer, MLIRTokenKind, StringLiteral

from dialects.onnx.constants import ConstantPool, builtin_with_pool, pool_of
from runtime.errors import InvalidModelError

DIALECTS = (
    *("onnx", "krnl", "hal", "affine", "llvm", "vector", "math"),
    *("arith", "cf", "func", "memref", "scf"),
)
"""Dialects that the stages use: ours where `dialects/` has one of the name, else xDSL's."""


def new_context() -> Context:
    """A context with a constant pool of its own; dialects load when text or a pass needs them."""
    ctx = Context()
    ctx.load_dialect(builtin_with_pool())
    upstream = get_all_dialects()
    for name in DIALECTS:
        if importlib.util.find_spec(f"dialects.{name}") is not None:
            ctx.register_dialect(name, partial(_own_dialect, name))
        else:
            ctx.register_dialect(name, upstream[name])
    return ctx


def _own_dialect(name: str) -> Dialect:
    module = importlib.import_module(f"dialects.{name}")
    if make := getattr(module, "get_dialect", None):
        return make()
    members = vars(module).values()
    return next(m for m in members if isinstance(m, Dialect) and m.name == name)


def stage_of(module: ModuleOp) -> str:
    """The stage that a module stands on, the highest whose operations or tensors it has."""
    dialects = {op.name.partition(".")[0] for op in module.walk()}
    if "onnx" in dialects or dialects <= {"builtin", "func"}:
        return "onnx"
    if "krnl" in dialects:
        return "krnl"
    return "llvm" if dialects <= {"builtin", "llvm"} else "affine"


def print_module(
    module: ModuleOp, ctx: Context, *, elide: int | None = None, locations: bool = False
) -> str:
    """The module's text, its large constants in a section at the end.

    ``elide`` leaves out the data of constants of more than that many bytes; such text is for
    reading, and a constant left out is an error once something needs its data. ``locations``
    prints where operations come from; without them a text that is parsed back has lost the names
    of the ONNX nodes.
    """
    stream = io.StringIO()
    printer = _TextPrinter(stream, pool_of(ctx), elide, locations)
    printer.print_op(module)
    printer.print_metadata(ctx.loaded_dialects)
    return stream.getvalue() + "\n"


class _TextPrinter(Printer):
    def __init__(
        self, stream: io.StringIO, pool: ConstantPool, elide: int | None, locations: bool
    ) -> None:
        super().__init__(stream, print_debuginfo=locations)
        self.pool = pool
        self.elide = elide

    def print_resource_handle(self, dialect: str, handle: str) -> None:
        array = self.pool.arrays.get(handle)
        if self.elide is not None and array is not None and array.nbytes > self.elide:
            self.print_string(handle)
        else:
            super().print_resource_handle(dialect, handle)

    def print_string_literal(self, string: str) -> None:
        self.print_string(f'"{_ESCAPED.sub(_escape, string)}"')


_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f-\x9f\u2028\u2029]')


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    return "\\\\" if character == "\\" else "".join(f"\\{byte:02X}" for byte in character.encode())


def parse_module(text: str, ctx: Context, name: str = "<text>") -> ModuleOp:
    """The verified module of a text; ``name`` stands for it in messages.

    Raises InvalidModelError with file, line, column, the line and a caret.
    """
    try:
        parser = _TextParser(ctx, text, name)
    except ParseError as error:
        raise _error(error.span, error.msg) from error
    try:
        module = parser.parse_module()
    except ParseError as error:
        raise _error(error.span, error.msg) from error
    except Exception as error:
        # Parse methods and constructors of single operations raise whatever they come upon.
        span = parser.current_span()
        raise _error(span, str(error) or type(error).__name__) from error
    _verify(module, parser)
    return module


def _verify(module: ModuleOp, parser: _TextParser) -> None:
    try:
        module.verify()
    except (VerifyException, ValueError) as error:
        broken, reason = _first_broken(module) or (module, error)
        span = parser.spans.get(broken, parser.current_span())
        raise _error(span, f"'{broken.name}' does not verify: {reason}") from error


def _first_broken(module: ModuleOp) -> tuple[Operation, Exception] | None:
    """The first operation that does not verify by itself, and why."""
    for op in module.walk(reverse=False):
        try:
            op.verify(verify_nested_ops=False)
        except (VerifyException, ValueError) as error:
            return op, error.__cause__ if isinstance(error.__cause__, Exception) else error
    return None


def _error(span: Span[Any], message: str) -> InvalidModelError:
    place = span.get_location()
    line = span.input.content[
        span.input.get_start_of_line(span.start) : span.input.get_end_of_line(span.start)
    ]
    # A line with a constant's data can be as long as the data.
    begin = max(0, place.col - 1 - 80)
    shown = line[begin : begin + 160]
    caret = " " * (place.col - 1 - begin) + "^"
    return InvalidModelError(
        f"{span.input.name}:{place.line}:{place.col}: {message.strip()}\n{shown}\n{caret}"
    )


class _TextLexer(MLIRLexer):
    # xDSL's expression backtracks exponentially on a string that does not end; this one never does.
    _unescaped_characters_regex = re.compile(r'"(?:[^"\\\n\v\f]++|\\(?:["nt\\]|[0-9A-Fa-f]{2}))*+"')

    def _lex_string_literal(self, start_pos: int) -> Token[MLIRTokenKind]:
        token = super()._lex_string_literal(start_pos)
        if token.kind is not MLIRTokenKind.BYTES_LIT:
            return token
        try:
            StringLiteral.from_span(token.span).string_contents  # noqa: B018
        except UnicodeDecodeError:
            return token
        return Token(MLIRTokenKind.STRING_LIT, token.span)


class _TextParser(Parser):
    """xDSL's parser with the lexer above; remembers where each operation stands."""

    def __init__(self, ctx: Context, text: str, name: str) -> None:
        super().__init__(ctx, "", name)
        self.spans: dict[Operation, Span] = {}
        self._parser_state = ParserState(_TextLexer(Input(text, name)))

    def current_span(self) -> Span:
        """Where the parser stands."""
        return self._current_token.span

    def parse_operation(self) -> Operation:
        span = self._current_token.span
        op = super().parse_operation()
        self.spans[op] = span
        return op

    def _parse_location(self) -> LocationAttr:
        if self.parse_optional_keyword("fused") is None:
            return super()._parse_location()
        metadata = NoneAttr()
        if self.parse_optional_punctuation("<") is not None:
            metadata = self.parse_attribute()
            self.parse_punctuation(">")
        parts = self.parse_comma_separated_list(self.Delimiter.SQUARE, self._parse_location)
        return FusedLoc(tuple(parts), metadata)
