"""A request's object: read fast as it is read carefully, and by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nexus_core.dialects.parsing import refuse_constant
from nexus_core.dialects.reading.body import (
    MAX_DEPTH,
    Span,
    _read_object,
    read_carefully,
    read_object,
)
from nexus_core.errors import InvalidRequestError

Result = tuple[dict[str, Any], dict[str, Span]] | tuple[str, str | None]


def carefully(body: bytes) -> Result:
    try:
        return read_carefully(body)
    except InvalidRequestError as error:
        return error.message, error.param


def fast(body: bytes) -> Result:
    try:
        fields, spans = read_object(body)
    except InvalidRequestError as error:
        return error.message, error.param
    return fields, dict(spans)


def told(result: Result) -> str:
    """With the types of numbers, their signs, and the order of keys."""
    return repr(result)


# Bodies as clients write them, and as nobody should -----------------------------------------------

BLANK = st.text(" \t\n\r", max_size=2)
NUMBERS = st.sampled_from(
    [
        *("0", "-0", "-0.0", "1.0", "1e5", "1E+2", "1e999", "-1e999", "1e-999", "5e-324", "0.1"),
        *("2.2250738585072011e-308", "9007199254740993", "123456789.123456789e-5"),
        *("18446744073709551615", "18446744073709551616", "-9223372036854775809", "9" * 400),
        *(
            "9" * 4300,
            "9" * 4301,
            "NaN",
            "Infinity",
            "-Infinity",
            "01",
            "1.",
            ".1",
            "+1",
            "1e",
            "-",
        ),
    ]
)
LITERALS = st.sampled_from(["null", "true", "false", "nul", "True", ""])
INNER = st.one_of(
    st.sampled_from(
        ["a", "model", "é", "😀", "\x7f", "\u2028", "\x00", "\xad", " ", "{", "[", "}"]
    ),
    st.sampled_from(
        [
            *(
                "\\u00e9",
                "\\ud83d\\ude00",
                "\\ud800",
                "\\udc00",
                "\\ud800\\ud800",
                "\\u0000",
                "\\/",
            ),
            *("\\n", '\\"', "\\\\", "\\u006d", "\\u006D", "\\x", "\\u12", "\\", '"', "\n", "\t"),
        ]
    ),
)
STRINGS = st.lists(INNER, max_size=5).map(lambda inner: '"' + "".join(inner) + '"')
KEYS = st.sampled_from(
    [
        *('"model"', '"stream_options"', '"mod\\u0065l"', '"\\u006dodel"', '"a"', '"b"', '"é"'),
        *('"\\u00e9"', '""', '"a b"', '"a\\u0020b"', '"a\\/b"', '"a/b"', '"\\n"', '"\\u000a"'),
        *('"\x7f"', '"\\u007f"', '"\\\\"', '"\\""', '"messages"'),
    ]
)


def _list(values: list[str], blank: str) -> str:
    return f"[{blank}{f'{blank},{blank}'.join(values)}{blank}]"


def _object(pairs: list[tuple[str, str]], blank: str, end: str = "}") -> str:
    fields = f",{blank}".join(f"{key}{blank}:{blank}{value}{blank}" for key, value in pairs)
    return f"{{{blank}{fields}{end}"


VALUES = st.recursive(
    NUMBERS | LITERALS | STRINGS,
    lambda inner: st.one_of(
        st.builds(_list, st.lists(inner, max_size=3), BLANK),
        st.builds(_object, st.lists(st.tuples(KEYS, inner), max_size=3), BLANK),
    ),
    max_leaves=8,
)
GOOD = st.sampled_from(['"m"', "1", '{"a":1,"a":2}', "[{},[]]", '"\\u00e9"', "{ }", '" , "'])
PAIRS = st.tuples(KEYS, GOOD | VALUES)
ENDS = st.sampled_from(["}", " } ", "\n}\r\n", ",}", "}}", "", " ", "} x", "}\x00", "}\x0b"])
BODIES = st.one_of(
    st.builds(_object, st.lists(st.tuples(KEYS, GOOD), max_size=6), BLANK),
    st.builds(_object, st.lists(PAIRS, max_size=6), BLANK, ENDS),
).map(lambda text: text.encode("utf-8", "surrogatepass"))


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A body with a few bytes taken out, put in or changed."""
    body = bytearray(draw(BODIES))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(body)))
        part = draw(st.sampled_from([b"", b" ", b'"', b"\\", b",", b"\xff", b"\xed\xa0\x80", b"0"]))
        body[at : at + draw(st.integers(0, 2))] = part
    return bytes(body)


