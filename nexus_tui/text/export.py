"""Export a request as text: curl, id, headers, JSON, CSV."""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from nexus_core.dialects.inbound import CHAT_PATH, operation_at
from nexus_core.observe.facts import EXPORT
from nexus_core.observe.record import Headers, RequestRecord
from nexus_tui.text.escape import escaped
from nexus_tui.text.example import example_body

# What curl sets itself, or what says nothing about the request.
_NOT_COPIED = frozenset(
    {"host", "content-length", "connection", "accept-encoding", "user-agent", "accept"}
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MASKED = "***"
_KEY_VARIABLE = "$NEXUS_API_KEY"


def as_curl(row: RequestRecord, address: str, body: bytes | None = None) -> str:
    """A request as curl command; without its body, a short example request."""
    endpoint = row.endpoint or CHAT_PATH
    example = example_body(row.asked_model, operation_at(endpoint), stream=row.is_streaming)
    sent = body.decode(errors="replace") if body else _as_text(example)
    headers = [
        _header(name, value)
        for name, value in row.request_headers
        if name.lower() not in _NOT_COPIED
    ]
    if not any(name.lower() == "content-type" for name, _ in row.request_headers):
        headers.append("-H 'Content-Type: application/json'")
    return _command(f"http://{address}{endpoint}", headers, sent)


def curl_for(
    body: Mapping[str, Any],
    address: str,
    headers: Headers = (),
    endpoint: str = CHAT_PATH,
) -> str:
    """A command that sends this body."""
    lines = ["-H 'Content-Type: application/json'", *(_header(*pair) for pair in headers)]
    return _command(f"http://{address}{endpoint}", lines, _as_text(body))


def _command(url: str, headers: Iterable[str], body: str) -> str:
    return " \\\n  ".join([f"curl {shlex.quote(url)}", *headers, f"-d {shlex.quote(body)}"])


def _header(name: str, value: str) -> str:
    if value == _MASKED:  # what the client sent is not kept
        scheme = "Bearer " if name.lower() == "authorization" else ""
        return f'-H "{name}: {scheme}{_KEY_VARIABLE}"'
    return f"-H {shlex.quote(f'{name}: {value}')}"


def _as_text(body: Mapping[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False)


def as_headers(row: RequestRecord) -> str:
    """The request's headers, an empty line, the answer's."""
    blocks = (row.request_headers, row.response_headers)
    return "\n\n".join("\n".join(f"{name}: {value}" for name, value in one) for one in blocks)


def as_json(row: RequestRecord) -> str:
    """Details of a request as JSON, without bodies."""
    return json.dumps(
        {
            **_record(row),
            "attempts": [
                {"backend": one.backend, "status": one.status, "error": one.error,
                 "elapsed_ms": one.elapsed_ms}
                for one in row.attempts
            ],
            "considered": [
                {"backend": one.backend, "position": one.position, "dropped_by": one.dropped_by,
                 "why": one.why,
                 "score": [{"name": t.name, "weight": t.weight, "value": t.value}
                           for t in one.score]}
                for one in row.considered
            ],
            "request_headers": dict(row.request_headers),
            "response_headers": dict(row.response_headers),
        },
        ensure_ascii=False,
        indent=2,
        default=float,  # dollars
    )  # fmt: skip


def _record(row: RequestRecord) -> dict[str, object]:
    """By the names of GET /nexus/requests. Dollars are None where unknown or free: never 0."""
    values = {key: fact.of(row) for key, fact in EXPORT}
    return {**values, "model": row.asked_model}  # of a refused call empty


def to_jsonl(rows: Iterable[RequestRecord]) -> str:
    """One JSON object on each line."""
    return "".join(json.dumps(_record(row), default=float) + "\n" for row in rows)


def to_csv(rows: Iterable[RequestRecord]) -> str:
    """With a line of titles. A cell that a spreadsheet would run gets an apostrophe before it.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    records = [_record(row) for row in rows]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([key for key, _ in EXPORT])
    writer.writerows([harmless(value) for value in record.values()] for record in records)
    return file.getvalue()


def harmless(value: object) -> object:
    """A cell for a spreadsheet: nothing that it would run, nothing that steers a terminal."""
    if isinstance(value, Decimal):
        return f"{value:f}"  # 0.00000055, not 5.5E-7
    if isinstance(value, bool):
        return str(value).lower()  # as in JSON
    if not isinstance(value, str):
        return value
    return f"'{escaped(value)}" if value.startswith(_FORMULA) else escaped(value)


def dumped(value: object) -> str:
    """JSON for people."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)
