"""The vocabularies are tiktoken's own, come from the package alone, and count any text."""

from __future__ import annotations

import hashlib
import shutil
from functools import cache
from importlib import resources
from pathlib import Path
from threading import Thread

import pytest
import tiktoken
import tiktoken_ext.openai_public  # type: ignore[import-untyped]  # tiktoken tells no types of it
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_core.tokens import vocabularies
from nexus_core.tokens.vocabularies import Tokenizers
from nexus_core.types import CountMethod
from tests.offline import offline  # noqa: F401 - a fixture

NAMES = ("cl100k_base", "o200k_base")


@cache
def loaded() -> Tokenizers:
    tokenizers = Tokenizers()
    tokenizers.load()
    return tokenizers


@pytest.fixture
def tokenizers() -> Tokenizers:
    return loaded()


def as_tiktoken_loads_it(
    name: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> tiktoken.Encoding:
    """tiktoken's own encoding of that name, from a copy of the packaged file in its cache."""
    url = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
    file = resources.files("nexus_core.tokens.data").joinpath(f"{name}.tiktoken")
    with resources.as_file(file) as path:
        shutil.copy(path, cache / hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest())
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(cache))
    return tiktoken.Encoding(**getattr(tiktoken_ext.openai_public, name)())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("offline")
def test_an_encoding_is_the_one_that_tiktoken_defines(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizers: Tokenizers
) -> None:
    theirs = as_tiktoken_loads_it(name, tmp_path, monkeypatch)

    ours = tokenizers._encodings[name]

    assert ours._pat_str == theirs._pat_str
    assert ours._mergeable_ranks == theirs._mergeable_ranks
    assert ours._special_tokens == theirs._special_tokens


@pytest.mark.usefixtures("offline")
def test_loading_reaches_neither_the_network_nor_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "absent"))
    tokenizers = Tokenizers()

    tokenizers.load()

    assert tokenizers.count("o200k_base", "tiktoken is great!") is not None
    assert not (tmp_path / "absent").exists()


def test_nothing_is_counted_before_the_load() -> None:
    tokenizers = Tokenizers()

    counted = tokenizers.count("o200k_base", "hello")

    assert counted is None
    assert not tokenizers.is_loaded("o200k_base")


def test_one_encoding_is_loaded_without_the_other() -> None:
    tokenizers = Tokenizers()

    tokenizers.load("cl100k_base")

    assert tokenizers.is_loaded("cl100k_base")
    assert not tokenizers.is_loaded("o200k_base")


def test_loads_in_two_threads_give_one_set(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def make(vocabulary: vocabularies._Vocabulary) -> object:
        made.append(vocabulary.name)
        return object()

    monkeypatch.setattr(vocabularies, "_encoding", make)
    tokenizers = Tokenizers()
    threads = [Thread(target=tokenizers.load) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(made) == sorted(NAMES)


def test_a_damaged_file_is_refused() -> None:
    damaged = vocabularies._Vocabulary("o200k_base", "0" * 64, "x", {})

    with pytest.raises(ValueError, match=r"o200k_base\.tiktoken is damaged"):
        vocabularies._encoding(damaged)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text",
    [
        "<|endoftext|>",
        "<|endofprompt|><|fim_prefix|>",
        "a\ud800b",
        "\x00",
        "\N{COMBINING ACUTE ACCENT}",
    ],
)
def test_no_text_raises(name: str, text: str, tokenizers: Tokenizers) -> None:
    counted = tokenizers.count(name, text)

    assert counted is not None
    assert counted.tokens > 0


def test_a_special_token_in_a_text_is_text(tokenizers: Tokenizers) -> None:
    counted = tokenizers.count("o200k_base", "<|endoftext|>")

    assert counted is not None
    assert counted.tokens == 7


# tiktoken itself panics on this one: https://github.com/openai/tiktoken/issues/195
@pytest.mark.parametrize("name", NAMES)
def test_a_million_blanks_are_counted(name: str, tokenizers: Tokenizers) -> None:
    counted = tokenizers.count(name, " " * 1_000_000)

    assert counted is not None
    assert 5_000 < counted.tokens < 20_000
    assert counted.method is CountMethod.ESTIMATED


WORDS = st.lists(
    st.sampled_from(
        [
            "don't",
            "stop",
            "\n",
            " ",
            "\n\n",
            "  ",
            "--",
            "/",
            "42",
            "Ünïcode",
            "漢字",
            "a",
            "'s",
            "\t",
            ".",
        ]
    )
)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None)  # the first example loads the vocabularies
@given(words=WORDS)
def test_cutting_a_long_text_changes_no_count(name: str, words: list[str]) -> None:
    text = "the quick brown fox " * 3 + "".join(words) + " jumps over\nthe lazy dog" * 3
    tokenizers = loaded()
    whole = len(tokenizers._encodings[name].encode_ordinary(text))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabularies, "_PIECE_CHARS", 32)
        patch.setattr(vocabularies, "_CUT_WITHIN", 16)
        counted = tokenizers.count(name, text)

    assert counted is not None
    if counted.method is CountMethod.EXACT:
        assert counted.tokens == whole
    else:
        assert abs(counted.tokens - whole) <= len(text) // 16
