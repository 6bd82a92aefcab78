"""Who did what: the operator of a switch, from the record of what operators did."""

from __future__ import annotations

from collections.abc import Iterable

from nexus_core.observe.events import OperatorActed
from nexus_core.types import PrivacyZone
from nexus_tui.text.escape import escaped


def last_cut(actions: Iterable[OperatorActed], zone: PrivacyZone) -> OperatorActed | None:
    """By what a zone was cut; None where that is not known. `actions` are newest first."""
    for acted in actions:
        if acted.target == zone and acted.error is None:
            if acted.action == "zone_cut":
                return acted
            if acted.action == "zone_reopened":
                return None
    return None


def by_whom(acted: OperatorActed | None, session: str) -> str:
    """` by you`, or ` by alice attached from 10.0.0.5`; empty where nobody knows.

    Args:
        session: of this screen.
    """
    if acted is None:
        return ""
    return " by you" if acted.by.session == session else f" by {escaped(str(acted.by))}"
