from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.providers.base import KeyCutter, read_whole
from nexus_core.upstream.base import UpstreamProtocolError
from tests.proxy.fakes import ScriptedResponse


async def test_a_whole_answer_has_a_limit() -> None:
    assert await read_whole(ScriptedResponse(b"12345", b"67890"), 10) == b"1234567890"
    with pytest.raises(UpstreamProtocolError, match="over 9 bytes"):
        await read_whole(ScriptedResponse(b"12345", b"67890"), 9)


def test_what_a_backend_says_can_be_written_down() -> None:
    assert KeyCutter("sk-1").cut_text("bad sk-1 \ud800") == "bad [key] ?"


KEY = "sk-a+b/c_1"


@pytest.mark.parametrize(
    "said",
    [
        "sk-a+b/c_1",
        r"sk-a+b\/c_1",  # PHP
        r"sk-a\u002Bb/c_1",  # .NET
        r"sk-a\u002bb\u002fc_1",
        r"sk-a\\u002Bb\\\/c_1",  # JSON in a text of JSON
        "".join(f"\\u{ord(char):04x}" for char in KEY),
    ],
)
def test_a_key_is_cut_out_however_json_has_it(said: str) -> None:
    around = r'{"a": "\n %s \u00e9 \/"}'

    assert KeyCutter(KEY).cut_text(around % said) == around % "[key]"


VALUES = st.one_of(
    st.sampled_from((KEY, r"sk-a+b\/c_1", f"Bearer {KEY}; x", KEY[:5], KEY[5:], "\\u")),
    st.text(max_size=5),
)


@given(st.lists(VALUES, max_size=6), st.sampled_from((KEY, None)))
def test_headers_are_cut_together_as_each_would_be(values: list[str], key: str | None) -> None:
    headers = tuple((f"x-{number}", value) for number, value in enumerate(values))
    cutter = KeyCutter(key)

    assert cutter.cut_headers(headers) == tuple((n, cutter.cut_text(v)) for n, v in headers)


@pytest.mark.parametrize("key", ["EMPTY", "none", "ollama", "lm-studio", "x"])
def test_a_word_in_place_of_a_key_is_not_cut_out_of_what_a_model_says(key: str) -> None:
    answer = f"None of them: ollama, lm-studio, EMPTY; {key} x"

    assert KeyCutter(key).cut_text(answer) == answer
    assert not KeyCutter(key).has_key


@pytest.mark.parametrize("said", [r"sk-a+b\nc_1", r"\s\k-a+b/c_1", "sk-a+b/c_2", r"\\" * 9])
def test_what_is_not_the_key_stays(said: str) -> None:
    assert KeyCutter(KEY).cut_text(said + r"\u00e9") == said + r"\u00e9"


KEYS = st.sampled_from([KEY, "sk-0aZ_9", "schlüssel-ÿ", "k"])


@given(key=KEYS, data=st.data())
def test_a_key_is_cut_out_in_any_mix_of_escapes(key: str, data: st.DataObject) -> None:
    ways = [
        lambda char: char,
        lambda char: f"\\u{ord(char):04x}",
        lambda char: f"\\u{ord(char):04X}",
    ]
    said = "".join(data.draw(st.sampled_from(ways))(char) for char in key)

    assert KeyCutter(key).cut(f'"é {said} \\n"'.encode()) == '"é [key] \\n"'.encode()


def test_a_key_is_cut_out_of_headers() -> None:
    plain = (("x-request-id", "abc"), ("server", "é"))
    held = ("x-echo", f"Bearer {KEY}"), ("x-json", r"sk-a\u002Bb/c_1")

    cut = KeyCutter(KEY).cut_headers((*plain, *held))

    assert cut == (*plain, ("x-echo", "Bearer [key]"), ("x-json", "[key]"))
    assert KeyCutter(KEY).cut_headers(plain) == plain
    assert KeyCutter(None).cut_headers(held) == held


def test_escapes_without_end_are_read_in_no_time() -> None:
    started = time.perf_counter()

    KeyCutter(KEY).cut(b"\\" * 500_000 + b"\\u0073" * 100_000)

    assert time.perf_counter() - started < 1
