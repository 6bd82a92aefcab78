"""What the real process tells machines: /metrics, the overhead header, the line in the log."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.waiting import until

from .bodies import ANSWER, DONE, FIRST, STOP, chat
from .conftest import BACKEND_KEY, StartNexus
from .nexus_process import NexusProcess, backend_table, config_text
from .scripted_upstream import ScriptedUpstream, answers, streams

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHAT = "/v1/chat/completions"


def total(text: str, sample: str, **labels: str) -> float:
    """The sum of a sample over all series with these labels."""
    return sum(
        found.value
        for family in text_string_to_metric_families(text)
        for found in family.samples
        if found.name == sample and labels.items() <= found.labels.items()
    )


async def lines_about(nexus: NexusProcess, request_id: str) -> list[dict[str, object]]:
    """The JSON lines of one request, once there is one."""

    def found() -> list[dict[str, object]]:
        lines = [json.loads(line) for line in nexus.stderr.splitlines()]
        return [line for line in lines if line.get("request") == request_id]

    await until(lambda: bool(found()))
    return found()


async def test_metrics_need_a_key_where_everything_does(
    start_nexus: StartNexus, upstream: ScriptedUpstream
) -> None:
    config = config_text(backend_table("one", upstream.url, ["m"]))
    nexus = await start_nexus(config, NEXUS_API_KEYS="sk-client")

    async with httpx.AsyncClient(base_url=nexus.url) as client:
        without = await client.get("/metrics")
        with_key = await client.get("/metrics", headers={"Authorization": "Bearer sk-client"})

    assert [without.status_code, with_key.status_code] == [401, 200]
    assert list(text_string_to_metric_families(with_key.text))


async def test_metrics_count_what_happened(
    start_nexus: StartNexus, upstream: ScriptedUpstream
) -> None:
    table = backend_table("one", upstream.url, ["m"], type="openai", api_key_env="CLOUD_KEY")
    nexus = await start_nexus(config_text(table), CLOUD_KEY=BACKEND_KEY)

    async with httpx.AsyncClient(base_url=nexus.url) as client:
        upstream.script = answers(ANSWER)
        await client.post(CHAT, json=chat("m"))
        upstream.script = streams([FIRST, STOP, DONE])
        await client.post(CHAT, json=chat("m", stream=True))
        await client.post(CHAT, json=chat("nobody-serves-this"))
        await client.post(CHAT, content=b"{")
        text = (await client.get("/metrics")).text
        stats = (await client.get("/v1/stats")).json()

    count = "http_server_request_duration_seconds_count"
    assert total(text, count, http_response_status_code="200") == 2
    assert total(text, count, http_response_status_code="404") == 1
    assert total(text, "gen_ai_client_operation_duration_seconds_count", backend="one") == 2
    assert total(text, "gen_ai_client_token_usage_sum", gen_ai_token_type="input") == 3  # noqa: S106
    assert total(text, "nexus_requests_refused_total") == 1
    assert total(text, "nexus_backend_attempts_total", backend="one") == 2
    assert total(text, "http_server_active_requests") == 0
    assert "nobody-serves-this" not in text
    assert BACKEND_KEY not in text
    assert stats["backends"]["one"]["attempts"] == stats["attempts"] == 2


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_every_answer_tells_nexus_own_share(
    http: httpx.AsyncClient, upstream: ScriptedUpstream, is_streaming: bool
) -> None:
    upstream.script = streams([FIRST, STOP, DONE]) if is_streaming else answers(ANSWER)

    answer = await http.post(CHAT, json=chat(stream=is_streaming))

    assert re.fullmatch(r"\d+\.\d", answer.headers["x-nexus-overhead-ms"])


async def test_an_answer_of_nexus_itself_tells_no_share(http: httpx.AsyncClient) -> None:
    answer = await http.post(CHAT, json=chat("nobody-serves-this"))

    assert answer.status_code == 404
    assert "x-nexus-overhead-ms" not in answer.headers


async def test_a_finished_request_is_one_json_line_with_the_id_of_the_header(
    start_nexus: StartNexus, upstream: ScriptedUpstream
) -> None:
    upstream.script = answers(ANSWER)
    config = config_text(
        backend_table("down", "http://127.0.0.1:9", ["m"], priority=90),
        backend_table("one", upstream.url, ["m"]),
        more='[routing]\nstrategy = "priority_only"\n[routing.aliases]\n"fast" = "m"\n',
    )
    nexus = await start_nexus(config, "--log-format", "json")

    async with httpx.AsyncClient(base_url=nexus.url) as client:
        answer = await client.post(CHAT, json=chat("fast"))
    (line,) = await lines_about(nexus, answer.headers["x-nexus-request-id"])

    assert (line["message"], line["asked"], line["model"]) == ("finished", "fast", "m")
    assert (line["backend"], line["reason"]) == ("one", "backend-failover")
    assert (line["prompt_tokens"], line["completion_tokens"]) == (3, 4)
    attempts = line["attempts"]
    assert isinstance(attempts, list)
    assert [attempt["backend"] for attempt in attempts] == ["down"]
    assert attempts[0]["error"]
    assert isinstance(line["upstream_ms"], float)
