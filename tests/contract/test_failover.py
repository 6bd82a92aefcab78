"""A backend that fails before its first byte is ignored; after it, the stream says so."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.waiting import until

from .bodies import ANSWER, DONE, FIRST, HELLO, STREAM, chat
from .conftest import BACKEND_KEY, StartNexus
from .nexus_process import backend_table, config_text
from .scripted_upstream import (
    Exchange,
    Script,
    ScriptedUpstream,
    answers,
    streams,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHAT = "/v1/chat/completions"


@pytest_asyncio.fixture(loop_scope="session")
async def second() -> AsyncIterator[ScriptedUpstream]:
    """Another upstream, which answers well."""
    async with ScriptedUpstream() as upstream:
        upstream.script = answers(ANSWER)
        yield upstream


def two_backends(first: str, second: str) -> str:
    return config_text(
        backend_table("first", first, ["m"], priority=90),
        backend_table("second", second, ["m"], priority=10),
    )


def one_backend(url: str) -> str:
    return config_text(backend_table("cloud", url, ["m"], type="openai", api_key_env="CLOUD_KEY"))


async def hang_up(_exchange: Exchange) -> None:
    """Close the connection without a word."""


FAILURES: dict[str, Script] = {
    "401": answers({"error": {"message": "who?"}}, 401),
    "403": answers({"error": {"message": "you?"}}, 403),
    "408": answers({"error": {"message": "late"}}, 408),
    "429": answers({"error": {"message": "slow down"}}, 429),
    "500": answers({"error": {"message": "oops"}}, 500),
    "503": answers({"error": {"message": "loading"}}, 503),
    "redirect": answers(b"", 302, headers=[("Location", "http://127.0.0.1:9/")]),
    "hang-up": hang_up,
}


async def fail_by_model(exchange: Exchange) -> None:
    """Fail as the asked model's name says."""
    await FAILURES[json.loads(exchange.body)["model"]](exchange)


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_what_fails_before_the_first_byte_fails_over(
    start_nexus: StartNexus,
    upstream: ScriptedUpstream,
    second: ScriptedUpstream,
    is_streaming: bool,
) -> None:
    upstream.script = fail_by_model
    second.script = streams(STREAM) if is_streaming else answers(ANSWER)
    # A backend for each failure: what one leaves behind must not touch the next.
    firsts = [backend_table(f"first-{name}", upstream.url, [name]) for name in FAILURES]
    last = backend_table("second", second.url, list(FAILURES), priority=10)
    nexus = await start_nexus(config_text(*firsts, last))

    answered = {}
    async with httpx.AsyncClient(base_url=nexus.url, timeout=10) as client:
        for name in FAILURES:
            answer = await client.post(CHAT, json=chat(name, stream=is_streaming))
            told = answer.headers
            answered[name] = (
                answer.status_code,
                told.get("x-nexus-backend"),
                told.get("x-nexus-route-reason"),
            )

    assert answered == dict.fromkeys(FAILURES, (200, "second", "backend-failover"))
    assert len(upstream.received) == len(second.received) == len(FAILURES)


