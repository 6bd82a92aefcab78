"""Requests as an HTTP Archive: HAR 1.2, http://www.softwareishard.com/blog/har-12-spec/."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from nexus_core import __version__
from nexus_core.dialects.inbound import place_of
from nexus_core.observe.captured import CapturedExchange
from nexus_core.observe.record import Headers, RequestRecord
from nexus_tui.text.export import record

_HTTP = "HTTP/1.1"
_UNKNOWN = -1  # as the format has it

Exchange = tuple[RequestRecord, CapturedExchange | None]


def to_har(exchanges: Iterable[Exchange], address: str) -> str:
    """Requests with their bodies as far as they are given; keys are masked in the headers."""
    archive = {
        "log": {
            "version": "1.2",
            "creator": {"name": "Nexus", "version": __version__},
            "entries": [_entry(row, kept, address) for row, kept in exchanges],
        }
    }
    return json.dumps(archive, ensure_ascii=False, indent=1, default=float) + "\n"  # dollars


def _entry(row: RequestRecord, kept: CapturedExchange | None, address: str) -> dict[str, Any]:
    total = row.total_ms or 0.0
    first = min(row.first_byte_ms if row.first_byte_ms is not None else total, total)
    return {
        "startedDateTime": datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds"),
        "time": total,
        "request": _request(row, kept, address),
        "response": _response(row, kept),
        "cache": {},
        "timings": {"send": 0, "wait": first, "receive": total - first},
        "_nexus": record(row),
    }


def _request(row: RequestRecord, kept: CapturedExchange | None, address: str) -> dict[str, Any]:
    place = place_of(row.endpoint, row.asked_model, is_streaming=row.is_streaming)
    path = row.path or quote(place, safe="/:?=@")
    sent: dict[str, Any] = {
        "method": "POST",
        "url": f"http://{address}{path}",
        "httpVersion": _HTTP,
        "cookies": [],
        "headers": _headers(row.request_headers),
        "queryString": [],
        "headersSize": _UNKNOWN,
        "bodySize": row.body_bytes if row.refused is None else _UNKNOWN,
    }
    if kept is not None:
        text = kept.body.decode(errors="replace")
        sent["postData"] = {"mimeType": "application/json", "params": [], "text": text}
    return sent


def _response(row: RequestRecord, kept: CapturedExchange | None) -> dict[str, Any]:
    status = row.status or 0  # 0 where there was none
    content: dict[str, Any] = {
        "size": _UNKNOWN if kept is None else len(kept.answer),
        "mimeType": _mime_type(row),
    }
    if kept is not None:
        content |= _text(kept.answer)
        if not kept.is_whole:
            content["comment"] = "the beginning of it"
    return {
        "status": status,
        "statusText": HTTPStatus(status).phrase if status in {*HTTPStatus} else "",
        "httpVersion": _HTTP,
        "cookies": [],
        "headers": _headers(row.response_headers),
        "content": content,
        "redirectURL": "",
        "headersSize": _UNKNOWN,
        "bodySize": _UNKNOWN,
    }


def _mime_type(row: RequestRecord) -> str:
    told = {name.lower(): value for name, value in row.response_headers}.get("content-type")
    return told or ("text/event-stream" if row.is_streaming else "application/json")


def _text(answer: bytes) -> dict[str, str]:
    try:
        return {"text": answer.decode()}
    except UnicodeDecodeError:
        return {"text": base64.b64encode(answer).decode(), "encoding": "base64"}


def _headers(headers: Headers) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers]
