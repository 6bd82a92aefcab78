"""Counts are exact once their process has loaded the words, and nothing is held up without it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from nexus_core.dialects.hub.prompt import prompt_of
from nexus_core.tokens import counter as counter_room
from nexus_core.tokens.counter import TokenCounter
from nexus_core.types import CountMethod, PromptParts, TokenCount
from tests.shortage import no_descriptor_left
from tests.waiting import pass_time, settled, until, wait_until

EXACT, ESTIMATED = CountMethod.EXACT, CountMethod.ESTIMATED
MODEL = "gpt-4o"

# In the place of the real process: one that loads at once, and then does as the test wants.
OBEDIENT = """
import os, pickle, sys
asked, answers = open(0, "rb", closefd=False), open(0, "wb", buffering=0, closefd=False)
while True:
    try:
        number, model, prompt = pickle.load(asked)
    except EOFError:
        break
    if prompt is None:
        answers.write(b"%d exact 0\\n" % number)
    else:
        {}
"""
ENDS = OBEDIENT.format("os._exit(3)")
SAYS_NOTHING = OBEDIENT.format("pass")
FAILS = OBEDIENT.format('answers.write(b"%d failed no words left\\n" % number)')
IN_PIECES = OBEDIENT.format(
    '[answers.write(bytes([one])) for one in b"%d estimated 42\\n" % number]'
)


def chat(text: str = "hello") -> PromptParts:
    return prompt_of({"messages": [{"role": "user", "content": text}]})


@asynccontextmanager
async def running(counter: TokenCounter) -> AsyncIterator[TokenCounter]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(counter.run())
        yield counter
        task.cancel()


def instead(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(counter_room, "_COMMAND", (sys.executable, "-c", code))


@asynccontextmanager
async def loaded(monkeypatch: pytest.MonkeyPatch, code: str) -> AsyncIterator[TokenCounter]:
    """A counter with a process that runs this code."""
    instead(monkeypatch, code)
    async with running(TokenCounter()) as counter:
        counter.load(MODEL)
        await until(lambda: counter.is_loaded(MODEL))
        yield counter


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that were started."""
    made: list[subprocess.Popen[bytes]] = []

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **options)  # type: ignore[call-overload]  # as they come
            made.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    return made


async def test_a_count_is_an_estimate_until_the_words_are_loaded_and_then_exact(
    started: list[subprocess.Popen[bytes]],
) -> None:
    async with running(TokenCounter()) as counter:
        first = counter.count(MODEL, chat())
        said_at_once = first.done()
        await until(lambda: counter.is_loaded(MODEL))
        second = await counter.count(MODEL, chat())
        other = counter.is_loaded("gpt-4")

    assert said_at_once
    assert first.result().method is ESTIMATED
    assert second == TokenCount(8, EXACT)
    assert not other  # only what is needed
    assert [process.returncode for process in started] == [-signal.SIGKILL]


async def test_one_process_loads_another_vocabulary_when_it_is_needed(
    started: list[subprocess.Popen[bytes]],
) -> None:
    async with running(TokenCounter()) as counter:
        counter.load("gpt-4")
        await until(lambda: counter.is_loaded("gpt-4"))
        counter.load(MODEL)
        await until(lambda: counter.is_loaded(MODEL))
        counts = [await counter.count(model, chat()) for model in ("gpt-4", MODEL)]

    assert [count.method for count in counts] == [EXACT, EXACT]
    assert len(started) == 1


async def test_any_text_is_counted_and_a_count_given_up_harms_no_other() -> None:
    texts = ["", "\ud800", "<|endoftext|>", "漢字 " * 10_000]
    async with running(TokenCounter()) as counter:
        counter.load(MODEL)
        await until(lambda: counter.is_loaded(MODEL))
        counter.count(MODEL, chat()).cancel()
        counts = [await counter.count(MODEL, chat(text)) for text in texts]

    assert [count.method for count in counts] == [EXACT] * 4
    assert [count.tokens for count in counts[:3]] == [7, 8, 14]


async def test_a_model_without_published_words_needs_no_process(
    started: list[subprocess.Popen[bytes]],
) -> None:
    async with running(TokenCounter()) as counter:
        counted = await counter.count("claude-opus-5", chat())
        await settled()

    assert counted.method is ESTIMATED
    assert started == []


async def test_nothing_is_started_before_a_count_is_needed(
    started: list[subprocess.Popen[bytes]],
) -> None:
    async with running(TokenCounter()):
        await settled()

    assert started == []


async def test_without_its_run_a_counter_estimates() -> None:
    counted = await TokenCounter().count(MODEL, chat())

    assert counted.method is ESTIMATED


