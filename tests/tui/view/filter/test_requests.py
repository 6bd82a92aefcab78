from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_tui.view.filter.grammar import term
from nexus_tui.view.filter.language import Names
from nexus_tui.view.filter.requests import REQUESTS, parse_filter
from tests.tui.view.filter import rows
from tests.tui.view.filter.rows import NOW, ROWS, Row

NAMES: Names = {
    "model": lambda: ["llama3:70b", "gpt-4o", "codex:latest"],
    "backend": lambda: ["vllm-a", "openai", "gpu box"],
    "key": lambda: ["ci", "laptop"],
}


def matching(text: str) -> set[str]:
    wanted = parse_filter(text, NAMES, lambda: NOW)
    assert wanted.problem is None
    return {row.request_id for row in ROWS if wanted.matches(row)}


def ids(*found: Row) -> set[str]:
    return {row.request_id for row in found}


QUESTIONS = {
    "which failed over in the last minute": ("reason:failover last:1m", ids(rows.OVER)),
    "what cost more than a cent": ("cost:>1c", ids(rows.DEAR)),
    "everything of one client key": ("key:laptop", ids(rows.LAPTOP)),
    "what an agent asked": ("agent:claude", ids(rows.AGENT)),
    "a session by the beginning of its id": ("session:3f2a", ids(rows.AGENT)),
    "one subagent of it": ("session:=A71C", ids(rows.AGENT)),
    "slowest first byte": ("first:>1s", ids(rows.LATE)),
    "only broken streams": ("cut", ids(rows.CUT)),
    "4xx or 5xx in one go": ("status:4xx,5xx", ids(rows.WRONG, rows.DOWN, rows.REFUSED)),
    "the same without its key": ("4xx,5xx", ids(rows.WRONG, rows.DOWN, rows.REFUSED)),
    "fast ones": ("slow:<500ms !live", set()),
    "cheap ones": ("cost:<0.001", ids(rows.CHEAP)),
    "what did clients abandon": ("left", ids(rows.LEFT)),
    "big prompts": ("in:>5k", ids(rows.DEAR)),
    "one id from a log line": ("id:79f1", ids(rows.GOOD)),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_operators_questions_are_answered(question: str) -> None:
    text, expected = QUESTIONS[question]

    assert matching(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("laptop", ids(rows.LAPTOP)),
        ("not_found", ids(rows.WRONG)),
        ("error:ended", ids(rows.CUT)),
        ("error:model_not_found", ids(rows.WRONG)),
        ("failed", ids(rows.CUT, rows.WRONG, rows.DOWN, rows.REFUSED)),
        ("error", ids(rows.CUT, rows.WRONG, rows.DOWN, rows.REFUSED)),
        ("status:>=400 or left", ids(rows.WRONG, rows.DOWN, rows.REFUSED, rows.LEFT)),
        ("tries:2", ids(rows.OVER, rows.OLD_OVER)),
        ("tries:=2", ids(rows.OVER)),
        ("api:embeddings", ids(rows.REFUSED)),
        ("path:/v1/embed", ids(rows.REFUSED)),
        ('key:=""', ids(rows.REFUSED)),
        ("live", ids(rows.LIVE)),
        ('"live"', set()),
        ("backend:=openai !cost:>0 zone:open", ids(rows.OVER)),
        ("backend:=open", set()),
        ("!(status:2xx or live)", ids(rows.WRONG, rows.DOWN, rows.REFUSED)),
        ("zone:o", ids(rows.OVER)),
        ("total:>3s", ids(rows.LATE)),
    ],
)
def test_the_table_of_keys(text: str, expected: set[str]) -> None:
    assert matching(text) == expected


