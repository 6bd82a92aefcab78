from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nexus_tui.view.filter.grammar import (
    EVERYTHING,
    AllOf,
    Fault,
    Node,
    Not,
    OneOf,
    Term,
    Value,
    Word,
    parse,
    term,
)
from nexus_tui.view.filter.requests import REQUESTS

KEYS = {"status": "status", "key": "key", "client": "key", "cost": "cost"}


def tree(text: str) -> Node:
    return parse(text, KEYS)


def status(*values: str) -> Term:
    return Term("status", tuple(Value("", value) for value in values))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", EVERYTHING),
        ("  ", EVERYTHING),
        ("gpt", Word("gpt")),
        ("gpt llama", AllOf((Word("gpt"), Word("llama")))),
        ("gpt and llama", AllOf((Word("gpt"), Word("llama")))),
        ("gpt & llama", AllOf((Word("gpt"), Word("llama")))),
        ("gpt or llama", OneOf((Word("gpt"), Word("llama")))),
        ("gpt|llama", OneOf((Word("gpt"), Word("llama")))),
        ("a b OR c", OneOf((AllOf((Word("a"), Word("b"))), Word("c")))),
        ("a (b or c)", AllOf((Word("a"), OneOf((Word("b"), Word("c")))))),
        ("!a", Not(Word("a"))),
        ("not a", Not(Word("a"))),
        ("! a", Not(Word("a"))),
        ("!!a", Word("a")),
        ("!(a b)", Not(AllOf((Word("a"), Word("b"))))),
        ('"or"', Word("or", is_quoted=True)),
        ('"a b"', Word("a b", is_quoted=True)),
        ('"a \\"b\\""', Word('a "b"', is_quoted=True)),
        ("name(1)", Word("name(1)", is_quoted=True)),
        ("(name(1))", Word("name(1)", is_quoted=True)),
        ("llama3:70b", Word("llama3:70b", unknown_key="llama3")),
        ("STATUS:5xx", status("5xx")),
        ("status:4xx,5xx", status("4xx", "5xx")),
        ("status:4xx,", status("4xx")),
        ("status:", status("")),
        ("client:x", Term("key", (Value("", "x"),))),
        ('key:"my laptop"', Term("key", (Value("", "my laptop", True),))),
        ('key:="a,b",c', Term("key", (Value("=", "a,b", True), Value("=", "c")))),
        ("cost:>=0.1", Term("cost", (Value(">=", "0.1"),))),
        ("cost>=0.1", Term("cost", (Value(">=", "0.1"),))),
        ("key=ci", Term("key", (Value("=", "ci"),))),
        ("key:!=ci,x", Not(Term("key", (Value("=", "ci"), Value("=", "x"))))),
    ],
)
def test_a_text_has_one_meaning(text: str, expected: Node) -> None:
    assert tree(text) == expected


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("status:5xx or", "status:5xx"),
        ("or status:5xx", "status:5xx"),
        ("status:5xx !", "status:5xx"),
        ("(status:5xx", "status:5xx"),
        ("() status:5xx", "status:5xx"),
        ('key:"my lap', 'key:"my lap"'),
        ("a or or b", "a or b"),
    ],
)
def test_what_is_not_finished_means_what_is_there(text: str, same: str) -> None:
    assert tree(text) == tree(same)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (">0.01", "needs a key"),
        ("cost: >0.01", "needs a key"),
        ("a )", 'without a "("'),
        ("(" * 40 + "a", "too many parentheses"),
    ],
)
def test_what_makes_no_sense_is_a_fault(text: str, told: str) -> None:
    def faults(node: Node) -> list[str]:
        if isinstance(node, Fault):
            return [node.problem]
        items = node.items if isinstance(node, AllOf | OneOf) else ()
        return [problem for item in items for problem in faults(item)]

    assert any(told in problem for problem in faults(tree(text)))


def test_a_word_with_an_equals_sign_is_one_where_the_table_allows_it() -> None:
    assert parse("request=ad44", KEYS, is_strict=False) == Word("request=ad44")
    assert parse("key=ci", KEYS, is_strict=False) == Word("key=ci")
    assert parse("request=ad44", KEYS) == Word("request=ad44", unknown_key="request")


_PIECES = st.sampled_from(
    [
        *("a", "or", "and", "not", "!", "(", ")", "|", "&", '"', "\\", " ", " ", ",", ":", "="),
        *("status:", "key:", "cost", ">", "<=", "!=", "5xx", "foo:", 'x"y z"', "llama3:70b", "é"),
    ]
)
TEXTS = st.lists(_PIECES).map("".join) | st.text()


def has_fault(node: Node) -> bool:
    if isinstance(node, Not):
        return has_fault(node.item)
    if isinstance(node, AllOf | OneOf):
        return any(map(has_fault, node.items))
    return isinstance(node, Fault)


@given(TEXTS)
@example("a!=(")
@example("a>=( )")
@example('"a!=("')
def test_a_filter_is_written_so_that_it_reads_the_same(text: str) -> None:
    read = tree(text)

    if not has_fault(read):
        assert tree(str(read)) == read


@given(TEXTS)
def test_any_text_is_read_without_and_with_keys_of_requests(text: str) -> None:
    for keys in ({}, REQUESTS.names):
        assert isinstance(str(parse(text, keys)), str)


@given(st.none() | st.text())
def test_a_term_for_a_value_is_about_exactly_that(value: str | None) -> None:
    (found,) = (parse(term("key", value), KEYS),)

    assert isinstance(found, Term)
    (one,) = found.values
    assert (found.key, one.op, one.text) == ("key", "=", value or "")


def test_terms_are_quoted_where_they_must_be() -> None:
    assert term("backend", "gpu-box") == "backend:=gpu-box"
    assert term("backend", "gpu box") == 'backend:="gpu box"'
    assert term("key", None) == 'key:=""'
    assert term("model", "llama3:70b") == "model:=llama3:70b"
