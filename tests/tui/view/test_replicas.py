"""Replicas in words: what is wrong with which, and how far a cut has reached."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nexus_core import __version__
from nexus_tui.sources.fleet.replica import Replica, Roll
from nexus_tui.view.replicas import (
    Reach,
    confirmed,
    has_reached_all,
    is_cut_in_part,
    reach_lines,
    reach_of,
    reach_words,
    replica_alarms,
    replicas_cell,
)

NOW = 1_767_967_351.0
BOX = Replica(
    name="box-1", address="http://10.0.0.1:8000", version=__version__, beat_at=NOW - 0.2, switches=4
)


def roll(*replicas: Replica, **more: object) -> Roll:
    return replace(Roll("box-1", replicas), **more)  # type: ignore[arg-type]


def box(number: int, **more: object) -> Replica:
    return replace(BOX, name=f"box-{number}", **more)  # type: ignore[arg-type]


# What is wrong ------------------------------------------------------------------------------------


def test_nothing_is_said_while_all_is_well() -> None:
    assert replica_alarms(roll(box(1), box(2)), is_short=False) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"is_dead": True}, "box-2 DEAD, silent since "),
        ({"alone_since": NOW}, "box-2 ALONE since "),
        ({"alone_since": NOW}, "open zone closed"),
        ({"differs": True}, "box-2 config differs"),
        ({"version": "0.0.9"}, "box-2 version 0.0.9"),
        ({"problem": "no data for 5 s"}, "box-2 not seen: no data for 5 s"),
    ],
)
def test_what_is_wrong_is_told_of_the_replica_that_has_it(
    changes: dict[str, object], words: str
) -> None:
    (line,) = replica_alarms(roll(box(1), box(2, **changes)), is_short=False)

    assert line.startswith("FLEET box-2 ")
    assert words in line


def test_several_are_one_line_and_short_where_there_is_little_room() -> None:
    fleet = roll(box(1), box(2, is_dead=True), box(3, differs=True, problem="gone"))

    (line,) = replica_alarms(fleet, is_short=True)

    assert line == "FLEET box-2 DEAD · box-3 not seen, config differs"


def test_the_same_of_several_is_said_once() -> None:
    lost = [box(number, alone_since=NOW) for number in (1, 2, 3)]

    (line,) = replica_alarms(roll(*lost, box(4, differs=True)), is_short=True)

    assert line.startswith("FLEET box-1 box-2 box-3 ALONE since ")
    assert line.endswith(" · box-4 config differs")
    assert line.count("ALONE") == 1


def test_what_keeps_the_open_zone_says_so() -> None:
    fleet = roll(box(1, alone_since=NOW), keeps_open=True)

    assert "open zone in use" in replica_alarms(fleet, is_short=False)[0]


def test_how_many_are_well() -> None:
    assert replicas_cell(roll(box(1), box(2)))[0] == "2 replicas"
    assert replicas_cell(roll(box(1)))[0] == ""
    assert replicas_cell(roll(box(1), box(2, is_dead=True)))[0] == "1/2 replicas"


# How far a cut has reached ------------------------------------------------------------------------


def test_the_dialog_tells_who_has_cut_and_whose_permission_lapsed() -> None:
    fleet = roll(
        box(1, is_open=False),
        box(2, is_open=False),
        box(3, is_open=None, switches=3, beat_at=NOW - 4.2, problem="no data"),
    )

    words = "box-1 box-2 cut · box-3 silent 4.2 s: its permission lapsed 3.2 s ago"
    assert reach_words(fleet, NOW) == words
    assert confirmed(fleet, NOW) == (2, 1, 3)
    assert has_reached_all(fleet, NOW)
    assert is_cut_in_part(fleet, NOW)


def test_one_that_has_word_from_the_store_may_send_until_it_says_otherwise() -> None:
    fleet = roll(box(1, is_open=False), box(2, is_open=True))

    assert reach_words(fleet, NOW) == "box-1 cut · box-2 not yet"
    assert not has_reached_all(fleet, NOW)


def test_one_that_is_not_seen_has_cut_once_its_beats_say_so() -> None:
    first = box(1, is_open=False, switches=4)

    assert reach_of(box(2, switches=4), roll(first, box(2)), NOW) is Reach.CUT
    assert reach_of(box(2, switches=3), roll(first, box(2, switches=3)), NOW) is Reach.OPEN


def test_nothing_lapses_where_the_zone_is_kept() -> None:
    fleet = roll(box(1, is_open=False), box(2, switches=1, beat_at=NOW - 90), keeps_open=True)

    ((_, first), (words, second)) = reach_lines(fleet, NOW)
    assert (first, second) == (Reach.CUT, Reach.OPEN)
    assert "KEEPS the open zone" in words
    assert not has_reached_all(fleet, NOW)


def test_one_that_never_beat_is_not_counted_on() -> None:
    fleet = roll(box(1, is_open=False), box(2, switches=None, beat_at=None))

    assert reach_lines(fleet, NOW)[1] == ("box-2 was never heard of", Reach.OPEN)
