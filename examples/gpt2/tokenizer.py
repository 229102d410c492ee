"""GPT-2's byte-level byte-pair encoding: text to token ids and back.

The scheme is that of Radford et al. (2019) as OpenAI published it with the model: text is cut
into words, a word's UTF-8 bytes become printable characters, and pairs of neighbours are merged
in the order of ``merges.txt``. The two vocabulary files are not part of this repository.
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import cache
from itertools import pairwise
from pathlib import Path

# The published pattern is
#   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
# Python's `re` has no \p{L} and \p{N}, and its \s holds U+001C to U+001F, which Unicode's does not.
# So the pattern runs over the text's shadow: ASCII as it is, and for every other character one
# ASCII character of its kind.
WORD = re.compile(
    r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+", re.ASCII
)
NON_ASCII_SPACE = frozenset(
    "\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


class Shadow(dict[int, str]):
    """The table for ``str.translate`` from code points to their ASCII stand-ins, made lazily."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        kind = unicodedata.category(character)[0]
        if code < 128:
            shadow = character
        elif character in NON_ASCII_SPACE:
            shadow = "\t"
        else:
            shadow = {"L": "A", "N": "0"}.get(kind, "!")
        self[code] = shadow
        return shadow


SHADOW = Shadow()


def split_words(text: str) -> list[str]:
    """Cut ``text`` into the pieces inside which pairs may merge; joined, they are ``text``."""
    return [text[slice(*match.span())] for match in WORD.finditer(text.translate(SHADOW))]


@cache
def byte_characters() -> str:
    """The character for each of the 256 bytes: itself if it is printable, else U+0100 and up."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    codes = {byte: byte for byte in printable}
    codes |= {byte: 0x100 + index for index, byte in enumerate(others)}
    return "".join(chr(codes[byte]) for byte in range(256))


class Tokenizer:
    """Encodes and decodes with a vocabulary (token text to id) and an ordered list of merges.

    Raises ValueError if the vocabulary lacks one of the 256 bytes or a merge's result: then some
    text could not be encoded.
    """

    def __init__(self, vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> None:
        needed = {*byte_characters(), *(first + second for first, second in merges)}
        if missing := needed - vocabulary.keys():
            raise ValueError(
                f"the vocabulary lacks {len(missing)} tokens, such as {min(missing)!r}"
            )
        self.ids = vocabulary
        self.tokens = {index: token for token, index in vocabulary.items()}
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}
        self.bytes = {character: byte for byte, character in enumerate(byte_characters())}
        self.known: dict[str, list[int]] = {}

    @classmethod
    def from_folder(cls, folder: Path) -> Tokenizer:
        """Read ``vocab.json`` and ``merges.txt``. Raises ValueError or OSError."""
        vocabulary = json.loads((folder / "vocab.json").read_text("utf-8"))
        lines = (folder / "merges.txt").read_text("utf-8").split("\n")
        if lines[0].startswith("#version"):
            del lines[0]
        merges: list[tuple[str, str]] = []
        for line in filter(None, lines):
            first, separator, second = line.partition(" ")
            if not separator or not first or not second or " " in second:
                raise ValueError(f"{folder / 'merges.txt'}: {line!r} is not a pair")
            merges.append((first, second))
        return cls(vocabulary, merges)

    def encode(self, text: str) -> list[int]:
        """The token ids of ``text``. Raises UnicodeEncodeError for lone surrogates."""
        return [index for word in split_words(text) for index in self.encode_word(word)]

    def encode_word(self, word: str) -> list[int]:
        """The token ids of one word, from memory if it occurred before."""
        if word not in self.known:
            characters = byte_characters()
            parts = [characters[byte] for byte in word.encode("utf-8")]
            self.known[word] = [self.ids[part] for part in self.merge(parts)]
        return self.known[word]

    def merge(self, parts: list[str]) -> list[str]:
        """Merge neighbours, always every occurrence of the pair that stands first in the list."""
        never = len(self.ranks)
        while len(parts) > 1:
            pairs = pairwise(parts)
            best = min(pairs, key=lambda pair: self.ranks.get(pair, never))
            if best not in self.ranks:
                break
            merged: list[str] = []
            for part in parts:
                # A part that a merge has just made is longer than the pair's first, so that
                # "aaa" merges to "aa", "a", from left to right.
                if merged and (merged[-1], part) == best:
                    merged[-1] += part
                else:
                    merged.append(part)
            parts = merged
        return parts

    def decode(self, ids: list[int]) -> str:
        """The text of ``ids``; bytes that are no UTF-8 become U+FFFD. Raises ValueError."""
        unknown = [index for index in ids if index not in self.tokens]
        if unknown:
            raise ValueError(f"the vocabulary has no token {unknown[0]}")
        text = "".join(self.tokens[index] for index in ids)
        return bytes(self.bytes[character] for character in text).decode("utf-8", "replace")
