"""GET /nexus/logs: the newest log lines, as the dashboard's Logs tab shows them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from nexus_core.api.admin.ids import PATTERN, is_id, number_of, numbered
from nexus_core.errors import InvalidRequestError
from nexus_core.gateway import Gateway
from nexus_core.observe.log_ring import CAPACITY, LogLine, LogRing

MAX_TEXT_BYTES = 1024 * 1024  # of one answer's texts together


def create_router(gateway: Gateway) -> APIRouter:
    """Route of GET /nexus/logs."""
    router = APIRouter(prefix="/nexus", tags=["control"])

    @router.get("/logs")
    async def logs(
        limit: Annotated[int, Query(ge=1, le=CAPACITY)] = 200,
        after: Annotated[str | None, Query(json_schema_extra={"pattern": PATTERN})] = None,
    ) -> dict[str, Any]:
        """The newest log lines, oldest first; with `after`, the lines after that id.

        `last` is the id to resume after. `skipped` counts missing lines after `after`: too many
        for one answer, or no longer kept. An id of another run is ignored.
        """
        here = {} if gateway.shared is None else {"replica": gateway.shared.replica}
        return {**read_logs(gateway.logs, limit, after), **here}

    return router


def read_logs(ring: LogRing, limit: int, after: str | None) -> dict[str, Any]:
    """What GET /nexus/logs answers from these lines.

    Raises:
        InvalidRequestError: `after` is no id of a line.
    """
    begin = _begin(ring, after)
    found = ring.after(begin or 0)
    shown = _newest(found, limit)
    last = found[-1][0] if found else begin or 0
    return {
        "lines": [_line(ring, number, line) for number, line in shown],
        "last": numbered(ring.run, last),
        "skipped": 0 if begin is None else last - begin - len(shown),
    }


def _begin(ring: LogRing, after: str | None) -> int | None:
    if after is None:
        return None
    if not is_id(after):
        raise InvalidRequestError(
            "after: must be a line's id, or `last` from an earlier answer", param="after"
        )
    return number_of(after, ring.run, ring.last)


def _newest(lines: list[tuple[int, LogLine]], limit: int) -> list[tuple[int, LogLine]]:
    room, count = MAX_TEXT_BYTES, 0
    for _, line in reversed(lines[-limit:]):
        room -= len(line.text.encode("utf-8", "replace"))
        if room < 0:
            break
        count += 1
    return lines[len(lines) - count :]


def _line(ring: LogRing, number: int, line: LogLine) -> dict[str, Any]:
    return {
        "id": numbered(ring.run, number),
        "at": line.at,
        "level": line.level,
        "logger": line.logger,
        "text": line.text,
        "request": line.request_id,
    }
