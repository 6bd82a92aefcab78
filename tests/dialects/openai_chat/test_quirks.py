"""What a provider takes another way is replaced, and nothing else."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from nexus_core.catalog import BackendType, Quirks
from nexus_core.dialects.openai_chat.quirks import adapt
from nexus_core.dialects.report import Translation
from nexus_core.errors import UnsupportedFieldsError

DEVELOPER = {"role": "developer", "content": "be brief", "name": "d"}
USER = {"role": "user", "content": "x"}
MISTRAL = BackendType.MISTRAL.spec.quirks
QUIRKY = [kind for kind in BackendType if kind.spec.quirks != Quirks()]


def adapted(quirks: Quirks, **fields: Any) -> Translation:
    made = adapt(fields, quirks)
    assert made is not None
    return made


@pytest.mark.parametrize("kind", BackendType)
def test_a_request_without_such_a_field_passes_as_it_is(kind: BackendType) -> None:
    plain = {"model": "m", "messages": [USER], "temperature": 1, "tools": [], "x": {"y": None}}

    assert adapt(plain, kind.spec.quirks) is None


@pytest.mark.parametrize("kind", QUIRKY)
def test_what_was_replaced_does_not_stand_there_any_more(kind: BackendType) -> None:
    quirks = kind.spec.quirks
    names = {old for old, _ in quirks.renamed} | quirks.refused | quirks.ignored
    options = {} if quirks.takes_stream_options else {"stream_options": {"include_usage": True}}
    fields = {"model": "m", "messages": [DEVELOPER, USER], **dict.fromkeys(names, 1), **options}

    made = adapted(quirks, **fields)

    assert made.body.keys().isdisjoint(names | options.keys())
    assert all(made.body[own] == 1 for _, own in quirks.renamed)
    assert set(made.dropped) == quirks.refused
    assert adapt(made.body, quirks) is None


def test_the_clients_fields_are_not_changed() -> None:
    fields = {"messages": [dict(DEVELOPER), dict(USER)], "max_completion_tokens": 5, "store": True}
    before = copy.deepcopy(fields)

    adapted(MISTRAL, **fields)

    assert fields == before


def test_a_developers_message_is_a_system_message_with_all_that_it_has() -> None:
    made = adapted(MISTRAL, messages=[DEVELOPER, USER, "no message"])

    assert made.body["messages"] == [DEVELOPER | {"role": "system"}, USER, "no message"]
    assert made.changed == ("role developer → system",)


def test_reasoning_of_earlier_answers_is_left_out_of_every_message_that_has_it() -> None:
    answer = {"role": "assistant", "content": "4", "tool_calls": []}
    thought = answer | {"reasoning_content": "2 and 2"}
    silent = answer | {"reasoning_content": None}

    made = adapted(MISTRAL, messages=[DEVELOPER, thought, USER, silent, "no message"])

    system = DEVELOPER | {"role": "system"}
    assert made.body["messages"] == [system, answer, USER, answer, "no message"]
    assert made.ignored == ("messages[].reasoning_content",)
    assert thought["reasoning_content"] == "2 and 2"


@pytest.mark.parametrize("kind", [BackendType.DEEPSEEK, BackendType.MOONSHOT, BackendType.ZHIPU])
def test_reasoning_goes_back_to_those_who_take_it(kind: BackendType) -> None:
    thought = {"role": "assistant", "content": "4", "reasoning_content": "2 and 2"}

    assert adapt({"messages": [USER, thought]}, kind.spec.quirks) is None


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({"max_completion_tokens": 5}, 5),
        ({"max_completion_tokens": 5, "max_tokens": 9}, 5),
        ({"max_completion_tokens": None, "max_tokens": 9}, 9),
        ({"max_completion_tokens": None}, None),
    ],
)
def test_the_newer_of_two_limits_wins(fields: dict[str, Any], limit: int | None) -> None:
    made = adapted(MISTRAL, **fields)

    assert made.body == {"max_tokens": limit}
    assert made.changed == ("max_completion_tokens → max_tokens",)


def test_a_hint_that_is_left_out_is_told_and_one_without_effect_is_not() -> None:
    quirks = Quirks(refused=frozenset({"logit_bias", "presence_penalty"}))

    made = adapted(quirks, logit_bias={"1": 5}, presence_penalty=0)

    assert (made.dropped, made.ignored) == (("logit_bias",), ("presence_penalty",))
    assert made.body == {}


def test_a_hint_that_is_left_out_may_be_an_error() -> None:
    quirks = Quirks(refused=frozenset({"logit_bias"}))

    with pytest.raises(UnsupportedFieldsError, match="logit_bias") as caught:
        adapt({"logit_bias": {"1": 5}}, quirks, reject_hints=True)
    assert caught.value.status == 422


def test_a_question_for_usage_is_left_out_where_usage_comes_unasked() -> None:
    made = adapted(MISTRAL, stream=True, stream_options={"include_usage": True})

    assert made.body == {"stream": True}
    assert made.ignored == ("stream_options",)
