import asyncio

import pytest

from nexus_core.dialects.openai_chat.stream import ChatStreamReader
from nexus_core.observe.events import TokenUsage
from nexus_core.providers.base import KeyCutter
from nexus_core.providers.passed_stream import PassedStream
from nexus_core.proxy.deadlines import Deadlines, Sweeper
from nexus_core.proxy.streams.relay import PREFACE_SECONDS, StreamRelay
from nexus_core.upstream.base import UpstreamProtocolError
from tests.proxy.fakes import RecordingReply, ScriptedResponse, split_at
from tests.waiting import hasten, pass_time, settled, turns

STREAM = (
    'data: {"choices":[{"delta":{"role":"assistant","content":"hé"}}]}\r\n\r\n'
    ": a comment\n\n"
    'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
    'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n'
    "data: [DONE]\n\n"
).encode()
KEY = "sk-secret-0123456789"


SAID = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'


def relay_of(
    *parts: bytes | Exception | asyncio.Event,
    key: str | None = None,
    choices: int = 1,
    deadlines: Deadlines | None = None,
) -> StreamRelay:
    keys = KeyCutter(key)
    stream = PassedStream(ChatStreamReader(choices=choices, clean=keys.cut_text), keys)
    return StreamRelay(ScriptedResponse(*parts), stream, keys, deadlines or Deadlines())


async def pass_on(relay: StreamRelay, reply: RecordingReply, idle: float = 5) -> None:
    await relay.begin()
    await relay.pass_on(reply, idle)


async def relayed(
    *parts: bytes | Exception | asyncio.Event, key: str | None = None, idle: float = 5
) -> tuple[StreamRelay, RecordingReply]:
    reply = RecordingReply()
    relay = relay_of(*parts, key=key)
    await pass_on(relay, reply, idle)
    return relay, reply


async def test_the_bytes_are_the_same_wherever_they_are_split() -> None:
    for position in range(len(STREAM) + 1):
        relay, reply = await relayed(*split_at(STREAM, position))

        assert reply.body == STREAM
        assert relay.usage == TokenUsage(prompt_tokens=3, completion_tokens=4)


async def test_a_key_is_cut_out_wherever_the_stream_is_split() -> None:
    said = f'data: {{"choices":[{{"delta":{{"content":"my key is {KEY}"}}}}]}}\n\n'
    stream = f"{said}data: [DONE]\n\n".encode()
    for position in range(len(stream) + 1):
        _, reply = await relayed(*split_at(stream, position), key=KEY)

        assert reply.body == stream.replace(KEY.encode(), b"[key]")


async def test_a_key_is_cut_out_where_the_first_part_of_a_long_line_ends() -> None:
    key = KEY.encode()
    longest = KeyCutter(KEY).longest
    for behind in range(longest - len(key), longest + 1):  # bytes of the first read behind the key
        begin = b'data: {"choices":[{"delta":{"content":"' + b"x" * 70_000 + key + b"y" * behind
        parts = SAID, begin, b'"}}]}\n\n', b"data: [DONE]\n\n"
        _, reply = await relayed(*parts, key=KEY)

        assert reply.body == b"".join(parts).replace(key, b"[key]"), behind


async def test_a_key_is_cut_out_of_a_line_that_passes_in_parts() -> None:
    begin, end = b'data: {"choices":[{"delta":{"content":"' + b"x" * 70_000, b'"}}]}\n\n'
    key = KEY.encode()
    for position in range(len(key) + 1):
        parts = SAID, begin + key[:position], key[position:] + end, b"data: [DONE]\n\n"
        _, reply = await relayed(*parts, key=KEY)

        assert reply.body == b"".join(parts).replace(key, b"[key]"), position


async def test_whole_lines_pass_at_once() -> None:
    gate = asyncio.Event()
    reply = RecordingReply()
    relay = relay_of(STREAM[:80], gate, STREAM[80:])
    passed = STREAM[: STREAM[:80].rfind(b"\n") + 1]

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(pass_on(relay, reply))
        await settled()
        assert reply.body == passed
        gate.set()

    assert reply.body == STREAM


