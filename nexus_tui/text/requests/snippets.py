"""A request as a command or a program that sends it: curl, HTTPie, Python."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pprint import pformat
from typing import Any, cast
from urllib.parse import quote

from nexus_core.dialects.inbound import CHAT_PATH, operation_at, place_of
from nexus_core.observe.record import Headers, RequestRecord
from nexus_tui.text.example import example_body

# What the client sets itself, or what says nothing about the request.
_NOT_COPIED = frozenset(
    {
        *("host", "content-length", "connection", "accept-encoding", "user-agent", "accept"),
        *("content-encoding", "transfer-encoding", "expect", "te", "trailer", "upgrade"),
        *("http2-settings", "keep-alive", "x-codex-turn-metadata"),
    }
)
# A client may name its headers as it likes, "`reboot`" among others: RFC 9110 section 5.6.2.
_HARMLESS = re.compile(r"[A-Za-z0-9_-]+")
_MASKED = "***"
_VARIABLE = "NEXUS_API_KEY"
_JSON = ("Content-Type", "application/json")
_SAFE = "/:?=@"  # of a path, with the query that a stream of Google's has
_WIDTH = 88  # of Python


@dataclass(frozen=True, slots=True)
class _Call:
    url: str
    headers: Headers
    body: str
    is_streaming: bool

    @property
    def said(self) -> Iterable[tuple[str, str, bool]]:
        """Name, value and whether the key of `$NEXUS_API_KEY` ends the value."""
        for name, value in self.headers:
            if value == _MASKED and _HARMLESS.fullmatch(name):  # what the client sent is not kept
                yield name, "Bearer " if name.lower() == "authorization" else "", True
            else:
                yield name, value, False


def _call(row: RequestRecord, address: str, body: bytes | None) -> _Call:
    endpoint = row.endpoint or CHAT_PATH
    example = example_body(
        row.asked_model, operation_at(endpoint), stream=row.is_streaming, endpoint=endpoint
    )
    sent = body.decode(errors="replace") if body else _as_text(example)
    headers = tuple(
        (name, value) for name, value in row.request_headers if name.lower() not in _NOT_COPIED
    )
    if not any(name.lower() == "content-type" for name, _ in row.request_headers):
        headers = (*headers, _JSON)
    place = quote(place_of(endpoint, row.asked_model, is_streaming=row.is_streaming), safe=_SAFE)
    return _Call(f"http://{address}{place}", headers, sent, row.is_streaming)


def _as_text(body: Mapping[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False)


# curl ---------------------------------------------------------------------------------------------


def as_curl(row: RequestRecord, address: str, body: bytes | None = None) -> str:
    """A request as curl command; without its body, a short example request."""
    return _curl(_call(row, address, body))


def curl_for(
    body: Mapping[str, Any], address: str, headers: Headers = (), endpoint: str = CHAT_PATH
) -> str:
    """A command that sends this body."""
    url = f"http://{address}{quote(endpoint, safe=_SAFE)}"
    return _curl(_Call(url, (_JSON, *headers), _as_text(body), False))


def _curl(call: _Call) -> str:
    headers = [
        f'-H "{name}: {value}${_VARIABLE}"' if has_key else f"-H {shlex.quote(f'{name}: {value}')}"
        for name, value, has_key in call.said
    ]
    return _lines(f"curl {shlex.quote(call.url)}", *headers, f"-d {shlex.quote(call.body)}")


def _lines(*parts: str) -> str:
    return " \\\n  ".join(parts)


# HTTPie -------------------------------------------------------------------------------------------


def as_httpie(row: RequestRecord, address: str, body: bytes | None = None) -> str:
    """A request as HTTPie command; without its body, a short example request.

    https://httpie.io/docs/cli/raw-request-body
    """
    call = _call(row, address, body)
    options = "--ignore-stdin --stream" if call.is_streaming else "--ignore-stdin"
    headers = [
        f'"{name}:{value}${_VARIABLE}"' if has_key else shlex.quote(f"{name}:{_item(value)}")
        for name, value, has_key in call.said
    ]
    first = f"http {options} POST {shlex.quote(call.url)}"
    return _lines(first, *headers, f"--raw {shlex.quote(call.body)}")


def _item(value: str) -> str:
    """A header's value in an item: `:@file` and `:=json` would say something else.

    https://httpie.io/docs/cli/escaping-rules
    """
    return f"\\{value}" if value[:1] in ("@", "=", ":") else value


# Python -------------------------------------------------------------------------------------------


def as_python(row: RequestRecord, address: str, body: bytes | None = None) -> str:
    """A request as a program for httpx; without its body, a short example request."""
    call = _call(row, address, body)
    has_key = any(key for _, _, key in call.said)
    lines = ["import os", ""] if has_key else []
    lines += ["import httpx", "", "headers = {"]
    lines += [f"    {name!r}: {_python_value(value, key)}," for name, value, key in call.said]
    lines += ["}", f"body = {_python_body(call.body)}"]
    if call.is_streaming:
        lines += [
            f'with httpx.stream("POST", {call.url!r}, headers=headers, **body, timeout=None) as r:',
            "    for line in r.iter_lines():",
            "        print(line)",
        ]
    else:
        lines += [
            f"answer = httpx.post({call.url!r}, headers=headers, **body, timeout=None)",
            "print(answer.status_code, answer.text)",
        ]
    return "\n".join(lines) + "\n"


def _python_value(value: str, has_key: bool) -> str:
    if not has_key:
        return repr(value)
    key = f'os.environ["{_VARIABLE}"]'
    return f"{value!r} + {key}" if value else key


def _python_body(body: str) -> str:
    """Keyword arguments of httpx: the object where that is one, else the text."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        return f'{{"content": {body!r}.encode()}}'
    shown = pformat(cast("dict[str, object]", parsed), width=_WIDTH, sort_dicts=False)
    return f'{{"json": {shown}}}'
