"""Names in a model and in the IR."""

from __future__ import annotations

import re

from runtime.errors import InvalidModelError

_NUMBERS = re.compile(r"(_\d+)+$")
_NOT_HINT = re.compile(r"[^A-Za-z0-9_$.-]")


def text(value: str | bytes) -> str:
    """A string field of a proto; protobuf hands out bytes for one that is not UTF-8.

    Raises InvalidModelError for those.
    """
    if isinstance(value, str):
        return value
    raise InvalidModelError(f"the model has a name that is not UTF-8: {value!r}")


def hint(name: str) -> str:
    """A value's name as xDSL allows it in SSA names: without numbers at the end, which it adds."""
    name = _NUMBERS.sub("", _NOT_HINT.sub("_", name))
    return name if name[:1].isalpha() or name[:1] in ("_", "$", ".", "-") else f"v{name}"


def plain_domain(domain: str) -> str:
    """A domain with the default one written as ""."""
    return "" if domain == "ai.onnx" else domain