def test_every_name_of_a_key_and_flag_is_the_tables_once() -> None:
    names = [name for key in REQUESTS.keys for name in (key.name, *key.also)]
    flags = [name for flag in REQUESTS.flags for name in (flag.name, *flag.also)]

    assert len({*names}) == len(names)
    assert len({*flags}) == len(flags)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("staus:5xx", 'unknown key "staus"; did you mean "status"?'),
        ("!staus:5xx", 'unknown key "staus"; did you mean "status"?'),
        ("left or frist:>1s", 'unknown key "frist"; did you mean "first"?'),
        ("foo>3", 'unknown key "foo"; keys are status, error'),
    ],
)
def test_an_unknown_key_is_told(text: str, told: str) -> None:
    found = parse_filter(text, NAMES)

    assert (found.problem or "").startswith(told)
    assert not any(map(found.matches, ROWS))


@pytest.mark.parametrize(
    "text", ["llama3:70b", "LLAMA3:7", "codex:latest", '"foo:bar"', "model:x3:70b"]
)
def test_a_model_with_a_colon_is_a_word(text: str) -> None:
    assert parse_filter(text, NAMES).problem is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("qwen3:8b", 'no key is called "qwen3", and no name holds "qwen3:8b"'),
        ("backend:vlm", 'backend: none is called "vlm"; did you mean "vllm-a"?'),
        ("key:=lap", 'key: none is called "lap"; did you mean "laptop"?'),
        ("!key:laptp", 'key: none is called "laptp"; did you mean "laptop"?'),
    ],
)
def test_a_name_that_nothing_has_is_told_and_awaited(text: str, told: str) -> None:
    found = parse_filter(text, NAMES)

    assert (found.problem, found.hint) == (None, told)
    assert found.matches(Row(asked_model="qwen3:8b", backend="vlm", client="lap"))


def test_what_is_known_is_not_told() -> None:
    for text in ("backend:vllm", "key:=laptop", 'key:=""', "model:gpt,nope", "backend:=VLLM-A"):
        assert parse_filter(text, NAMES).hint is None, text


def test_a_term_for_a_value_finds_its_rows_only() -> None:
    box, boxes = Row(backend="gpu box"), Row(backend="gpu box 2")
    wanted = parse_filter(term("backend", "gpu box"), NAMES)

    assert (wanted.matches(box), wanted.matches(boxes)) == (True, False)


# Properties ------------------------------------------------------------------------------------

_TERMS = st.sampled_from(
    [
        *("llama", "openai", "live", "left", "cut", "failed", "status:5xx", "status:>=400,2xx"),
        *("cost:>0.001", "cost:unpriced", "last:1m", "until:1m", "first:>1s", "slow:<1s", "in:1k"),
        *("key:ci", 'key:=""', "tries:2", "error:model", "model:=llama3:70b", "reason:failover"),
    ]
)
_FILTERS = st.recursive(
    _TERMS,
    lambda inner: (
        inner.map(lambda one: f"!({one})")
        | st.tuples(inner, inner).map(lambda two: f"({two[0]}) ({two[1]})")
        | st.tuples(inner, inner).map(lambda two: f"({two[0]} or {two[1]})")
    ),
    max_leaves=6,
)


@given(_FILTERS)
def test_an_exclamation_mark_is_the_complement(text: str) -> None:
    assert matching(f"!({text})") == ids(*ROWS) - matching(text)


@given(_FILTERS, _FILTERS)
def test_or_is_the_union_and_a_blank_the_intersection(one: str, other: str) -> None:
    assert matching(f"{one} or {other}") == matching(one) | matching(other)
    assert matching(f"({one}) ({other})") == matching(one) & matching(other)


@given(_FILTERS)
def test_a_filter_that_is_written_out_finds_the_same(text: str) -> None:
    found = parse_filter(text, NAMES, lambda: NOW)

    assert matching(str(found)) == matching(text)


@given(st.text() | st.lists(_TERMS | st.sampled_from('()!|"\\,:=<>')).map("".join))
def test_no_text_fails_and_a_problem_shows_nothing(text: str) -> None:
    found = parse_filter(text, NAMES, lambda: NOW)

    shown = [found.matches(row) for row in itertools.chain(ROWS)]
    assert found.problem is None or not any(shown)
