"""What an attached dashboard knows of windows, and since when it knows nothing."""

from __future__ import annotations

import pytest

from nexus_core.observe.windows.counted import count_until_now, since
from nexus_core.observe.windows.marks import Marks
from nexus_core.observe.windows.window import Window
from nexus_tui.sources.remote import RemoteSource
from tests.tui.sources.test_remote import linked, make_gateway, received
from tests.waiting import until


async def test_windows_begin_where_those_of_the_other_side_do() -> None:
    gateway = make_gateway()
    window, at = Window.FIVE_MINUTES, 0.0
    gateway.windows = marks = Marks(gateway.stats, lambda: at)
    gateway.bus.publish(received(1))
    marks.make()

    async with linked(gateway) as source:
        assert source.counted_before(window) is None
        at = 200.0
        gateway.bus.publish(received(2))
        marks.make()
        at = 320.0  # the first request has left the window, and nothing has happened
        await until(lambda: source.counted_before(window) is not None)
        assert source.counted_before(window) == marks.beginning(window)
        assert source.counted_before(Window.HOUR) is None
        counted = source.counted_before(window)
        assert counted is not None
        assert since(source.stats, counted).requests == 1
        at = 520.0
        await until(lambda: source.counted_before(window) == count_until_now(gateway.stats))

        async with RemoteSource(f"http://{source.address}") as late:
            await late.connect()
            assert late.counted_before(window) == marks.beginning(window)


async def test_a_link_is_stale_from_the_last_word_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexus_tui.sources.remote._SILENCE_SECONDS", 0.3)
    at = 5000.0
    monkeypatch.setattr(RemoteSource, "now", lambda _: at)
    gateway = make_gateway()
    async with linked(gateway, pauses_seconds=(60.0,)) as source:
        gateway.bus.publish(received(1))
        await until(lambda: source.stats.requests == 1)
        at = 5012.0  # and nothing comes, until the silence is noticed

        await until(lambda: source.status == "stale")

        assert source.stale_since == 5000.0
