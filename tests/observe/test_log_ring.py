from __future__ import annotations

import gc
from threading import Barrier, Thread

from hypothesis import given
from hypothesis import strategies as st

from nexus_core.observe.log_ring import MAX_TEXT, LogLine, LogRing, shortened


def line(text: str, level: str = "info") -> LogLine:
    return LogLine(1.0, level, "x", text)


@given(count=st.integers(0, 20), capacity=st.integers(1, 8), after=st.integers(0, 25))
def test_what_came_after_a_number_is_what_is_left_of_it(
    count: int, capacity: int, after: int
) -> None:
    ring = LogRing(capacity)
    for number in range(1, count + 1):
        ring.add(line(str(number)))

    expected = [number for number in range(1, count + 1) if number > max(after, count - capacity)]
    assert [number for number, _ in ring.after(after)] == expected
    assert [one.text for _, one in ring.after(after)] == list(map(str, expected))
    assert (ring.last, len(ring)) == (count, min(count, capacity))


def test_the_newest_warning_or_worse_is_known_after_it_has_gone() -> None:
    ring = LogRing(1)
    for one in (line("a", "warning"), line("b", "critical"), line("c")):
        ring.add(one)

    assert ring.last_warning == line("b", "critical")
    assert [one.text for _, one in ring.after(0)] == ["c"]


def test_threads_add_and_read_at_once_and_no_line_is_lost() -> None:
    ring, start = LogRing(10_000), Barrier(5)

    def add() -> None:
        start.wait()
        for number in range(1000):
            ring.add(line(str(number)))

    threads = [Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    start.wait()
    while any(thread.is_alive() for thread in threads):
        numbers = [number for number, _ in ring.after(0)]
        assert numbers == list(range(1, len(numbers) + 1))
    for thread in threads:
        thread.join()

    assert len(ring.after(0)) == ring.last == 4000


class Noisy:
    """Logs when the garbage collector finds it, which may be anywhere."""

    def __init__(self, ring: LogRing) -> None:
        self.ring = ring
        self.itself = self

    def __del__(self) -> None:
        self.ring.add(line("from a finalizer"))


def test_a_finalizer_that_logs_in_the_middle_of_it_stops_nothing() -> None:
    ring = LogRing(500)

    def use() -> None:
        for number in range(300):
            Noisy(ring)
            ring.add(line(str(number)))
            numbers = [number for number, _ in ring.after(0)]
            assert numbers == sorted(set(numbers))

    before = gc.get_threshold()
    gc.set_threshold(5, 1, 1)
    try:
        user = Thread(target=use, daemon=True)
        user.start()
        user.join(20)
    finally:
        gc.set_threshold(*before)

    assert not user.is_alive()
    gc.collect()
    assert ring.last == 600


def test_a_long_line_keeps_its_beginning_and_its_end() -> None:
    text = "begin " + "x" * 20_000 + " end"

    short = shortened(text)

    assert len(short) <= MAX_TEXT
    assert short.startswith("begin ")
    assert short.endswith(" end")
    assert shortened("short") == "short"
