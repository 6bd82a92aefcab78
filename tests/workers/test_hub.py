"""Several workers of one port, asked as one Nexus: sums, lists, events, commands."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from nexus_core.workers.keys import sum_key
from tests.contract.bodies import ANSWER, chat
from tests.contract.nexus_process import NexusProcess
from tests.contract.scripted_upstream import ScriptedUpstream, answers
from tests.waiting import until
from tests.workers.several import recorded, start_several, workers

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as upstream:
        upstream.script = answers(ANSWER)
        yield upstream


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def nexus(
    upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[NexusProcess]:
    nexus = await start_several(tmp_path_factory.mktemp("several"), upstream.url)
    yield nexus
    nexus.terminate()
    assert await nexus.wait() == 0, nexus.stderr
    assert "Traceback" not in nexus.stderr


@pytest_asyncio.fixture(loop_scope="module")
async def http(nexus: NexusProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=nexus.url, timeout=10) as client:
        yield client


async def ask_both(nexus: NexusProcess, each: int = 3) -> list[str]:
    """So many requests over each of two connections, which two workers have; their ids."""
    ids: list[str] = []
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=nexus.url, timeout=10))
            for _ in range(2)
        ]
        for _ in range(each):
            for client in clients:
                answer = await client.post(CHAT, json=chat("m"))
                assert answer.status_code == 200
                ids.append(answer.headers["x-nexus-request-id"])
    return ids


async def stats(http: httpx.AsyncClient) -> dict[str, Any]:
    told: dict[str, Any] = (await http.get("/v1/stats")).raise_for_status().json()
    return told


async def metric(http: httpx.AsyncClient, name: str) -> float:
    text = (await http.get("/metrics")).raise_for_status().text
    families = text_string_to_metric_families(text)
    return sum(one.value for family in families for one in family.samples if one.name == name)


async def test_what_both_workers_counted_is_added_up_whoever_is_asked(
    nexus: NexusProcess, http: httpx.AsyncClient
) -> None:
    before = await stats(http)

    ids = await ask_both(nexus)

    after = await stats(http)
    assert after["requests"] - before["requests"] == len(ids)
    assert after["backends"]["local"]["answers"] - before["backends"]["local"]["answers"] == 6
    assert after["total_ms"]["p50"] > 0
    assert await metric(http, "nexus_requests_received_total") == after["requests"]
    assert await metric(http, "gen_ai_client_operation_duration_seconds_count") == after["attempts"]
    assert await metric(http, "nexus_workers") == 2


async def test_both_take_connections(nexus: NexusProcess) -> None:
    async def have_both() -> bool:
        await ask_both(nexus, 1)
        return all(f"worker {number} nexus_core.proxy" in nexus.stderr for number in (1, 2))

    await until(have_both)


async def test_requests_of_both_are_listed_and_found(
    nexus: NexusProcess, http: httpx.AsyncClient
) -> None:
    ids = await ask_both(nexus)

    newest = (await http.get("/nexus/requests", params={"limit": 6})).json()["requests"]
    older = await http.get("/nexus/requests", params={"limit": 2, "before": newest[1]["id"]})
    found = [await http.get(f"/nexus/requests/{one}") for one in ids]

    assert {row["id"] for row in newest} == set(ids)
    assert [row["at"] for row in newest] == sorted((row["at"] for row in newest), reverse=True)
    assert [row["id"] for row in older.json()["requests"]] == [row["id"] for row in newest[2:4]]
    assert [answer.json()["id"] for answer in found] == ids
    assert (await http.get("/nexus/requests/0123456789abcdef")).status_code == 404


@pytest.mark.parametrize("path", ["/nexus/requests", "/nexus/logs", "/nexus/actions"])
@pytest.mark.parametrize("limit", ["", "x", "0", "999999"])
async def test_a_limit_that_makes_no_sense_is_refused(
    http: httpx.AsyncClient, path: str, limit: str
) -> None:
    answer = await http.get(path, params={"limit": limit})

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "query.limit"


async def test_the_state_says_after_which_of_all_events_it_is(
    nexus: NexusProcess, http: httpx.AsyncClient
) -> None:
    state = (await http.get("/nexus/state")).json()
    run, _, number = state["last_event"].rpartition("-")
    seen: list[tuple[int, dict[str, Any]]] = []
    begun: set[str] = set()

    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(ask_both(nexus))
        async with http.stream(
            "GET", "/nexus/events", headers={"Last-Event-ID": f"{run}-0"}
        ) as sse:
            last = 0
            async for line in sse.aiter_lines():
                if line.startswith("id: "):
                    last = int(line.rpartition("-")[2])
                elif line.startswith('data: {"type"'):
                    seen.append((last, json.loads(line[6:])))
                    begun = {
                        one["request_id"] for _, one in seen if one["type"] == "RequestFinished"
                    }
                if asking.done() and set(asking.result()) <= begun:
                    break

    numbers = [one for one, _ in seen]
    assert numbers == sorted(set(numbers))
    past = [one for at, one in seen if at <= int(number) and one["type"] == "RequestReceived"]
    assert len(past) == state["counts"]["counters"]["requests"]
    ids = [one["request_id"] for _, one in seen if one["type"] == "RequestReceived"]
    assert len(ids) == len(set(ids))


async def test_a_switch_reaches_both_and_is_on_record_once(
    nexus: NexusProcess, http: httpx.AsyncClient
) -> None:
    off = await http.post("/nexus/backends/local", json={"enabled": False})
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=nexus.url)) for _ in range(2)
        ]
        refused = [(await client.post(CHAT, json=chat("m"))).status_code for client in clients]

    on = await http.post("/nexus/backends/local", json={"enabled": True})

    actions = (await http.get("/nexus/actions", params={"limit": 2})).json()["actions"]
    assert (off.status_code, on.status_code) == (200, 200)
    assert refused == [503, 503]
    assert [one["text"] for one in actions] == ["switched local on", "switched local off"]
    assert len(await ask_both(nexus, 1)) == 2


async def test_log_lines_name_their_worker(nexus: NexusProcess, http: httpx.AsyncClient) -> None:
    await ask_both(nexus, 1)

    told = (await http.get("/nexus/logs", params={"limit": 2000})).json()
    again = (await http.get("/nexus/logs", params={"after": told["last"]})).json()

    loggers = {line["logger"].partition(" nexus_core")[0] for line in told["lines"]}
    assert {"worker 1", "worker 2"} <= loggers
    assert again["lines"] == [] or again["lines"][0]["id"] != told["lines"][0]["id"]


async def test_a_reload_is_done_by_both(nexus: NexusProcess, http: httpx.AsyncClient) -> None:
    file = nexus.directory / "nexus.toml"
    text = file.read_text()
    file.write_text(text + '\n[routing.aliases]\nother = "m"\n')
    try:
        os.kill(nexus.pid, signal.SIGHUP)
        await until(lambda: nexus.stderr.count("config reloaded from") == 2)
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(httpx.AsyncClient(base_url=nexus.url))
                for _ in range(2)
            ]
            statuses = [(await one.post(CHAT, json=chat("other"))).status_code for one in clients]
    finally:
        file.write_text(text)

    assert statuses == [200, 200]


async def test_a_worker_that_is_killed_under_load_is_replaced_and_no_number_falls(
    nexus: NexusProcess, http: httpx.AsyncClient
) -> None:
    before = await stats(http)
    told = (await http.post("/nexus/zones/open", json={"enabled": False})).json()
    assert told["message"] == "the open zone is off until restart"
    answered: list[str] = []
    seen: list[int] = []
    stop = asyncio.Event()

    async def ask() -> None:
        while not stop.is_set():
            # A connection for each: the port itself must never refuse one.
            async with httpx.AsyncClient(base_url=nexus.url, timeout=10) as client:
                try:
                    answer = await client.post(CHAT, json=chat("m"))
                except (httpx.ReadError, httpx.RemoteProtocolError):
                    continue  # it was with the one that was killed
                assert answer.status_code == 200
                answered.append(answer.headers["x-nexus-request-id"])

    async def look() -> None:
        while not stop.is_set():
            try:
                seen.append((await stats(http))["requests"])
            except httpx.TransportError:
                continue  # it was with the one that was killed

    assert set(workers(nexus.pid)) == {1, 2}, nexus.stderr
    first = workers(nexus.pid)[1]
    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(ask())
        await until(lambda: len(answered) > 20)
        looking = tasks.create_task(look())
        os.kill(first, signal.SIGKILL)
        await until(lambda: workers(nexus.pid).get(1, first) != first)
        await until(lambda: metric_of(http, "nexus_workers", 2))
        stop.set()
        await looking

    assert seen == sorted(seen)
    assert await metric(http, "nexus_worker_restarts_total") == 1
    state = (await http.get("/nexus/state")).json()
    assert state["zones"]["open"] is False  # the new one has it cut, too
    await http.post("/nexus/zones/open", json={"enabled": True})
    await until(lambda: set(answered) <= recorded(nexus.directory / "nexus.db"))
    state = (await http.get("/nexus/state")).json()
    assert [one["worker"] for one in state["replicas"]] == [1, 2]  # who died is told of no more
    final = await stats(http)
    assert final["requests"] - before["requests"] >= len(answered)
    assert final["requests"] == final["finished"]
    # Of the last hour is all that this port has ever counted, whoever counted it.
    assert final["windows"]["1h"]["requests"] == final["requests"]


async def samples(http: httpx.AsyncClient) -> list[tuple[str, tuple[tuple[str, str], ...], float]]:
    """Of counters and histograms."""
    text = (await http.get("/metrics")).raise_for_status().text
    return [
        (one.name, tuple(sorted(one.labels.items())), one.value)
        for family in text_string_to_metric_families(text)
        if family.type in ("counter", "histogram")
        for one in family.samples
    ]


async def test_metrics_have_each_series_once_and_none_falls_when_a_worker_ends(
    nexus: NexusProcess, http: httpx.AsyncClient
) -> None:
    await ask_both(nexus)
    before = {(name, labels): value for name, labels, value in await samples(http)}

    for number, pid in workers(nexus.pid).items():
        os.kill(pid, signal.SIGKILL)
        await until(lambda one=number, old=pid: workers(nexus.pid).get(one, old) != old)  # type: ignore[misc]
        await until(lambda: metric_of(http, "nexus_workers", 2))
        after = await samples(http)
        series = [(name, labels) for name, labels, _ in after]
        assert len(series) == len(set(series))
        now = {(name, labels): value for name, labels, value in after}
        assert [(one, told, now.get(one)) for one, told in before.items() if now[one] < told] == []
        before = now


async def metric_of(http: httpx.AsyncClient, name: str, value: float) -> bool:
    try:
        return await metric(http, name) == value
    except httpx.HTTPError:
        return False


async def test_a_key_that_one_worker_made_is_known_to_both_at_once(
    nexus: NexusProcess, http: httpx.AsyncClient
) -> None:
    made = (await http.post("/nexus/keys", json={"name": "laptop"})).raise_for_status().json()
    own = {"Authorization": f"Bearer {made['secret']}"}
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=nexus.url)) for _ in range(2)
        ]
        used = [await one.post(CHAT, json=chat("m"), headers=own) for one in clients]
        await until(lambda: is_used(http, "laptop", 2))
        revoked = await http.post("/nexus/keys/laptop/revoke", json={})
        after = [await one.post(CHAT, json=chat("m"), headers=own) for one in clients]

    assert [one.status_code for one in used] == [200, 200]
    assert revoked.status_code == 200
    assert [one.status_code for one in after] == [401, 401]


async def is_used(http: httpx.AsyncClient, name: str, times: int) -> bool:
    keys = (await http.get("/nexus/keys")).json()["keys"]
    used: dict[str, int] = {key["name"]: key["used"]["requests_this_minute"] for key in keys}
    return used[name] == times


async def test_of_a_limit_each_worker_knows_what_all_have_used() -> None:
    used = {"requests_this_minute": 2, "rpm_used": 5, "tpm_used": None, "under_way": 1}
    other = {**used, "rpm_used": 4, "last_used": None}

    found = sum_key([{"name": "laptop", "used": used}, {"name": "laptop", "used": other}])

    assert found["used"] == {
        "requests_this_minute": 4,
        "rpm_used": 5,
        "tpm_used": None,
        "under_way": 2,
    }