async def test_a_line_without_an_end_passes_in_parts_and_is_not_collected() -> None:
    part = b"x" * 40_000
    relay, reply = await relayed(part, part, part, b"\ndata: [DONE]\n\n")

    assert reply.parts[0] == part + part
    assert relay.is_complete


@pytest.mark.parametrize(
    "end",
    [
        UpstreamProtocolError("the answer ended early"),
        b"",  # the stream just ends
    ],
)
async def test_a_stream_that_breaks_off_is_told_from_one_that_ends(end: bytes | Exception) -> None:
    reply = RecordingReply()
    relay = relay_of(SAID + b"data: {half", end)

    with pytest.raises(UpstreamProtocolError):
        await pass_on(relay, reply)

    assert not relay.is_complete


@pytest.mark.parametrize(
    "end", [b"data: [DONE]\n\n", b"data:[DONE]", b'data: {"finish_reason": "stop"}\n\n']
)
async def test_an_end_mark_or_a_finish_reason_makes_it_complete(end: bytes) -> None:
    relay, _ = await relayed(SAID, end)

    assert relay.is_complete


@pytest.mark.parametrize("end", [UpstreamProtocolError("reset"), asyncio.Event()])
async def test_what_becomes_of_the_connection_after_done_does_not_matter(
    end: Exception | asyncio.Event,
) -> None:
    relay, reply = await relayed(STREAM, end)

    assert reply.body == STREAM
    assert relay.is_complete


@pytest.mark.parametrize(
    ("stream", "choices"),
    [
        (b'data: {"delta":{"content":"write data: [DONE] at the end"}}\n\n', 1),
        (b'data: {"index":0,"finish_reason":"stop"}\n\ndata: {"index":1}\n\n', 2),
    ],
)
async def test_a_cut_stream_does_not_pass_for_a_whole_one(stream: bytes, choices: int) -> None:
    with pytest.raises(UpstreamProtocolError):
        await pass_on(relay_of(stream, choices=choices), RecordingReply())


async def test_a_stream_without_any_bytes_fails_before_the_answer_begins() -> None:
    with pytest.raises(UpstreamProtocolError):
        await relay_of(b"").begin()


async def timed(*parts: bytes | asyncio.Event, idle: float) -> RecordingReply:
    """Relay it under the eyes of a sweeper."""
    sweeper, reply, deadlines = Sweeper[Deadlines](), RecordingReply(), Deadlines()
    sweeper.watch(deadlines, asyncio.get_running_loop())
    try:
        await pass_on(relay_of(*parts, deadlines=deadlines), reply, idle)
    finally:
        sweeper.watched.discard(deadlines)
    return reply


async def test_silence_between_two_chunks_has_a_limit() -> None:
    with pytest.raises(TimeoutError):
        await hasten(timed(SAID, asyncio.Event(), idle=3), 1)


async def test_a_preface_waits_for_company_and_nothing_of_what_comes_later_is_lost() -> None:
    preface = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
    gate, rest = asyncio.Event(), SAID + b"data: [DONE]\n\n"

    async with asyncio.TaskGroup() as tasks:
        relayed = tasks.create_task(timed(preface, gate, rest, idle=3))
        for _ in range(3):
            pass_time(PREFACE_SECONDS)
            await turns(5)
        gate.set()
        reply = await relayed

    assert reply.parts == [preface, rest]


async def test_a_preface_leaves_the_limit_of_the_first_byte_as_it_was() -> None:
    deadlines = Deadlines()
    deadlines.wait_at = asyncio.get_running_loop().time() + 60
    before = deadlines.wait_at
    relay = relay_of(b'data: {"choices":[]}\n\n', SAID, deadlines=deadlines)

    await relay.begin()

    assert deadlines.wait_at == before
