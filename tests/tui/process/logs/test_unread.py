"""A stderr that nobody reads holds nothing up, and tells what it lost once it is read."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from nexus_tui.process.logs.log_handlers import StderrHandler
from nexus_tui.process.logs.unread import Outlet, is_read

Pipe = tuple[int, TextIO]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """Its reading end, not blocking, and a stream on the other."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        yield reading, stream
    os.close(reading)


def read_all(fd: int) -> str:
    text = b""
    while True:
        try:
            if not (data := os.read(fd, 1 << 16)):
                break
        except BlockingIOError:
            break
        text += data
    return text.decode()


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("x", logging.INFO, __file__, 1, text, (), None)


def test_a_pipe_that_nobody_reads_holds_nothing_up(pipe: Pipe) -> None:
    reading, stream = pipe
    handler = StderrHandler(stream, "pretty")

    for number in range(20_000):
        handler.handle(record(f"line {number} " + "x" * 80))
    read = ""
    while handler._outlet.is_behind:
        read += read_all(reading)
        handler.flush()
    handler.handle(record("the last"))
    read += read_all(reading)

    lines = read.splitlines()
    kept = [line for line in lines if " line " in line]
    assert [f" line {number} " in line for number, line in enumerate(kept)] == [True] * len(kept)
    dropped = 20_000 - len(kept)
    assert dropped > 10_000
    assert f"{dropped} log lines dropped: nobody read stderr" in lines[-2]
    assert lines[-1].endswith("the last")


def test_the_end_waits_for_the_reader_for_a_moment_only(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, stream = pipe
    handler = StderrHandler(stream, "json")
    monkeypatch.setattr("nexus_tui.process.logs.log_handlers._LAST_SECONDS", 0.01)
    for _ in range(2_000):
        handler.handle(record("x" * 100))

    handler.close()

    assert handler._outlet.is_behind
    assert read_all(reading)


def test_a_closed_pipe_is_told_and_keeps_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        outlet = Outlet(stream)
        with pytest.raises(BrokenPipeError):
            outlet.write("x\n")

        assert not outlet.is_behind


def test_a_file_and_a_stream_of_no_descriptor_are_written_as_they_are(tmp_path: Path) -> None:
    memory = io.StringIO()
    with (tmp_path / "log").open("w", encoding="utf-8") as file:
        for stream in (memory, file):
            assert Outlet(stream).write("é\n")

    assert memory.getvalue() == (tmp_path / "log").read_text("utf-8") == "é\n"


def test_a_stream_is_read_until_it_is_full(pipe: Pipe) -> None:
    reading, stream = pipe
    before = is_read(stream)
    outlet = Outlet(stream)
    while not outlet.is_behind:
        outlet.write("x" * 4096)
    full = is_read(stream)
    read_all(reading)

    assert (before, full, is_read(stream)) == (True, False, True)
    assert is_read(None)
