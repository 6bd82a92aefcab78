"""Tokenizer vocabularies of OpenAI, loaded from the package, never from the network."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from nexus_core import descriptors
from nexus_core.types import CountMethod, TokenCount

if TYPE_CHECKING:
    import tiktoken

_FOR_IMPORTS = 8  # descriptors

# tiktoken panics on a run of a million blanks, and its cost per character grows with the length.
_PIECE_CHARS = 64 * 1024
_CUT_WITHIN = 512
# Between these two characters both patterns always cut, so that counting the halves is exact.
_SURE_CUT = re.compile(r"[a-z](?= [a-z])|\n(?=[a-z])")

_END_OF_TEXT, _END_OF_PROMPT = "<|endoftext|>", "<|endofprompt|>"
_LETTERS = r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_CAPITALS = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}"
_SHORTENED = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"


class _Vocabulary(NamedTuple):
    """What tiktoken needs to know beside the file; as in its own `openai_public`."""

    name: str
    sha256: str
    pattern: str
    special: dict[str, int]


_SHIPPED = (
    _Vocabulary(
        "cl100k_base",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
        r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
        {
            _END_OF_TEXT: 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            _END_OF_PROMPT: 100276,
        },
    ),
    _Vocabulary(
        "o200k_base",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        rf"[^\r\n\p{{L}}\p{{N}}]?[{_CAPITALS}]*[{_LETTERS}]+{_SHORTENED}"
        rf"|[^\r\n\p{{L}}\p{{N}}]?[{_CAPITALS}]+[{_LETTERS}]*{_SHORTENED}"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        {_END_OF_TEXT: 199999, _END_OF_PROMPT: 200018},
    ),
)
_VOCABULARIES = {each.name: each for each in _SHIPPED}


class Tokenizers:
    """Loaded tokenizer encodings; before loading, counts are estimates."""

    def __init__(self) -> None:
        self._encodings: dict[str, tiktoken.Encoding] = {}
        self._lock = threading.Lock()

    def is_loaded(self, encoding: str) -> bool:
        return encoding in self._encodings

    def load(self, *encodings: str) -> None:
        """Load encodings by name, all of them where none is named; what is loaded stays.

        Each takes some tenths of a second, most of it with the interpreter's lock held: beside a
        running loop, have another process do it (`TokenCounter`).

        Raises:
            ValueError: a file is not what was packaged.
            OSError, ImportError: also for want of descriptors; then it may be tried again.
        """
        with self._lock:
            for name in encodings or _VOCABULARIES:
                if name not in self._encodings:
                    descriptors.require(_FOR_IMPORTS)
                    self._encodings[name] = _encoding(_VOCABULARIES[name])

    def count(self, encoding: str, text: str) -> TokenCount | None:
        """How many tokens `text` is; what looks like a special token is plain text.

        None when the encoding is not loaded, or not one that ships.
        """
        loaded = self._encodings.get(encoding)
        if loaded is None:
            return None
        tokens, method, start = 0, CountMethod.EXACT, 0
        while len(text) - start > _PIECE_CHARS:
            end = _sure_cut(text, start + _PIECE_CHARS)
            if end is None:  # anywhere else a cut changes the count by a token or two
                end, method = start + _PIECE_CHARS, CountMethod.ESTIMATED
            tokens += len(loaded.encode_ordinary(text[start:end]))
            start = end
        return TokenCount(tokens + len(loaded.encode_ordinary(text[start:])), method)


def _encoding(vocabulary: _Vocabulary) -> tiktoken.Encoding:
    import tiktoken

    file = resources.files("nexus_core.tokens.data").joinpath(f"{vocabulary.name}.tiktoken")
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != vocabulary.sha256:
        raise ValueError(f"{file} is damaged: reinstall Nexus")
    pairs = (line.split() for line in content.splitlines())
    return tiktoken.Encoding(
        name=vocabulary.name,
        pat_str=vocabulary.pattern,
        mergeable_ranks={base64.b64decode(token): int(rank) for token, rank in pairs},
        special_tokens=vocabulary.special,
    )


def _sure_cut(text: str, end: int) -> int | None:
    """The last sure place to cut before `end`; prose has one every few words."""
    cuts = [found.end() for found in _SURE_CUT.finditer(text, end - _CUT_WITHIN, end)]
    return cuts[-1] if cuts else None
