"""Open the data sources of a fleet's replicas."""

from __future__ import annotations

from urllib.parse import quote

from nexus_core.observe.log_ring import LogRing
from nexus_tui.sources.base import EventSource
from nexus_tui.sources.fleet.replica import PartOf, Replica, Roll
from nexus_tui.sources.fleet.source import FleetSource
from nexus_tui.sources.remote import RemoteSource


def fleet_of(
    seed: EventSource,
    roll: Roll,
    authorization: str | None,
    *,
    logs: LogRing | None = None,
    through: str | None = None,
    is_read_only: bool = False,
) -> FleetSource:
    """The fleet that a replica told of.

    Args:
        authorization: of every replica, as the Authorization header.
        through: the URL of a replica that relays to the others; None: each is reached directly.
    """

    def opens(replica: Replica) -> RemoteSource:
        return RemoteSource(
            url_of(replica, through),
            authorization,
            is_read_only=is_read_only,
            logs=logs,
            part_of=PartOf(replica.name, seed.session),
        )

    return FleetSource(seed, roll, opens, is_read_only=is_read_only)


def url_of(replica: Replica, through: str | None) -> str:
    """Where a replica is asked: at its own address, or at that of the one that relays."""
    if through is None:
        return replica.address or ""
    return f"{through}/nexus/replicas/{quote(replica.name, safe='')}"
