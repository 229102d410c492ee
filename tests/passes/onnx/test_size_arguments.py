"""Which sizes a kernel is told."""

from __future__ import annotations

import pytest

from dialects.onnx.dims import dim_of_atom, parse_dim, substitute
from passes.onnx.size_arguments import SizeArguments, shared_functions


@pytest.mark.parametrize(
    ("dims", "shared"),
    [
        (["n", "4"], []),
        (["h // 2", "h // 2 + 2"], ["(h // 2)"]),
        (["h // 2", "h"], []),
        (["h // 2", "h % 2"], []),
        (["(h // 2) // 3", "(h // 2) // 3 * 6"], ["((h // 2) // 3)"]),
        (["(h // 2 + 1) // 3", "h // 2"], ["(h // 2)"]),
        (["(h + w) // 2", "w // 3"], []),
        (["(h + w) // 2", "n // 3"], ["((h + w) // 2)", "(n // 3)"]),
        (["(h // 2) * (w // 2)"], ["(h // 2)", "(w // 2)"]),
        (["max(h // 2, w)", "h // 2"], ["(h // 2)"]),
    ],
)
def test_shared_functions_hide_their_symbols(dims: list[str], shared: list[str]) -> None:
    found = {dim_of_atom(function) for function in shared_functions(map(parse_dim, dims))}
    assert found == set(map(parse_dim, shared))


def test_sizes_are_numbered_by_first_use() -> None:
    dims = [parse_dim(text) for text in ("b", "(w + 1) // 2", "2*((h + 1) // 2) + b")]
    sizes = SizeArguments(dims)
    assert [str(sizes.renamed(dim)) for dim in dims] == ["s0", "s1", "s0 + 2*s2"]
    assert list(map(str, sizes.sizes)) == ["b", "((w + 1) // 2)", "((h + 1) // 2)"]


def test_arguments_stand_for_what_they_replace() -> None:
    dims = [parse_dim(text) for text in ("(h // 2 + k) // 3 * n", "h // 2 + k", "k", "5 - n // 7")]
    sizes = SizeArguments(dims)
    renamed = [sizes.renamed(dim) for dim in dims]
    back = {str(name): size for name, size in zip(sizes.names.values(), sizes.sizes, strict=True)}
    assert [substitute(dim, back) for dim in renamed] == dims


@pytest.mark.parametrize(
    ("text", "name"),
    [("h // 2", "s0"), ("signed_k // 2", "signed_s0"), ("max(h - 3, 0) // 2", "s0")],
)
def test_an_argument_that_may_be_negative_says_so(text: str, name: str) -> None:
    assert str(SizeArguments([parse_dim(text)]).renamed(parse_dim(text))) == name