@given(BODIES | broken() | st.binary(max_size=60))
@example(b'{"model":"m","mod\\u0065l":"n"}')
@example(b'{"a":1,"a":1}')
@example(b'{"a":{"p":1},"b":2,"a":{"p":1}}')
@example(b'{"a": 1,"b":2 , "a":3}')
@example(b'{"a":10,"b":{"a":1}, "a":1}')
@example(b'{"a b":1,"ab":2}')
@example(b'{"a b":1,"a b":1}')
def test_a_body_is_read_fast_as_it_is_read_carefully(body: bytes) -> None:
    assert told(fast(body)) == told(carefully(body))


@given(BODIES, st.sampled_from([" ", ""]))
def test_a_long_body_is_read_fast_as_it_is_read_carefully(body: bytes, blank: str) -> None:
    long = b'{"x":' + blank.encode() + b'"' + b"x" * 17_000 + b'",' + body[1:]

    assert told(fast(long)) == told(carefully(long))


@pytest.mark.parametrize("kind", ["[", '{"a":', '[{"a":'])
@pytest.mark.parametrize("depth", [MAX_DEPTH - 2, MAX_DEPTH - 1, MAX_DEPTH, 2 * MAX_DEPTH])
@pytest.mark.parametrize("before", ["", "[" * 300, "{" * 300])
def test_a_body_may_be_as_deep_as_any_reader_reads(kind: str, depth: int, before: str) -> None:
    per_round = kind.count("[") + kind.count("{")
    rounds = depth // per_round
    closing = {"[": "]", '{"a":': "}", '[{"a":': "}]"}[kind]
    body = json.dumps({"text": before})[:-1] + f',"x":{kind * rounds}1{closing * rounds}}}'

    result = fast(body.encode())

    assert told(result) == told(carefully(body.encode()))
    is_refused = result[0] == f"the body is nested deeper than {MAX_DEPTH} levels"
    assert is_refused is (rounds * per_round >= MAX_DEPTH)


def test_spans_are_in_bytes() -> None:
    body = '{"é": "ü", "model" : "m", "stream_options": {}}'.encode()

    _, spans = read_object(body)

    assert {key: body[slice(*span)] for key, span in spans.items()} == {
        "model": b'"m"',
        "stream_options": b"{}",
    }


# How the top level is walked, mark by mark: what the reader's patterns have to agree with.


class ByMarks:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.decoder = json.JSONDecoder(parse_constant=refuse_constant)

    def skip(self) -> None:
        while self.text[self.at : self.at + 1] in (" ", "\t", "\n", "\r"):
            self.at += 1

    def take(self, mark: str) -> None:
        self.skip()
        if self.text[self.at : self.at + 1] != mark:
            raise ValueError(f"{mark!r} is expected at character {self.at}")
        self.at += 1
        self.skip()

    def value(self) -> tuple[Any, tuple[int, int]]:
        start = self.at
        value, self.at = self.decoder.raw_decode(self.text, start)
        return value, (start, self.at)

    def fields(self) -> tuple[dict[str, Any], dict[str, tuple[int, int]]]:
        fields: dict[str, Any] = {}
        spans: dict[str, tuple[int, int]] = {}
        self.take("{")
        while self.text[self.at : self.at + 1] != "}" or fields:
            if self.text[self.at : self.at + 1] != '"':
                raise ValueError(f"a key is expected at character {self.at}")
            key, _ = self.value()
            self.take(":")
            value, span = self.value()
            if key in fields:
                raise ValueError(f"duplicate key {json.dumps(key)}")
            fields[key] = value
            if key in ("model", "stream_options"):
                spans[key] = span
            self.skip()
            if self.text[self.at : self.at + 1] != ",":
                break
            self.take(",")
        self.take("}")
        if self.at != len(self.text):
            raise ValueError(f"data after the end of the object, at character {self.at}")
        return fields, spans


PIECES = st.sampled_from(
    [
        *("{", "}", "[", "]", ":", ",", " ", "\n", "\t", "\r", "\x0b", "\xa0", "x", "1", "null"),
        *('"model"', '"stream_options"', '"a"', '"\\u00e9"', '"é"', "NaN", "{}", "[1]"),
    ]
)
SPACED = st.tuples(st.sampled_from(['"model"', '"stream_options"', '"é"', '"b"']), BLANK)
TEXTS = st.builds(
    lambda pairs, end: (
        "{" + ",".join(f"{space}{key}{space}:{space}1" for key, space in pairs) + end
    ),
    st.lists(SPACED, max_size=3),
    st.sampled_from(["}", " } ", "\n}\r\n", ",}", "}}", "", " ", "} x"]),
)


@given(TEXTS | st.lists(PIECES, max_size=12).map("".join))
def test_the_top_level_is_read_as_mark_by_mark(text: str) -> None:
    try:
        expected, why = ByMarks(text).fields(), ""
    except ValueError as error:
        expected, why = ({}, {}), str(error)

    if why:
        with pytest.raises(InvalidRequestError) as caught:
            _read_object(text)
        assert caught.value.message.removeprefix("the body is not valid JSON: ") == why
    else:
        assert _read_object(text) == expected
