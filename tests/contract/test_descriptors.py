"""A Nexus with few file descriptors: idle clients harm nobody, a shortage leaves no trace."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.money.ledger_rows import stored
from tests.waiting import until

from .bodies import ANSWER, DONE, FIRST, STOP, chat
from .nexus_process import NexusProcess, backend_table, config_text
from .scripted_upstream import ScriptedUpstream, answers, streams

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHAT = "/v1/chat/completions"
IDLE = 2000
WITHIN_SECONDS = 20
MAX_LOG_LINES = 12  # of it all, but for one line per request

LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))"
WITHOUT_UVLOOP = "sys.modules['uvloop'] = None"

needs_prlimit = pytest.mark.skipif(
    not hasattr(resource, "prlimit"), reason="nobody can take another process's descriptors here"
)


@asynccontextmanager
async def nexus_with(
    directory: Path, upstream: ScriptedUpstream, *, hard: int, before: str = "", server: str = ""
) -> AsyncIterator[NexusProcess]:
    """A Nexus that may have `hard` descriptors, and asks for no more than half of them."""
    table = backend_table("cloud", upstream.url, ["gpt-4o"], type="openai", api_key_env="KEY")
    path = directory / "test.toml"
    text = config_text(table, server=server).replace(":memory:", str(directory / "nexus.db"))
    path.write_text(text, encoding="utf-8")
    nexus = NexusProcess(directory)
    limited = LIMITED.format(soft=hard // 2, hard=hard)
    await nexus.start(["--config", str(path)], {"KEY": "sk-1"}, f"{limited}\n{before}")
    try:
        yield nexus
        nexus.terminate()
        assert await nexus.wait() == 0, nexus.stderr
        assert "Traceback" not in nexus.stderr
    finally:
        await nexus.kill()


@pytest.fixture
def room_for_idle() -> Iterator[None]:
    """Enough descriptors on the clients' side."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this shell allows {hard} descriptors; {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def connected(nexus: NexusProcess, count: int) -> Iterator[list[socket.socket]]:
    """So many connections on which nothing is asked."""
    url = httpx.URL(nexus.url)
    address = (url.host, url.port or 0)
    with ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(address, timeout=WITHIN_SECONDS))
            for _ in range(count)
        ]


async def until_served(client: httpx.AsyncClient) -> None:
    """Return once a chat is answered; until then it may be refused, and nothing else."""

    async def is_served() -> bool:
        try:
            answer = await client.post(CHAT, json=chat("gpt-4o"))
        except httpx.TransportError:  # it waited in the backlog, or was closed as idle
            return False
        if answer.status_code != 200:
            assert_refused(answer)
        return answer.status_code == 200

    await until(is_served)


async def answered(
    client: httpx.AsyncClient, path: str, body: object | None = None
) -> httpx.Response:
    """An answer; a connection that is closed as idle just then is not used."""
    got: list[httpx.Response] = []

    async def is_answered() -> bool:
        with suppress(httpx.TransportError):
            got.append(await client.request("POST" if body else "GET", path, json=body))
        return bool(got)

    await until(is_answered)
    return got[0]


