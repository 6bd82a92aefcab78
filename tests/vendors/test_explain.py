"""The translation report of POST /nexus/explain: told before anything is sent, and true."""

from __future__ import annotations

from typing import Any

import pytest

from nexus_core.catalog import BackendType
from tests.contract.scripted_upstream import ScriptedUpstream, answers
from tests.vendors.live import LiveNexus, backend, nexus_with
from tests.vendors.samples import ANTHROPIC, GOOGLE, Provider, both

USER = {"role": "user", "content": "hello"}


async def explain(nexus: LiveNexus, **fields: Any) -> dict[str, Any]:
    body = {"model": "m", "messages": [USER], **fields}
    answer = await nexus.http.post("/nexus/explain", json=body)
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


FIELDS: list[tuple[Provider, dict[str, Any], dict[str, Any]]] = [
    (ANTHROPIC, {}, {"dropped": [], "ignored": [], "changed": [], "unsupported": {}}),
    (GOOGLE, {}, {"dropped": [], "ignored": [], "changed": [], "unsupported": {}}),
    (
        ANTHROPIC,
        {"seed": 1, "presence_penalty": 1, "store": True, "temperature": 1.5},
        {"dropped": ["presence_penalty", "seed"], "ignored": ["store"], "unsupported": {}},
    ),
    (
        GOOGLE,
        {"presence_penalty": 1, "store": True, "max_tokens": 10**6},
        {
            "dropped": ["presence_penalty"],
            "ignored": ["store"],
            "changed": ["max_tokens 1000000 → 65536, the most that the model writes"],
        },
    ),
]


@pytest.mark.parametrize(("provider", "fields", "report"), FIELDS)
async def test_what_becomes_of_the_fields_is_told_and_then_so(
    upstream: ScriptedUpstream, provider: Provider, fields: dict[str, Any], report: dict[str, Any]
) -> None:
    upstream.script = answers(provider.answer)

    async with nexus_with(backend(provider.type, upstream.url, provider.model)) as nexus:
        told = (await explain(nexus, **fields))["translation"]
        sent_by_explain = len(upstream.received)
        answer = await nexus.chat(**fields)

    told["dropped"].sort()
    assert {name: told[name] for name in report} == report
    assert sent_by_explain == 0
    named = answer.headers.get("x-nexus-dropped-params")
    assert sorted(named.split(", ") if named else []) == report["dropped"]


UNSUPPORTED: dict[str, Any] = {"n": 99, "logprobs": True, "audio": {"voice": "a", "format": "wav"}}


@both
async def test_what_can_not_be_done_is_told_with_all_its_fields(
    provider: Provider, upstream: ScriptedUpstream
) -> None:
    async with nexus_with(backend(provider.type, upstream.url, provider.model)) as nexus:
        told = await explain(nexus, **UNSUPPORTED)
        answer = await nexus.chat(**UNSUPPORTED)

    assert told["chosen"]["backend"] == provider.type.value
    assert set(told["translation"]["unsupported"]) >= set(UNSUPPORTED)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["message"] == "; ".join(
        f"{name}: {why}" for name, why in told["translation"]["unsupported"].items()
    )
    assert upstream.received == []


@both
async def test_a_hint_that_would_be_rejected_is_told_as_such(
    provider: Provider, upstream: ScriptedUpstream
) -> None:
    configured = backend(provider.type, upstream.url, provider.model)
    async with nexus_with(configured, routing={"unsupported_params": "reject"}) as nexus:
        told = await explain(nexus, logit_bias={"1": 1})

    assert list(told["translation"]["unsupported"]) == ["logit_bias"]


@both
async def test_a_field_of_the_wrong_shape_is_the_400_that_the_request_gets(
    provider: Provider, upstream: ScriptedUpstream
) -> None:
    body = {"model": "m", "messages": [USER], "temperature": "hot"}

    async with nexus_with(backend(provider.type, upstream.url, provider.model)) as nexus:
        told = await nexus.http.post("/nexus/explain", json=body)
        answer = await nexus.http.post("/v1/chat/completions", json=body)

    assert told.status_code == answer.status_code == 400
    assert told.json() == answer.json()
    assert told.json()["error"]["param"] == "temperature"


async def test_without_a_translation_there_is_no_report(upstream: ScriptedUpstream) -> None:
    async with nexus_with(backend(BackendType.OPENAI, upstream.url, "gpt-4o")) as nexus:
        told = await explain(nexus, n=3)

    assert told["translation"] is None