async def test_a_refused_connection_fails_over(
    start_nexus: StartNexus, second: ScriptedUpstream
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        nexus = await start_nexus(two_backends(url, second.url))
        async with httpx.AsyncClient(base_url=nexus.url) as client:
            answer = await client.post(CHAT, json=chat("m"))

    assert answer.status_code == 200
    assert answer.headers["x-nexus-backend"] == "second"
    assert answer.headers["x-nexus-route-reason"] == "backend-failover"
    assert json.loads(second.last.body) == chat("m")


async def test_a_plain_4xx_does_not_fail_over(
    start_nexus: StartNexus, upstream: ScriptedUpstream, second: ScriptedUpstream
) -> None:
    upstream.script = answers({"error": {"message": "bad"}}, 400)
    nexus = await start_nexus(two_backends(upstream.url, second.url))

    async with httpx.AsyncClient(base_url=nexus.url) as client:
        answer = await client.post(CHAT, json=chat("m"))

    assert answer.status_code == 400
    assert second.received == []


async def test_a_restricted_request_never_fails_over_to_an_open_backend(
    start_nexus: StartNexus, upstream: ScriptedUpstream, second: ScriptedUpstream
) -> None:
    upstream.script = answers({"error": {"message": "loading"}}, 503)
    nexus = await start_nexus(
        config_text(
            backend_table("first", upstream.url, ["m"], priority=90),
            backend_table("open", second.url, ["m"], priority=10, zone="open"),
        )
    )

    async with httpx.AsyncClient(base_url=nexus.url) as client:
        demand = {"X-Nexus-Privacy-Zone": "restricted"}
        answer = await client.post(CHAT, json=chat("m"), headers=demand)

    assert answer.status_code == 503
    assert second.received == []


async def test_with_no_other_backend_the_last_error_passes_on(
    start_nexus: StartNexus, upstream: ScriptedUpstream
) -> None:
    told = f'{{"error": {{"message": "overloaded, {BACKEND_KEY}", "x": 1.0}}}}'
    upstream.script = answers(told.encode(), 429, headers=[("Retry-After", "3")])
    nexus = await start_nexus(one_backend(upstream.url), CLOUD_KEY=BACKEND_KEY)

    async with httpx.AsyncClient(base_url=nexus.url) as client:
        answer = await client.post(CHAT, json=chat("m"))

    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "3"
    assert answer.headers["x-nexus-backend"] == "cloud"
    assert answer.json()["error"]["message"].startswith("overloaded, ")
    assert BACKEND_KEY not in answer.text


async def test_a_redirect_is_a_502_and_is_not_followed(
    start_nexus: StartNexus, upstream: ScriptedUpstream, second: ScriptedUpstream
) -> None:
    async def redirect(exchange: Exchange) -> None:
        status = int(json.loads(exchange.body)["model"])
        await answers(b"", status, headers=[("Location", f"{second.url}{CHAT}")])(exchange)

    upstream.script = redirect
    models = ["301", "302", "303", "307", "308"]
    nexus = await start_nexus(
        config_text(*(backend_table(f"to-{model}", upstream.url, [model]) for model in models))
    )

    async with httpx.AsyncClient(base_url=nexus.url) as client:
        refused = [await client.post(CHAT, json=chat(model)) for model in models]

    assert [answer.status_code for answer in refused] == [502] * len(models)
    assert not any("location" in answer.headers for answer in refused)
    assert second.received == []


async def become_unhealthy(client: httpx.AsyncClient) -> None:
    async def is_unhealthy() -> bool:
        state = (await client.get("/nexus/state")).json()
        return [backend["health"] for backend in state["backends"]] == ["unhealthy"]

    await until(is_unhealthy)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_a_502_and_makes_the_backend_unhealthy(
    start_nexus: StartNexus, upstream: ScriptedUpstream, status: int
) -> None:
    upstream.script = answers({"error": {"message": f"bad key {BACKEND_KEY}"}}, status)
    nexus = await start_nexus(one_backend(upstream.url), CLOUD_KEY=BACKEND_KEY)
    await upstream.wait_for_probes(1)
    upstream.listing = upstream.script

    async with httpx.AsyncClient(base_url=nexus.url) as client:
        first = await client.post(CHAT, json=chat("m"))
        if status == 403:  # a probe has to say so as well
            await become_unhealthy(client)
        again = await client.post(CHAT, json=chat("m"))

    error = first.json()["error"]
    assert (first.status_code, error["code"]) == (502, "upstream_auth_failed")
    assert "cloud" in error["message"]
    assert BACKEND_KEY not in first.text
    assert BACKEND_KEY not in nexus.stderr
    assert again.status_code == 503
    assert again.json()["error"]["context"]["available_backends"][0]["status"] == "unhealthy"
    assert len(upstream.received) == 1


async def without_end_mark(exchange: Exchange) -> None:
    await streams([FIRST, HELLO])(exchange)


async def in_the_middle_of_a_line(exchange: Exchange) -> None:
    await streams([FIRST, HELLO, b'data: {"choices":[{"del'], is_whole=False)(exchange)


async def after_an_event(exchange: Exchange) -> None:
    await streams([FIRST, HELLO], is_whole=False)(exchange)


@pytest.mark.parametrize("script", [after_an_event, in_the_middle_of_a_line, without_end_mark])
async def test_a_stream_that_breaks_ends_with_an_error_and_without_done(
    start_nexus: StartNexus, upstream: ScriptedUpstream, second: ScriptedUpstream, script: Script
) -> None:
    upstream.script = script
    nexus = await start_nexus(two_backends(upstream.url, second.url))

    async with httpx.AsyncClient(base_url=nexus.url) as client:
        answer = await client.post(CHAT, json=chat("m", stream=True))

    assert answer.status_code == 200
    assert answer.content.startswith(FIRST + HELLO)
    assert DONE not in answer.content
    *_, last = [block for block in answer.text.split("\n\n") if block.strip()]
    error = json.loads(last.removeprefix("data: "))["error"]
    assert error["message"]
    assert second.received == []


async def test_a_whole_answer_that_is_cut_short_fails_over(
    start_nexus: StartNexus, upstream: ScriptedUpstream, second: ScriptedUpstream
) -> None:
    async def half(exchange: Exchange) -> None:
        head = [("Content-Type", "application/json"), ("Content-Length", "1000")]
        await exchange.send_head(200, head)
        await exchange.send(b'{"choices":[')

    upstream.script = half
    nexus = await start_nexus(two_backends(upstream.url, second.url))

    async with httpx.AsyncClient(base_url=nexus.url) as client:
        answer = await client.post(CHAT, json=chat("m"))

    assert answer.status_code == 200
    assert answer.headers["x-nexus-route-reason"] == "backend-failover"


async def test_at_most_max_retries_backends_follow_the_first(
    start_nexus: StartNexus, upstream: ScriptedUpstream
) -> None:
    upstream.script = answers({"error": {"message": "no"}}, 500)
    tables = [backend_table(f"b{n}", upstream.url, ["m"]) for n in range(5)]
    nexus = await start_nexus(config_text(*tables, more="[routing]\nmax_retries = 1\n"))

    async with httpx.AsyncClient(base_url=nexus.url) as client:
        answer = await client.post(CHAT, json=chat("m"))

    assert answer.status_code == 500
    assert len(upstream.received) == 2


async def test_concurrent_streams_do_not_mix(
    start_nexus: StartNexus, upstream: ScriptedUpstream
) -> None:
    async def echo(exchange: Exchange) -> None:
        mark = json.loads(exchange.body)["messages"][0]["content"].encode()
        await streams([b"data: %b-%d\n\n" % (mark, n) for n in range(20)] + [DONE])(exchange)

    upstream.script = echo
    nexus = await start_nexus(config_text(backend_table("one", upstream.url, ["m"])))
    async with httpx.AsyncClient(base_url=nexus.url) as client, asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(
                client.post(
                    CHAT,
                    json=chat("m", stream=True, messages=[{"role": "user", "content": f"c{n}"}]),
                )
            )
            for n in range(20)
        ]

    for n, task in enumerate(running):
        expected = b"".join(b"data: c%d-%d\n\n" % (n, part) for part in range(20)) + DONE
        assert task.result().content == expected
