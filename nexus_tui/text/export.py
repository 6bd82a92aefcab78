"""Export requests as text: headers, JSON, JSON lines, CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from decimal import Decimal

from nexus_core.observe.facts import EXPORT
from nexus_core.observe.record import RequestRecord
from nexus_tui.text.escape import escaped

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_headers(row: RequestRecord) -> str:
    """The request's headers, an empty line, the answer's."""
    blocks = (row.request_headers, row.response_headers)
    return "\n\n".join("\n".join(f"{name}: {value}" for name, value in one) for one in blocks)


def as_json(row: RequestRecord) -> str:
    """Details of a request as JSON, without bodies."""
    return json.dumps(
        {
            **record(row),
            "attempts": [
                {"backend": one.backend, "status": one.status, "error": one.error,
                 "elapsed_ms": one.elapsed_ms}
                for one in row.attempts
            ],
            "considered": [
                {"backend": one.backend, "model": one.model, "position": one.position,
                 "dropped_by": one.dropped_by, "why": one.why,
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


def record(row: RequestRecord) -> dict[str, object]:
    """Facts by the names of GET /nexus/requests. No dollars where unknown or free: never 0."""
    values = {key: fact.of(row) for key, fact in EXPORT}
    return {**values, "model": row.asked_model}  # of a refused call empty


def to_jsonl(rows: Iterable[RequestRecord]) -> str:
    """One JSON object on each line."""
    return "".join(json.dumps(record(row), default=float) + "\n" for row in rows)


def to_csv(rows: Iterable[RequestRecord]) -> str:
    """With a line of titles. A cell that a spreadsheet would run gets an apostrophe before it.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    records = [record(row) for row in rows]
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
