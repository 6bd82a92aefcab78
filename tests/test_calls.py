"""Requests and a key take few calls: counted as `benchmarks/calls.py` does, held to limits."""

from __future__ import annotations

import asyncio
from functools import cache

from benchmarks.calls import BACKENDS, Count, Requests, count_requests, count_screen
from benchmarks.in_process.fake_wires import FakeLoop

# At most. Lower them as the code gets leaner; nothing else stands in the way. Times are for
# `make bench`: they are never a test.
CALLS_A_READ = 19.0  # of a stream that is passed on, beyond a chat request
CHAT_CALLS, CHAT_BUILTINS, CHAT_MODULES = 208, 222, 69
# Of a translated one, beyond that: four in a read, and as many as a busy gateway finds there.
CALLS_AN_EVENT = {"anthropic": 2.1, "google": 2.6, "anthropic-bursts": 1.8, "google-bursts": 1.6}
FINISHED_BLOCKS, FINISHED_TRACKED = 37, 2  # that one request leaves while it is listed
WAITING_BLOCKS, WAITING_TRACKED = 119, 50  # that a stream holds while its backend is silent
TOGGLE_CALLS, TOGGLE_CROSSINGS = 570, 220  # two for each backend: which models lose their last
DRAWING_CALLS = 3_400  # some 60 for each row; on a busy machine some lines are painted twice


def most_called(count: Count) -> str:
    """What to look at first when a limit is broken."""
    lines = (f"{n:6} {module} {name}" for (module, name), n in count.functions.most_common(15))
    return "\n".join(lines)


@cache
def requests() -> Requests:
    with asyncio.Runner(loop_factory=FakeLoop) as runner:
        return runner.run(count_requests())


def test_a_chat_request_takes_few_calls_in_few_modules() -> None:
    count = requests().counts["chat"]

    assert 20 < count.calls <= CHAT_CALLS, most_called(count)
    assert count.builtins <= CHAT_BUILTINS
    assert count.modules <= CHAT_MODULES, sorted({module for module, _ in count.functions})


def test_a_read_of_a_stream_takes_few_calls() -> None:
    count = requests().counts["sse"]

    assert 0 < requests().calls_a_read <= CALLS_A_READ, most_called(count)


def test_an_event_of_a_translated_stream_takes_few_calls() -> None:
    for name, limit in CALLS_AN_EVENT.items():
        assert 0 < requests().calls_an_event(name) <= limit, most_called(requests().counts[name])


def test_a_request_keeps_few_objects() -> None:
    finished, waiting = requests().finished, requests().waiting

    assert 1 < finished.blocks <= FINISHED_BLOCKS
    assert finished.tracked <= FINISHED_TRACKED
    assert 10 < waiting.blocks <= WAITING_BLOCKS
    assert waiting.tracked <= WAITING_TRACKED


def test_a_toggle_takes_few_calls_and_each_row_is_drawn_once() -> None:
    toggle, drawing = asyncio.run(count_screen())

    assert 100 < toggle.calls <= TOGGLE_CALLS, most_called(toggle)
    assert toggle.crossings <= TOGGLE_CROSSINGS, toggle.borders.most_common(15)
    assert drawing.calls <= DRAWING_CALLS, most_called(drawing)
    assert drawing.functions["nexus_tui.widgets.cells.backends", "_row"] == BACKENDS
    assert drawing.sorts <= 1  # of the columns, once for each width
    assert drawing.histograms == 0