async def test_a_process_that_ends_is_replaced_and_its_counts_are_estimates(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    started: list[subprocess.Popen[bytes]],
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(counter_room, "_FIRST_PAUSE_SECONDS", 0.01)
    async with loaded(monkeypatch, ENDS) as counter:
        first = await counter.count(MODEL, chat())
        await until(lambda: not counter.is_loaded(MODEL))
        meanwhile = await counter.count(MODEL, chat())

        async def is_back() -> bool:
            counter.load(MODEL)
            return counter.is_loaded(MODEL)

        await until(is_back)
        again = await counter.count(MODEL, chat())
        await until(lambda: not counter.is_loaded(MODEL))

    assert {one.method for one in (first, meanwhile, again)} == {ESTIMATED}
    assert len(started) >= 2
    said = [message for message in caplog.messages if "only estimates" in message]
    assert said == ["token counts are only estimates: the process that counts has ended"]


async def test_counts_that_are_exact_again_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(counter_room, "_STUCK_SECONDS", 0.1)
    monkeypatch.setattr(counter_room, "_FIRST_PAUSE_SECONDS", 0.01)
    instead(monkeypatch, "")
    async with running(TokenCounter()) as counter:
        counter.load(MODEL)
        await until(lambda: bool(caplog.messages))
        instead(monkeypatch, SAYS_NOTHING)

        async def is_back() -> bool:
            counter.load(MODEL)
            return counter.is_loaded(MODEL)

        await until(is_back)
        await until(lambda: len(caplog.messages) > 1)

    assert caplog.messages == [
        "token counts are only estimates: the process that counts has ended",
        "token counts are exact again",
    ]


async def test_a_count_that_does_not_come_is_an_estimate_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with loaded(monkeypatch, SAYS_NOTHING) as counter:
        counting = counter.count(MODEL, chat())
        await settled()
        is_waited_for = not counting.done()
        pass_time(1)
        counted = await counting

    assert is_waited_for
    assert counted.method is ESTIMATED


async def test_a_process_that_is_stuck_is_ended(
    monkeypatch: pytest.MonkeyPatch, started: list[subprocess.Popen[bytes]]
) -> None:
    async with loaded(monkeypatch, SAYS_NOTHING) as counter:
        await counter.count(MODEL, chat())
        pass_time(60)
        await until(lambda: not counter.is_loaded(MODEL))
        await until(lambda: started[0].returncode is not None)

    assert started[0].returncode == -signal.SIGKILL


async def test_more_than_a_few_counts_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with loaded(monkeypatch, SAYS_NOTHING) as counter:
        many = [counter.count(MODEL, chat()) for _ in range(1000)]
        large = "x" * 1_000_000
        waiting = sum(not counting.done() for counting in many)

    async with loaded(monkeypatch, SAYS_NOTHING) as counter:
        heavy = [counter.count(MODEL, chat(large)) for _ in range(40)]
        heavy_waiting = sum(not counting.done() for counting in heavy)

    assert waiting == 64
    assert 16 <= heavy_waiting <= 18
    assert all(counting.done() for counting in (*many, *heavy))  # the end leaves nobody waiting


async def test_a_prompt_that_can_not_be_counted_is_estimated_and_the_reason_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with loaded(monkeypatch, FAILS) as counter:
        counted = await counter.count(MODEL, chat())

    assert counted.method is ESTIMATED
    assert caplog.messages == ["tokens of gpt-4o are only estimated: no words left"]


async def test_an_answer_may_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    async with loaded(monkeypatch, IN_PIECES) as counter:
        counted = await counter.count(MODEL, chat())

    assert counted == TokenCount(42, ESTIMATED)


async def test_for_want_of_descriptors_counts_are_estimates_and_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(counter_room, "_FIRST_PAUSE_SECONDS", 0.01)
    async with running(TokenCounter()) as counter:
        with no_descriptor_left():
            counted = await counter.count(MODEL, chat())
            await until(lambda: bool(caplog.messages))

        async def is_loaded() -> bool:
            counter.load(MODEL)
            return counter.is_loaded(MODEL)

        await until(is_loaded)

    assert counted.method is ESTIMATED
    assert caplog.messages == [
        "token counts are only estimates: out of file descriptors; trying again"
    ]


PARENT = """
import asyncio
from nexus_core.tokens.counter import TokenCounter

async def main():
    counter = TokenCounter()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(counter.run())
        counter.load("gpt-4o")
        while not counter.is_loaded("gpt-4o"):
            await asyncio.sleep(0.01)
        print("loaded", flush=True)

asyncio.run(main())
"""


def processes() -> dict[int, int]:
    """The parent of each process that runs."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat="],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
    )
    fields = [line.split() for line in listed.stdout.splitlines()]
    return {int(pid): int(parent) for pid, parent, stat in fields if not stat.startswith("Z")}


def test_the_process_ends_with_a_proxy_that_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(  # noqa: S603 - ours
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    with parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        children = [pid for pid, its_parent in processes().items() if its_parent == parent.pid]
        parent.kill()

    assert len(children) == 1
    wait_until(lambda: not processes().keys() & set(children), every=0.05)


def test_files_of_the_users_folder_are_not_imported(tmp_path: Path) -> None:
    bad = tmp_path / "nexus_core"
    bad.mkdir()
    (bad / "__init__.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')")
    (tmp_path / "tiktoken.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')")

    async def count() -> TokenCount:
        async with running(TokenCounter()) as counter:
            counter.load(MODEL)
            await until(lambda: counter.is_loaded(MODEL))
            return await counter.count(MODEL, chat())

    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        counted = asyncio.run(count())
    finally:
        os.chdir(before)

    assert counted.method is EXACT
    assert not (tmp_path / "imported").exists()
