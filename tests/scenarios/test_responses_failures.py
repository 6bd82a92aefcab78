"""Failures on the Responses API: statuses as Codex needs them, broken streams, privacy."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai as vendor
import pytest

from nexus_core.config.schema import BudgetConfig, QueueConfig
from tests.contract.bodies import FIRST, TOO_LONG, event
from tests.contract.scripted_upstream import answers, hang, streams
from tests.scenarios.messages import MESSAGE, claude, gemini, local, openai
from tests.scenarios.nexus import RESTRICTED, Gate, hang_up, running, upstreams
from tests.scenarios.responses import (
    RECORDINGS,
    SHORT,
    ask,
    body_of,
    events_of,
    headers_of,
    recorded_stream,
    sdk,
)
from tests.waiting import until

HELLO = [FIRST, event({"content": "Hel"})]
ALL = pytest.mark.parametrize("configured", [local, claude, gemini, openai])


@ALL
async def test_an_unknown_model_is_not_found_with_its_code(configured: Any) -> None:
    async with upstreams(hang) as (up,), running(configured(up.url)) as nexus, sdk(nexus) as client:
        with pytest.raises(vendor.NotFoundError) as caught:
            await client.responses.create(model="nobody", input="hi")

    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("configured", [claude, gemini, openai])
async def test_a_restricted_request_never_leaves_and_is_not_repeated(configured: Any) -> None:
    async with upstreams(answers(MESSAGE)) as (up,), running(configured(up.url)) as nexus:
        answer = await ask(nexus, body_of("01-turn-1-unknown-model"), **RESTRICTED)

    error = answer.json()["error"]
    assert (answer.status_code, answer.headers["x-should-retry"]) == (400, "false")
    assert error["code"] == "privacy_constraint_violation"
    assert error["context"]["available_backends"][0]["zone"] == "open"
    assert up.received == []


async def test_a_tier_that_nobody_has_is_final() -> None:
    async with upstreams(hang) as (up,), running(local(up.url, tier=1)) as nexus:
        answer = await ask(nexus, SHORT, **{"X-Nexus-Min-Tier": "3"})

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "no_capable_backend")
    assert error["context"]["required_tier"] == 3


async def test_what_no_backend_can_do_is_a_400_that_names_the_field() -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    async with upstreams(hang) as (up,), running(claude(up.url)) as nexus:
        answer = await ask(nexus, SHORT | {"input": [{"role": "user", "content": [sound]}]})

    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "input[0].content[0]")


async def test_a_spent_budget_is_no_quota() -> None:
    budget = BudgetConfig(monthly_limit_usd=0.000001, hard_limit_action="block_all")
    whole = json.loads(recorded_stream("02-turn-2").rpartition(b"data: ")[2])["response"]
    async with (
        upstreams(answers(whole)) as (up,),
        running(openai(up.url, models={"m": "gpt-4o"}), budget=budget) as nexus,
    ):
        await ask(nexus, SHORT)
        answer = await ask(nexus, SHORT)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (429, "insufficient_quota")
    assert answer.headers["x-should-retry"] == "false"


async def test_capacity_is_an_overloaded_server() -> None:
    gate = Gate()
    async with upstreams(gate) as (up,), running(local(up.url, max_concurrent=1)) as nexus:
        first = nexus.start()
        await up.wait_for_requests(1)
        answer = await ask(nexus, SHORT)
        gate.open()
        await first

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (503, "server_is_overloaded")
    assert error["context"]["available_backends"][0]["status"] == "at_capacity"


async def test_capacity_is_waited_for_in_the_queue() -> None:
    gate = Gate()
    queue = QueueConfig(enabled=True)
    async with (
        upstreams(gate) as (up,),
        running(local(up.url, max_concurrent=1), queue=queue) as nexus,
    ):
        first = nexus.start()
        await up.wait_for_requests(1)
        second = nexus.tasks.create_task(ask(nexus, SHORT))
        await until(lambda: nexus.gateway.queued == 1)
        gate.open()
        answer = await second
        await first

    assert answer.status_code == 200


async def test_a_limit_of_the_backend_passes_with_its_wait() -> None:
    told = {"error": {"message": "Slow down.", "type": "rate_limit_error"}}
    script = answers(told, 429, headers=[("Retry-After", "7")])
    async with upstreams(script) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, SHORT)

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json()["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize("configured", [local, openai])
async def test_a_prompt_that_is_too_long_is_told_by_its_code(configured: Any) -> None:
    async with upstreams(answers(TOO_LONG, 400)) as (up,), running(configured(up.url)) as nexus:
        answer = await ask(nexus, SHORT)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "context_length_exceeded")
    assert (error["param"], answer.headers["x-should-retry"]) == ("input", "false")


STATELESS = [
    ("previous_response_id", {"previous_response_id": "resp_1"}),
    ("conversation", {"conversation": "conv_1"}),
    ("prompt", {"prompt": {"id": "pmpt_1"}}),
    ("store", {"store": True}),
    ("background", {"background": True}),
    ("input[0]", {"input": [{"type": "item_reference", "id": "msg_1"}]}),
]


@pytest.mark.parametrize(("param", "field"), STATELESS)
async def test_what_would_need_a_memory_is_refused_in_words(
    param: str, field: dict[str, Any]
) -> None:
    async with (
        upstreams(hang, hang) as (gpu, up),
        running(local(gpu.url), claude(up.url)) as nexus,
        sdk(nexus) as client,
    ):
        with pytest.raises(vendor.BadRequestError, match="Nexus keeps no responses") as caught:
            await client.responses.create(**SHORT | field)

    assert caught.value.param == param
    assert gpu.received == up.received == []


async def test_absent_false_and_empty_mean_no_memory() -> None:
    whole = {"previous_response_id": None, "store": False, "background": False}
    async with upstreams(answers({"choices": []})) as (up,), running(local(up.url)) as nexus:
        await ask(nexus, SHORT | whole)

    assert len(up.received) == 1


# Streams ----------------------------------------------------------------------------------------


async def test_a_stream_that_breaks_ends_as_a_failed_response() -> None:
    script = streams(HELLO, is_whole=False)
    async with upstreams(script) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, SHORT | {"stream": True})

    first, *_, last = events_of(answer.text)
    assert last["type"] == "response.failed"
    assert last["response"]["id"] == first["response"]["id"]
    assert last["response"]["status"] == "failed"
    assert last["response"]["error"]["code"] == "server_error"


@pytest.mark.parametrize("end", [b"", b"event: response.output_text.done\n", b"event: response."])
async def test_a_stream_of_openais_that_breaks_is_continued_in_its_numbers(end: bytes) -> None:
    told = recorded_stream("02-turn-2")
    begun = told[: told.index(b"event: response.output_text.done")] + end
    script = streams([begun], is_whole=False)
    async with (
        upstreams(script) as (up,),
        running(openai(up.url)) as nexus,
        sdk(nexus) as client,
    ):
        events = [one async for one in await client.responses.create(**SHORT, stream=True)]

    assert [one.sequence_number for one in events] == list(range(len(events)))
    assert events[-1].type == "response.failed"
    assert events[-1].response.id == "resp_fake00002"


FAULTS = [
    ({"message": "overloaded", "type": "overloaded_error"}, "server_is_overloaded"),
    (
        {"message": "Please try again in 3s.", "code": "rate_limit_exceeded"},
        "rate_limit_exceeded",
    ),
    ({"message": "maximum context length is 9 tokens", "code": 400}, "context_length_exceeded"),
    ({"message": "boom", "type": "internal"}, "server_error"),
]


@pytest.mark.parametrize(("fault", "code"), FAULTS)
async def test_an_error_amid_a_chat_stream_is_a_failed_response(
    fault: dict[str, Any], code: str
) -> None:
    script = streams([*HELLO, b"data: " + json.dumps({"error": fault}).encode() + b"\n\n"])
    async with upstreams(script) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, SHORT | {"stream": True})

    error = events_of(answer.text)[-1]["response"]["error"]
    assert error == {"code": code, "message": fault["message"]}


async def test_a_failed_response_of_openais_passes_and_counts_as_failed() -> None:
    told = recorded_stream("10-response-failed")
    async with upstreams(streams([told])) as (up,), running(openai(up.url)) as nexus:
        answer = await ask(nexus, SHORT | {"stream": True})

    assert answer.content == told
    assert nexus.finished()[0].failed


async def test_a_response_that_fails_before_its_content_goes_to_another_backend() -> None:
    begun, _, rest = recorded_stream("10-response-failed").partition(b"event: response.output_item")
    failed = begun + b"event: response.failed" + rest.partition(b"event: response.failed")[2]
    told = recorded_stream("02-turn-2")
    async with (
        upstreams(streams([failed]), streams([told])) as (first, second),
        running(
            openai(first.url, priority=90), openai(second.url).model_copy(update={"name": "b"})
        ) as nexus,
    ):
        answer = await ask(nexus, SHORT | {"stream": True})

    assert answer.content == told
    assert len(first.received) == len(second.received) == 1


async def test_a_failure_before_the_first_byte_goes_to_a_backend_of_another_format() -> None:
    told = recorded_stream("02-turn-2")
    async with (
        upstreams(hang_up, streams([told])) as (gpu, up),
        running(local(gpu.url), openai(up.url)) as nexus,
    ):
        answer = await ask(nexus, SHORT | {"stream": True})

    assert answer.content == told
    assert answer.headers["x-nexus-route-reason"] == "backend-failover"


@ALL
async def test_a_client_that_leaves_ends_the_exchange(configured: Any) -> None:
    async with upstreams(hang) as (up,), running(configured(up.url)) as nexus:
        task = nexus.tasks.create_task(ask(nexus, SHORT | {"stream": True}))
        await up.wait_for_requests(1)
        task.cancel()
        await until(up.last.closed.is_set)
        with pytest.raises(asyncio.CancelledError):
            await task


# Around it --------------------------------------------------------------------------------------


async def test_a_websocket_is_refused_so_that_the_client_goes_over_to_http() -> None:
    recorded = json.loads((RECORDINGS / "07-websocket-upgrade.json").read_text())
    headers = dict(line.split(": ", 1) for line in recorded["headers"][1:])
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        answer = await nexus.http.get("/v1/responses", headers=headers)

    assert answer.status_code == 426
    assert "POST /v1/responses" in answer.json()["error"]["message"]


async def test_what_codex_says_of_the_users_folders_is_neither_kept_nor_passed_on() -> None:
    name = "01-turn-1-unknown-model"
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        up.script = streams([FIRST, event({"content": "x"}, "stop")])
        answer = await ask(nexus, body_of(name), **headers_of(name))
        kept = await nexus.http.get(f"/nexus/requests/{answer.headers['x-nexus-request-id']}")

    assert answer.status_code == 200
    assert "/home/user/project" not in kept.text
    assert b"/home/user/project" not in up.last.body
    assert not any("/home/user/project" in value for _, value in up.last.headers)


async def test_a_session_stays_with_the_backend_that_knows_it() -> None:
    name = "01-turn-1-unknown-model"
    script = streams([FIRST, event({"content": "x"}, "stop")])
    async with (
        upstreams(script, script) as (one, two),
        running(local(one.url), local(two.url).model_copy(update={"name": "other"})) as nexus,
    ):
        for turn in range(6):
            body = body_of(name, input=f"another beginning {turn}")
            await ask(nexus, body, **headers_of(name))

    assert sorted([len(one.received), len(two.received)]) == [0, 6]


async def test_a_path_below_answers_in_the_same_envelope() -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        answer = await nexus.http.get("/v1/responses/resp_1")

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "not_found")
    assert "Nexus keeps no responses" in error["message"]
