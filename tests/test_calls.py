"""A request and a key take few calls: counted as `benchmarks/calls.py` does, held to limits."""

from __future__ import annotations

import asyncio

from benchmarks.calls import BACKENDS, Count, count_chat, count_screen

# At most. Lower them as the code gets leaner; nothing else stands in the way.
CHAT_CALLS, CHAT_MODULES = 165, 39
TOGGLE_CALLS, TOGGLE_CROSSINGS = 400, 150
DRAWING_CALLS = 3_500  # some 70 for each row


def most_called(count: Count) -> str:
    """What to look at first when a limit is broken."""
    lines = (f"{n:6} {module} {name}" for (module, name), n in count.functions.most_common(15))
    return "\n".join(lines)


def test_a_chat_request_takes_few_calls_in_few_modules() -> None:
    count = asyncio.run(count_chat())

    assert 100 < count.calls <= CHAT_CALLS, most_called(count)
    assert count.modules <= CHAT_MODULES, sorted({module for module, _ in count.functions})


def test_a_toggle_takes_few_calls_and_each_row_is_drawn_once() -> None:
    toggle, drawing = asyncio.run(count_screen())

    assert 100 < toggle.calls <= TOGGLE_CALLS, most_called(toggle)
    assert toggle.crossings <= TOGGLE_CROSSINGS, toggle.borders.most_common(15)
    assert drawing.calls <= DRAWING_CALLS, most_called(drawing)
    assert drawing.functions["nexus_tui.widgets.backend_cells", "_row"] == BACKENDS
    assert drawing.sorts == drawing.histograms == 0