def assert_refused(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert (error["type"], error["code"]) == ("service_unavailable", "capacity_exceeded")
    assert answer.headers["retry-after"] == "1"


def lines_of(nexus: NexusProcess) -> list[str]:
    return [line for line in nexus.stderr.splitlines() if ": finished " not in line]


@pytest.mark.parametrize(("hard", "count"), [(1024, IDLE), (64, 300)])
@pytest.mark.parametrize("before", ["", WITHOUT_UVLOOP], ids=["uvloop", "asyncio"])
async def test_idle_connections_harm_nobody(
    tmp_path: Path,
    upstream: ScriptedUpstream,
    room_for_idle: None,
    before: str,
    hard: int,
    count: int,
) -> None:
    upstream.script = answers(ANSWER)

    async with nexus_with(tmp_path, upstream, hard=hard, before=before) as nexus:
        with connected(nexus, count):
            async with httpx.AsyncClient(base_url=nexus.url, timeout=WITHIN_SECONDS) as client:
                health = await client.get("/health")
                chats = [await client.post(CHAT, json=chat("gpt-4o")) for _ in range(3)]
        log = lines_of(nexus)

    assert health.status_code == 200
    assert [answer.status_code for answer in chats] == [200, 200, 200]
    assert len(log) <= MAX_LOG_LINES, log
    assert sum("max_connections" in line for line in log) == 1


async def test_where_no_connection_is_idle_others_are_told_and_health_answers(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    released = asyncio.Event()
    upstream.script = streams([FIRST, released, STOP, DONE])
    unbounded = httpx.Limits(max_connections=None)

    async with (
        nexus_with(tmp_path, upstream, hard=512, server="max_connections = 3") as nexus,
        httpx.AsyncClient(base_url=nexus.url, timeout=WITHIN_SECONDS, limits=unbounded) as client,
        asyncio.TaskGroup() as tasks,
    ):
        for _ in range(3):
            tasks.create_task(client.post(CHAT, json=chat("gpt-4o", stream=True)))
        await upstream.wait_for_requests(3)
        refused = await client.post(CHAT, json=chat("gpt-4o"))
        listed = await client.get("/v1/models")
        health = await client.get("/health")
        state = await client.get("/nexus/state")
        crowd = [await client.get("/health") for _ in range(20)]
        released.set()
        upstream.script = answers(ANSWER)
        await until_served(client)

    assert_refused(refused)
    assert refused.headers["connection"] == "close"
    assert_refused(listed)
    assert [health.status_code, state.status_code] == [200, 200]
    assert {answer.status_code for answer in crowd} == {200}
    assert len(upstream.received) >= 4


async def test_more_connections_than_descriptors_allow_are_held_to_what_they_do(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    async with nexus_with(tmp_path, upstream, hard=256, server="max_connections = 5000") as nexus:
        with connected(nexus, 300):
            async with httpx.AsyncClient(base_url=nexus.url, timeout=WITHIN_SECONDS) as client:
                health = await client.get("/health")
        log = lines_of(nexus)

    assert health.status_code == 200
    assert sum("5000 is more than 256 file descriptors allow" in line for line in log) == 1


def take_descriptors(nexus: NexusProcess, *, left: int = 0, also_freed: bool = False) -> None:
    """From now on it can open no more than so many; what is open stays so.

    Args:
        also_freed: not even where it has closed something.
    """
    _, hard = resource.prlimit(nexus.pid, resource.RLIMIT_NOFILE)
    used = {int(name) for name in os.listdir(f"/proc/{nexus.pid}/fd")}
    free = (number for number in range(hard) if number not in used)
    first_taken = len(used) // 2 if also_freed else next(islice(free, left, None))
    resource.prlimit(nexus.pid, resource.RLIMIT_NOFILE, (first_taken, hard))


def give_descriptors_back(nexus: NexusProcess) -> None:
    _, hard = resource.prlimit(nexus.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(nexus.pid, resource.RLIMIT_NOFILE, (hard, hard))


def counts_tokens(nexus: NexusProcess) -> bool:
    """Whether its process that counts has come so far as to load a vocabulary."""
    children = Path(f"/proc/{nexus.pid}/task/{nexus.pid}/children").read_text().split()
    return any("_tiktoken" in Path(f"/proc/{child}/maps").read_text() for child in children)


def holds_open(nexus: NexusProcess, name: str) -> bool:
    return any(each.is_symlink() and name in os.readlink(each) for each in open_files(nexus))


def open_files(nexus: NexusProcess) -> list[Path]:
    return list(Path(f"/proc/{nexus.pid}/fd").iterdir())


MOMENTS: dict[str, Callable[[NexusProcess], bool]] = {
    "at once": lambda _: True,
    "the ledger is open": lambda nexus: holds_open(nexus, "nexus.db"),
}
QUICK = """
from nexus_core.money import accounting
from nexus_core.tokens import counter
accounting._LOOK_AGAIN_SECONDS = counter._FIRST_PAUSE_SECONDS = 0.02
"""
ESTIMATES = "token counts are only estimates: out of file descriptors; trying again"


@needs_prlimit
@pytest.mark.parametrize("before", ["", WITHOUT_UVLOOP], ids=["uvloop", "asyncio"])
@pytest.mark.parametrize("has_come", MOMENTS.values(), ids=MOMENTS)
async def test_a_shortage_while_it_still_loads_passes_without_a_trace(
    tmp_path: Path,
    upstream: ScriptedUpstream,
    before: str,
    has_come: Callable[[NexusProcess], bool],
) -> None:
    """At some moment after the start: the engine, prices and the ledger load."""
    upstream.script = answers(ANSWER)

    async with (
        nexus_with(tmp_path, upstream, hard=512, before=f"{before}\n{QUICK}") as nexus,
        httpx.AsyncClient(base_url=nexus.url, timeout=WITHIN_SECONDS) as client,
    ):
        await client.get("/health")  # a connection that is there when no other can be made
        await until(lambda: has_come(nexus))
        take_descriptors(nexus)
        first = await client.post(CHAT, json=chat("gpt-4o"))
        health = await client.get("/health")
        with connected(nexus, 5):
            for _ in range(50):  # it tries again meanwhile
                await answered(client, "/health")
            second = await answered(client, CHAT, chat("gpt-4o"))
        log = lines_of(nexus)
        give_descriptors_back(nexus)
        async with httpx.AsyncClient(base_url=nexus.url, timeout=WITHIN_SECONDS) as other:
            await until_served(other)
            state = (await other.get("/nexus/state")).json()

    assert health.status_code == 200
    for answer in (first, second):
        if answer.status_code != 200:  # what it needed may have been open
            assert_refused(answer)
    assert len(log) <= MAX_LOG_LINES, log
    (backend,) = state["backends"]
    assert backend["health"] != "unhealthy", backend
    assert (backend["consecutive_failures"], backend["cooldown"]) == (0, None)


@needs_prlimit
async def test_a_shortage_when_a_prompt_is_to_be_counted_passes_without_a_trace(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """The process that counts can't be started then: it is estimated, and tried again later."""
    upstream.script = answers(ANSWER)

    async with (
        nexus_with(tmp_path, upstream, hard=512, before=QUICK) as nexus,
        httpx.AsyncClient(base_url=nexus.url, timeout=WITHIN_SECONDS) as client,
    ):
        await until_served(client)  # which needs no count: its usage is told
        await client.get("/health")  # by then the backend's connection is closed
        await until(lambda: holds_open(nexus, "nexus.db"))
        upstream.script = answers({key: ANSWER[key] for key in ANSWER if key != "usage"})
        take_descriptors(nexus, left=1)  # for the backend's connection, not for a process

        async def is_estimated() -> bool:
            await until_served(client)
            return ESTIMATES in nexus.stderr

        await until(is_estimated)
        give_descriptors_back(nexus)

        async def is_counted() -> bool:
            await until_served(client)
            return counts_tokens(nexus)

        await until(is_counted)
        log = nexus.stderr
        (backend,) = (await client.get("/nexus/state")).json()["backends"]

    assert log.count(ESTIMATES) == 1
    assert (backend["consecutive_failures"], backend["cooldown"]) == (0, None)


@needs_prlimit
async def test_a_shortage_does_not_count_against_a_backend(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    upstream.script = answers(ANSWER)

    async with (
        nexus_with(tmp_path, upstream, hard=512) as nexus,
        httpx.AsyncClient(base_url=nexus.url, timeout=WITHIN_SECONDS) as client,
    ):
        await until_served(client)
        await client.get("/nexus/state")  # by now its routes are loaded
        take_descriptors(nexus, also_freed=True)
        refused = [await client.post(CHAT, json=chat("gpt-4o")) for _ in range(10)]
        metrics = await client.get("/metrics")
        probe = await client.post("/nexus/backends/cloud/probe", json={})
        give_descriptors_back(nexus)
        served = await client.post(CHAT, json=chat("gpt-4o"))
        state = (await client.get("/nexus/state")).json()
        scraped = await client.get("/metrics")

    for answer in (*refused, metrics):
        assert_refused(answer)
    assert probe.json()["data"]["ok"] is False
    assert served.status_code == 200
    (backend,) = state["backends"]
    assert backend["health"] == "healthy"
    assert (backend["consecutive_failures"], backend["cooldown"]) == (0, None)
    assert scraped.status_code == 200


@needs_prlimit
async def test_the_ledger_is_whole_after_a_shortage(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    upstream.script = answers(ANSWER)

    async with (
        nexus_with(tmp_path, upstream, hard=512) as nexus,
        httpx.AsyncClient(base_url=nexus.url, timeout=WITHIN_SECONDS) as client,
    ):
        take_descriptors(nexus)
        await client.post(CHAT, json=chat("gpt-4o"))

        async def ledger() -> dict[str, object]:
            answer = await client.get("/v1/stats")
            told: dict[str, object] = answer.json().get("ledger", {"problem": "not told now"})
            return told

        async def is_tried() -> bool:
            """The row is written, or could not be."""
            return bool((await ledger())["problem"]) or bool(stored(tmp_path / "nexus.db"))

        async def is_well() -> bool:
            return (await ledger())["problem"] is None

        await until(is_tried)
        give_descriptors_back(nexus)
        await until_served(client)
        await until(is_well)
        last = await ledger()

    assert last == {"is_read": True, "problem": None, "lost": 0}
