"""The log of another Nexus on this screen: through a socket, and said badly."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nexus_core.observe.log_ring import MAX_TEXT, LogLine, LogRing
from nexus_tui.sources import remote_logs
from nexus_tui.sources.remote import RemoteSource
from nexus_tui.sources.remote_calls import HttpCall
from nexus_tui.sources.remote_http import RefusedError, RemoteError
from nexus_tui.sources.remote_logs import RemoteLogs
from tests.running import served
from tests.tui.sources.test_remote import PAUSES, linked, make_gateway
from tests.waiting import until


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_logs, "PAUSE_SECONDS", 0.01)


def texts(ring: LogRing) -> list[str]:
    return [line.text for _, line in ring.after(0)]


def line(text: str, level: str = "info") -> LogLine:
    return LogLine(1.5, level, "x", text)


async def test_lines_of_before_and_after_come_once_each_as_they_were() -> None:
    gateway, ring = make_gateway(), LogRing()
    gateway.logs.add(line("before"))
    async with linked(gateway, logs=ring):
        await until(lambda: texts(ring) == ["before"])
        gateway.logs.add(line("after", "error"))
        gateway.logs.add(line("again"))
        await until(lambda: len(ring) == 3)

        assert [one for _, one in ring.after(0)] == [one for _, one in gateway.logs.after(0)]
        assert ring.last_warning == line("after", "error")


async def test_another_run_goes_on_below_the_lines_of_the_one_before() -> None:
    first, second, ring = make_gateway(), make_gateway(), LogRing()
    first.logs.add(line("of the first"))
    second.logs.add(line("of the second"))
    async with asyncio.TaskGroup() as tasks:
        async with served(first) as url:
            source = RemoteSource(url, pauses_seconds=PAUSES, logs=ring)
            await source.connect()
            link = tasks.create_task(source.run())
            await until(lambda: texts(ring) == ["of the first"])
        await until(lambda: source.status == "stale")

        async with served(second, port=int(url.rpartition(":")[2])):
            await until(lambda: source.status == "live")
            await until(lambda: texts(ring) == ["of the first", "of the second"])
            link.cancel()
    await source._http.close()


class Told:
    """The other side, as a test has it answer; the last answer again and again."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def ask(self, call: HttpCall) -> dict[str, Any]:
        self.asked.append(call.path)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def answer(*lines: object, last: str = "ab-1", skipped: object = 0) -> dict[str, Any]:
    return {"lines": list(lines), "last": last, "skipped": skipped}


def as_told(text: str) -> dict[str, Any]:
    return {"id": "ab-1", "at": 1.5, "level": "info", "logger": "x", "text": text}


async def test_what_the_other_side_says_is_made_safe_and_short() -> None:
    hostile = {**as_told("\x1b]0;t\x07\u202e"), "logger": "[red]\n", "level": "info\x1b"}
    told, ring = Told(answer(hostile, as_told("x" * 99_999))), LogRing()
    logs = RemoteLogs(ring, told.ask)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(logs.run())
        logs.heard_of("ab-1")
        await until(lambda: len(ring) == 2)
        task.cancel()

    (_, first), (_, second) = ring.after(0)
    assert first == LogLine(1.5, "info\\x1b", "[red]\\x0a", "\\x1b]0;t\\x07\\u202e")
    assert len(second.text) <= MAX_TEXT


@pytest.mark.parametrize(
    "bad",
    [
        RemoteError("away"),
        RefusedError("no", 403, "permission_denied"),
        {},
        answer(last=7),  # type: ignore[arg-type]
        answer(skipped="x"),
    ],
)
async def test_after_an_answer_that_is_none_the_next_news_ask_again(bad: Any) -> None:
    told, ring = Told(bad, answer(as_told("at last"))), LogRing()
    logs = RemoteLogs(ring, told.ask)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(logs.run())
        logs.heard_of("ab-1")
        await until(lambda: len(told.asked) == 1)
        assert not len(ring)
        logs.heard_of("ab-1")
        await until(lambda: texts(ring) == ["at last"])
        logs.heard_of("ab-1")  # what is known is no news
        logs.heard_of(None)
        assert not logs._news.is_set()
        task.cancel()

    assert len(told.asked) == 2


async def test_a_line_that_can_not_be_read_is_left_out_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = Told(answer(7, as_told("one"), {**as_told("x"), "at": None}, as_told("two")))
    ring = LogRing()
    logs = RemoteLogs(ring, told.ask)
    with caplog.at_level("INFO"):
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(logs.run())
            logs.heard_of("ab-1")
            await until(lambda: texts(ring) == ["one", "two"])
            task.cancel()

    assert "2 unreadable log lines" in caplog.text
    logs.heard_of("ab-1")
    assert len(told.asked) == 1


def test_a_server_that_tells_no_lines_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    logs = RemoteLogs(LogRing(), Told().ask)

    logs.heard_of(None)
    logs.heard_of(None)

    assert caplog.text.count("not available; its version may be too old") == 1


async def test_a_refusal_is_told_once_and_missing_lines_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = RefusedError("the key is not for it", 403, "permission_denied")
    told = Told(refused, refused, answer(as_told("one"), skipped=41))
    ring = LogRing()
    logs = RemoteLogs(ring, told.ask)
    with caplog.at_level("INFO"):
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(logs.run())
            for number in range(1, 4):
                logs.heard_of("ab-1")
                await until(lambda number=number: len(told.asked) == number)  # type: ignore[misc]
            await until(lambda: texts(ring) == ["one"])
            task.cancel()

    assert caplog.text.count("the key is not for it") == 1
    assert "41 log lines skipped" in caplog.text
