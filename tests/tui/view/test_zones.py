"""What a zone's switch has brought about."""

from __future__ import annotations

from nexus_core.observe.events import ZoneToggled
from nexus_core.types import PrivacyZone
from nexus_tui.view.zones import Cut
from tests.tui.fake_gateway import NOW
from tests.tui.fleet import Story, seen
from tests.tui.view.test_model import OK, events_of, feed, new_view


def toggled(at: float, *, enabled: bool) -> ZoneToggled:
    return ZoneToggled(at=at, zone=PrivacyZone.OPEN, enabled=enabled, ended=2)


def refusal(stage: str) -> Story:
    dropped = seen("openai", None, stage, "for some reason")
    return Story(1, "gpt-4o", None, None, status=503, first_ms=None, considered=(dropped,))


def test_a_cut_counts_what_it_refuses_and_what_others_answer() -> None:
    view = new_view()
    feed(
        view,
        [
            *events_of(OK, refusal("enabled")),
            toggled(NOW, enabled=False),
            *events_of(OK, OK, refusal("enabled"), refusal("tier")),
        ],
    )

    assert view.zones.cuts == {PrivacyZone.OPEN: Cut(NOW, ended=2, refused=1, elsewhere=2)}

    feed(view, [toggled(NOW + 60, enabled=True), *events_of(OK, refusal("enabled"))])
    assert view.zones.cuts == {}


def test_what_was_over_before_a_cut_is_no_effect_of_it() -> None:
    view = new_view()

    feed(view, [toggled(NOW + 60, enabled=False), *events_of(OK, refusal("enabled"))])

    assert view.zones.cuts == {PrivacyZone.OPEN: Cut(NOW + 60, ended=2)}
