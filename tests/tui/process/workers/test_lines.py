"""The lines of several workers' logs, where one process writes them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from nexus_tui.process.workers.lines import LineWriter, forward_lines, is_file
from tests.waiting import turns


class Written(LineWriter):
    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, lines: bytes) -> None:
        self.parts.append(lines)


async def forwarded(*parts: bytes) -> list[bytes]:
    stream, out = asyncio.StreamReader(), Written()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(forward_lines(stream, out))
        for part in parts:
            stream.feed_data(part)
            await turns()
        stream.feed_eof()
    return out.parts


async def test_only_whole_lines_are_written() -> None:
    written = await forwarded(b"one\ntw", b"o\nthree\nfo", b"ur\n")

    assert all(part.endswith(b"\n") for part in written)
    assert b"".join(written) == b"one\ntwo\nthree\nfour\n"


async def test_a_last_line_without_its_end_gets_one() -> None:
    assert await forwarded(b"one\nlast words") == [b"one\n", b"last words\n"]


async def test_a_line_that_never_ends_is_written_in_parts() -> None:
    written = await forwarded(*[b"x" * 300_000] * 4, b"y\n")

    assert len(written) >= 2
    assert b"".join(written).replace(b"\n", b"") == b"x" * 1_200_000 + b"y"


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with (tmp_path / "log").open("w") as file, os.fdopen(writing, "w") as pipe:
        assert is_file(file)
        assert not is_file(pipe)
    os.close(reading)
    assert not is_file(None)
