"""POST /nexus/explain of the real process: who may ask, what is refused, and that it is true."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .bodies import ANSWER, chat
from .conftest import MAX_BODY_BYTES, StartNexus
from .nexus_process import backend_table, config_text
from .scripted_upstream import ScriptedUpstream, answers
from .test_refusals import BAD_BODIES, BAD_FIELDS, BAD_HEADERS, error_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

EXPLAIN, CHAT = "/nexus/explain", "/v1/chat/completions"
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("model", ["llama3:70b", "gpt-4", "outer", "asked-name", "gpt-4o"])
async def test_a_request_goes_where_it_was_explained_to_go(
    http: httpx.AsyncClient, upstream: ScriptedUpstream, model: str
) -> None:
    upstream.script = answers(ANSWER)

    explained = await http.post(EXPLAIN, json=chat(model))
    sent_by_explain = len(upstream.received)
    answer = await http.post(CHAT, json=chat(model))

    assert (explained.status_code, sent_by_explain) == (200, 0)
    chosen = explained.json()["chosen"]
    assert chosen["backend"] == answer.headers["x-nexus-backend"]
    assert chosen["reason"] == answer.headers["x-nexus-route-reason"]
    assert explained.json()["resolved"][0] == model


async def test_a_policy_and_what_would_lift_it_are_told(http: httpx.AsyncClient) -> None:
    explanation: dict[str, Any] = (await http.post(EXPLAIN, json=chat("secret-notes"))).json()

    assert explanation["policies"] == ["secret-*"]
    assert explanation["zone"] == "restricted"
    assert explanation["chosen"] is None
    assert explanation["refused"]["code"] == "privacy_constraint_violation"
    assert explanation["would_change"] == ["the request: not restricted → cloud, capability-match"]


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
async def test_a_body_that_is_no_request_is_the_same_400(
    http: httpx.AsyncClient, body: bytes
) -> None:
    explained = await http.post(EXPLAIN, content=body, headers=JSON)
    real = await http.post(CHAT, content=body, headers=JSON)

    assert explained.status_code == 400
    assert error_of(explained) == error_of(real)


@pytest.mark.parametrize(("body", "param"), BAD_FIELDS.values(), ids=BAD_FIELDS)
async def test_a_bad_field_is_named(
    http: httpx.AsyncClient, body: dict[str, Any], param: str
) -> None:
    explained = await http.post(EXPLAIN, json=body)

    assert explained.status_code == 400
    assert str(error_of(explained)["param"]).startswith(param)


@pytest.mark.parametrize(("name", "value"), BAD_HEADERS)
async def test_a_bad_header_is_named(http: httpx.AsyncClient, name: str, value: str) -> None:
    explained = await http.post(EXPLAIN, json=chat(), headers={name: value})

    assert explained.status_code == 400
    assert error_of(explained)["param"] == name


async def test_a_body_over_the_limit_is_a_413_that_the_client_can_read(
    http: httpx.AsyncClient,
) -> None:
    body = chat(messages=[{"role": "user", "content": "x" * 20 * MAX_BODY_BYTES}])

    explained = await http.post(EXPLAIN, json=body)

    assert explained.status_code == 413
    assert str(MAX_BODY_BYTES) in error_of(explained)["message"]


async def test_nothing_is_counted(http: httpx.AsyncClient) -> None:
    before = (await http.get("/v1/stats")).json()

    await http.post(EXPLAIN, json=chat())
    await http.post(EXPLAIN, content=b"{", headers=JSON)

    after = (await http.get("/v1/stats")).json()
    for numbers in (before, after):
        del numbers["uptime_seconds"], numbers["budget"]["resets_in_seconds"]
        del numbers["windows"]  # they go on by time alone
    assert after == before


async def test_it_takes_post_only(http: httpx.AsyncClient) -> None:
    answer = await http.get(EXPLAIN)

    assert answer.status_code == 405
    error_of(answer)


async def test_it_needs_the_admin_key(start_nexus: StartNexus, upstream: ScriptedUpstream) -> None:
    nexus = await start_nexus(
        config_text(backend_table("one", upstream.url, ["m"])),
        NEXUS_API_KEYS="sk-client",
        NEXUS_ADMIN_KEY="sk-admin",
    )
    async with httpx.AsyncClient(base_url=nexus.url) as client:
        statuses = [
            (await client.post(EXPLAIN, json=chat("m"), headers=headers)).status_code
            for headers in (
                {},
                {"Authorization": "Bearer sk-wrong"},
                {"Authorization": "Bearer sk-client"},
                {"Authorization": "Bearer sk-admin"},
            )
        ]

    assert statuses == [401, 401, 403, 200]
